package statement

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// windows1252 are the characters that Windows-1252 has where ISO 8859-1 has controls.
const windows1252 = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ"

// fromWindows1252 decodes Windows-1252, and with it ISO 8859-1 and US-ASCII, which many files claim to be and are not.
func fromWindows1252(content []byte) string {
	upper := []rune(windows1252)
	var b strings.Builder
	b.Grow(len(content))
	for _, c := range content {
		if c >= 0x80 && c < 0xA0 {
			b.WriteRune(upper[c-0x80])
		} else {
			b.WriteRune(rune(c))
		}
	}
	return b.String()
}

// latin9 are the characters in which ISO 8859-15 differs from ISO 8859-1, whose bytes are those of Unicode. The euro of
// Windows-1252 is among them, where both have no character: many files claim to be the one and are the other.
var latin9 = map[byte]rune{
	0x80: '€', 0xA4: '€', 0xA6: 'Š', 0xA8: 'š', 0xB4: 'Ž', 0xB8: 'ž', 0xBC: 'Œ', 0xBD: 'œ', 0xBE: 'Ÿ',
}

// fromLatin9 decodes ISO 8859-15.
func fromLatin9(content []byte) string {
	var b strings.Builder
	b.Grow(len(content))
	for _, c := range content {
		if r, ok := latin9[c]; ok {
			b.WriteRune(r)
		} else {
			b.WriteRune(rune(c))
		}
	}
	return b.String()
}

// decode returns UTF-8, without a byte order mark.
func (f CSVFormat) decode(content []byte) (string, error) {
	switch {
	case f.Encoding == Latin9:
		return fromLatin9(content), nil
	case f.Encoding == Windows1252:
		return fromWindows1252(content), nil
	// A text in another encoding is hardly ever valid UTF-8, apart from ASCII, which is the same in all of them.
	case utf8.Valid(content):
	case f.Encoding == UTF8:
		return "", unreadable("it is not in UTF-8")
	case slices.ContainsFunc(content, isC1):
		return fromWindows1252(content), nil
	default:
		return fromLatin9(content), nil
	}
	return strings.TrimPrefix(string(content), "\ufeff"), nil
}

// isC1 reports a byte for which only Windows-1252 has a character.
func isC1(c byte) bool { return c >= 0x80 && c < 0xA0 }

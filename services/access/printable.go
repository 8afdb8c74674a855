package access

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// PrintableLine reports whether s is one visible line of 1 to max characters. Marks that nobody sees are refused: those that
// turn the direction of what follows, and those of no width. A name stands in notices and mails, beside what they tell of it,
// and two names that look alike must be the same.
func PrintableLine(s string, max int) bool {
	return PrintableText(s, max) && !strings.ContainsFunc(s, unicode.IsControl)
}

// PrintableText is [PrintableLine] for a text of several lines.
func PrintableText(s string, max int) bool {
	if strings.TrimSpace(s) == "" || utf8.RuneCountInString(s) > max || !utf8.ValidString(s) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		// Format characters are those of direction (unicode.Bidi_Control) and of no width, and invisible tags.
		return unicode.IsControl(r) && !strings.ContainsRune("\t\r\n", r) || unicode.Is(unicode.Cf, r)
	})
}

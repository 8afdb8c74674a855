package treasury

import (
	"crypto/rand"
	"io"
	"strings"
)

// The alphabet of references has none of 0, O, 1, I, L, S and Z, which hands and eyes take for others, and 29
// letters: with a prime number of them one check character finds every wrong character and every two that
// changed places.
const alphabet = "23456789ABCDEFGHJKMNPQRTUVWXY"

const (
	referencePrefix = "CAG"
	referenceChars  = 8
)

// lookAlikes are characters that no reference has, and what was surely meant.
var lookAlikes = strings.NewReplacer("S", "5", "Z", "2")

// newReference makes the eight characters of a reference: seven at random, 17 thousand million of them, and the
// check character.
func newReference(random io.Reader) (string, error) {
	var code [referenceChars]byte
	for i := 0; i < referenceChars-1; {
		var b [1]byte
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return "", err
		}
		// Bytes beyond the last whole multiple would make some characters likelier.
		if limit := 256 - 256%len(alphabet); int(b[0]) < limit {
			code[i] = alphabet[int(b[0])%len(alphabet)]
			i++
		}
	}
	code[referenceChars-1] = checkCharacter(string(code[:referenceChars-1]))
	return string(code[:]), nil
}

// randomness is where references come from.
var randomness io.Reader = rand.Reader

// weighted is the sum of the characters' values, each times its place from 1; ok is false for a character that
// is none. A wrong character changes it by place times difference, and two that changed places by the
// difference of their places times theirs: neither is divisible by 29.
func weighted(code string) (sum int, ok bool) {
	for i := range len(code) {
		value := strings.IndexByte(alphabet, code[i])
		if value < 0 {
			return 0, false
		}
		sum += (i + 1) * value
	}
	return sum % len(alphabet), true
}

// checkCharacter is the eighth: it makes the weighted sum zero.
func checkCharacter(seven string) byte {
	sum, _ := weighted(seven)
	for value := range len(alphabet) {
		if (sum+referenceChars*value)%len(alphabet) == 0 {
			return alphabet[value]
		}
	}
	panic("treasury: 8 has an inverse modulo 29")
}

// formatReference writes eight characters as people see them: CAG-7K3M-9QXT.
func formatReference(code string) string {
	return referencePrefix + "-" + code[:4] + "-" + code[4:]
}

// parseReference reads a reference however it was written: in small letters, with other characters between,
// with look-alikes, without its prefix. ok is false when it is none, or was mistyped.
func parseReference(text string) (code string, ok bool) {
	code = lookAlikes.Replace(bare(text))
	if len(code) == len(referencePrefix)+referenceChars {
		code = strings.TrimPrefix(code, referencePrefix)
	}
	return code, validReference(code)
}

// findReferences returns the references in a text, each once. Banks put blanks and line breaks anywhere, so
// only letters and digits count, and the prefix says where one begins.
func findReferences(text string) (codes []string) {
	seen := map[string]bool{}
	text = bare(text)
	for {
		_, rest, found := strings.Cut(text, referencePrefix)
		if !found {
			return codes
		}
		if len(rest) >= referenceChars {
			code := lookAlikes.Replace(rest[:referenceChars])
			if validReference(code) && !seen[code] {
				seen[code] = true
				codes = append(codes, code)
			}
		}
		text = rest
	}
}

func validReference(code string) bool {
	sum, ok := weighted(code)
	return ok && len(code) == referenceChars && sum == 0
}

// bare is a text's ASCII letters, made capitals, and digits.
func bare(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return -1
	}, text)
}

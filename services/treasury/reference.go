package treasury

import (
	"crypto/rand"
	"io"
	"strings"
)

// The alphabet of references has none of 0, O, 1, I, L, S and Z, which are easily confused. It has 29 characters, a prime
// number, so that one check character finds every wrong character and every exchange of two.
const alphabet = "23456789ABCDEFGHJKMNPQRTUVWXY"

const (
	referencePrefix = "CAG"
	referenceChars  = 8
)

// lookAlikes replaces characters that no reference has by those that they look like.
var lookAlikes = strings.NewReplacer("S", "5", "Z", "2")

// newReference makes the eight characters of a reference: seven at random, of which there are 17 thousand million, and
// the check character.
func newReference(random io.Reader) (string, error) {
	var code [referenceChars]byte
	for i := 0; i < referenceChars-1; {
		var b [1]byte
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return "", err
		}
		// Bytes above the last whole multiple would make some characters more likely.
		if limit := 256 - 256%len(alphabet); int(b[0]) < limit {
			code[i] = alphabet[int(b[0])%len(alphabet)]
			i++
		}
	}
	code[referenceChars-1] = checkCharacter(string(code[:referenceChars-1]))
	return string(code[:]), nil
}

// randomness is the source of references.
var randomness io.Reader = rand.Reader

// weighted returns the sum of the characters' values, each multiplied by its place, from 1, modulo 29. ok is false when a
// character is not in the alphabet. A wrong character changes the sum by its place times its difference; two exchanged
// characters change it by the difference of their places times that of their values. Neither is divisible by 29.
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

// checkCharacter returns the eighth character, which makes the weighted sum zero.
func checkCharacter(seven string) byte {
	sum, _ := weighted(seven)
	for value := range len(alphabet) {
		if (sum+referenceChars*value)%len(alphabet) == 0 {
			return alphabet[value]
		}
	}
	panic("treasury: 8 has an inverse modulo 29")
}

// formatReference writes eight characters as people read them: CAG-7K3M-9QXT.
func formatReference(code string) string {
	return referencePrefix + "-" + code[:4] + "-" + code[4:]
}

// parseReference reads a reference however it is written: in small letters, with other characters between, with
// characters that look alike, without its prefix. ok is false for what is no reference, or mistyped.
func parseReference(text string) (code string, ok bool) {
	code = lookAlikes.Replace(bare(text))
	if len(code) == len(referencePrefix)+referenceChars {
		code = strings.TrimPrefix(code, referencePrefix)
	}
	return code, validReference(code)
}

// findReferences returns the references in a text, each once. Banks put blanks and line breaks anywhere, so only letters
// and digits are read, and the prefix tells where a reference begins.
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

// bare returns the ASCII letters of a text, as capitals, and its digits.
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

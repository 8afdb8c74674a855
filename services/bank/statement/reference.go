package statement

import (
	"regexp"
	"strings"
	"unicode"
)

// provided returns a reference that tells a movement from others, and an empty text for what is none: banks write
// NOTPROVIDED, or a sentence.
func provided(reference string) string {
	reference = strings.TrimSpace(reference)
	word := !strings.ContainsAny(reference, "0123456789") || strings.ContainsFunc(reference, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	})
	if word || len(reference) > 100 {
		return ""
	}
	return reference
}

// namelessForm is a reference that cannot be a name: digits with at most two letters, which do not stand together, or a
// UUID. The table of bank lines has the same rule.
var namelessForm = regexp.MustCompile(
	`^([0-9./:_-]*[A-Za-z]?[0-9./:_-]*[0-9][0-9./:_-]*[A-Za-z]?[0-9./:_-]*|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$`)

// StoredReference returns the reference when it cannot be a name, and else an empty text: some banks put the payer's name
// there, and so does a wrong column of a CSV file.
func (m Movement) StoredReference() string {
	if !namelessForm.MatchString(m.Reference) {
		return ""
	}
	return m.Reference
}

// Words returns what tells the movement from others of its day and amount: its reference or, without one, the letters
// and digits of its text. It may hold a name and must not be stored.
func (m Movement) Words() string {
	if m.Reference != "" {
		return m.Reference
	}
	return lettersAndDigits(m.Text)
}

// lettersAndDigits returns the ASCII letters of a text, as capitals, and its digits.
func lettersAndDigits(text string) string {
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

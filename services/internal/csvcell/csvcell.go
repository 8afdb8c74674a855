// Package csvcell writes texts into CSV so that no spreadsheet runs them. It is used instead of encoding/csv, which cannot
// defuse a cell and drops carriage returns inside cells when it ends lines with CRLF.
package csvcell

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Append appends a text cell to a line: defused, and quoted where RFC 4180 requires it. Semicolons and tabs are quoted too,
// since spreadsheets guess the separator.
func Append(b []byte, text string) []byte {
	text = defuse(text)
	if !strings.ContainsAny(text, "\",;\t\r\n") && !strings.HasPrefix(text, " ") && !strings.HasSuffix(text, " ") {
		return append(b, text...)
	}
	b = append(b, '"')
	// A quote inside a cell is doubled (RFC 4180).
	for i := range len(text) {
		if text[i] == '"' {
			b = append(b, '"')
		}
		b = append(b, text[i])
	}
	return append(b, '"')
}

// defuse puts an apostrophe before a text that a spreadsheet would run as a formula, and before one that begins with an
// apostrophe. So a reader gets every text back by removing one apostrophe from the front, if there is one.
// https://owasp.org/www-community/attacks/CSV_Injection
func defuse(text string) string {
	if strings.HasPrefix(text, "'") || isFormula(text) {
		return "'" + text
	}
	return text
}

// isFormula looks past what cannot be seen: spaces, controls, marks of direction, byte order marks. A control at the
// very beginning is enough by itself.
func isFormula(text string) bool {
	if first, _ := utf8.DecodeRuneInString(text); text != "" && unicode.IsControl(first) {
		return true
	}
	text = strings.TrimLeftFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
	})
	first, _ := utf8.DecodeRuneInString(text)
	// After the ASCII signs their full-width and small forms, and the true minus.
	return text != "" && strings.ContainsRune("=+-@＝＋－＠﹦﹢﹣﹫−", first)
}

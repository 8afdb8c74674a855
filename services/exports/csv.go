package exports

import (
	"context"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/ledger"
)

// csvHeader names the columns. Debit and credit are never negative and have a decimal point; one of them is empty on
// each line. The date is in the collective's time zone, the time is UTC.
const csvHeader = "transaction,reference,kind,effective_date,effective_time,account,account_name," +
	"debit,credit,currency,campaign,donation\r\n"

// csvWriter is used instead of encoding/csv, which cannot defuse a cell and drops carriage returns inside cells when it
// ends lines with CRLF.
type csvWriter struct {
	*chunks
	zone *time.Location
}

func openCSV(_ context.Context, x *export, c *chunks) (writer, error) {
	c.b = append(c.b, csvHeader...)
	return csvWriter{c, x.zone}, nil
}

func (w csvWriter) end() error { return nil }

func (w csvWriter) entry(row *ledger.EntryRow) error {
	w.b = w.appendRow(w.b, row)
	return w.spill()
}

// appendRow appends a line with the columns of csvHeader. Ids, days, times and amounts are written by the program and
// need no quotes; texts go through appendText.
func (w csvWriter) appendRow(b []byte, row *ledger.EntryRow) []byte {
	b = strconv.AppendInt(b, row.TransactionID, 10)
	b = append(b, ',')
	b = appendText(b, row.Reference)
	b = append(b, ',')
	b = appendText(b, row.Kind)
	b = append(b, ',')
	b = row.Effective.In(w.zone).AppendFormat(b, time.DateOnly)
	b = append(b, ',')
	b = row.Effective.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, ',')
	b = appendText(b, row.Code)
	b = append(b, ',')
	b = appendText(b, row.DisplayName)
	b = append(b, ',')
	// A credit moves to its column and loses its sign there.
	amount, credit := strings.CutPrefix(row.Amount.Decimal(), "-")
	if credit {
		b = append(b, ',')
		b = append(b, amount...)
	} else {
		b = append(b, amount...)
		b = append(b, ',')
	}
	b = append(b, ',')
	b = appendText(b, string(row.Amount.Currency))
	b = append(b, ',')
	b = appendText(b, row.Campaign)
	b = append(b, ',')
	if row.Donation != uuid.Nil {
		b = append(b, row.Donation.String()...)
	}
	return append(b, "\r\n"...)
}

// appendText appends a text cell: defused, and quoted where RFC 4180 requires it. Semicolons and tabs are quoted too,
// since spreadsheets guess the separator.
func appendText(b []byte, text string) []byte {
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

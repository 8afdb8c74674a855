package exports

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/internal/csvcell"
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
	b = csvcell.Append(b, row.Reference)
	b = append(b, ',')
	b = csvcell.Append(b, row.Kind)
	b = append(b, ',')
	b = row.Effective.In(w.zone).AppendFormat(b, time.DateOnly)
	b = append(b, ',')
	b = row.Effective.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, ',')
	b = csvcell.Append(b, row.Code)
	b = append(b, ',')
	b = csvcell.Append(b, row.DisplayName)
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
	b = csvcell.Append(b, string(row.Amount.Currency))
	b = append(b, ',')
	b = csvcell.Append(b, row.Campaign)
	b = append(b, ',')
	if row.Donation != uuid.Nil {
		b = append(b, row.Donation.String()...)
	}
	return append(b, "\r\n"...)
}

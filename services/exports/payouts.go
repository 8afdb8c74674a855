package exports

import (
	"context"
	"strconv"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/csvcell"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/payouts"
)

// FormatPayouts is the payout report, as comma-separated values like [FormatCSV]: each line of the bank's statement
// that is a payout of Stripe's, with the donations, fees, refunds and disputes in it, which sum to it. A collective has
// its share of each. The days are those of the bank.
const FormatPayouts = "PAYOUTS"

// payoutsHeader names the columns. Of a payout, line 0 is the bank's, and the nets of the other lines sum to it.
// Amounts have a sign and a decimal point; dates are in the collective's time zone.
const payoutsHeader = "payout,bank_date,line,kind,date,transaction,gross,fee,net,currency,campaign,donation\r\n"

// linesCount is how many balance transactions are read together.
const linesCount = 500

// payoutsWriter writes the report. The lines at the bank come from the view, and what is in them is what was there when
// the view was taken.
type payoutsWriter struct {
	*chunks
	x *export
	// move is the line at the bank that is being written, payout its id, line the next number.
	move   ledger.MoneyMovement
	payout string
	line   int64
}

func writePayouts(ctx context.Context, x *export, c *chunks) error {
	c.b = append(c.b, payoutsHeader...)
	// At most one a day, however many donations there are.
	moves, err := x.view.MoneyMovementsByPrefix(ctx, x.book, payouts.ReferencePrefix, x.filter)
	if err != nil {
		return err
	}
	for i, move := range moves {
		// A movement that did not reach the bank is no line of its statement.
		if move.Bank == 0 {
			continue
		}
		w := payoutsWriter{chunks: c, x: x, move: move}
		if err := w.write(ctx); err != nil {
			return err
		}
		if x.progress != nil {
			x.progress(int64(i+1), int64(len(moves)))
		}
	}
	return nil
}

// write writes the line at the bank as line 0, and then the balance transactions that the payout is made of, as far as
// they are the collective's. They are read in pages, so memory stays flat.
func (w *payoutsWriter) write(ctx context.Context) error {
	// The reference in the books tells the payout, and whether it came back.
	id, returned := payouts.OfReference(w.move.Reference)
	w.payout = id
	if err := w.row(payouts.Line{Kind: "bank", Time: w.move.Effective, Transaction: w.move.Reference, Net: w.move.Bank, Gross: w.move.Bank}); err != nil {
		return err
	}
	// A payout that failed comes back to the balance as a whole.
	if returned {
		return w.row(payouts.Line{
			Kind: payouts.LinePayout, Time: w.move.Effective, Transaction: payouts.BankReference(id), Net: w.move.Bank, Gross: w.move.Bank,
		})
	}
	p, err := w.x.payouts.ReadPayout(ctx, w.x.book, id)
	if err != nil {
		return err
	}
	// The watermark is that of the view, so the lines fit to the movement at the bank.
	q := payouts.LineQuery{
		Collective: w.x.filter.Collective, Share: w.move.Bank, At: w.x.view.Watermark(), Count: linesCount,
	}
	for {
		lines, next, err := w.x.payouts.Lines(ctx, p, q)
		if err != nil {
			return err
		}
		for _, l := range lines {
			if err := w.row(l); err != nil {
				return err
			}
		}
		if next == nil {
			return nil
		}
		q.From = *next
	}
}

// row writes a line of the report. The date of the bank and the payout stand in each, so that a spreadsheet can filter.
func (w *payoutsWriter) row(l payouts.Line) error {
	b := csvcell.Append(w.b, w.payout)
	b = append(b, ',')
	b = w.move.Effective.In(w.x.zone).AppendFormat(b, time.DateOnly)
	b = append(b, ',')
	b = strconv.AppendInt(b, w.line, 10)
	b = append(b, ',')
	b = csvcell.Append(b, string(l.Kind))
	b = append(b, ',')
	if !l.Time.IsZero() {
		b = l.Time.In(w.x.zone).AppendFormat(b, time.DateOnly)
	}
	b = append(b, ',')
	b = csvcell.Append(b, l.Transaction)
	for _, minor := range []int64{l.Gross, l.Fee, l.Net} {
		b = append(b, ',')
		b = append(b, money.Amount{Minor: minor, Currency: w.move.Currency}.Decimal()...)
	}
	b = append(b, ',')
	b = csvcell.Append(b, string(w.move.Currency))
	b = append(b, ',')
	b = csvcell.Append(b, l.Campaign)
	b = append(b, ',')
	b = csvcell.Append(b, l.Donation)
	w.b = append(b, "\r\n"...)
	w.line++
	return w.spill()
}

package statement

import (
	"cmp"
	"slices"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/money"
)

// amounts finds the decimal mark with which all amounts can be read and, when there is a column of balances, compares the
// amounts with it. Balances that fit are those of the statement.
func (t *table) amounts(f *File) error {
	rows := t.movements()
	type reading struct {
		mark  string
		lines []money.Amount
	}
	var readings []reading
	for _, mark := range []string{",", "."} {
		format := t.format
		format.DecimalMark = mark
		r := reading{mark: mark}
		for _, row := range rows {
			amount, err := format.amountOf(row, f.Currency)
			if err != nil {
				break
			}
			// A fee is a movement of its own: the balance has both.
			fee, err := format.feeOf(row, Movement{Amount: amount})
			if err != nil {
				break
			}
			if fee.Amount.Currency != "" {
				amount.Minor += fee.Amount.Minor
			}
			r.lines = append(r.lines, amount)
		}
		if len(r.lines) == len(rows) {
			readings = append(readings, r)
		}
	}
	if len(readings) == 0 {
		// The reader finds the line and tells it.
		t.format.DecimalMark = ","
		return nil
	}
	chosen := readings[0]
	fits := t.balances(f, rows, chosen.mark, chosen.lines)
	if len(readings) == 2 && !slices.Equal(readings[0].lines, readings[1].lines) {
		other := t.balances(f, rows, readings[1].mark, readings[1].lines)
		switch {
		case fits != nil && other == nil:
		case other != nil && fits == nil:
			chosen, fits = readings[1], other
		default:
			return with(refused(errorsv1.ErrorReason_STATEMENT_UNREADABLE, "csv.decimal_mark",
				"is required: the amounts can be read with a comma or with a point as their decimal mark"), Problem{Kind: ProblemAmbiguous})
		}
	}
	t.format.DecimalMark = chosen.mark
	if err := t.direction(f, rows, chosen.mark, chosen.lines, fits != nil); err != nil {
		return err
	}
	// A balance that the caller tells stays, so that the reader refuses it when it differs.
	if fits != nil {
		f.Opening, f.Closing = cmp.Or(f.Opening, &fits[0]), cmp.Or(f.Closing, &fits[1])
	}
	return nil
}

// direction refuses a file whose amounts and balances leave the direction of the money open, or contradict it.
func (t *table) direction(f *File, rows [][]string, mark string, lines []money.Amount, fits bool) error {
	// The balance of a single row fits every amount.
	proven := fits && len(rows) > 1
	switch {
	case t.titles != nil && !fits && t.signsDiffer(f, rows, mark, lines):
		return with(refused(errorsv1.ErrorReason_STATEMENT_UNREADABLE, "csv.sign_column",
			"is required: the balances go the other way than some of the amounts"), Problem{Kind: ProblemDirection})
	case t.titles != nil || proven:
		return nil
	case t.format.Sign == 0:
		return unknownFormat(ProblemDirection, "must tell the direction of the money, in a column or by a balance")
	// Either of two columns of amounts may be the balance.
	case t.balance > 0:
		return unknownFormat(ProblemColumns, "must have a line of titles, or balances that tell which column has the amounts")
	}
	return nil
}

// signsDiffer reports balances that change by the amounts from row to row, in one order or the other, but not by their
// signs.
func (t *table) signsDiffer(f *File, rows [][]string, mark string, lines []money.Amount) bool {
	after := t.after(f, rows, mark)
	forwards, backwards := len(after) > 1, len(after) > 1
	for i := range len(after) - 1 {
		change := abs(after[i+1].Minor - after[i].Minor)
		forwards = forwards && change == abs(lines[i+1].Minor)
		backwards = backwards && change == abs(lines[i].Minor)
	}
	return forwards || backwards
}

func abs(n int64) int64 { return max(n, -n) }

// after returns the balance after each row; nil when one of them cannot be read.
func (t *table) after(f *File, rows [][]string, mark string) []money.Amount {
	if t.balance == 0 {
		return nil
	}
	after := make([]money.Amount, len(rows))
	for i, row := range rows {
		var err error
		if after[i], err = parseDecimal(field(row, t.balance), f.Currency, mark); err != nil {
			return nil
		}
	}
	return after
}

// balances returns the balance before and after all movements, when each row's balance is that of the row before and its
// amount, from the first row to the last or the other way; nil otherwise.
func (t *table) balances(f *File, rows [][]string, mark string, lines []money.Amount) []money.Amount {
	after := t.after(f, rows, mark)
	if after == nil {
		return nil
	}
	last := len(rows) - 1
	forwards, backwards := true, true
	for i := range last {
		forwards = forwards && after[i+1].Minor-after[i].Minor == lines[i+1].Minor
		backwards = backwards && after[i].Minor-after[i+1].Minor == lines[i].Minor
	}
	before := func(i int) money.Amount {
		return money.Amount{Minor: after[i].Minor - lines[i].Minor, Currency: f.Currency}
	}
	switch {
	case forwards:
		return []money.Amount{before(0), after[last]}
	case backwards:
		return []money.Amount{before(last), after[0]}
	}
	return nil
}

package console

import (
	"time"

	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
)

var closingFields = []field{
	{Name: "end_date", Label: "books.closeUntil", Hint: "books.closeUntilHint", Kind: "day", Required: true, Path: "end_time"},
	{Name: "sure", Label: "books.closeSure", Kind: "checkbox", Required: true},
}

// booksClosingForm shows what closing does. It needs a fresh proof.
func booksClosingForm(v *visit) error {
	if !v.fresh() {
		return nil
	}
	zone, err := v.zone()
	if err != nil {
		return err
	}
	// Most people close the month or year that is over.
	now := v.Now().In(zone)
	last := time.Date(now.Year(), now.Month(), 0, 0, 0, 0, 0, zone)
	return booksClosing(v, v.newForm(closingFields, "end_date", last.Format(time.DateOnly)))
}

func booksClosing(v *visit, f *form) error {
	return v.confirm(v.T("books.closingTitle"), confirmation{
		Lead:   v.T("books.closingLead"),
		Points: []string{v.T("books.closingPoint1"), v.T("books.closingPoint2"), v.T("books.closingPoint3"), v.T("books.closingPoint4")},
		Form:   f, Button: v.T("books.close"), Danger: true, Back: v.path("/books"),
	})
}

func booksClose(v *visit) error {
	f, err := v.readForm(closingFields)
	if err != nil {
		return err
	}
	zone, err := v.zone()
	if err != nil {
		return err
	}
	day := f.day("end_date")
	if !f.failed() {
		_, err = v.ledger().ClosePeriod(v.ctx(), &ledgerv1.ClosePeriodRequest{Name: booksOf(v), EndTime: dayEnd(day, zone)})
		if err == nil {
			return v.done("books.closed", v.path("/books?end_date="+day))
		}
		if !f.refused(v, err) {
			return err
		}
	}
	return booksClosing(v, f)
}

package console

import (
	"strconv"

	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
)

func expensePayFields(v *visit) []field {
	return []field{
		{Name: "pay_date", Label: "expenses.payDate", Kind: "day", Required: true, Path: "pay_date"},
		{Name: "source", Label: "expenses.source", Kind: "radio", Required: true, Path: "source", Options: []option{
			{Value: "bank", Label: v.T("expenses.fromBank"), Hint: v.T("expenses.fromBankHint")},
			{Value: "cash", Label: v.T("expenses.fromCash")},
		}},
		{Name: "remaining", Kind: "hidden"},
	}
}

// payConfirmation says how much is paid, and has the form say so too: see expensesPay.
func payConfirmation(v *visit, e *treasuryv1.Expense, f *form) error {
	f.set("remaining", remainingOf(e))
	return v.confirm(v.T("expenses.payTitle"), confirmation{
		Lead:   v.T("expenses.payLead", "amount", v.Money(e.GetRemainingAmount()), "payee", e.GetPayee(), "document", e.GetDocument()),
		Points: []string{v.T("expenses.payPoint1"), v.T("expenses.payPoint2")},
		Form:   f, Button: v.T("expenses.pay"), Back: v.path("/expenses/") + lastOf(e.GetName()),
	})
}

// remainingOf is what is left to be paid, for a field.
func remainingOf(e *treasuryv1.Expense) string {
	return strconv.FormatInt(e.GetRemainingAmount().GetAmountMinor(), 10)
}

// remainingFrom is what a form says is left to be paid; a line of the bank may have paid a part since.
func remainingFrom(f *form, e *treasuryv1.Expense) *moneyv1.Money {
	minor, err := strconv.ParseInt(f.Value("remaining"), 10, 64)
	if err != nil {
		return nil
	}
	return &moneyv1.Money{CurrencyCode: e.GetRemainingAmount().GetCurrencyCode(), AmountMinor: minor}
}

func expensesPayForm(v *visit) error {
	e, err := expenseOf(v)
	if err != nil {
		return err
	}
	today, err := v.today()
	if err != nil {
		return err
	}
	return payConfirmation(v, e, v.newForm(expensePayFields(v), "pay_date", today, "source", "bank"))
}

func expensesPay(v *visit) error {
	e, err := expenseOf(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(expensePayFields(v))
	if err != nil {
		return err
	}
	day := f.day("pay_date")
	if !f.failed() {
		_, err = v.treasury().PayExpense(v.ctx(), &treasuryv1.PayExpenseRequest{
			Name: e.GetName(), RequestId: f.RequestID, PayDate: day, Source: expenseSources[f.Value("source")], ExpectedAmount: remainingFrom(f, e),
		})
		if err == nil {
			return v.done("expenses.paid", v.path("/expenses/")+lastOf(e.GetName()))
		}
		if !f.refused(v, err) {
			return err
		}
		if changed(err) {
			f.Message = v.T("expenses.payChanged")
			if e, err = expenseOf(v); err != nil {
				return err
			}
		}
	}
	return payConfirmation(v, e, f)
}

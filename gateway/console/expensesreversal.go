package console

import (
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
)

var expenseReverseFields = []field{{Name: "reason", Label: "expenses.reason", Hint: "bank.noNames", Required: true, Spellcheck: true}}

func reverseConfirmation(v *visit, e *treasuryv1.Expense, f *form) error {
	points := []string{v.T("expenses.reversePoint1"), v.T("expenses.reversePoint2"), v.T("expenses.reversePoint3")}
	if len(e.GetBankLines()) > 0 {
		points = append(points, v.T("expenses.reverseLines"))
	}
	return v.confirm(v.T("expenses.reverseTitle"), confirmation{
		Lead:   v.T("expenses.reverseLead", "amount", v.Money(e.GetAmount()), "payee", e.GetPayee(), "document", e.GetDocument()),
		Points: points, Form: f, Button: v.T("expenses.reverse"), Danger: true, Back: v.path("/expenses/") + lastOf(e.GetName()),
	})
}

func expensesReverseForm(v *visit) error {
	e, err := expenseOf(v)
	if err != nil {
		return err
	}
	return reverseConfirmation(v, e, v.newForm(expenseReverseFields))
}

func expensesReverse(v *visit) error {
	e, err := expenseOf(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(expenseReverseFields)
	if err != nil {
		return err
	}
	if !f.failed() {
		_, err = v.treasury().ReverseExpense(v.ctx(), &treasuryv1.ReverseExpenseRequest{Name: e.GetName(), RequestId: f.RequestID, Reason: f.Value("reason")})
		if err == nil {
			return v.done("expenses.reversed", v.path("/expenses/")+lastOf(e.GetName()))
		}
		if !f.refused(v, err) {
			return err
		}
	}
	return reverseConfirmation(v, e, f)
}

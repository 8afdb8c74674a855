package bank

import (
	"testing"
	"time"

	"github.com/google/uuid"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/treasury"
)

// invoice enters one of the lawyer's that is owed.
func (s *env) invoice(t *testing.T, minor int64) treasury.Expense {
	t.Helper()
	e, err := s.treasury.CreateExpense(t.Context(), ask(), treasury.Expense{
		Collective: "vallon", Kind: treasury.ExpenseLawyer, Payee: "Martin", Document: uuid.NewString(), DocumentDate: "2026-03-01", Amount: eur(minor),
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestAnInvoiceIsPaidInInstalments(t *testing.T) {
	s, _ := open(t)
	e := s.invoice(t, 100_00)
	s.read(t, "02/03/2026;A;;-30,00", "03/03/2026;B;;-50,00", "04/03/2026;C;;-20,00", "05/03/2026;D;;-20,01")
	pay := func(minor int64) error {
		r := ask()
		target := Target{Kind: TargetExpense, ID: e.ID}
		_, err := s.MatchLine(t.Context(), r, "vallon", s.line(t, minor).ID, target)
		if again, twice := s.MatchLine(t.Context(), r, "vallon", s.line(t, minor).ID, target); err == nil && (twice != nil || again.Expense != e.ID) {
			t.Errorf("asked twice: %v, err = %v", again, twice)
		}
		return err
	}
	unpay := func(minor int64) {
		t.Helper()
		if _, err := s.UnmatchLine(t.Context(), ask(), "vallon", s.line(t, minor).ID, "another's", time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	// wants compares what the expense says with the books.
	wants := func(state treasury.ExpenseState, left int64, on calendar.Day, lines int) {
		t.Helper()
		got, err := s.treasury.Expense(t.Context(), "vallon", e.ID)
		if err != nil || got.State != state || got.Remaining != eur(left) || got.PaidOn != on || len(got.BankLines) != lines {
			t.Errorf("it is %v, %v are left, paid on %q, shown by %d lines; err = %v", got.State, got.Remaining, got.PaidOn, len(got.BankLines), err)
		}
		if owed, bank := s.balance(t, "401"), s.balance(t, "51211"); owed != -left || bank != left-100_00 {
			t.Errorf("401 stands at %d and the bank at %d", owed, bank)
		}
		waiting, err := s.treasury.ClearingItems(t.Context(), "vallon", treasury.Position{}, 10)
		if err != nil || (left == 0) != (len(waiting) == 0) || left > 0 && waiting[0].Amount != eur(left) {
			t.Errorf("waiting are %+v, err = %v", waiting, err)
		}
	}
	refused := func(err error, reason errs.Reason) {
		t.Helper()
		if e := errs.As(err); e == nil || e.Reason != reason {
			t.Errorf("err = %v, want %s", err, reason)
		}
	}
	for _, minor := range []int64{-20_00, -50_00} {
		if err := pay(minor); err != nil {
			t.Fatal(err)
		}
	}
	wants(treasury.ExpenseOwed, 30_00, "", 2)
	if err := pay(-30_00); err != nil {
		t.Fatal(err)
	}
	wants(treasury.ExpensePaid, 0, "2026-03-04", 3)
	refused(pay(-20_01), errorsv1.ErrorReason_EXPENSE_NOT_OWED)
	unpay(-20_00)
	wants(treasury.ExpenseOwed, 20_00, "", 2)
	refused(pay(-20_01), errorsv1.ErrorReason_BANK_LINE_DIFFERS)
	if err := pay(-20_00); err != nil {
		t.Fatal(err)
	}
	wants(treasury.ExpensePaid, 0, "2026-03-04", 3)
	unpay(-50_00)
	wants(treasury.ExpenseOwed, 50_00, "", 2)
	_, err := s.treasury.ReverseExpense(t.Context(), ask(), "vallon", e.ID, "x")
	refused(err, errorsv1.ErrorReason_BANK_LINE_MATCHED)

	// What is left was paid in cash, as it was read and not as it was before; then the lines turn out to be another's.
	_, err = s.treasury.PayExpense(t.Context(), ask(), "vallon", e.ID, "2026-03-06", treasury.SourceCash, eur(40_00))
	refused(err, errorsv1.ErrorReason_ETAG_MISMATCH)
	if _, err := s.treasury.PayExpense(t.Context(), ask(), "vallon", e.ID, "2026-03-06", treasury.SourceCash, eur(50_00)); err != nil {
		t.Fatal(err)
	}
	got, err := s.treasury.Expense(t.Context(), "vallon", e.ID)
	if err != nil || got.State != treasury.ExpensePaid || got.PaidOn != "2026-03-06" || s.balance(t, "530") != -50_00 || s.balance(t, "401") != 0 {
		t.Errorf("%+v, err = %v; 401 stands at %d", got, err, s.balance(t, "401"))
	}
	unpay(-20_00)
	unpay(-30_00)
	if got, err := s.treasury.Expense(t.Context(), "vallon", e.ID); err != nil || got.State != treasury.ExpenseOwed || got.Remaining != eur(50_00) {
		t.Errorf("%+v, err = %v", got, err)
	}
	if _, err := s.cfg.Ledger.ClosePeriod(t.Context(), "", "vallon", time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	r := ask()
	for range 2 {
		if got, err = s.treasury.ReverseExpense(t.Context(), r, "vallon", e.ID, "x"); err != nil || got.State != treasury.ExpenseReversed || got.Remaining.Minor != 0 {
			t.Errorf("%+v, err = %v", got, err)
		}
	}
	for _, code := range []string{"401", "51211", "530", "6226"} {
		if s.balance(t, code) != 0 {
			t.Errorf("%s stands at %d", code, s.balance(t, code))
		}
	}
}

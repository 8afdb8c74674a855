package treasury

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fingerprint"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// PayExpense books the payment of what is still owed of an expense, which must be the expected amount unless that has no
// currency. Sent twice, it does so once. Errors: those of the proto's method.
// It always pays the whole remainder. Instalments come from lines of the bank alone ([Service.PayExpenseTx]).
func (s *Service) PayExpense(ctx context.Context, r Request, collective string, id uuid.UUID, on calendar.Day, source Source, expected money.Amount) (Expense, error) {
	days, err := s.localDays(ctx, collective)
	if err != nil {
		return Expense{}, err
	}
	if err := days.check("pay_date", on); err != nil {
		return Expense{}, err
	}
	fields := fingerprint.Fields{"id": id.String(), "pay_date": string(on), "source": string(source)}
	if expected.Currency != "" {
		fields["expected_amount"] = expected.String()
	}
	if _, err := s.Once(ctx, r, collective, "pay_expense", id, fields,
		func(ctx context.Context, tx pgx.Tx, now time.Time) error {
			// Without this lock a line could become the payment at the same time.
			if err := LockBankTx(ctx, tx, collective); err != nil {
				return err
			}
			e, err := lockExpenseTx(ctx, tx, collective, id)
			if err != nil {
				return err
			}
			// This rule is for what a member enters. A line of the bank may be older than the invoice, as for a payment
			// in advance.
			if on < e.DocumentDate {
				return errs.Invalid("pay_date", "must not be before the document's, %s", e.DocumentDate)
			}
			// A line of the bank may have paid a part since.
			if expected.Currency != "" && e.State == ExpenseOwed && e.Remaining != expected {
				return errs.New(errorsv1.ErrorReason_ETAG_MISMATCH, "Of %s, %s remains to be paid, and not %s.", e.Name(), e.Remaining, expected)
			}
			_, err = s.payTx(ctx, tx, e, payment{amount: e.Remaining, on: on, source: source, effective: on.Start(days.zone), field: "pay_date"}, now)
			if err != nil {
				return err
			}
			before := e.auditFields()
			e.State, e.PaidOn, e.Source = ExpensePaid, on, source
			return audit.WriteTx(ctx, tx, audit.Change{Collective: collective, Resource: e.Name(), Before: before, After: e.auditFields()})
		}); err != nil {
		return Expense{}, err
	}
	if source == SourceBank {
		if err := s.cfg.Banked(ctx, collective); err != nil {
			return Expense{}, err
		}
	}
	return s.Expense(ctx, collective, id)
}

// payment is a payment of some of an expense, or of all that is left of it.
type payment struct {
	amount    money.Amount
	on        calendar.Day
	source    Source
	effective time.Time
	// field is the request's field for the day; empty for none.
	field string
}

// payTx books a payment of an expense that is locked, and returns the payment's reference.
// The amount is positive. The expense is in the state in which it was locked, and p.field names no field for a payment
// that a line shows.
func (s *Service) payTx(ctx context.Context, tx pgx.Tx, e Expense, p payment, now time.Time) (reference string, err error) {
	switch {
	case e.State != ExpenseOwed:
		return "", errs.New(errorsv1.ErrorReason_EXPENSE_NOT_OWED, "%s is not owed.", e.Name())
	// Only a line of the bank can ask for another amount than the remainder, so the reason is that of a line.
	case p.amount.Currency != e.Amount.Currency || p.amount.Minor <= 0 || p.amount.Minor > e.Remaining.Minor:
		return "", errs.New(errorsv1.ErrorReason_BANK_LINE_DIFFERS, "A payment of %s leaves the account and is at most %s, which is what remains to pay.", e.Name(), e.Remaining)
	}
	// The number only grows, also after a payment was reversed. So no payment takes the reference of an earlier one.
	e.payments++
	reference = e.paymentReference(e.payments)
	if e.Remaining.Minor -= p.amount.Minor; e.Remaining.Minor == 0 {
		// Instalments may be matched in any order.
		e.State, e.PaidOn, e.Source = ExpensePaid, max(p.on, e.lastLine), p.source
	}
	if err := updateExpenseTx(ctx, tx, e, now); err != nil {
		return "", err
	}
	// The debit takes the payment off the suppliers' account; the credit is the bank's or the cash's.
	paid := e.entry(ledger.RoleSuppliers, "")
	paid.Amount = p.amount
	return reference, s.postTx(ctx, tx, e.book, p.field,
		pair(reference, ledger.KindExpensePayment, p.effective, paid, ledger.Entry{Role: sourceRoles[p.source]}))
}

// PayExpenseTx books a payment of an expense from the bank account, which a line of a bank statement shows, and returns
// the payment's reference. The amount is positive. The caller holds [LockBankTx].
//
// Errors: NOT_FOUND; FAILED_PRECONDITION (EXPENSE_NOT_OWED; BANK_LINE_DIFFERS for more than remains to pay, or another
// currency; PERIOD_CLOSED).
func (s *Service) PayExpenseTx(
	ctx context.Context, tx pgx.Tx, collective string, id uuid.UUID, amount money.Amount, on calendar.Day, effective, now time.Time,
) (reference string, err error) {
	e, err := lockExpenseTx(ctx, tx, collective, id)
	if err != nil {
		return "", err
	}
	return s.payTx(ctx, tx, e, payment{amount: amount, on: on, source: SourceBank, effective: effective}, now)
}

// UnpayExpenseTx reverses a payment that [Service.PayExpenseTx] made: its amount is owed again. The transaction is that
// of the payment, and the caller holds [LockBankTx].
func (s *Service) UnpayExpenseTx(
	ctx context.Context, tx pgx.Tx, collective string, id uuid.UUID, transaction int64, amount money.Amount, now time.Time,
) error {
	e, err := lockExpenseTx(ctx, tx, collective, id)
	if err != nil {
		return err
	}
	// The line knows its transaction and not the number of the payment, so the reference is read from the books.
	m, err := s.cfg.Ledger.RoleMovementTx(ctx, tx, e.book, e.Collective, ledger.RoleBank, transaction, "")
	if err != nil {
		return err
	}
	if err := s.reverseTx(ctx, tx, e.book, "", ledger.Reversal{Original: m.Reference, Reference: m.Reference + reversedSuffix}); err != nil {
		return err
	}
	// The day and the source of the last payment are lost here: the database wants both empty while the expense is
	// owed.
	e.Remaining.Minor += amount.Minor
	e.State, e.PaidOn, e.Source = ExpenseOwed, "", ""
	return updateExpenseTx(ctx, tx, e, now)
}

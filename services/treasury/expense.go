package treasury

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fingerprint"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// ExpenseKind is what an expense is for.
type ExpenseKind string

// The kinds of expenses.
const (
	// ExpenseLawyer is a lawyer's fees.
	ExpenseLawyer ExpenseKind = "lawyer"
	// ExpenseLitigation is acts and costs of litigation.
	ExpenseLitigation ExpenseKind = "litigation"
	// ExpenseOther is booked on the account that Account names.
	ExpenseOther ExpenseKind = "other"
)

// ExpenseState is the state of an expense.
type ExpenseState string

// The states; doc.go tells the steps between them.
const (
	// ExpenseOwed has something left to pay; instalments may have been paid.
	ExpenseOwed ExpenseState = "owed"
	// ExpensePaid is paid in full. It is owed again when the line of a payment is unmatched.
	ExpensePaid ExpenseState = "paid"
	// ExpenseReversed was entered wrongly; it and its payments are reversed in the books.
	ExpenseReversed ExpenseState = "reversed"
)

// Source is what an expense is paid from.
type Source string

// The sources.
const (
	SourceBank Source = "bank"
	SourceCash Source = "cash"
)

var sourceRoles = map[Source]ledger.AccountRole{SourceBank: ledger.RoleBank, SourceCash: ledger.RoleCash}

// Expense is a document that tells what was bought, and what was paid for it.
type Expense struct {
	ID         uuid.UUID
	Collective string
	// Campaign is the slug of the campaign that it is for, and Stage the id of its stage; empty for none.
	Campaign, Stage string
	Kind            ExpenseKind
	// Account is the code in the book.
	Account string
	// Payee is an organisation or a professional, never a donor.
	Payee        string
	Document     string
	DocumentDate calendar.Day
	Amount       money.Amount
	State        ExpenseState
	// Remaining is what is still to be paid while it is owed.
	Remaining money.Amount
	// PaidOn and Source are of its last payment; empty while it is owed.
	PaidOn calendar.Day
	Source Source
	// BankLines are the lines of bank statements that show its payments, in the order of their days.
	BankLines []uuid.UUID
	// Attachments are its files, the oldest first.
	Attachments   []Attachment
	ReverseReason string
	CreatedBy     string
	CreateTime    time.Time
	UpdateTime    time.Time

	// book is the book that it was booked in first; its payments and reversals go there too. owedFirst reports that it
	// was first booked on the suppliers' account, as every expense that has payments.
	book      string
	owedFirst bool
	// payments is how many were ever booked for what was owed, and lastLine the day of the last of BankLines.
	payments int
	lastLine calendar.Day
}

// Name returns the resource name.
func (e Expense) Name() string { return expenseName(e.Collective, e.ID) }

func expenseName(collective string, id uuid.UUID) string {
	return "collectives/" + collective + "/expenses/" + id.String()
}

// auditFields are the expense as the audit log tells it. The payee is no donor.
func (e Expense) auditFields() audit.Fields {
	return audit.Fields{
		"state":         string(e.State),
		"kind":          string(e.Kind),
		"payee":         e.Payee,
		"document":      e.Document,
		"document_date": string(e.DocumentDate),
		"amount":        e.Amount.String(),
		"campaign":      e.Campaign,
		"stage":         e.Stage,
		"pay_date":      string(e.PaidOn),
		"source":        string(e.Source),
	}
}

// References of what is booked for an expense.
const (
	expenseReferencePrefix = "expense:"
	paymentReferencePrefix = "expense-payment:"
)

func (e Expense) reference() string { return expenseReferencePrefix + e.ID.String() }

// paymentReference is that of a payment of an expense that was owed; they are counted from one.
func (e Expense) paymentReference(payment int) string {
	return fmt.Sprintf("%s%s:%d", paymentReferencePrefix, e.ID, payment)
}

// entry is the expense's, on an account.
func (e Expense) entry(role ledger.AccountRole, code string) ledger.Entry {
	return ledger.Entry{Role: role, Code: code, Amount: e.Amount, Collective: e.Collective, Campaign: e.Campaign}
}

// documentKey is a document's payee and number as they are compared: letters and digits alone, in small letters.
// Within a collective no two expenses that are not reversed have the same key (index expenses_document_key).
func documentKey(payee, document string) string {
	plain := func(text string) string {
		return strings.Map(func(r rune) rune {
			if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
				return -1
			}
			return unicode.ToLower(r)
		}, text)
	}
	return plain(payee) + "\n" + plain(document)
}

// CreateExpense books an invoice: paid when it has a PaidOn, else owed. Sent twice, it does so once. Errors: those of the
// proto's method.
func (s *Service) CreateExpense(ctx context.Context, r Request, e Expense) (Expense, error) {
	days, err := s.localDays(ctx, e.Collective)
	if err != nil {
		return Expense{}, err
	}
	if err := s.checkExpense(ctx, &e, days); err != nil {
		return Expense{}, err
	}
	// The default source was set by the check. So a request that names the bank account and one that names no source
	// are the same.
	fields := fingerprint.Fields{
		"campaign": e.Campaign, "stage": e.Stage, "kind": string(e.Kind), "account": e.Account, "payee": e.Payee, "document": e.Document,
		"document_date": string(e.DocumentDate), "currency": string(e.Amount.Currency),
		"amount_minor": strconv.FormatInt(e.Amount.Minor, 10), "pay_date": string(e.PaidOn), "source": string(e.Source),
	}
	e.ID, e.CreatedBy = newID(), r.By
	made, err := s.Once(ctx, r, e.Collective, "create_expense", e.ID, fields, func(ctx context.Context, tx pgx.Tx, now time.Time) error {
		// A line may show the payment, so no import may compare the books with the bank meanwhile.
		if e.Source == SourceBank {
			if err := LockBankTx(ctx, tx, e.Collective); err != nil {
				return err
			}
		}
		e.CreateTime = now
		if err := s.bookExpenseTx(ctx, tx, e, days); err != nil {
			return err
		}
		return audit.WriteTx(ctx, tx, audit.Change{Collective: e.Collective, Resource: e.Name(), After: e.auditFields()})
	})
	// An expense that is owed or was paid in cash moved nothing at the bank. A repeat of the request compares again.
	if err == nil && e.Source == SourceBank {
		err = s.cfg.Banked(ctx, e.Collective)
	}
	if err != nil {
		return Expense{}, err
	}
	return s.Expense(ctx, e.Collective, made)
}

// checkExpense refuses an expense that cannot be booked. It sets what follows from the request: the state, whether the
// expense is owed first, and the source, which is the bank account when a day is given and no source.
func (s *Service) checkExpense(ctx context.Context, e *Expense, days localDays) error {
	currency := e.Amount.Currency
	if e.Campaign != "" {
		campaign, err := s.BookableCampaign(ctx, campaigns.Name{Collective: e.Collective, Campaign: e.Campaign})
		if err != nil {
			return err
		}
		if err := checkStage(campaign, "expense.stage", e.Stage); err != nil {
			return err
		}
		// An expense of a campaign is in the campaign's currency; one of the collective alone may be in any.
		currency = campaign.Currency
	} else if e.Stage != "" {
		return errs.Invalid("expense.stage", "requires campaign")
	}
	if !currency.Valid() {
		return errs.Invalid("expense.amount.currency_code", "must be a currency of ISO 4217")
	}
	if err := checkAmount("expense.amount", e.Amount, currency); err != nil {
		return err
	}
	if err := days.check("expense.document_date", e.DocumentDate); err != nil {
		return err
	}
	if (e.Kind == ExpenseOther) != (e.Account != "") {
		return errs.Invalid("expense.account", "is required when the kind is OTHER, and must be empty otherwise")
	}
	// A number of punctuation alone would have the same key as every other one.
	if documentKey("", e.Document) == documentKey("", "") || documentKey(e.Payee, "") == documentKey("", "") {
		return errs.Invalid("expense.document", "must have letters or digits, and so must the payee")
	}
	// Without a day of payment the expense is booked on the suppliers' account, and paid later.
	if e.PaidOn == "" {
		if e.Source != "" {
			return errs.Invalid("expense.source", "requires pay_date")
		}
		e.State, e.owedFirst = ExpenseOwed, true
		return nil
	}
	if err := days.check("expense.pay_date", e.PaidOn); err != nil {
		return err
	}
	if e.Source == "" {
		e.Source = SourceBank
	}
	e.State = ExpensePaid
	return nil
}

// bookExpenseTx stores an expense that was checked and posts it: on the day of its payment when it was paid at once,
// else on the day of the document.
func (s *Service) bookExpenseTx(ctx context.Context, tx pgx.Tx, e Expense, days localDays) (err error) {
	if e.book, err = s.openBookTx(ctx, tx, e.Collective); err != nil {
		return err
	}
	if e.Account, err = s.expenseAccountTx(ctx, tx, e); err != nil {
		return err
	}
	if err := insertExpenseTx(ctx, tx, e); err != nil {
		return err
	}
	// The debit is on the expense's account in both cases. What differs is where the credit goes: to the suppliers, on
	// the document's day, or to the bank or the cash, on the day of the payment.
	credit, day, field := ledger.Entry{Role: ledger.RoleSuppliers}, e.DocumentDate, "expense.document_date"
	if !e.owedFirst {
		credit, day, field = ledger.Entry{Role: sourceRoles[e.Source]}, e.PaidOn, "expense.pay_date"
	}
	return s.postTx(ctx, tx, e.book, field, pair(e.reference(), ledger.KindExpense, day.Start(days.zone), e.entry("", e.Account), credit))
}

// expenseAccountTx returns the code of the account that the expense belongs on.
func (s *Service) expenseAccountTx(ctx context.Context, tx pgx.Tx, e Expense) (code string, err error) {
	// Lawyers' fees and costs of litigation have accounts of their own in each chart, by their roles. For all else the
	// member names an account, which must be one of expenses: a payment of an asset or a liability is not entered here.
	switch e.Kind {
	case ExpenseLawyer:
		return s.cfg.Ledger.RoleCodeTx(ctx, tx, e.book, ledger.RoleLawyerFees)
	case ExpenseLitigation:
		return s.cfg.Ledger.RoleCodeTx(ctx, tx, e.book, ledger.RoleLitigationCosts)
	}
	account, err := s.cfg.Ledger.AccountTx(ctx, tx, e.book, e.Account)
	switch {
	case errs.Code(err) == codes.NotFound, err == nil && account.Type != ledger.TypeExpense:
		return "", errs.Invalid("expense.account", "must be an expense account in the book's chart")
	case err != nil:
		return "", err
	}
	return account.Code, nil
}

// ReverseExpense reverses an expense and its payments. Sent twice, it does so once. Errors: those of the proto's method.
func (s *Service) ReverseExpense(ctx context.Context, r Request, collective string, id uuid.UUID, reason string) (Expense, error) {
	if _, err := s.Once(ctx, r, collective, "reverse_expense", id, fingerprint.Fields{"id": id.String(), "reason": reason},
		func(ctx context.Context, tx pgx.Tx, now time.Time) error {
			// Without this lock a line could be matched with the expense between the check of its lines and the commit.
			if err := LockBankTx(ctx, tx, collective); err != nil {
				return err
			}
			e, err := lockExpenseTx(ctx, tx, collective, id)
			switch {
			case err != nil:
				return err
			case e.State == ExpenseReversed:
				return errs.New(errorsv1.ErrorReason_EXPENSE_REVERSED, "%s was reversed already.", e.Name())
			// What the bank shows was paid. The line must be unmatched first, which reverses its payment.
			case len(e.BankLines) > 0:
				return errMatched(e.Name())
			}
			// Payments that were unmatched are reversed already; to reverse them again changes nothing.
			for n := range e.payments {
				payment := e.paymentReference(n + 1)
				// The payments come before the expense. An expense that was paid at once has none: its payment is in
				// its own transaction.
				if err := s.reverseTx(ctx, tx, e.book, "", ledger.Reversal{
					Original: payment, Reference: payment + reversedSuffix,
				}); err != nil {
					return err
				}
			}
			// The reversals have no day, so they are booked now, and a closed period does not refuse them.
			if err := s.reverseTx(ctx, tx, e.book, "", ledger.Reversal{
				Original: e.reference(), Reference: e.reference() + reversedSuffix,
			}); err != nil {
				return err
			}
			before := e.auditFields()
			e.State, e.ReverseReason = ExpenseReversed, reason
			e.Remaining.Minor = 0
			if err := updateExpenseTx(ctx, tx, e, now); err != nil {
				return err
			}
			return audit.WriteTx(ctx, tx, audit.Change{Collective: collective, Resource: e.Name(), Before: before, After: e.auditFields()})
		}); err != nil {
		return Expense{}, err
	}
	// A payment that was reversed is no longer what a line may show, and another movement may be.
	if err := s.cfg.Banked(ctx, collective); err != nil {
		return Expense{}, err
	}
	return s.Expense(ctx, collective, id)
}

// expenseColumns is what scanExpense reads. Only an expense that is owed has a remainder. A line has the id of an
// expense only while it is matched. The index lines_expense_idx serves both queries of lines and has their order.
const expenseColumns = `
	e.id,
	e.collective,
	e.campaign,
	e.stage,
	e.book,
	e.kind,
	e.account,
	e.payee,
	e.document,
	to_char(e.documented_on, 'YYYY-MM-DD'),
	e.amount_minor,
	e.currency,
	e.state,
	e.owed_first,
	e.payments,
	coalesce(to_char(e.paid_on, 'YYYY-MM-DD'), ''),
	e.source,
	CASE e.state
		WHEN 'owed' THEN e.amount_minor - e.part_paid_minor
		ELSE 0
	END,
	ARRAY(
		SELECT l.id
		FROM bank.lines AS l
		WHERE l.expense = e.id
		ORDER BY
			l.booked_on,
			l.id
	),
	coalesce((
		SELECT to_char(max(l.booked_on), 'YYYY-MM-DD')
		FROM bank.lines AS l
		WHERE l.expense = e.id
	), ''),
	e.reverse_reason,
	e.created_by,
	e.created_at,
	e.updated_at`

func scanExpense(r pgx.CollectableRow) (e Expense, err error) {
	err = r.Scan(&e.ID, &e.Collective, &e.Campaign, &e.Stage, &e.book, &e.Kind, &e.Account, &e.Payee, &e.Document, &e.DocumentDate,
		&e.Amount.Minor, &e.Amount.Currency, &e.State, &e.owedFirst, &e.payments, &e.PaidOn, &e.Source, &e.Remaining.Minor,
		&e.BankLines, &e.lastLine, &e.ReverseReason, &e.CreatedBy, &e.CreateTime, &e.UpdateTime)
	e.Remaining.Currency = e.Amount.Currency
	e.CreateTime, e.UpdateTime = e.CreateTime.UTC(), e.UpdateTime.UTC()
	return e, err
}

const expenseSQL = `
SELECT` + expenseColumns + `
FROM treasury.expenses AS e
WHERE e.id = @id
	AND e.collective = @collective`

// Expense returns one expense of a collective; NOT_FOUND when there is none.
func (s *Service) Expense(ctx context.Context, collective string, id uuid.UUID) (Expense, error) {
	return oneExpense(ctx, s.cfg.Pool, expenseSQL, collective, id)
}

// lockExpenseSQL locks the expense against other payments and reversals. FOR NO KEY UPDATE does not wait for a
// transaction that only refers to the row, as a line of the bank does by its foreign key.
const lockExpenseSQL = expenseSQL + `
FOR NO KEY UPDATE OF e`

// lockExpenseTx returns an expense and locks it. The row is read again once it is locked, because the lines of bank
// statements are read from another table.
func lockExpenseTx(ctx context.Context, tx pgx.Tx, collective string, id uuid.UUID) (Expense, error) {
	if _, err := oneExpense(ctx, tx, lockExpenseSQL, collective, id); err != nil {
		return Expense{}, err
	}
	return oneExpense(ctx, tx, expenseSQL, collective, id)
}

func oneExpense(ctx context.Context, db postgres.Querier, sql, collective string, id uuid.UUID) (Expense, error) {
	e, err := postgres.One(ctx, db, scanExpense, sql, pgx.NamedArgs{"id": id, "collective": collective})
	if errors.Is(err, pgx.ErrNoRows) {
		return Expense{}, errs.NotFound(expenseName(collective, id))
	}
	if err != nil {
		return Expense{}, postgres.Error(err)
	}
	found := []Expense{e}
	err = addAttachments(ctx, db, found)
	return found[0], err
}

// listExpensesSQL returns a page of a collective's expenses. The index expenses_list_idx has their order.
const listExpensesSQL = `
SELECT` + expenseColumns + `
FROM treasury.expenses AS e
WHERE e.collective = @collective
	AND (e.created_at, e.id) < (@before_time, @before_id)
ORDER BY
	e.created_at DESC,
	e.id DESC
LIMIT @count`

// listCampaignExpensesSQL does so for one campaign. The index expenses_campaign_idx leaves out expenses without a
// campaign; the condition on the empty text lets Postgres use it.
const listCampaignExpensesSQL = `
SELECT` + expenseColumns + `
FROM treasury.expenses AS e
WHERE e.collective = @collective
	AND e.campaign <> ''
	AND e.campaign = @campaign
	AND (e.created_at, e.id) < (@before_time, @before_id)
ORDER BY
	e.created_at DESC,
	e.id DESC
LIMIT @count`

// Expenses returns up to count expenses of a collective, or of one of its campaigns, those entered last first,
// before the given one.
func (s *Service) Expenses(ctx context.Context, collective, campaign string, before Position, count int) ([]Expense, error) {
	statement := listExpensesSQL
	if campaign != "" {
		statement = listCampaignExpensesSQL
	}
	found, err := postgres.All(ctx, s.cfg.Pool, scanExpense, statement, pgx.NamedArgs{
		"collective": collective, "campaign": campaign, "before_time": before.Time, "before_id": before.ID, "count": count,
	})
	if err != nil {
		return nil, err
	}
	return found, addAttachments(ctx, s.cfg.Pool, found)
}

// insertExpenseSQL stores a new expense, of which nothing was paid in instalments. The index expenses_document_key
// refuses a second expense with the payee and number of one that is not reversed.
const insertExpenseSQL = `
INSERT INTO treasury.expenses (
	id,
	collective,
	campaign,
	stage,
	book,
	kind,
	account,
	payee,
	document,
	document_key,
	documented_on,
	amount_minor,
	currency,
	state,
	owed_first,
	paid_on,
	source,
	created_by,
	created_at,
	updated_at
)
VALUES (
	@id,
	@collective,
	@campaign,
	@stage,
	@book,
	@kind,
	@account,
	@payee,
	@document,
	@document_key,
	@documented_on,
	@amount_minor,
	@currency,
	@state,
	@owed_first,
	@paid_on,
	@source,
	@created_by,
	@now,
	@now
)`

// expenseRefusals are the errors for the caller, by the name of the constraint or index that refuses.
var expenseRefusals = map[string]*errs.Error{
	"expenses_document_key": errs.New(errorsv1.ErrorReason_DOCUMENT_EXISTS, "This document of the payee was entered before. Look at the list of expenses; reverse the other one if it is wrong."),
}

// insertExpenseTx stores an expense. Its error is DOCUMENT_EXISTS when the document was entered before.
func insertExpenseTx(ctx context.Context, tx pgx.Tx, e Expense) error {
	_, err := tx.Exec(ctx, insertExpenseSQL, pgx.NamedArgs{
		"id":            e.ID,
		"collective":    e.Collective,
		"campaign":      e.Campaign,
		"stage":         e.Stage,
		"book":          e.book,
		"kind":          string(e.Kind),
		"account":       e.Account,
		"payee":         e.Payee,
		"document":      e.Document,
		"document_key":  documentKey(e.Payee, e.Document),
		"documented_on": string(e.DocumentDate),
		"amount_minor":  e.Amount.Minor,
		"currency":      string(e.Amount.Currency),
		"state":         string(e.State),
		"owed_first":    e.owedFirst,
		"paid_on":       nullDay(e.PaidOn),
		"source":        string(e.Source),
		"created_by":    e.CreatedBy,
		"now":           e.CreateTime,
	})
	return postgres.ErrorFor(err, expenseRefusals)
}

// updateExpenseSQL changes what may change of an expense. The trigger expenses_check_change refuses to change one that
// is reversed, and to count payments down.
const updateExpenseSQL = `
UPDATE treasury.expenses
SET
	state = @state,
	payments = @payments,
	part_paid_minor = @part_paid_minor,
	paid_on = @paid_on,
	source = @source,
	reverse_reason = @reverse_reason,
	updated_at = @now
WHERE id = @id`

// updateExpenseTx stores the new state of an expense that is locked.
func updateExpenseTx(ctx context.Context, tx pgx.Tx, e Expense, now time.Time) error {
	// The column has what was paid of an expense that is still owed, and zero in the other states (constraint
	// expenses_part_paid).
	partPaid := int64(0)
	if e.State == ExpenseOwed {
		partPaid = e.Amount.Minor - e.Remaining.Minor
	}
	_, err := tx.Exec(ctx, updateExpenseSQL, pgx.NamedArgs{
		"id": e.ID, "state": string(e.State), "payments": e.payments, "paid_on": nullDay(e.PaidOn), "source": string(e.Source),
		"part_paid_minor": partPaid, "reverse_reason": e.ReverseReason, "now": now,
	})
	return postgres.Error(err)
}

package treasury

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

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
	return e, postgres.Error(err)
}

const listExpensesSQL = `
SELECT` + expenseColumns + `
FROM treasury.expenses AS e
WHERE e.collective = @collective
	AND (e.created_at, e.id) < (@before_time, @before_id)
ORDER BY
	e.created_at DESC,
	e.id DESC
LIMIT @count`

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
	return postgres.All(ctx, s.cfg.Pool, scanExpense, statement, pgx.NamedArgs{
		"collective": collective, "campaign": campaign, "before_time": before.Time, "before_id": before.ID, "count": count,
	})
}

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

var expenseRefusals = map[string]*errs.Error{
	"expenses_document_key": errs.New(errorsv1.ErrorReason_DOCUMENT_EXISTS, "This document of the payee was entered before. Look at the list of expenses; reverse the other one if it is wrong."),
}

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

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
	"github.com/cagnotte/cagnotte/services/money"
)

const insertStatementSQL = `
INSERT INTO treasury.statements (
	id,
	collective,
	account,
	file_hash,
	ordinal,
	form,
	currency,
	opening_minor,
	closing_minor,
	closing_on,
	lines,
	new_lines,
	created_by,
	created_at
)
VALUES (
	@id,
	@collective,
	@account,
	@file_hash,
	@ordinal,
	@form,
	@currency,
	@opening_minor,
	@closing_minor,
	@closing_on,
	@lines,
	0,
	@created_by,
	@now
)
ON CONFLICT (collective, account, file_hash, ordinal) DO NOTHING`

// insertStatementTx reports false when the file was imported before.
func insertStatementTx(
	ctx context.Context, tx pgx.Tx, id uuid.UUID, collective string, hash []byte, ordinal int, p *parsedStatement, by string, now time.Time,
) (inserted bool, err error) {
	tag, err := tx.Exec(ctx, insertStatementSQL, pgx.NamedArgs{
		"id": id, "collective": collective, "account": p.account, "file_hash": hash, "ordinal": ordinal, "form": p.form,
		"currency": string(p.currency), "opening_minor": nullMinor(p.opening), "closing_minor": nullMinor(p.closing),
		"closing_on": string(p.closingOn), "lines": len(p.lines), "created_by": by, "now": now,
	})
	return tag.RowsAffected() == 1, postgres.Error(err)
}

func nullMinor(a *money.Amount) *int64 {
	if a == nil {
		return nil
	}
	return &a.Minor
}

const countNewLinesSQL = `
UPDATE treasury.statements
SET new_lines = @new_lines
WHERE id = @id`

const fileStatementsSQL = `
SELECT
	s.id,
	s.collective,
	s.account,
	s.currency,
	s.opening_minor,
	s.closing_minor,
	to_char(s.closing_on, 'YYYY-MM-DD'),
	s.lines,
	s.new_lines,
	s.created_at
FROM treasury.statements AS s
WHERE s.collective = @collective
	AND s.file_hash = @file_hash
ORDER BY
	s.ordinal,
	s.id`

func scanStatement(r pgx.CollectableRow) (s Statement, err error) {
	var currency money.Currency
	var opening, closing *int64
	err = r.Scan(&s.ID, &s.Collective, &s.Account, &currency, &opening, &closing, &s.ClosingOn, &s.Lines, &s.NewLines, &s.CreateTime)
	if opening != nil {
		s.Opening = &money.Amount{Minor: *opening, Currency: currency}
	}
	if closing != nil {
		s.Closing = &money.Amount{Minor: *closing, Currency: currency}
	}
	s.CreateTime = s.CreateTime.UTC()
	return s, err
}

const insertLinesSQL = `
INSERT INTO treasury.bank_lines (
	id,
	collective,
	account,
	line_key,
	statement,
	booked_on,
	amount_minor,
	currency,
	bank_reference,
	pledge,
	created_at,
	updated_at
)
SELECT
	l.id,
	@collective,
	@account,
	l.line_key,
	@statement,
	l.booked_on,
	l.amount_minor,
	@currency,
	l.bank_reference,
	l.pledge,
	@now,
	@now
FROM unnest(
	@ids::uuid[],
	@line_keys::bytea[],
	@booked_on::text[]::date[],
	@amounts::bigint[],
	@bank_references::text[],
	@pledges::uuid[]
) AS l (id, line_key, booked_on, amount_minor, bank_reference, pledge)
ON CONFLICT (collective, account, line_key) DO NOTHING`

// insertLinesTx stores the lines that are new and returns how many they were.
func (s *Service) insertLinesTx(
	ctx context.Context, tx pgx.Tx, statement uuid.UUID, collective string, p *parsedStatement, pledges []uuid.UUID, now time.Time,
) (int64, error) {
	var (
		ids        []uuid.UUID
		days       []string
		amounts    []int64
		references []string
		named      []*uuid.UUID
	)
	for i, line := range p.lines {
		ids = append(ids, s.cfg.NewID())
		days = append(days, string(line.bookedOn))
		amounts = append(amounts, line.amount.Minor)
		references = append(references, nameless(line.reference))
		named = append(named, nullID(pledges[i]))
	}
	tag, err := tx.Exec(ctx, insertLinesSQL, pgx.NamedArgs{
		"collective": collective, "account": p.account, "statement": statement, "currency": string(p.currency), "now": now,
		"ids": ids, "line_keys": p.keys, "booked_on": days, "amounts": amounts, "bank_references": references, "pledges": named,
	})
	return tag.RowsAffected(), postgres.Error(err)
}

const lineColumns = `
	l.id,
	l.collective,
	l.account,
	to_char(l.booked_on, 'YYYY-MM-DD'),
	l.amount_minor,
	l.currency,
	l.bank_reference,
	coalesce(l.pledge, '00000000-0000-0000-0000-000000000000'),
	coalesce((
		SELECT p.campaign
		FROM treasury.pledges AS p
		WHERE p.id = l.pledge
	), ''),
	l.state,
	l.target,
	coalesce(l.offline_donation, '00000000-0000-0000-0000-000000000000'),
	coalesce((
		SELECT g.campaign
		FROM treasury.offline_donations AS g
		WHERE g.id = l.offline_donation
	), ''),
	coalesce((
		SELECT g.pledge
		FROM treasury.offline_donations AS g
		WHERE g.id = l.offline_donation
	), '00000000-0000-0000-0000-000000000000'),
	coalesce(l.expense, '00000000-0000-0000-0000-000000000000'),
	coalesce(l.ledger_transaction, 0),
	l.ignore_reason,
	l.statement,
	l.attempt,
	l.created_at,
	l.updated_at`

func scanLine(r pgx.CollectableRow) (l Line, err error) {
	err = r.Scan(&l.ID, &l.Collective, &l.Account, &l.BookedOn, &l.Amount.Minor, &l.Amount.Currency, &l.BankReference, &l.Pledge,
		&l.PledgeCampaign, &l.State, &l.Target, &l.Donation, &l.DonationCampaign, &l.DonationPledge, &l.Expense, &l.Transaction, &l.IgnoreReason, &l.Statement,
		&l.attempt, &l.CreateTime, &l.UpdateTime)
	l.CreateTime, l.UpdateTime = l.CreateTime.UTC(), l.UpdateTime.UTC()
	return l, err
}

const lineSQL = `
SELECT` + lineColumns + `
FROM treasury.bank_lines AS l
WHERE l.id = @id
	AND l.collective = @collective`

// Line returns one bank line of a collective; NOT_FOUND when there is none.
func (s *Service) Line(ctx context.Context, collective string, id uuid.UUID) (Line, error) {
	return oneLine(ctx, s.cfg.Pool, lineSQL, collective, id)
}

const lockLineSQL = lineSQL + `
FOR NO KEY UPDATE OF l`

func oneLine(ctx context.Context, db querier, sql, collective string, id uuid.UUID) (Line, error) {
	l, err := one(ctx, db, scanLine, sql, pgx.NamedArgs{"id": id, "collective": collective})
	if errors.Is(err, pgx.ErrNoRows) {
		return Line{}, errs.NotFound(lineName(collective, id))
	}
	return l, postgres.Error(err)
}

const listLinesSQL = `
SELECT` + lineColumns + `
FROM treasury.bank_lines AS l
WHERE l.collective = @collective
	AND (@state = '' OR l.state = @state)
	AND (@account = '' OR l.account = @account)
	AND (l.booked_on, l.id) < (@before_day::date, @before_id)
ORDER BY
	l.booked_on DESC,
	l.id DESC
LIMIT @count`

// Lines returns up to count bank lines of a collective, newest first, before the given one. State and account leave
// only theirs; empty ones leave all.
func (s *Service) Lines(ctx context.Context, collective string, state LineState, account string, before Position, count int) ([]Line, error) {
	return all(ctx, s.cfg.Pool, scanLine, listLinesSQL, pgx.NamedArgs{
		"collective": collective, "state": string(state), "account": compactAccount(account),
		"before_day": before.Time, "before_id": before.ID, "count": count,
	})
}

// What is like a transfer that a member enters.
const alikeLinesSQL = `
SELECT` + lineColumns + `
FROM treasury.bank_lines AS l
WHERE l.collective = @collective
	AND l.booked_on BETWEEN @day::date - @days::integer AND @day::date + @days::integer
	AND l.amount_minor = @amount_minor
	AND l.currency = @currency
ORDER BY
	l.booked_on,
	l.id`

const openLinesSQL = `
SELECT` + lineColumns + `
FROM treasury.bank_lines AS l
WHERE l.collective = @collective
	AND l.state IN ('unmatched', 'suggested')
ORDER BY
	l.booked_on,
	l.id
FOR NO KEY UPDATE OF l`

const countOpenLinesSQL = `
SELECT count(*)
FROM treasury.bank_lines AS l
WHERE l.collective = @collective
	AND l.state IN ('unmatched', 'suggested')`

func (s *Service) openLines(ctx context.Context, collective string) (n int, err error) {
	err = s.cfg.Pool.QueryRow(ctx, countOpenLinesSQL, pgx.NamedArgs{"collective": collective}).Scan(&n)
	return n, postgres.Error(err)
}

const moveLineSQL = `
UPDATE treasury.bank_lines
SET
	state = @state,
	target = @target,
	offline_donation = @offline_donation,
	expense = @expense,
	ledger_transaction = @ledger_transaction,
	ignore_reason = @ignore_reason,
	attempt = @attempt,
	updated_at = @now
WHERE id = @id`

var lineRefusals = map[string]*errs.Error{
	"bank_lines_transaction_key": errs.New(errorsv1.ErrorReason_TRANSACTION_MATCHED, "Another bank line shows this transaction already."),
	"bank_lines_donation_key":    errs.New(errorsv1.ErrorReason_TRANSACTION_MATCHED, "Another bank line shows this donation already."),
}

// moveLineTx writes what is known of a line that is locked.
func moveLineTx(ctx context.Context, tx pgx.Tx, l Line, now time.Time) error {
	var transaction *int64
	if l.Transaction != 0 {
		transaction = &l.Transaction
	}
	_, err := tx.Exec(ctx, moveLineSQL, pgx.NamedArgs{
		"id": l.ID, "state": string(l.State), "target": string(l.Target), "offline_donation": nullID(l.Donation), "expense": nullID(l.Expense),
		"ledger_transaction": transaction, "ignore_reason": l.IgnoreReason, "attempt": l.attempt, "now": now,
	})
	return postgres.ErrorFor(err, lineRefusals)
}

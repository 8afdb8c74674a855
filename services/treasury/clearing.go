package treasury

import (
	"cmp"
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// ClearingKind is what a clearing account waits for.
type ClearingKind string

// The kinds of what is to be cleared.
const (
	ClearingCheque         ClearingKind = "cheque"
	ClearingUnknownReceipt ClearingKind = "unknown_receipt"
	ClearingExpense        ClearingKind = "expense"
)

// ClearingItem is something that keeps a clearing account from zero.
type ClearingItem struct {
	Kind ClearingKind
	ID   uuid.UUID
	// Campaign is of a cheque.
	Campaign string
	Amount   money.Amount
	Since    Day
	AgeDays  int
	// Document is the number of its paper, or the bank's reference.
	Document string
}

// Each part walks its own small index of what is open.
const clearingSQL = `
SELECT
	c.kind,
	c.id,
	c.campaign,
	c.amount_minor,
	c.currency,
	to_char(c.since, 'YYYY-MM-DD'),
	c.document
FROM (
	SELECT
		'cheque' AS kind,
		g.id,
		g.campaign,
		g.amount_minor,
		g.currency,
		g.received_on AS since,
		g.document
	FROM treasury.offline_donations AS g
	WHERE g.collective = @collective
		AND g.method = 'cheque'
		AND g.state = 'received'
	UNION ALL
	SELECT
		'unknown_receipt',
		l.id,
		'',
		l.amount_minor,
		l.currency,
		l.booked_on,
		l.bank_reference
	FROM treasury.bank_lines AS l
	WHERE l.collective = @collective
		AND l.state = 'matched'
		AND l.target = 'unknown_receipt'
	UNION ALL
	SELECT
		'expense',
		e.id,
		e.campaign,
		e.amount_minor - e.part_paid_minor,
		e.currency,
		e.documented_on,
		e.document
	FROM treasury.expenses AS e
	WHERE e.collective = @collective
		AND e.state = 'owed'
) AS c
WHERE (c.since, c.id) > (@after_day::date, @after_id)
ORDER BY
	c.since,
	c.id
LIMIT @count`

// Clearing returns up to count items that are to be cleared, the oldest first, after the given one.
func (s *Service) Clearing(ctx context.Context, collective string, after Position, count int) ([]ClearingItem, error) {
	days, err := s.calendar(ctx, collective)
	if err != nil {
		return nil, err
	}
	return all(ctx, s.cfg.Pool, func(r pgx.CollectableRow) (c ClearingItem, err error) {
		err = r.Scan(&c.Kind, &c.ID, &c.Campaign, &c.Amount.Minor, &c.Amount.Currency, &c.Since, &c.Document)
		c.AgeDays = days.age(c.Since)
		return c, err
	}, clearingSQL, pgx.NamedArgs{
		"collective": collective, "after_day": after.Time, "after_id": after.ID, "count": count,
	})
}

// BankPosition is the bank account in the books beside what the bank says.
type BankPosition struct {
	Book money.Amount
	// Statement is nil before the first closing balance, and then its day is empty.
	Statement   *money.Amount
	StatementOn Day
	// Open and Ignored are the lines in those states, added up.
	Open, Ignored money.Amount
	OpenCount     int
}

// The last closing balance of each account; the currency is that of the newest.
const closingsSQL = `
SELECT DISTINCT ON (s.account)
	s.closing_minor,
	s.currency,
	to_char(s.closing_on, 'YYYY-MM-DD')
FROM treasury.statements AS s
WHERE s.collective = @collective
	AND s.closing_minor IS NOT NULL
ORDER BY
	s.account,
	s.closing_on DESC,
	s.created_at DESC,
	s.id DESC`

const lineSumsSQL = `
SELECT
	coalesce(sum(l.amount_minor) FILTER (WHERE l.state <> 'ignored'), 0)::bigint,
	count(*) FILTER (WHERE l.state <> 'ignored'),
	coalesce(sum(l.amount_minor) FILTER (WHERE l.state = 'ignored'), 0)::bigint
FROM treasury.bank_lines AS l
WHERE l.collective = @collective
	AND l.currency = @currency
	AND l.state IN ('unmatched', 'suggested', 'ignored')`

// BankPosition compares the bank account in the books with the last statement of each of the collective's accounts.
func (s *Service) BankPosition(ctx context.Context, collective string) (p BankPosition, err error) {
	group, err := s.cfg.Collectives.Get(ctx, collective)
	if err != nil {
		return p, err
	}
	type closing struct {
		balance money.Amount
		on      Day
	}
	closings, err := all(ctx, s.cfg.Pool, func(r pgx.CollectableRow) (c closing, err error) {
		err = r.Scan(&c.balance.Minor, &c.balance.Currency, &c.on)
		return c, err
	}, closingsSQL, pgx.NamedArgs{"collective": collective})
	if err != nil {
		return p, err
	}
	currency, newest := money.EUR, Day("")
	for _, c := range closings {
		if c.on >= newest {
			currency, newest = c.balance.Currency, c.on
		}
	}
	for _, c := range closings {
		if c.balance.Currency != currency {
			continue
		}
		if p.Statement == nil {
			p.Statement = &money.Amount{Currency: currency}
		}
		p.Statement.Minor += c.balance.Minor
		if p.StatementOn = cmp.Or(p.StatementOn, c.on); c.on < p.StatementOn {
			p.StatementOn = c.on
		}
	}
	p.Open.Currency, p.Ignored.Currency = currency, currency
	if err := s.cfg.Pool.QueryRow(ctx, lineSumsSQL, pgx.NamedArgs{"collective": collective, "currency": string(currency)}).
		Scan(&p.Open.Minor, &p.OpenCount, &p.Ignored.Minor); err != nil {
		return p, postgres.Error(err)
	}
	p.Book, err = s.bankBalance(ctx, group.StripeAccount, collective, currency)
	return p, err
}

// bankBalance is the collective's share of the bank account in a book; zero in one that is not there yet.
func (s *Service) bankBalance(ctx context.Context, book, collective string, currency money.Currency) (money.Amount, error) {
	balance := money.Amount{Currency: currency}
	var code string
	err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) (err error) {
		code, err = s.cfg.Ledger.RoleCodeTx(ctx, tx, book, ledger.RoleBank)
		return err
	})
	if errs.Code(err) == codes.NotFound {
		return balance, nil
	}
	if err != nil {
		return balance, err
	}
	accounts, err := s.cfg.Ledger.Accounts(ctx, book, collective, time.Time{})
	for _, account := range accounts {
		for _, b := range account.Balances {
			if account.Code == code && b.Currency == currency {
				balance = b
			}
		}
	}
	return balance, err
}

package bank

import (
	"cmp"
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// BankPosition is the bank account in the books beside the last statements.
type BankPosition struct {
	// Book is the collective's share of the bank account in the books.
	Book money.Amount
	// Statement is the sum of the last closing balances, and StatementOn the day of the oldest of them. Before the first
	// closing balance they are nil and empty.
	Statement   *money.Amount
	StatementOn calendar.Day
	// Open and Ignored are the sums of the open and of the ignored lines.
	Open, Ignored money.Amount
	OpenCount     int
}

// The last closing balance of each account; the currency is that of the newest.
// The index statements_closing_idx has this order, so the first row of each account is the one that is wanted. Of two
// statements that end on one day the one that was imported last counts.
const closingsSQL = `
SELECT DISTINCT ON (s.account)
	s.closing_minor,
	s.currency,
	to_char(s.closing_on, 'YYYY-MM-DD')
FROM bank.statements AS s
WHERE s.collective = @collective
	AND s.closing_minor IS NOT NULL
ORDER BY
	s.account,
	s.closing_on DESC,
	s.created_at DESC,
	s.id DESC`

// lineSumsSQL returns the sum and the number of the open lines, and the sum of those that are ignored. Together with
// the books they should explain the bank's balance. The indexes lines_open_idx and lines_ignored_idx have the amounts.
// The sums are zero when there are no lines.
const lineSumsSQL = `
SELECT
	coalesce(sum(l.amount_minor) FILTER (WHERE l.state <> 'ignored'), 0)::bigint,
	count(*) FILTER (WHERE l.state <> 'ignored'),
	coalesce(sum(l.amount_minor) FILTER (WHERE l.state = 'ignored'), 0)::bigint
FROM bank.lines AS l
WHERE l.collective = @collective
	AND l.currency = @currency
	AND l.state IN ('unmatched', 'suggested', 'ignored')`

// BankPosition compares the bank account in the books with the last statement of each of the collective's accounts.
func (s *Service) BankPosition(ctx context.Context, collective string) (p BankPosition, err error) {
	group, err := s.cfg.Collectives.Get(ctx, collective)
	if err != nil {
		return p, err
	}
	// The settings name one account; statements may be of several, when the settings have no IBAN or had another one.
	type closing struct {
		balance money.Amount
		on      calendar.Day
	}
	closings, err := postgres.All(ctx, s.cfg.Pool, func(r pgx.CollectableRow) (c closing, err error) {
		err = r.Scan(&c.balance.Minor, &c.balance.Currency, &c.on)
		return c, err
	}, closingsSQL, pgx.NamedArgs{"collective": collective})
	if err != nil {
		return p, err
	}
	// Amounts of different currencies cannot be added up. The currency of the newest balance is chosen, and accounts in
	// other currencies are left out.
	currency, newest := money.EUR, calendar.Day("")
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
		// The sum is as old as its oldest balance.
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
	// The book is made with the first booking.
	if errs.Code(err) == codes.NotFound {
		return balance, nil
	}
	if err != nil {
		return balance, err
	}
	accounts, err := s.cfg.Ledger.Accounts(ctx, book, collective, time.Time{})
	// A balance of zero may be missing in the list; then the zero amount stands.
	for _, account := range accounts {
		for _, b := range account.Balances {
			if account.Code == code && b.Currency == currency {
				balance = b
			}
		}
	}
	return balance, err
}

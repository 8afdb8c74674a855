package webhooks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/notices"
)

const (
	// compareEvery is how often the books are compared with Stripe's balance. After a difference, they are compared
	// again at the next regular sync.
	compareEvery = time.Hour
	// compareTries is how often one comparison starts again because money moved meanwhile. Each try costs three calls.
	compareTries = 3
	// A difference is reported after this many equal comparisons in a row: confirmQuiet if nothing was booked between
	// them, otherwise confirmBusy, since amounts that are on their way can happen to be equal twice.
	confirmQuiet, confirmBusy = 2, 4
	// compareApart is the least time between two comparisons that count separately, because two jobs may run at once.
	compareApart = time.Minute
)

// compareDueSQL is true when a comparison is due and no look back is under way. back_floor is set during a look back.
const compareDueSQL = `
SELECT a.next_compare_at <= statement_timestamp() AND a.back_floor IS NULL
FROM webhooks.accounts AS a
WHERE a.account = @account`

const compareLaterSQL = `
UPDATE webhooks.accounts AS a
SET next_compare_at = statement_timestamp() + @pause::interval
WHERE a.account = @account`

// compare compares the books with Stripe's balance when that is due. If Stripe does not answer, it is tried again
// later. Call it after a sync. It waits for a look back, whose unread transactions would be a difference.
func (s *Service) compare(ctx context.Context, account string) error {
	var due bool
	if err := s.cfg.Pool.QueryRow(ctx, compareDueSQL, pgx.NamedArgs{"account": account}).Scan(&due); err != nil || !due {
		return postgres.Error(err)
	}
	pause := compareEvery
	stripes, books, still, err := s.readBalances(ctx, account)
	switch {
	case err != nil && (ctx.Err() != nil || postgres.Away(err)):
		return err
	// Stripe does not answer. The usual pause applies.
	case err != nil:
		s.cfg.Logger.WarnContext(ctx, "Stripe's balance could not be compared with the books", "account", account, "error", err)
	// Money moved during each try. The next regular sync tries again.
	case !still:
		pause = 0
	default:
		again, err := s.noteBalances(ctx, account, stripes, books)
		if err != nil {
			return err
		}
		// A difference has to be confirmed at the next regular sync.
		if again {
			pause = 0
		}
	}
	_, err = s.cfg.Pool.Exec(ctx, compareLaterSQL, pgx.NamedArgs{"account": account, "pause": pause})
	return postgres.Error(err)
}

// readBalances reads the balance, books what is new, and reads books and balance again. If the balance has not changed
// meanwhile, the books have seen all of it. still is false when money moved on each try.
func (s *Service) readBalances(ctx context.Context, account string) (stripes, books map[money.Currency]int64, still bool, err error) {
	for range compareTries {
		// The order matters: balance, books, balance. A movement during the reading changes the second balance.
		before, err := s.cfg.Stripe.Balance(ctx, account)
		if err != nil {
			return nil, nil, false, err
		}
		p, err := s.position(ctx, account)
		if err != nil {
			return nil, nil, false, err
		}
		if err := s.bookNew(ctx, p, quick); err != nil {
			return nil, nil, false, err
		}
		if books, err = s.booksBalance(ctx, account); err != nil {
			return nil, nil, false, err
		}
		after, err := s.cfg.Stripe.Balance(ctx, account)
		if err != nil {
			return nil, nil, false, err
		}
		if maps.Equal(before, after) {
			stripes = map[money.Currency]int64{}
			for currency, minor := range after {
				stripes[money.Currency(currency)] = minor
			}
			return stripes, books, true, nil
		}
	}
	return nil, nil, false, nil
}

// parkedSumsSQL returns the net amount of parked transactions by currency. Those whose amount is unknown have no
// currency, and count as a difference.
const parkedSumsSQL = `
SELECT
	p.currency,
	sum(p.net_minor)::bigint
FROM webhooks.parked AS p
WHERE p.account = @account
	AND p.currency IS NOT NULL
GROUP BY p.currency`

// booksBalance is the balance at Stripe in the books, plus the parked transactions, which are reported by themselves.
func (s *Service) booksBalance(ctx context.Context, account string) (map[money.Currency]int64, error) {
	books, err := s.cfg.Ledger.RoleBalance(ctx, account, ledger.RoleStripeBalance)
	if err != nil {
		return nil, err
	}
	rows, err := s.cfg.Pool.Query(ctx, parkedSumsSQL, pgx.NamedArgs{"account": account})
	if err != nil {
		return nil, postgres.Error(err)
	}
	var currency money.Currency
	var minor int64
	_, err = pgx.ForEachRow(rows, []any{&currency, &minor}, func() error {
		books[currency] += minor
		return nil
	})
	return books, postgres.Error(err)
}

// lockBalanceSQL returns the last comparison of a currency, and whether it is long enough ago to count separately. It
// locks the row, so that two jobs count one after the other.
const lockBalanceSQL = `
SELECT
	b.books_minor,
	b.difference_minor,
	b.seen,
	b.told_minor,
	b.compared_at <= clock_timestamp() - @apart::interval
FROM webhooks.balances AS b
WHERE b.account = @account
	AND b.currency = @currency
FOR NO KEY UPDATE`

// saveBalanceSQL replaces the last comparison of a currency. If two jobs both found no row, the second one replaces the
// first, and the difference is confirmed one comparison later.
const saveBalanceSQL = `
INSERT INTO webhooks.balances AS b (
	account,
	currency,
	books_minor,
	difference_minor,
	seen,
	told_minor
)
VALUES (
	@account,
	@currency,
	@books_minor,
	@difference_minor,
	@seen,
	@told_minor
)
ON CONFLICT (account, currency) DO UPDATE
SET
	books_minor = excluded.books_minor,
	difference_minor = excluded.difference_minor,
	seen = excluded.seen,
	told_minor = excluded.told_minor,
	compared_at = clock_timestamp()`

// noteBalances stores the result of a comparison and reports lasting differences. again is true when a difference has
// to be confirmed soon.
func (s *Service) noteBalances(ctx context.Context, account string, stripes, books map[money.Currency]int64) (again bool, err error) {
	// A collective is notified beside the operator only if it has the account alone.
	owner, err := s.cfg.Collectives.SoleOwner(ctx, account)
	if err != nil {
		return false, err
	}
	// A currency that only one side has is compared with zero.
	currencies := maps.Clone(books)
	maps.Copy(currencies, stripes)
	for _, currency := range slices.Sorted(maps.Keys(currencies)) {
		soon, err := s.noteBalance(ctx, account, owner, currency, stripes[currency], books[currency])
		if err != nil {
			return false, err
		}
		again = again || soon
	}
	return again, nil
}

// noteBalance stores the comparison of one currency, with amounts in minor units. A difference is reported once it is
// confirmed, and again only after it has changed or was gone.
func (s *Service) noteBalance(ctx context.Context, account, owner string, currency money.Currency, stripes, books int64) (again bool, err error) {
	difference := stripes - books
	told := false
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		// InTx may run this function more than once.
		again, told = false, false
		var before struct {
			books, difference int64
			seen              int
			told              *int64
			apart             bool
		}
		args := pgx.NamedArgs{"account": account, "currency": string(currency), "apart": compareApart}
		err := tx.QueryRow(ctx, lockBalanceSQL, args).Scan(&before.books, &before.difference, &before.seen, &before.told, &before.apart)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return postgres.Error(err)
		}
		isSame := err == nil && before.difference == difference
		// Two jobs compared at almost the same time, which counts as one comparison.
		if isSame && difference != 0 && !before.apart {
			again = before.told == nil || *before.told != difference
			return nil
		}
		// seen is the number of equal comparisons in a row, confirmBusy at most. lasting is the difference that was
		// reported, nil for none.
		seen, lasting := 1, before.told
		if isSame && before.seen < confirmBusy {
			seen = before.seen + 1
		} else if isSame {
			seen = before.seen
		}
		// Equal books mean that nothing was booked since the last comparison.
		confirmed := seen >= confirmBusy || seen >= confirmQuiet && isSame && before.books == books
		switch {
		case difference == 0:
			lasting = nil
		case confirmed && (lasting == nil || *lasting != difference):
			lasting, told = &difference, true
		}
		// A difference that was not reported yet has to be confirmed.
		again = difference != 0 && (lasting == nil || *lasting != difference)
		args["books_minor"], args["difference_minor"], args["seen"], args["told_minor"] = books, difference, seen, lasting
		if _, err := tx.Exec(ctx, saveBalanceSQL, args); err != nil || !told {
			return postgres.Error(err)
		}
		return s.tellTx(ctx, tx, notices.Notice{
			Kind: notices.StripeBalanceDiffers,
			// The key has the time, so that a difference that comes back is reported again.
			Key:    fmt.Sprintf("%s %s %s", account, currency, s.now().Format(time.RFC3339Nano)),
			Amount: money.Amount{Minor: difference, Currency: currency}, Subject: account,
		}, owner, "")
	})
	if err == nil && told {
		s.cfg.Logger.ErrorContext(ctx, "the books differ from Stripe's balance",
			"account", account, "currency", currency, "stripe_minor", stripes, "books_minor", books)
	}
	return again, err
}

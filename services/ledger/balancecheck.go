package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// balanceKey is what a stored sum is of. Start is YYYY-MM-DD, empty for all of time. The code is there for the texts of
// the report only: account already tells the accounts apart.
type balanceKey struct {
	account              int32
	code                 string
	collective, campaign string
	currency             money.Currency
	span, start          string
}

func (k balanceKey) String() string {
	of := fmt.Sprintf("stored balance of account %s, collective %q, campaign %q, %s, %s", k.code, k.collective, k.campaign, k.currency, k.span)
	if k.start != "" {
		of += " from " + k.start
	}
	return of
}

// balanceCheck adds the stored sums up again. numbers and stored begin with everything that the database has. What was
// compared is deleted from them, so what remains in the end is what nothing in the book explains. stored has the rows
// by the number that they were written at; sums are what the entries of the numbers so far add up to.
type balanceCheck struct {
	// numbers are the balance checkpoints, stored what they wrote.
	numbers map[int64]bool
	stored  map[int64]map[balanceKey]int64
	sums    map[balanceKey]int64
	// changed since the last balance checkpoint.
	changed map[balanceKey]bool
}

// verifyBalanceCheckpointsSQL reads the numbers at which balances were stored.
const verifyBalanceCheckpointsSQL = `
SELECT b.number
FROM ledger.balance_checkpoints AS b
WHERE b.book = @book
ORDER BY b.number`

// verifyBalancesSQL reads every sum that was stored, by the number that it was stored at. The span 'all' begins at
// -infinity, which has no year, month and day, so it becomes an empty text. The other days are written with their era,
// as startText writes them.
const verifyBalancesSQL = `
SELECT
	b.number,
	b.balance,
	k.account_id,
	a.code,
	k.collective,
	k.campaign,
	k.currency,
	k.span,
	CASE k.span
		WHEN 'all' THEN ''
		ELSE to_char(k.starts_on, 'YYYY-MM-DD BC')
	END
FROM ledger.balance_keys AS k
JOIN ledger.accounts AS a ON a.id = k.account_id
JOIN ledger.balances AS b ON b.key_id = k.id
WHERE a.book = @book
ORDER BY
	b.number,
	k.id`

// loadBalancesTx reads what is stored. All of it is held in memory: a key has a row for each number at which it
// changed. A book that has no balance checkpoint yet leaves all maps empty.
func (v *verification) loadBalancesTx(ctx context.Context, tx pgx.Tx) error {
	v.balances = balanceCheck{
		numbers: map[int64]bool{}, stored: map[int64]map[balanceKey]int64{},
		sums: map[balanceKey]int64{}, changed: map[balanceKey]bool{},
	}
	rows, err := tx.Query(ctx, verifyBalanceCheckpointsSQL, pgx.NamedArgs{"book": v.Book})
	if err != nil {
		return postgres.Error(err)
	}
	var number, balance int64
	if _, err := pgx.ForEachRow(rows, []any{&number}, func() error {
		v.balances.numbers[number] = true
		return nil
	}); err != nil {
		return postgres.Error(err)
	}
	// Both statements run in the snapshot of the verification.
	if rows, err = tx.Query(ctx, verifyBalancesSQL, pgx.NamedArgs{"book": v.Book}); err != nil {
		return postgres.Error(err)
	}
	var k balanceKey
	_, err = pgx.ForEachRow(rows, []any{
		&number, &balance, &k.account, &k.code, &k.collective, &k.campaign, &k.currency, &k.span, &k.start,
	}, func() error {
		if v.balances.stored[number] == nil {
			v.balances.stored[number] = map[balanceKey]int64{}
		}
		v.balances.stored[number][k] = balance
		return nil
	})
	return postgres.Error(err)
}

// add counts the entries of a transaction in their spans.
func (v *verification) add(r *sealedRow) {
	// The days of stored sums are those of UTC, as insertBalancesSQL cuts them.
	at := r.Effective.UTC()
	for i, e := range r.Entries {
		k := balanceKey{
			account: r.accounts[i], code: e.Code, collective: e.Collective, campaign: e.Campaign, currency: e.Amount.Currency,
		}
		// Each entry counts in four sums, the same four that insertBalancesSQL writes.
		for _, span := range []struct{ name, start string }{
			{"all", ""}, {"year", startText(at, 1, 1)}, {"month", startText(at, at.Month(), 1)}, {"day", startText(at, at.Month(), at.Day())},
		} {
			k.span, k.start = span.name, span.start
			v.balances.sums[k] += e.Amount.Minor
			v.balances.changed[k] = true
		}
	}
}

// startText writes a date as Postgres does, which has no year zero.
func startText(of time.Time, month time.Month, day int) string {
	// In Go the year before 1 is 0, which Postgres writes as 1 BC.
	year, era := of.Year(), "AD"
	if year < 1 {
		year, era = 1-year, "BC"
	}
	return fmt.Sprintf("%04d-%02d-%02d %s", year, month, day, era)
}

// compareStored compares what was stored at a number.
func (v *verification) compareStored(number int64) {
	if !v.balances.numbers[number] {
		return
	}
	// Exactly the sums that changed since the balance checkpoint before must be stored.
	stored := v.balances.stored[number]
	for k := range v.balances.changed {
		where := fmt.Sprintf("%s at number %d", k, number)
		switch balance, ok := stored[k]; {
		case !ok:
			v.Differ(where, "is missing; the entries sum to %d", v.balances.sums[k])
		case balance != v.balances.sums[k]:
			v.Differ(where, "is %d; the entries sum to %d", balance, v.balances.sums[k])
		}
		// What is left in stored after this loop has no entry behind it.
		delete(stored, k)
	}
	for k := range stored {
		v.Differ(fmt.Sprintf("%s at number %d", k, number), "is stored, and no entry changed it")
	}
	delete(v.balances.stored, number)
	delete(v.balances.numbers, number)
	// The sums go on to grow; only the list of what changed begins anew.
	clear(v.balances.changed)
}

// finishStored reports what was stored at numbers that are not a balance checkpoint. It runs after the last sealed
// transaction. compareStored has deleted every number that it met.
func (v *verification) finishStored() {
	for number := range v.balances.numbers {
		v.Differ(fmt.Sprintf("balance checkpoint %d", number), "is at a number that is missing")
	}
	for number, stored := range v.balances.stored {
		for k := range stored {
			v.Differ(fmt.Sprintf("%s at number %d", k, number), "is stored where no balance checkpoint is")
		}
	}
}

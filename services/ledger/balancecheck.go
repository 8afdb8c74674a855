package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// keptKey is a sum that is kept. Start is YYYY-MM-DD, empty for all of time.
type keptKey struct {
	account              int32
	code                 string
	collective, campaign string
	currency             money.Currency
	span, start          string
}

func (k keptKey) String() string {
	of := fmt.Sprintf("kept balance of account %s, collective %q, campaign %q, %s, %s", k.code, k.collective, k.campaign, k.currency, k.span)
	if k.start != "" {
		of += " from " + k.start
	}
	return of
}

// keptCheck adds the sums up again.
type keptCheck struct {
	// numbers are the balance checkpoints, stored what they wrote.
	numbers map[int64]bool
	stored  map[int64]map[keptKey]int64
	sums    map[keptKey]int64
	// changed since the last balance checkpoint.
	changed map[keptKey]bool
}

const verifyBalanceCheckpointsSQL = `
SELECT b.number
FROM ledger.balance_checkpoints AS b
WHERE b.book = @book
ORDER BY b.number`

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

func (v *verification) loadKept(ctx context.Context, tx pgx.Tx) error {
	v.kept = keptCheck{
		numbers: map[int64]bool{}, stored: map[int64]map[keptKey]int64{},
		sums: map[keptKey]int64{}, changed: map[keptKey]bool{},
	}
	rows, err := tx.Query(ctx, verifyBalanceCheckpointsSQL, pgx.NamedArgs{"book": v.Book})
	if err != nil {
		return postgres.Error(err)
	}
	var number, balance int64
	if _, err := pgx.ForEachRow(rows, []any{&number}, func() error {
		v.kept.numbers[number] = true
		return nil
	}); err != nil {
		return postgres.Error(err)
	}
	if rows, err = tx.Query(ctx, verifyBalancesSQL, pgx.NamedArgs{"book": v.Book}); err != nil {
		return postgres.Error(err)
	}
	var k keptKey
	_, err = pgx.ForEachRow(rows, []any{
		&number, &balance, &k.account, &k.code, &k.collective, &k.campaign, &k.currency, &k.span, &k.start,
	}, func() error {
		if v.kept.stored[number] == nil {
			v.kept.stored[number] = map[keptKey]int64{}
		}
		v.kept.stored[number][k] = balance
		return nil
	})
	return postgres.Error(err)
}

// add counts a transaction's entries in their spans.
func (v *verification) add(r *sealedRow) {
	at := r.Effective.UTC()
	for i, e := range r.Entries {
		k := keptKey{
			account: r.accounts[i], code: e.Code, collective: e.Collective, campaign: e.Campaign, currency: e.Amount.Currency,
		}
		for _, span := range []struct{ name, start string }{
			{"all", ""}, {"year", startText(at, 1, 1)}, {"month", startText(at, at.Month(), 1)}, {"day", startText(at, at.Month(), at.Day())},
		} {
			k.span, k.start = span.name, span.start
			v.kept.sums[k] += e.Amount.Minor
			v.kept.changed[k] = true
		}
	}
}

// startText writes a date as Postgres does, which counts no year zero.
func startText(of time.Time, month time.Month, day int) string {
	year, era := of.Year(), "AD"
	if year < 1 {
		year, era = 1-year, "BC"
	}
	return fmt.Sprintf("%04d-%02d-%02d %s", year, month, day, era)
}

// keepAt compares what was kept at a number.
func (v *verification) keepAt(number int64) {
	if !v.kept.numbers[number] {
		return
	}
	stored := v.kept.stored[number]
	for k := range v.kept.changed {
		where := fmt.Sprintf("%s at number %d", k, number)
		switch balance, ok := stored[k]; {
		case !ok:
			v.Differ(where, "is missing; the entries sum to %d", v.kept.sums[k])
		case balance != v.kept.sums[k]:
			v.Differ(where, "is %d; the entries sum to %d", balance, v.kept.sums[k])
		}
		delete(stored, k)
	}
	for k := range stored {
		v.Differ(fmt.Sprintf("%s at number %d", k, number), "is kept, and no entry changed it")
	}
	delete(v.kept.stored, number)
	delete(v.kept.numbers, number)
	clear(v.kept.changed)
}

// endKept reports what was kept at numbers that are no balance checkpoint.
func (v *verification) endKept() {
	for number := range v.kept.numbers {
		v.Differ(fmt.Sprintf("balance checkpoint %d", number), "is at a number that is missing")
	}
	for number, stored := range v.kept.stored {
		for k := range stored {
			v.Differ(fmt.Sprintf("%s at number %d", k, number), "is kept where no balance checkpoint is")
		}
	}
}

package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger/proof"
	"github.com/cagnotte/cagnotte/services/money"
)

// It adds a span of numbers to each stored sum. What is being sealed comes added up already, since the sealer has it in
// memory and reading all entries once more would be a third of its work. What was sealed before and is not stored yet
// is little, and is read. It adds up per day first: four spans of a handful of days are fewer rows than four of each
// entry. Keys that are new are not yet in the table for the statement that inserts them, so they come from what it
// returns.
//
// parts are the entries from both sources, with their days in UTC; by_day their sums by day; changed the sums by span,
// one row for each key that changed; added the keys that are new. A stored sum becomes a new row at @upto and no row is
// ever changed, so a reader at an earlier number still finds the sum of that number. The last SELECT has the sums of
// keys that existed, which add to their newest sum, and those of the new ones, which begin at nothing. balance_keys_key
// finds the keys, balances_pkey the newest sum of each.
//
// It takes no lock of its own: only the sealer that has the lock of the book writes keys of its accounts.
//
// A sum of bigint is numeric in Postgres, so adding up cannot overflow. Only a balance that does not fit into bigint
// fails, when it is inserted.
const insertBalancesSQL = `
WITH parts AS (
	SELECT
		e.account_id,
		e.collective,
		e.campaign,
		e.currency,
		(e.effective_at AT TIME ZONE 'UTC')::date AS day,
		e.amount
	FROM ledger.seals AS s
	JOIN ledger.entries AS e ON e.transaction_id = s.transaction_id
	WHERE s.book = @book
		AND s.number > @after
		AND s.number <= @before
	UNION ALL
	SELECT
		a.id,
		n.collective,
		n.campaign,
		n.currency,
		n.day,
		n.amount
	FROM unnest(
		@codes::text[],
		@collectives::text[],
		@campaigns::text[],
		@currencies::text[],
		@days::date[],
		@amounts::bigint[]
	) AS n (code, collective, campaign, currency, day, amount)
	JOIN ledger.accounts AS a ON a.book = @book AND a.code = n.code
),
by_day AS (
	SELECT
		p.account_id,
		p.collective,
		p.campaign,
		p.currency,
		p.day,
		sum(p.amount) AS amount
	FROM parts AS p
	GROUP BY
		p.account_id,
		p.collective,
		p.campaign,
		p.currency,
		p.day
),
changed AS (
	SELECT
		d.account_id,
		d.collective,
		d.campaign,
		d.currency,
		p.span,
		p.starts_on,
		sum(d.amount) AS amount
	FROM by_day AS d
	CROSS JOIN LATERAL (
		VALUES
			('all', date '-infinity'),
			('year', date_trunc('year', d.day::timestamp)::date),
			('month', date_trunc('month', d.day::timestamp)::date),
			('day', d.day)
	) AS p (span, starts_on)
	GROUP BY
		d.account_id,
		d.collective,
		d.campaign,
		d.currency,
		p.span,
		p.starts_on
),
added AS (
	INSERT INTO ledger.balance_keys (account_id, collective, campaign, currency, span, starts_on)
	SELECT
		c.account_id,
		c.collective,
		c.campaign,
		c.currency,
		c.span,
		c.starts_on
	FROM changed AS c
	WHERE NOT EXISTS (
		SELECT
		FROM ledger.balance_keys AS k
		WHERE k.collective = c.collective
			AND k.span = c.span
			AND k.starts_on = c.starts_on
			AND k.campaign = c.campaign
			AND k.account_id = c.account_id
			AND k.currency = c.currency
	)
	RETURNING
		id,
		account_id,
		collective,
		campaign,
		currency,
		span,
		starts_on
)
INSERT INTO ledger.balances (key_id, number, balance)
SELECT
	k.id,
	@upto::bigint,
	c.amount + coalesce((
		SELECT b.balance
		FROM ledger.balances AS b
		WHERE b.key_id = k.id
		ORDER BY b.number DESC
		LIMIT 1
	), 0)
FROM changed AS c
JOIN ledger.balance_keys AS k
	ON k.collective = c.collective
	AND k.span = c.span
	AND k.starts_on = c.starts_on
	AND k.campaign = c.campaign
	AND k.account_id = c.account_id
	AND k.currency = c.currency
UNION ALL
SELECT
	a.id,
	@upto::bigint,
	c.amount
FROM changed AS c
JOIN added AS a USING (account_id, collective, campaign, currency, span, starts_on)`

// insertBalanceCheckpointSQL makes the sums count: readers take sums up to a balance checkpoint only.
const insertBalanceCheckpointSQL = `
INSERT INTO ledger.balance_checkpoints (number, book)
VALUES (@upto, @book)`

// storeBalancesTx brings the stored sums from the number after up to that of the last of the leaves, which are being
// sealed, under the sealer's lock.
func storeBalancesTx(ctx context.Context, tx pgx.Tx, book string, after int64, leaves []proof.Leaf) error {
	// The numbers up to @before were sealed earlier, and those after @after are not in the stored sums yet. The leaves
	// begin at the number behind @before.
	args := pgx.NamedArgs{
		// after is the newest balance checkpoint, 0 when there is none.
		"book": book, "after": after, "before": leaves[0].Number - 1, "upto": leaves[len(leaves)-1].Number,
	}
	// All of it is one database transaction with the seals, so sums and seals never differ.
	addSums(args, leaves)
	for _, statement := range []string{insertBalancesSQL, insertBalanceCheckpointSQL} {
		if _, err := tx.Exec(ctx, statement, args); err != nil {
			return postgres.Error(err)
		}
	}
	return nil
}

// addSums adds the leaves up by account, dimensions, currency and day, and puts the sums into args.
func addSums(args pgx.NamedArgs, leaves []proof.Leaf) {
	// A day is the second of Unix time that it begins at, in UTC.
	type key struct {
		code, collective, campaign string
		currency                   money.Currency
		day                        int64
	}
	const secondsOfDay = 24 * 60 * 60
	places := map[key]int{}
	var codes, collectives, campaigns, currencies []string
	var days []time.Time
	var sums []money.Amount
	for i := range leaves {
		// Rounded down before 1970 too. The remainder of a negative number is negative in Go, so a day is added before the
		// second remainder.
		seconds := leaves[i].Effective.Unix()
		day := seconds - (seconds%secondsOfDay+secondsOfDay)%secondsOfDay
		for _, e := range leaves[i].Entries {
			k := key{e.Code, e.Collective, e.Campaign, e.Amount.Currency, day}
			place, known := places[k]
			if known {
				// What would overflow goes on in a row of its own: Postgres adds rows up without a bound.
				if sum, err := sums[place].Add(e.Amount); err == nil {
					sums[place] = sum
					continue
				}
			}
			// After an overflow the key leads to the newer row; the statement adds both.
			places[k] = len(sums)
			// The lists are columns: one place in all of them is one row for unnest.
			codes, collectives, campaigns = append(codes, e.Code), append(collectives, e.Collective), append(campaigns, e.Campaign)
			currencies, days = append(currencies, string(e.Amount.Currency)), append(days, time.Unix(day, 0).UTC())
			sums = append(sums, e.Amount)
		}
	}
	// The amounts go to the database in minor units; their currencies are in a list of their own.
	amounts := make([]int64, len(sums))
	for i := range sums {
		amounts[i] = sums[i].Minor
	}
	args["codes"], args["collectives"], args["campaigns"] = codes, collectives, campaigns
	args["currencies"], args["days"], args["amounts"] = currencies, days, amounts
}

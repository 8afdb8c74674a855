package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// tailPart is what the books have of a book beyond its newest balance checkpoint, sealed or not. The
// order and the OFFSET keep Postgres on the two indexes: it cannot know how short the tail is.
const tailPart = `
tail AS (
    SELECT
        e.account_id,
        e.currency,
        e.amount,
        e.effective_at
    FROM (
        SELECT t.id
        FROM ledger.transactions AS t
        WHERE t.book = @book
            AND (t.xid, t.id) > (
                COALESCE((SELECT p.xid FROM position AS p), '0'),
                COALESCE((SELECT p.id FROM position AS p), 0)
            )
        ORDER BY
            t.book,
            t.xid,
            t.id
        OFFSET 0
    ) AS t
    CROSS JOIN LATERAL (
        SELECT
            e.account_id,
            e.currency,
            e.amount,
            e.effective_at
        FROM ledger.entries AS e
        WHERE e.transaction_id = t.id
            AND e.collective = @collective
        OFFSET 0
    ) AS e
)`

const positionPart = `
WITH position AS (
    SELECT
        t.xid,
        t.id
    FROM ledger.seals AS s
    JOIN ledger.transactions AS t ON t.id = s.transaction_id
    WHERE s.book = @book
        AND s.number = (
            SELECT max(b.number)
            FROM ledger.balance_checkpoints AS b
            WHERE b.book = @book
        )
),`

// A chart has some dozens of accounts.
const sumAccountsPart = `
SELECT
    a.code,
    a.display_name,
    a.type,
    COALESCE(b.currency, ''),
    COALESCE(b.balance, 0)
FROM ledger.accounts AS a
LEFT JOIN (
    SELECT
        p.account_id,
        p.currency,
        sum(p.amount)::bigint AS balance
    FROM parts AS p
    GROUP BY
        p.account_id,
        p.currency
) AS b ON b.account_id = a.id
WHERE a.book = @book
ORDER BY
    a.code COLLATE "C",
    b.currency`

const accountsNowSQL = positionPart + tailPart + `,
parts AS (
    SELECT
        k.account_id,
        k.currency,
        n.balance AS amount
    FROM ledger.balance_keys AS k
    CROSS JOIN LATERAL (
        SELECT b.balance
        FROM ledger.balances AS b
        WHERE b.key_id = k.id
        ORDER BY b.number DESC
        LIMIT 1
    ) AS n
    WHERE k.collective = @collective
        AND k.span = 'all'
    UNION ALL
    SELECT
        t.account_id,
        t.currency,
        t.amount
    FROM tail AS t
)` + sumAccountsPart

// Whole years, months and days before the time, the part of its day from the entries themselves,
// and of the tail what happened before that day.
const accountsAsOfSQL = positionPart + tailPart + `,
keys AS (
    SELECT
        k.id,
        k.account_id,
        k.currency
    FROM ledger.balance_keys AS k
    WHERE k.collective = @collective
        AND k.span = 'year'
        AND k.starts_on < @year::date
    UNION ALL
    SELECT
        k.id,
        k.account_id,
        k.currency
    FROM ledger.balance_keys AS k
    WHERE k.collective = @collective
        AND k.span = 'month'
        AND k.starts_on >= @year::date
        AND k.starts_on < @month::date
    UNION ALL
    SELECT
        k.id,
        k.account_id,
        k.currency
    FROM ledger.balance_keys AS k
    WHERE k.collective = @collective
        AND k.span = 'day'
        AND k.starts_on >= @month::date
        AND k.starts_on < @day::date
),
parts AS (
    SELECT
        k.account_id,
        k.currency,
        n.balance AS amount
    FROM keys AS k
    CROSS JOIN LATERAL (
        SELECT b.balance
        FROM ledger.balances AS b
        WHERE b.key_id = k.id
        ORDER BY b.number DESC
        LIMIT 1
    ) AS n
    UNION ALL
    SELECT
        e.account_id,
        e.currency,
        e.amount
    FROM ledger.entries AS e
    WHERE e.collective = @collective
        AND e.effective_at >= @day_start::timestamptz
        AND e.effective_at < @as_of::timestamptz
    UNION ALL
    SELECT
        t.account_id,
        t.currency,
        t.amount
    FROM tail AS t
    WHERE t.effective_at < @day_start::timestamptz
)` + sumAccountsPart

// Accounts returns the accounts of a book by code, with the balances of one collective's share:
// of what had happened before asOf, or of everything when asOf is zero. Nothing is summed across
// currencies. A book that does not exist has no accounts.
//
// It adds up kept balances and the tail after them, so what it costs does not grow with the history:
// it does with the accounts, the campaigns, and, for a time in the past, that one day's entries.
func (s *Service) Accounts(ctx context.Context, book, collective string, asOf time.Time) ([]Account, error) {
	statement, args := accountsNowSQL, pgx.NamedArgs{"book": book, "collective": collective}
	if !asOf.IsZero() {
		statement = accountsAsOfSQL
		year, month, day := asOf.UTC().Date()
		args["as_of"] = asOf
		args["year"] = time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		args["month"] = time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
		args["day"] = time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
		args["day_start"] = args["day"]
	}
	rows, err := s.pool.Query(ctx, statement, args)
	if err != nil {
		return nil, postgres.Error(err)
	}
	var (
		accounts []Account
		a        Account
		currency string
		minor    int64
	)
	if _, err := pgx.ForEachRow(rows, []any{&a.Code, &a.DisplayName, &a.Type, &currency, &minor}, func() error {
		if n := len(accounts); n == 0 || accounts[n-1].Code != a.Code {
			accounts = append(accounts, a)
		}
		if currency != "" {
			last := &accounts[len(accounts)-1]
			last.Balances = append(last.Balances, money.Amount{Minor: minor, Currency: money.Currency(currency)})
		}
		return nil
	}); err != nil {
		return nil, postgres.Error(err)
	}
	return accounts, nil
}

// startOf and endOf make a bound that is not given one that excludes nothing.
func startOf(t time.Time) pgtype.Timestamptz { return bound(t, pgtype.NegativeInfinity) }

func endOf(t time.Time) pgtype.Timestamptz { return bound(t, pgtype.Infinity) }

func bound(t time.Time, open pgtype.InfinityModifier) pgtype.Timestamptz {
	if t.IsZero() {
		return pgtype.Timestamptz{InfinityModifier: open, Valid: true}
	}
	return pgtype.Timestamptz{Time: t, Valid: true}
}

// Gifts are credits, so the sum of what remains is turned round. Which books a campaign is in, and so
// whose tails to read, its nominal accounts tell: they are found by walking the index from one to the next.
const campaignTotalsSQL = `
WITH RECURSIVE asked AS (
    SELECT
        k.collective,
        k.campaign
    FROM unnest(
        @collectives::text[],
        @campaigns::text[]
    ) AS k (collective, campaign)
),
used AS (
    SELECT
        k.collective,
        k.campaign,
        (
            SELECT e.account_id
            FROM ledger.entries AS e
            WHERE e.collective = k.collective
                AND e.campaign = k.campaign
                AND e.nominal
            ORDER BY e.account_id
            LIMIT 1
        ) AS account_id
    FROM asked AS k
    UNION ALL
    SELECT
        u.collective,
        u.campaign,
        (
            SELECT e.account_id
            FROM ledger.entries AS e
            WHERE e.collective = u.collective
                AND e.campaign = u.campaign
                AND e.nominal
                AND e.account_id > u.account_id
            ORDER BY e.account_id
            LIMIT 1
        )
    FROM used AS u
    WHERE u.account_id IS NOT NULL
),
books AS (
    SELECT DISTINCT a.book
    FROM used AS u
    JOIN ledger.accounts AS a ON a.id = u.account_id
),
counted AS (
    SELECT r.account_id
    FROM ledger.roles AS r
    WHERE r.role = ANY(@roles::text[])
),
tail AS (
    SELECT
        e.collective,
        e.campaign,
        e.account_id,
        e.currency,
        e.amount
    FROM books AS b
    LEFT JOIN LATERAL (
        SELECT
            t.xid,
            t.id
        FROM ledger.seals AS s
        JOIN ledger.transactions AS t ON t.id = s.transaction_id
        WHERE s.book = b.book
            AND s.number = (
                SELECT max(c.number)
                FROM ledger.balance_checkpoints AS c
                WHERE c.book = b.book
            )
    ) AS p ON true
    CROSS JOIN LATERAL (
        SELECT t.id
        FROM ledger.transactions AS t
        WHERE t.book = b.book
            AND (t.xid, t.id) > (COALESCE(p.xid, '0'), COALESCE(p.id, 0))
        ORDER BY
            t.book,
            t.xid,
            t.id
        OFFSET 0
    ) AS t
    CROSS JOIN LATERAL (
        SELECT
            e.collective,
            e.campaign,
            e.account_id,
            e.currency,
            e.amount
        FROM ledger.entries AS e
        WHERE e.transaction_id = t.id
        OFFSET 0
    ) AS e
),
parts AS (
    SELECT
        k.collective,
        k.campaign,
        k.account_id,
        k.currency,
        n.balance AS amount
    FROM asked AS q
    JOIN ledger.balance_keys AS k
        ON k.collective = q.collective
        AND k.span = 'all'
        AND k.starts_on = '-infinity'
        AND k.campaign = q.campaign
    CROSS JOIN LATERAL (
        SELECT b.balance
        FROM ledger.balances AS b
        WHERE b.key_id = k.id
        ORDER BY b.number DESC
        LIMIT 1
    ) AS n
    UNION ALL
    SELECT
        t.collective,
        t.campaign,
        t.account_id,
        t.currency,
        t.amount
    FROM tail AS t
    JOIN asked AS q ON q.collective = t.collective AND q.campaign = t.campaign
)
SELECT
    p.collective,
    p.campaign,
    p.currency,
    -sum(p.amount)::bigint
FROM parts AS p
WHERE p.account_id IN (
    SELECT c.account_id
    FROM counted AS c
)
GROUP BY
    p.collective,
    p.campaign,
    p.currency
ORDER BY
    p.collective,
    p.campaign,
    p.currency`

// CampaignTotals returns what the campaigns received, gifts minus what was refunded or taken back
// in disputes, in minor units of each currency, positive when received. It counts what is in the books, that is settled.
// A campaign without entries is missing. The roles must be played by
// accounts of income or expense, as they are in every shipped chart. The index alone answers it.
func (s *Service) CampaignTotals(ctx context.Context, keys []CampaignKey) (map[CampaignKey]map[money.Currency]int64, error) {
	// Once each, or the join would count a campaign as often as it was asked for.
	asked := make(map[CampaignKey]bool, len(keys))
	var collectives, campaigns []string
	for _, key := range keys {
		if !asked[key] {
			asked[key] = true
			collectives = append(collectives, key.Collective)
			campaigns = append(campaigns, key.Campaign)
		}
	}
	totals := make(map[CampaignKey]map[money.Currency]int64, len(asked))
	rows, err := s.pool.Query(ctx, campaignTotalsSQL, pgx.NamedArgs{
		"collectives": collectives, "campaigns": campaigns,
		"roles": []AccountRole{RoleGifts, RoleRefunds, RoleDisputes},
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	var (
		key      CampaignKey
		currency money.Currency
		minor    int64
	)
	if _, err := pgx.ForEachRow(rows, []any{&key.Collective, &key.Campaign, &currency, &minor}, func() error {
		if totals[key] == nil {
			totals[key] = map[money.Currency]int64{}
		}
		totals[key][currency] = minor
		return nil
	}); err != nil {
		return nil, postgres.Error(err)
	}
	return totals, nil
}

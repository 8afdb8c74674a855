package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

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

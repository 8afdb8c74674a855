package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// CampaignKey names a campaign by its slugs. Slugs of campaigns are unique within a collective only, so both are
// needed.
type CampaignKey struct {
	Collective, Campaign string
}

// Donations are credits, so the sum is negated. A campaign's accounts of income and expense are found by skipping
// through the index from one account to the next. They tell which books the campaign is in, including an earlier one
// when its collective has changed the Stripe account. The same index has the entries of each account after the stored
// balances of its book. Neither other campaigns' entries nor the history are read.
//
// The parts are: asked, the campaigns; used, one row for each of their accounts, and one with NULL that ends the
// recursion; counted, the accounts that have one of the roles, with the position of the newest balance checkpoint of
// their book, which is 0 when there is none; parts, the newest stored sums and the entries after that position.
//
// entries_campaign_idx serves used and the entries: it has only the entries on accounts of income and expense, which
// the condition on nominal must repeat. Under row-level security only operators that leak nothing become conditions of an
// index, and Postgres does not count coalesce among them, so counted has the position without NULL. balance_keys_key finds
// the keys, balances_pkey the newest sum of each. An OFFSET 0 keeps Postgres from merging a sub-query into the join around
// it. One statement sees one snapshot, so the newest sums and the position belong together.
//
// Accounts of other roles, such as fees, are of income or expense too and are in used; counted leaves them out. A
// campaign that is in two books is summed over both. Only the end of the statement adds the parts up, for each campaign
// and currency.
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
counted AS (
	SELECT
		u.collective,
		u.campaign,
		u.account_id,
		coalesce(p.xid, '0') AS xid,
		coalesce(p.id, 0) AS id
	FROM used AS u
	CROSS JOIN LATERAL (
		SELECT a.book
		FROM ledger.accounts AS a
		WHERE a.id = u.account_id
			AND EXISTS (
				SELECT
				FROM ledger.roles AS r
				WHERE r.book = a.book
					AND r.role = ANY(@roles::text[])
					AND r.account_id = a.id
			)
		OFFSET 0
	) AS a
	LEFT JOIN LATERAL (
		SELECT
			t.xid,
			t.id
		FROM ledger.seals AS s
		JOIN ledger.transactions AS t ON t.id = s.transaction_id
		WHERE s.book = a.book
			AND s.number = (
				SELECT max(c.number)
				FROM ledger.balance_checkpoints AS c
				WHERE c.book = a.book
			)
		OFFSET 0
	) AS p ON true
),
parts AS (
	SELECT
		c.collective,
		c.campaign,
		k.currency,
		n.balance AS amount
	FROM counted AS c
	JOIN ledger.balance_keys AS k
		ON k.collective = c.collective
		AND k.span = 'all'
		AND k.starts_on = '-infinity'
		AND k.campaign = c.campaign
		AND k.account_id = c.account_id
	CROSS JOIN LATERAL (
		SELECT b.balance
		FROM ledger.balances AS b
		WHERE b.key_id = k.id
		ORDER BY b.number DESC
		LIMIT 1
	) AS n
	UNION ALL
	SELECT
		c.collective,
		c.campaign,
		e.currency,
		e.amount
	FROM counted AS c
	CROSS JOIN LATERAL (
		SELECT
			e.currency,
			e.amount
		FROM ledger.entries AS e
		WHERE e.collective = c.collective
			AND e.campaign = c.campaign
			AND e.account_id = c.account_id
			AND e.nominal
			AND (e.xid, e.transaction_id) > (c.xid, c.id)
		OFFSET 0
	) AS e
)
SELECT
	p.collective,
	p.campaign,
	p.currency,
	-sum(p.amount)::bigint
FROM parts AS p
GROUP BY
	p.collective,
	p.campaign,
	p.currency
ORDER BY
	p.collective,
	p.campaign,
	p.currency`

// CampaignTotals returns what the campaigns received: donations less refunds and disputes, in minor units of each
// currency, positive when received. It counts what is in the books, that is settled. A campaign without entries is
// missing. The roles must belong to accounts of income or expense, as they do in every shipped chart.
//
// It adds up stored balances and the campaigns' own entries after them, so neither the history nor other campaigns'
// entries cost anything.
func (s *Service) CampaignTotals(ctx context.Context, keys []CampaignKey) (map[CampaignKey]map[money.Currency]int64, error) {
	// Once each, or the join would count a campaign as often as it was asked for.
	asked := make(map[CampaignKey]bool, len(keys))
	var collectives, campaigns []string
	for _, key := range keys {
		if !asked[key] {
			asked[key] = true
			// The two lists are columns: one place in both is one campaign.
			collectives = append(collectives, key.Collective)
			campaigns = append(campaigns, key.Campaign)
		}
	}
	totals := make(map[CampaignKey]map[money.Currency]int64, len(asked))
	rows, err := s.pool.Query(ctx, campaignTotalsSQL, pgx.NamedArgs{
		"collectives": collectives, "campaigns": campaigns,
		// Refunds and disputes are debits, so they make the total smaller by themselves.
		"roles": []AccountRole{RoleDonations, RoleRefunds, RoleDisputes},
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
		// A campaign has a row for each currency.
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

package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// The inner query reads entries_balance_idx alone. A chart has some dozens of accounts.
const accountsSQL = `
SELECT
    a.code,
    a.display_name,
    a.type,
    COALESCE(b.currency, ''),
    COALESCE(b.balance, 0)
FROM ledger.accounts AS a
LEFT JOIN (
    SELECT
        e.account_id,
        e.currency,
        sum(e.amount)::bigint AS balance
    FROM ledger.entries AS e
    WHERE e.collective = @collective
        AND e.effective_at < @as_of
    GROUP BY
        e.account_id,
        e.currency
) AS b ON b.account_id = a.id
WHERE a.book = @book
ORDER BY
    a.code COLLATE "C",
    b.currency`

// Accounts returns the accounts of a book by code, with the balances of one collective's share:
// of what had happened before asOf, or of everything when asOf is zero. Nothing is summed across
// currencies. A book that does not exist has no accounts.
func (s *Service) Accounts(ctx context.Context, book, collective string, asOf time.Time) ([]Account, error) {
	rows, err := s.pool.Query(ctx, accountsSQL, pgx.NamedArgs{
		"book": book, "collective": collective, "as_of": endOf(asOf),
	})
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

// Gifts are credits, so the sum of what remains is turned round.
const campaignTotalsSQL = `
SELECT
    k.collective,
    k.campaign,
    e.currency,
    -sum(e.amount)::bigint
FROM unnest(
    @collectives::text[],
    @campaigns::text[]
) AS k (collective, campaign)
JOIN ledger.entries AS e
    ON e.collective = k.collective
    AND e.campaign = k.campaign
WHERE e.account_id IN (
    SELECT r.account_id
    FROM ledger.roles AS r
    WHERE r.role = ANY(@roles::text[])
)
GROUP BY
    k.collective,
    k.campaign,
    e.currency
ORDER BY
    k.collective,
    k.campaign,
    e.currency`

// CampaignTotals returns what the campaigns received, gifts minus what was refunded or taken back
// in disputes, in minor units of each currency, positive when received. It counts what is in the books, that is settled.
// A campaign without entries is missing. The index alone answers it.
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

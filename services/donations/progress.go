package donations

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// A campaign's currency cannot change once it takes donations, so any of them tells it: the first in
// donations_campaign_idx. unbooked is what is pending, converted what settled in a balance of another currency, twice
// what went back beyond the donations' amounts, and early what went back of donations that are not booked. The sums are read
// from donations_unbooked_idx, donations_converted_idx, donations_paid_back_twice_idx and donations_back_before_booked_idx, which
// have such rows only. A campaign without donations through Stripe has no row.
const pendingSQL = `
SELECT
	n.collective,
	n.campaign,
	one.currency,
	coalesce(unbooked.amount_minor, 0)::bigint,
	coalesce(converted.amount_minor, 0)::bigint,
	(coalesce(twice.amount_minor, 0) + coalesce(early.amount_minor, 0))::bigint
FROM unnest(
	@collectives::text[],
	@campaigns::text[]
) AS n (collective, campaign)
CROSS JOIN LATERAL (
	SELECT d.currency
	FROM donations.donations AS d
	WHERE d.collective = n.collective
		AND d.campaign = n.campaign
	ORDER BY
		d.state,
		d.created_at DESC,
		d.id DESC
	LIMIT 1
) AS one
CROSS JOIN LATERAL (
	SELECT sum(d.amount_minor) AS amount_minor
	FROM donations.donations AS d
	WHERE d.collective = n.collective
		AND d.campaign = n.campaign
		AND d.booked_at IS NULL
		AND d.state IN ('pending', 'succeeded', 'partially_refunded', 'refunded', 'disputed')
) AS unbooked
CROSS JOIN LATERAL (
	SELECT sum(greatest(d.amount_minor - d.refunded_minor - d.disputed_minor, 0)) AS amount_minor
	FROM donations.donations AS d
	WHERE d.collective = n.collective
		AND d.campaign = n.campaign
		AND d.settled_currency IS NOT NULL
) AS converted
CROSS JOIN LATERAL (
	SELECT sum(d.refunded_minor + d.disputed_minor - d.amount_minor) AS amount_minor
	FROM donations.donations AS d
	WHERE d.collective = n.collective
		AND d.campaign = n.campaign
		AND d.settled_currency IS NULL
		AND d.booked_at IS NOT NULL
		AND d.refunded_minor + d.disputed_minor > d.amount_minor
) AS twice
CROSS JOIN LATERAL (
	SELECT sum(d.refunded_minor + d.disputed_minor) AS amount_minor
	FROM donations.donations AS d
	WHERE d.collective = n.collective
		AND d.campaign = n.campaign
		AND d.booked_at IS NULL
		AND d.refunded_minor + d.disputed_minor <> 0
) AS early`

// Progress is a campaigns.ProgressFunc. Settled is what the ledger has in the campaign's currency, pending what is paid or under
// way and not booked. Donations that settled in a balance of another currency are in the books in that currency; they count
// here by their own amount, less what went back. A donation that was paid back twice counts as zero: the books have the
// loss, and it takes nothing from what other donors gave. A refund or dispute that is booked before its donation counts once
// the donation is booked. package overview has the same sums by day.
//
// Settled is read first, so that a donation that is booked in between is missing once rather than counted twice.
func (s *Service) Progress(ctx context.Context, names []campaigns.Name) (map[campaigns.Name]campaigns.Progress, error) {
	if len(names) == 0 {
		return map[campaigns.Name]campaigns.Progress{}, nil
	}
	// The arrays are parallel: one collective and one slug for each name.
	keys := make([]ledger.CampaignKey, len(names))
	collectives, slugs := make([]string, len(names)), make([]string, len(names))
	for i, n := range names {
		keys[i] = ledger.CampaignKey{Collective: n.Collective, Campaign: n.Campaign}
		collectives[i], slugs[i] = n.Collective, n.Campaign
	}
	// The ledger's totals are by campaign and currency. The campaign's own currency is one of them; converted has what
	// is in the others.
	settled, err := s.cfg.Ledger.CampaignTotals(ctx, keys)
	if err != nil {
		return nil, err
	}
	rows, err := s.cfg.Pool.Query(ctx, pendingSQL, pgx.NamedArgs{"collectives": collectives, "campaigns": slugs})
	if err != nil {
		return nil, postgres.Error(err)
	}
	// A name that is missing in the answer has neither pending nor settled donations.
	progress := make(map[campaigns.Name]campaigns.Progress, len(names))
	var name campaigns.Name
	var pending money.Amount
	var converted, twice int64
	_, err = pgx.ForEachRow(rows, []any{
		&name.Collective, &name.Campaign, &pending.Currency, &pending.Minor, &converted, &twice,
	}, func() error {
		// The books deducted all that went back, so what exceeds the donations' amounts is added again.
		key := ledger.CampaignKey{Collective: name.Collective, Campaign: name.Campaign}
		progress[name] = campaigns.Progress{
			Settled: money.Amount{Minor: settled[key][pending.Currency] + converted + twice, Currency: pending.Currency},
			Pending: pending,
		}
		return nil
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	for key, totals := range settled {
		name := campaigns.Name{Collective: key.Collective, Campaign: key.Campaign}
		if _, told := progress[name]; told {
			continue
		}
		// It has only donations that did not come through Stripe.
		campaign, err := s.cfg.Campaigns.Get(ctx, name)
		if err != nil {
			return nil, err
		}
		progress[name] = campaigns.Progress{
			Settled: money.Amount{Minor: totals[campaign.Currency], Currency: campaign.Currency},
			Pending: money.Amount{Currency: campaign.Currency},
		}
	}
	return progress, nil
}

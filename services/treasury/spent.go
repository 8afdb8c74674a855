package treasury

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// chequesTogether is how many cheques to the lawyer everybody sees together, in a campaign's or a stage's sum. One alone could be
// computed from the sum and the list of expenses, which has none of them.
const chequesTogether = 5

// What the books have on a campaign's expense accounts without Stripe's fees, by stage, which the books do not know; and the part of
// it that everybody sees: of the cheques of a stage, the first ones, in groups.
// It returns one row for each campaign, stage and currency that has something. The index expenses_campaign_idx serves
// the expenses, which is why the condition on the empty text is there, and offline_donations_spent_idx the cheques to
// the lawyer. Nothing is locked.
const spentSQL = `
SELECT
	n.collective,
	n.campaign,
	x.stage,
	x.currency,
	sum(x.amount_minor)::bigint,
	coalesce(sum(x.amount_minor) FILTER (WHERE x.public), 0)::bigint
FROM unnest(
	@collectives::text[],
	@campaigns::text[]
) AS n (collective, campaign)
CROSS JOIN LATERAL (
	SELECT
		e.stage,
		e.currency,
		e.amount_minor,
		true AS public
	FROM treasury.expenses AS e
	WHERE e.collective = n.collective
		AND e.campaign <> ''
		AND e.campaign = n.campaign
		AND e.state <> 'reversed'
	UNION ALL
	SELECT
		d.stage,
		d.currency,
		d.amount_minor,
		row_number() OVER (PARTITION BY d.stage ORDER BY d.created_at, d.id)
			<= count(*) OVER (PARTITION BY d.stage) / @together::bigint * @together::bigint AS public
	FROM treasury.offline_donations AS d
	WHERE d.collective = n.collective
		AND d.campaign = n.campaign
		AND d.method = 'payee_cheque'
		AND NOT d.outside_books
		AND d.state <> 'reversed'
) AS x
GROUP BY
	n.collective,
	n.campaign,
	x.stage,
	x.currency
ORDER BY
	n.collective,
	n.campaign,
	x.stage,
	x.currency`

// WithSpent returns a function that adds to the progress of campaigns what was spent for them: expenses, paid or owed, and
// cheques that donors wrote to the lawyer, as far as they are in the books.
func (s *Service) WithSpent(donations campaigns.ProgressFunc) campaigns.ProgressFunc {
	return func(ctx context.Context, names []campaigns.Name) (map[campaigns.Name]campaigns.Progress, error) {
		progress, err := donations(ctx, names)
		if err != nil || len(names) == 0 {
			return progress, err
		}
		// Each once, because the join counts a campaign as often as it is asked for.
		asked := make(map[campaigns.Name]bool, len(names))
		var collectives, slugs []string
		for _, n := range names {
			if !asked[n] {
				asked[n] = true
				collectives, slugs = append(collectives, n.Collective), append(slugs, n.Campaign)
			}
		}
		rows, err := s.cfg.Pool.Query(ctx, spentSQL, pgx.NamedArgs{"collectives": collectives, "campaigns": slugs, "together": chequesTogether})
		if err != nil {
			return nil, postgres.Error(err)
		}
		var name campaigns.Name
		var stage string
		var amount money.Amount
		var public int64
		_, err = pgx.ForEachRow(rows, []any{&name.Collective, &name.Campaign, &stage, &amount.Currency, &amount.Minor, &public}, func() error {
			// All amounts are in the one currency of the campaign.
			p := progress[name]
			told := money.Amount{Minor: public, Currency: amount.Currency}
			p.Spent = money.Amount{Minor: p.Spent.Minor + amount.Minor, Currency: amount.Currency}
			p.PublicSpent = money.Amount{Minor: p.PublicSpent.Minor + public, Currency: amount.Currency}
			// Money that is of no stage counts for the campaign alone.
			if stage != "" {
				if p.SpentByStage == nil {
					p.SpentByStage, p.PublicSpentByStage = map[string]money.Amount{}, map[string]money.Amount{}
				}
				p.SpentByStage[stage], p.PublicSpentByStage[stage] = amount, told
			}
			progress[name] = p
			return nil
		})
		return progress, postgres.Error(err)
	}
}

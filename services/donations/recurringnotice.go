package donations

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/money"
)

// Members are told of each monthly donation that ended: which, how much, since when and why, and never whose. What ends
// with its campaign is one notice, made when that end becomes pending. Somebody can end a thousand in Stripe's dashboard as well, so
// no more than maxEndsTold are told one by one on a day, and the others of that day are one notice together.

const maxEndsTold = 20

// endKinds are the notices of single ends. What ends with its campaign is told by tellClosedTx.
var endKinds = map[EndReason]collectives.NoticeKind{
	EndedByDonor:      collectives.NoticeRecurringEndedByDonor,
	EndedByCollective: collectives.NoticeRecurringEndedByCollective,
	EndedByFailure:    collectives.NoticeRecurringEndedUnpaid,
	EndedAtStripe:     collectives.NoticeRecurringEndedAtStripe,
}

// The rows are few: an index of those that were told leads to those of today.
const noteEndToldSQL = `
UPDATE donations.recurring AS r
SET end_told_at = @now
WHERE r.id = @id
RETURNING (
	SELECT count(*)
	FROM (
		SELECT
		FROM donations.recurring AS o
		WHERE o.collective = r.collective
			AND o.end_told_at >= @today
			AND o.id <> r.id
		LIMIT @max
	) AS told
)`

// tellEndTx tells members that a monthly donation has ended, once: an end is for ever. One whose first month was never
// paid did not begin.
func (s *Service) tellEndTx(ctx context.Context, tx pgx.Tx, r Recurring, sub stripe.Subscription, state RecurringState) error {
	kind, told := endKinds[endReason(r, sub, state)]
	if !told || state != RecurringCanceled || r.State == RecurringCanceled || sub.Latest.First && !sub.Latest.Paid {
		return nil
	}
	amount := r.Amount
	if sub.Amount.Minor > 0 { // another one may still be wanted
		amount = sub.Amount
	}
	now := s.now()
	today := now.Truncate(24 * time.Hour)
	var before int
	err := tx.QueryRow(ctx, noteEndToldSQL, pgx.NamedArgs{"id": r.ID, "now": now, "today": today, "max": maxEndsTold}).Scan(&before)
	if err != nil {
		return postgres.Error(err)
	}
	if before >= maxEndsTold {
		return s.cfg.Collectives.TellTx(ctx, tx, collectives.Notice{
			Collective: r.Campaign.Collective, Kind: collectives.NoticeRecurringEndedMany, Key: today.Format(time.DateOnly),
			Subject: r.Campaign.String(),
		})
	}
	return s.cfg.Collectives.TellTx(ctx, tx, collectives.Notice{
		Collective: r.Campaign.Collective, Kind: kind, Key: r.ID.String(), Subject: r.Name(), Amount: amount, Since: r.CreateTime,
	})
}

const closedSumSQL = `
SELECT
	c.currency,
	coalesce(c.closed_at, c.deadline),
	coalesce(sum(r.amount_minor), 0)::bigint
FROM campaigns.campaigns AS c
LEFT JOIN donations.recurring AS r ON r.collective = c.collective
	AND r.campaign = c.id
	AND r.state IN ('active', 'past_due')
	AND (NOT r.cancel_at_period_end OR r.state = 'past_due')
	AND r.livemode = @livemode
WHERE c.collective = @collective
	AND c.id = @campaign
GROUP BY
	c.currency,
	c.closed_at,
	c.deadline`

// tellClosedTx tells members, once, that all monthly donations of a campaign that is over end with it, and what those
// brought a month.
func (s *Service) tellClosedTx(ctx context.Context, tx pgx.Tx, campaign campaigns.Name) error {
	var sum money.Amount
	var over time.Time
	err := tx.QueryRow(ctx, closedSumSQL, pgx.NamedArgs{
		"collective": campaign.Collective, "campaign": campaign.Campaign, "livemode": s.cfg.Stripe.Livemode(),
	}).Scan(&sum.Currency, &over, &sum.Minor)
	if err != nil {
		return postgres.Error(err)
	}
	return s.cfg.Collectives.TellTx(ctx, tx, collectives.Notice{
		Collective: campaign.Collective, Kind: collectives.NoticeRecurringEndedWithCampaign,
		// A deadline can be put off, and pass again.
		Key:     campaign.Campaign + " " + over.UTC().Format(time.RFC3339),
		Subject: campaign.String(), Amount: sum,
	})
}

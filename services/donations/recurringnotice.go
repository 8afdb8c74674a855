package donations

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/notices"
)

// maxEndsTold is how many ends have notices of their own in one day (UTC). The others of that day share one notice: members
// can end a thousand at once in Stripe's dashboard. A notice has the donation's name, amount, start and reason, and not its
// donor. All that ends with a campaign is one notice, which is made when that end becomes pending.
const maxEndsTold = 20

// endKinds are the notices of single ends; those with a campaign are tellClosedTx's.
var endKinds = map[EndReason]notices.Kind{
	EndedByDonor:      notices.RecurringEndedByDonor,
	EndedByCollective: notices.RecurringEndedByCollective,
	EndedByFailure:    notices.RecurringEndedUnpaid,
	EndedAtStripe:     notices.RecurringEndedAtStripe,
}

// An index of the rows with a notice finds those of today. noteEndToldSQL marks the donation, and returns how many
// others of the collective were marked today. It counts to @max only, so a day with many ends costs no more.
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

// tellEndTx notifies members that a monthly donation has ended, once: an end is final. One whose first month was never paid
// did not begin, and gets no notice.
func (s *Service) tellEndTx(ctx context.Context, tx pgx.Tx, r Recurring, sub stripe.Subscription, state RecurringState) error {
	// An end with its campaign has no kind here, because tellClosedTx has told it.
	kind, told := endKinds[endReason(r, sub, state)]
	if !told || state != RecurringCanceled || r.State == RecurringCanceled || sub.Latest.First && !sub.Latest.Paid {
		return nil
	}
	amount := r.Amount
	if sub.Amount.Minor > 0 { // r.Amount may be a pending one
		amount = sub.Amount
	}
	now := s.now()
	today := now.Truncate(24 * time.Hour)
	var before int
	err := tx.QueryRow(ctx, noteEndToldSQL, pgx.NamedArgs{"id": r.ID, "now": now, "today": today, "max": maxEndsTold}).Scan(&before)
	if err != nil {
		return postgres.Error(err)
	}
	// Further ends of the day have one key, and so make one notice.
	if before >= maxEndsTold {
		return s.cfg.Notices.TellTx(ctx, tx, notices.Notice{
			Collective: r.Campaign.Collective, Kind: notices.RecurringEndedMany, Key: today.Format(time.DateOnly),
			Subject: r.Campaign.String(),
		})
	}
	return s.cfg.Notices.TellTx(ctx, tx, notices.Notice{
		Collective: r.Campaign.Collective, Kind: kind, Key: r.ID.String(), Subject: r.Name(), Amount: amount, Since: r.CreateTime,
	})
}

// closedSumSQL returns the campaign's currency, since when it is over, and the monthly sum of the donations that end
// with it, zero for none. It leaves out those that are to end with their month for another reason, as endClosedSQL
// does.
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

// tellClosedTx notifies members, once, that all monthly donations of a campaign that is over end with it, with their sum a
// month.
func (s *Service) tellClosedTx(ctx context.Context, tx pgx.Tx, campaign campaigns.Name) error {
	var sum money.Amount
	var over time.Time
	err := tx.QueryRow(ctx, closedSumSQL, pgx.NamedArgs{
		"collective": campaign.Collective, "campaign": campaign.Campaign, "livemode": s.cfg.Stripe.Livemode(),
	}).Scan(&sum.Currency, &over, &sum.Minor)
	if err != nil {
		return postgres.Error(err)
	}
	return s.cfg.Notices.TellTx(ctx, tx, notices.Notice{
		Collective: campaign.Collective, Kind: notices.RecurringEndedWithCampaign,
		// A deadline can be moved, and pass again: that is another notice.
		Key:     campaign.Campaign + " " + over.UTC().Format(time.RFC3339),
		Subject: campaign.String(), Amount: sum,
	})
}

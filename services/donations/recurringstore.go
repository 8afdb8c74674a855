package donations

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/limit"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// recurringColumns is what scanRecurring reads. The amount is the pending one, if there is one. No debit follows a
// pending end, so none is announced. xmin is the transaction that wrote the row last, and so the row's version.
const recurringColumns = `
	r.id,
	r.collective,
	r.campaign,
	coalesce(r.pending_amount_minor, r.amount_minor),
	r.currency,
	r.locale,
	r.stripe_account,
	r.livemode,
	r.state,
	coalesce(r.subscription_id, ''),
	coalesce(r.customer_id, ''),
	r.cancel_at_period_end,
	r.period_ends_at,
	r.cancel_at,
	r.paused,
	r.resumes_at,
	CASE WHEN r.pending_end IS NULL THEN r.next_debit_at END,
	r.debit_pending,
	r.ended_at,
	r.end_reason,
	coalesce(r.pending_amount_minor, 0),
	coalesce(r.pending_end, ''),
	r.change_number,
	r.change_failures,
	r.donor_forgotten_at,
	r.created_at,
	r.updated_at,
	r.xmin::text`

// scanRecurring reads a row. Times are UTC, and zero for NULL.
func scanRecurring(row pgx.CollectableRow) (Recurring, error) {
	var r Recurring
	var periodEnd, cancel, resume, next, end, forgotten *time.Time
	err := row.Scan(&r.ID, &r.Campaign.Collective, &r.Campaign.Campaign, &r.Amount.Minor, &r.Amount.Currency, &r.Locale,
		&r.StripeAccount, &r.Livemode, &r.State, &r.Subscription, &r.Customer, &r.CancelAtPeriodEnd, &periodEnd, &cancel,
		&r.Paused, &resume, &next, &r.DebitPending, &end, &r.EndReason, &r.pendingMinor, &r.pendingEnd, &r.changeNumber, &r.changeFailures, &forgotten, &r.CreateTime, &r.UpdateTime, &r.version)
	r.PeriodEnd, r.CancelTime, r.ResumeTime = fromNull(periodEnd), fromNull(cancel), fromNull(resume)
	r.NextDebit, r.EndTime, r.ForgetTime = fromNull(next), fromNull(end), fromNull(forgotten)
	r.CreateTime, r.UpdateTime = r.CreateTime.UTC(), r.UpdateTime.UTC()
	return r, err
}

// oneRecurring returns pgx.ErrNoRows for none.
func oneRecurring(rows pgx.Rows, err error) (Recurring, error) {
	if err != nil {
		return Recurring{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanRecurring)
}

const recurringByIDSQL = `
SELECT` + recurringColumns + `
FROM donations.recurring AS r
WHERE r.id = @id`

// GetRecurring returns one monthly donation of a campaign. If the campaign is over, the end that follows from that is
// pending in the answer already. Errors: NOT_FOUND, also for a monthly donation of another campaign.
func (s *Service) GetRecurring(ctx context.Context, campaign campaigns.Name, id uuid.UUID) (Recurring, error) {
	r, err := oneRecurring(s.cfg.Pool.Query(ctx, recurringByIDSQL, pgx.NamedArgs{"id": id}))
	if errors.Is(err, pgx.ErrNoRows) || (err == nil && r.Campaign != campaign) {
		return Recurring{}, errs.NotFound(recurringName(campaign, id))
	}
	if err != nil {
		return Recurring{}, postgres.Error(err)
	}
	// addCampaignEnds takes a list, as ListRecurring needs it.
	found := []Recurring{r}
	err = s.addCampaignEnds(ctx, campaign.Collective, found)
	return found[0], err
}

// monthsSQL returns the donations of a monthly donation that were ever paid, by donations_recurring_idx.
const monthsSQL = `
SELECT` + columns + `
FROM donations.donations AS d
WHERE d.recurring_id = @recurring
	AND d.paid_at IS NOT NULL
ORDER BY d.id`

// Months returns the donations of a monthly donation that were ever paid, by their ids.
func (s *Service) Months(ctx context.Context, db postgres.Querier, recurring uuid.UUID) ([]Donation, error) {
	rows, err := db.Query(ctx, monthsSQL, pgx.NamedArgs{"recurring": recurring})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scan)
	return found, postgres.Error(err)
}

// receiptMailLimit is for the mails with one receipt: its donor may have mistyped the address, and nobody else is to be flooded.
var receiptMailLimit = limit.Rate{Burst: 4, Interval: 4 * time.Hour}

// LimitReceiptMailTx counts one mail with the receipts of something, by its name, and reports whether it may be sent. It locks a
// row until the caller's transaction ends, so it is called last.
func (s *Service) LimitReceiptMailTx(ctx context.Context, tx pgx.Tx, of string) (ok bool, err error) {
	wait, err := s.limits().TakeTx(ctx, tx, "receipt mails", of, receiptMailLimit, s.now())
	return wait == 0, err
}

// ParseRecurringName reads a resource name. A name of another form is NOT_FOUND.
func ParseRecurringName(name string) (campaigns.Name, uuid.UUID, error) {
	return parseRecurringName(name)
}

// campaignsOverSQL returns those of the campaigns that are closed or past their deadline, by campaigns_pkey.
const campaignsOverSQL = `
SELECT c.id
FROM campaigns.campaigns AS c
WHERE c.collective = @collective
	AND c.id = ANY(@campaigns::text[])
	AND (c.state = 'closed' OR c.deadline <= @now)`

// addCampaignEnds sets the pending end that upkeep is about to store for monthly donations of campaigns that are over, as
// endClosedSQL does, so that no answer promises a next month in between. All donations are of one collective.
func (s *Service) addCampaignEnds(ctx context.Context, collective string, found []Recurring) error {
	var ids []string
	for _, r := range found {
		ids = append(ids, r.Campaign.Campaign)
	}
	rows, err := s.cfg.Pool.Query(ctx, campaignsOverSQL, pgx.NamedArgs{"collective": collective, "campaigns": ids, "now": s.now()})
	if err != nil {
		return postgres.Error(err)
	}
	over, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return postgres.Error(err)
	}
	for i := range found {
		r := &found[i]
		// An end that is stored already stays, with its reason.
		if !slices.Contains(over, r.Campaign.Campaign) ||
			!r.running() || r.CancelAtPeriodEnd || r.pendingEnd != "" || r.Livemode != s.cfg.Stripe.Livemode() {
			continue
		}
		// This changes the answer only. Upkeep stores the end.
		r.EndReason, r.pendingEnd, r.NextDebit = EndedByCampaign, endWithMonth, time.Time{}
	}
	return nil
}

// listRecurringOfCampaignSQL returns a page of one campaign's monthly donations. Each state is read from
// recurring_campaign_idx; see listBefore.
const listRecurringOfCampaignSQL = `
WITH found AS (
	SELECT f.id
	FROM unnest(@states::text[]) AS s (state)
	CROSS JOIN LATERAL (
		SELECT
			o.id,
			o.created_at
		FROM donations.recurring AS o
		WHERE o.collective = @collective
			AND o.campaign = @campaign` + listBefore + listedRecurring

// listRecurringOfCollectiveSQL is the same for a collective, by recurring_collective_idx.
const listRecurringOfCollectiveSQL = `
WITH found AS (
	SELECT f.id
	FROM unnest(@states::text[]) AS s (state)
	CROSS JOIN LATERAL (
		SELECT
			o.id,
			o.created_at
		FROM donations.recurring AS o
		WHERE o.collective = @collective` + listBefore + listedRecurring

// listedRecurring reads the whole rows of the page. The page is sorted again, because a join keeps no order.
const listedRecurring = `
SELECT` + recurringColumns + `
FROM found
JOIN donations.recurring AS r ON r.id = found.id
ORDER BY
	r.created_at DESC,
	r.id DESC`

// ListRecurring returns up to count monthly donations that match the filter, as [Service.GetRecurring] does, newest first,
// from the one after the given position.
func (s *Service) ListRecurring(ctx context.Context, f Filter, before Position, count int) ([]Recurring, error) {
	// Without states the filter asks for all of them.
	statement := listRecurringOfCollectiveSQL
	if f.Campaign != "" {
		statement = listRecurringOfCampaignSQL
	}
	rows, err := s.cfg.Pool.Query(ctx, statement, f.args(names(recurringStates, nil), before, count))
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scanRecurring)
	if err != nil {
		return nil, postgres.Error(err)
	}
	return found, s.addCampaignEnds(ctx, f.Collective, found)
}

// insertRecurringSQL copies what both have in common from the first donation, so that it cannot differ. The row has the
// state created, and nothing of Stripe's until the first month is paid.
const insertRecurringSQL = `
INSERT INTO donations.recurring (
	id,
	collective,
	campaign,
	amount_minor,
	currency,
	locale,
	stripe_account,
	livemode,
	created_at,
	updated_at
)
SELECT
	d.id,
	d.collective,
	d.campaign,
	d.amount_minor,
	d.currency,
	d.locale,
	d.stripe_account,
	d.livemode,
	d.created_at,
	d.created_at
FROM donations.donations AS d
WHERE d.id = @id`

// beginRecurringTx inserts the monthly donation whose first month is the donation that the same transaction inserted.
func beginRecurringTx(ctx context.Context, tx pgx.Tx, first uuid.UUID) error {
	_, err := tx.Exec(ctx, insertRecurringSQL, pgx.NamedArgs{"id": first})
	return postgres.Error(err)
}

package donations

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// columns is what scan reads. The fraud warnings are those of package refunds. Times that are not known are NULL, ids
// are empty, and the monthly donation of a single one is the zero UUID. A pause that never began is -infinity in the
// table, and NULL here.
const columns = `
	d.id,
	d.collective,
	d.campaign,
	d.fingerprint,
	d.amount_minor,
	d.fee_cover_minor,
	d.currency,
	d.locale,
	d.return_url,
	d.stripe_account,
	d.livemode,
	d.state,
	d.attempt,
	d.session_expires_at,
	coalesce(d.checkout_session_id, ''),
	coalesce(d.checkout_url, ''),
	coalesce(d.payment_intent_id, ''),
	d.payment_method,
	d.poll_attempts,
	d.refunded_minor,
	d.disputed_minor,
	EXISTS (
		SELECT
		FROM refunds.fraud_warnings AS w
		WHERE w.donation = d.id
			AND w.actionable
	),
	d.session_failures,
	nullif(d.retry_at, '-infinity'),
	d.looked_at,
	d.declines,
	d.reopenings,
	ARRAY(SELECT e.session_id FROM donations.earlier_sessions AS e WHERE e.donation = d.id),
	coalesce(d.recurring_id, '00000000-0000-0000-0000-000000000000'),
	d.paid_at,
	d.booked_at,
	d.created_at,
	d.updated_at`

// scan reads a row. Times are UTC, and zero for NULL. The fee cover has the donation's currency.
func scan(r pgx.CollectableRow) (Donation, error) {
	var d Donation
	var expires, retry, looked, paid, booked *time.Time
	err := r.Scan(&d.ID, &d.Campaign.Collective, &d.Campaign.Campaign, &d.fingerprint, &d.Amount.Minor, &d.FeeCover.Minor, &d.Amount.Currency,
		&d.Locale, &d.ReturnURL, &d.StripeAccount, &d.Livemode, &d.State, &d.attempt, &expires, &d.CheckoutSession,
		&d.checkoutURL, &d.PaymentIntent, &d.PaymentMethod, &d.pollAttempts,
		&d.RefundedMinor, &d.DisputedMinor, &d.fraudWarning, &d.failures, &retry, &looked,
		&d.declines, &d.reopenings, &d.earlier, &d.Recurring, &paid, &booked, &d.CreateTime, &d.UpdateTime)
	d.FeeCover.Currency = d.Amount.Currency
	d.CreateTime, d.UpdateTime = d.CreateTime.UTC(), d.UpdateTime.UTC()
	d.ExpireTime, d.retryTime, d.lookTime = fromNull(expires), fromNull(retry), fromNull(looked)
	d.PayTime, d.BookTime = fromNull(paid), fromNull(booked)
	return d, err
}

// fromNull is the time in UTC; zero for NULL.
func fromNull(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// byIDSQL reads one donation by donations_pkey, and locks nothing.
const byIDSQL = `
SELECT` + columns + `
FROM donations.donations AS d
WHERE d.id = @id`

// byID returns pgx.ErrNoRows for a donation that does not exist.
func (s *Service) byID(ctx context.Context, id uuid.UUID) (Donation, error) {
	return collectOne(s.cfg.Pool.Query(ctx, byIDSQL, pgx.NamedArgs{"id": id}))
}

// lockByIDSQL locks the row against other changes. Rows that refer to it can still be inserted, since their foreign key
// takes a weaker lock.
const lockByIDSQL = byIDSQL + `
FOR NO KEY UPDATE`

// LockTx returns a donation, and locks its row until the caller's transaction ends. Whoever counts or changes what went back of a
// donation holds this lock. A donation that does not exist is pgx.ErrNoRows.
func (s *Service) LockTx(ctx context.Context, tx pgx.Tx, id uuid.UUID) (Donation, error) {
	return collectOne(tx.Query(ctx, lockByIDSQL, pgx.NamedArgs{"id": id}))
}

// collectOne reads the one row of a query; pgx.ErrNoRows for none. It takes the results of Query as they are.
func collectOne(rows pgx.Rows, err error) (Donation, error) {
	if err != nil {
		return Donation{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scan)
}

// Get returns one donation of a campaign; one that does not exist, or is another campaign's, is NOT_FOUND.
func (s *Service) Get(ctx context.Context, campaign campaigns.Name, id uuid.UUID) (Donation, error) {
	d, err := s.byID(ctx, id)
	// The id alone finds it. A donation under another campaign's name is treated as missing, so that names cannot be
	// mixed.
	if errors.Is(err, pgx.ErrNoRows) || (err == nil && d.Campaign != campaign) {
		return Donation{}, errs.NotFound(campaign.String() + "/donations/" + id.String())
	}
	return d, postgres.Error(err)
}

// byRequestSQL finds the donation of a request id, which is unique in its campaign, by donations_request_key.
const byRequestSQL = `
SELECT` + columns + `
FROM donations.donations AS d
WHERE d.collective = @collective
	AND d.campaign = @campaign
	AND d.request_id = @request_id`

// byRequest returns pgx.ErrNoRows for a request that is new.
func (s *Service) byRequest(ctx context.Context, campaign campaigns.Name, requestID uuid.UUID) (Donation, error) {
	return collectOne(s.cfg.Pool.Query(ctx, byRequestSQL, pgx.NamedArgs{
		"collective": campaign.Collective, "campaign": campaign.Campaign, "request_id": requestID,
	}))
}

// Of two equal requests the second inserts nothing, and reads the row of the first. State, attempt, turn and pause have
// their defaults in the table. recurring_id is that of the donation itself for a first month, and NULL for a single
// donation.
const insertSQL = `
INSERT INTO donations.donations (
	id,
	collective,
	campaign,
	request_id,
	fingerprint,
	amount_minor,
	fee_cover_minor,
	currency,
	locale,
	return_url,
	stripe_account,
	livemode,
	recurring_id,
	created_at,
	updated_at
)
VALUES (
	@id,
	@collective,
	@campaign,
	@request_id,
	@fingerprint,
	@amount_minor,
	@fee_cover_minor,
	@currency,
	@locale,
	@return_url,
	@stripe_account,
	@livemode,
	nullif(@recurring_id::uuid, '00000000-0000-0000-0000-000000000000'),
	@now,
	@now
)
ON CONFLICT (collective, campaign, request_id) DO NOTHING`

// insertTx reports false when the request id is taken.
func insertTx(ctx context.Context, tx pgx.Tx, d Donation, requestID uuid.UUID) (inserted bool, err error) {
	tag, err := tx.Exec(ctx, insertSQL, pgx.NamedArgs{
		"id":              d.ID,
		"collective":      d.Campaign.Collective,
		"campaign":        d.Campaign.Campaign,
		"request_id":      requestID,
		"fingerprint":     d.fingerprint,
		"amount_minor":    d.Amount.Minor,
		"fee_cover_minor": d.FeeCover.Minor,
		"currency":        string(d.Amount.Currency),
		"locale":          d.Locale,
		"return_url":      d.ReturnURL,
		"stripe_account":  d.StripeAccount,
		"livemode":        d.Livemode,
		"recurring_id":    d.Recurring,
		"now":             d.CreateTime,
	})
	return tag.RowsAffected() == 1, postgres.Error(err)
}

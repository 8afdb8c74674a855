package refunds

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/notices"
)

// refundSelect is what scanRefund reads. A refund without a payment intent is of the donation's own payment. The method
// of a surplus payment stands with that payment. Only surplus payments have a method of their own; for all others the
// donation's counts. The claim of the donor's bank follows from method and time.
const refundSelect = `
SELECT
	r.id,
	r.collective,
	d.campaign,
	r.donation,
	r.stripe_account,
	r.origin = 'stripe',
	r.amount_minor,
	r.currency,
	r.reason,
	r.note,
	coalesce(r.requested_by, ''),
	coalesce(r.reviewed_by, ''),
	r.state,
	coalesce(r.stripe_refund_id, ''),
	r.failure_reason,
	r.fingerprint,
	r.attempt,
	coalesce(nullif(r.payment_intent_id, ''), d.payment_intent_id, ''),
	coalesce((
		SELECT nullif(p.payment_method, '')
		FROM donations.payments AS p
		WHERE p.donation = r.donation
			AND p.payment_intent_id = r.payment_intent_id
			AND p.surplus
	), d.payment_method),
	d.paid_at,
	r.submitted_at,
	r.created_at,
	r.updated_at
FROM refunds.refunds AS r
JOIN donations.donations AS d ON d.id = r.donation`

// scanRefund reads a row. Times are UTC, and zero for NULL.
func scanRefund(row pgx.CollectableRow) (Refund, error) {
	var r Refund
	var method string
	var paid, submitted *time.Time
	err := row.Scan(&r.ID, &r.Campaign.Collective, &r.Campaign.Campaign, &r.Donation, &r.StripeAccount, &r.AtStripe,
		&r.Amount.Minor, &r.Amount.Currency, &r.Reason, &r.Note, &r.RequestedBy, &r.ReviewedBy, &r.State, &r.StripeRefund,
		&r.FailureReason, &r.fingerprint, &r.attempt, &r.paymentIntent, &method, &paid, &submitted, &r.CreateTime, &r.UpdateTime)
	r.Claim = claimOf(method, fromNull(paid))
	r.CreateTime, r.UpdateTime, r.SubmitTime = r.CreateTime.UTC(), r.UpdateTime.UTC(), fromNull(submitted)
	return r, err
}

// fromNull is the time in UTC; zero for NULL.
func fromNull(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// collectRefund reads the one refund of a query; pgx.ErrNoRows for none.
func collectRefund(rows pgx.Rows, err error) (Refund, error) {
	if err != nil {
		return Refund{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanRefund)
}

// refundByIDSQL reads one refund, and locks nothing.
const refundByIDSQL = refundSelect + `
WHERE r.id = @id`

// lockRefundSQL is refundByIDSQL with a lock for changes: Submit takes an approved refund without the donation's lock.
// The lock is on the refund alone, not on the joined donation.
const lockRefundSQL = refundByIDSQL + `
FOR NO KEY UPDATE OF r`

// Get returns one refund of a donation; one that does not exist, or is another donation's, is NOT_FOUND.
func (s *Service) Get(ctx context.Context, campaign campaigns.Name, donation, id uuid.UUID) (Refund, error) {
	r, err := collectRefund(s.cfg.Pool.Query(ctx, refundByIDSQL, pgx.NamedArgs{"id": id}))
	if errors.Is(err, pgx.ErrNoRows) || err == nil && (r.Campaign != campaign || r.Donation != donation) {
		return Refund{}, errs.NotFound(Refund{Campaign: campaign, Donation: donation, ID: id}.Name())
	}
	return r, postgres.Error(err)
}

// GetOfCollective returns one refund by its id alone; one that does not exist, or is another collective's, is NOT_FOUND.
func (s *Service) GetOfCollective(ctx context.Context, collective string, id uuid.UUID) (Refund, error) {
	r, err := collectRefund(s.cfg.Pool.Query(ctx, refundByIDSQL, pgx.NamedArgs{"id": id}))
	if errors.Is(err, pgx.ErrNoRows) || err == nil && r.Campaign.Collective != collective {
		return Refund{}, errs.NotFound("collectives/" + collective + "/refunds/" + id.String())
	}
	return r, postgres.Error(err)
}

// listRefundsOfDonationSQL returns a page of one donation's refunds, in the order of refunds_donation_idx. The states
// are filtered afterwards: a donation has few refunds.
const listRefundsOfDonationSQL = refundSelect + `
WHERE r.donation = @donation
	AND (cardinality(@states::text[]) = 0 OR r.state = ANY(@states::text[]))
	AND (r.created_at, r.id) < (@before_time, @before_id)
ORDER BY
	r.created_at DESC,
	r.id DESC
LIMIT @count`

// Position is a refund's place in a list.
type Position struct {
	CreateTime time.Time
	ID         uuid.UUID
}

// newest is the position before all refunds.
var newest = Position{CreateTime: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), ID: uuid.Max}

// listRefundsSQL is the same for a collective, in the order of refunds_list_idx.
const listRefundsSQL = refundSelect + `
WHERE r.collective = @collective
	AND (cardinality(@states::text[]) = 0 OR r.state = ANY(@states::text[]))
	AND (r.created_at, r.id) < (@before_time, @before_id)
ORDER BY
	r.created_at DESC,
	r.id DESC
LIMIT @count`

// List returns up to count refunds of a collective, newest first, those after the given position; only those of one donation
// unless donation is Nil, and only those in some states unless states is empty.
func (s *Service) List(ctx context.Context, collective string, donation uuid.UUID, states []State, after Position, count int) ([]Refund, error) {
	// Never nil, because cardinality of NULL is not zero.
	named := make([]string, len(states))
	for i, state := range states {
		named[i] = string(state)
	}
	// Two statements, because each has an index of its own.
	sql := listRefundsSQL
	if donation != uuid.Nil {
		sql = listRefundsOfDonationSQL
	}
	rows, err := s.cfg.Pool.Query(ctx, sql, pgx.NamedArgs{
		"collective": collective, "donation": donation, "states": named,
		"before_time": after.CreateTime, "before_id": after.ID, "count": count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scanRefund)
	return found, postgres.Error(err)
}

// insertRefundSQL stores a member's request. refunds_request_key refuses a second one of the same request id; Create
// looks for that one before, under the donation's lock.
const insertRefundSQL = `
INSERT INTO refunds.refunds (
	id,
	donation,
	collective,
	stripe_account,
	payment_intent_id,
	origin,
	request_id,
	fingerprint,
	amount_minor,
	currency,
	reason,
	note,
	requested_by,
	state,
	look_at,
	created_at,
	updated_at
)
VALUES (
	@id,
	@donation,
	@collective,
	@account,
	@intent,
	'member',
	@request_id,
	@fingerprint,
	@amount_minor,
	@currency,
	@reason,
	@note,
	@requested_by,
	@state,
	@look_at,
	@now,
	@now
)`

// insertRefundTx stores the request in its first state and returns the refund. An approved one has look_at, by which
// upkeep finds it if its job is lost. The caller has locked the donation.
func (s *Service) insertRefundTx(ctx context.Context, tx pgx.Tx, d donations.Donation, in Request, intent string, amount money.Amount, state State) (Refund, error) {
	now, id := s.now(), uuid.Must(uuid.NewV7())
	_, err := tx.Exec(ctx, insertRefundSQL, pgx.NamedArgs{
		"id": id, "donation": d.ID, "collective": d.Campaign.Collective, "account": d.StripeAccount, "intent": intent,
		"request_id": in.RequestID, "fingerprint": in.fingerprint(), "amount_minor": amount.Minor,
		"currency": string(amount.Currency), "reason": string(in.Reason), "note": in.Note, "requested_by": in.Key,
		"state": string(state), "look_at": lookAt(state, now), "now": now,
	})
	if err != nil {
		return Refund{}, postgres.Error(err)
	}
	// It is read again for what the insert does not have: the claim of the donor's bank, which depends on the donation.
	r, err := collectRefund(tx.Query(ctx, refundByIDSQL, pgx.NamedArgs{"id": id}))
	return r, postgres.Error(err)
}

// moveRefundSQL writes a state. The trigger refunds.check_refund_change refuses a step that the table of states lacks.
const moveRefundSQL = `
UPDATE refunds.refunds AS r
SET
	state = @state,
	failure_reason = @failure_reason,
	look_at = @look_at,
	updated_at = @now
WHERE r.id = @id`

// moveRefundTx moves a refund to a state that CanBecome allows. The caller has locked the donation.
func (s *Service) moveRefundTx(ctx context.Context, tx pgx.Tx, r Refund, next State, failure string) error {
	now := s.now()
	_, err := tx.Exec(ctx, moveRefundSQL, pgx.NamedArgs{
		"id": r.ID, "state": string(next), "failure_reason": failure, "look_at": lookAt(next, now), "now": now,
	})
	return postgres.Error(err)
}

// reviewRefundSQL writes the decision with the members behind both keys, which the constraint refunds_second_person
// compares.
const reviewRefundSQL = `
UPDATE refunds.refunds AS r
SET
	state = @state,
	reviewed_by = @key,
	requested_member = @asker,
	reviewed_member = @second,
	look_at = @look_at,
	updated_at = @now
WHERE r.id = @id`

// reviewTx stores the review of a refund. The caller has locked the donation and the refund, which awaits its approval.
func (s *Service) reviewTx(ctx context.Context, tx pgx.Tx, r Refund, next State, by review) error {
	now := s.now()
	_, err := tx.Exec(ctx, reviewRefundSQL, pgx.NamedArgs{
		"id": r.ID, "state": string(next), "key": by.key, "asker": by.asker, "second": by.second,
		"look_at": lookAt(next, now), "now": now,
	})
	return postgres.Error(err)
}

// lookAt is when the timer looks next at a refund that has just come to the state; nil for never.
func lookAt(state State, now time.Time) *time.Time {
	if !state.Unfinished() {
		return nil
	}
	at := now.Add(followSoonest)
	return &at
}

// changeRefund locks the donation, then the refund, as every change does, and returns the refund after the change. A refund that
// does not exist is NOT_FOUND.
func (s *Service) changeRefund(ctx context.Context, campaign campaigns.Name, donation, id uuid.UUID,
	change func(context.Context, pgx.Tx, donations.Donation, Refund) error,
) (refund Refund, err error) {
	// One error for whatever is missing or belongs to something else.
	missing := errs.NotFound(Refund{Campaign: campaign, Donation: donation, ID: id}.Name())
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		d, err := s.cfg.Donations.LockTx(ctx, tx, donation)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && d.Campaign != campaign {
			return missing
		}
		if err != nil {
			return postgres.Error(err)
		}
		refund, err = collectRefund(tx.Query(ctx, lockRefundSQL, pgx.NamedArgs{"id": id}))
		if errors.Is(err, pgx.ErrNoRows) || err == nil && refund.Donation != donation {
			return missing
		}
		if err != nil {
			return postgres.Error(err)
		}
		// Any error of change rolls everything back.
		if err := change(ctx, tx, d, refund); err != nil {
			return err
		}
		before := refund.State
		refund, err = collectRefund(tx.Query(ctx, refundByIDSQL, pgx.NamedArgs{"id": id}))
		if err != nil || refund.State == before {
			return postgres.Error(err)
		}
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: campaign.Collective, Resource: refund.Name(),
			Before: audit.Fields{"state": string(before)}, After: audit.Fields{"state": string(refund.State), "amount": refund.Amount.String()},
		})
	})
	return refund, err
}

// tellRefundTx gives members notice of a refund, once for each kind of notice.
func (s *Service) tellRefundTx(ctx context.Context, tx pgx.Tx, kind notices.Kind, r Refund) error {
	return s.cfg.Notices.TellTx(ctx, tx, notices.Notice{
		Collective: r.Campaign.Collective, Kind: kind, Key: r.ID.String(), Subject: r.Name(), Amount: r.Amount,
	})
}

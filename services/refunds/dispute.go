package refunds

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/notices"
)

// Dispute is a dispute or inquiry of a donor's bank about a donation. The ledger has the money that it moved.
type Dispute struct {
	// ID is Stripe's id.
	ID            string
	StripeAccount string
	Campaign      campaigns.Name
	Donation      uuid.UUID
	// Amount is what is disputed; it may be a part of the donation.
	Amount money.Amount
	// Reason is the bank's reason, in Stripe's word.
	Reason string
	Status stripe.DisputeStatus
	// DueTime is until when evidence can be submitted; zero when it cannot.
	DueTime time.Time
	// Withdrawn, Reinstated and Fee are what Stripe's balance lost and got back, in the balance's currency. They have no
	// currency while no money moved.
	Withdrawn, Reinstated, Fee money.Amount
	CreateTime, UpdateTime     time.Time
}

// Name returns the resource name, `collectives/{collective}/disputes/{dispute}`.
func (d Dispute) Name() string { return "collectives/" + d.Campaign.Collective + "/disputes/" + d.ID }

// DashboardURL is its page in Stripe's dashboard, where members answer it.
func (d Dispute) DashboardURL(livemode bool) string {
	// A connected account's pages are under its id, and test mode has a path of its own.
	url := "https://dashboard.stripe.com/"
	if d.StripeAccount != "" {
		url += d.StripeAccount + "/"
	}
	if !livemode {
		url += "test/"
	}
	return url + "disputes/" + d.ID
}

// disputeRank orders the statuses: a later reading never ranks lower, unless money moved in between. A closed inquiry can still
// become a dispute, and a lost dispute can be won on appeal.
var disputeRank = map[stripe.DisputeStatus]int{
	stripe.InquiryNeedsResponse: 1,
	stripe.InquiryUnderReview:   2,
	stripe.InquiryClosed:        3,
	stripe.DisputeNeedsResponse: 4,
	stripe.DisputeUnderReview:   5,
	stripe.DisputePrevented:     6,
	stripe.DisputeLost:          7,
	stripe.DisputeWon:           8,
}

// rankOf ranks an unknown status as one of a dispute that goes on.
func rankOf(s stripe.DisputeStatus) int {
	if rank, known := disputeRank[s]; known || s == "" {
		// Also the empty status of a dispute that is not stored, whose rank is zero.
		return rank
	}
	return disputeRank[stripe.DisputeUnderReview]
}

// disputeOpen reports whether the dispute can change before money moves.
func disputeOpen(s stripe.DisputeStatus) bool {
	switch s {
	case stripe.InquiryClosed, stripe.DisputePrevented, stripe.DisputeLost, stripe.DisputeWon:
		return false
	}
	return true
}

// ReadDispute reads a dispute at Stripe and stores it. It may be called any number of times and in any order, outside a
// transaction. Members get one notice of each change. ours is false for a dispute of a payment that is no donation.
func (s *Service) ReadDispute(ctx context.Context, account, id string) (ours bool, err error) {
	// Stripe is asked before the transaction, so a slow answer holds no lock. The order of readings is told by their
	// content.
	is, err := s.cfg.Stripe.GetDispute(ctx, account, id)
	if err != nil {
		return false, notThere(err)
	}
	match, err := s.cfg.Donations.PaymentOf(ctx, account, donations.Payment{Intent: is.PaymentIntent, Charge: is.Charge})
	if err != nil || match.Donation == uuid.Nil {
		return false, err
	}
	return true, postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		return s.applyDisputeTx(ctx, tx, match, account, is)
	})
}

// What is stored of the dispute, to compare a reading with. There is no row before the first reading. The lock of the
// donation keeps the row from changing meanwhile.
const disputeStatusSQL = `
SELECT
	p.status,
	p.withdrawn_minor,
	p.reinstated_minor
FROM refunds.disputes AS p
WHERE p.stripe_account = @account
	AND p.id = @id`

// The sums of a dispute only grow, so a reading with smaller sums is older. An equal reading changes no row, so that
// update_time tells the last change. putDisputeSQL inserts a dispute, or changes the row that disputes_pkey finds.
// look_at is not compared, since each reading has another one.
const putDisputeSQL = `
INSERT INTO refunds.disputes AS p (
	stripe_account,
	id,
	donation,
	collective,
	payment_intent_id,
	amount_minor,
	currency,
	reason,
	status,
	refundable,
	due_at,
	withdrawn_minor,
	reinstated_minor,
	fee_minor,
	balance_currency,
	look_at,
	created_at,
	updated_at
)
VALUES (
	@account,
	@id,
	@donation,
	@collective,
	@intent,
	@amount_minor,
	@currency,
	@reason,
	@status,
	@refundable,
	@due_at,
	@withdrawn_minor,
	@reinstated_minor,
	@fee_minor,
	@balance_currency,
	@look_at,
	@created_at,
	@now
)
ON CONFLICT (stripe_account, id) DO UPDATE
SET
	payment_intent_id = excluded.payment_intent_id,
	amount_minor = excluded.amount_minor,
	reason = excluded.reason,
	status = excluded.status,
	refundable = excluded.refundable,
	due_at = excluded.due_at,
	withdrawn_minor = excluded.withdrawn_minor,
	reinstated_minor = excluded.reinstated_minor,
	fee_minor = excluded.fee_minor,
	balance_currency = excluded.balance_currency,
	look_at = excluded.look_at,
	updated_at = excluded.updated_at
WHERE p.reinstated_minor <= excluded.reinstated_minor
	AND p.withdrawn_minor <= excluded.withdrawn_minor
	AND (
		p.amount_minor,
		p.reason,
		p.status,
		p.refundable,
		p.due_at,
		p.withdrawn_minor,
		p.reinstated_minor,
		p.fee_minor
	) IS DISTINCT FROM (
		excluded.amount_minor,
		excluded.reason,
		excluded.status,
		excluded.refundable,
		excluded.due_at,
		excluded.withdrawn_minor,
		excluded.reinstated_minor,
		excluded.fee_minor
	)`

// applyDisputeTx stores a reading. One that is older than what is known changes nothing.
func (s *Service) applyDisputeTx(ctx context.Context, tx pgx.Tx, match donations.Match, account string, is stripe.Dispute) error {
	// The lock orders two readings of one dispute, and keeps refunds from seeing a part of one.
	d, err := s.cfg.Donations.LockTx(ctx, tx, match.Donation)
	if err != nil {
		return postgres.Error(err)
	}
	// The zero Dispute stands for none: its rank is below all others.
	var was stripe.Dispute
	err = tx.QueryRow(ctx, disputeStatusSQL, pgx.NamedArgs{"account": account, "id": is.ID}).
		Scan(&was.Status, &was.WithdrawnMinor, &was.ReinstatedMinor)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return postgres.Error(err)
	}
	if olderDispute(is, was) {
		return nil
	}
	now := s.now()
	// The amount is in the currency of the payment, the sums are in that of the balance.
	named := pgx.NamedArgs{
		"account": account, "id": is.ID, "donation": d.ID, "collective": d.Campaign.Collective,
		"intent": is.PaymentIntent, "amount_minor": is.AmountMinor, "currency": is.Currency, "reason": is.Reason, "status": string(is.Status),
		"refundable": is.Refundable, "due_at": nil, "withdrawn_minor": is.WithdrawnMinor,
		"reinstated_minor": is.ReinstatedMinor, "fee_minor": is.FeeMinor, "balance_currency": is.BalanceCurrency,
		"look_at": nil, "created_at": is.Created, "now": now,
	}
	// A dispute that has ended is read again only when money moves for it.
	if disputeOpen(is.Status) {
		named["look_at"] = now.Add(followSoonest)
		if !is.DueBy.IsZero() {
			named["due_at"] = is.DueBy
		}
	}
	if _, err := tx.Exec(ctx, putDisputeSQL, named); err != nil {
		return postgres.Error(err)
	}
	// A dispute that is lost although its money came back takes nothing, and may be read again at any time.
	if is.Status == stripe.DisputeLost && (is.WithdrawnMinor > is.ReinstatedMinor || was.Status != is.Status) && s.cfg.LostTx != nil {
		if err := s.cfg.LostTx(ctx, tx, d.ID); err != nil {
			return err
		}
	}
	return s.tellDisputeTx(ctx, tx, d, is, was)
}

// olderDispute reports whether a reading was made before another one. Sums of money only grow, so they are compared first.
func olderDispute(is, was stripe.Dispute) bool {
	if is.WithdrawnMinor == was.WithdrawnMinor && is.ReinstatedMinor == was.ReinstatedMinor {
		return rankOf(is.Status) < rankOf(was.Status)
	}
	// Any smaller sum is enough, since neither can go down.
	return is.WithdrawnMinor < was.WithdrawnMinor || is.ReinstatedMinor < was.ReinstatedMinor
}

// tellDisputeTx gives members notice of a new status, and of money that came back although the dispute is not won. A closed
// inquiry and a prevented dispute need no notice, since nobody has to act.
func (s *Service) tellDisputeTx(ctx context.Context, tx pgx.Tx, d donations.Donation, is, was stripe.Dispute) error {
	n := notices.Notice{
		Collective: d.Campaign.Collective, Key: is.ID,
		Subject: Dispute{ID: is.ID, Campaign: d.Campaign}.Name(),
		Amount:  money.Amount{Minor: is.AmountMinor, Currency: money.Currency(is.Currency)},
	}
	// The key has the sum, so that each further amount that comes back is one more notice.
	if is.ReinstatedMinor > was.ReinstatedMinor && is.Status != stripe.DisputeWon {
		// The amount is what came back since the last reading, in the balance's currency.
		back := n
		back.Kind, back.Key = notices.DisputeReinstated, fmt.Sprint(is.ID, " ", is.ReinstatedMinor)
		back.Amount = money.Amount{Minor: is.ReinstatedMinor - was.ReinstatedMinor, Currency: money.Currency(is.BalanceCurrency)}
		if err := s.cfg.Notices.TellTx(ctx, tx, back); err != nil {
			return err
		}
	}
	// A status that members know already is told once only.
	if is.Status == was.Status {
		return nil
	}
	switch is.Status {
	case stripe.InquiryNeedsResponse:
		// The notice has the time until which members can answer.
		n.Kind, n.Deadline = notices.InquiryOpened, is.DueBy
	case stripe.DisputeNeedsResponse, stripe.DisputeUnderReview: // one notice for both, by its key
		n.Kind, n.Deadline = notices.DisputeOpened, is.DueBy
	case stripe.DisputeWon:
		n.Kind = notices.DisputeWon
	case stripe.DisputeLost:
		n.Kind = notices.DisputeLost
	default:
		return nil
	}
	return s.cfg.Notices.TellTx(ctx, tx, n)
}

// disputeSelect is what scanDispute reads. The campaign is the donation's, since disputes store the collective only.
const disputeSelect = `
SELECT
	p.id,
	p.stripe_account,
	p.collective,
	d.campaign,
	p.donation,
	p.amount_minor,
	p.currency,
	p.reason,
	p.status,
	p.due_at,
	p.withdrawn_minor,
	p.reinstated_minor,
	p.fee_minor,
	p.balance_currency,
	p.created_at,
	p.updated_at
FROM refunds.disputes AS p
JOIN donations.donations AS d ON d.id = p.donation`

// scanDispute reads a row. All that moved is in the balance's currency, which is empty while nothing moved.
func scanDispute(row pgx.CollectableRow) (Dispute, error) {
	var d Dispute
	var due *time.Time
	var moved money.Currency
	err := row.Scan(&d.ID, &d.StripeAccount, &d.Campaign.Collective, &d.Campaign.Campaign, &d.Donation, &d.Amount.Minor,
		&d.Amount.Currency, &d.Reason, &d.Status, &due, &d.Withdrawn.Minor, &d.Reinstated.Minor, &d.Fee.Minor, &moved,
		&d.CreateTime, &d.UpdateTime)
	d.CreateTime, d.UpdateTime, d.DueTime = d.CreateTime.UTC(), d.UpdateTime.UTC(), fromNull(due)
	d.Withdrawn.Currency, d.Reinstated.Currency, d.Fee.Currency = moved, moved, moved
	return d, err
}

// getDisputeSQL asks for the collective too, so that members do not read disputes of others by their ids.
const getDisputeSQL = disputeSelect + `
WHERE p.collective = @collective
	AND p.id = @id`

// GetDispute returns a dispute of one of a collective's donations; any other is NOT_FOUND.
func (s *Service) GetDispute(ctx context.Context, collective, id string) (Dispute, error) {
	rows, err := s.cfg.Pool.Query(ctx, getDisputeSQL, pgx.NamedArgs{"collective": collective, "id": id})
	if err != nil {
		return Dispute{}, postgres.Error(err)
	}
	d, err := pgx.CollectExactlyOneRow(rows, scanDispute)
	if errors.Is(err, pgx.ErrNoRows) {
		return Dispute{}, errs.NotFound(Dispute{Campaign: campaigns.Name{Collective: collective}, ID: id}.Name())
	}
	return d, postgres.Error(err)
}

// listDisputesSQL returns a page of a collective's disputes, in the order of disputes_list_idx.
const listDisputesSQL = disputeSelect + `
WHERE p.collective = @collective
	AND (p.created_at, p.id) < (@before_time, @before_id)
ORDER BY
	p.created_at DESC,
	p.id DESC
LIMIT @count`

// StripePosition is the place in a list of an object that has Stripe's id.
type StripePosition struct {
	CreateTime time.Time
	ID         string
}

// ListDisputes returns up to count disputes of a collective's donations, newest first, those after the given position.
func (s *Service) ListDisputes(ctx context.Context, collective string, after StripePosition, count int) ([]Dispute, error) {
	rows, err := s.cfg.Pool.Query(ctx, listDisputesSQL, pgx.NamedArgs{
		"collective": collective, "before_time": after.CreateTime, "before_id": after.ID, "count": count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scanDispute)
	return found, postgres.Error(err)
}

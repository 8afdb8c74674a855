package donations

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/notices"
)

// Movement is what a balance transaction of Stripe's means for its donation.
type Movement struct {
	Donation uuid.UUID
	// Account is the Stripe account whose balance moved.
	Account string
	// PaymentIntent, Charge and Method are those of the payment; Method is Stripe's word, such as sepa_debit.
	PaymentIntent, Charge, Method string
	// At is when it happened at Stripe.
	At time.Time
	// PaidMinor is the donation's amount for a payment; zero otherwise.
	PaidMinor int64
	// SettledIn is the currency of the balance, and so of the payment in the books.
	SettledIn money.Currency
	// PaidIn is what the donor paid; the zero Amount when that is in the donation's currency.
	PaidIn money.Amount
	// RefundedMinor is what a refund took, in the donation's currency, as far as that is known; negative for a refund that
	// failed.
	RefundedMinor int64
	// RefundedIn is the same in the currency that the donor paid in; the zero Amount when that is the donation's currency.
	RefundedIn money.Amount
	// DisputedMinor is what the donor's bank took, in the donation's currency, as far as that is known; negative for what came
	// back.
	DisputedMinor int64
	// DisputedIn is the same in the currency that the donor paid in; the zero Amount when that is the donation's currency.
	DisputedIn money.Amount
	// Refund and Dispute are Stripe's ids of the refund or dispute that moved the money; empty for a payment.
	Refund, Dispute string
	// Back: the money came back to the collective.
	Back bool
}

// A donation that is paid again, by another charge, keeps its first payment, and is not among the rows. The arrays of
// bookSQL have one element for each payment. Of several payments of one donation in a batch, the earliest one is the
// first. The booked payment replaces an unbooked one in the donation's row. poll_at ends, because there is nothing left
// to ask Stripe about. It returns the charge of each first payment.
const bookSQL = `
UPDATE donations.donations AS d
SET
	state = CASE
		WHEN d.state IN ('created', 'pending', 'expired', 'failed', 'canceled') THEN 'succeeded'
		ELSE d.state
	END,
	payment_intent_id = coalesce(nullif(m.intent, ''), d.payment_intent_id),
	charge_id = coalesce(nullif(m.charge, ''), d.charge_id),
	payment_method = m.method,
	paid_at = m.at,
	booked_at = @now,
	settled_currency = nullif(m.currency, d.currency),
	poll_at = NULL,
	updated_at = @now
FROM (
	SELECT DISTINCT ON (u.id)
		u.id,
		u.intent,
		u.charge,
		nullif(u.currency, '') AS currency,
		u.method,
		u.at
	FROM unnest(
		@ids::uuid[],
		@intents::text[],
		@charges::text[],
		@currencies::text[],
		@methods::text[],
		@at::timestamptz[]
	) AS u (id, intent, charge, currency, method, at)
	ORDER BY
		u.id,
		u.at,
		u.charge
) AS m
WHERE d.id = m.id
	AND d.booked_at IS NULL
RETURNING
	d.id,
	m.charge`

// The balance decides the state of a paid donation, in whatever order its movements become known. A long history is
// read from its newest end, so a refund or dispute may be booked before the payment: it is added up then, and counts
// once the payment is booked. A dispute takes one payment: of a donation that was paid twice, whose refunded_minor is
// negative, the other one is still received. The last condition skips donations whose sums do not change, except one
// that has just been booked and whose refunds or disputes were booked before.
const bookRefundsSQL = `
UPDATE donations.donations AS d
SET
	refunded_minor = d.refunded_minor + m.minor,
	disputed_minor = d.disputed_minor + m.disputed,
	state = CASE
		WHEN d.state NOT IN ('succeeded', 'partially_refunded', 'refunded', 'disputed') THEN d.state
		WHEN d.disputed_minor + m.disputed > 0
			AND d.refunded_minor + m.minor + d.disputed_minor + m.disputed > 0 THEN 'disputed'
		WHEN d.refunded_minor + m.minor >= d.amount_minor THEN 'refunded'
		WHEN d.refunded_minor + m.minor > 0 THEN 'partially_refunded'
		ELSE 'succeeded'
	END,
	updated_at = @now
FROM (
	SELECT
		u.id,
		sum(u.minor)::bigint AS minor,
		sum(u.disputed)::bigint AS disputed
	FROM unnest(
		@ids::uuid[],
		@minor::bigint[],
		@disputed::bigint[]
	) AS u (id, minor, disputed)
	GROUP BY u.id
) AS m
WHERE d.id = m.id
	AND (
		m.minor <> 0
		OR m.disputed <> 0
		OR (d.state = 'succeeded' AND (d.refunded_minor > 0 OR d.disputed_minor > 0))
	)`

// BookTx updates the donations of movements that are posted to the ledger in the same transaction. A donation whose payment is
// booked becomes succeeded in whatever unpaid state it was, since its webhooks may have been lost. The caller passes only
// movements that are new in the ledger, and has locked the donations by [Service.FindTx].
func (s *Service) BookTx(ctx context.Context, tx pgx.Tx, movements []Movement) error {
	if len(movements) == 0 {
		return nil
	}
	first, err := s.bookFirstTx(ctx, tx, movements)
	if err != nil {
		return err
	}
	minor, disputed, twice, err := bookPaymentsTx(ctx, tx, movements, first)
	if err != nil {
		return err
	}
	// The arrays minor and disputed are parallel to movements. bookRefundsSQL adds them up by donation.
	ids := make([]uuid.UUID, len(movements))
	var returned []uuid.UUID
	for i, m := range movements {
		ids[i] = m.Donation
		if m.Refund != "" {
			returned = append(returned, m.Donation)
		}
		if m.PaidMinor > 0 && !first[i] {
			if err := s.tellPaidTwiceTx(ctx, tx, m); err != nil {
				return err
			}
		}
	}
	_, err = tx.Exec(ctx, bookRefundsSQL, pgx.NamedArgs{"ids": ids, "minor": minor, "disputed": disputed, "now": s.now()})
	if err != nil {
		return postgres.Error(err)
	}
	if len(returned) > 0 && s.cfg.ReturnedTx != nil {
		if err := s.cfg.ReturnedTx(ctx, tx, returned); err != nil {
			return err
		}
	}
	return s.tellPaidBackTwiceTx(ctx, tx, twice)
}

// bookFirstTx books the first payment of each donation, and reports which movements those are.
func (s *Service) bookFirstTx(ctx context.Context, tx pgx.Tx, movements []Movement) (first []bool, err error) {
	var (
		ids                       []uuid.UUID
		intents, charges, methods []string
		currencies                []string
		at                        []time.Time
	)
	for _, m := range movements {
		// Refunds and disputes have PaidMinor zero.
		if m.PaidMinor > 0 {
			currencies = append(currencies, string(m.SettledIn))
			ids, at = append(ids, m.Donation), append(at, m.At)
			intents, charges, methods = append(intents, m.PaymentIntent), append(charges, m.Charge), append(methods, m.Method)
		}
	}
	rows, err := tx.Query(ctx, bookSQL, pgx.NamedArgs{
		"ids": ids, "intents": intents, "charges": charges, "currencies": currencies, "methods": methods, "at": at, "now": s.now(),
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	booked := map[uuid.UUID]string{}
	var id uuid.UUID
	var charge string
	if _, err = pgx.ForEachRow(rows, []any{&id, &charge}, func() error { booked[id] = charge; return nil }); err != nil {
		return nil, postgres.Error(err)
	}
	first = make([]bool, len(movements))
	for i, m := range movements {
		if charge, isNew := booked[m.Donation]; isNew && m.PaidMinor > 0 && charge == m.Charge {
			first[i] = true
			// Only one movement of the batch is the donation's first payment, even if another one names the same
			// charge.
			delete(booked, m.Donation)
		}
	}
	return first, nil
}

// tellPaidTwiceTx gives members notice of a second payment. They may ask the donor which one was meant.
func (s *Service) tellPaidTwiceTx(ctx context.Context, tx pgx.Tx, m Movement) error {
	s.cfg.Logger.WarnContext(ctx, "a donation was paid once more", slog.String("donation", m.Donation.String()), slog.String("charge", m.Charge))
	d, err := s.LockTx(ctx, tx, m.Donation)
	if err != nil {
		return postgres.Error(err)
	}
	paid := m.PaidIn
	if paid.Currency == "" {
		paid = money.Amount{Minor: m.PaidMinor, Currency: d.Amount.Currency}
	}
	// The key has the charge, so that a third payment is another notice and a repeat is none.
	return s.cfg.Notices.TellTx(ctx, tx, notices.Notice{
		Collective: d.Campaign.Collective, Kind: notices.PaidTwice, Key: d.ID.String() + " " + m.Charge,
		Subject: d.Name(), Amount: paid,
	})
}

// tellPaidBackTwiceTx gives members notice of what went back beyond what was paid, so that they can claim it.
func (s *Service) tellPaidBackTwiceTx(ctx context.Context, tx pgx.Tx, all []paidBackTwice) error {
	for _, b := range all {
		// The caller has locked the donation already; this reads its name and currency.
		d, err := s.LockTx(ctx, tx, b.donation)
		if err != nil {
			return postgres.Error(err)
		}
		s.cfg.Logger.WarnContext(ctx, "a donation was paid back twice", slog.String("donation", d.ID.String()), slog.String("by", b.by))
		if err := s.cfg.Notices.TellTx(ctx, tx, notices.Notice{
			Collective: d.Campaign.Collective, Kind: notices.PaidBackTwice, Key: d.ID.String() + " " + b.by,
			Subject: d.Name(), Amount: money.Amount{Minor: b.minor, Currency: d.Amount.Currency},
		}); err != nil {
			return err
		}
	}
	return nil
}

package donations

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// Movement is what a balance transaction means for its donation.
type Movement struct {
	Donation uuid.UUID
	// Account is the Stripe account whose balance moved.
	Account string
	// PaymentIntent, Charge and Method are remembered with the first payment; Method is Stripe's word, such as sepa_debit.
	PaymentIntent, Charge, Method string
	// At is when it happened at Stripe.
	At time.Time
	// PaidMinor is the donation's amount when its money arrived; zero otherwise.
	PaidMinor int64
	// SettledIn is the balance's currency, in which a payment is in the books.
	SettledIn money.Currency
	// PaidIn is what the donor paid in another currency than the donation's; the zero Amount when that is the donation's.
	PaidIn money.Amount
	// RefundedMinor is what went back to the donor, in the donation's currency, as far as that is known; negative when a
	// refund failed.
	RefundedMinor int64
	// RefundedIn is the same in the currency that the donor paid in; the zero Amount when that is the donation's.
	RefundedIn money.Amount
	// DisputedMinor is what the donor's bank took, in the donation's currency, as far as that is known; negative when it came
	// back.
	DisputedMinor int64
	// DisputedIn is the same in the currency that the donor paid in; the zero Amount when that is the donation's.
	DisputedIn money.Amount
	// Refund and Dispute are Stripe's ids of what moved it; empty for a payment.
	Refund, Dispute string
	// Back: the money came back to the collective.
	Back bool
}

// A donation that is paid again, on another charge, stays booked as it was, and is not returned.
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

// A paid donation is what the balance has of it, whatever became of it before and in whatever order that is known. A long
// history is read from its newest end, so the refund or the dispute may be known before the payment: then it was added
// up, and counts now. A dispute takes one payment: of a donation that was paid twice, which is below zero given back, the
// other is there.
const giveBackSQL = `
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

// BookTx notes on the donations what was posted to the ledger for them in the same transaction. A donation whose
// money arrived becomes succeeded whatever was known of it: every webhook may have been lost. Call it with
// movements that are new in the ledger only, and after FindTx, which locks the donations.
func (s *Service) BookTx(ctx context.Context, tx pgx.Tx, movements []Movement) error {
	if len(movements) == 0 {
		return nil
	}
	first, err := s.bookFirstTx(ctx, tx, movements)
	if err != nil {
		return err
	}
	minor, disputed, twice, err := keepTx(ctx, tx, movements, first)
	if err != nil {
		return err
	}
	ids := make([]uuid.UUID, len(movements))
	for i, m := range movements {
		ids[i] = m.Donation
		if m.PaidMinor > 0 && !first[i] {
			if err := s.tellPaidTwiceTx(ctx, tx, m); err != nil {
				return err
			}
		}
	}
	_, err = tx.Exec(ctx, giveBackSQL, pgx.NamedArgs{"ids": ids, "minor": minor, "disputed": disputed, "now": s.now()})
	if err != nil {
		return postgres.Error(err)
	}
	return s.tellPaidBackTwiceTx(ctx, tx, twice)
}

// bookFirstTx notes the first payment of each donation, and tells which movements that is.
func (s *Service) bookFirstTx(ctx context.Context, tx pgx.Tx, movements []Movement) (first []bool, err error) {
	var (
		ids                       []uuid.UUID
		intents, charges, methods []string
		currencies                []string
		at                        []time.Time
	)
	for _, m := range movements {
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
			delete(booked, m.Donation)
		}
	}
	return first, nil
}

// tellPaidTwiceTx tells members, who may ask the donor which of the payments was meant.
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
	return s.cfg.Collectives.TellTx(ctx, tx, collectives.Notice{
		Collective: d.Campaign.Collective, Kind: collectives.NoticePaidTwice, Key: d.ID.String() + " " + m.Charge,
		Subject: d.Name(), Amount: paid,
	})
}

// tellPaidBackTwiceTx tells members what went back beyond what was paid: nobody else will ask for it again.
func (s *Service) tellPaidBackTwiceTx(ctx context.Context, tx pgx.Tx, all []backTwice) error {
	for _, b := range all {
		d, err := s.LockTx(ctx, tx, b.donation)
		if err != nil {
			return postgres.Error(err)
		}
		s.cfg.Logger.WarnContext(ctx, "a donation was paid back twice", slog.String("donation", d.ID.String()), slog.String("by", b.by))
		if err := s.cfg.Collectives.TellTx(ctx, tx, collectives.Notice{
			Collective: d.Campaign.Collective, Kind: collectives.NoticePaidBackTwice, Key: d.ID.String() + " " + b.by,
			Subject: d.Name(), Amount: money.Amount{Minor: b.minor, Currency: d.Amount.Currency},
		}); err != nil {
			return err
		}
	}
	return nil
}

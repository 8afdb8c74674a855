package donations

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// pollAfter is how long a paid donation may stay unbooked before Stripe is asked about its payment alone. The sync after each
// event usually books it before, unless its fee comes late.
const pollAfter = time.Minute

// SessionFact is what Stripe said about a session, in an event or when asked.
type SessionFact struct {
	// Account is where the session is: the event's account, or the one that was asked.
	Account string
	Session stripe.Session
	// Failed: the bank refused a debit that was under way (checkout.session.async_payment_failed). The session itself looks
	// like one whose debit is still under way. Stripe may try a monthly donation's first debit again: its invoice says when
	// that ends.
	Failed bool
	// At is when it happened.
	At time.Time
}

// state returns the state that the fact leads to; empty for none.
func (f SessionFact) state() State {
	switch f.Session.Status {
	case stripe.SessionExpired:
		return StateExpired
	case stripe.SessionComplete:
		switch {
		case f.Session.PaymentStatus == stripe.Paid:
			return StateSucceeded
		case f.Session.PaymentStatus != stripe.Unpaid:
			return ""
		// Unpaid is not failed, since a debit takes days.
		case f.Session.Subscription != "":
			return StatePending
		case f.Failed || f.Session.IntentStatus == "requires_payment_method" || f.Session.IntentStatus == "canceled":
			return StateFailed
		}
		return StatePending
	}
	return ""
}

// The rows are locked in the order of ids, as everywhere that several donations are locked. It finds them by
// donations_session_key and earlier_sessions_session_key.
const lockBySessionsSQL = `
SELECT` + columns + `
FROM donations.donations AS d
WHERE d.checkout_session_id = ANY(@sessions::text[])
	OR d.id = ANY(ARRAY(
		SELECT e.donation
		FROM donations.earlier_sessions AS e
		WHERE e.session_id = ANY(@sessions::text[])
	))
ORDER BY d.id
FOR NO KEY UPDATE`

// lockBySessionsTx returns the donation of each fact, locked, in their order; a zero Donation for none. A session's metadata is
// not used: see attribution.go.
func lockBySessionsTx(ctx context.Context, tx pgx.Tx, facts []SessionFact) ([]Donation, error) {
	sessions := []string{}
	for _, f := range facts {
		sessions = append(sessions, f.Session.ID)
	}
	rows, err := tx.Query(ctx, lockBySessionsSQL, pgx.NamedArgs{"sessions": sessions})
	if err != nil {
		return nil, postgres.Error(err)
	}
	locked, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, postgres.Error(err)
	}
	donations := make([]Donation, len(facts))
	for i, f := range facts {
		if at := slices.IndexFunc(locked, func(d Donation) bool { return d.made(f.Session) }); at >= 0 {
			donations[i] = locked[at]
		}
	}
	return donations, nil
}

// applySQL moves donations to the states of their facts. The payment intent of a page that was opened again replaces the one of
// the page that closed. poll_at has Stripe asked about a paid donation until it is booked. The caller has locked the rows,
// and each donation is in the arrays once.
const applySQL = `
UPDATE donations.donations AS d
SET
	state = f.state,
	payment_intent_id = coalesce(nullif(f.intent, ''), d.payment_intent_id),
	paid_at = CASE WHEN f.state = 'succeeded' THEN coalesce(d.paid_at, f.at) ELSE d.paid_at END,
	poll_at = CASE WHEN f.state = 'succeeded' THEN @poll_at ELSE d.poll_at END,
	updated_at = @now
FROM unnest(
	@ids::uuid[],
	@states::text[],
	@intents::text[],
	@at::timestamptz[]
) AS f (id, state, intent, at)
WHERE d.id = f.id`

// ApplySessionTx moves a donation to the state that the fact proves, and locks it until the caller's transaction ends. A fact
// that is known, or older or weaker than what is known, changes nothing, so that it may be called repeatedly and in any
// order. ours is false for a session that was made for no donation of this account, currency and livemode. An amount that
// differs from the donation's is FAILED_PRECONDITION (AMOUNT_DIFFERS).
func (s *Service) ApplySessionTx(ctx context.Context, tx pgx.Tx, f SessionFact) (ours bool, err error) {
	all, err := s.ApplySessionsTx(ctx, tx, []SessionFact{f})
	return err == nil && all[0], err
}

// applySession is ApplySessionTx in a transaction of its own.
func (s *Service) applySession(ctx context.Context, f SessionFact) error {
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		_, err := s.ApplySessionTx(ctx, tx, f)
		return err
	})
}

// ApplySessionsTx is ApplySessionTx for several facts, which may be about the same donation; ours is in their order. If one fact
// is refused, none is applied.
func (s *Service) ApplySessionsTx(ctx context.Context, tx pgx.Tx, facts []SessionFact) (ours []bool, err error) {
	ours = make([]bool, len(facts))
	// left are the places of the facts that are not applied yet. Each round applies at least one, so the rounds end.
	left := make([]int, len(facts))
	for i := range left {
		left[i] = i
	}
	for len(left) > 0 {
		if left, err = s.applyRoundTx(ctx, tx, facts, left, ours); err != nil {
			return nil, err
		}
	}
	return ours, nil
}

// applyRoundTx applies, of the facts at the places, the first one of each donation, and returns the places of the others, which
// must be judged by the donation as it is then.
func (s *Service) applyRoundTx(ctx context.Context, tx pgx.Tx, facts []SessionFact, places []int, ours []bool) (left []int, err error) {
	round := make([]SessionFact, len(places))
	for i, place := range places {
		round[i] = facts[place]
	}
	donations, err := lockBySessionsTx(ctx, tx, round)
	if err != nil {
		return nil, err
	}
	seen := map[uuid.UUID]bool{}
	var moves sessionMoves
	var notes paymentNotes
	for i, d := range donations {
		switch {
		case d.ID == uuid.Nil:
			continue
		// A second fact about the same donation waits for the next round.
		case seen[d.ID]:
			left = append(left, places[i])
			continue
		}
		seen[d.ID] = true
		var moved bool
		if ours[places[i]], moved, err = s.judgeTx(ctx, tx, d, round[i]); err != nil {
			return nil, err
		}
		if moved {
			moves.add(d, round[i])
			if round[i].state() == StateSucceeded {
				// It weighs against declines. A paid donation does not move by a session again, so each counts once.
				if err = s.cfg.CardWays.PaidTx(ctx, tx, cardWay(d.Campaign, d.StripeAccount), d.ID); err != nil {
					return nil, err
				}
			}
		}
		// Also when the donation does not move: a second payment of it is known by its session alone.
		if ours[places[i]] {
			notes.addSession(d, round[i].Session, moved)
		}
	}
	if err := notes.writeTx(ctx, tx); err != nil {
		return nil, err
	}
	if err := moves.applyTx(ctx, tx, s.now()); err != nil {
		return nil, err
	}
	return left, s.tellWallTx(ctx, tx, moves.paid)
}

// tellWallTx tells the wall which donations are paid, or are being paid by a debit, each once: a later step is from pending.
func (s *Service) tellWallTx(ctx context.Context, tx pgx.Tx, paid []Donation) error {
	for _, d := range paid {
		if err := s.cfg.Wall.PaidTx(ctx, tx, d.Campaign.String(), d.StripeAccount); err != nil {
			return err
		}
	}
	return nil
}

// judgeTx reports whether a fact is about the donation, and whether it moves the donation.
func (s *Service) judgeTx(ctx context.Context, tx pgx.Tx, d Donation, f SessionFact) (ours, moves bool, err error) {
	if d.StripeAccount != f.Account || d.Livemode != f.Session.Livemode || string(d.Amount.Currency) != f.Session.Currency {
		return false, false, nil
	}
	if d.Amount.Minor != f.Session.AmountMinor {
		return true, false, errs.New(errorsv1.ErrorReason_AMOUNT_DIFFERS, "The amount of the session differs from the amount of the donation.")
	}
	if err := s.beginSubscriptionTx(ctx, tx, d, f.Session); err != nil {
		return true, false, err
	}
	next := f.state()
	// The end of a session that it had before says nothing about the donation.
	if next == StateExpired && d.CheckoutSession != f.Session.ID {
		return true, false, nil
	}
	// The state of a paid donation is decided by the balance alone.
	return true, !d.State.Paid() && d.State.CanBecome(next), nil
}

// sessionMoves are the arrays of applySQL.
type sessionMoves struct {
	ids             []uuid.UUID
	states, intents []string
	at              []time.Time
	// paid are those that were not paid before, not even by a debit under way.
	paid []Donation
}

func (m *sessionMoves) add(d Donation, f SessionFact) {
	if next := f.state(); next == StateSucceeded && d.State != StatePending || next == StatePending {
		m.paid = append(m.paid, d)
	}
	m.ids, m.states, m.at = append(m.ids, d.ID), append(m.states, string(f.state())), append(m.at, f.At)
	m.intents = append(m.intents, f.Session.PaymentIntent)
}

func (m *sessionMoves) applyTx(ctx context.Context, tx pgx.Tx, now time.Time) error {
	if len(m.ids) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, applySQL, pgx.NamedArgs{
		"ids": m.ids, "states": m.states, "intents": m.intents, "at": m.at, "poll_at": now.Add(pollAfter), "now": now,
	})
	return postgres.Error(err)
}

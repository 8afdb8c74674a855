package webhooks

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

const (
	// applyBatch is how many due events are looked up at once. The more they are, the denser they are in Stripe's
	// lists.
	applyBatch = 2000
	// applyAtOnce is how many events are applied in one transaction.
	applyAtOnce = 200
)

// The oldest first: sessions that changed together were mostly created together, and are read together. events_due_idx
// serves the conditions.
const dueSessionsSQL = `
SELECT
	e.id,
	e.type,
	e.resource,
	e.created_at
FROM webhooks.events AS e
WHERE e.account = @account
	AND e.step IN ('session', 'decline')
	AND e.next_attempt_at <= statement_timestamp()
ORDER BY
	e.next_attempt_at,
	e.created_at,
	e.id
LIMIT @count`

// dueSessions returns due events of sessions and of declined payments.
func (s *Service) dueSessions(ctx context.Context, account string) ([]Event, error) {
	rows, err := s.cfg.Pool.Query(ctx, dueSessionsSQL, pgx.NamedArgs{"account": account, "count": applyBatch})
	if err != nil {
		return nil, postgres.Error(err)
	}
	due, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Event, err error) {
		return e, row.Scan(&e.ID, &e.Type, &e.resource, &e.Created)
	})
	return due, postgres.Error(err)
}

// applySessions applies the due events of sessions and their payments. Complete ones are applied together; if one of
// them is refused, and for incomplete ones, each is applied by itself, so that none waits for another's failure.
func (s *Service) applySessions(ctx context.Context, account string, until time.Time) error {
	for {
		due, err := s.dueSessions(ctx, account)
		if err != nil || len(due) == 0 {
			return err
		}
		if err := s.readSessions(ctx, account, due); err != nil {
			return err
		}
		for events := range slices.Chunk(due, applyAtOnce) {
			if over(until) {
				return nil
			}
			// Declines have no session, and so count as incomplete.
			alone := slices.DeleteFunc(slices.Clone(events), Event.complete)
			err := s.applyTogether(ctx, account, slices.DeleteFunc(slices.Clone(events), func(e Event) bool { return !e.complete() }))
			if err != nil {
				if ctx.Err() != nil || postgres.Away(err) {
					return err
				}
				// Nothing of the chunk was applied. Each event by itself shows which one is refused.
				alone = events
			}
			for _, e := range alone {
				if over(until) {
					return nil
				}
				if err := s.applyOne(ctx, account, e); err != nil {
					return err
				}
			}
		}
	}
}

// readSessions completes events that only name a session, by pages of Stripe's list. The events were stored before, so
// the sessions are not older than they say. Sessions that it does not find are read when their event is applied.
func (s *Service) readSessions(ctx context.Context, account string, due []Event) error {
	var wanted []stripe.Wanted
	for _, e := range due {
		if session := e.resource.Session; session != nil && !e.complete() {
			wanted = append(wanted, stripe.Wanted{ID: session.ID, Created: session.Created})
		}
	}
	read, err := s.cfg.Stripe.FindSessions(ctx, account, wanted)
	if ctx.Err() != nil {
		return err
	}
	if err != nil {
		s.cfg.Logger.WarnContext(ctx, "the list of sessions could not be read at Stripe", "account", account, "error", err)
	}
	// An interrupted donation does not know its own session. Its event is incomplete until applyOne has completed the
	// page.
	var named []uuid.UUID
	for i, e := range due {
		if e.resource.Session == nil {
			continue
		}
		if session, met := read[e.resource.Session.ID]; met && !e.complete() {
			due[i].resource.Session = &session
		}
		named = append(named, due[i].resource.Session.Donation)
	}
	interrupted, err := s.cfg.Donations.Interrupted(ctx, account, named)
	for i, e := range due {
		due[i].interrupted = e.resource.Session != nil && interrupted[e.resource.Session.Donation]
	}
	return err
}

// complete reports whether all of the event's session is known. An event in another API version has only the id.
func (e Event) complete() bool {
	session := e.resource.Session
	return session != nil && session.Status != "" && !e.interrupted
}

// applyOne applies one event and stores the result in the same transaction. It returns an error only when no result can
// be stored.
func (s *Service) applyOne(ctx context.Context, account string, e Event) error {
	err := s.tryEvent(ctx, account, e)
	// Without a database or without time the event waits, and the attempt is not counted.
	if err == nil || ctx.Err() != nil || postgres.Away(err) {
		return err
	}
	s.metrics.finished.WithLabelValues(string(StateFailed)).Inc()
	s.cfg.Logger.WarnContext(ctx, "an event could not be applied", "event", e.ID, "account", account, "error", err)
	return s.noteFailure(ctx, account, e.ID, errs.As(err).Reason.String())
}

// tryEvent applies one event. Whatever it lacks is read at Stripe before the transaction. Its error is a failed
// attempt.
func (s *Service) tryEvent(ctx context.Context, account string, e Event) error {
	switch {
	case e.Type == typeDeclined:
		return s.countDecline(ctx, account, e)
	case e.resource.Session == nil:
		return errs.New(errorsv1.ErrorReason_EVENT_UNREADABLE, "The event names no Checkout Session.")
	}
	// The page is completed below. Here only what is known of the session counts.
	e.interrupted = false
	if !e.complete() {
		// The session is read in our API version, before the transaction begins.
		session, err := s.cfg.Stripe.GetSession(ctx, account, e.resource.Session.ID)
		if err != nil {
			return err
		}
		e.resource.Session = &session
	}
	interrupted, err := s.cfg.Donations.Interrupted(ctx, account, []uuid.UUID{e.resource.Session.Donation})
	if err == nil && interrupted[e.resource.Session.Donation] {
		err = s.cfg.Donations.ContinuePage(ctx, e.resource.Session.Donation)
	}
	if err != nil {
		return err
	}
	return s.applyTogether(ctx, account, []Event{e})
}

// applyTogether applies events with complete sessions in one transaction, except those that are already finished. If
// one is refused, all are.
func (s *Service) applyTogether(ctx context.Context, account string, events []Event) error {
	return s.applyOnce(ctx, account, events, func(ctx context.Context, tx pgx.Tx, due []Event) (ours []bool, err error) {
		facts := make([]donations.SessionFact, len(due))
		for i, e := range due {
			facts[i] = donations.SessionFact{
				Account: account, Session: *e.resource.Session, Failed: e.Type == typeAsyncFailed, At: e.Created,
			}
		}
		return s.cfg.Donations.ApplySessionsTx(ctx, tx, facts)
	})
}

// declinedDonation is the donation whose payment was declined, or Nil. The payment of a first month leads to it by its
// invoice; payments of later months are retried by Stripe without the donor. Whether the invoice really belongs to the
// donation is not proven yet, but a decline moves no money: at worst it closes the payment page.
func (s *Service) declinedDonation(ctx context.Context, account string, o stripe.Resource) (uuid.UUID, error) {
	if o.Invoice == "" {
		if o.Donation == uuid.Nil {
			return uuid.Nil, nil
		}
		match, err := s.cfg.Donations.PaymentOf(ctx, account, donations.Payment{Intent: o.ID, Claim: o.Donation})
		return match.Donation, err
	}
	invoice, err := s.cfg.Stripe.GetInvoice(ctx, account, o.Invoice)
	if stripe.KindOf(err) == stripe.Missing {
		return uuid.Nil, nil
	}
	if err != nil || !invoice.First {
		return uuid.Nil, err
	}
	return invoice.Recurring, nil // the id of the first month's donation too
}

// countDecline counts a declined payment on its donation, in the transaction that finishes the event.
func (s *Service) countDecline(ctx context.Context, account string, e Event) error {
	donation, err := s.declinedDonation(ctx, account, e.resource)
	if err != nil {
		return err
	}
	return s.applyOnce(ctx, account, []Event{e}, func(ctx context.Context, tx pgx.Tx, due []Event) (ours []bool, err error) {
		// due is empty when another job has finished the event.
		ours = make([]bool, len(due))
		if len(due) > 0 && donation != uuid.Nil {
			ours[0], err = s.cfg.Donations.CountDeclineTx(ctx, tx, account, donation, e.resource.ID)
		}
		return ours, err
	})
}

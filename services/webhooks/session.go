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
	// applyBatch is how many due events are looked up at once: the more of them, the denser they stand in Stripe's lists.
	applyBatch = 2000
	// applyAtOnce is how many of them are applied in one transaction.
	applyAtOnce = 200
)

// The oldest first: what happened together was mostly begun together, and is read together.
const dueSessionsSQL = `
SELECT
	e.id,
	e.type,
	e.object,
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

// applySessions applies the due events of sessions and their payments: together those of which all is known, and the
// others one by one, as all when one of them is refused, so that none waits for another's failure.
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
			alone := slices.DeleteFunc(slices.Clone(events), Event.complete)
			err := s.applyTogether(ctx, account, slices.DeleteFunc(slices.Clone(events), func(e Event) bool { return !e.complete() }))
			if err != nil {
				if ctx.Err() != nil || postgres.Away(err) {
					return err
				}
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

// readSessions completes the events that only name a session, as after a time away, by its pages. The events were
// stored before, so what is read is not older than what they say. What is not met, or not now, is read by itself when
// its event is applied.
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
		s.cfg.Logger.WarnContext(ctx, "the list of sessions cannot be read", "account", account, "error", err)
	}
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

// complete reports whether all of the event's session is known: of one in another version only the id was taken, and the
// link that opens an expired one again is not stored with an event.
func (e Event) complete() bool {
	session := e.resource.Session
	return session != nil && session.Status != "" && !e.interrupted && (session.RecoveryEnds.IsZero() || session.RecoveryURL != "")
}

// applyOne applies one event and notes the end of it: what is noted as done was done in the same
// transaction. An error is returned only when nothing can be noted.
func (s *Service) applyOne(ctx context.Context, account string, e Event) error {
	err := s.tryEvent(ctx, account, e)
	// Without a database, or without time, the event simply waits. Its fault it is not.
	if err == nil || ctx.Err() != nil || postgres.Away(err) {
		return err
	}
	s.metrics.finished.WithLabelValues(string(StateFailed)).Inc()
	s.cfg.Logger.WarnContext(ctx, "an event could not be applied", "event", e.ID, "account", account, "error", err)
	return s.noteFailure(ctx, account, e.ID, errs.As(err).Reason.String())
}

func (s *Service) tryEvent(ctx context.Context, account string, e Event) error {
	switch {
	case e.Type == typeDeclined:
		return s.countDecline(ctx, account, e)
	case e.resource.Session == nil:
		return errs.New(errorsv1.ErrorReason_EVENT_UNREADABLE, "The event names no session.")
	}
	e.interrupted = false
	if !e.complete() {
		// The rest is read in our version, before the transaction begins.
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

// applyTogether applies events whose sessions are known in one transaction, but those that somebody else finished.
// One that is refused refuses all.
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

// declinedDonation is the donation whose payment was refused, or Nil. The first month's payment belongs to an invoice, which
// leads to it; those of later months are tried by Stripe and not by anybody at a page. Nothing proves yet that the
// invoice is the donation's, whose session tells when it is complete; a decline moves no money, and closes its page at worst.
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

// countDecline counts a refused payment on its donation, in the transaction that finishes the event.
func (s *Service) countDecline(ctx context.Context, account string, e Event) error {
	donation, err := s.declinedDonation(ctx, account, e.resource)
	if err != nil {
		return err
	}
	return s.applyOnce(ctx, account, []Event{e}, func(ctx context.Context, tx pgx.Tx, due []Event) (ours []bool, err error) {
		ours = make([]bool, len(due))
		if len(due) > 0 && donation != uuid.Nil {
			ours[0], err = s.cfg.Donations.CountDeclineTx(ctx, tx, account, donation, e.resource.ID)
		}
		return ours, err
	})
}

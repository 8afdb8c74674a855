package webhooks

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

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

// Run brings one account in step, once: it applies all events that are due, then reads the balance to its
// end, even while syncs wait after a failure. It is what the job does, for tests and commands. Two at once,
// or one beside the job, do no harm.
func (s *Service) Run(ctx context.Context, account string) error {
	_, err := s.pass(ctx, account, time.Time{}, true)
	return err
}

// pass applies what is due and syncs. It stops between two steps once until, by the wall clock, has passed,
// unless that is zero. Without force a sync that waits after a failure is left out. A failure of Stripe's is
// noted on the account and not returned: the events were applied, and the tick tries again. ours is false for
// an account that no collective has.
func (s *Service) pass(ctx context.Context, account string, until time.Time, force bool) (ours bool, err error) {
	accounts, err := s.cfg.Collectives.StripeAccounts(ctx)
	if err != nil {
		return false, err
	}
	if !slices.Contains(accounts, account) {
		return false, s.ignoreAccount(ctx, account)
	}
	if err := s.reviveEvents(ctx, account); err != nil {
		return true, err
	}
	// The list of a long absence leaves the half of a job to what came since: a donation that is paid now waits for no list.
	hearUntil := until
	if !until.IsZero() {
		hearUntil = until.Add(-jobBudget / 2)
	}
	if err := s.hear(ctx, account, hearUntil); err != nil {
		return true, err
	}
	if err := s.applySessions(ctx, account, until); err != nil {
		return true, err
	}
	if err := s.applyObjects(ctx, account, until); err != nil {
		return true, err
	}
	return true, s.sync(ctx, account, until, force)
}

const ignoreAccountSQL = `
UPDATE webhooks.events AS e
SET
	state = 'ignored',
	next_attempt_at = NULL,
	failure_reason = @reason,
	finished_at = @now
WHERE e.account = @account
	AND e.next_attempt_at IS NOT NULL`

// ignoreAccount is for a connected account that no collective has, such as one that another product of the
// operator's connected, or that is disconnected.
func (s *Service) ignoreAccount(ctx context.Context, account string) error {
	tag, err := s.cfg.Pool.Exec(ctx, ignoreAccountSQL, pgx.NamedArgs{"account": account, "reason": reasonUnknownAccount, "now": s.now()})
	s.metrics.finished.WithLabelValues("ignored").Add(float64(tag.RowsAffected()))
	return postgres.Error(err)
}

// The reason is a constant, as in the index.
const reviveEventsSQL = `
UPDATE webhooks.events AS e
SET
	state = 'received',
	attempts = 0,
	next_attempt_at = '-infinity',
	failure_reason = '',
	finished_at = NULL
WHERE e.account = @account
	AND e.failure_reason = 'UNKNOWN_ACCOUNT'`

// reviveEvents lets wait again what was ignored while no collective had the account: Stripe's list does not bring
// what is here, and some of it moved no money. It is done whenever the account is read, and not when it is connected
// again, which more than one place finds out, perhaps right before somebody else ignores the last of it.
func (s *Service) reviveEvents(ctx context.Context, account string) error {
	_, err := s.cfg.Pool.Exec(ctx, reviveEventsSQL, pgx.NamedArgs{"account": account})
	return postgres.Error(err)
}

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
		return e, row.Scan(&e.ID, &e.Type, &e.object, &e.Created)
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
			alone := slices.DeleteFunc(slices.Clone(events), Event.whole)
			err := s.applyTogether(ctx, account, slices.DeleteFunc(slices.Clone(events), func(e Event) bool { return !e.whole() }))
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
		if session := e.object.Session; session != nil && !e.whole() {
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
		if e.object.Session == nil {
			continue
		}
		if session, met := read[e.object.Session.ID]; met && !e.whole() {
			due[i].object.Session = &session
		}
		named = append(named, due[i].object.Session.Donation)
	}
	interrupted, err := s.cfg.Donations.Interrupted(ctx, account, named)
	for i, e := range due {
		due[i].apart = e.object.Session != nil && interrupted[e.object.Session.Donation]
	}
	return err
}

func over(until time.Time) bool { return !until.IsZero() && time.Now().After(until) }

// whole reports whether all of the event's session is known: of one in another version only the id was taken, and the
// link that opens an expired one again is not stored with an event.
func (e Event) whole() bool {
	session := e.object.Session
	return session != nil && session.Status != "" && !e.apart && (session.RecoveryEnds.IsZero() || session.RecoveryURL != "")
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
	return s.noteFailure(ctx, account, e.ID, errs.As(err).Reason)
}

func (s *Service) tryEvent(ctx context.Context, account string, e Event) error {
	switch {
	case e.Type == typeDeclined:
		return s.countDecline(ctx, account, e)
	case e.object.Session == nil:
		return errs.New(codes.FailedPrecondition, "EVENT_UNREADABLE", "The event names no session.")
	}
	e.apart = false
	if !e.whole() {
		// The rest is read in our version, before the transaction begins.
		session, err := s.cfg.Stripe.GetSession(ctx, account, e.object.Session.ID)
		if err != nil {
			return err
		}
		e.object.Session = &session
	}
	interrupted, err := s.cfg.Donations.Interrupted(ctx, account, []uuid.UUID{e.object.Session.Donation})
	if err == nil && interrupted[e.object.Session.Donation] {
		err = s.cfg.Donations.ContinuePage(ctx, e.object.Session.Donation)
	}
	if err != nil {
		return err
	}
	return s.applyTogether(ctx, account, []Event{e})
}

// In the order of ids, so that two who apply the same never wait for one another in a circle.
const lockEventsSQL = `
SELECT e.id
FROM webhooks.events AS e
WHERE e.account = @account
	AND e.id = ANY(@ids::text[])
	AND e.next_attempt_at IS NOT NULL
ORDER BY e.id
FOR NO KEY UPDATE`

// lockEventsTx locks the events that nobody has finished, and returns them in their order.
func lockEventsTx(ctx context.Context, tx pgx.Tx, account string, events []Event) ([]Event, error) {
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}
	rows, err := tx.Query(ctx, lockEventsSQL, pgx.NamedArgs{"account": account, "ids": ids})
	if err != nil {
		return nil, postgres.Error(err)
	}
	locked, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, postgres.Error(err)
	}
	return slices.DeleteFunc(slices.Clone(events), func(e Event) bool { return !slices.Contains(locked, e.ID) }), nil
}

// applyTogether applies events whose sessions are known in one transaction, but those that somebody else finished.
// One that is refused refuses all.
func (s *Service) applyTogether(ctx context.Context, account string, events []Event) error {
	return s.finishing(ctx, account, events, func(ctx context.Context, tx pgx.Tx, due []Event) (ours []bool, err error) {
		facts := make([]donations.SessionFact, len(due))
		for i, e := range due {
			facts[i] = donations.SessionFact{
				Account: account, Session: *e.object.Session, Failed: e.Type == typeAsyncFailed, At: e.Created,
			}
		}
		return s.cfg.Donations.ApplySessionsTx(ctx, tx, facts)
	})
}

// finishing applies events and notes the end of them in one transaction, so that each counts once; those that
// somebody else finished are left out. do tells of each whether it is for us.
func (s *Service) finishing(ctx context.Context, account string, events []Event,
	do func(ctx context.Context, tx pgx.Tx, due []Event) (ours []bool, err error),
) error {
	if len(events) == 0 {
		return nil
	}
	var applied, ignored []string
	err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		due, err := lockEventsTx(ctx, tx, account, events)
		if err != nil {
			return err
		}
		ours, err := do(ctx, tx, due)
		if err != nil {
			return err
		}
		applied, ignored = nil, nil
		for i, e := range due {
			if ours[i] {
				applied = append(applied, e.ID)
			} else {
				ignored = append(ignored, e.ID)
			}
		}
		if _, err := s.finishEventsTx(ctx, tx, account, applied, StateApplied, ""); err != nil {
			return err
		}
		_, err = s.finishEventsTx(ctx, tx, account, ignored, StateIgnored, reasonNotOurs)
		return err
	})
	if err == nil {
		s.metrics.finished.WithLabelValues(string(StateApplied)).Add(float64(len(applied)))
		s.metrics.finished.WithLabelValues(string(StateIgnored)).Add(float64(len(ignored)))
	}
	return err
}

const lockAttemptsSQL = `
SELECT e.attempts
FROM webhooks.events AS e
WHERE e.account = @account
	AND e.id = @id
	AND e.next_attempt_at IS NOT NULL
FOR NO KEY UPDATE`

const noteFailureSQL = `
UPDATE webhooks.events AS e
SET
	state = 'failed',
	attempts = @attempts,
	next_attempt_at = statement_timestamp() + @pause::interval,
	failure_reason = @reason
WHERE e.account = @account
	AND e.id = @id`

func (s *Service) noteFailure(ctx context.Context, account, id, reason string) error {
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		var attempts int
		err := tx.QueryRow(ctx, lockAttemptsSQL, pgx.NamedArgs{"account": account, "id": id}).Scan(&attempts)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return postgres.Error(err)
		}
		attempts++
		pause := retryPause(attempts)
		if pause == nil {
			s.cfg.Logger.ErrorContext(ctx, "an event is given up", "event", id, "account", account, "reason", reason)
		}
		_, err = tx.Exec(ctx, noteFailureSQL, pgx.NamedArgs{
			"account": account, "id": id, "attempts": attempts, "pause": pause, "reason": reason,
		})
		return postgres.Error(err)
	})
}

// maxHints is how many hints one sync answers at most; the rest is for the next.
const maxHints = 5000

type hints struct {
	ids []string
	// intents are the payments whose fee has become known: all others are to be seen in the balance, or not yet.
	intents []string
}

const dueHintsSQL = `
SELECT
	e.id,
	CASE WHEN e.type = 'charge.updated' THEN coalesce(e.object ->> 'payment_intent', '') ELSE '' END
FROM webhooks.events AS e
WHERE e.account = @account
	AND e.step = 'hint'
	AND e.next_attempt_at IS NOT NULL
ORDER BY
	e.next_attempt_at,
	e.id
LIMIT @count`

// dueHints returns what a sync that begins now answers.
func (s *Service) dueHints(ctx context.Context, account string) (hints, error) {
	rows, err := s.cfg.Pool.Query(ctx, dueHintsSQL, pgx.NamedArgs{"account": account, "count": maxHints})
	if err != nil {
		return hints{}, postgres.Error(err)
	}
	var h hints
	var id, intent string
	_, err = pgx.ForEachRow(rows, []any{&id, &intent}, func() error {
		h.ids = append(h.ids, id)
		if intent != "" {
			h.intents = append(h.intents, intent)
		}
		return nil
	})
	return h, postgres.Error(err)
}

// strings runs a query of one column of text.
func (s *Service) strings(ctx context.Context, sql string, args pgx.NamedArgs) ([]string, error) {
	rows, err := s.cfg.Pool.Query(ctx, sql, args)
	if err != nil {
		return nil, postgres.Error(err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return values, postgres.Error(err)
}

package webhooks

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// applyBatch is how many due events are looked up at once: the more of them, the denser they stand in Stripe's lists.
const applyBatch = 2000

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
	if err := s.hear(ctx, account, until); err != nil {
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
// operator's connected.
func (s *Service) ignoreAccount(ctx context.Context, account string) error {
	tag, err := s.cfg.Pool.Exec(ctx, ignoreAccountSQL, pgx.NamedArgs{"account": account, "reason": reasonUnknownAccount, "now": s.now()})
	s.metrics.finished.WithLabelValues("ignored").Add(float64(tag.RowsAffected()))
	return postgres.Error(err)
}

// The oldest first: what happened together was mostly begun together, and is read together.
const dueSessionsSQL = `
SELECT
	e.id,
	e.object
FROM webhooks.events AS e
WHERE e.account = @account
	AND e.step IN ('session', 'decline')
	AND e.next_attempt_at <= statement_timestamp()
ORDER BY
	e.next_attempt_at,
	e.created_at,
	e.id
LIMIT @count`

// dueSession is an event of a session or its payment.
type dueSession struct {
	id     string
	object stripe.Object
}

// applySessions applies the due events of sessions and their payments one by one, so that none waits for
// another's failure.
func (s *Service) applySessions(ctx context.Context, account string, until time.Time) error {
	for {
		rows, err := s.cfg.Pool.Query(ctx, dueSessionsSQL, pgx.NamedArgs{"account": account, "count": applyBatch})
		if err != nil {
			return postgres.Error(err)
		}
		due, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e dueSession, err error) {
			return e, row.Scan(&e.id, &e.object)
		})
		if err != nil || len(due) == 0 {
			return postgres.Error(err)
		}
		read, err := s.readSessions(ctx, account, due)
		if err != nil {
			return err
		}
		for _, e := range due {
			if over(until) {
				return nil
			}
			if err := s.applyOne(ctx, account, e.id, read); err != nil {
				return err
			}
		}
	}
}

// readSessions reads the sessions that events only name, as after a time away, a page at a time. The events were
// stored before, so what is read is not older than what they say. What is not met, or not now, is read by itself when
// its event is applied.
func (s *Service) readSessions(ctx context.Context, account string, due []dueSession) (map[string]stripe.Session, error) {
	var wanted []stripe.Wanted
	for _, e := range due {
		if unread(e.object.Session) {
			wanted = append(wanted, stripe.Wanted{ID: e.object.Session.ID, Created: e.object.Session.Created})
		}
	}
	read, err := s.cfg.Stripe.FindSessions(ctx, account, wanted)
	if ctx.Err() != nil {
		return nil, err
	}
	if err != nil {
		s.cfg.Logger.WarnContext(ctx, "the list of sessions cannot be read", "account", account, "error", err)
	}
	return read, nil
}

// unread: of an event in another version only the session's id was taken; the rest is to be read in ours.
func unread(session *stripe.Session) bool { return session != nil && session.Status == "" }

func over(until time.Time) bool { return !until.IsZero() && time.Now().After(until) }

const eventSQL = `
SELECT
	e.type,
	e.object,
	e.created_at,
	e.attempts
FROM webhooks.events AS e
WHERE e.account = @account
	AND e.id = @id
	AND e.next_attempt_at IS NOT NULL`

// lockEventSQL is eventSQL for who is going to finish the event.
const lockEventSQL = eventSQL + `
FOR NO KEY UPDATE`

func eventOf(row pgx.Row) (Event, error) {
	var e Event
	err := row.Scan(&e.Type, &e.object, &e.Created, &e.Attempts)
	return e, err
}

// applyOne applies one event and notes the end of it: what is noted as done was done in the same
// transaction. Sessions among read are not read again. An error is returned only when nothing can be noted.
func (s *Service) applyOne(ctx context.Context, account, id string, read map[string]stripe.Session) error {
	outcome, err := s.tryEvent(ctx, account, id, read)
	if err == nil {
		if outcome != "" {
			s.metrics.finished.WithLabelValues(outcome).Inc()
		}
		return nil
	}
	// Without a database, or without time, the event simply waits. Its fault it is not.
	if ctx.Err() != nil || postgres.Away(err) {
		return err
	}
	s.metrics.finished.WithLabelValues(string(StateFailed)).Inc()
	s.cfg.Logger.WarnContext(ctx, "an event could not be applied", "event", id, "account", account, "error", err)
	return s.noteFailure(ctx, account, id, errs.As(err).Reason)
}

// tryEvent returns "" for an event that somebody else finished.
func (s *Service) tryEvent(ctx context.Context, account, id string, read map[string]stripe.Session) (outcome string, err error) {
	named := pgx.NamedArgs{"account": account, "id": id}
	e, err := eventOf(s.cfg.Pool.QueryRow(ctx, eventSQL, named))
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", postgres.Error(err)
	}
	if e.Type == typeDeclined {
		return s.countDecline(ctx, account, id, e)
	}
	if e.object.Session == nil {
		return "", errs.New(codes.FailedPrecondition, "EVENT_UNREADABLE", "The event names no session.")
	}
	session := *e.object.Session
	if unread(&session) {
		var known bool
		if session, known = read[e.object.Session.ID]; !known {
			if session, err = s.cfg.Stripe.GetSession(ctx, account, e.object.Session.ID); err != nil {
				return "", err
			}
		}
	}
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		outcome = ""
		if _, err := eventOf(tx.QueryRow(ctx, lockEventSQL, named)); err != nil {
			if errors.Is(err, pgx.ErrNoRows) {
				return nil
			}
			return postgres.Error(err)
		}
		ours, err := s.cfg.Donations.ApplySessionTx(ctx, tx, donations.SessionFact{
			Account: account, Session: session, Failed: e.Type == typeAsyncFailed, At: e.Created,
		})
		if err != nil {
			return err
		}
		state, reason := StateApplied, ""
		if !ours {
			state, reason = StateIgnored, reasonNotOurs
		}
		outcome = string(state)
		return s.finishEventTx(ctx, tx, account, id, state, reason)
	})
	return outcome, err
}

const finishEventSQL = `
UPDATE webhooks.events AS e
SET
	state = @state,
	attempts = e.attempts + 1,
	next_attempt_at = NULL,
	failure_reason = @reason,
	finished_at = @now
WHERE e.account = @account
	AND e.id = @id`

func (s *Service) finishEventTx(ctx context.Context, tx pgx.Tx, account, id string, state State, reason string) error {
	_, err := tx.Exec(ctx, finishEventSQL, pgx.NamedArgs{
		"account": account, "id": id, "state": string(state), "reason": reason, "now": s.now(),
	})
	return postgres.Error(err)
}

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
		e, err := eventOf(tx.QueryRow(ctx, lockEventSQL, pgx.NamedArgs{"account": account, "id": id}))
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return postgres.Error(err)
		}
		attempts := e.Attempts + 1
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

package webhooks

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// Receive stores one delivery, once by its account and id, and sees to it that a job will apply it. When it
// returns nil the event is safe. A bad or stale signature is INVALID_ARGUMENT (BAD_SIGNATURE).
func (s *Service) Receive(ctx context.Context, payload []byte, signature string, endpoint Endpoint) error {
	secrets := s.cfg.Secrets
	if endpoint == EndpointConnect {
		secrets = s.cfg.ConnectSecrets
	}
	event, err := stripe.Verify(payload, signature, secrets)
	if err != nil {
		s.metrics.received.WithLabelValues("refused").Inc()
		return err
	}
	// The platform's own events never name an account. One that does was sent here by a wrong setting; it comes
	// to the other endpoint too, where it must be no duplicate, or is found by the sync.
	if (event.Account != "") != (endpoint == EndpointConnect) {
		s.metrics.received.WithLabelValues("misdirected").Inc()
		return nil
	}
	step, ignore := sort(event, s.cfg.Stripe.Livemode())
	outcome := "stored"
	if ignore != "" {
		outcome = "ignored"
	}
	s.metrics.delay.Observe(max(s.now().Sub(event.Created).Seconds(), 0))
	stored, err := s.store(ctx, event, step, ignore, false)
	if err != nil {
		return err
	}
	if !stored {
		outcome = "duplicate"
	}
	s.metrics.received.WithLabelValues(outcome).Inc()
	return nil
}

const insertEventSQL = `
INSERT INTO webhooks.events AS e (
	account,
	id,
	type,
	step,
	livemode,
	object,
	state,
	next_attempt_at,
	failure_reason,
	created_at,
	received_at,
	finished_at,
	heard
)
SELECT
	@account,
	@id,
	@type,
	@step,
	@livemode,
	@object,
	@state,
	@next_attempt_at,
	@failure_reason,
	@created_at,
	@received_at,
	@finished_at,
	@heard`

// A failed event that is sent again begins anew: somebody has put right what was wrong, and pressed a button.
const storeOnce = `
ON CONFLICT (account, id) DO UPDATE
SET
	step = EXCLUDED.step,
	object = EXCLUDED.object,
	state = EXCLUDED.state,
	attempts = 0,
	next_attempt_at = EXCLUDED.next_attempt_at,
	failure_reason = EXCLUDED.failure_reason,
	finished_at = EXCLUDED.finished_at
WHERE e.state = 'failed'
RETURNING id`

// storeEventSQL stores an event unless it is there already.
const storeEventSQL = insertEventSQL + storeOnce

// storeBesideJobSQL stores an event only where a live job will find it. In a burst that is all that happens:
// one statement, one commit, and no row that two events share.
const storeBesideJobSQL = insertEventSQL + `
WHERE EXISTS (` + liveJobSQL + `
)` + storeOnce

// store reports false for an event that was there. heard: no webhook brought it.
func (s *Service) store(ctx context.Context, e stripe.Event, step step, ignore string, heard bool) (stored bool, err error) {
	args := s.eventArgs(e, step, ignore)
	args["heard"] = heard
	if ignore != "" {
		return returned(s.cfg.Pool.QueryRow(ctx, storeEventSQL, args))
	}
	if step == stepNone {
		return s.storeConnection(ctx, e, args)
	}
	// Without BEGIN the two are one transaction and one round trip. The lock is a statement of its own, since
	// the next one must see what was committed while the lock was waited for.
	var batch pgx.Batch
	batch.Queue(lockSharedSQL, lockArgs(e.Account))
	batch.Queue(storeBesideJobSQL, args)
	results := s.cfg.Pool.SendBatch(ctx, &batch)
	_, lockErr := results.Exec()
	stored, err = returned(results.QueryRow())
	if err := errors.Join(lockErr, err, results.Close()); err != nil {
		return false, postgres.Error(err)
	}
	if stored {
		return true, nil
	}
	return s.storeWithJob(ctx, e.Account, args)
}

// storeConnection notes that an account was disconnected, or connected again, where it is received: it takes no
// call to Stripe, and no job reads an account that is not connected.
func (s *Service) storeConnection(ctx context.Context, e stripe.Event, args pgx.NamedArgs) (stored bool, err error) {
	args["state"], args["next_attempt_at"], args["finished_at"] = string(StateApplied), nil, args["received_at"]
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		var err error
		if stored, err = returned(tx.QueryRow(ctx, storeEventSQL, args)); err != nil || !stored {
			return err
		}
		return s.setConnectedTx(ctx, tx, e.Account, e.Type == typeAuthorized, e.Created)
	})
	return stored, err
}

// storeWithJob is for the first event after a silence, and for those that came before.
func (s *Service) storeWithJob(ctx context.Context, account string, args pgx.NamedArgs) (stored bool, err error) {
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockSharedSQL, lockArgs(account)); err != nil {
			return postgres.Error(err)
		}
		var err error
		if stored, err = returned(tx.QueryRow(ctx, storeEventSQL, args)); err != nil || !stored {
			return err
		}
		return s.ensureJobTx(ctx, tx, account, false)
	})
	return stored, err
}

// returned reads whether an INSERT … RETURNING inserted.
func returned(row pgx.Row) (bool, error) {
	var id string
	err := row.Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, postgres.Error(err)
}

func (s *Service) eventArgs(e stripe.Event, step step, ignore string) pgx.NamedArgs {
	now := s.now()
	args := pgx.NamedArgs{
		"account":  e.Account,
		"id":       e.ID,
		"type":     e.Type,
		"step":     string(step),
		"livemode": e.Livemode,
		"object":   e.Object,
		"state":    string(StateReceived),
		// Due by every clock: two programs may disagree on what now is.
		"next_attempt_at": pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true},
		"failure_reason":  "",
		"created_at":      e.Created,
		"received_at":     now,
		"finished_at":     nil,
	}
	if ignore != "" {
		args["state"], args["next_attempt_at"], args["failure_reason"], args["finished_at"] = string(StateIgnored), nil, ignore, &now
		// Nothing of what is not for us is kept.
		args["object"] = stripe.Object{}
	}
	return args
}

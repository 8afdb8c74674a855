package webhooks

import (
	"context"

	"github.com/jackc/pgx/v5"

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
	step, object, ignore := sort(event, s.cfg.Stripe.Livemode())
	outcome := "stored"
	if ignore != "" {
		outcome = "ignored"
	}
	s.metrics.delay.Observe(max(s.now().Sub(event.Created).Seconds(), 0))
	stored, err := s.store(ctx, event, step, object, ignore, false)
	if err != nil {
		return err
	}
	if !stored {
		outcome = "duplicate"
	}
	s.metrics.received.WithLabelValues(outcome).Inc()
	s.delivered.Store(event.Account, s.now())
	return nil
}

// store reports false for an event that was there. heard: no webhook brought it.
func (s *Service) store(ctx context.Context, e stripe.Event, step step, object stripe.Object, ignore string, heard bool) (stored bool, err error) {
	row := eventRow{
		eventKey: eventKey{e.Account, e.ID}, kind: e.Type, step: step, livemode: e.Livemode, object: object,
		state: StateReceived, created: e.Created, received: s.now(), heard: heard,
	}
	switch {
	case ignore != "":
		row.state, row.reason = StateIgnored, ignore
	case step == stepNone:
		return s.storeConnection(ctx, row)
	}
	d := &delivery{eventRow: row}
	s.intake.put(ctx, d)
	return d.stored, d.err
}

const hearSoonSQL = `
UPDATE webhooks.accounts AS a
SET hear_next_at = '-infinity'
WHERE a.account = @account`

// storeConnection notes that an account was disconnected, or connected again, where it is received: it takes no
// call to Stripe, and no job reads an account that is not connected. Of two within a second nobody can tell which was
// the last, so Stripe is asked next; and what was missed in between is heard.
func (s *Service) storeConnection(ctx context.Context, row eventRow) (stored bool, err error) {
	row.state = StateApplied
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		keys, err := storeTx(ctx, tx, []eventRow{row})
		if stored = keys[row.eventKey]; err != nil || !stored {
			return err
		}
		if _, err := tx.Exec(ctx, hearSoonSQL, pgx.NamedArgs{"account": row.account}); err != nil {
			return postgres.Error(err)
		}
		return s.cfg.Collectives.SetConnectedTx(ctx, tx, row.account, row.kind == typeAuthorized, row.created)
	})
	return stored, err
}

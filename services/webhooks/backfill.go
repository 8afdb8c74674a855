package webhooks

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

const (
	// backfillOverlap is how far behind its position the list is read again, for events that became visible late and
	// for clocks that differ.
	backfillOverlap = 30 * time.Minute
	// deliveryGrace is how long a webhook may take before its event counts as missed.
	deliveryGrace = 2 * time.Minute
	// backfillRetryPause is the pause after a failure.
	backfillRetryPause = time.Minute
)

// backfilledTypes are the event types that are read from Stripe's list, in chunks of as many as one request may name.
// Hints are left out, because the sync finds the money by itself.
func backfilledTypes() [][]string {
	var types []string
	for kind, step := range steps {
		if step != stepHint {
			types = append(types, kind)
		}
	}
	slices.Sort(types)
	return slices.Collect(slices.Chunk(types, stripe.MaxEventTypes))
}

// backfillPosition is how far an account's list of events was read.
type backfillPosition struct {
	account string
	// to is the time up to which all events are stored.
	to  time.Time
	due bool
	// from is the oldest time of the backfill that is under way, began when it started. types are the types that it has
	// reached, and after the last event that it read of them, empty at the newest end. types is nil when no backfill is
	// under way.
	from, began time.Time
	types       []string
	after       string
}

// backfill stores the events that no webhook brought. It reads Stripe's list since the last backfill, newest first, and
// stores unknown events as if they had been received. The position is saved after each page, so that a list that is too
// long for one job continues in the next. It stops between two pages once until has passed. A failure of Stripe's is
// logged and tried again later, and delays no received event.
func (s *Service) backfill(ctx context.Context, account string, until time.Time) error {
	if err := s.ensureAccount(ctx, account); err != nil {
		return err
	}
	h, err := s.backfillPosition(ctx, account)
	if err != nil || !h.due {
		return err
	}
	for {
		// The time before the call: a disconnection that the call reveals must not override a connection noted since.
		asked := s.now()
		// No backfill is under way, or a program with other chunks of types began it and this one cannot continue it.
		if !slices.ContainsFunc(backfilledTypes(), func(types []string) bool { return slices.Equal(types, h.types) }) {
			h.begin(asked)
		}
		page, more, err := s.cfg.Stripe.ListEvents(ctx, account, stripe.EventQuery{Since: h.from, Types: h.types, After: h.after})
		if kind := stripe.KindOf(err); h.after != "" && (kind == stripe.Missing || kind == stripe.Refused) {
			h.types, h.after = nil, "" // Stripe no longer knows the last event: start again
			if err := s.saveBackfillPosition(ctx, h); err != nil {
				return err
			}
		}
		if err != nil {
			return s.backfillFailed(ctx, account, asked, err)
		}
		if err := s.storeMissing(ctx, account, page); err != nil {
			return err
		}
		switch {
		// The same types have older events.
		case more && len(page) > 0:
			h.after = page[len(page)-1].ID
		// These types are read to the floor. The next ones begin at the newest end.
		case h.next():
		default:
			// Events from the time of a long backfill are read at once.
			pause := s.cfg.SyncEvery
			if s.now().Sub(h.began) > backfillOverlap {
				pause = 0
			}
			if err := s.finishBackfill(ctx, h, pause); err != nil || pause > 0 {
				return err
			}
			// Without types the loop begins the next backfill.
			h.to, h.types, h.after = h.began, nil, ""
			if over(until) {
				return nil
			}
			continue
		}
		if err := s.saveBackfillPosition(ctx, h); err != nil || over(until) {
			return err
		}
	}
}

// begin begins a backfill. Events older than Stripe's retention are gone.
func (h *backfillPosition) begin(now time.Time) {
	h.from, h.began = latest(h.to.Add(-backfillOverlap), now.Add(-stripe.EventRetention)), now
	h.types, h.after = backfilledTypes()[0], ""
}

// next moves on to the next types. It returns false when there are none.
func (h *backfillPosition) next() bool {
	all := backfilledTypes()
	at := slices.IndexFunc(all, func(types []string) bool { return slices.Equal(types, h.types) }) + 1
	if at == len(all) {
		return false
	}
	h.types, h.after = all[at], ""
	return true
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// knownEventsSQL returns the ids that are stored already, by the primary key. It locks nothing: the insert skips what
// is stored between both.
const knownEventsSQL = `
SELECT e.id
FROM webhooks.events AS e
WHERE e.account = @account
	AND e.id = ANY(@ids::text[])`

// storeMissing stores the unknown events of a page, oldest first. A failed event that is stored already stays failed:
// only a redelivery or a replay restarts it.
func (s *Service) storeMissing(ctx context.Context, account string, page []stripe.Event) error {
	ids := make([]string, len(page))
	for i, e := range page {
		ids[i] = e.ID
	}
	known, err := s.strings(ctx, knownEventsSQL, pgx.NamedArgs{"account": account, "ids": ids})
	if err != nil {
		return err
	}
	for _, e := range slices.Backward(page) {
		if slices.Contains(known, e.ID) {
			continue
		}
		step, resource, ignore := classify(e, s.cfg.Stripe.Livemode())
		// A younger event may still come by webhook. It is stored now too, but does not count as missed.
		missed := s.now().Sub(e.Created) > deliveryGrace
		stored, err := s.store(ctx, e, step, resource, ignore, missed)
		if err != nil {
			if ctx.Err() != nil || postgres.Away(err) {
				return err
			}
			// An event that the database refuses must not delay the account's other events and its money.
			s.metrics.backfillFailures.Inc()
			s.cfg.Logger.ErrorContext(ctx, "an event cannot be stored", "event", e.ID, "type", e.Type, "account", account, "error", err)
			continue
		}
		if stored && missed && ignore == "" {
			s.metrics.missed.Inc()
			s.cfg.Logger.WarnContext(ctx, "no webhook brought an event", "event", e.ID, "type", e.Type, "account", account)
		}
	}
	return nil
}

// backfillPositionSQL returns the position, and by the database's clock whether a backfill is due. The first backfill
// begins at the epoch, which begin limits to what Stripe stores.
const backfillPositionSQL = `
SELECT
	coalesce(a.backfilled_until, 'epoch'),
	a.next_backfill_at <= statement_timestamp(),
	coalesce(a.backfill_from, 'epoch'),
	coalesce(a.backfill_began, 'epoch'),
	a.backfill_types,
	coalesce(a.backfill_after, '')
FROM webhooks.accounts AS a
WHERE a.account = @account`

func (s *Service) backfillPosition(ctx context.Context, account string) (backfillPosition, error) {
	h := backfillPosition{account: account}
	err := s.cfg.Pool.QueryRow(ctx, backfillPositionSQL, pgx.NamedArgs{"account": account}).Scan(&h.to, &h.due, &h.from, &h.began, &h.types, &h.after)
	return h, postgres.Error(err)
}

// saveBackfillPositionSQL without types ends the backfill that is under way. The constraint accounts_backfill_whole
// requires that the columns are set or NULL together.
const saveBackfillPositionSQL = `
UPDATE webhooks.accounts AS a
SET
	backfill_from = CASE WHEN @types::text[] IS NOT NULL THEN @from::timestamptz END,
	backfill_began = CASE WHEN @types::text[] IS NOT NULL THEN @began::timestamptz END,
	backfill_types = @types::text[],
	backfill_after = nullif(@after, '')
WHERE a.account = @account`

// saveBackfillPosition saves the position within a backfill. If two jobs run at once, the last one wins; events that
// are read again are stored already.
func (s *Service) saveBackfillPosition(ctx context.Context, h backfillPosition) error {
	_, err := s.cfg.Pool.Exec(ctx, saveBackfillPositionSQL, pgx.NamedArgs{
		"account": h.account, "from": h.from, "began": h.began, "types": h.types, "after": h.after,
	})
	return postgres.Error(err)
}

// If two jobs finish, the later position holds.
const finishBackfillSQL = `
UPDATE webhooks.accounts AS a
SET
	backfilled_until = greatest(a.backfilled_until, @backfilled_until),
	next_backfill_at = statement_timestamp() + @pause::interval,
	backfill_from = NULL,
	backfill_began = NULL,
	backfill_types = NULL,
	backfill_after = NULL
WHERE a.account = @account`

// finishBackfill ends a backfill: all events from before it began are stored.
func (s *Service) finishBackfill(ctx context.Context, h backfillPosition, pause time.Duration) error {
	_, err := s.cfg.Pool.Exec(ctx, finishBackfillSQL, pgx.NamedArgs{"account": h.account, "backfilled_until": h.began, "pause": pause})
	return postgres.Error(err)
}

// backfillLaterSQL postpones the next backfill, and for a disconnected account the next attempt to reach it. A position
// within a backfill stays.
const backfillLaterSQL = `
UPDATE webhooks.accounts AS a
SET next_backfill_at = statement_timestamp() + @pause::interval
WHERE a.account = @account`

// backfillFailed records a failure of Stripe's and returns nil; it returns other errors. An account that withdrew our
// access without a webhook is marked as disconnected here, unless something newer is known since began.
func (s *Service) backfillFailed(ctx context.Context, account string, began time.Time, cause error) error {
	if ctx.Err() != nil || stripe.KindOf(cause) == 0 {
		return cause
	}
	s.metrics.backfillFailures.Inc()
	s.cfg.Logger.WarnContext(ctx, "Stripe's list of events cannot be read", "account", account, "error", cause)
	if account != "" && stripe.Disconnected(cause) {
		return s.setConnected(ctx, account, false, began)
	}
	_, err := s.cfg.Pool.Exec(ctx, backfillLaterSQL, pgx.NamedArgs{"account": account, "pause": backfillRetryPause})
	return postgres.Error(err)
}

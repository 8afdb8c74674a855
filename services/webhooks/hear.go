package webhooks

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

const (
	// hearOverlap is how far behind the position the list is read again: for events that became visible late, and
	// for clocks that differ.
	hearOverlap = 30 * time.Minute
	// hearWindow is how much of a long absence is read before the position moves.
	hearWindow = 24 * time.Hour
	// pagesAtOnce is how much is read at once: what takes longer than a job may is read in windows, which last. One that
	// has more is made shorter, by hearLess.
	pagesAtOnce, hearLess = 20, 16
	// onItsWay is how long a webhook may take before its event counts as missed.
	onItsWay = 2 * time.Minute
	// hearAgain is the pause after a failure.
	hearAgain = time.Minute
)

// heardTypes are the event types that are looked for in Stripe's list, in as many questions as it takes. Hints are
// left out: the sync finds the money by itself.
func heardTypes() [][]string {
	var types []string
	for kind, step := range steps {
		if step != stepHint {
			types = append(types, kind)
		}
	}
	slices.Sort(types)
	return slices.Collect(slices.Chunk(types, stripe.MaxEventTypes))
}

// hear finds the events that no webhook brought: it reads Stripe's list since the last time, in windows that
// last, and stores what is not there as if it had been received. It stops between two windows once until has
// passed. A failure of Stripe's is noted and tried again later; what came by itself is applied meanwhile.
func (s *Service) hear(ctx context.Context, account string, until time.Time) error {
	if err := s.ensureAccount(ctx, account); err != nil {
		return err
	}
	heardTo, due, err := s.heardTo(ctx, account)
	if err != nil || !due {
		return err
	}
	// What was just read is not read again for the next window.
	overlap, window := hearOverlap, hearWindow
	if heardTo.Unix() == 0 {
		// An account of which nothing was ever heard mostly has few events that matter, or none.
		window = stripe.KeptEvents
	}
	for {
		now := s.now()
		// What is older is gone.
		from := latest(heardTo.Add(-overlap), now.Add(-stripe.KeptEvents))
		window = min(window, now.Sub(heardTo))
		end, last, pages := from.Add(overlap+window), false, s.atOnce
		if !end.Before(now) {
			end, last = time.Time{}, true
		}
		if window <= hearOverlap { // as much is read twice anyway
			pages = math.MaxInt
		}
		whole, err := s.hearBetween(ctx, account, from, end, pages)
		if err != nil {
			return s.hearingFailed(ctx, account, now, err)
		}
		if !whole {
			window /= hearLess
			continue
		}
		heardTo, overlap, window = end, 0, min(2*window, hearWindow)
		pause := time.Duration(0)
		if last {
			heardTo, pause = now, s.cfg.SyncEvery
		}
		if err := s.noteHeard(ctx, account, heardTo, pause); err != nil {
			return err
		}
		if last || over(until) {
			return nil
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// hearBetween stores the events of a window; one without an end goes on to the newest. whole is false when that
// takes more than so many pages.
func (s *Service) hearBetween(ctx context.Context, account string, from, end time.Time, pages int) (whole bool, err error) {
	for _, types := range heardTypes() {
		q := stripe.EventQuery{Since: from, Before: end, Types: types}
		for {
			if pages--; pages < 0 {
				return false, nil
			}
			page, more, err := s.cfg.Stripe.ListEvents(ctx, account, q)
			if err != nil {
				return false, err
			}
			if err := s.storeMissed(ctx, account, page); err != nil {
				return false, err
			}
			if !more || len(page) == 0 {
				break
			}
			q.After = page[len(page)-1].ID
		}
	}
	return true, nil
}

const knownEventsSQL = `
SELECT e.id
FROM webhooks.events AS e
WHERE e.account = @account
	AND e.id = ANY(@ids::text[])`

// storeMissed stores those of a page that are not there, oldest first. One that failed is there: it stays as it
// is, for Stripe's list is no button that somebody pressed.
func (s *Service) storeMissed(ctx context.Context, account string, page []stripe.Event) error {
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
		step, object, ignore := sort(e, s.cfg.Stripe.Livemode())
		missed := s.now().Sub(e.Created) > onItsWay
		stored, err := s.store(ctx, e, step, object, ignore, missed)
		if err != nil {
			if ctx.Err() != nil || postgres.Away(err) {
				return err
			}
			// One that the database will never take must not keep the account's others, nor its money.
			s.metrics.hearFailures.Inc()
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

const heardToSQL = `
SELECT
	coalesce(a.heard_to, 'epoch'),
	a.hear_next_at <= statement_timestamp()
FROM webhooks.accounts AS a
WHERE a.account = @account`

func (s *Service) heardTo(ctx context.Context, account string) (to time.Time, due bool, err error) {
	err = s.cfg.Pool.QueryRow(ctx, heardToSQL, pgx.NamedArgs{"account": account}).Scan(&to, &due)
	return to, due, postgres.Error(err)
}

// Two jobs at once may both have heard; what one of them heard is heard.
const noteHeardSQL = `
UPDATE webhooks.accounts AS a
SET
	heard_to = greatest(a.heard_to, @heard_to),
	hear_next_at = statement_timestamp() + @pause::interval
WHERE a.account = @account`

func (s *Service) noteHeard(ctx context.Context, account string, to time.Time, pause time.Duration) error {
	_, err := s.cfg.Pool.Exec(ctx, noteHeardSQL, pgx.NamedArgs{"account": account, "heard_to": to, "pause": pause})
	return postgres.Error(err)
}

const hearLaterSQL = `
UPDATE webhooks.accounts AS a
SET hear_next_at = statement_timestamp() + @pause::interval
WHERE a.account = @account`

// hearingFailed notes a failure of Stripe's and is nil then. An account that takes our access back without a
// word of it reaching us says so here; what has been heard of it since the question began is newer.
func (s *Service) hearingFailed(ctx context.Context, account string, began time.Time, cause error) error {
	if ctx.Err() != nil || stripe.KindOf(cause) == 0 {
		return cause
	}
	s.metrics.hearFailures.Inc()
	s.cfg.Logger.WarnContext(ctx, "Stripe's list of events cannot be read", "account", account, "error", cause)
	if account != "" && stripe.Disconnected(cause) {
		return s.setConnected(ctx, account, false, began)
	}
	_, err := s.cfg.Pool.Exec(ctx, hearLaterSQL, pgx.NamedArgs{"account": account, "pause": hearAgain})
	return postgres.Error(err)
}

func (s *Service) setConnected(ctx context.Context, account string, is bool, at time.Time) error {
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		return s.cfg.Collectives.SetConnectedTx(ctx, tx, account, is, at)
	})
}

package payouts

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// Sync brings an account's payouts up to date. With list it lists payouts that are new or may still change. Then it
// does what is due for each: read its contents, post its line at the bank, compare it with the books. It ends between
// two steps once until has passed, unless until is zero. With force, pauses are ignored.
//
// A failure of Stripe's is tried again later and is no error, because donations must not wait for it. An error is the
// database's, or that time is up.
func (s *Service) Sync(ctx context.Context, account string, until time.Time, list, force bool) error {
	if err := s.list(ctx, account, until, list, force); err != nil {
		return err
	}
	due, err := s.due(ctx, account, force)
	if err != nil {
		return err
	}
	for _, id := range due {
		if over(until) {
			return nil
		}
		if err := s.syncPayout(ctx, account, id, until); err != nil {
			return err
		}
	}
	return nil
}

// Read reads one payout at Stripe and stores it, to be processed by the next [Service.Sync]. Events may call it late,
// twice and in any order.
func (s *Service) Read(ctx context.Context, account, id string) error {
	p, err := s.cfg.Stripe.GetPayout(ctx, account, id)
	if s.counted(err) != nil {
		return err
	}
	return s.storePayout(ctx, account, p)
}

// counted counts a call of Stripe's and returns its error.
func (s *Service) counted(err error) error {
	outcome := "done"
	if err != nil {
		outcome = "failed"
	}
	s.reads.WithLabelValues(outcome).Inc()
	return err
}

// addAccountSQL adds the position of a new account, from which all of its payouts are listed.
const addAccountSQL = `
INSERT INTO payouts.accounts (account)
VALUES (@account)
ON CONFLICT (account) DO NOTHING`

// listPositionSQL returns how far the list was read, and whether the pause after a failure lasts, by the database's
// clock.
const listPositionSQL = `
SELECT
	a.listed_to,
	a.begun_at,
	a.floor_at,
	a.after_payout,
	a.failures,
	a.next_list_at > statement_timestamp()
FROM payouts.accounts AS a
WHERE a.account = @account`

// Compared with what was read, because another job may have moved the position.
const saveListPositionSQL = `
UPDATE payouts.accounts AS a
SET
	listed_to = @listed_to,
	begun_at = @begun_at,
	floor_at = @floor_at,
	after_payout = @after,
	failures = 0
WHERE a.account = @account
	AND a.listed_to = @was_listed_to`

// noteListFailureSQL doubles the pause with each failure in a row, up to a maximum. saveListPositionSQL ends the row.
const noteListFailureSQL = `
UPDATE payouts.accounts AS a
SET
	failures = a.failures + 1,
	next_list_at = statement_timestamp() + least(@first::interval * power(2, least(a.failures, 20)), @max::interval)
WHERE a.account = @account`

// listPosition is how far an account's list was read. listedTo is the beginning of the last complete reading. begun and
// floor are of the reading that is under way, nil when none is; after is the payout behind which it continues.
type listPosition struct {
	listedTo     time.Time
	begun, floor *time.Time
	after        string
}

// list reads the payouts made since the last listing, and those that may still change. A long list is read in several
// steps, each of which is durable.
func (s *Service) list(ctx context.Context, account string, until time.Time, asked, force bool) error {
	args := pgx.NamedArgs{"account": account, "first": firstPause, "max": maxPause}
	if _, err := s.cfg.Pool.Exec(ctx, addAccountSQL, args); err != nil {
		return postgres.Error(err)
	}
	var r listPosition
	var failures int
	var waits bool
	if err := s.cfg.Pool.QueryRow(ctx, listPositionSQL, args).Scan(&r.listedTo, &r.begun, &r.floor, &r.after, &failures, &waits); err != nil {
		return postgres.Error(err)
	}
	// A reading that is under way or failed continues without being asked for.
	if (!asked && r.floor == nil && failures == 0) || (waits && !force) {
		return nil
	}
	if r.floor == nil {
		// Payouts that could still change at the last listing are listed again, however long ago that was.
		begun, floor := s.now(), r.listedTo.Add(-watchFor)
		r.begun, r.floor = &begun, &floor
	}
	for {
		page, more, err := s.cfg.Stripe.ListPayouts(ctx, account, *r.floor, r.after)
		if s.counted(err) != nil {
			if ctx.Err() != nil {
				return err
			}
			s.cfg.Logger.WarnContext(ctx, "payouts could not be listed at Stripe", "account", account, "error", err)
			_, err := s.cfg.Pool.Exec(ctx, noteListFailureSQL, args)
			return postgres.Error(err)
		}
		for _, p := range page {
			if err := s.storePayout(ctx, account, p); err != nil {
				if ctx.Err() != nil || postgres.Away(err) {
					return err
				}
				// A payout of an unknown status, for example, must not delay others or the account's books.
				s.reads.WithLabelValues("failed").Inc()
				s.cfg.Logger.ErrorContext(ctx, "a payout could not be stored", "account", account, "payout", p.ID, "status", p.Status, "error", err)
			}
		}
		// is is the position after this page. It is stored after all payouts of the page.
		is := r
		if more {
			is.after = page[len(page)-1].ID
		} else {
			// The end: payouts made since the reading began are for the next one.
			is = listPosition{listedTo: *r.begun}
		}
		if _, err := s.cfg.Pool.Exec(ctx, saveListPositionSQL, pgx.NamedArgs{
			"account": account, "was_listed_to": r.listedTo,
			"listed_to": is.listedTo, "begun_at": is.begun, "floor_at": is.floor, "after": is.after,
		}); err != nil {
			return postgres.Error(err)
		}
		if r = is; !more || over(until) {
			return nil
		}
	}
}

// dueSQL returns the due payouts, the longest due first. payouts_due_idx has this order. With force pauses are ignored,
// but payouts with nothing left to do stay out.
const dueSQL = `
SELECT p.id
FROM payouts.payouts AS p
WHERE p.account = @account
	AND (p.next_attempt_at <= statement_timestamp() OR @force AND p.next_attempt_at IS NOT NULL)
ORDER BY
	p.next_attempt_at,
	p.id
LIMIT 200`

// due returns the ids of the payouts that Sync has to process now.
func (s *Service) due(ctx context.Context, account string, force bool) ([]string, error) {
	rows, err := s.cfg.Pool.Query(ctx, dueSQL, pgx.NamedArgs{"account": account, "force": force})
	if err != nil {
		return nil, postgres.Error(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return ids, postgres.Error(err)
}

// dueAccountsSQL returns accounts with a due payout, or with a listing that is under way or failed and may continue.
const dueAccountsSQL = `
SELECT p.account
FROM payouts.payouts AS p
WHERE p.account = ANY(@accounts::text[])
	AND p.next_attempt_at <= statement_timestamp()
UNION
SELECT a.account
FROM payouts.accounts AS a
WHERE a.account = ANY(@accounts::text[])
	AND (a.floor_at IS NOT NULL OR a.failures > 0)
	AND a.next_list_at <= statement_timestamp()
ORDER BY account`

// DueAccounts returns which of the accounts have something due for [Service.Sync].
func (s *Service) DueAccounts(ctx context.Context, accounts []string) ([]string, error) {
	rows, err := s.cfg.Pool.Query(ctx, dueAccountsSQL, pgx.NamedArgs{"accounts": accounts})
	if err != nil {
		return nil, postgres.Error(err)
	}
	due, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return due, postgres.Error(err)
}

// syncPayout does what is due for one payout, and decides when it is due again.
func (s *Service) syncPayout(ctx context.Context, account, id string, until time.Time) error {
	p, err := s.get(ctx, account, id)
	if err != nil {
		return err
	}
	// A lost event is replaced by a read.
	if p.overdue(s.now()) {
		err := s.Read(ctx, account, id)
		if err == nil {
			p, err = s.get(ctx, account, id)
		}
		if err != nil {
			return s.syncFailed(ctx, p, err)
		}
	}
	more, err := s.readContents(ctx, &p, until)
	if err != nil {
		return s.syncFailed(ctx, p, err)
	}
	if more {
		return nil // it stays due
	}
	settled, err := s.settle(ctx, &p)
	if err != nil {
		return s.syncFailed(ctx, p, err)
	}
	compared, differs, err := s.reconcile(ctx, p)
	if err != nil {
		return s.syncFailed(ctx, p, err)
	}
	// All is done for the present state. Otherwise something is awaited, and the payout is tried again.
	if settled && compared && p.final() {
		return s.markDone(ctx, p, differs)
	}
	return s.retryLater(ctx, p)
}

// overdue reports whether something should be known of the payout by now, and is not.
func (p Payout) overdue(now time.Time) bool {
	moving := p.State == stripe.PayoutPending || p.State == stripe.PayoutInTransit
	// Stripe may name the balance transactions of a payout and of its return later than their state.
	unnamed := p.Transaction == "" || rank(p.State) > rank(stripe.PayoutPaid) && p.FailureTransaction == ""
	return unnamed || (moving || p.Automatic && !p.listable) && !now.Before(p.Arrival)
}

// final reports whether nothing more is expected, except perhaps a failure.
func (p Payout) final() bool { return rank(p.State) >= rank(stripe.PayoutPaid) }

// syncFailed retries a payout later, unless the failure is the database's.
func (s *Service) syncFailed(ctx context.Context, p Payout, err error) error {
	if ctx.Err() != nil || postgres.Away(err) {
		return err
	}
	s.cfg.Logger.WarnContext(ctx, "a payout could not be brought up to date", "account", p.Account, "payout", p.ID, "error", err)
	return s.retryLater(ctx, p)
}

package webhooks

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// stepPages is how many pages of a hundred are booked in one step, together with the new position. A long history takes
// several steps, each of which is durable.
const stepPages = 10

// bookNew books the balance transactions from the newest down to the cursor and the overlap behind it, in one step.
// What exceeds one step, such as the history of a new account, is left to the look back, so that new donations never
// wait for old ones.
func (s *Service) bookNew(ctx context.Context, p position, d depth) error {
	// A new account has no cursor: all of its history is to be read.
	floor := time.Unix(0, 0)
	if p.syncedTo.After(floor) {
		floor = p.syncedTo.Add(-d.overlap)
	}
	r, err := s.readBalance(ctx, p.account, floor, "", d.untilKnown)
	if err != nil {
		return err
	}
	// p stays as it was read, since savePositionSQL compares with it.
	is := p
	// The cursor moves to the newest transaction although older ones may be left: those are the look back's.
	if r.top.After(is.syncedTo) {
		is.syncedTo = r.top
	}
	// The look back continues behind what this step read, down to the lower of both floors. If one was under way, it
	// starts again further up, which only reads known transactions again.
	if !r.end {
		is.backAfter = r.after
		if p.backFloor == nil || floor.Before(*p.backFloor) {
			is.backFloor = &floor
		}
	}
	return s.bookStep(ctx, r, p, is)
}

// lookBack continues the look back that is under way, or begins the one that is due, until it ends or until has passed.
// It finds balance transactions that became visible behind the cursor and belong to no donation that is polled.
func (s *Service) lookBack(ctx context.Context, account string, until time.Time) error {
	for {
		p, err := s.position(ctx, account)
		if err != nil {
			return err
		}
		is := p
		switch {
		case p.backFloor != nil:
		case p.backDue:
			// The first look back of a week reaches further.
			reach := backDaily
			if p.backFar {
				reach = backWeekly
			}
			floor := s.now().Add(-reach)
			is.backFloor, is.backBegins = &floor, true
		default:
			return nil
		}
		// It does not end at a known page, because unknown transactions may be older than known ones.
		r, err := s.readBalance(ctx, account, *is.backFloor, is.backAfter, false)
		if err != nil {
			return err
		}
		is.backAfter = r.after
		if r.end {
			is.backFloor, is.backAfter = nil, ""
		}
		if err := s.bookStep(ctx, r, p, is); err != nil {
			return err
		}
		if r.end {
			s.metrics.syncs.WithLabelValues("back", "done").Inc()
		}
		if over(until) {
			return nil
		}
	}
}

// bookStep books what was read and saves the position in one transaction, so that nothing behind the position is left
// out.
func (s *Service) bookStep(ctx context.Context, r balancePage, was, is position) error {
	var fresh []stripe.BalanceTransaction
	var parked []parking
	for _, t := range r.fresh {
		// Without its source, its owner is unknown. A single read returns the source, which a parked one gets.
		if m, _ := meaningOf(t); m.payment && t.Source.ID != "" && t.Source.Object == "" && t.Source.Unreadable == "" {
			parked = append(parked, park(t, reasonSourceUnread))
			continue
		}
		fresh = append(fresh, t)
	}
	return s.book(ctx, was.account, fresh, parked, func(ctx context.Context, tx pgx.Tx) error {
		return savePositionTx(ctx, tx, was, is)
	})
}

// balancePage is what one step reads of the balance.
type balancePage struct {
	// fresh are the balance transactions that are neither booked nor parked, oldest first.
	fresh []stripe.BalanceTransaction
	// top is the newest creation time; after is where to continue.
	top   time.Time
	after string
	// end: the floor was reached.
	end bool
}

// readBalance lists up to stepPages pages after the given balance transaction, newest first, down to the floor. With
// untilKnown it also ends at a page whose transactions are all known.
func (s *Service) readBalance(ctx context.Context, account string, floor time.Time, after string, untilKnown bool) (r balancePage, err error) {
	r.after = after
	for range stepPages {
		page, more, err := s.cfg.Stripe.ListBalanceTransactions(ctx, account, stripe.BalanceQuery{Since: floor, After: r.after})
		if err != nil {
			return balancePage{}, err
		}
		if len(page) == 0 {
			r.end = true
			break
		}
		fresh, err := s.fresh(ctx, account, page)
		if err != nil {
			return balancePage{}, err
		}
		r.fresh = append(r.fresh, fresh...)
		if page[0].Created.After(r.top) {
			r.top = page[0].Created
		}
		r.after = page[len(page)-1].ID
		if !more || (untilKnown && len(fresh) == 0) {
			r.end = true
			break
		}
	}
	// In the order of time, so that a payment is posted before its refund.
	slices.Reverse(r.fresh)
	return r, nil
}

// fresh leaves out the balance transactions that are booked, parked or empty. Booked ones are not evaluated again,
// because what is known of their donations has changed since; parked ones are retried separately.
func (s *Service) fresh(ctx context.Context, account string, page []stripe.BalanceTransaction) ([]stripe.BalanceTransaction, error) {
	ids := make([]string, len(page))
	for i, t := range page {
		ids[i] = t.ID
	}
	known, err := s.cfg.Ledger.KnownReferences(ctx, account, ids)
	if err != nil {
		return nil, err
	}
	parked, err := s.parkedAmong(ctx, account, ids)
	if err != nil {
		return nil, err
	}
	// A transaction of zero is empty only if its amounts could be read.
	return slices.DeleteFunc(slices.Clone(page), func(t stripe.BalanceTransaction) bool {
		return known[t.ID] || (t.Amount == 0 && t.Fee == 0 && t.Unreadable == "") || slices.Contains(parked, t.ID)
	}), nil
}

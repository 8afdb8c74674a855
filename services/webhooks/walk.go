package webhooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// stepPages is how many pages of a hundred are posted in one transaction. A long history takes several such
// steps, each of which lasts.
const stepPages = 10

// walk reads the balance from its newest end, or from where a walk was cut off, down to the floor: the cursor
// and the overlap behind it. Stripe lists newest first, so the cursor moves only when the floor is reached;
// until then the walk's own position is kept, beside what it posted.
func (s *Service) walk(ctx context.Context, p *position, d depth, until time.Time) (done bool, err error) {
	if p.walkAfter == "" {
		p.walkTop, p.walkFloor = p.syncedTo, time.Unix(0, 0)
		if p.syncedTo.After(p.walkFloor) {
			p.walkFloor = p.syncedTo.Add(-d.overlap)
		}
	}
	for {
		read, err := s.read(ctx, *p, d.untilKnown)
		if err != nil {
			return false, err
		}
		was := *p
		if read.top.After(p.walkTop) {
			p.walkTop = read.top
		}
		if p.walkAfter = read.after; read.end {
			p.syncedTo, p.walkAfter = p.walkTop, ""
		}
		is := *p
		if err := s.postAll(ctx, p.account, read.fresh, func(ctx context.Context, tx pgx.Tx) error {
			return savePositionTx(ctx, tx, was, is)
		}); err != nil || read.end {
			return read.end, err
		}
		if over(until) {
			return false, nil
		}
	}
}

// reading is one step's worth of balance transactions.
type reading struct {
	// fresh are those that the ledger does not have, oldest first.
	fresh []stripe.BalanceTransaction
	// top is the newest creation; after is where to go on.
	top   time.Time
	after string
	end   bool
}

func (s *Service) read(ctx context.Context, p position, untilKnown bool) (r reading, err error) {
	r.after = p.walkAfter
	for range stepPages {
		page, more, err := s.cfg.Stripe.ListBalanceTransactions(ctx, p.account, stripe.BalanceQuery{Since: p.walkFloor, After: r.after})
		if err != nil {
			return reading{}, err
		}
		if len(page) == 0 {
			r.end = true
			break
		}
		fresh, err := s.fresh(ctx, p.account, page)
		if err != nil {
			return reading{}, err
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
	slices.Reverse(r.fresh)
	return r, nil
}

// fresh leaves out what the ledger has: to say again what a transaction of the past was about could give
// another answer, and would cost calls.
func (s *Service) fresh(ctx context.Context, account string, page []stripe.BalanceTransaction) ([]stripe.BalanceTransaction, error) {
	ids := make([]string, len(page))
	for i, t := range page {
		ids[i] = t.ID
	}
	known, err := s.cfg.Ledger.KnownReferences(ctx, account, ids)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(page), func(t stripe.BalanceTransaction) bool {
		return known[t.ID] || (t.Amount == 0 && t.Fee == 0)
	}), nil
}

// postAll posts balance transactions and moves their gifts, and does what also asks, in one transaction. When
// the ledger refuses the batch, each is posted by itself, so that one does not hold up the others; what is
// refused then is an error, also is not done, and the position stays before it.
func (s *Service) postAll(ctx context.Context, account string, fresh []stripe.BalanceTransaction, also func(context.Context, pgx.Tx) error) error {
	owner, err := s.cfg.Collectives.SoleOwner(ctx, account)
	if err != nil {
		return err
	}
	clues, err := s.clues(ctx, account, fresh)
	if err != nil {
		return err
	}
	err = s.postBatch(ctx, account, owner, fresh, clues, also)
	if err == nil || ctx.Err() != nil || postgresAway(err) || len(fresh) == 0 {
		return err
	}
	var refused error
	for i := range fresh {
		err := s.postBatch(ctx, account, owner, fresh[i:i+1], clues[i:i+1], nil)
		switch {
		case err == nil:
		case ctx.Err() != nil || postgresAway(err):
			return err
		// Another job posted it just now, and saw its gift in another light.
		case errs.As(err).Reason == ledger.ReasonReferenceReused:
		default:
			s.metrics.refused.Inc()
			s.cfg.Logger.ErrorContext(ctx, "the ledger refuses a balance transaction",
				"account", account, "balance_transaction", fresh[i].ID, "type", fresh[i].Type, "error", err)
			refused = errors.Join(refused, err)
		}
	}
	if refused != nil {
		return fmt.Errorf("the ledger refuses balance transactions: %w", refused)
	}
	return s.postBatch(ctx, account, owner, nil, nil, also)
}

// clues returns what leads to each one's gift. A refund or a dispute names its payment only; where that is
// unknown, since its charge is still to be read, Stripe is asked.
func (s *Service) clues(ctx context.Context, account string, fresh []stripe.BalanceTransaction) ([]donations.Clue, error) {
	clues := make([]donations.Clue, len(fresh))
	for i, t := range fresh {
		clues[i] = donations.Clue{Donation: t.Source.Donation, PaymentIntent: t.Source.PaymentIntent, Charge: t.Source.Charge}
	}
	matches, err := s.cfg.Donations.Find(ctx, account, clues)
	if err != nil {
		return nil, err
	}
	asked := map[string]uuid.UUID{}
	for i, t := range fresh {
		m, _ := meaningOf(t)
		intent := t.Source.PaymentIntent
		if !m.payment || m.paid || intent == "" || matches[i].Donation != uuid.Nil {
			continue
		}
		donation, known := asked[intent]
		if !known {
			found, err := s.cfg.Stripe.GetPaymentIntent(ctx, account, intent)
			if err != nil && stripe.KindOf(err) != stripe.Missing {
				return nil, err
			}
			donation = found.Donation
			asked[intent] = donation
		}
		clues[i].Donation = donation
	}
	return clues, nil
}

// postBatch is one transaction: ledger, gifts, and also.
func (s *Service) postBatch(ctx context.Context, account, owner string, fresh []stripe.BalanceTransaction, clues []donations.Clue,
	also func(context.Context, pgx.Tx) error,
) error {
	var posted []posting
	err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		var err error
		if posted, err = s.postTx(ctx, tx, account, owner, fresh, clues); err != nil || also == nil {
			return err
		}
		return also(ctx, tx)
	})
	if err != nil {
		return err
	}
	for _, p := range posted {
		s.report(ctx, account, p)
	}
	return nil
}

// postTx returns what was new.
func (s *Service) postTx(ctx context.Context, tx pgx.Tx, account, owner string, fresh []stripe.BalanceTransaction, clues []donations.Clue) ([]posting, error) {
	if len(fresh) == 0 {
		return nil, nil
	}
	matches, err := s.cfg.Donations.FindTx(ctx, tx, account, clues)
	if err != nil {
		return nil, err
	}
	postings := make([]posting, 0, len(fresh))
	transactions := make([]ledger.Transaction, 0, len(fresh))
	for i, t := range fresh {
		if p := post(t, matches[i], owner); !p.empty() {
			postings = append(postings, p)
			transactions = append(transactions, p.transaction)
		}
	}
	isNew, err := s.cfg.Ledger.PostTx(ctx, tx, account, transactions)
	if err != nil {
		return nil, err
	}
	var posted []posting
	var movements []donations.Movement
	for i, p := range postings {
		if !isNew[i] {
			continue
		}
		posted = append(posted, p)
		if p.movement.Donation != uuid.Nil {
			movements = append(movements, p.movement)
		}
	}
	return posted, s.cfg.Donations.BookTx(ctx, tx, movements)
}

// report tells what was posted, after the commit.
func (s *Service) report(ctx context.Context, account string, p posting) {
	s.metrics.posted.WithLabelValues(p.transaction.Kind).Inc()
	if p.unattributed {
		s.metrics.unattributed.Inc()
		s.cfg.Logger.WarnContext(ctx, "money that is no gift of ours was booked to unknown receipts",
			"account", account, "balance_transaction", p.transaction.Reference)
	}
	if p.undocumented {
		s.metrics.unknownTypes.Inc()
		s.cfg.Logger.ErrorContext(ctx, "a balance transaction of an undocumented type was booked to unknown receipts",
			"account", account, "balance_transaction", p.transaction.Reference)
	}
}

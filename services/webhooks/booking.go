package webhooks

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// item is a balance transaction that is to be booked.
type item struct {
	stripe.BalanceTransaction
	// clue is the payment intent and the charge by which the donation is found.
	clue donations.Clue
	// claim is the donation that its payment's metadata names; Nil when it names none, or when it was not needed.
	claim uuid.UUID
	// effective is the booking date, when it differs from the date of the transaction; zero otherwise.
	effective time.Time
}

// book posts balance transactions and updates their donations. If the ledger refuses the batch, each is posted by
// itself, and those refused are parked, so that one does not delay the others. The last transaction also parks the
// given ones, removes what was booked from the parked ones, and runs also. An error means that the database is away or
// that time is up, never that the ledger refused something.
func (s *Service) book(ctx context.Context, account string, fresh []stripe.BalanceTransaction, parked []parking,
	also func(context.Context, pgx.Tx) error,
) error {
	// Owners answers by the time of a movement, so a collective that comes later changes nothing about earlier money.
	owners, err := s.cfg.Collectives.Owners(ctx, account)
	if err != nil {
		return err
	}
	readable, odd := s.withExpectedShape(ctx, account, fresh)
	// All calls to Stripe are made here, since none may be made inside a database transaction.
	items, unread, err := s.findDonations(ctx, account, readable)
	if err != nil {
		return err
	}
	parked = slices.Concat(parked, odd, unread)
	// end is the last part of the transaction that completes the batch. So the position in also never moves past a
	// transaction that is neither booked nor parked.
	end := func(ctx context.Context, tx pgx.Tx) error {
		if err := parkTx(ctx, tx, account, fresh, parked); err != nil {
			return err
		}
		if err := s.tellUnexpectedShapesTx(ctx, tx, owners, parked); err != nil || also == nil {
			return err
		}
		return also(ctx, tx)
	}
	// The usual case is one database transaction for the whole batch.
	err = s.postBatch(ctx, account, owners, items, end)
	if err == nil || ctx.Err() != nil || postgres.Away(err) || len(items) == 0 {
		return err
	}
	// Something in the batch was refused, so nothing of it is posted. Each item gets its own database transaction. If
	// the program ends in between, the position has not moved: the next pass reads all again, and finds what is posted
	// as known.
	for _, it := range items {
		refusal, err := s.bookOne(ctx, account, owners, it)
		if err != nil {
			return err
		}
		if refusal != "" {
			parked = append(parked, park(it.BalanceTransaction, refusal))
		}
	}
	// Without items this only parks, removes from the parked ones, and moves the position.
	return s.postBatch(ctx, account, owners, nil, end)
}

// bookOne posts one balance transaction, and returns the reason when the ledger refuses it. If its period is closed, it
// is posted at the beginning of the open period; its donation keeps the time of the payment.
func (s *Service) bookOne(ctx context.Context, account string, owners collectives.Owners, it item) (refusal string, err error) {
	logger := s.cfg.Logger.With("account", account, "balance_transaction", it.ID, "type", it.Type)
	err = s.postBatch(ctx, account, owners, []item{it}, nil)
	if err != nil && errs.As(err).Reason == errorsv1.ErrorReason_PERIOD_CLOSED {
		if it.effective, err = s.openFrom(ctx, account, owners, it); err == nil {
			logger.WarnContext(ctx, "money of a closed period is booked in the open one", "created", it.Created, "effective", it.effective)
			err = s.postBatch(ctx, account, owners, []item{it}, nil)
		}
	}
	switch {
	case err == nil:
		return "", nil
	case ctx.Err() != nil, postgres.Away(err):
		return "", err
	case errs.As(err).Reason == errorsv1.ErrorReason_REFERENCE_REUSED:
		// Another job posted it just now, with another state of its donation, or with its period still open.
		logger.WarnContext(ctx, "a balance transaction is already booked differently", "error", err)
		return "", nil
	}
	s.metrics.refused.Inc()
	logger.ErrorContext(ctx, "the ledger refused a balance transaction, which is parked", "error", err)
	return errs.As(err).Reason.String(), nil
}

// openFrom is the earliest time at which the books of all owners of the money are open.
func (s *Service) openFrom(ctx context.Context, account string, owners collectives.Owners, it item) (time.Time, error) {
	var whose []string
	// The postings tell whose money it is. Preparing them stores owners and holds, so the transaction is rolled back.
	err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		postings, err := s.prepareTx(ctx, tx, account, owners, []item{it})
		if err != nil {
			return err
		}
		for _, p := range postings {
			for _, e := range p.transaction.Entries {
				whose = append(whose, e.Collective)
			}
		}
		return errRollBack
	})
	if err != nil && !errors.Is(err, errRollBack) {
		return time.Time{}, err
	}
	var open time.Time
	// A transaction has one date for all of its owners.
	for _, collective := range whose {
		until, err := s.cfg.Ledger.ClosedUntil(ctx, account, collective)
		if err != nil {
			return time.Time{}, err
		}
		if until.After(open) {
			open = until
		}
	}
	return open, nil
}

// errRollBack rolls back a transaction whose result was only looked at.
var errRollBack = errors.New("webhooks: roll back")

// findDonations pairs each balance transaction with what leads to its donation. Where nothing known leads to one,
// Stripe is asked. Transactions whose payment cannot be read now are returned as unread, to be parked.
func (s *Service) findDonations(ctx context.Context, account string, fresh []stripe.BalanceTransaction) (items []item, unread []parking, err error) {
	clues := make([]donations.Clue, len(fresh))
	for i, t := range fresh {
		clues[i] = donations.Clue{PaymentIntent: t.Source.PaymentIntent, Charge: t.Source.Charge}
	}
	// Nothing is locked yet: prepareTx finds the donations again and locks them.
	matches, err := s.cfg.Donations.Find(ctx, account, clues)
	if err != nil {
		return nil, nil, err
	}
	unknown := map[int]donations.Payment{}
	for i, t := range fresh {
		m, _ := meaningOf(t)
		if !m.payment || matches[i].Donation != uuid.Nil {
			continue
		}
		payment := donations.Payment{Intent: t.Source.PaymentIntent}
		// A payment's own balance transaction names invoice and donation. For a refund or dispute the lookup reads the
		// payment.
		if m.paid {
			payment.Invoice, payment.Claim, payment.Money = t.Source.Invoice, t.Source.Donation, &t
		}
		unknown[i] = payment
	}
	// A lookup limits its calls to Stripe. A transaction that it may not ask about any more is parked, and tried later.
	lookup := s.cfg.Donations.NewLookup(account)
	if err := lookup.Prepare(ctx, slices.Collect(maps.Values(unknown))); err != nil {
		return nil, nil, err
	}
	for i, t := range fresh {
		it := item{BalanceTransaction: t, clue: clues[i]}
		if payment, ask := unknown[i]; ask {
			claim, told, err := lookup.Ask(ctx, payment)
			if err != nil {
				return nil, nil, err
			}
			if !told {
				unread = append(unread, park(t, reasonPaymentUnread))
				continue
			}
			// Only money that arrives can be a refused payment, see prepareTx.
			if payment.Money != nil {
				it.claim = claim
			}
		}
		items = append(items, it)
	}
	return items, unread, nil
}

// postBatch posts items, updates their donations and runs also, in one transaction.
func (s *Service) postBatch(ctx context.Context, account string, owners collectives.Owners, items []item, also func(context.Context, pgx.Tx) error) error {
	var posted []posting
	err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		var err error
		if posted, err = s.postTx(ctx, tx, account, owners, items); err != nil || also == nil {
			return err
		}
		return also(ctx, tx)
	})
	if err != nil {
		return err
	}
	// After the commit, because InTx may run its function more than once.
	for _, p := range posted {
		s.logPosted(ctx, account, p)
	}
	return nil
}

// postTx returns the postings that are new.
func (s *Service) postTx(ctx context.Context, tx pgx.Tx, account string, owners collectives.Owners, items []item) ([]posting, error) {
	if len(items) == 0 {
		return nil, nil
	}
	postings, err := s.prepareTx(ctx, tx, account, owners, items)
	if err != nil {
		return nil, err
	}
	transactions := make([]ledger.Transaction, len(postings))
	for i, p := range postings {
		transactions[i] = p.transaction
	}
	// PostTx skips transactions that the book has already. Donations and notices change only for new ones, which makes
	// a repetition harmless.
	isNew, err := s.cfg.Ledger.PostTx(ctx, tx, account, transactions)
	if err != nil {
		return nil, err
	}
	// Conversions are stored for all postings, since storing one again changes nothing.
	var conversions []ledger.Conversion
	for _, p := range postings {
		if p.conversion.Rate != "" {
			conversions = append(conversions, p.conversion)
		}
	}
	if err := s.cfg.Ledger.KeepConversionsTx(ctx, tx, account, conversions); err != nil {
		return nil, err
	}
	var posted []posting
	var movements []donations.Movement
	var strangers []donations.RefusedPayment
	for i, p := range postings {
		if !isNew[i] {
			continue
		}
		posted = append(posted, p)
		if p.stranger.Donation != uuid.Nil {
			strangers = append(strangers, p.stranger)
		}
		if p.held != uuid.Nil {
			if err := s.cfg.Donations.HoldTx(ctx, tx, p.held, p.of.Source.PaymentIntent, p.transit, p.of.Created); err != nil {
				return nil, err
			}
		}
		if p.movement.Donation != uuid.Nil {
			p.movement.Account = account
			movements = append(movements, p.movement)
		}
	}
	if err := s.cfg.Donations.RefuseTx(ctx, tx, account, strangers); err != nil {
		return nil, err
	}
	if err := s.tellMoneyTx(ctx, tx, posted); err != nil {
		return nil, err
	}
	if err := s.cfg.Donations.BookTx(ctx, tx, movements); err != nil {
		return nil, err
	}
	// Refunds and disputes whose events are lost become known by the money that they moved.
	return posted, s.cfg.Refunds.FollowTx(ctx, tx, movements)
}

// prepareTx turns items into postings and decides whose they are. Items that move no money have no posting.
func (s *Service) prepareTx(ctx context.Context, tx pgx.Tx, account string, owners collectives.Owners, items []item) ([]posting, error) {
	clues := make([]donations.Clue, len(items))
	for i, it := range items {
		clues[i] = it.clue
	}
	// The donations stay locked until the transaction ends, as BookTx and HoldTx require. FindTx locks them in the
	// order of their ids, so that two bookings do not deadlock.
	matches, err := s.cfg.Donations.FindTx(ctx, tx, account, clues)
	if err != nil {
		return nil, err
	}
	postings := make([]posting, 0, len(items))
	for i, it := range items {
		// The owners are decided below, for all postings together.
		p := post(it.BalanceTransaction, matches[i], "")
		if p.empty() {
			continue
		}
		// A payment that names a donation, but was not made for it, is noted as refused.
		if p.stranger.Donation == uuid.Nil && p.unattributed {
			p.stranger = stranger(it.BalanceTransaction, it.claim)
		}
		if !it.effective.IsZero() {
			p.transaction.Effective = it.effective
		}
		postings = append(postings, p)
	}
	return s.assignOwnersTx(ctx, tx, account, owners, postings)
}

// logPosted logs and counts a posting after its commit.
func (s *Service) logPosted(ctx context.Context, account string, p posting) {
	s.metrics.posted.WithLabelValues(p.transaction.Kind).Inc()
	if p.unattributed {
		s.metrics.unattributed.Inc()
		s.cfg.Logger.WarnContext(ctx, "a payment that is no donation of ours was booked to unknown receipts",
			"account", account, "balance_transaction", p.transaction.Reference)
	}
	if p.undocumented {
		s.metrics.unknownTypes.Inc()
		s.cfg.Logger.ErrorContext(ctx, "a balance transaction of an undocumented type was booked to unknown receipts",
			"account", account, "balance_transaction", p.transaction.Reference)
	}
}

package bank

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// A top-up is money that was sent from the bank to Stripe's balance, or came back from there without a payout. Stripe
// reports its own side alone, which stands in transit. The bank's side is booked by the line that shows it, on the line's
// day.

// topUpReferencePrefix begins the reference of a top-up's side at the bank. Stripe's id of the balance transaction follows,
// and a number, since a match can be made again after it was undone.
const topUpReferencePrefix = "top-up:"

// topUpDaysEarlier is how many days a line may lie before the day on which Stripe books the arrival.
const topUpDaysEarlier = 10

// isTopUp reports a movement in transit that waits for a line of the bank.
// Both sides of a top-up have one kind; the side at the bank is told by its reference.
func isTopUp(m ledger.RoleMovement) bool {
	return m.Kind == ledger.KindTopUp && !m.Reversed && !strings.HasPrefix(m.Reference, topUpReferencePrefix)
}

// bookTopUpTx books the bank's side of a top-up, which a line that is locked shows.
func (s *Service) bookTopUpTx(ctx context.Context, tx pgx.Tx, l Line, transaction int64, at place, now time.Time) error {
	book, err := s.cfg.Collectives.MarkInUseTx(ctx, tx, l.Collective)
	if err != nil {
		return err
	}
	// The transaction is Stripe's side, which stands on the account of money in transit.
	m, err := s.cfg.Ledger.RoleMovementTx(ctx, tx, book, l.Collective, ledger.RoleTransit, transaction, "")
	if errs.Code(err) == codes.NotFound || err == nil && !isTopUp(m) {
		return errs.Invalid("target.transaction", "must be a transaction that moved the collective's bank account, or a top-up of its Stripe balance")
	}
	if err != nil {
		return err
	}
	if m.Amount != l.Amount {
		return errDiffers("The top-up moves the bank account by %s.", m.Amount)
	}
	reference, err := s.topUpReferenceTx(ctx, tx, book, l.Collective, m)
	if err != nil {
		return err
	}
	if err := s.postTx(ctx, tx, l, reference, ledger.KindTopUp, ledger.RoleTransit, at.start(l.BookedOn)); err != nil {
		return err
	}
	return s.matchBookedTx(ctx, tx, l, TargetTransaction, reference, now)
}

// topUpReferenceTx returns the next reference for the bank's side of a top-up.
//
// Errors: FAILED_PRECONDITION (BANK_LINE_DIFFERS) when that side is booked.
func (s *Service) topUpReferenceTx(ctx context.Context, tx pgx.Tx, book, collective string, m ledger.RoleMovement) (string, error) {
	// Each match that was undone left a reference that is reversed. The first that is not booked is free; one that is
	// booked and not reversed is what another line shows.
	for n := 1; ; n++ {
		reference := fmt.Sprintf("%s%s:%d", topUpReferencePrefix, m.Reference, n)
		before, err := s.cfg.Ledger.RoleMovementTx(ctx, tx, book, collective, ledger.RoleBank, 0, reference)
		switch {
		case errs.Code(err) == codes.NotFound:
			return reference, nil
		case err != nil:
			return "", err
		case !before.Reversed:
			return "", errDiffers("Another bank line shows this top-up.")
		}
	}
}

// unbookTopUpTx reverses the bank's side of a top-up, when that is what a line shows.
func (s *Service) unbookTopUpTx(ctx context.Context, tx pgx.Tx, l Line) error {
	m, err := s.movementTx(ctx, tx, l.Collective, l.Transaction, "")
	if errs.Code(err) == codes.NotFound || err == nil && !strings.HasPrefix(m.Reference, topUpReferencePrefix) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.reverseTx(ctx, tx, l.Collective, m.Reference)
}

// readTopUps reads, once, the top-ups that the open lines may show.
func (m *matcher) readTopUps(ctx context.Context, lines []Line) error {
	if m.topUpsRead {
		return nil
	}
	m.topUpsRead = true
	// The lines are in the order of their days. The span is that of topUp, and a day more at each end for time zones.
	start := m.at.start(lines[0].BookedOn).AddDate(0, 0, -daysLater-1)
	end := m.at.start(lines[len(lines)-1].BookedOn).AddDate(0, 0, topUpDaysEarlier+2)
	moved, err := m.cfg.Ledger.RoleMovementsTx(ctx, m.tx, m.at.book, lines[0].Collective, ledger.RoleTransit, start, end)
	if err != nil {
		return err
	}
	for _, t := range moved {
		if !isTopUp(t) {
			continue
		}
		switch _, err := m.topUpReferenceTx(ctx, m.tx, m.at.book, lines[0].Collective, t); {
		// The bank's side is not booked, so a line may show it.
		case err == nil:
			m.topUps = append(m.topUps, t)
		case errs.Code(err) != codes.FailedPrecondition:
			return err
		}
	}
	return nil
}

// topUp returns the one top-up that a line may show. Of several it returns none.
func (m *matcher) topUp(ctx context.Context, l Line) (best ledger.RoleMovement, found bool, err error) {
	if err := m.readTopUps(ctx, m.rest); err != nil {
		return best, false, err
	}
	for _, t := range m.topUps {
		later := m.at.day(t.Effective).DaysUntil(l.BookedOn)
		if t.Amount != l.Amount || later < -topUpDaysEarlier || later > daysLater {
			continue
		}
		if found {
			return ledger.RoleMovement{}, false, nil
		}
		best, found = t, true
	}
	return best, found, nil
}

package bank

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/treasury"
)

// A line may show a movement of the same day or of some days before; a day after it where time zones differ.
const (
	daysEarlier = 1
	daysLater   = 5
)

// recognised are the kinds of transactions that a line is matched with by itself, when no other line may show them. All
// others are only suggested.
var recognised = []string{ledger.KindPayout, ledger.KindDeposit}

// matcher compares the open lines of a collective, which are locked, with the books.
type matcher struct {
	*Service
	tx        pgx.Tx
	at        place
	now       time.Time
	movements []treasury.BankMovement
	// taken are the transactions that a line shows, or that nothing is left of.
	taken map[int64]bool
	// rest are the lines that no pledge tells about.
	rest []Line
	// topUps are read when a line is left that may show one.
	topUps     []ledger.RoleMovement
	topUpsRead bool

	booked, recognised int
}

// Recognise compares the open lines of a collective with the books again. Whatever moves the bank account calls it after
// its commit, because a line may have shown the movement before. Doing it twice changes nothing. It waits for an import
// that is under way: that import may have read the books before the movement was booked.
func (s *Service) Recognise(ctx context.Context, collective string) error {
	at, err := s.place(ctx, collective)
	if err != nil {
		return err
	}
	now := s.now()
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		if err := treasury.LockBankTx(ctx, tx, collective); err != nil {
			return err
		}
		_, _, err := s.matchOpenTx(ctx, tx, collective, at, now)
		return err
	})
}

// openLinesSQL returns and locks the lines that are to be matched. The index lines_open_idx has no others, in this
// order.
const openLinesSQL = `
SELECT` + lineColumns + `
FROM bank.lines AS l
WHERE l.collective = @collective
	AND l.state IN ('unmatched', 'suggested')
ORDER BY
	l.booked_on,
	l.id
FOR NO KEY UPDATE OF l`

// matchOpenTx compares all open lines of a collective, the oldest first. A line that names a pledge of its amount becomes
// a donation. A line of the amount of a payout or a deposit, at about its day, is matched with that when no other line may
// show it. What may be right is suggested.
func (s *Service) matchOpenTx(ctx context.Context, tx pgx.Tx, collective string, at place, now time.Time) (booked, matched int, err error) {
	lines, err := postgres.All(ctx, tx, scanLine, openLinesSQL, pgx.NamedArgs{"collective": collective})
	if err != nil || len(lines) == 0 {
		return 0, 0, err
	}
	// The caller holds the lock of the bank, so nothing that a line may show is booked by a line or an entry meanwhile.
	m := &matcher{Service: s, tx: tx, at: at, now: now, taken: map[int64]bool{}}
	// The lines are in the order of their days. One more day at each end covers the zones in which days begin otherwise.
	start := at.start(lines[0].BookedOn).AddDate(0, 0, -daysLater-1)
	end := at.start(lines[len(lines)-1].BookedOn).AddDate(0, 0, daysEarlier+2)
	if m.movements, err = s.cfg.Treasury.BankMovementsTx(ctx, tx, at.book, collective, start, end); err != nil {
		return 0, 0, err
	}
	for _, movement := range m.movements {
		m.taken[movement.TransactionID] = movement.Undone || movement.Shown
	}
	// Pledges come first: a line that names one is no rival for a movement of its amount.
	for _, l := range lines {
		done := false
		if l.Pledge != uuid.Nil && l.Amount.Minor > 0 {
			if done, err = m.byPledge(ctx, l); err != nil {
				return 0, 0, err
			}
		}
		if !done {
			m.rest = append(m.rest, l)
		}
	}
	for _, l := range m.rest {
		if err := m.byMovement(ctx, l); err != nil {
			return 0, 0, err
		}
	}
	return m.booked, m.recognised, nil
}

// byMovement matches a line with the movement that it shows, or suggests the movement that it may show.
func (m *matcher) byMovement(ctx context.Context, l Line) error {
	// Movements in the books come before top-ups, whose side at the bank is not booked yet.
	movement, found := m.nearest(l)
	if !found {
		topUp, found, err := m.topUp(ctx, l)
		if err != nil {
			return err
		}
		if found {
			return m.suggest(ctx, l, TargetTransaction, topUp.TransactionID)
		}
	}
	switch {
	// Nothing was known and nothing is.
	case !found && l.State == LineUnmatched:
		return nil
	case !found:
		// Another line shows by now what was suggested.
		l.State, l.Target, l.Transaction = LineUnmatched, "", 0
		return updateLineTx(ctx, m.tx, l, m.now)
	case slices.Contains(recognised, movement.Kind) && !m.rivals(l, movement):
		return m.match(ctx, l, movement)
	}
	return m.suggest(ctx, l, TargetTransaction, movement.TransactionID)
}

// rivals reports whether another line may show the movement as well, such as a transfer of the amount of a deposit.
func (m *matcher) rivals(l Line, movement treasury.BankMovement) bool {
	// A line that was matched in this run still counts, so the order of the lines does not decide which of two is
	// matched.
	return slices.ContainsFunc(m.rest, func(other Line) bool {
		_, near := m.distance(other, movement)
		return other.ID != l.ID && near
	})
}

// suggest stores what a line may show, unless that is suggested already.
func (m *matcher) suggest(ctx context.Context, l Line, target TargetKind, transaction int64) error {
	if l.State == LineSuggested && l.Target == target && l.Transaction == transaction {
		return nil
	}
	l.State, l.Target, l.Transaction = LineSuggested, target, transaction
	return updateLineTx(ctx, m.tx, l, m.now)
}

// match matches a line with a movement. It only suggests it when a member unmatched the line before.
func (m *matcher) match(ctx context.Context, l Line, movement treasury.BankMovement) error {
	// To match it again by itself would undo what the member did.
	if l.attempt > 0 {
		return m.suggest(ctx, l, TargetTransaction, movement.TransactionID)
	}
	m.taken[movement.TransactionID] = true
	m.recognised++
	return matchMovementTx(ctx, m.tx, l, movement, m.now)
}

// byPledge books the donation of a line that names a pledge, matches the line with the donation that was entered before, or
// suggests the pledge. done is false when the pledge does not tell what the line shows.
func (m *matcher) byPledge(ctx context.Context, l Line) (done bool, err error) {
	p, err := m.cfg.Treasury.PledgeTx(ctx, m.tx, l.Collective, l.Pledge)
	if err != nil {
		return false, err
	}
	// The donation was entered, or another line made it. In the first case this line shows it, when its amount is right
	// and no other line shows it.
	if p.Fulfilled() {
		for _, movement := range m.movements {
			if movement.Donation == p.Donation && movement.Amount == l.Amount && !m.taken[movement.TransactionID] {
				return true, m.match(ctx, l, movement)
			}
		}
		// The pledge does not tell what this line shows. Its amount and its day are compared with the books next.
		return false, nil
	}
	// A member may have entered the transfer and not named its pledge. Only a member can tell, so it is suggested.
	if entered, found := m.entered(l); found {
		return true, m.suggest(ctx, l, TargetTransaction, entered.TransactionID)
	}
	// Another amount than the pledge's is suggested, and not booked.
	if l.Amount == p.Amount && l.attempt == 0 {
		if done, err = m.book(ctx, l, p); err != nil || done {
			return done, err
		}
	}
	return true, m.suggest(ctx, l, TargetPledge, 0)
}

// entered returns a donation of the line's amount and about its day that a member entered without a pledge and that no
// line shows. To book the line as well might count the money twice.
func (m *matcher) entered(l Line) (donation treasury.BankMovement, found bool) {
	for _, movement := range m.movements {
		_, near := m.distance(l, movement)
		if near && movement.Donation != uuid.Nil && !movement.Pledged && !m.taken[movement.TransactionID] {
			return movement, true
		}
	}
	return donation, false
}

// book makes the donation behind a savepoint: a line in a closed period is left to a member and does not stop the others.
func (m *matcher) book(ctx context.Context, l Line, p treasury.Pledge) (done bool, err error) {
	savepoint, err := m.tx.Begin(ctx)
	if err != nil {
		return false, postgres.Error(err)
	}
	// No key is named, which marks a donation that an import entered.
	err = m.bookDonationTx(ctx, savepoint, l, newDonation{campaign: p.Campaign, pledge: p.ID, currency: p.Amount.Currency}, m.at, m.now)
	switch {
	case err == nil:
		m.booked++
		return true, postgres.Error(savepoint.Commit(ctx))
	// Any other error ends the whole run. The caller rolls back all of it.
	case errs.Code(err) != codes.FailedPrecondition:
		return false, err
	}
	return false, postgres.Error(savepoint.Rollback(ctx))
}

// nearest returns the one movement that a line may show: of its amount, and the nearest to its day. Of two that are equally
// near it returns none.
func (m *matcher) nearest(l Line) (best treasury.BankMovement, found bool) {
	distance, several := daysLater+1, false
	for _, movement := range m.movements {
		later, near := m.distance(l, movement)
		if !near || m.taken[movement.TransactionID] {
			continue
		}
		switch {
		// A nearer movement also settles a tie between two that are farther.
		case later < distance:
			best, distance, found, several = movement, later, true, false
		case later == distance:
			several = true
		}
	}
	return best, found && !several
}

// distance is how many days lie between a line and a movement. near is false when the line cannot show the movement.
func (m *matcher) distance(l Line, movement treasury.BankMovement) (days int, near bool) {
	if movement.Amount != l.Amount {
		return 0, false
	}
	// Days are compared in the collective's time zone, in which the line's day is read too.
	later := m.at.day(movement.Effective).DaysUntil(l.BookedOn)
	return max(later, -later), later >= -daysEarlier && later <= daysLater
}

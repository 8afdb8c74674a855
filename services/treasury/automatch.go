package treasury

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// A bank books what our books have on the same day, or some days later; a day earlier where zones differ.
const (
	daysEarlier = 1
	daysLater   = 5
)

// recognised are the kinds of transactions that a line is taken for without asking, when no other line may be theirs:
// all others are suggested.
var recognised = []string{ledger.KindPayout, ledger.KindDeposit}

// matcher says what open lines are. Its lines are locked.
type matcher struct {
	*Service
	tx        pgx.Tx
	days      calendar
	now       time.Time
	movements []ledger.RoleMovement
	// taken are the transactions that lines show already, or that nothing is left of.
	taken map[int64]bool
	// rest are the lines of which no pledge says what they are.
	rest []Line
	// topUps are read when a line is left that may show one.
	topUps     []ledger.RoleMovement
	topUpsRead bool

	booked, recognised int
}

// Recognise looks at the open lines of a collective again, after something was booked that a line may have shown
// before. Doing it twice changes nothing. It waits for an import that is under way, whose lines nobody sees yet: that
// one may have read the books before the booking.
func (s *Service) Recognise(ctx context.Context, collective string) error {
	days, err := s.calendar(ctx, collective)
	if err != nil {
		return err
	}
	now := s.now()
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		if err := lockBankTx(ctx, tx, collective); err != nil {
			return err
		}
		_, _, err := s.matchOpenTx(ctx, tx, collective, days, now)
		return err
	})
}

// matchOpenTx looks at all open lines of a collective, the oldest first: a pledge that is named and fits becomes a
// donation; a payout or a deposit of the amount, about then, is marked when no other line may show it; what only may be
// right is suggested.
func (s *Service) matchOpenTx(ctx context.Context, tx pgx.Tx, collective string, days calendar, now time.Time) (booked, marked int, err error) {
	lines, err := all(ctx, tx, scanLine, openLinesSQL, pgx.NamedArgs{"collective": collective})
	if err != nil || len(lines) == 0 {
		return 0, 0, err
	}
	m := &matcher{Service: s, tx: tx, days: days, now: now}
	from := days.start(lines[0].BookedOn).AddDate(0, 0, -daysLater-1)
	to := days.start(lines[len(lines)-1].BookedOn).AddDate(0, 0, daysEarlier+2)
	if m.movements, err = s.cfg.Ledger.RoleMovementsTx(ctx, tx, days.book, collective, ledger.RoleBank, from, to); err != nil {
		return 0, 0, err
	}
	if m.taken, err = takenTx(ctx, tx, m.movements); err != nil {
		return 0, 0, err
	}
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

// byMovement says that a line is a movement in the books, or may be.
func (m *matcher) byMovement(ctx context.Context, l Line) error {
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
	case !found && l.State == LineUnmatched:
		return nil
	case !found:
		// What was suggested is another line's by now.
		l.State, l.Target, l.Transaction = LineUnmatched, "", 0
		return moveLineTx(ctx, m.tx, l, m.now)
	case slices.Contains(recognised, movement.Kind) && !m.rivals(l, movement):
		return m.mark(ctx, l, movement)
	}
	return m.suggest(ctx, l, TargetTransaction, movement.TransactionID)
}

// rivals reports whether another line may show the movement as well: a transfer of what was on a slip of cheques, say.
func (m *matcher) rivals(l Line, movement ledger.RoleMovement) bool {
	return slices.ContainsFunc(m.rest, func(other Line) bool {
		_, near := m.distance(other, movement)
		return other.ID != l.ID && near
	})
}

// suggest writes what a line may be, unless that is what it has.
func (m *matcher) suggest(ctx context.Context, l Line, target TargetKind, transaction int64) error {
	if l.State == LineSuggested && l.Target == target && l.Transaction == transaction {
		return nil
	}
	l.State, l.Target, l.Transaction = LineSuggested, target, transaction
	return moveLineTx(ctx, m.tx, l, m.now)
}

// mark says that a line shows a movement, unless a member has taken back what was said of the line: then it is for
// members to say.
func (m *matcher) mark(ctx context.Context, l Line, movement ledger.RoleMovement) error {
	if l.attempt > 0 {
		return m.suggest(ctx, l, TargetTransaction, movement.TransactionID)
	}
	m.taken[movement.TransactionID] = true
	m.recognised++
	return m.markTx(ctx, m.tx, l, movement, m.now)
}

const fulfillingDonationSQL = `
SELECT g.id
FROM treasury.offline_donations AS g
WHERE g.pledge = @pledge
	AND g.state IN ('received', 'banked')`

// byPledge books the donation of a line that names a pledge, marks the one that was entered before, or suggests the
// pledge. done is false when the pledge says nothing about the line.
func (m *matcher) byPledge(ctx context.Context, l Line) (done bool, err error) {
	p, err := pledgeByID(ctx, m.tx, l.Pledge)
	if err != nil {
		return false, postgres.Error(err)
	}
	if p.Fulfilled {
		donation, err := one(ctx, m.tx, pgx.RowTo[uuid.UUID], fulfillingDonationSQL, pgx.NamedArgs{"pledge": p.ID})
		if err != nil {
			return false, postgres.Error(err)
		}
		reference := Donation{ID: donation}.reference()
		for _, movement := range m.movements {
			if movement.Reference == reference && movement.Amount == l.Amount && !m.taken[movement.TransactionID] {
				return true, m.mark(ctx, l, movement)
			}
		}
		return false, nil
	}
	switch entered, found, err := m.entered(ctx, l); {
	case err != nil:
		return false, err
	case found:
		return true, m.suggest(ctx, l, TargetTransaction, entered.TransactionID)
	}
	if l.Amount == p.Amount && l.attempt == 0 {
		if done, err = m.book(ctx, l, p); err != nil || done {
			return done, err
		}
	}
	return true, m.suggest(ctx, l, TargetPledge, 0)
}

const pledgedSQL = `
SELECT EXISTS (
	SELECT
	FROM treasury.offline_donations AS g
	WHERE g.id = @donation
		AND g.pledge IS NOT NULL
)`

// entered returns a donation of the line's amount that a member entered about its day and without a pledge, and that no
// line shows: to book the line as well might count the money twice.
func (m *matcher) entered(ctx context.Context, l Line) (donation ledger.RoleMovement, found bool, err error) {
	for _, movement := range m.movements {
		id, ok := idAfter(movement.Reference, donationReferencePrefix)
		if _, near := m.distance(l, movement); !ok || !near || m.taken[movement.TransactionID] {
			continue
		}
		var pledged bool
		if err := m.tx.QueryRow(ctx, pledgedSQL, pgx.NamedArgs{"donation": id}).Scan(&pledged); err != nil || !pledged {
			return movement, err == nil, postgres.Error(err)
		}
	}
	return donation, false, nil
}

// book makes the donation behind a savepoint: a line in a closed period is left to a member, and keeps no other back.
func (m *matcher) book(ctx context.Context, l Line, p Pledge) (done bool, err error) {
	savepoint, err := m.tx.Begin(ctx)
	if err != nil {
		return false, postgres.Error(err)
	}
	err = m.bookLineTx(ctx, savepoint, l, TargetPledge, p.Campaign, p.ID, p.Amount.Currency, m.days, "", m.now)
	switch {
	case err == nil:
		m.booked++
		return true, postgres.Error(savepoint.Commit(ctx))
	case errs.Code(err) != codes.FailedPrecondition:
		return false, err
	}
	return false, postgres.Error(savepoint.Rollback(ctx))
}

// nearest returns the one movement that a line may show: of its amount, about its day, the nearest. Two that are equally
// near are none.
func (m *matcher) nearest(l Line) (best ledger.RoleMovement, found bool) {
	distance, several := daysLater+1, false
	for _, movement := range m.movements {
		later, near := m.distance(l, movement)
		if !near || m.taken[movement.TransactionID] {
			continue
		}
		switch {
		case later < distance:
			best, distance, found, several = movement, later, true, false
		case later == distance:
			several = true
		}
	}
	return best, found && !several
}

// distance is how many days lie between a line and a movement; near is false when it cannot show it.
func (m *matcher) distance(l Line, movement ledger.RoleMovement) (days int, near bool) {
	if movement.Amount != l.Amount {
		return 0, false
	}
	later := daysBetween(m.days.of(movement.Effective), l.BookedOn)
	return max(later, -later), later >= -daysEarlier && later <= daysLater
}

const takenSQL = `
SELECT l.ledger_transaction
FROM treasury.bank_lines AS l
WHERE l.ledger_transaction = ANY(@transactions::bigint[])
	AND l.state = 'matched'`

const takenBackChequesSQL = `
SELECT
	g.deposit,
	g.id,
	g.amount_minor
FROM treasury.offline_donations AS g
WHERE g.deposit = ANY(@deposits::uuid[])
	AND g.state = 'reversed'
ORDER BY g.id`

// chequesTx takes off the slips what was entered on them wrongly and taken back, and its taking back: the bank saw neither.
func chequesTx(ctx context.Context, tx pgx.Tx, movements []ledger.RoleMovement) error {
	at := map[string]int{}
	var deposits []uuid.UUID
	for i, m := range movements {
		if id, ok := idAfter(m.Reference, depositReferencePrefix); ok {
			at[m.Reference] = i
			deposits = append(deposits, id)
		}
	}
	if len(deposits) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, takenBackChequesSQL, pgx.NamedArgs{"deposits": deposits})
	if err != nil {
		return postgres.Error(err)
	}
	var deposit, donation uuid.UUID
	var minor int64
	_, err = pgx.ForEachRow(rows, []any{&deposit, &donation, &minor}, func() error {
		if i, ok := at[depositReference(deposit)]; ok {
			movements[i].Amount.Minor -= minor
		}
		if i, ok := at[chequeReference(deposit, donation)]; ok {
			movements[i].Amount.Minor += minor
		}
		return nil
	})
	return postgres.Error(err)
}

// undone reports a movement that was entered wrongly and taken back, or its taking back: the bank never saw either. A
// payout that came back it did see, and a slip whose cheques bounced.
func undone(m ledger.RoleMovement) bool {
	return m.Reversed && m.Kind != ledger.KindPayout && m.Kind != ledger.KindDeposit || strings.HasSuffix(m.Reference, reversedSuffix)
}

// takenTx returns those of the movements that no other line can show: a line shows them already, or they are undone;
// so is a slip of which every cheque was taken back.
func takenTx(ctx context.Context, tx pgx.Tx, movements []ledger.RoleMovement) (map[int64]bool, error) {
	if err := chequesTx(ctx, tx, movements); err != nil {
		return nil, err
	}
	taken := map[int64]bool{}
	ids := make([]int64, len(movements))
	for i, m := range movements {
		ids[i] = m.TransactionID
		taken[m.TransactionID] = undone(m) || m.Amount.Minor == 0
	}
	shown, err := all(ctx, tx, pgx.RowTo[int64], takenSQL, pgx.NamedArgs{"transactions": ids})
	for _, id := range shown {
		taken[id] = true
	}
	return taken, err
}

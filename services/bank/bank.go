package bank

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/notices"
	"github.com/cagnotte/cagnotte/services/treasury"
)

// Config is what a Service needs. A field is required unless its comment tells a default.
type Config struct {
	Pool        *pgxpool.Pool
	Collectives *collectives.Service
	Ledger      *ledger.Service
	Treasury    *treasury.Service
	Notices     *notices.Service
	// SecretKey keys the hashes by which lines are recognised in another file. Another key recognises none of them.
	SecretKey []byte
	// Now tells the time. Default: time.Now.
	Now func() time.Time
}

// Service keeps bank statements and matches their lines with the books. It is safe for concurrent use.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{cfg: cfg}
}

// newID returns an id that sorts by time.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// now is the time with the precision of Postgres, so that a write answers what a read answers later.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// Position is a place in a list: the time and id of a row.
type Position struct {
	Time time.Time
	ID   uuid.UUID
}

// newest is before every row of a list that begins with the newest.
var newest = Position{Time: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), ID: uuid.Max}

// References returns how the references of what is booked here begin. The ledger's general reversal refuses them: they are
// reversed when their line is unmatched.
func References() []string { return []string{receiptReferencePrefix, topUpReferencePrefix} }

// reversedSuffix ends the reference of the reversal of a transaction.
const reversedSuffix = ":reversed"

// place is where and when lines of a collective are booked.
type place struct {
	// book is the collective's book, for reading alone: it may change until money is in it.
	book  string
	zone  *time.Location
	today calendar.Day
	// open is the first moment that may be booked, when lines of closed periods are booked then; else the zero time, and
	// closed periods refuse them.
	open time.Time
}

func (s *Service) place(ctx context.Context, collective string) (place, error) {
	c, err := s.cfg.Collectives.Get(ctx, collective)
	if err != nil {
		return place{}, err
	}
	zone, err := c.Location()
	if err != nil {
		return place{}, err
	}
	return place{book: c.StripeAccount, zone: zone, today: calendar.DayOf(s.now(), zone)}, nil
}

// start is when a line of a day is booked: when the day begins, or when the books are open again.
func (p place) start(day calendar.Day) time.Time {
	// The zero time of an open that is not set is before every day.
	if t := day.Start(p.zone); !t.Before(p.open) {
		return t
	}
	return p.open
}

// day is the day that a moment is in.
func (p place) day(t time.Time) calendar.Day { return calendar.DayOf(t, p.zone) }

// postTx books a line on the bank account, against the account of a role.
func (s *Service) postTx(ctx context.Context, tx pgx.Tx, l Line, reference, kind string, against ledger.AccountRole, at time.Time) error {
	book, err := s.cfg.Collectives.MarkInUseTx(ctx, tx, l.Collective)
	if err != nil {
		return err
	}
	// A line may be the first thing that is booked for a collective.
	if err := s.cfg.Ledger.EnsureBookTx(ctx, tx, book); err != nil {
		return err
	}
	opposite := l.Amount
	opposite.Minor = -opposite.Minor
	_, err = s.cfg.Ledger.PostTx(ctx, tx, book, []ledger.Transaction{{
		Reference: reference, Kind: kind, Effective: at, Entries: []ledger.Entry{
			// The amount has the line's sign, so a line that left the account is a credit here.
			{Role: ledger.RoleBank, Amount: l.Amount, Collective: l.Collective},
			{Role: against, Amount: opposite, Collective: l.Collective},
		},
	}})
	return err
}

// reverseTx reverses what [Service.postTx] booked under a reference.
// The reversal is booked now, whatever the day of the line. Done twice it changes nothing, because its reference is
// made of the original's.
func (s *Service) reverseTx(ctx context.Context, tx pgx.Tx, collective, reference string) error {
	book, err := s.cfg.Collectives.MarkInUseTx(ctx, tx, collective)
	if err != nil {
		return err
	}
	_, err = s.cfg.Ledger.ReverseTx(ctx, tx, book, ledger.Reversal{Original: reference, Reference: reference + reversedSuffix})
	return err
}

// movementTx returns what a transaction, named by its id or reference, moved on the bank account.
func (s *Service) movementTx(ctx context.Context, tx pgx.Tx, collective string, id int64, reference string) (treasury.BankMovement, error) {
	book, err := s.cfg.Collectives.MarkInUseTx(ctx, tx, collective)
	if err != nil {
		return treasury.BankMovement{}, err
	}
	return s.cfg.Treasury.BankMovementTx(ctx, tx, book, collective, id, reference)
}

// nullID is NULL for uuid.Nil.
func nullID(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

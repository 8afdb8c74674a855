package treasury

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// Config is what a Service needs. Everything without a default is required.
type Config struct {
	Pool        *pgxpool.Pool
	Campaigns   *campaigns.Service
	Collectives *collectives.Service
	Ledger      *ledger.Service
	// LimitTx counts one start of a donation by a network, in the transaction of a pledge, or refuses it.
	LimitTx func(ctx context.Context, tx pgx.Tx, network netip.Prefix) error
	// PublicURL is where browsers find us, without a slash at its end; its own pages may make pledges.
	PublicURL string
	// SecretKey keys the hashes that bank lines are recognised by.
	SecretKey []byte
	// Now tells the time; time.Now when nil.
	Now func() time.Time
	// NewID makes ids; UUIDv7 when nil.
	NewID func() uuid.UUID
}

// Service keeps the treasury. It is safe for concurrent use.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.NewID == nil {
		cfg.NewID = func() uuid.UUID { return uuid.Must(uuid.NewV7()) }
	}
	cfg.PublicURL = strings.TrimRight(cfg.PublicURL, "/")
	return &Service{cfg: cfg}
}

// now is the time as Postgres keeps it, so that what is answered after a write is what is read later.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// Position is a place in a list: that of a row by its time and id.
type Position struct {
	Time time.Time
	ID   uuid.UUID
}

// newest is before every row of a list that begins with the newest.
var newest = Position{Time: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), ID: uuid.Max}

// openBookTx returns the collective's book, ready to be posted to.
func (s *Service) openBookTx(ctx context.Context, tx pgx.Tx, collective string) (book string, err error) {
	if book, err = s.cfg.Collectives.MarkInUseTx(ctx, tx, collective); err != nil {
		return "", err
	}
	return book, s.cfg.Ledger.EnsureBookTx(ctx, tx, book)
}

// postTx posts one transaction. field is that of the request which says its day.
func (s *Service) postTx(ctx context.Context, tx pgx.Tx, book, field string, t ledger.Transaction) error {
	_, err := s.cfg.Ledger.PostTx(ctx, tx, book, []ledger.Transaction{t})
	return dated(err, field)
}

// reverseTx takes back all of a transaction, or the entries that are said.
func (s *Service) reverseTx(ctx context.Context, tx pgx.Tx, book, field string, r ledger.Reversal) error {
	_, err := s.cfg.Ledger.ReverseTx(ctx, tx, book, r)
	return dated(err, field)
}

// References begins what is booked here. It is reversed here alone, by its own method: so a donation, an expense and what
// was spent never say something else than the books.
func References() []string {
	return []string{
		donationReferencePrefix, depositReferencePrefix, expenseReferencePrefix, paymentReferencePrefix, receiptReferencePrefix,
		topUpReferencePrefix,
	}
}

// dated names the field whose day is in a closed period.
func dated(err error, field string) error {
	if e := errs.As(err); e != nil && e.Reason == errorsv1.ErrorReason_PERIOD_CLOSED && field != "" {
		named := *e
		named.Fields = []errs.Field{{Field: field, Description: "must be after the end of the closed period"}}
		return &named
	}
	return err
}

// pair is a transaction of two entries with the same dimensions.
func pair(reference, kind string, effective time.Time, debit, credit ledger.Entry) ledger.Transaction {
	credit.Amount.Minor, credit.Amount.Currency = -debit.Amount.Minor, debit.Amount.Currency
	credit.Collective, credit.Campaign, credit.Donation = debit.Collective, debit.Campaign, debit.Donation
	return ledger.Transaction{Reference: reference, Kind: kind, Effective: effective, Entries: []ledger.Entry{debit, credit}}
}

// booked is a campaign that money may be booked for: any but a draft, whose currency may still change.
func (s *Service) booked(ctx context.Context, name campaigns.Name) (campaigns.Campaign, error) {
	c, err := s.cfg.Campaigns.Get(ctx, name)
	if err == nil && c.State == campaigns.StateDraft {
		err = errs.New(errorsv1.ErrorReason_CAMPAIGN_NOT_PUBLISHED, "%s is a draft; publish it first.", name)
	}
	return c, err
}

// checkAmount is an error unless an amount is positive, in the currency, and no slip of the keyboard.
func checkAmount(field string, amount money.Amount, currency money.Currency) error {
	const most = 10_000_000_000_000
	switch {
	case amount.Currency != currency:
		return wrong(errorsv1.ErrorReason_CURRENCY_MISMATCH, field+".currency_code", "must be "+string(currency))
	case amount.Minor <= 0 || amount.Minor > most:
		return errs.Invalid(field+".amount_minor", "must be positive, and at most 10,000,000,000,000")
	}
	return nil
}

// wrong is INVALID_ARGUMENT with a reason of its own.
func wrong(reason errs.Reason, field, description string) error {
	e := errs.New(reason, "The request cannot be done like this: %s %s.", field, description)
	e.Fields = []errs.Field{{Field: field, Description: description}}
	return e
}

// checkStage is an error unless the campaign has the stage; an empty one is none.
func checkStage(c campaigns.Campaign, field, stage string) error {
	if stage == "" {
		return nil
	}
	for _, known := range c.Stages {
		if known.ID == stage {
			return nil
		}
	}
	return errs.Invalid(field, "must be the id of a stage of the campaign")
}

package treasury

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/wall"
)

// Config is what a Service needs. A field is required unless its comment tells a default.
type Config struct {
	Pool        *pgxpool.Pool
	Campaigns   *campaigns.Service
	Collectives *collectives.Service
	Ledger      *ledger.Service
	// Wall judges and counts who makes pledges.
	Wall *wall.Service
	// Banked is called after something was booked or reversed that a line of a bank statement may show. Its error is that
	// of the call; repeated, the call is safe. Nothing is called when nil.
	Banked func(ctx context.Context, collective string) error
	// ReversedTx is called in the transaction that reverses an offline donation, or stores that its cheque bounced; nothing
	// when nil.
	ReversedTx func(ctx context.Context, tx pgx.Tx, donation uuid.UUID) error
	// PublicURL is the address of the public pages, which may make pledges; none may when empty.
	PublicURL string
	// Now tells the time. Default: time.Now.
	Now func() time.Time
}

// Service keeps the treasury. It is safe for concurrent use.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Banked == nil {
		cfg.Banked = func(context.Context, string) error { return nil }
	}
	cfg.PublicURL = strings.TrimRight(cfg.PublicURL, "/")
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

// openBookTx returns the collective's book, ready to be posted to.
func (s *Service) openBookTx(ctx context.Context, tx pgx.Tx, collective string) (book string, err error) {
	// From here on the collective's Stripe account, which names its book, cannot be changed.
	if book, err = s.cfg.Collectives.MarkInUseTx(ctx, tx, collective); err != nil {
		return "", err
	}
	return book, s.cfg.Ledger.EnsureBookTx(ctx, tx, book)
}

// postTx posts one transaction. Field is the request's field for its day; empty for none.
func (s *Service) postTx(ctx context.Context, tx pgx.Tx, book, field string, t ledger.Transaction) error {
	_, err := s.cfg.Ledger.PostTx(ctx, tx, book, []ledger.Transaction{t})
	return dated(err, field)
}

// reverseTx reverses a transaction: all of it, or the entries in the reversal. Field is the request's field for the day.
func (s *Service) reverseTx(ctx context.Context, tx pgx.Tx, book, field string, r ledger.Reversal) error {
	_, err := s.cfg.Ledger.ReverseTx(ctx, tx, book, r)
	return dated(err, field)
}

// References returns how the references of what is booked here begin. The ledger's general reversal refuses them: each is
// reversed by a method of the treasury, which also changes the state of the donation or the expense.
func References() []string {
	return []string{donationReferencePrefix, depositReferencePrefix, expenseReferencePrefix, paymentReferencePrefix}
}

const lockBankSQL = `
SELECT pg_advisory_xact_lock(hashtextextended('cagnotte treasury bank ' || @collective::text, 0))`

// LockBankTx lets the transactions of one collective that compare the books with the bank come one after the other:
// imports, matches, and whatever is entered or reversed that a line may show. It is taken before any row is locked, and
// held until the transaction ends.
func LockBankTx(ctx context.Context, tx pgx.Tx, collective string) error {
	_, err := tx.Exec(ctx, lockBankSQL, pgx.NamedArgs{"collective": collective})
	return postgres.Error(err)
}

// bankLineName is the resource name of a line, which bank owns.
func bankLineName(collective string, id uuid.UUID) string {
	return "collectives/" + collective + "/bankLines/" + id.String()
}

// dated names the request's field in the error about a day in a closed period.
func dated(err error, field string) error {
	// A copy, so that the ledger's own error is not changed.
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

// BookableCampaign returns a campaign that money may be booked for: any but a draft, whose currency may still change.
//
// Errors: NOT_FOUND; FAILED_PRECONDITION (CAMPAIGN_NOT_PUBLISHED).
func (s *Service) BookableCampaign(ctx context.Context, name campaigns.Name) (campaigns.Campaign, error) {
	c, err := s.cfg.Campaigns.Get(ctx, name)
	if err == nil && c.State == campaigns.StateDraft {
		err = errs.New(errorsv1.ErrorReason_CAMPAIGN_NOT_PUBLISHED, "%s is a draft. Publish it first.", name)
	}
	return c, err
}

// checkAmount refuses an amount that is not positive, is in another currency, or is too large to be true.
func checkAmount(field string, amount money.Amount, currency money.Currency) error {
	const most = 10_000_000_000_000
	switch {
	case amount.Currency != currency:
		return refused(errorsv1.ErrorReason_CURRENCY_MISMATCH, field+".currency_code", "must be "+string(currency))
	case amount.Minor <= 0 || amount.Minor > most:
		return errs.Invalid(field+".amount_minor", "must be positive, and at most 10,000,000,000,000")
	}
	return nil
}

// refused is INVALID_ARGUMENT with a reason of its own.
func refused(reason errs.Reason, field, description string) error {
	e := errs.New(reason, "The request is invalid: %s %s.", field, description)
	e.Fields = []errs.Field{{Field: field, Description: description}}
	return e
}

// checkStage refuses a stage that the campaign does not have. An empty stage is none.
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

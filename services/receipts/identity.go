package receipts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// SealedDonor is an identity as it is stored.
type SealedDonor struct {
	Receipt  uuid.UUID
	Year     int
	Sequence int64
	Sealed   string
	// SealedTo are the keys that open it.
	SealedTo []uuid.UUID
}

// Number is the receipt's.
func (d SealedDonor) Number() string { return Receipt{Year: d.Year, Sequence: d.Sequence}.Number() }

func scanSealed(row pgx.CollectableRow) (d SealedDonor, err error) {
	err = row.Scan(&d.Receipt, &d.Year, &d.Sequence, &d.Sealed, &d.SealedTo)
	return d, err
}

const readSealedSQL = `
SELECT
	r.id,
	r.year,
	r.sequence,
	r.sealed,
	r.sealed_to
FROM receipts.receipts AS r
WHERE r.collective = @collective
	AND r.id = @id
	AND r.sealed IS NOT NULL`

// ReadSealed hands out one sealed identity to the caller in the context, and says so in the audit log.
func (s *Service) ReadSealed(ctx context.Context, collective string, id uuid.UUID) (d SealedDonor, err error) {
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		r, err := postgres.One(ctx, tx, scanReceipt, getReceiptSQL, pgx.NamedArgs{"collective": collective, "id": id})
		if r, err = foundReceipt(r, err, collective, id); err != nil {
			return err
		}
		d, err = postgres.One(ctx, tx, scanSealed, readSealedSQL, pgx.NamedArgs{"collective": collective, "id": id})
		if errors.Is(err, pgx.ErrNoRows) {
			return errs.New(errorsv1.ErrorReason_RECEIPT_DONOR_ERASED, "The donor's identity was erased from this receipt.")
		}
		if err != nil {
			return postgres.Error(err)
		}
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: collective, Resource: r.Name(), After: audit.Fields{"sealed_donor_read": r.Number()},
		})
	})
	return d, err
}

const exportSealedSQL = `
SELECT
	r.id,
	r.year,
	r.sequence,
	r.sealed,
	r.sealed_to
FROM receipts.receipts AS r
WHERE r.collective = @collective
	AND r.year = @year
	AND r.sequence > @after
	AND r.sealed IS NOT NULL
ORDER BY r.sequence
LIMIT @count`

// ExportSealed hands out up to count sealed identities of a year after a number, in their order, and says so in the audit
// log. shown is how many of them the caller gets: the last one may only tell that there are more.
func (s *Service) ExportSealed(ctx context.Context, collective string, year int, after int64, count, shown int) (all []SealedDonor, err error) {
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		all, err = postgres.All(ctx, tx, scanSealed, exportSealedSQL, pgx.NamedArgs{
			"collective": collective, "year": year, "after": after, "count": count,
		})
		if err != nil || len(all) == 0 {
			return err
		}
		got := all[:min(len(all), shown)]
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: collective, Resource: YearTotals{Collective: collective, Year: year}.Name(),
			After: audit.Fields{"sealed_donors_read": fmt.Sprintf("%s to %s: %d", got[0].Number(), got[len(got)-1].Number(), len(got))},
		})
	})
	return all, err
}

const eraseSQL = `
UPDATE receipts.receipts AS r
SET
	sealed = NULL,
	erased_at = @now
WHERE r.sealed IS NOT NULL
	AND r.id IN (
		SELECT p.receipt
		FROM receipts.payments AS p
		WHERE p.donation = ANY(@donations::uuid[])
		UNION
		SELECT p.receipt
		FROM receipts.payments AS p
		JOIN treasury.offline_donations AS o ON o.id = p.offline_donation
		WHERE o.pledge = @pledge
	)`

// Erase removes who gave from all receipts of a subject, and of all months where it is a monthly donation or one of its months.
// Everything else of them stays. Where that monthly donation has ended, its links and Stripe's customer go too.
func (s *Service) Erase(ctx context.Context, subject Subject) (Offer, error) {
	o, err := s.GetOffer(ctx, subject)
	if err != nil {
		return Offer{}, err
	}
	recurring, ids := subject.Recurring, []uuid.UUID{}
	if subject.Donation != uuid.Nil {
		d, err := s.cfg.Donations.Get(ctx, subject.Campaign, subject.Donation)
		if err != nil {
			return Offer{}, err
		}
		recurring, ids = d.Recurring, append(ids, d.ID)
	}
	if recurring != uuid.Nil {
		months, err := s.cfg.Donations.Months(ctx, s.cfg.Pool, recurring)
		if err != nil {
			return Offer{}, err
		}
		for _, m := range months {
			ids = append(ids, m.ID)
		}
	}
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, eraseSQL, pgx.NamedArgs{"donations": ids, "pledge": nullID(subject.Pledge), "now": s.now()}); err != nil {
			return postgres.Error(err)
		}
		if recurring == uuid.Nil {
			return nil
		}
		return s.cfg.Donations.ForgetDonorTx(ctx, tx, recurring)
	})
	if err != nil {
		return Offer{}, err
	}
	return s.GetOffer(ctx, o.Subject)
}

// A year's identities are kept until its declaration's years are over: those of 2026 with six years until the end of 2032.
const eraseExpiredSQL = `
UPDATE receipts.receipts AS r
SET
	sealed = NULL,
	erased_at = @now
FROM receipts.declarations AS d
WHERE d.id = r.declaration
	AND r.sealed IS NOT NULL
	AND r.year + d.retention_years < @year
	AND r.id IN (
		SELECT o.id
		FROM receipts.receipts AS o
		JOIN receipts.declarations AS f ON f.id = o.declaration
		WHERE o.sealed IS NOT NULL
			AND o.year + f.retention_years < @year
		ORDER BY
			o.year,
			o.id
		LIMIT 1000
	)`

// EraseExpired erases the identities whose time is over, and returns how many. A year ends when it has ended everywhere.
func (s *Service) EraseExpired(ctx context.Context) (erased int64, err error) {
	now := s.now()
	// The last zone is twelve hours behind.
	year := now.Add(-12 * time.Hour).Year()
	for {
		tag, err := s.cfg.Pool.Exec(ctx, eraseExpiredSQL, pgx.NamedArgs{"now": now, "year": year})
		if err != nil {
			return erased, postgres.Error(err)
		}
		if erased += tag.RowsAffected(); tag.RowsAffected() == 0 {
			return erased, nil
		}
	}
}

package receipts

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age/armor"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const staleSealedSQL = `
SELECT
	r.id,
	r.year,
	r.sequence,
	r.sealed,
	r.sealed_to
FROM receipts.receipts AS r
WHERE r.collective = @collective
	AND (r.year, r.sequence) > (@after_year, @after_sequence)
	AND r.sealed IS NOT NULL
	AND r.sealed_to <> @keys::uuid[]
ORDER BY
	r.year,
	r.sequence
LIMIT @count`

// ExportStale hands out up to count identities after a number that are not sealed to exactly the keys that seal now, in their
// order, and says so in the audit log. shown is how many of them the caller gets. Without a key that seals there are none.
func (s *Service) ExportStale(ctx context.Context, collective string, after NumberPosition, count, shown int) (all []SealedDonor, err error) {
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		keys, err := sealingTx(ctx, tx, collective)
		if err != nil || len(keys) == 0 {
			return err
		}
		all, err = postgres.All(ctx, tx, scanSealed, staleSealedSQL, pgx.NamedArgs{
			"collective": collective, "after_year": after.Year, "after_sequence": after.Sequence, "keys": idsOf(keys), "count": count,
		})
		if err != nil || len(all) == 0 {
			return err
		}
		got := all[:min(len(all), shown)]
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: collective, Resource: "collectives/" + collective,
			After: audit.Fields{"sealed_donors_read": fmt.Sprintf("%s to %s: %d", got[0].Number(), got[len(got)-1].Number(), len(got))},
		})
	})
	return all, err
}

func idsOf(keys []SealingKey) []uuid.UUID {
	ids := make([]uuid.UUID, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	return ids
}

// Resealed is an identity that a member sealed anew.
type Resealed struct {
	Receipt uuid.UUID
	// Before is the SHA-256 of the text that it was sealed as.
	Before []byte
	Sealed string
}

const resealSQL = `
UPDATE receipts.receipts AS r
SET
	sealed = @sealed,
	sealed_to = @keys,
	resealed_at = @now
WHERE r.collective = @collective
	AND r.id = @id
	AND sha256(convert_to(r.sealed, 'UTF8')) = @before
	AND r.sealed_to <> @keys::uuid[]
RETURNING
	r.year,
	r.sequence`

// Reseal replaces identities that are kept sealed, for the caller in the context, and returns how many. One that was erased or
// sealed anew since stays as it is. The service opens neither: it checks that each is age's, to as many keys as seal now.
func (s *Service) Reseal(ctx context.Context, collective string, keys []uuid.UUID, donors []Resealed) (count int, err error) {
	for i, d := range donors {
		recipients, err := recipientsOf(d.Sealed)
		if err != nil || recipients != len(keys) {
			return 0, errs.Invalid(fmt.Sprintf("resealed_donors[%d].sealed", i), "must be age's, sealed to each of the keys")
		}
	}
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		current, err := sealingTx(ctx, tx, collective)
		if err != nil {
			return err
		}
		sealing := idsOf(current)
		named := slices.SortedFunc(slices.Values(keys), func(a, b uuid.UUID) int { return strings.Compare(a.String(), b.String()) })
		if !slices.Equal(named, sealing) {
			return errs.New(errorsv1.ErrorReason_SEALING_KEYS_CHANGED, "Other keys seal by now.")
		}
		now, numbers := s.now(), []string(nil)
		for _, d := range donors {
			rows, err := tx.Query(ctx, resealSQL, pgx.NamedArgs{
				"collective": collective, "id": d.Receipt, "before": d.Before, "sealed": d.Sealed, "keys": sealing, "now": now,
			})
			if err != nil {
				return postgres.Error(err)
			}
			var r Receipt
			if _, err := pgx.ForEachRow(rows, []any{&r.Year, &r.Sequence}, func() error {
				numbers = append(numbers, r.Number())
				return nil
			}); err != nil {
				return postgres.Error(err)
			}
		}
		if count = len(numbers); count == 0 {
			return nil
		}
		slices.Sort(numbers)
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: collective, Resource: "collectives/" + collective,
			After: audit.Fields{"donors_resealed": fmt.Sprintf("%s to %s: %d", numbers[0], numbers[count-1], count)},
		})
	})
	return count, err
}

// recipientsOf counts the X25519 stanzas in the header of an armored age file: to how many keys it is sealed. To which ones its
// header does not tell. https://github.com/C2SP/C2SP/blob/main/age.md
func recipientsOf(sealed string) (count int, err error) {
	r := bufio.NewReader(armor.NewReader(strings.NewReader(sealed)))
	if line, err := r.ReadString('\n'); err != nil || line != "age-encryption.org/v1\n" {
		return 0, fmt.Errorf("receipts: no age file: %w", err)
	}
	for {
		line, err := r.ReadString('\n')
		switch {
		case err != nil:
			return 0, fmt.Errorf("receipts: the header does not end: %w", err)
		case strings.HasPrefix(line, "-> X25519 "):
			count++
		case strings.HasPrefix(line, "-> ") && !strings.HasSuffix(strings.Fields(line)[1], "-grease"):
			return 0, fmt.Errorf("receipts: sealed to what is no key of ours")
		case strings.HasPrefix(line, "--- "):
			// The rest must be whole, too.
			_, err := io.Copy(io.Discard, r)
			return count, err
		}
	}
}

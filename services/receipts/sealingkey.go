package receipts

import (
	"context"
	"errors"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/notices"
)

// SealingKey is the public part of a key that identities are sealed to.
type SealingKey struct {
	ID          uuid.UUID
	Collective  string
	DisplayName string
	// Recipient is age's, age1….
	Recipient string
	// Creator is a name as in [access.Principal].
	Creator, CreatorName string
	CreateTime           time.Time
	// RevokeTime is zero until then.
	RevokeTime time.Time
}

// Name returns the resource name.
func (k SealingKey) Name() string {
	return "collectives/" + k.Collective + "/sealingKeys/" + k.ID.String()
}

func (k SealingKey) auditFields() audit.Fields {
	state := "sealing"
	if !k.RevokeTime.IsZero() {
		state = "revoked"
	}
	return audit.Fields{"display_name": k.DisplayName, "recipient": k.Recipient, "state": state}
}

const keyColumns = `
	k.id,
	k.collective,
	k.display_name,
	k.recipient,
	k.creator,
	k.creator_name,
	k.created_at,
	k.revoked_at`

func scanKey(r pgx.CollectableRow) (k SealingKey, err error) {
	var revoked *time.Time
	err = r.Scan(&k.ID, &k.Collective, &k.DisplayName, &k.Recipient, &k.Creator, &k.CreatorName, &k.CreateTime, &revoked)
	k.CreateTime, k.RevokeTime = k.CreateTime.UTC(), fromNull(revoked)
	return k, err
}

const insertKeySQL = `
INSERT INTO receipts.sealing_keys (
	id,
	collective,
	display_name,
	recipient,
	creator,
	creator_name,
	created_at
)
VALUES (
	@id,
	@collective,
	@display_name,
	@recipient,
	@creator,
	@creator_name,
	@created_at
)
ON CONFLICT (collective, recipient) DO NOTHING`

const keyOfRecipientSQL = `
SELECT` + keyColumns + `
FROM receipts.sealing_keys AS k
WHERE k.collective = @collective
	AND k.recipient = @recipient`

// AddKey adds a key for the caller in the context. The same recipient again is the same key.
func (s *Service) AddKey(ctx context.Context, k SealingKey) (result SealingKey, err error) {
	k.Recipient = strings.TrimSpace(k.Recipient)
	if strings.HasPrefix(strings.ToUpper(k.Recipient), "AGE-SECRET-KEY-") {
		return SealingKey{}, errs.Invalid("sealing_key.recipient", "must be the public part, which begins with age1; what was sent is secret, so make another key")
	}
	if _, err := age.ParseX25519Recipient(k.Recipient); err != nil {
		return SealingKey{}, errs.Invalid("sealing_key.recipient", "must be a recipient of age, which begins with age1")
	}
	if k.DisplayName = strings.Join(strings.Fields(k.DisplayName), " "); k.DisplayName == "" {
		return SealingKey{}, errs.Invalid("sealing_key.display_name", "is required")
	}
	by := access.PrincipalFrom(ctx)
	k.ID, k.Creator, k.CreatorName, k.CreateTime, k.RevokeTime = uuid.Must(uuid.NewV7()), by.Name, by.DisplayName, s.now(), time.Time{}
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, insertKeySQL, pgx.NamedArgs{
			"id": k.ID, "collective": k.Collective, "display_name": k.DisplayName, "recipient": k.Recipient, "creator": k.Creator,
			"creator_name": k.CreatorName, "created_at": k.CreateTime,
		})
		if err != nil {
			return postgres.Error(err)
		}
		if tag.RowsAffected() == 0 {
			result, err = postgres.One(ctx, tx, scanKey, keyOfRecipientSQL, pgx.NamedArgs{"collective": k.Collective, "recipient": k.Recipient})
			return postgres.Error(err)
		}
		result = k
		if err := s.tellKeyTx(ctx, tx, k, "", k.DisplayName); err != nil {
			return err
		}
		return audit.WriteTx(ctx, tx, audit.Change{Collective: k.Collective, Resource: k.Name(), After: k.auditFields()})
	})
	return result, err
}

// tellKeyTx tells all members who can open identities from now on.
func (s *Service) tellKeyTx(ctx context.Context, tx pgx.Tx, k SealingKey, before, after string) error {
	what := "added"
	if after == "" {
		what = "revoked"
	}
	return s.cfg.Notices.TellChangeTx(ctx, tx, notices.Notice{
		Collective: k.Collective, Kind: notices.SealingKeyChanged, Key: k.ID.String() + " " + what, Subject: k.Name(),
	}, before, after)
}

const getKeySQL = `
SELECT` + keyColumns + `
FROM receipts.sealing_keys AS k
WHERE k.collective = @collective
	AND k.id = @id`

func foundKey(k SealingKey, err error, collective string, id uuid.UUID) (SealingKey, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return SealingKey{}, errs.NotFound(SealingKey{Collective: collective, ID: id}.Name())
	}
	return k, postgres.Error(err)
}

// GetKey returns one key.
func (s *Service) GetKey(ctx context.Context, collective string, id uuid.UUID) (SealingKey, error) {
	k, err := postgres.One(ctx, s.cfg.Pool, scanKey, getKeySQL, pgx.NamedArgs{"collective": collective, "id": id})
	return foundKey(k, err, collective, id)
}

const listKeysSQL = `
SELECT` + keyColumns + `
FROM receipts.sealing_keys AS k
WHERE k.collective = @collective
	AND (k.created_at, k.id) < (@before_time, @before_id::uuid)
ORDER BY
	k.created_at DESC,
	k.id DESC
LIMIT @count`

// ListKeys returns up to count keys, newest first, those after the position.
func (s *Service) ListKeys(ctx context.Context, collective string, after Position, count int) ([]SealingKey, error) {
	return postgres.All(ctx, s.cfg.Pool, scanKey, listKeysSQL, pgx.NamedArgs{
		"collective": collective, "before_time": after.CreateTime, "before_id": after.ID, "count": count,
	})
}

const lockKeySQL = getKeySQL + `
FOR UPDATE OF k`

const revokeKeySQL = `
UPDATE receipts.sealing_keys AS k
SET revoked_at = @now
WHERE k.id = @id`

// RevokeKey ends sealing to a key. One that is revoked stays as it is.
func (s *Service) RevokeKey(ctx context.Context, collective string, id uuid.UUID) (result SealingKey, err error) {
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		k, err := postgres.One(ctx, tx, scanKey, lockKeySQL, pgx.NamedArgs{"collective": collective, "id": id})
		if k, err = foundKey(k, err, collective, id); err != nil {
			return err
		}
		if result = k; !k.RevokeTime.IsZero() {
			return nil
		}
		result.RevokeTime = s.now()
		if _, err := tx.Exec(ctx, revokeKeySQL, pgx.NamedArgs{"id": id, "now": result.RevokeTime}); err != nil {
			return postgres.Error(err)
		}
		if err := s.tellKeyTx(ctx, tx, k, k.DisplayName, ""); err != nil {
			return err
		}
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: collective, Resource: k.Name(), Before: k.auditFields(), After: result.auditFields(),
		})
	})
	return result, err
}

const sealingSQL = `
SELECT` + keyColumns + `
FROM receipts.sealing_keys AS k
WHERE k.collective = @collective
	AND k.revoked_at IS NULL
ORDER BY k.id`

const holdSealingSQL = sealingSQL + `
FOR SHARE OF k`

// sealingTx returns the keys that are sealed to. They stay so until the transaction ends.
func sealingTx(ctx context.Context, tx pgx.Tx, collective string) ([]SealingKey, error) {
	return postgres.All(ctx, tx, scanKey, holdSealingSQL, pgx.NamedArgs{"collective": collective})
}

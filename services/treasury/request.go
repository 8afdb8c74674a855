package treasury

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Request says who asks for a write, and makes it safe to ask twice.
type Request struct {
	// ID is the caller's UUID for this write.
	ID uuid.UUID
	// By is the name of the key that asks; empty for nobody.
	By string
}

// fingerprint is a hash of what a request id stands for, over an injective encoding.
func fingerprint(parts ...string) []byte {
	h := sha256.New()
	var length [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}

const insertRequestSQL = `
INSERT INTO treasury.requests (
	collective,
	method,
	request_id,
	fingerprint,
	resource,
	created_at
)
VALUES (
	@collective,
	@method,
	@request_id,
	@fingerprint,
	@resource,
	@now
)
ON CONFLICT (collective, method, request_id) DO NOTHING`

const requestSQL = `
SELECT
	r.fingerprint,
	r.resource
FROM treasury.requests AS r
WHERE r.collective = @collective
	AND r.method = @method
	AND r.request_id = @request_id`

// once runs do in a transaction, unless the request did it before, and returns the resource that the
// request stands for: the given one, or that of the first time. Parts are all that was asked.
//
// Errors: ALREADY_EXISTS (REQUEST_ID_REUSED) when the id stands for something else; those of do.
func (s *Service) once(
	ctx context.Context, r Request, collective, method string, resource uuid.UUID, parts []string,
	do func(ctx context.Context, tx pgx.Tx, now time.Time) error,
) (uuid.UUID, error) {
	now := s.now()
	asked := fingerprint(parts...)
	args := pgx.NamedArgs{
		"collective": collective, "method": method, "request_id": r.ID,
		"fingerprint": asked, "resource": resource, "now": now,
	}
	made := resource
	err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		made = resource
		tag, err := tx.Exec(ctx, insertRequestSQL, args)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 1 {
			return do(ctx, tx, now)
		}
		var before []byte
		if err := tx.QueryRow(ctx, requestSQL, args).Scan(&before, &made); err != nil {
			return err
		}
		if !bytes.Equal(before, asked) {
			return errs.New(errorsv1.ErrorReason_REQUEST_ID_REUSED, "The request id stands for something else.")
		}
		return nil
	})
	return made, postgres.Error(err)
}

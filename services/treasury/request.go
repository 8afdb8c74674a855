package treasury

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fingerprint"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
)

// Request tells who asks for a write, and makes it safe to send it twice.
type Request struct {
	// ID is the caller's UUID for this write.
	ID uuid.UUID
	// By is the name of the key that asks; empty when no key does.
	By string
}

// NewRequest returns the request of a call with this request_id.
//
// Errors: INVALID_ARGUMENT on request_id.
func NewRequest(ctx context.Context, id string) (Request, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return Request{}, errs.Invalid("request_id", "must be a UUID")
	}
	return Request{ID: parsed, By: rpc.CallerFrom(ctx).Principal.Name}, nil
}

// insertRequestSQL takes the request id. A second transaction with the same id waits here for the first: after its
// commit it inserts nothing, after its rollback it inserts the row itself. So what failed can be sent again under its
// id.
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

// requestSQL returns what was asked under the id before. It is a statement of its own, since one that waited does not
// return the row that it conflicts with.
const requestSQL = `
SELECT
	r.fingerprint,
	r.resource
FROM treasury.requests AS r
WHERE r.collective = @collective
	AND r.method = @method
	AND r.request_id = @request_id`

// sent reports whether the request id was used before, for this or another request.
func (s *Service) sent(ctx context.Context, r Request, collective, method string) (bool, error) {
	var asked []byte
	var resource uuid.UUID
	err := s.cfg.Pool.QueryRow(ctx, requestSQL, pgx.NamedArgs{"collective": collective, "method": method, "request_id": r.ID}).Scan(&asked, &resource)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, postgres.Error(err)
}

// Once calls write in a transaction, unless the request did so before, and returns the id of the resource that the
// request made or changed: the given one, or that of the first time. Fields are all that was asked. Of two equal requests
// at the same time the second waits for the first.
//
// Errors: ALREADY_EXISTS (REQUEST_ID_REUSED) when the id was used for another request; those of write.
func (s *Service) Once(
	ctx context.Context, r Request, collective, method string, resource uuid.UUID, fields fingerprint.Fields,
	write func(ctx context.Context, tx pgx.Tx, now time.Time) error,
) (uuid.UUID, error) {
	now := s.now()
	asked := fingerprint.Of(fields)
	args := pgx.NamedArgs{
		"collective": collective, "method": method, "request_id": r.ID,
		"fingerprint": asked, "resource": resource, "now": now,
	}
	made := resource
	err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		// The transaction may be run again from the start, after a deadlock.
		made = resource
		tag, err := tx.Exec(ctx, insertRequestSQL, args)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 1 {
			return write(ctx, tx, now)
		}
		// The id was used. The same request is answered with its resource, any other is refused.
		var before []byte
		if err := tx.QueryRow(ctx, requestSQL, args).Scan(&before, &made); err != nil {
			return err
		}
		if !bytes.Equal(before, asked) {
			return errs.New(errorsv1.ErrorReason_REQUEST_ID_REUSED, "The request id was used for another request.")
		}
		return nil
	})
	return made, postgres.Error(err)
}

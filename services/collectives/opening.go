package collectives

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Mode is how collectives are opened on this installation.
type Mode string

// The modes.
const (
	// ByInvitation: the operator opens each one. The default.
	ByInvitation Mode = "invitation"
	// OnRequest: anybody may apply, and the operator decides.
	OnRequest Mode = "request"
	// OpenToAll: anybody may open one.
	OpenToAll Mode = "all"
)

// Opening is the setting. UpdateTime is zero while it was never changed.
type Opening struct {
	Mode       Mode
	UpdateTime time.Time
}

// openingSQL reads the one row; there is none before the first change.
const openingSQL = `
SELECT
	o.mode,
	o.updated_at
FROM collectives.opening AS o`

// Opening returns how collectives are opened.
func (s *Service) Opening(ctx context.Context) (Opening, error) {
	o := Opening{Mode: ByInvitation}
	err := s.pool.QueryRow(ctx, openingSQL).Scan(&o.Mode, &o.UpdateTime)
	if errors.Is(err, pgx.ErrNoRows) {
		return o, nil
	}
	o.UpdateTime = o.UpdateTime.UTC()
	return o, postgres.Error(err)
}

// setOpeningSQL changes no row when the mode is the same.
const setOpeningSQL = `
INSERT INTO collectives.opening AS o (mode, updated_at)
VALUES (@mode, @now)
ON CONFLICT (id) DO UPDATE
SET
	mode = excluded.mode,
	updated_at = excluded.updated_at
WHERE o.mode <> excluded.mode`

// SetOpening changes how collectives are opened. Applications that wait stay as they are. Repeating it is safe.
func (s *Service) SetOpening(ctx context.Context, mode Mode) (Opening, error) {
	if mode != ByInvitation && mode != OnRequest && mode != OpenToAll {
		return Opening{}, errs.Invalid("opening.mode", "must be INVITATION, REQUEST or ALL")
	}
	before, err := s.Opening(ctx)
	if err != nil {
		return Opening{}, err
	}
	err = postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		changed, err := tx.Exec(ctx, setOpeningSQL, pgx.NamedArgs{"mode": string(mode), "now": s.nowMicros()})
		if err != nil || changed.RowsAffected() == 0 {
			return postgres.Error(err)
		}
		return audit.WriteTx(ctx, tx, audit.Change{
			Resource: "instance/opening", Before: audit.Fields{"mode": string(before.Mode)}, After: audit.Fields{"mode": string(mode)},
		})
	})
	if err != nil {
		return Opening{}, err
	}
	return s.Opening(ctx)
}

package webhooks

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// countDecline counts a refused payment on its gift, in the transaction that finishes the event, so that each
// event counts once. It returns "" for an event that somebody else finished.
func (s *Service) countDecline(ctx context.Context, account, id string, e Event) (outcome string, err error) {
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		outcome = ""
		if _, err := eventOf(tx.QueryRow(ctx, lockEventSQL, pgx.NamedArgs{"account": account, "id": id})); err != nil {
			if errors.Is(err, pgx.ErrNoRows) {
				return nil
			}
			return postgres.Error(err)
		}
		ours := false
		if e.object.Donation != uuid.Nil {
			var err error
			if ours, err = s.cfg.Donations.CountDeclineTx(ctx, tx, account, e.object.Donation, e.object.ID); err != nil {
				return err
			}
		}
		state, reason := StateApplied, ""
		if !ours {
			state, reason = StateIgnored, reasonNotOurs
		}
		outcome = string(state)
		return s.finishEventTx(ctx, tx, account, id, state, reason)
	})
	return outcome, err
}

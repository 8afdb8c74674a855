package webhooks

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// maxHints is how many hints one sync finishes. The rest waits for the next sync.
const maxHints = 5000

// hints are the due events that say that money moved.
type hints struct {
	ids []string
	// intents are the payments whose fee has become known. All others are visible in the balance, or not yet.
	intents []string
}

// dueHintsSQL returns the hints to finish, and for a charge.updated, which tells that a fee is known, its payment
// intent. All that are not finished count, whenever they are due. events_due_idx serves it.
const dueHintsSQL = `
SELECT
	e.id,
	CASE WHEN e.type = 'charge.updated' THEN coalesce(e.resource ->> 'payment_intent', '') ELSE '' END
FROM webhooks.events AS e
WHERE e.account = @account
	AND e.step = 'hint'
	AND e.next_attempt_at IS NOT NULL
ORDER BY
	e.next_attempt_at,
	e.id
LIMIT @count`

// dueHints returns the hints that a sync finishes that begins now.
func (s *Service) dueHints(ctx context.Context, account string) (hints, error) {
	rows, err := s.cfg.Pool.Query(ctx, dueHintsSQL, pgx.NamedArgs{"account": account, "count": maxHints})
	if err != nil {
		return hints{}, postgres.Error(err)
	}
	var h hints
	var id, intent string
	_, err = pgx.ForEachRow(rows, []any{&id, &intent}, func() error {
		h.ids = append(h.ids, id)
		if intent != "" {
			h.intents = append(h.intents, intent)
		}
		return nil
	})
	return h, postgres.Error(err)
}

package treasury

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Document is the paper that a transaction was booked from.
type Document struct {
	// Number is what stands on it; empty when it has none.
	Number string
	On     calendar.Day
}

// The paper of a bank line is its statement, which has a day and no number: the bank's own reference can be a name.
// documentsSQL returns one row for each offline donation, deposit, expense and line that is linked to a transaction.
// All ids are UUIDs of one generator, so one map can hold those of all tables. A donation without a number of its own
// has the reference of the pledge that it fulfils. It reads everything of a collective and locks nothing.
const documentsSQL = `
SELECT
	d.id,
	d.document,
	to_char(d.on_day, 'YYYY-MM-DD')
FROM (
	SELECT
		o.id,
		coalesce(nullif(o.document, ''), p.reference, '') AS document,
		o.received_on AS on_day
	FROM treasury.offline_donations AS o
	LEFT JOIN treasury.pledges AS p ON p.id = o.pledge
	WHERE o.collective = @collective
	UNION ALL
	SELECT
		s.id,
		s.document,
		s.banked_on
	FROM treasury.deposits AS s
	WHERE s.collective = @collective
	UNION ALL
	SELECT
		e.id,
		e.document,
		e.documented_on
	FROM treasury.expenses AS e
	WHERE e.collective = @collective
	UNION ALL
	SELECT
		l.id,
		'',
		l.booked_on
	FROM bank.lines AS l
	WHERE l.collective = @collective
		AND l.ledger_transaction IS NOT NULL
) AS d
ORDER BY d.id`

// Documents returns the papers of everything that a collective entered or matched, by the id in the reference of its
// transaction.
func Documents(ctx context.Context, pool *pgxpool.Pool, collective string) (map[uuid.UUID]Document, error) {
	rows, err := pool.Query(ctx, documentsSQL, pgx.NamedArgs{"collective": collective})
	if err != nil {
		return nil, postgres.Error(err)
	}
	documents := map[uuid.UUID]Document{}
	var id uuid.UUID
	var d Document
	_, err = pgx.ForEachRow(rows, []any{&id, &d.Number, &d.On}, func() error {
		// A pledge's reference is stored as eight characters, and written on paper with its prefix.
		if validReference(d.Number) {
			d.Number = formatReference(d.Number)
		}
		d.Number = strings.TrimSpace(d.Number)
		documents[id] = d
		return nil
	})
	return documents, postgres.Error(err)
}

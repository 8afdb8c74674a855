package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const knownReferencesSQL = `
SELECT t.reference
FROM ledger.transactions AS t
WHERE t.book = @book
    AND t.reference = ANY(@references::text[])`

// KnownReferences tells which of the references the book has. It is for callers that would have to ask
// elsewhere before they can say a transaction's content: what is known needs no second look.
// Another poster may add one right after; PostTx finds that out.
func (s *Service) KnownReferences(ctx context.Context, book string, references []string) (map[string]bool, error) {
	rows, err := s.pool.Query(ctx, knownReferencesSQL, pgx.NamedArgs{"book": book, "references": references})
	if err != nil {
		return nil, postgres.Error(err)
	}
	known := make(map[string]bool, len(references))
	var reference string
	_, err = pgx.ForEachRow(rows, []any{&reference}, func() error {
		known[reference] = true
		return nil
	})
	return known, postgres.Error(err)
}

package bank

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/notices"
)

// openCreditsSQL returns the statements of a file that brought lines of money that arrived and are still open. A
// statement of which all lines were in earlier files is not among them. It runs after the lines were matched, in the
// transaction of the import.
const openCreditsSQL = `
SELECT s.id
FROM bank.statements AS s
WHERE s.collective = @collective
	AND s.file_hash = @file_hash
	AND EXISTS (
		SELECT
		FROM bank.lines AS l
		WHERE l.collective = s.collective
			AND l.statement = s.id
			AND l.state IN ('unmatched', 'suggested')
			AND l.amount_minor > 0
	)
ORDER BY s.id`

// tellOpenCreditsTx sends members a notice of each statement of a file that has money which is not matched yet. The same
// file again sends none, and a line that is in two files belongs to the first.
func (s *Service) tellOpenCreditsTx(ctx context.Context, tx pgx.Tx, collective string, hash []byte) error {
	statements, err := postgres.All(ctx, tx, pgx.RowTo[uuid.UUID], openCreditsSQL, pgx.NamedArgs{"collective": collective, "file_hash": hash})
	if err != nil {
		return err
	}
	for _, id := range statements {
		// The key is the statement's id, under which a notice is stored once.
		if err := s.cfg.Notices.TellTx(ctx, tx, notices.Notice{
			Collective: collective, Kind: notices.BankImportUnmatched, Key: id.String(),
			Subject: Statement{ID: id, Collective: collective}.Name(),
		}); err != nil {
			return err
		}
	}
	return nil
}

package ledger

import (
	"context"
	"io"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

// The newest sum of each key of all time, at the newest balance checkpoint. balance_keys_all_idx finds the keys of an
// account, balances_pkey the newest sum of a key. The order is that of bytes, since [proof.VerifyArchive] compares keys
// as Go compares texts.
const archiveBalancesSQL = `
SELECT
	(
		SELECT max(b.number)
		FROM ledger.balance_checkpoints AS b
		WHERE b.book = @book
	),
	a.code,
	n.balance,
	k.currency,
	k.collective,
	k.campaign
FROM ledger.accounts AS a
JOIN ledger.balance_keys AS k ON k.account_id = a.id AND k.span = 'all'
CROSS JOIN LATERAL (
	SELECT b.balance
	FROM ledger.balances AS b
	WHERE b.key_id = k.id
	ORDER BY b.number DESC
	LIMIT 1
) AS n
WHERE a.book = @book
ORDER BY
	a.code COLLATE "C",
	k.collective COLLATE "C",
	k.campaign COLLATE "C",
	k.currency COLLATE "C"`

// WriteArchive writes everything that is sealed of a book as JSON Lines: its checkpoints, the stored balances, and each
// transaction with everything that was hashed. [proof.VerifyArchive] verifies it without a database. A book with several
// collectives is in it whole, so it is for the operator; [View.WriteShare] is for one of them. It names no donor.
//
// It reads one snapshot, and holds the checkpoints in memory.
func (s *Service) WriteArchive(ctx context.Context, book string, w io.Writer) error {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return postgres.Error(err)
	}
	// There is nothing to commit.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, noTimeoutSQL); err != nil {
		return postgres.Error(err)
	}
	// The checkpoints come first, so that a reader can compare roots as the tree grows.
	out := proof.NewWriter(w)
	if err := out.Book(book); err != nil {
		return err
	}
	// These are all checkpoints of the book: a verifier follows the chain from the first to the newest.
	checkpoints, err := loadCheckpointsTx(ctx, tx, book)
	if err != nil {
		return err
	}
	for i := range checkpoints {
		if err := out.Checkpoint(&checkpoints[i]); err != nil {
			return err
		}
	}
	// The balances come before the transactions: a verifier compares them when it reaches the number that they were stored
	// at, and then needs no second reading.
	if err := writeBalancesTx(ctx, tx, book, out); err != nil {
		return err
	}
	// What has no number yet is not in the file.
	if err := streamSealedTx(ctx, tx, verifySealedSQL, book, func(r *sealedRow) error {
		return out.Transaction(&r.Leaf, r.LeafHash)
	}); err != nil {
		return err
	}
	return out.End()
}

// writeBalancesTx writes the stored sums of all of time, in the order that a reader expects.
func writeBalancesTx(ctx context.Context, tx pgx.Tx, book string, out *proof.Writer) error {
	rows, err := tx.Query(ctx, archiveBalancesSQL, pgx.NamedArgs{"book": book})
	if err != nil {
		return postgres.Error(err)
	}
	defer rows.Close()
	for rows.Next() {
		var number int64
		var balance proof.Entry
		if err := rows.Scan(&number, &balance.Code, &balance.Amount.Minor, &balance.Amount.Currency, &balance.Collective, &balance.Campaign); err != nil {
			return postgres.Error(err)
		}
		if err := out.Balance(number, &balance); err != nil {
			return err
		}
	}
	return postgres.Error(rows.Err())
}

package ledger

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

// verification is one run over one book: what [proof.Verifier] verifies, and what only the database knows. closings and
// the stored balances are in the database only; an archive has neither closings nor the sums of single years, months
// and days.
type verification struct {
	*proof.Verifier
	closings []closing
	balances balanceCheck
}

// sealedRow is a transaction with its seal, each as far as it is there. A transaction without a seal has the number 0.
// One that is gone has only what its seal says.
type sealedRow struct {
	proof.Sealed
	sealDonation uuid.UUID
	// accounts are those of the entries.
	accounts []int32
	// broken is what is wrong with the entries by themselves.
	broken []string
}

// Verify recomputes everything that the books derive, from the rows of one book: that transactions are complete and
// balanced, that numbers have no gap and follow the order of writing, that every row is what was hashed, the tree, the
// checkpoints with their signatures and their chain, the stored balances, the links of corrections, and that nothing was
// added in the past or to a closed period. What differs is in the report; the error is for a database that cannot be read.
//
// It reads one snapshot, and holds the stored balances and the checkpoints in memory. With a secret key the newest
// checkpoint must be signed by it. Older ones may have been signed by a former key, and are tied to the newest by their
// consistency proofs. Without it, compare the report's verifier key with one that was kept elsewhere: whoever can write
// all tables can sign with a key of their own. It has no timeout, and its snapshot keeps Postgres from removing old
// versions of rows while it runs.
func (s *Service) Verify(ctx context.Context, book string) (*proof.Report, error) {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, postgres.Error(err)
	}
	// There is nothing to commit.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, noTimeoutSQL); err != nil {
		return nil, postgres.Error(err)
	}
	// The order matters: sealed transactions grow the tree in the order of their numbers, and what has no number must be
	// newer than all of them.
	v, err := loadVerificationTx(ctx, tx, book)
	if err != nil {
		return nil, err
	}
	if err := streamSealedTx(ctx, tx, verifySealedSQL, book, v.sealed); err != nil {
		return nil, err
	}
	if err := streamSealedTx(ctx, tx, verifyUnsealedSQL, book, v.unsealed); err != nil {
		return nil, err
	}
	for _, check := range []func(context.Context, pgx.Tx) error{v.checkOrphansTx, v.checkLinksTx} {
		if err := check(ctx, tx); err != nil {
			return nil, err
		}
	}
	// It comes after the last sealed transaction, and before the report is finished.
	v.finishStored()
	report := v.Finish()
	return report, s.requireKey(report)
}

// requireKey reports a newest checkpoint that is not signed by the program's key.
func (s *Service) requireKey(report *proof.Report) error {
	if len(s.secret) == 0 || report.Checkpoints == 0 {
		return nil
	}
	key, err := proof.NewKey(s.secret, report.Book)
	if err != nil {
		return err
	}
	if report.VerifierKey != key.VerifierKey {
		report.Differ("checkpoints", "the newest is not signed by the program's key")
	}
	return nil
}

// loadVerificationTx loads everything that is compared while the transactions stream by. The hashes of subtrees, the
// counts, the checkpoints and the stored balances are held in memory; the transactions are not.
func loadVerificationTx(ctx context.Context, tx pgx.Tx, book string) (*verification, error) {
	checkpoints, err := loadCheckpointsTx(ctx, tx, book)
	if err != nil {
		return nil, err
	}
	stored := &proof.Stored{}
	if stored.Subtrees, err = loadSubtreesTx(ctx, tx, book); err != nil {
		return nil, err
	}
	if stored.Counts, err = loadStoredCountsTx(ctx, tx, book); err != nil {
		return nil, err
	}
	v := &verification{Verifier: proof.NewVerifier(book, stored)}
	for i := range checkpoints {
		v.AddCheckpoint(&checkpoints[i])
	}
	if v.closings, err = loadClosingsTx(ctx, tx, book); err != nil {
		return nil, err
	}
	// The checkpoints are added before any transaction, as [proof.Verifier] requires.
	return v, v.loadBalancesTx(ctx, tx)
}

// verifyColumnsPart has the columns of both statements below, in the order in which streamSealedTx scans them. A row
// that an outer join did not find gives zeros and empty texts. The booleans are those that Go cannot compute: whether
// the transaction is of the book, whether the account is, whether nominal fits the account's type, and whether the
// entry repeats the times of its transaction. Without an entry they mean nothing, and its line is 0.
const verifyColumnsPart = `
SELECT
	coalesce(s.number, 0),
	coalesce(s.transaction_id, t.id),
	s.leaf_hash,
	s.salt,
	s.donation,
	t.id IS NOT NULL AND t.book = @book,
	coalesce(t.xid, '0'),
	coalesce(t.entry_count, 0::smallint),
	coalesce(t.reference, ''),
	coalesce(t.kind, ''),
	coalesce(t.effective_at, 'epoch'),
	coalesce(t.recorded_at, 'epoch'),
	t.fingerprint,
	coalesce(e.line, 0::smallint),
	coalesce(a.id, 0),
	coalesce(a.code, ''),
	coalesce(a.book = @book, false),
	coalesce(e.nominal = (a.type IN ('income', 'expense')), false),
	coalesce(e.effective_at = t.effective_at AND e.xid = t.xid, false),
	coalesce(e.amount, 0),
	coalesce(e.currency, ''),
	coalesce(e.collective, ''),
	coalesce(e.campaign, ''),
	e.donation`

// verifySealedSQL reads a row for each entry, and one for a seal without a transaction and for a transaction without
// entries. The outer joins keep the rows of what is missing, so that it can be reported. seals_pkey has the order of
// the numbers.
const verifySealedSQL = verifyColumnsPart + `
FROM ledger.seals AS s
LEFT JOIN ledger.transactions AS t ON t.id = s.transaction_id
LEFT JOIN ledger.entries AS e ON e.transaction_id = t.id
LEFT JOIN ledger.accounts AS a ON a.id = e.account_id
WHERE s.book = @book
ORDER BY
	s.number,
	e.line`

// verifyUnsealedSQL reads the transactions without a number, in the order in which they would be sealed. A seal of
// another book does not count. transactions_seal_idx has this order.
const verifyUnsealedSQL = verifyColumnsPart + `
FROM ledger.transactions AS t
LEFT JOIN ledger.seals AS s ON s.transaction_id = t.id AND s.book = t.book
LEFT JOIN ledger.entries AS e ON e.transaction_id = t.id
LEFT JOIN ledger.accounts AS a ON a.id = e.account_id
WHERE t.book = @book
	AND s.number IS NULL
ORDER BY
	t.xid,
	t.id,
	e.line`

// streamSealedTx calls each for one transaction after the other. An error of each comes back as it is. It holds one
// transaction at a time. The archive and the verification both use it.
func streamSealedTx(ctx context.Context, tx pgx.Tx, sql, book string, each func(*sealedRow) error) error {
	rows, err := tx.Query(ctx, sql, pgx.NamedArgs{"book": book})
	if err != nil {
		return postgres.Error(err)
	}
	defer rows.Close()
	var (
		r, current                      sealedRow
		e                               proof.Entry
		account                         int32
		found, ownBook, nominal, sameAt bool
		sealDonation, donation          pgtype.UUID
	)
	// Each scan writes into the same variables; what belongs to a transaction is copied below.
	targets := []any{
		&r.Number, &r.ID, &r.LeafHash, &r.Salt, &sealDonation, &found, &r.XID, &r.EntryCount,
		&r.Reference, &r.Kind, &r.Effective, &r.Recorded, &r.Fingerprint,
		&e.Line, &account, &e.Code, &ownBook, &nominal, &sameAt,
		&e.Amount.Minor, &e.Amount.Currency, &e.Collective, &e.Campaign, &donation,
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return postgres.Error(err)
		}
		// The rows of one transaction follow one another; with the first row of the next it is complete. Both are compared: a
		// transaction that two seals name would be taken for one otherwise.
		if r.ID != current.ID || r.Number != current.Number {
			if current.ID != 0 {
				if err := each(&current); err != nil {
					return err
				}
			}
			// The buffers of the scanned bytes belong to the row.
			current = r
			current.Book, current.Missing, current.sealDonation = book, !found, uuid.UUID(sealDonation.Bytes)
			current.LeafHash, current.Fingerprint, current.Salt = bytes.Clone(r.LeafHash), bytes.Clone(r.Fingerprint), bytes.Clone(r.Salt)
		}
		// The outer join gives a row of nulls for what has no entry.
		if e.Line == 0 {
			continue
		}
		e.Donation = uuid.UUID(donation.Bytes)
		current.Entries = append(current.Entries, e)
		current.accounts = append(current.accounts, account)
		switch {
		// One difference for each line is enough, the first of these that is wrong.
		case !ownBook:
			current.broken = append(current.broken, fmt.Sprintf("line %d is on an account that the book does not have", e.Line))
		case !nominal:
			current.broken = append(current.broken, fmt.Sprintf("line %d does not say the type of its account", e.Line))
		case !sameAt:
			current.broken = append(current.broken, fmt.Sprintf("line %d happened, or was written, at another time", e.Line))
		}
	}
	// No row was read when the id is still 0: the book has nothing of this kind.
	if err := rows.Err(); err != nil || current.ID == 0 {
		return postgres.Error(err)
	}
	return each(&current)
}

// sealed checks a numbered transaction, and adds it to the tree and the sums. A stored balance is compared when its
// number has been added, also when the transaction itself is missing.
func (v *verification) sealed(r *sealedRow) error {
	v.AddSealed(&r.Sealed)
	if !r.Missing {
		// The seal's donation is not hashed, and the proof of a donation is found by it.
		if r.sealDonation != r.Donation() {
			v.Differ(r.Name(), "the seal is for another donation")
		}
		v.row(r)
		v.add(r)
	}
	v.compareStored(r.Number)
	return nil
}

// unsealed checks a transaction without a number. It counts in no stored sum and in no tree.
func (v *verification) unsealed(r *sealedRow) error {
	v.AddUnsealed(&r.Sealed)
	v.row(r)
	return nil
}

// row checks what only the database knows of a transaction.
func (v *verification) row(r *sealedRow) {
	for _, what := range r.broken {
		v.Differ(r.Name(), "%s", what)
	}
	for _, c := range v.closings {
		// A posting of an older database transaction may be in the period: ClosePeriod waits for those.
		if r.XID > c.xid && r.Effective.Before(c.ends) && (c.collective == "" ||
			slices.ContainsFunc(r.Entries, func(e proof.Entry) bool { return e.Collective == c.collective })) {
			v.Differ(r.Name(), "was posted to the period that was closed until %s", c.ends.UTC().Format(time.RFC3339))
		}
	}
}

// closing is a closed period. What was written after xid must not be dated before ends.
type closing struct {
	collective string
	ends       time.Time
	xid        uint64
}

// verifyClosingsSQL returns all closings, not the latest only: each forbids what was written after its own xid.
const verifyClosingsSQL = `
SELECT
	c.collective,
	c.ends_at,
	c.xid
FROM ledger.closings AS c
WHERE c.book = @book
ORDER BY
	c.collective,
	c.ends_at`

// loadClosingsTx reads all closings of a book: each had its own time of writing.
func loadClosingsTx(ctx context.Context, tx pgx.Tx, book string) ([]closing, error) {
	rows, err := tx.Query(ctx, verifyClosingsSQL, pgx.NamedArgs{"book": book})
	if err != nil {
		return nil, postgres.Error(err)
	}
	closings, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c closing, err error) {
		err = row.Scan(&c.collective, &c.ends, &c.xid)
		return c, err
	})
	return closings, postgres.Error(err)
}

// Entries of no transaction are on some account, or on none that there is. No index leads from an account to its
// entries, so it reads the entries of all books. Entries on accounts of other books are left to the verification of
// those books.
const orphansSQL = `
SELECT DISTINCT e.transaction_id
FROM ledger.entries AS e
LEFT JOIN ledger.accounts AS a ON a.id = e.account_id
WHERE (a.book = @book OR a.id IS NULL)
	AND NOT EXISTS (
		SELECT
		FROM ledger.transactions AS t
		WHERE t.id = e.transaction_id
	)
ORDER BY e.transaction_id`

// checkOrphansTx reports entries whose transaction is gone. The transactions that are streamed cannot show them.
func (v *verification) checkOrphansTx(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, orphansSQL, pgx.NamedArgs{"book": v.Book})
	if err != nil {
		return postgres.Error(err)
	}
	var id int64
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
		v.Differ(fmt.Sprintf("transaction %d", id), "is missing, and its entries are there")
		return nil
	})
	return postgres.Error(err)
}

// subtrees_pkey has this order.
const verifySubtreesSQL = `
SELECT
	n.level,
	n.index,
	n.hash
FROM ledger.subtrees AS n
WHERE n.book = @book
ORDER BY
	n.level,
	n.index`

// loadSubtreesTx reads the stored hashes of the tree above the leaves.
func loadSubtreesTx(ctx context.Context, tx pgx.Tx, book string) (map[proof.SubtreeID][]byte, error) {
	rows, err := tx.Query(ctx, verifySubtreesSQL, pgx.NamedArgs{"book": book})
	if err != nil {
		return nil, postgres.Error(err)
	}
	stored := map[proof.SubtreeID][]byte{}
	var id proof.SubtreeID
	var hash []byte
	_, err = pgx.ForEachRow(rows, []any{&id.Level, &id.Index, &hash}, func() error {
		stored[id] = bytes.Clone(hash)
		return nil
	})
	return stored, postgres.Error(err)
}

// verifyCheckpointsSQL returns the checkpoints as they are stored, in the order of checkpoints_pkey. The archive is
// written from it too.
const verifyCheckpointsSQL = `
SELECT
	c.size,
	c.previous_size,
	c.signed_at,
	c.root,
	c.consistency,
	c.note,
	c.verifier_key
FROM ledger.checkpoints AS c
WHERE c.book = @book
ORDER BY c.size`

// loadCheckpointsTx reads the checkpoints by size. Origin and CountsRoot stay empty: they stand in the notes.
func loadCheckpointsTx(ctx context.Context, tx pgx.Tx, book string) ([]proof.ChainedCheckpoint, error) {
	rows, err := tx.Query(ctx, verifyCheckpointsSQL, pgx.NamedArgs{"book": book})
	if err != nil {
		return nil, postgres.Error(err)
	}
	checkpoints, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c proof.ChainedCheckpoint, err error) {
		err = row.Scan(&c.Size, &c.PreviousSize, &c.SignedAt, &c.Root, &c.Consistency, &c.Note, &c.VerifierKey)
		return c, err
	})
	return checkpoints, postgres.Error(err)
}

// verifySharesSQL returns the counts of collectives, a row for each checkpoint at which a count had changed.
const verifySharesSQL = `
SELECT
	s.number,
	s.collective,
	s.count,
	s.hash
FROM ledger.shares AS s
WHERE s.book = @book
ORDER BY
	s.number,
	s.collective`

// loadStoredCountsTx reads the counts that changed with each checkpoint, by its size and the collective.
func loadStoredCountsTx(ctx context.Context, tx pgx.Tx, book string) (map[int64]map[string]proof.Count, error) {
	rows, err := tx.Query(ctx, verifySharesSQL, pgx.NamedArgs{"book": book})
	if err != nil {
		return nil, postgres.Error(err)
	}
	stored := map[int64]map[string]proof.Count{}
	var number int64
	var c proof.Count
	_, err = pgx.ForEachRow(rows, []any{&number, &c.Collective, &c.Transactions, &c.Hash}, func() error {
		if stored[number] == nil {
			stored[number] = map[string]proof.Count{}
		}
		c.Hash = bytes.Clone(c.Hash)
		stored[number][c.Collective] = c
		return nil
	})
	return stored, postgres.Error(err)
}

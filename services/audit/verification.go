package audit

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

// A verification takes as long as it must; the pool's limit is for questions with short answers.
const noTimeoutSQL = `
SET LOCAL statement_timeout = 0`

const verifyCheckpointsSQL = `
SELECT
	c.size,
	c.previous_size,
	c.signed_at,
	c.root,
	c.consistency,
	c.note,
	c.verifier_key
FROM audit.checkpoints AS c
ORDER BY c.size`

// verifySealedSQL has a row for each seal; the entry may be gone.
const verifySealedSQL = `
SELECT
	s.number,
	s.entry_id,
	s.leaf_hash,
	e.id IS NULL
FROM audit.seals AS s
LEFT JOIN audit.entries AS e ON e.id = s.entry_id
WHERE s.number > @after
ORDER BY s.number
LIMIT @count`

// verifyEntriesSQL has the entries of some seals.
const verifyEntriesSQL = `
SELECT` + columns + `,
	0::bigint,
	e.xid
FROM audit.entries AS e
WHERE e.id = ANY(@ids::uuid[])`

// verifyUnsealedSQL has the entries without a number, in the order in which they would be sealed.
const verifyUnsealedSQL = `
SELECT` + columns + `,
	0::bigint,
	e.xid
FROM audit.entries AS e
WHERE NOT EXISTS (
	SELECT
	FROM audit.seals AS s
	WHERE s.entry_id = e.id
)
ORDER BY
	e.xid,
	e.id`

// Verify recomputes the log from its entries: that each is what was hashed, that numbers have no gap and follow the order of
// writing, the tree, the checkpoints with their signatures and their chain, and that no entry was inserted in the past. What
// differs is in the report, whose Book is [Book]; the error is for a database that cannot be read. With a secret key the
// newest checkpoint must be signed by it.
func (s *Service) Verify(ctx context.Context) (*proof.Report, error) {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, postgres.Error(err)
	}
	// There is nothing to commit.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, noTimeoutSQL); err != nil {
		return nil, postgres.Error(err)
	}
	v := proof.NewVerifier(Book, nil)
	rows, err := tx.Query(ctx, verifyCheckpointsSQL)
	if err != nil {
		return nil, postgres.Error(err)
	}
	checkpoints, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (c proof.ChainedCheckpoint, err error) {
		err = r.Scan(&c.Size, &c.PreviousSize, &c.SignedAt, &c.Root, &c.Consistency, &c.Note, &c.VerifierKey)
		return c, err
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	// The checkpoints are added before any entry, as [proof.Verifier] requires.
	for i := range checkpoints {
		v.AddCheckpoint(&checkpoints[i])
	}
	for after, more := int64(0), true; more; {
		if after, more, err = verifySealedTx(ctx, tx, v, after); err != nil {
			return nil, err
		}
	}
	if rows, err = tx.Query(ctx, verifyUnsealedSQL); err != nil {
		return nil, postgres.Error(err)
	}
	unsealed, err := pgx.CollectRows(rows, scanRow)
	if err != nil {
		return nil, postgres.Error(err)
	}
	for i := range unsealed {
		v.AddUnsealed(&proof.Sealed{Leaf: unsealed[i].leaf(0)})
	}
	report := v.Finish()
	return report, s.requireKey(report)
}

// verifySealedTx verifies the next seals after a number, and returns the last of them; more is false after the last page.
func verifySealedTx(ctx context.Context, tx pgx.Tx, v *proof.Verifier, after int64) (last int64, more bool, err error) {
	rows, err := tx.Query(ctx, verifySealedSQL, pgx.NamedArgs{"after": after, "count": sealBatch})
	if err != nil {
		return 0, false, postgres.Error(err)
	}
	type seal struct {
		number  int64
		id      uuid.UUID
		hash    []byte
		missing bool
	}
	seals, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (s seal, err error) {
		err = r.Scan(&s.number, &s.id, &s.hash, &s.missing)
		return s, err
	})
	if err != nil || len(seals) == 0 {
		return 0, false, postgres.Error(err)
	}
	ids := make([]string, len(seals))
	for i := range seals {
		ids[i] = seals[i].id.String()
	}
	if rows, err = tx.Query(ctx, verifyEntriesSQL, pgx.NamedArgs{"ids": ids}); err != nil {
		return 0, false, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scanRow)
	if err != nil {
		return 0, false, postgres.Error(err)
	}
	entries := map[uuid.UUID]*row{}
	for i := range found {
		entries[found[i].ID] = &found[i]
	}
	for _, s := range seals {
		sealed := &proof.Sealed{LeafHash: s.hash, Missing: s.missing}
		if s.missing {
			sealed.Leaf = proof.Leaf{Head: proof.Head{Number: s.number, ID: orderOf(s.id)}}
		} else {
			sealed.Leaf = entries[s.id].leaf(s.number)
		}
		v.AddSealed(sealed)
	}
	return seals[len(seals)-1].number, len(seals) == sealBatch, nil
}

// requireKey reports a newest checkpoint that is not signed by the program's key.
func (s *Service) requireKey(report *proof.Report) error {
	if len(s.secret) == 0 || report.Checkpoints == 0 {
		return nil
	}
	key, err := proof.NewKey(s.secret, Book)
	if err != nil {
		return err
	}
	if report.VerifierKey != key.VerifierKey {
		report.Differ("checkpoints", "the newest is not signed by the program's key")
	}
	return nil
}

// scanRow reads the columns of an entry, its number and its xid.
func scanRow(r pgx.CollectableRow) (e row, err error) {
	e.Entry, err = scan(r, &e.xid)
	return e, err
}

package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/transparency-dev/merkle/compact"
	merkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

// Book is the name of the log where package proof names a book: in its checkpoints, its key and its report. Books of the
// ledger have the id of a Stripe account, or none.
const Book = "audit"

// leafKind is the kind of the leaves.
const leafKind = "audit"

// sealBatch is how many entries one database transaction seals at most.
const sealBatch = 1000

// contentHeader names the encoding of an entry and its version. Another version has another header.
const contentHeader = "cagnotte audit entry 1\n"

// row is an entry with what only the database knows of it.
type row struct {
	Entry
	xid uint64
}

// leaf returns the entry as the tree hashes it. An entry has no amounts: all of it is in the fingerprint.
func (r *row) leaf(number int64) proof.Leaf {
	return proof.Leaf{
		Head: proof.Head{
			Book: Book, Number: number, ID: orderOf(r.ID), XID: r.xid, Reference: r.ID.String(), Kind: leafKind,
			Effective: r.CreateTime, Recorded: r.CreateTime,
		},
		Fingerprint: r.fingerprint(),
	}
}

// orderOf keeps the order of ids, since numbers follow that of (xid, id): their first 63 bits.
func orderOf(id uuid.UUID) int64 { return int64(binary.BigEndian.Uint64(id[:8]) >> 1) }

// fingerprint is the hash of all that an entry says. Each text has its length before it, so that no two entries have the
// same bytes.
func (e *Entry) fingerprint() []byte {
	b := []byte(contentHeader)
	for _, text := range []string{
		e.Collective, e.Actor, e.ActorDisplayName, e.Member, e.Credential, e.Role, e.Method, e.Resource, e.RequestID,
	} {
		b = appendText(b, text)
	}
	for _, fields := range []Fields{e.Before, e.After} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(fields)))
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			b = appendText(appendText(b, name), fields[name])
		}
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

func appendText(b []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...)
}

// KeepSealing seals the log again and again until ctx is done, with a pause between the rounds. Any number of programs may
// run it at once. failed is called with each error, and the next round tries again. Without a secret key it returns at once.
func (s *Service) KeepSealing(ctx context.Context, pause time.Duration, failed func(error)) {
	if len(s.secret) == 0 {
		return
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		n, err := s.Seal(ctx)
		if err != nil && ctx.Err() == nil {
			failed(err)
		}
		// A whole batch means that there may be more.
		if err == nil && n == sealBatch {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// The lock ends with the database transaction, after its commit can be seen.
const lockLogSQL = `
SELECT pg_try_advisory_xact_lock(hashtextextended('cagnotte audit seal', 0))`

// Seal numbers the entries that no running database transaction can come before any more, adds them to the tree and signs a
// checkpoint, all in one database transaction. It returns how many it sealed: 0 when there was nothing, or when another
// sealer is at work.
//
// Errors: FAILED_PRECONDITION SEAL_KEY_MISSING without a secret key; FAILED_PRECONDITION SEAL_POSITION_AHEAD when the
// database counts its transactions from less than the log knows, as after a dump was restored into another cluster.
func (s *Service) Seal(ctx context.Context) (n int, err error) {
	if len(s.secret) == 0 {
		return 0, errs.New(errorsv1.ErrorReason_SEAL_KEY_MISSING, "Sealing needs the secret key.")
	}
	key, err := proof.NewKey(s.secret, Book)
	if err != nil {
		return 0, err
	}
	err = postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		var alone bool
		if err := tx.QueryRow(ctx, lockLogSQL).Scan(&alone); err != nil || !alone {
			return postgres.Error(err)
		}
		n, err = s.sealTx(ctx, tx, key)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// sealed is how far the log is sealed; zero before the first seal.
type sealed struct {
	size int64
	// xid and id are those of the last sealed entry.
	xid        uint64
	id         uuid.UUID
	root       []byte
	edge       [][]byte
	ahead      bool
	firstOfAll bool
}

// lastSealedSQL returns how far the log is sealed, and no row before the first seal. ahead: this cluster has not given out
// the xid of the last entry yet.
const lastSealedSQL = `
SELECT
	c.size,
	e.xid,
	e.id,
	c.root,
	c.edge,
	e.xid >= pg_snapshot_xmax(pg_current_snapshot())
FROM audit.checkpoints AS c
JOIN audit.seals AS s ON s.number = c.size
JOIN audit.entries AS e ON e.id = s.entry_id
ORDER BY c.size DESC
LIMIT 1`

func lastSealedTx(ctx context.Context, tx pgx.Tx) (last sealed, err error) {
	err = tx.QueryRow(ctx, lastSealedSQL).Scan(&last.size, &last.xid, &last.id, &last.root, &last.edge, &last.ahead)
	if errors.Is(err, pgx.ErrNoRows) {
		return sealed{firstOfAll: true}, nil
	}
	return last, postgres.Error(err)
}

// What is below xmin has ended, and so has everything older: nothing can come between any more.
const unsealedSQL = `
SELECT` + columns + `,
	0::bigint,
	e.xid
FROM audit.entries AS e
WHERE (e.xid, e.id) > (@xid, @id)
	AND e.xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY
	e.xid,
	e.id
LIMIT @count`

const insertSealsSQL = `
INSERT INTO audit.seals (number, entry_id, leaf_hash)
SELECT
	l.number,
	l.id,
	l.hash
FROM unnest(
	@numbers::bigint[],
	@ids::uuid[],
	@hashes::bytea[]
) AS l (number, id, hash)`

const insertCheckpointSQL = `
INSERT INTO audit.checkpoints (size, previous_size, signed_at, root, consistency, edge, note, verifier_key)
VALUES (@size, @previous_size, @signed_at, @root, @consistency, @edge, @note, @verifier_key)`

// sealTx does the work of [Service.Seal], under the lock.
func (s *Service) sealTx(ctx context.Context, tx pgx.Tx, key *proof.Key) (int, error) {
	last, err := lastSealedTx(ctx, tx)
	if err != nil {
		return 0, err
	}
	if last.ahead {
		return 0, errs.New(errorsv1.ErrorReason_SEAL_POSITION_AHEAD,
			"The database counts its transactions from a smaller number than the audit log has: see deploy/README.md, on restoring.")
	}
	rows, err := tx.Query(ctx, unsealedSQL, pgx.NamedArgs{
		"xid": pgtype.Uint64{Uint64: last.xid, Valid: true}, "id": last.id, "count": sealBatch,
	})
	if err != nil {
		return 0, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scanRow)
	if err != nil || len(found) == 0 {
		return 0, postgres.Error(err)
	}
	// The tree overwrites what it is loaded from, and the proof below needs it.
	tree, err := proof.LoadTree(last.size, slices.Clone(last.edge))
	if err != nil {
		return 0, err
	}
	// A stored edge that does not give the signed root would make a second history.
	if root, err := tree.Root(); !last.firstOfAll && (err != nil || !bytes.Equal(root, last.root)) {
		return 0, errs.Internal(errors.New("the tree of the audit log is not what was signed: run `cagnotte ledger verify`"))
	}
	var numbers []int64
	var ids []string
	var hashes [][]byte
	for i := range found {
		leaf := found[i].leaf(last.size + int64(i) + 1)
		hash := leaf.Hash()
		if err := tree.Append(hash); err != nil {
			return 0, err
		}
		numbers, ids, hashes = append(numbers, leaf.Number), append(ids, found[i].ID.String()), append(hashes, hash)
	}
	root, err := tree.Root()
	if err != nil {
		return 0, fmt.Errorf("the root of the audit log: %w", err)
	}
	counts, err := proof.Counts{}.Root()
	if err != nil {
		return 0, err
	}
	checkpoint := proof.Checkpoint{
		Origin: proof.OriginOf(Book), Size: tree.Size(), Root: root, CountsRoot: counts, SignedAt: s.now().UTC().Truncate(time.Microsecond),
	}
	if err := key.Sign(&checkpoint); err != nil {
		return 0, err
	}
	path, err := consistencyPath(last, hashes)
	if err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, insertSealsSQL, pgx.NamedArgs{"numbers": numbers, "ids": ids, "hashes": hashes}); err != nil {
		return 0, postgres.Error(err)
	}
	_, err = tx.Exec(ctx, insertCheckpointSQL, pgx.NamedArgs{
		"size": checkpoint.Size, "previous_size": last.size, "signed_at": checkpoint.SignedAt, "root": root,
		"consistency": path, "edge": tree.Edge(), "note": checkpoint.Note, "verifier_key": checkpoint.VerifierKey,
	})
	return len(found), postgres.Error(err)
}

// consistencyPath proves that the tree with the added leaves begins with the one before. Each node of the proof is on the
// right edge of that one, or covers added leaves alone. It is empty for the first checkpoint.
func consistencyPath(before sealed, added [][]byte) ([][]byte, error) {
	if before.size == 0 {
		return [][]byte{}, nil
	}
	size := before.size + int64(len(added))
	nodes, err := merkle.Consistency(uint64(before.size), uint64(size))
	if err != nil {
		return nil, fmt.Errorf("prove a consistency: %w", err)
	}
	edge := map[compact.NodeID][]byte{}
	for i, id := range compact.RangeNodes(0, uint64(before.size), nil) {
		edge[id] = before.edge[i]
	}
	hashes := make([][]byte, len(nodes.IDs))
	for i, id := range nodes.IDs {
		if hash, known := edge[id]; known {
			hashes[i] = hash
			continue
		}
		first, end := int64(id.Index<<id.Level)-before.size, int64((id.Index+1)<<id.Level)-before.size
		if first < 0 || end > int64(len(added)) {
			return nil, fmt.Errorf("prove a consistency: node %d of level %d is neither old nor new", id.Index, id.Level)
		}
		row := slices.Clone(added[first:end])
		// Each round halves the row, up to the node itself.
		for len(row) > 1 {
			for j := range len(row) / 2 {
				row[j] = rfc6962.DefaultHasher.HashChildren(row[2*j], row[2*j+1])
			}
			row = row[:len(row)/2]
		}
		hashes[i] = row[0]
	}
	path, err := nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren)
	if err != nil {
		return nil, fmt.Errorf("fold a proof: %w", err)
	}
	return path, nil
}

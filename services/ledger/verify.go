package ledger

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// Difference is one thing that is not what the rest of the book says it must be.
type Difference struct {
	// Where names the thing: "number 5 (txn_…)", "checkpoint 40", "kept balance of …".
	Where string
	// What is wrong with it.
	What string
}

// String is one line for people.
func (d Difference) String() string { return d.Where + ": " + d.What }

// maxDifferences is how many a report names. One wrong row early in a book can falsify all after it.
const maxDifferences = 1000

// Report is what [Service.Verify] found in one book.
type Report struct {
	Book string
	// Sealed and Unsealed count the transactions, Checkpoints the signed notes.
	Sealed, Unsealed, Checkpoints int64
	// VerifierKey is the one of the newest checkpoint; empty before the first.
	VerifierKey string
	// SignedAt is when the newest checkpoint was signed; zero before the first.
	SignedAt time.Time
	// Share is whether only a share was checked: the collective's, or with none what belongs to nobody. It has Own
	// transactions, and when nothing differs these are all that it has among the Sealed.
	Share      bool
	Collective string
	Own        int64
	// Differences is empty when all is as it must be; the first thousand of them otherwise.
	Differences []Difference
}

// verification is one run over one book.
type verification struct {
	*Report
	closings    []closing
	checkpoints checkpointChain
	tree        treeCheck
	shares      sharesCheck
	kept        keptCheck
	// before is the last sealed transaction so far.
	before *verified
	// lastXID and lastID are the position of the last seal: what has no number must come after.
	lastXID uint64
	lastID  int64
}

func (v *verification) differ(where, format string, args ...any) {
	if len(v.Differences) < maxDifferences {
		v.Differences = append(v.Differences, Difference{where, fmt.Sprintf(format, args...)})
	}
}

// verified is a transaction with its seal, each as far as it is there.
type verified struct {
	number        int64
	transactionID int64
	leafHash      []byte
	sealDonation  uuid.UUID
	found         bool
	entryCount    int16
	leaf          Leaf
	accounts      []int32
	// broken is what is wrong with the entries by themselves.
	broken []string
}

func (r *verified) name() string {
	switch {
	case r.number == 0:
		return fmt.Sprintf("transaction %d (%s)", r.leaf.ID, r.leaf.Reference)
	case r.found:
		return fmt.Sprintf("number %d (%s)", r.number, r.leaf.Reference)
	}
	return fmt.Sprintf("number %d", r.number)
}

// Verify recomputes everything that the books derive, from the rows of one book: that transactions
// are complete and balanced, that numbers have no gap and follow the order of writing, that
// every row is what was hashed, the tree, the checkpoints with their signatures and their chain,
// the kept balances, the links of reversals, and that nothing was added in the past or to a closed period. What differs is
// in the report; the error is for a database that cannot be read.
//
// It reads one snapshot, and holds the kept balances and the checkpoints in memory. With a secret
// key the newest checkpoint must be signed by it; older ones may have been signed by a former
// key, and are tied to the newest by their consistency proofs. Without it, compare the report's verifier
// key with one that was kept elsewhere: who can write all tables can sign with a key of their own.
func (s *Service) Verify(ctx context.Context, book string) (*Report, error) {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, postgres.Error(err)
	}
	// There is nothing to commit.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, noTimeoutSQL); err != nil {
		return nil, postgres.Error(err)
	}
	v := &verification{Report: &Report{Book: book}}
	for _, load := range []func(context.Context, pgx.Tx) error{v.loadClosings, v.loadCheckpoints, v.loadSubtrees, v.loadShares, v.loadKept} {
		if err := load(ctx, tx); err != nil {
			return nil, err
		}
	}
	if err := v.stream(ctx, tx, verifySealedSQL, v.sealed); err != nil {
		return nil, err
	}
	if err := v.stream(ctx, tx, verifyUnsealedSQL, v.unsealed); err != nil {
		return nil, err
	}
	for _, check := range []func(context.Context, pgx.Tx) error{v.orphans, v.reversals} {
		if err := check(ctx, tx); err != nil {
			return nil, err
		}
	}
	v.endTree()
	v.endShares()
	v.endKept()
	if err := v.endCheckpoints(s.secret); err != nil {
		return nil, err
	}
	return v.Report, nil
}

const verifyColumnsPart = `
SELECT
    COALESCE(s.number, 0),
    COALESCE(s.transaction_id, t.id),
    s.leaf_hash,
    s.salt,
    s.donation,
    t.id IS NOT NULL AND t.book = @book,
    COALESCE(t.xid, '0'),
    COALESCE(t.entry_count, 0::smallint),
    COALESCE(t.reference, ''),
    COALESCE(t.kind, ''),
    COALESCE(t.effective_at, 'epoch'),
    COALESCE(t.recorded_at, 'epoch'),
    t.fingerprint,
    COALESCE(e.line, 0::smallint),
    COALESCE(a.id, 0),
    COALESCE(a.code, ''),
    COALESCE(a.book = @book, false),
    COALESCE(e.nominal = (a.type IN ('income', 'expense')), false),
    COALESCE(e.effective_at = t.effective_at AND e.xid = t.xid, false),
    COALESCE(e.amount, 0),
    COALESCE(e.currency, ''),
    COALESCE(e.collective, ''),
    COALESCE(e.campaign, ''),
    e.donation`

const verifySealedSQL = verifyColumnsPart + `
FROM ledger.seals AS s
LEFT JOIN ledger.transactions AS t ON t.id = s.transaction_id
LEFT JOIN ledger.entries AS e ON e.transaction_id = t.id
LEFT JOIN ledger.accounts AS a ON a.id = e.account_id
WHERE s.book = @book
ORDER BY
    s.number,
    e.line`

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

// stream calls each for one transaction after the other.
func (v *verification) stream(ctx context.Context, tx pgx.Tx, sql string, each func(*verified)) error {
	rows, err := tx.Query(ctx, sql, pgx.NamedArgs{"book": v.Book})
	if err != nil {
		return postgres.Error(err)
	}
	var (
		r, current               verified
		e                        LeafEntry
		account                  int32
		ownBook, nominal, sameAt bool
		sealDonation, donation   pgtype.UUID
	)
	_, err = pgx.ForEachRow(rows, []any{
		&r.number, &r.transactionID, &r.leafHash, &r.leaf.Salt, &sealDonation, &r.found, &r.leaf.XID, &r.entryCount,
		&r.leaf.Reference, &r.leaf.Kind, &r.leaf.Effective, &r.leaf.Recorded, &r.leaf.Fingerprint,
		&e.Line, &account, &e.Code, &ownBook, &nominal, &sameAt,
		&e.Amount.Minor, &e.Amount.Currency, &e.Collective, &e.Campaign, &donation,
	}, func() error {
		if r.transactionID != current.transactionID || r.number != current.number {
			if current.transactionID != 0 {
				each(&current)
			}
			current = r
			current.sealDonation = uuid.UUID(sealDonation.Bytes)
			current.leafHash, current.leaf.Fingerprint = bytes.Clone(r.leafHash), bytes.Clone(r.leaf.Fingerprint)
			current.leaf.Salt = bytes.Clone(r.leaf.Salt)
			current.leaf.Book, current.leaf.Number, current.leaf.ID = v.Book, r.number, r.transactionID
			current.leaf.Entries, current.accounts, current.broken = nil, nil, nil
		}
		if e.Line == 0 {
			return nil
		}
		e.Donation = uuid.UUID(donation.Bytes)
		current.leaf.Entries = append(current.leaf.Entries, e)
		current.accounts = append(current.accounts, account)
		switch {
		case !ownBook:
			current.broken = append(current.broken, fmt.Sprintf("line %d is on an account that the book does not have", e.Line))
		case !nominal:
			current.broken = append(current.broken, fmt.Sprintf("line %d does not say the type of its account", e.Line))
		case !sameAt:
			current.broken = append(current.broken, fmt.Sprintf("line %d happened, or was written, at another time", e.Line))
		}
		return nil
	})
	if err != nil {
		return postgres.Error(err)
	}
	if current.transactionID != 0 {
		each(&current)
	}
	return nil
}

// sealed checks a numbered transaction, and grows the tree and the sums by it.
func (v *verification) sealed(r *verified) {
	v.numbered(r)
	if r.found {
		if r.sealDonation != r.leaf.donation() {
			v.differ(r.name(), "the seal is for another donation")
		}
		v.entries(r)
		v.add(r)
		v.shares.count(&r.leaf)
	}
	v.grow(r.number, r.leafHash)
	v.keepAt(r.number)
}

// numbered checks a transaction's place and hash.
func (v *verification) numbered(r *verified) {
	expected := int64(1)
	if v.before != nil {
		expected = v.before.number + 1
	}
	for ; expected < r.number; expected++ {
		v.differ(fmt.Sprintf("number %d", expected), "is missing")
		v.grow(expected, make([]byte, rfc6962.DefaultHasher.Size()))
	}
	if expected > r.number {
		v.differ(r.name(), "comes where number %d is expected", expected)
	}
	v.Sealed++
	last := *r
	v.before = &last
	if !r.found {
		v.differ(r.name(), "its transaction %d is missing", r.transactionID)
		return
	}
	if !bytes.Equal(r.leafHash, r.leaf.Hash()) {
		v.differ(r.name(), "its transaction, an entry or its number is not what was sealed")
	}
	v.order(r.name(), &r.leaf.LeafHead)
}

// order checks that a transaction was written after the one before it.
func (v *verification) order(name string, h *LeafHead) {
	if h.XID < v.lastXID || h.XID == v.lastXID && h.ID <= v.lastID {
		v.differ(name, "was written before the one with the number before")
	}
	v.lastXID, v.lastID = h.XID, h.ID
}

// unsealed checks a transaction without a number: it must be newer than all that have one.
func (v *verification) unsealed(r *verified) {
	v.Unsealed++
	if v.before != nil && (r.leaf.XID < v.lastXID || r.leaf.XID == v.lastXID && r.leaf.ID < v.lastID) {
		v.differ(r.name(), "was inserted in the past: it has no number, and stands before number %d", v.before.number)
	}
	v.entries(r)
}

// entries checks what is true of every transaction, sealed or not.
func (v *verification) entries(r *verified) {
	for _, what := range r.broken {
		v.differ(r.name(), "%s", what)
	}
	if int(r.entryCount) != len(r.leaf.Entries) {
		v.differ(r.name(), "has %d of %d entries", len(r.leaf.Entries), r.entryCount)
	}
	for i, e := range r.leaf.Entries {
		if int(e.Line) != i+1 && int(r.entryCount) == len(r.leaf.Entries) {
			v.differ(r.name(), "has line %d at place %d", e.Line, i+1)
		}
	}
	v.balanced(r.name(), r.leaf.Entries)
	for _, c := range v.closings {
		if r.leaf.XID > c.xid && r.leaf.Effective.Before(c.ends) {
			if some, _ := r.leaf.share(func(e *LeafEntry) bool { return e.Collective == c.collective }); some || c.collective == "" {
				v.differ(r.name(), "was posted to the period that was closed until %s", c.ends.UTC().Format(time.RFC3339))
			}
		}
	}
}

// balanced checks that entries sum to zero for each collective and currency.
func (v *verification) balanced(name string, entries []LeafEntry) {
	type share struct {
		collective string
		currency   money.Currency
	}
	sums := map[share]int64{}
	for _, e := range entries {
		sums[share{e.Collective, e.Amount.Currency}] += e.Amount.Minor
	}
	for of, sum := range sums {
		if sum != 0 {
			v.differ(name, "sums to %d %s for the collective %q, not to zero", sum, of.currency, of.collective)
		}
	}
}

type closing struct {
	collective string
	ends       time.Time
	xid        uint64
}

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

func (v *verification) loadClosings(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, verifyClosingsSQL, pgx.NamedArgs{"book": v.Book})
	if err != nil {
		return postgres.Error(err)
	}
	v.closings, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c closing, err error) {
		err = row.Scan(&c.collective, &c.ends, &c.xid)
		return c, err
	})
	return postgres.Error(err)
}

// Entries of no transaction are on some account, or on none that there is.
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

func (v *verification) orphans(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, orphansSQL, pgx.NamedArgs{"book": v.Book})
	if err != nil {
		return postgres.Error(err)
	}
	var id int64
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
		v.differ(fmt.Sprintf("transaction %d", id), "is missing, and its entries are there")
		return nil
	})
	return postgres.Error(err)
}

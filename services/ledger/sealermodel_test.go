package ledger_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"pgregory.net/rapid"

	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// sealModel is the model with sealing, and at times with a posting that is held open.
type sealModel struct {
	*model
	held    pgx.Tx
	pending ledger.Transaction
}

// TestSealsAgainstModel posts, seals and holds back at random. Whatever the order, balances as of
// any time are the sums of the entries, numbers have no gap and never change, and the tree is the
// one that RFC 6962 gives for the rows.
func TestSealsAgainstModel(t *testing.T) {
	// Verifying looks at the entries of all books for some that are on no account: many runs in one database would cost the
	// square of their number.
	const runsPerDatabase = 200
	var pool *pgxpool.Pool
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		if runs%runsPerDatabase == 0 {
			pool = pgtest.New(t)
		}
		runs++
		m := &sealModel{model: newModel(t, rt, pool)}
		m.service = ledger.New(ledger.Config{Pool: pool, SecretKey: secret}).
			Batches(rapid.IntRange(1, 12).Draw(rt, "seal batch"), rapid.IntRange(1, 6).Draw(rt, "tail length"))
		defer func() {
			if m.held != nil {
				m.held.Rollback(t.Context())
			}
		}()
		rt.Repeat(map[string]func(*rapid.T){
			"post new":       m.postNew,
			"post again":     m.postAgain,
			"post and abort": m.postAndAbort,
			"seal":           m.seal,
			"hold":           m.hold,
			"release":        m.release,
			"close":          m.close,
			"balances":       m.checkBalances,
			"at a number":    m.checkAtNumber,
			"verify":         func(rt *rapid.T) { sound(rt, m.service, m.book) },
		})
		if m.held != nil {
			m.release(rt)
		}
		for n := 1; n > 0; {
			n = m.sealOnce(rt)
		}
		if got := numbered(t, pool, m.book); len(got) != len(m.posted) {
			rt.Fatalf("%d of %d are numbered", len(got), len(m.posted))
		}
		m.postEverythingAgain(rt)
		if n := m.sealOnce(rt); n != 0 {
			rt.Fatalf("a replay made %d to seal", n)
		}
		m.checkBalances(rt)
		m.checkTotals(rt)
		if len(m.posted) > 0 {
			checkTree(rt, pool, m.book)
			sound(rt, m.service, m.book)
			m.checkProofs(rt)
		}
	})
}

func (m *sealModel) seal(rt *rapid.T) {
	before := numbered(m.t, m.pool, m.book)
	n := m.sealOnce(rt)
	after := numbered(m.t, m.pool, m.book)
	if len(after) != len(before)+n || !slices.Equal(after[:len(before)], before) {
		rt.Fatalf("%v became %v", before, after)
	}
}

func (m *sealModel) sealOnce(rt *rapid.T) int {
	n, err := m.service.Seal(m.t.Context(), m.book)
	if err != nil {
		rt.Fatal(err)
	}
	return n
}

func (m *sealModel) hold(rt *rapid.T) {
	if m.held != nil {
		rt.Skip("one is held")
	}
	m.pending = m.draw(rt)
	// Nobody else's: they would wait for one another.
	m.pending.Reference = "held_" + m.pending.Reference
	if _, known := m.posted[m.pending.Reference]; known || m.refused(m.pending) {
		rt.Skip("the reference is known, or the period closed")
	}
	held, err := m.pool.Begin(m.t.Context())
	if err != nil {
		rt.Fatal(err)
	}
	m.held = held
	if _, err := m.service.PostTx(m.t.Context(), held, m.book, []ledger.Transaction{m.pending}); err != nil {
		rt.Fatal(err)
	}
}

func (m *sealModel) release(rt *rapid.T) {
	if m.held == nil {
		rt.Skip("none is held")
	}
	held := m.held
	m.held = nil
	if rapid.Bool().Draw(rt, "rolled back") {
		if err := held.Rollback(m.t.Context()); err != nil {
			rt.Fatal(err)
		}
		return
	}
	if err := held.Commit(m.t.Context()); err != nil {
		rt.Fatal(err)
	}
	m.posted[m.pending.Reference] = m.pending
}

// close closes a share of the book, or all of it, and never opens what was closed.
func (m *sealModel) close(rt *rapid.T) {
	if m.held != nil {
		rt.Skip("a closing waits for what is held")
	}
	collective := rapid.SampledFrom(append([]string{""}, m.collectives...)).Draw(rt, "whose")
	// A few of the days that are drawn have passed; a period that is not over cannot be closed.
	end := day(rapid.SampledFrom([]int{-401, -399, 0, 1, 2}).Draw(rt, "until"))
	closed, err := m.service.ClosePeriod(m.t.Context(), m.book, collective, end)
	if err != nil {
		rt.Fatal(err)
	}
	if m.closed[collective].Before(end) {
		m.closed[collective] = end
	}
	if !closed.Equal(m.closed[collective]) {
		rt.Fatalf("closed until %v, want %v", closed, m.closed[collective])
	}
}

// checkProofs verifies an inclusion and a consistency against roots computed from scratch.
func (m *sealModel) checkProofs(rt *rapid.T) {
	leaves, err := ledger.Leaves(m.t.Context(), m.pool, m.book)
	if err != nil {
		rt.Fatal(err)
	}
	var encoded [][]byte
	for i := range leaves {
		encoded = append(encoded, leaves[i].Encode())
	}
	size := rapid.IntRange(1, len(leaves)).Draw(rt, "size")
	number := rapid.IntRange(1, size).Draw(rt, "number")
	path, err := ledger.InclusionPath(m.t.Context(), m.pool, m.book, int64(number), int64(size))
	if err != nil {
		rt.Fatal(err)
	}
	leafHash := rfc6962.DefaultHasher.HashLeaf(encoded[number-1])
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(number-1), uint64(size), leafHash, path, naiveRoot(encoded[:size])); err != nil {
		rt.Fatal(err)
	}
	path, err = ledger.ConsistencyPath(m.t.Context(), m.pool, m.book, int64(number), int64(size))
	if err != nil {
		rt.Fatal(err)
	}
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(number), uint64(size), path, naiveRoot(encoded[:number]), naiveRoot(encoded[:size])); err != nil {
		rt.Fatal(err)
	}
}

package proof

import (
	"fmt"
	"time"

	"github.com/cagnotte/cagnotte/services/money"
)

// Difference is one thing that is not as the rest of the book says it must be.
type Difference struct {
	// Where names the thing: "number 5 (txn_…)", "checkpoint 40", "stored balance of …".
	Where string
	// What says what is wrong with it.
	What string
}

// String returns the difference as one line for people.
func (d Difference) String() string { return d.Where + ": " + d.What }

// maxDifferences is how many a report names. One wrong row early in a book can falsify all after it.
const maxDifferences = 1000

// Report is what a verification found in one book.
type Report struct {
	Book string
	// Sealed and Unsealed count the transactions with and without a number, Checkpoints the signed checkpoints.
	Sealed, Unsealed, Checkpoints int64
	// VerifierKey is the key of the newest checkpoint; empty before the first.
	VerifierKey string
	// SignedAt is when the newest checkpoint was signed; zero before the first.
	SignedAt time.Time
	// Share is true when only one collective's share was verified. The share has Own transactions; when nothing
	// differs, these are all that the collective has among the Sealed ones.
	Share bool
	// Collective is whose share it is. Empty: what belongs to no collective.
	Collective string
	Own        int64
	// Differences are the first 1,000 that were found. The book is sound when there are none.
	Differences []Difference
}

// Differ adds a difference to the report.
func (r *Report) Differ(where, format string, args ...any) {
	if len(r.Differences) < maxDifferences {
		r.Differences = append(r.Differences, Difference{where, fmt.Sprintf(format, args...)})
	}
}

// checkBalanced checks that entries sum to zero for each collective and currency.
func (r *Report) checkBalanced(where string, entries []Entry) {
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
			r.Differ(where, "sums to %d %s for the collective %q, not to zero", sum, of.currency, of.collective)
		}
	}
}

// position is where a transaction stands in the order of writing: numbers follow it.
type position struct {
	xid uint64
	id  int64
}

func (h *Head) position() position { return position{h.XID, h.ID} }

func (p position) before(other position) bool {
	return p.xid < other.xid || p.xid == other.xid && p.id < other.id
}

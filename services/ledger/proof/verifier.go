package proof

import (
	"bytes"
	"fmt"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// Sealed is a transaction beside what was stored when it was sealed.
type Sealed struct {
	Leaf
	// LeafHash is the stored hash.
	LeafHash []byte
	// EntryCount is how many entries the transaction must have.
	EntryCount int
	// Missing is true when only the seal is there: then ID, Number and LeafHash alone are known.
	Missing bool
}

// Name says in a report which transaction it is.
func (s *Sealed) Name() string {
	switch {
	case s.Number == 0:
		return fmt.Sprintf("transaction %d (%s)", s.ID, s.Reference)
	case s.Missing:
		return fmt.Sprintf("number %d", s.Number)
	}
	return fmt.Sprintf("number %d (%s)", s.Number, s.Reference)
}

// Stored is what a database stores of what a [Verifier] computes anew. An archive stores nothing.
type Stored struct {
	// Subtrees are the hashes of the complete subtrees.
	Subtrees map[SubtreeID][]byte
	// Counts are the counts that changed, by the size of the checkpoint and the collective.
	Counts map[int64]map[string]Count
}

// Verifier recomputes a book from its transactions, in the order of their numbers, and compares it with what was
// signed: the tree, the counts of the collectives, and the chain of checkpoints. What differs goes to the report.
//
// Add all checkpoints first, then all transactions, then call [Verifier.Finish].
//
// chain has the checkpoints by size, and bySize leads from a size to the place there.
type Verifier struct {
	*Report
	stored *Stored
	tree   *Tree
	counts Counts
	chain  []chainLink
	bySize map[int64]int
	// number is the last one so far, and last where its transaction stands.
	number int64
	last   position
}

// chainLink is a checkpoint beside the roots that its transactions give; nil when there are not so many.
type chainLink struct {
	ChainedCheckpoint
	root, countsRoot []byte
}

// NewVerifier returns a verifier of one book. stored is nil when there is nothing to compare; what was compared is
// removed from it.
func NewVerifier(book string, stored *Stored) *Verifier {
	return &Verifier{Report: &Report{Book: book}, stored: stored, tree: NewTree(), bySize: map[int64]int{}}
}

// AddCheckpoint adds the next larger checkpoint. It returns false when there is one of that size already.
func (v *Verifier) AddCheckpoint(c *ChainedCheckpoint) bool {
	if _, twice := v.bySize[c.Size]; twice {
		return false
	}
	// The roots follow when the tree has reached the size.
	v.bySize[c.Size] = len(v.chain)
	v.chain = append(v.chain, chainLink{ChainedCheckpoint: *c})
	v.Checkpoints++
	return true
}

// AddSealed checks the transaction of the next number and adds it to the tree.
func (v *Verifier) AddSealed(s *Sealed) {
	// A missing number gets a hash of zeros, so that the numbers after it keep their places in the tree. A number that is
	// too small is reported; its leaf is added all the same.
	expected := v.number + 1
	for ; expected < s.Number; expected++ {
		v.Differ(fmt.Sprintf("number %d", expected), "is missing")
		v.append(expected, make([]byte, rfc6962.DefaultHasher.Size()))
	}
	if expected > s.Number {
		v.Differ(s.Name(), "comes where number %d is expected", expected)
	}
	v.Sealed++
	v.number = s.Number
	// The tree grows by the stored hash in each case, so one wrong row is one difference and not a wrong root too.
	if s.Missing {
		v.Differ(s.Name(), "its transaction %d is missing", s.ID)
	} else {
		if !bytes.Equal(s.LeafHash, s.Hash()) {
			v.Differ(s.Name(), "its transaction, an entry or its number is not what was sealed")
		}
		// Numbers follow the order of writing: whoever inserts a transaction in the past must break it or leave it unsealed.
		if !v.last.before(s.position()) {
			v.Differ(s.Name(), "was written before the one with the number before")
		}
		v.last = s.position()
		v.checkEntries(s)
		v.counts.Add(&s.Leaf)
	}
	v.append(s.Number, s.LeafHash)
}

// AddUnsealed checks a transaction without a number, after all that have one. It must be newer than all of these. It
// grows neither the tree nor the counts: nothing is signed of it.
func (v *Verifier) AddUnsealed(s *Sealed) {
	v.Unsealed++
	if v.Sealed > 0 && s.position().before(v.last) {
		v.Differ(s.Name(), "was inserted in the past: it has no number, and stands before number %d", v.number)
	}
	v.checkEntries(s)
}

// checkEntries checks what must be true of every transaction, sealed or not.
func (v *Verifier) checkEntries(s *Sealed) {
	// Lines are compared only when none is missing: else each after the gap would differ.
	if s.EntryCount != len(s.Entries) {
		v.Differ(s.Name(), "has %d of %d entries", len(s.Entries), s.EntryCount)
	} else {
		for i, e := range s.Entries {
			if int(e.Line) != i+1 {
				v.Differ(s.Name(), "has line %d at place %d", e.Line, i+1)
			}
		}
	}
	v.checkBalanced(s.Name(), s.Entries)
}

// append adds the hash of a leaf to the tree, and remembers the roots where there is a checkpoint.
func (v *Verifier) append(number int64, hash []byte) {
	if err := v.tree.Append(hash); err != nil {
		v.Differ(fmt.Sprintf("number %d", number), "cannot be added to the tree: %v", err)
		return
	}
	v.compareSubtrees(v.tree.TakeCompleted())
	i, signed := v.bySize[number]
	if !signed {
		return
	}
	// The tree has exactly the leaves of this checkpoint now: its roots are those that were signed.
	link := &v.chain[i]
	where := fmt.Sprintf("checkpoint %d", number)
	root, err := v.tree.Root()
	if err != nil {
		v.Differ(where, "the tree has no root: %v", err)
		return
	}
	link.root = root
	// Counts are settled at checkpoints only, as the sealer does: a hash depends on the salt of the last transaction at
	// that number.
	changed := v.counts.Settle()
	if link.countsRoot, err = v.counts.Root(); err != nil {
		v.Differ(where, "the counts have no root: %v", err)
		return
	}
	v.compareCounts(number, changed)
}

// compareSubtrees compares the subtrees that a leaf completed. What was compared is removed, so that [Verifier.Finish] sees
// what is too much.
func (v *Verifier) compareSubtrees(completed []Subtree) {
	if v.stored == nil {
		return
	}
	for _, subtree := range completed {
		where := fmt.Sprintf("subtree %d of level %d", subtree.Index, subtree.Level)
		switch stored, ok := v.stored.Subtrees[subtree.SubtreeID]; {
		case !ok:
			v.Differ(where, "is missing")
		case !bytes.Equal(stored, subtree.Hash):
			v.Differ(where, "has another hash than its leaves give")
		}
		delete(v.stored.Subtrees, subtree.SubtreeID)
	}
}

// compareCounts compares the counts that changed since the checkpoint before, in the same way.
func (v *Verifier) compareCounts(number int64, changed []Count) {
	if v.stored == nil {
		return
	}
	where := func(collective string) string {
		return fmt.Sprintf("count of the collective %q at number %d", collective, number)
	}
	stored := v.stored.Counts[number]
	for _, count := range changed {
		switch found, ok := stored[count.Collective]; {
		case !ok:
			v.Differ(where(count.Collective), "is missing; there are %d transactions", count.Transactions)
		case found.Transactions != count.Transactions:
			v.Differ(where(count.Collective), "is %d; there are %d transactions", found.Transactions, count.Transactions)
		case !bytes.Equal(found.Hash, count.Hash):
			v.Differ(where(count.Collective), "has another hash than its transactions give")
		}
		delete(stored, count.Collective)
	}
	// What was compared is deleted above, so the rest was not changed by any transaction.
	for collective := range stored {
		v.Differ(where(collective), "is stored, and no transaction changed it")
	}
	delete(v.stored.Counts, number)
}

// Finish checks the checkpoints, and that nothing is stored which was not computed. It returns the report.
func (v *Verifier) Finish() *Report {
	// What was compared is removed, so what remains has no leaf or checkpoint behind it.
	if v.stored != nil {
		for id := range v.stored.Subtrees {
			v.Differ(fmt.Sprintf("subtree %d of level %d", id.Index, id.Level), "is stored, and its leaves are not there")
		}
		for number, counts := range v.stored.Counts {
			for collective := range counts {
				v.Differ(fmt.Sprintf("count of the collective %q at number %d", collective, number), "is stored where no checkpoint is")
			}
		}
	}
	v.finishCheckpoints()
	return v.Report
}

// finishCheckpoints checks each checkpoint by itself, against the tree, and against the one before.
func (v *Verifier) finishCheckpoints() {
	var before *chainLink
	falsified := false
	for i := range v.chain {
		c := &v.chain[i]
		where := fmt.Sprintf("checkpoint %d", c.Size)
		// A checkpoint can fail several checks; each is reported.
		v.checkNote(where, c)
		switch {
		case c.root == nil:
			v.Differ(where, "is larger than the book: its last number is %d", v.number)
		case !bytes.Equal(c.root, c.Root) && !falsified:
			// All later ones differ for the same reason.
			falsified = true
			after := int64(0)
			if before != nil {
				after = before.Size
			}
			v.Differ(where, "has another root than the seals give: the first that changed is between the numbers %d and %d", after+1, c.Size)
		}
		v.checkChain(where, before, c)
		before = c
	}
	switch {
	case before != nil:
		// Each seal ends with a checkpoint, so no number may be above the newest.
		if before.Size < v.number {
			v.Differ(fmt.Sprintf("checkpoint %d", before.Size), "is the newest, and the numbers go on to %d", v.number)
		}
		v.VerifierKey, v.SignedAt = before.VerifierKey, before.SignedAt
	case v.number > 0:
		v.Differ("checkpoints", "there is none, and %d numbers", v.number)
	}
}

// checkNote checks the signature, and that the note says what the checkpoint says. The counts are compared only when the
// root is right: else the transactions are not those that were signed, and the report says so already.
func (v *Verifier) checkNote(where string, c *chainLink) {
	opened, err := OpenCheckpoint(c.Note, c.VerifierKey)
	switch {
	case err != nil:
		v.Differ(where, "%v", err)
	case opened.Origin != OriginOf(v.Book) || opened.Size != c.Size || !bytes.Equal(opened.Root, c.Root) || !opened.SignedAt.Equal(c.SignedAt):
		v.Differ(where, "the signed note says another book, size, root or time")
	case c.countsRoot != nil && bytes.Equal(c.root, c.Root) && !bytes.Equal(opened.CountsRoot, c.countsRoot):
		v.Differ(where, "other counts of the collectives' transactions were signed than there are")
	}
}

// checkChain checks that a checkpoint follows the one before it, and that its tree begins with that one's.
func (v *Verifier) checkChain(where string, before, c *chainLink) {
	if before == nil {
		if c.PreviousSize != 0 {
			v.Differ(where, "follows the checkpoint %d, which is missing", c.PreviousSize)
		}
		return
	}
	if c.PreviousSize != before.Size {
		v.Differ(where, "follows the checkpoint %d, and the one before is %d", c.PreviousSize, before.Size)
		return
	}
	// The roots are those that the two checkpoints state, not those computed here.
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(before.Size), uint64(c.Size), c.Consistency, before.Root, c.Root); err != nil {
		v.Differ(where, "its tree does not begin with the one of the checkpoint %d", before.Size)
	}
}

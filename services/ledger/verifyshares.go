package ledger

import (
	"bytes"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// sharesCheck counts the collectives' transactions again and compares what is stored of it; an archive stores nothing.
type sharesCheck struct {
	counts shareCounts
	stored map[int64]map[string]shareCount
}

func (c *sharesCheck) count(l *Leaf) { c.counts.add(l) }

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

func (v *verification) loadShares(ctx context.Context, tx pgx.Tx) error {
	v.shares.stored = map[int64]map[string]shareCount{}
	rows, err := tx.Query(ctx, verifySharesSQL, pgx.NamedArgs{"book": v.Book})
	if err != nil {
		return postgres.Error(err)
	}
	var number int64
	var s shareCount
	_, err = pgx.ForEachRow(rows, []any{&number, &s.collective, &s.count, &s.hash}, func() error {
		if v.shares.stored[number] == nil {
			v.shares.stored[number] = map[string]shareCount{}
		}
		s.hash = bytes.Clone(s.hash)
		v.shares.stored[number][s.collective] = s
		return nil
	})
	return postgres.Error(err)
}

// sharesAt remembers the root over the collectives where there is a checkpoint, and compares what was counted there.
func (v *verification) sharesAt(c *signedCheckpoint) {
	changed := v.shares.counts.settle()
	root, err := v.shares.counts.root()
	if err != nil {
		v.differ(fmt.Sprintf("checkpoint %d", c.size), "the shares have no root: %v", err)
		return
	}
	c.shares = root
	if v.shares.stored == nil {
		return
	}
	stored := v.shares.stored[c.size]
	for _, s := range changed {
		where := fmt.Sprintf("count of the collective %q at number %d", s.collective, c.size)
		switch kept, ok := stored[s.collective]; {
		case !ok:
			v.differ(where, "is missing; there are %d transactions", s.count)
		case kept.count != s.count:
			v.differ(where, "is %d; there are %d transactions", kept.count, s.count)
		case !bytes.Equal(kept.hash, s.hash):
			v.differ(where, "has another hash than its transactions give")
		}
		delete(stored, s.collective)
	}
	for collective := range stored {
		v.differ(fmt.Sprintf("count of the collective %q at number %d", collective, c.size), "is stored, and no transaction changed it")
	}
	delete(v.shares.stored, c.size)
}

// endShares reports what was counted at numbers that no checkpoint has.
func (v *verification) endShares() {
	for number, stored := range v.shares.stored {
		for collective := range stored {
			v.differ(fmt.Sprintf("count of the collective %q at number %d", collective, number), "is stored where no checkpoint is")
		}
	}
}

package ledger

import (
	"cmp"
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

// CampaignTotalsSQL is what CampaignTotals asks.
const CampaignTotalsSQL = campaignTotalsSQL

// AccountsNowSQL is what AccountsAt asks for a share without a bound of effective time, with BoundsOf and the share's name.
const AccountsNowSQL = accountsNowSQL

// BoundsOf are the arguments that bound what is added up.
func (s *Service) BoundsOf(ctx context.Context, book string, number int64) (pgx.NamedArgs, error) {
	return s.boundsOf(ctx, book, number)
}

// Batches sets how many transactions are sealed at once, and how long the tail of a balance gets, so that few
// transactions make many of both. Zero leaves the default.
func (s *Service) Batches(sealBatch, tailLength int) *Service {
	s.sealBatch, s.tailLength = cmp.Or(sealBatch, s.sealBatch), cmp.Or(tailLength, s.tailLength)
	return s
}

// Leaves reads what the tree of a book should be made of, from the rows and in their order.
func Leaves(ctx context.Context, pool *pgxpool.Pool, book string) ([]proof.Leaf, error) {
	rows, err := pool.Query(ctx, `
		SELECT s.number, t.id, t.xid, t.reference, t.kind, t.effective_at, t.recorded_at, t.fingerprint, s.salt
		FROM ledger.seals AS s
		JOIN ledger.transactions AS t ON t.id = s.transaction_id
		WHERE s.book = $1
		ORDER BY t.xid, t.id`, book)
	if err != nil {
		return nil, err
	}
	var ids []int64
	leaves, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (proof.Leaf, error) {
		l := proof.Leaf{Head: proof.Head{Book: book}}
		err := row.Scan(&l.Number, &l.ID, &l.XID, &l.Reference, &l.Kind, &l.Effective, &l.Recorded, &l.Fingerprint, &l.Salt)
		ids = append(ids, l.ID)
		return l, err
	})
	if err != nil {
		return nil, err
	}
	return leaves, fillEntries(ctx, pool, leaves, ids)
}

// InclusionPath is the proof for one number in the tree of size leaves.
func InclusionPath(ctx context.Context, pool *pgxpool.Pool, book string, number, size int64) ([][]byte, error) {
	return inclusionPath(ctx, pool, book, number, size)
}

// ConsistencyPath is the proof between two sizes.
func ConsistencyPath(ctx context.Context, pool *pgxpool.Pool, book string, from, size int64) ([][]byte, error) {
	return consistencyPath(ctx, pool, book, from, size)
}

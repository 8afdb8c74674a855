package wall

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/limit"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const (
	// Half of what was counted is forgotten in this time. Two hours of a payment page would be too long for unpaid: whoever pays
	// does so within minutes.
	unpaidHalf, paidHalf, usualHalf = 10 * time.Minute, time.Hour, 7 * 24 * time.Hour
	// counterLife is when all of a counter is forgotten: what it would still count is less than a thousandth.
	counterLife = 10 * usualHalf
)

// count is what a counter has now.
type count struct {
	limit               Outer
	unpaid, paid, usual float64
}

// outerKey is a counter of all donors.
type outerKey struct {
	key   []byte
	limit Outer
}

// outerKeys are the counters of a kind of payment, in the order of their keys.
func (s *Service) outerKeys(kind Kind, campaign, account string) []outerKey {
	l := s.cfg.Limits
	limits := [3]Outer{l.Campaign, l.Account, l.Instance}
	if kind == Pledge {
		// A pledge reaches nobody at Stripe; only its row could become too many.
		limits = [3]Outer{l.Pledges, l.Pledges, {Soft: 10 * l.Pledges.Soft, Paid: l.Pledges.Paid, Usual: l.Pledges.Usual}}
	}
	counters := limit.Limiter{Table: "wall.counters", Secret: s.cfg.SecretKey}
	var keys []outerKey
	for i, k := range [3][2]string{{"campaign", campaign}, {"account", account}, {"instance", ""}} {
		if limits[i].Soft == 0 {
			continue
		}
		keys = append(keys, outerKey{counters.Key(string(kind)+" "+k[0], k[1], time.Time{}), limits[i]})
	}
	slices.SortFunc(keys, func(a, b outerKey) int { return bytes.Compare(a.key, b.key) })
	return keys
}

// faded is a column as it is now: it halves in each of some seconds. More than a hundred halvings are nothing, and an error of
// the power function.
const countsSQL = `
SELECT
	c.key,
	sum(c.unpaid * power(0.5, c.age / @unpaid_half)),
	sum(c.paid * power(0.5, c.age / @paid_half)),
	sum(c.usual * power(0.5, c.age / @usual_half))
FROM (
	SELECT
		p.key,
		p.unpaid,
		p.paid,
		p.usual,
		least(greatest(extract(epoch FROM @now::timestamptz - p.counted_at), 0), 100 * @unpaid_half)::double precision AS age
	FROM wall.counters AS p
	WHERE p.key = ANY(@keys::bytea[])
) AS c
GROUP BY c.key
ORDER BY c.key`

// counts reads the counters of an attempt, in the order of their keys.
func (s *Service) counts(ctx context.Context, db postgres.Querier, a Attempt, now time.Time) ([]count, error) {
	keys := s.outerKeys(a.Kind, a.Campaign, a.Account)
	counts := make([]count, len(keys))
	for i, k := range keys {
		counts[i].limit = k.limit
	}
	rows, err := db.Query(ctx, countsSQL, halves(keys, now))
	if err != nil {
		return nil, postgres.Error(err)
	}
	var key []byte
	var c count
	_, err = pgx.ForEachRow(rows, []any{&key, &c.unpaid, &c.paid, &c.usual}, func() error {
		for i, k := range keys {
			if bytes.Equal(k.key, key) {
				counts[i].unpaid, counts[i].paid, counts[i].usual = max(c.unpaid, 0), c.paid, c.usual
			}
		}
		return nil
	})
	return counts, postgres.Error(err)
}

func halves(keys []outerKey, now time.Time) pgx.NamedArgs {
	raw := make([][]byte, len(keys))
	for i, k := range keys {
		raw[i] = k.key
	}
	return pgx.NamedArgs{
		"keys": raw, "now": now,
		"unpaid_half": unpaidHalf.Seconds(), "paid_half": paidHalf.Seconds(), "usual_half": usualHalf.Seconds(),
	}
}

// addSQL adds to a part of each counter that no other transaction has locked, and makes another part where all are locked. So
// nobody waits, and a counter has as many parts as there ever were transactions at once.
const addSQL = `
INSERT INTO wall.counters AS c (key, part, unpaid, paid, usual, counted_at)
SELECT
	k.key,
	coalesce(f.part, (random() * 9e15)::bigint),
	@unpaid,
	@paid,
	@paid,
	@now
FROM unnest(@keys::bytea[]) AS k (key)
LEFT JOIN LATERAL (
	SELECT p.part
	FROM wall.counters AS p
	WHERE p.key = k.key
	ORDER BY p.part
	LIMIT 1
	FOR NO KEY UPDATE SKIP LOCKED
) AS f ON true
ON CONFLICT (key, part) DO UPDATE
SET
	unpaid = c.unpaid * power(0.5, least(greatest(extract(epoch FROM @now::timestamptz - c.counted_at), 0) / @unpaid_half, 100)) + excluded.unpaid,
	paid = c.paid * power(0.5, least(greatest(extract(epoch FROM @now::timestamptz - c.counted_at), 0) / @paid_half, 100)) + excluded.paid,
	usual = c.usual * power(0.5, least(greatest(extract(epoch FROM @now::timestamptz - c.counted_at), 0) / @usual_half, 100)) + excluded.usual,
	counted_at = greatest(c.counted_at, excluded.counted_at)`

// addTx adds to the counters.
func (s *Service) addTx(ctx context.Context, tx pgx.Tx, keys []outerKey, unpaid, paid float64, now time.Time) error {
	named := halves(keys, now)
	named["unpaid"], named["paid"] = unpaid, paid
	_, err := tx.Exec(ctx, addSQL, named)
	return postgres.Error(err)
}

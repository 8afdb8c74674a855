package webhooks

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// part is what belongs to a collective of a balance transaction; collective is empty when it belongs to none.
type part struct {
	collective string
	minor      int64
}

// relatedResources are the ids by which balance transactions that belong together are recognised: the payment of a
// refund or dispute, the payout of a returned payout. It is empty when Stripe names nothing.
func relatedResources(t stripe.BalanceTransaction) (links []string) {
	for _, id := range []string{t.Source.Charge, t.Source.PaymentIntent} {
		if id != "" {
			links = append(links, id)
		}
	}
	if id := cmp.Or(t.Source.Original, t.Source.ID); len(links) == 0 && id != "" {
		links = append(links, id)
	}
	return links
}

// firstMoved is when the money first moved, as far as the balance transaction tells. A payout's return may be read
// before the payout.
func firstMoved(t stripe.BalanceTransaction) time.Time {
	links := relatedResources(t)
	if len(links) > 0 && links[0] == t.Source.ID && !t.Source.Created.IsZero() {
		return t.Source.Created
	}
	return t.Created
}

const ownersSQL = `
SELECT
	o.object,
	o.collective
FROM webhooks.owners AS o
WHERE o.account = @account
	AND o.object = ANY(@objects::text[])`

// Ordered by resource, so that two jobs do not deadlock.
const insertOwnersSQL = `
INSERT INTO webhooks.owners (
	account,
	object,
	collective
)
SELECT
	@account,
	u.object,
	u.collective
FROM unnest(
	@objects::text[],
	@collectives::text[]
) AS u (object, collective)
ORDER BY u.object
ON CONFLICT (account, object) DO NOTHING`

// ownersTx decides whose the balance transactions are that belong to no donation: the owner of the first transaction
// that belongs together with it, or else the collective that may use the account alone. Each decision is final.
func (s *Service) ownersTx(ctx context.Context, tx pgx.Tx, account string, owners collectives.Owners, ts []stripe.BalanceTransaction) ([]string, error) {
	var objects []string
	for _, t := range ts {
		objects = append(objects, relatedResources(t)...)
	}
	whose := make([]string, len(ts))
	for {
		kept, err := readOwnersTx(ctx, tx, account, objects)
		if err != nil {
			return nil, err
		}
		fresh := map[string]string{}
		for i, t := range ts {
			links := relatedResources(t)
			known := slices.IndexFunc(links, func(id string) bool { _, ok := kept[id]; return ok })
			if whose[i] = owners.At(firstMoved(t)); known >= 0 {
				whose[i] = kept[links[known]]
			}
			for _, id := range links {
				if _, ok := kept[id]; !ok {
					kept[id], fresh[id] = whose[i], whose[i]
				}
			}
		}
		if len(fresh) == 0 {
			return whose, nil
		}
		named := pgx.NamedArgs{"account": account}
		named["objects"], named["collectives"] = columns(fresh)
		tag, err := tx.Exec(ctx, insertOwnersSQL, named)
		if err != nil {
			return nil, postgres.Error(err)
		}
		if tag.RowsAffected() == int64(len(fresh)) {
			return whose, nil
		}
		// Another job decided first. Its decision holds.
	}
}

func columns(m map[string]string) (keys, values []string) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		keys, values = append(keys, key), append(values, m[key])
	}
	return keys, values
}

func readOwnersTx(ctx context.Context, tx pgx.Tx, account string, objects []string) (map[string]string, error) {
	kept := map[string]string{}
	if len(objects) == 0 {
		return kept, nil
	}
	rows, err := tx.Query(ctx, ownersSQL, pgx.NamedArgs{"account": account, "objects": objects})
	if err != nil {
		return nil, postgres.Error(err)
	}
	var object, collective string
	_, err = pgx.ForEachRow(rows, []any{&object, &collective}, func() error {
		kept[object] = collective
		return nil
	})
	return kept, postgres.Error(err)
}

// assignOwnersTx sets the collective of postings that belong to no donation. Holds and releases that were booked before
// are left out.
func (s *Service) assignOwnersTx(ctx context.Context, tx pgx.Tx, account string, owners collectives.Owners, postings []posting) ([]posting, error) {
	var linked []int
	var ts []stripe.BalanceTransaction
	known := map[int]bool{}
	for i, p := range postings {
		m, _ := meaningOf(p.of)
		switch {
		case p.transaction.Entries[0].Donation != uuid.Nil:
		case m.family != "":
			parts, before, err := holdTx(ctx, tx, account, m.family, owners.At(p.of.Created), p.of)
			if err != nil {
				return nil, err
			}
			known[i] = before
			postings[i].divideAmong(parts)
		default:
			linked, ts = append(linked, i), append(ts, p.of)
		}
	}
	whose, err := s.ownersTx(ctx, tx, account, owners, ts)
	if err != nil {
		return nil, err
	}
	for j, i := range linked {
		postings[i].divideAmong([]part{{whose[j], postings[i].of.Amount}})
	}
	kept := postings[:0]
	for i, p := range postings {
		if !known[i] {
			kept = append(kept, p)
		}
	}
	return kept, nil
}

// divideAmong divides a posting among the collectives of parts. The first gets its fee.
func (p *posting) divideAmong(parts []part) {
	if len(parts) == 0 {
		return
	}
	for i := range p.transaction.Entries {
		p.transaction.Entries[i].Collective = parts[0].collective
	}
	if len(parts) == 1 {
		return
	}
	// The first two are the gross amount and its other side.
	gross, fees := p.transaction.Entries[:2], p.transaction.Entries[2:]
	var entries []ledger.Entry
	for _, of := range parts {
		if of.minor == 0 {
			continue
		}
		for i, sign := range []int64{1, -1} {
			e := gross[i]
			e.Collective, e.Amount.Minor = of.collective, sign*of.minor
			entries = append(entries, e)
		}
	}
	p.transaction.Entries = append(entries, fees...)
}

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
	// Not a payment's: what it reverses, such as the payout of a returned payout, or else what it is about itself.
	if id := cmp.Or(t.Source.Original, t.Source.ID); len(links) == 0 && id != "" {
		links = append(links, id)
	}
	return links
}

// firstMoved is when the money first moved, as far as the balance transaction tells. A payout's return may be read
// before the payout.
func firstMoved(t stripe.BalanceTransaction) time.Time {
	links := relatedResources(t)
	// Nothing else links it, so its source is what first moved the money, and has that time.
	if len(links) > 0 && links[0] == t.Source.ID && !t.Source.Created.IsZero() {
		return t.Source.Created
	}
	return t.Created
}

// ownersSQL returns the decisions about resources, by the primary key. An empty collective is a decision too: it
// belongs to none.
const ownersSQL = `
SELECT
	o.resource,
	o.collective
FROM webhooks.owners AS o
WHERE o.account = @account
	AND o.resource = ANY(@resources::text[])`

// Ordered by resource, so that two jobs do not deadlock. A decision that another job stored first stays; then fewer
// rows are inserted than were given.
const insertOwnersSQL = `
INSERT INTO webhooks.owners (
	account,
	resource,
	collective
)
SELECT
	@account,
	u.resource,
	u.collective
FROM unnest(
	@resources::text[],
	@collectives::text[]
) AS u (resource, collective)
ORDER BY u.resource
ON CONFLICT (account, resource) DO NOTHING`

// ownersTx decides whose the balance transactions are that belong to no donation: the owner of the first transaction
// that belongs together with it, or else the collective that may use the account alone. Each decision is final.
func (s *Service) ownersTx(ctx context.Context, tx pgx.Tx, account string, owners collectives.Owners, ts []stripe.BalanceTransaction) ([]string, error) {
	var resources []string
	for _, t := range ts {
		resources = append(resources, relatedResources(t)...)
	}
	whose := make([]string, len(ts))
	// Each round reads the stored decisions, makes those that are missing, and stores them. Another round is needed
	// only if another job stored one in between.
	for {
		known, err := readOwnersTx(ctx, tx, account, resources)
		if err != nil {
			return nil, err
		}
		fresh := map[string]string{}
		for i, t := range ts {
			links := relatedResources(t)
			// Decisions of this round count too, so that a batch with a payout and its return has one owner for both.
			decided := slices.IndexFunc(links, func(id string) bool { _, ok := known[id]; return ok })
			if whose[i] = owners.At(firstMoved(t)); decided >= 0 {
				whose[i] = known[links[decided]]
			}
			// Each of its resources gets the owner, because later transactions may name only one of them.
			for _, id := range links {
				if _, ok := known[id]; !ok {
					known[id], fresh[id] = whose[i], whose[i]
				}
			}
		}
		if len(fresh) == 0 {
			return whose, nil
		}
		named := pgx.NamedArgs{"account": account}
		named["resources"], named["collectives"] = columns(fresh)
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

// columns returns a map as two arrays, ordered by key.
func columns(m map[string]string) (keys, values []string) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		keys, values = append(keys, key), append(values, m[key])
	}
	return keys, values
}

// readOwnersTx returns the stored decisions by resource. A resource without a decision is not in the map.
func readOwnersTx(ctx context.Context, tx pgx.Tx, account string, resources []string) (map[string]string, error) {
	known := map[string]string{}
	if len(resources) == 0 {
		return known, nil
	}
	rows, err := tx.Query(ctx, ownersSQL, pgx.NamedArgs{"account": account, "resources": resources})
	if err != nil {
		return nil, postgres.Error(err)
	}
	var resource, collective string
	_, err = pgx.ForEachRow(rows, []any{&resource, &collective}, func() error {
		known[resource] = collective
		return nil
	})
	return known, postgres.Error(err)
}

// assignOwnersTx sets the collective of postings that belong to no donation. Holds and releases that were booked before
// are left out.
func (s *Service) assignOwnersTx(ctx context.Context, tx pgx.Tx, account string, owners collectives.Owners, postings []posting) ([]posting, error) {
	var linked []int
	var ts []stripe.BalanceTransaction
	// linked are the postings whose owner is decided by their resources, ts their balance transactions. known are the
	// holds and releases that were booked before. All are by index in postings.
	known := map[int]bool{}
	for i, p := range postings {
		m, _ := meaningOf(p.of)
		switch {
		// The donation's collective is set already.
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
	// A hold that was booked before has the parts of that time. Other parts under the same reference would be refused.
	left := postings[:0]
	for i, p := range postings {
		if !known[i] {
			left = append(left, p)
		}
	}
	return left, nil
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
	// Each part has both sides, so that each collective's entries sum to zero.
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

package webhooks

import (
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// lockHoldsSQL serialises the use of an account's holds. The lock lasts until the transaction ends. Accounts with the
// same hash only wait for each other.
const lockHoldsSQL = `
SELECT pg_advisory_xact_lock(@class::integer, hashtext(@account))`

// holdsClass is the first key of these locks. It differs from that of an account's job in job.go.
const holdsClass = lockClass + 1

// knownHoldSQL is true when the balance transaction was booked before. Each one has a row, also when nothing of it is
// left.
const knownHoldSQL = `
SELECT EXISTS (
	SELECT
	FROM webhooks.holds AS h
	WHERE h.account = @account
		AND h.transaction = @transaction
)`

// What is of the same source, or of the same amount, belongs together before what is merely older. openHoldsSQL returns
// what can balance the transaction: rows with the other sign, since a release takes from holds, and a hold from
// releases that were booked before it. holds_open_idx serves it.
const openHoldsSQL = `
SELECT
	h.transaction,
	h.collective,
	h.left_minor
FROM webhooks.holds AS h
WHERE h.account = @account
	AND h.family = @family
	AND h.currency = @currency
	AND h.left_minor <> 0
	AND (h.left_minor > 0) = (@amount::bigint < 0)
ORDER BY
	h.source = @source AND h.source <> '' DESC,
	h.left_minor = -@amount::bigint DESC,
	h.created_at,
	h.transaction
LIMIT 1000`

// takeHoldSQL reduces what is left of an earlier transaction. The advisory lock makes the number that was read safe to
// write.
const takeHoldSQL = `
UPDATE webhooks.holds AS h
SET left_minor = @left_minor
WHERE h.account = @account
	AND h.transaction = @transaction`

// insertHoldSQL stores the transaction with the part that no earlier one balances, which may be zero.
const insertHoldSQL = `
INSERT INTO webhooks.holds (
	account,
	transaction,
	family,
	currency,
	source,
	collective,
	left_minor,
	created_at
)
VALUES (
	@account,
	@transaction,
	@family,
	@currency,
	@source,
	@collective,
	@left_minor,
	@created_at
)`

// holdTx decides whose a balance transaction is that holds money back or releases it, and how much of it. A release is
// shared among the collectives whose holds filled the same pot; the rest belongs to owner. known means that it was
// booked before. The result does not depend on the order: when all is released, each collective's pot is zero.
func holdTx(ctx context.Context, tx pgx.Tx, account, family, owner string, t stripe.BalanceTransaction) (parts []part, known bool, err error) {
	args := pgx.NamedArgs{
		"class": holdsClass, "account": account, "transaction": t.ID, "family": family, "currency": t.Currency,
		"source": t.Source.ID, "collective": owner, "amount": t.Amount, "created_at": t.Created,
	}
	if _, err := tx.Exec(ctx, lockHoldsSQL, args); err != nil {
		return nil, false, postgres.Error(err)
	}
	if err := tx.QueryRow(ctx, knownHoldSQL, args).Scan(&known); err != nil || known {
		return nil, known, postgres.Error(err)
	}
	rows, err := tx.Query(ctx, openHoldsSQL, args)
	if err != nil {
		return nil, false, postgres.Error(err)
	}
	type open struct {
		transaction, collective string
		left                    int64
	}
	pot, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (o open, err error) {
		return o, row.Scan(&o.transaction, &o.collective, &o.left)
	})
	if err != nil {
		return nil, false, postgres.Error(err)
	}
	// left is what is not balanced yet, in minor units and with the sign of the transaction. sums are the parts by
	// collective.
	sums, left := map[string]int64{}, t.Amount
	for _, o := range pot {
		// o.left has the other sign. No more is taken than is left on either side.
		taken := -o.left
		if left > 0 && taken > left || left < 0 && taken < left {
			taken = left
		}
		if taken == 0 {
			break
		}
		left -= taken
		sums[o.collective] += taken
		if _, err := tx.Exec(ctx, takeHoldSQL, pgx.NamedArgs{
			"account": account, "transaction": o.transaction, "left_minor": o.left + taken,
		}); err != nil {
			return nil, false, postgres.Error(err)
		}
	}
	// The rest is the owner's, and stays open for a later transaction of the other sign.
	args["left_minor"] = left
	if _, err := tx.Exec(ctx, insertHoldSQL, args); err != nil {
		return nil, false, postgres.Error(err)
	}
	// A part of zero is left out, unless it is the only one.
	if sums[owner] += left; sums[owner] == 0 && len(sums) > 1 {
		delete(sums, owner)
	}
	for _, collective := range slices.Sorted(maps.Keys(sums)) {
		parts = append(parts, part{collective, sums[collective]})
	}
	return parts, false, nil
}

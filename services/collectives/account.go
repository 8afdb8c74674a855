package collectives

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const accountSQL = `
SELECT
	c.stripe_account,
	c.account_in_use
FROM collectives.collectives AS c
WHERE c.id = @id`

// markInUseSQL answers the account of the moment in which the row is locked: an
// operator may have changed it since accountSQL read it. It answers none for a
// collective whose money must not stand on the platform's account.
const markInUseSQL = `
UPDATE collectives.collectives AS c
SET account_in_use = true
WHERE c.id = @id
	AND NOT (c.own_account_required AND c.stripe_account = '')
RETURNING c.stripe_account`

// MarkInUseTx fixes the collective's Stripe account for ever and returns it, in the
// transaction that makes a donation; if that rolls back, so does this. Only the first
// donation writes, and locks the collective's row until it commits; the others read. A
// missing collective is NOT_FOUND; one that must have an account of its own and has none
// is FAILED_PRECONDITION (STRIPE_ACCOUNT_NOT_READY), also for donations that Stripe has no part
// in: its money would stand in the platform's book, and it could not get its own any more.
func (s *Service) MarkInUseTx(ctx context.Context, tx pgx.Tx, id string) (stripeAccount string, err error) {
	var inUse bool
	err = tx.QueryRow(ctx, accountSQL, pgx.NamedArgs{"id": id}).Scan(&stripeAccount, &inUse)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", errs.NotFound(namePrefix + id)
	}
	if err == nil && !inUse {
		err = tx.QueryRow(ctx, markInUseSQL, pgx.NamedArgs{"id": id}).Scan(&stripeAccount)
		if errors.Is(err, pgx.ErrNoRows) {
			return "", NotReady(id)
		}
	}
	return stripeAccount, postgres.Error(err)
}

const soleOwnerSQL = `
SELECT min(c.id)
FROM collectives.collectives AS c
WHERE c.stripe_account = @account` + mayUsePart + `
HAVING count(*) = 1`

// Whoever must have an account of its own has no money on the platform's, but what it had there before.
const mayUsePart = `
	AND NOT (c.own_account_required AND c.stripe_account = '' AND NOT c.account_in_use)`

// SoleOwner returns the id of the one collective that may use an account, the platform's own
// included. It is empty when there is none or several. A collective that comes later changes the
// answer: whose a movement of money is, is asked of [Service.Owners].
func (s *Service) SoleOwner(ctx context.Context, account string) (id string, err error) {
	// To a member, who sees one collective, every account would look unshared.
	ctx = postgres.WithScope(ctx, postgres.AllScope())
	err = s.pool.QueryRow(ctx, soleOwnerSQL, pgx.NamedArgs{"account": account}).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return id, postgres.Error(err)
}

const ownersSQL = `
SELECT
	c.id,
	c.created_at
FROM collectives.collectives AS c
WHERE c.stripe_account = @account` + mayUsePart + `
ORDER BY
	c.created_at,
	c.id`

// Owners are the collectives that may use an account, the first to be there first.
type Owners []owner

type owner struct {
	id    string
	since time.Time
}

// Owners returns the collectives that may use an account, the platform's own included.
func (s *Service) Owners(ctx context.Context, account string) (Owners, error) {
	ctx = postgres.WithScope(ctx, postgres.AllScope())
	rows, err := s.pool.Query(ctx, ownersSQL, pgx.NamedArgs{"account": account})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (o owner, err error) {
		return o, row.Scan(&o.id, &o.since)
	})
	return found, postgres.Error(err)
}

// At returns the id of the one collective whose that is which moved on the account at a time and belongs to no donation,
// such as a fee or a payout; empty for several, and when nobody may use the account. Who came later does not count, so
// the answer does not depend on when it is asked. What moved before anybody was there is of those who came.
func (o Owners) At(t time.Time) string {
	there := 0
	for there < len(o) && !o[there].since.After(t) {
		there++
	}
	if there == 0 {
		there = len(o)
	}
	if there != 1 {
		return ""
	}
	return o[0].id
}

// NotReady is the FAILED_PRECONDITION (STRIPE_ACCOUNT_NOT_READY) of a collective for which Stripe takes no payments now.
func NotReady(id string) error {
	return errs.New(errorsv1.ErrorReason_STRIPE_ACCOUNT_NOT_READY, "%s has no Stripe account that takes payments yet.", namePrefix+id)
}

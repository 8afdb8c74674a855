package payouts

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Everybody stands for all collectives and all accounts, and what belongs to none: the operator's view.
const Everybody = "-"

// instance is the parent of what the operator sees.
const instance = "instance"

// nameOf returns a payout's resource name as a collective sees it, or as the operator does for [Everybody] and for none.
func nameOf(collective, id string) string {
	parent := instance
	if collective != "" && collective != Everybody {
		parent = "collectives/" + collective
	}
	return parent + "/payouts/" + id
}

// parseName splits a payout's resource name.
func parseName(name string) (collective, id string, ok bool) {
	parent, id, ok := strings.Cut(name, "/payouts/")
	if !ok || id == "" || strings.Contains(id, "/") {
		return "", "", false
	}
	collective, ok = parseParent(parent)
	return collective, id, ok
}

// parseParent returns whose payouts a parent has: a collective's, or [Everybody]'s under the instance.
func parseParent(parent string) (collective string, ok bool) {
	if parent == instance {
		return Everybody, true
	}
	collective, ok = strings.CutPrefix(parent, "collectives/")
	return collective, ok && collective != "" && collective != Everybody
}

// Position is the place of a payout in a list.
type Position struct {
	Arrival time.Time
	ID      string
}

// newest is the position before all payouts.
var newest = Position{Arrival: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}

// seenPayout selects payouts as a collective sees them, with its share and the number of open findings. It sees those
// with a share of its own. While no share is stored it sees all payouts of an account that it has alone. @everybody is
// the operator, for whom no share is joined.
const seenPayout = selectPayout + `,
	coalesce(s.amount_minor, p.amount_minor),
	(
		SELECT count(*)
		FROM payouts.findings AS f
		WHERE f.account = p.account
			AND f.payout = p.id
			AND f.resolved_at IS NULL
	)
FROM payouts.payouts AS p
LEFT JOIN payouts.shares AS s ON s.account = p.account AND s.payout = p.id AND s.collective = @collective
WHERE (
		@everybody
		OR p.account = @account
			AND (
				s.collective IS NOT NULL
				OR @sole AND NOT EXISTS (
					SELECT
					FROM payouts.shares AS o
					WHERE o.account = p.account
						AND o.payout = p.id
				)
			)
	)`

// listPayoutsSQL lists payouts after a position, the newest arrival first. payouts_arrival_idx has this order.
const listPayoutsSQL = seenPayout + `
	AND (p.arrival_at, p.id) < (@arrival_at, @id)
ORDER BY
	p.arrival_at DESC,
	p.id DESC
LIMIT @count`

const seenPayoutSQL = seenPayout + `
	AND p.id = @id`

// List returns a collective's payouts with its share of each, newest arrival first, after a position. [Everybody] has
// all payouts of all accounts. A payout whose shares are unknown yet belongs to the only collective of its account. A
// missing collective is NOT_FOUND.
func (s *Service) List(ctx context.Context, collective string, after Position, count int) ([]Payout, error) {
	args, err := s.seenBy(ctx, collective)
	if err != nil {
		return nil, err
	}
	// The position is that of the last payout of the page before.
	args["arrival_at"], args["id"], args["count"] = after.Arrival, after.ID, count
	rows, err := s.cfg.Pool.Query(ctx, listPayoutsSQL, args)
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scanSeen)
	return found, postgres.Error(err)
}

// Get returns a payout with its findings, as a collective sees it. NOT_FOUND when the collective has no share in it.
func (s *Service) Get(ctx context.Context, collective, id string) (Payout, error) {
	args, err := s.seenBy(ctx, collective)
	if err != nil {
		return Payout{}, err
	}
	args["id"] = id
	rows, err := s.cfg.Pool.Query(ctx, seenPayoutSQL, args)
	if err != nil {
		return Payout{}, postgres.Error(err)
	}
	p, err := pgx.CollectExactlyOneRow(rows, scanSeen)
	if errors.Is(err, pgx.ErrNoRows) {
		return Payout{}, errs.NotFound(nameOf(collective, id))
	}
	if err != nil {
		return Payout{}, postgres.Error(err)
	}
	// A finding may be about another collective's donation.
	if collective == Everybody || p.Share == p.Amount {
		p.Findings, err = s.findings(ctx, p)
	}
	return p, err
}

// seenBy returns the arguments of seenPayout. A missing collective is NOT_FOUND.
func (s *Service) seenBy(ctx context.Context, collective string) (pgx.NamedArgs, error) {
	if collective == Everybody {
		return pgx.NamedArgs{"everybody": true, "collective": nil, "account": "", "sole": false}, nil
	}
	c, err := s.cfg.Collectives.Get(ctx, collective)
	if err != nil {
		return nil, err
	}
	owner, err := s.cfg.Collectives.SoleOwner(ctx, c.StripeAccount)
	if err != nil {
		return nil, err
	}
	return pgx.NamedArgs{
		"everybody": false, "collective": collective, "account": c.StripeAccount, "sole": owner == collective,
	}, nil
}

// scanSeen reads a row of seenPayout, and derives the reconciliation from the open findings and the last comparison.
func scanSeen(row pgx.CollectableRow) (p Payout, err error) {
	var share int64
	var open int
	if err := row.Scan(append(p.targets(), &share, &open)...); err != nil {
		return Payout{}, err
	}
	// complete sets the share to the whole payout. The selected share replaces it.
	p = p.complete()
	p.Share.Minor = share
	switch {
	case !p.Automatic:
		p.Reconciliation = ReconciliationNotApplicable
	case open > 0:
		p.Reconciliation = ReconciliationDiffers
	case !p.ReconcileTime.IsZero():
		p.Reconciliation = ReconciliationMatched
	default:
		p.Reconciliation = ReconciliationPending
	}
	return p, nil
}

// ReadPayout returns the whole payout, for reports. NOT_FOUND when there is none.
func (s *Service) ReadPayout(ctx context.Context, account, id string) (Payout, error) {
	return s.get(ctx, account, id)
}

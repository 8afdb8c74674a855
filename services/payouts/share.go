package payouts

import (
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// share is a collective's part of a payout; collective is empty when it belongs to none.
type share struct {
	collective string
	minor      int64
}

// shares returns whose money a payout is: the owner of its own transaction or, when that has none, the owners of its
// contents. It is decided once. known is false while it cannot be decided.
func (s *Service) shares(ctx context.Context, p Payout, own ledger.MoneyMovement) (shares []share, known bool, err error) {
	if shares, err = s.storedShares(ctx, p); err != nil || len(shares) > 0 {
		return shares, len(shares) > 0, err
	}
	// After this time what is unknown belongs to no collective, so that the line at the bank does not wait forever.
	late := s.now().Sub(p.Arrival) > undividedAfter
	// The own transaction has an owner where one collective has the account alone. The contents of a manual payout are
	// never known.
	if own.Collective != "" || !p.Automatic || (!p.contentsRead && late) {
		return []share{{own.Collective, p.Amount.Minor}}, true, nil
	}
	if !p.contentsRead {
		return nil, false, nil
	}
	parts := map[string]int64{}
	// rest is what belongs to no collective of the contents.
	rest := p.Amount.Minor
	for after := ""; ; {
		page, err := s.contents(ctx, p.Account, p.ID, after, "", contentsCount)
		if err != nil {
			return nil, false, err
		}
		pairs, err := s.booked(ctx, p, page, "")
		if err != nil {
			return nil, false, err
		}
		for _, b := range pairs {
			// A content is not booked yet, or is an earlier payout whose shares are not decided yet.
			if (len(b.moves) == 0 && !b.empty() || b.unclear) && !late {
				return nil, false, nil
			}
			for _, m := range b.moves {
				// Amounts of another currency cannot be part of this payout's sum.
				if m.Collective != "" && m.Currency == p.Amount.Currency {
					parts[m.Collective] += m.Balance
					rest -= m.Balance
				}
			}
		}
		// A page that is not full is the last one.
		if len(page) < contentsCount {
			break
		}
		after = page[len(page)-1].transaction
	}
	for _, collective := range slices.Sorted(maps.Keys(parts)) {
		shares = append(shares, share{collective, parts[collective]})
	}
	// The shares always sum to the payout, and there is at least one.
	if rest != 0 || len(shares) == 0 {
		shares = append(shares, share{"", rest})
	}
	return shares, true, nil
}

// sharesSQL returns the decided shares, by the primary key. None: they are not decided yet.
const sharesSQL = `
SELECT
	s.collective,
	s.amount_minor
FROM payouts.shares AS s
WHERE s.account = @account
	AND s.payout = @payout
ORDER BY s.collective`

// storedShares returns the decided shares, or none.
func (s *Service) storedShares(ctx context.Context, p Payout) ([]share, error) {
	return scanShares(s.cfg.Pool.Query(ctx, sharesSQL, pgx.NamedArgs{"account": p.Account, "payout": p.ID}))
}

func scanShares(rows pgx.Rows, err error) ([]share, error) {
	if err != nil {
		return nil, postgres.Error(err)
	}
	shares, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (part share, err error) {
		return part, row.Scan(&part.collective, &part.minor)
	})
	return shares, postgres.Error(err)
}

// insertSharesSQL stores shares only if the payout has none. The caller has locked the payout's row, so that nobody
// stores others between the check and the insert. Shares are append-only.
const insertSharesSQL = `
INSERT INTO payouts.shares (
	account,
	payout,
	collective,
	amount_minor
)
SELECT
	@account,
	@payout,
	u.collective,
	u.amount_minor
FROM unnest(
	@collectives::text[],
	@amounts::bigint[]
) AS u (collective, amount_minor)
WHERE NOT EXISTS (
	SELECT
	FROM payouts.shares AS s
	WHERE s.account = @account
		AND s.payout = @payout
)
ORDER BY u.collective`

// saveSharesTx stores the shares unless some are stored already, and returns the stored ones. The payout's row is
// locked, so that two programs do not mix theirs. The collectives of a payout that had failed before are notified now.
func (s *Service) saveSharesTx(ctx context.Context, tx pgx.Tx, p Payout, shares []share) ([]share, error) {
	var whose []string
	var amounts []int64
	for _, part := range shares {
		whose, amounts = append(whose, part.collective), append(amounts, part.minor)
	}
	args := pgx.NamedArgs{"account": p.Account, "id": p.ID, "payout": p.ID, "collectives": whose, "amounts": amounts}
	var state stripe.PayoutStatus
	var listable bool
	if err := tx.QueryRow(ctx, lockPayoutSQL, args).Scan(&state, &listable); err != nil {
		return nil, postgres.Error(err)
	}
	tag, err := tx.Exec(ctx, insertSharesSQL, args)
	if err != nil {
		return nil, postgres.Error(err)
	}
	// Before its shares were known, only the operator and the only collective of the account were notified.
	if tag.RowsAffected() > 0 && state == stripe.PayoutFailed && !s.isHistory(p.Created) {
		if err := s.tellFailedTx(ctx, tx, p.Account, "", p.ID, p.Amount); err != nil {
			return nil, err
		}
	}
	return scanShares(tx.Query(ctx, sharesSQL, args))
}

// saveShares is saveSharesTx in a transaction of its own, for a payout that has nothing to post now.
func (s *Service) saveShares(ctx context.Context, p Payout, shares []share) error {
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		_, err := s.saveSharesTx(ctx, tx, p, shares)
		return err
	})
}

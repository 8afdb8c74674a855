package payouts

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// content is a balance transaction inside a payout, as Stripe lists it.
type content struct {
	transaction, kind string
	net, fee          int64
}

// returns reports whether it returned an earlier payout.
func (c content) returns() bool { return c.kind == "payout_failure" || c.kind == "payout_cancel" }

// insertContentsSQL stores a page of contents. Contents are append-only, and a page that is read again changes nothing.
// The order of keys keeps two jobs from a deadlock.
const insertContentsSQL = `
INSERT INTO payouts.contents (
	account,
	payout,
	transaction,
	type,
	net_minor,
	fee_minor
)
SELECT
	@account,
	@payout,
	c.transaction,
	c.type,
	c.net_minor,
	c.fee_minor
FROM unnest(
	@transactions::text[],
	@types::text[],
	@nets::bigint[],
	@fees::bigint[]
) AS c (transaction, type, net_minor, fee_minor)
ORDER BY c.transaction
ON CONFLICT (account, payout, transaction) DO NOTHING`

// saveContentsSQL stores where the listing continues. contents_read_at is set by the last page and then stays.
const saveContentsSQL = `
UPDATE payouts.payouts AS p
SET
	contents_after = @after,
	contents_read_at = CASE WHEN @whole THEN coalesce(p.contents_read_at, statement_timestamp()) ELSE p.contents_read_at END
WHERE p.account = @account
	AND p.id = @payout`

// readContents lists the contents of an automatic payout, once Stripe can tell all of them. Each page is stored with
// its position. more is true when until passed before the end.
func (s *Service) readContents(ctx context.Context, p *Payout, until time.Time) (more bool, err error) {
	for p.listable && !p.contentsRead {
		page, left, err := s.cfg.Stripe.ListPayoutBalance(ctx, p.Account, p.ID, p.contentsAfter)
		if s.counted(err) != nil {
			return false, err
		}
		if len(page) > 0 {
			p.contentsAfter = page[len(page)-1].ID
		}
		if err := s.saveContents(ctx, *p, page, !left); err != nil {
			return false, err
		}
		if p.contentsRead = !left; left && over(until) {
			return true, nil
		}
	}
	return false, nil
}

// saveContents stores a page together with its position, so that no content is left out. Two jobs may store the same
// pages.
func (s *Service) saveContents(ctx context.Context, p Payout, page []stripe.BalanceTransaction, whole bool) error {
	var transactions, types []string
	var nets, fees []int64
	for _, t := range page {
		transactions, types = append(transactions, t.ID), append(types, t.Type)
		nets, fees = append(nets, t.Net), append(fees, t.Fee)
	}
	args := pgx.NamedArgs{
		"account": p.Account, "payout": p.ID, "transactions": transactions, "types": types, "nets": nets, "fees": fees,
		"after": p.contentsAfter, "whole": whole,
	}
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, insertContentsSQL, args); err != nil {
			return postgres.Error(err)
		}
		_, err := tx.Exec(ctx, saveContentsSQL, args)
		return postgres.Error(err)
	})
}

// contentsSQL returns contents by the primary key. It leaves out rows whose database transaction the watermark does not
// see; an empty watermark stands for the present.
const contentsSQL = `
SELECT
	c.transaction,
	c.type,
	c.net_minor,
	c.fee_minor
FROM payouts.contents AS c
WHERE c.account = @account
	AND c.payout = @payout
	AND c.transaction > @after
	AND pg_visible_in_snapshot(c.xid, coalesce(nullif(@watermark::text, '')::pg_snapshot, pg_current_snapshot()))
ORDER BY c.transaction
LIMIT @count`

// contentsCount is how many contents are compared together.
const contentsCount = 500

// contents returns a page of a payout's contents by transaction, without those that were stored after the watermark.
func (s *Service) contents(ctx context.Context, account, payout, after string, at ledger.Watermark, count int) ([]content, error) {
	rows, err := s.cfg.Pool.Query(ctx, contentsSQL, pgx.NamedArgs{
		"account": account, "payout": payout, "after": after, "watermark": string(at), "count": count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	page, err := pgx.CollectRows(rows, scanContent)
	return page, postgres.Error(err)
}

// contentSQL returns one of the contents, by the primary key.
const contentSQL = `
SELECT
	c.transaction,
	c.type,
	c.net_minor,
	c.fee_minor
FROM payouts.contents AS c
WHERE c.account = @account
	AND c.payout = @payout
	AND c.transaction = @transaction`

// content returns one of a payout's contents, or none.
func (s *Service) content(ctx context.Context, p Payout, transaction string) ([]content, error) {
	rows, err := s.cfg.Pool.Query(ctx, contentSQL, pgx.NamedArgs{"account": p.Account, "payout": p.ID, "transaction": transaction})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scanContent)
	return found, postgres.Error(err)
}

// scanContent reads a row of contentsSQL or contentSQL.
func scanContent(row pgx.CollectableRow) (c content, err error) {
	return c, row.Scan(&c.transaction, &c.kind, &c.net, &c.fee)
}

// booked is a content with what the books have of it.
type booked struct {
	content
	// moves are by collective; none when it is not booked. A returned payout has the moves of its shares.
	moves []ledger.MoneyMovement
	// unclear: it is a returned payout of an account with several collectives, and its shares are not known yet.
	unclear bool
}

// sums returns what the moves changed in Stripe's balance, and their fees.
func (b booked) sums() (net, fee int64) {
	for _, m := range b.moves {
		net, fee = net+m.Balance, fee+m.Fees
	}
	return net, fee
}

// empty reports whether there was nothing to book.
func (b booked) empty() bool { return b.net == 0 && b.fee == 0 }

// booked pairs contents with the books, leaving out the payout's own transaction.
func (s *Service) booked(ctx context.Context, p Payout, page []content, at ledger.Watermark) ([]booked, error) {
	references := make([]string, 0, len(page))
	var returned []string
	for _, c := range page {
		references = append(references, c.transaction)
		if c.returns() {
			returned = append(returned, c.transaction)
		}
	}
	moves, err := s.cfg.Ledger.MoneyMovements(ctx, p.Account, references, at)
	if err != nil {
		return nil, err
	}
	// The move of a returned payout may belong to no collective. A member does not see it, and needs it for the own share.
	if len(returned) > 0 {
		back, err := s.cfg.Ledger.MoneyMovements(postgres.WithScope(ctx, postgres.AllScope()), p.Account, returned, at)
		if err != nil {
			return nil, err
		}
		moves = slices.DeleteFunc(moves, func(m ledger.MoneyMovement) bool { return slices.Contains(returned, m.Reference) })
		moves = append(moves, back...)
	}
	byReference := map[string][]ledger.MoneyMovement{}
	for _, m := range moves {
		byReference[m.Reference] = append(byReference[m.Reference], m)
	}
	// A returned payout inside this one is replaced by the moves of its shares.
	divided, err := s.divideReturned(ctx, p.Account, references, byReference, at)
	if err != nil {
		return nil, err
	}
	pairs := make([]booked, 0, len(page))
	for _, c := range page {
		// The payout's own transaction is among the contents at Stripe, and is no part of what it pays out.
		if c.transaction != p.Transaction {
			moves := byReference[c.transaction]
			// The move of a returned payout belongs to no collective where the account has several.
			unclear := c.returns() && len(moves) == 1 && moves[0].Collective == "" && !divided[c.transaction]
			pairs = append(pairs, booked{c, moves, unclear})
		}
	}
	return pairs, nil
}

// returnedSQL returns the shares of earlier payouts by the balance transaction that returned them, as of a watermark.
// payouts_failure_idx serves it.
const returnedSQL = `
SELECT
	p.failure_transaction,
	s.collective,
	s.amount_minor
FROM payouts.payouts AS p
JOIN payouts.shares AS s ON s.account = p.account AND s.payout = p.id
WHERE p.account = @account
	AND p.failure_transaction <> ''
	AND p.failure_transaction = ANY(@references::text[])
	AND pg_visible_in_snapshot(s.xid, coalesce(nullif(@watermark::text, '')::pg_snapshot, pg_current_snapshot()))
ORDER BY
	p.failure_transaction,
	s.collective`

// divideReturned replaces the move of a returned payout, which belongs to no collective, by moves of the collectives
// that had shares in it. known has the transactions whose shares are known.
func (s *Service) divideReturned(ctx context.Context, account string, references []string, moves map[string][]ledger.MoneyMovement, at ledger.Watermark) (known map[string]bool, err error) {
	rows, err := s.cfg.Pool.Query(ctx, returnedSQL, pgx.NamedArgs{"account": account, "references": references, "watermark": string(at)})
	if err != nil {
		return nil, postgres.Error(err)
	}
	known = map[string]bool{}
	divided := map[string][]ledger.MoneyMovement{}
	var transaction, collective string
	var minor int64
	if _, err := pgx.ForEachRow(rows, []any{&transaction, &collective, &minor}, func() error {
		known[transaction] = true
		// A move that belongs to a collective is its own already.
		if of := moves[transaction]; len(of) == 1 && of[0].Collective == "" {
			part := of[0]
			// A share has the sign of the payout. Its return adds the same to the balance, and takes it from transit.
			part.Collective, part.Balance, part.Transit = collective, minor, -minor
			divided[transaction] = append(divided[transaction], part)
		}
		return nil
	}); err != nil {
		return nil, postgres.Error(err)
	}
	for transaction, parts := range divided {
		moves[transaction] = parts
	}
	return known, nil
}

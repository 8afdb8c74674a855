package donations

import (
	"cmp"
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// paymentKey is a donation and the payment intent of one of its payments.
type paymentKey struct {
	donation uuid.UUID
	intent   string
}

// kept is what became of one payment, where the donation's own row does not tell it.
type kept struct {
	donation money.Amount
	// surplus: the donation was paid already.
	surplus bool
	// refunded went by refunds, disputed by disputes.
	refunded, disputed gone
	// paidInMinor is in the currency that the donor paid in, if that is not the donation's; paidInCurrency is that.
	paidInMinor    int64
	paidInCurrency money.Currency
	// method is how a surplus payment was made.
	method string
	// wasTwiceMinor is twice as it was read; by is what moved last.
	wasTwiceMinor int64
	by            string
}

// backTwice is what of one payment went back beyond what was paid, and Stripe's id of what did it.
type backTwice struct {
	donation uuid.UUID
	minor    int64
	by       string
}

// twice is what went back beyond what was paid: by a refund, and by the donor's bank as well.
func (p *kept) twice() int64 {
	if p.paidInMinor > 0 { // without the rounding of each part
		return max(0, p.part(p.refunded.inMinor+p.disputed.inMinor-p.paidInMinor))
	}
	return max(0, p.refunded.minor+p.disputed.minor-p.donation.Minor)
}

// gone is what went from a payment one way: of the donation, and in the currency that the donor paid in, if that is not the
// donation's.
type gone struct{ minor, inMinor int64 }

// add notes a movement. Of what was paid in the donor's own currency the books have what Stripe converts, at the rate
// of each day, https://docs.stripe.com/currencies/disputes-refunds, and the donor has back what was paid: so its part
// of that is what went back of the donation. Until the payment is booked, it is what the books have.
func (p *kept) add(m Movement) {
	if m.PaidIn.Currency != "" && m.PaidIn.Currency != p.donation.Currency {
		p.paidInMinor, p.paidInCurrency = m.PaidIn.Minor, m.PaidIn.Currency
		for _, g := range []*gone{&p.refunded, &p.disputed} {
			if g.inMinor != 0 {
				g.minor = p.part(g.inMinor)
			}
		}
	}
	p.goes(&p.refunded, m.RefundedMinor, m.RefundedIn)
	p.goes(&p.disputed, m.DisputedMinor, m.DisputedIn)
	if by := cmp.Or(m.Dispute, m.Refund); by != "" {
		p.by = by
	}
}

// goes adds what the books have, or, where it is known, what the donor has.
func (p *kept) goes(g *gone, minor int64, in money.Amount) {
	before := p.part(g.inMinor)
	g.inMinor += in.Minor
	if in.Currency != "" && p.paidInMinor > 0 {
		g.minor += p.part(g.inMinor) - before
	} else {
		g.minor += minor
	}
}

// part is how much of the donation so much of what was paid is, rounded up, so that all that was paid is all of the donation.
func (p *kept) part(inMinor int64) int64 {
	if p.paidInMinor == 0 {
		return 0
	}
	part, err := p.donation.Part(inMinor, p.paidInMinor)
	if err != nil { // no payment is so large, and nothing goes back beyond it
		return p.donation.Minor
	}
	return part.Minor
}

const keptSQL = `
SELECT
	k.donation,
	k.intent,
	d.amount_minor,
	d.currency,
	coalesce(p.surplus, false),
	coalesce(p.refunded_minor, 0),
	coalesce(p.disputed_minor, 0),
	coalesce(p.paid_in_minor, 0),
	coalesce(p.paid_in_currency, ''),
	coalesce(p.refunded_in_minor, 0),
	coalesce(p.disputed_in_minor, 0),
	coalesce(p.payment_method, '')
FROM unnest(
	@donations::uuid[],
	@intents::text[]
) AS k (donation, intent)
JOIN donations.donations AS d ON d.id = k.donation
LEFT JOIN donations.payments AS p ON p.donation = k.donation AND p.payment_intent_id = k.intent`

const keepSQL = `
INSERT INTO donations.payments (
	donation,
	payment_intent_id,
	surplus,
	refunded_minor,
	disputed_minor,
	paid_in_minor,
	paid_in_currency,
	refunded_in_minor,
	disputed_in_minor,
	payment_method
)
SELECT
	k.donation,
	k.intent,
	k.surplus,
	k.refunded_minor,
	k.disputed_minor,
	k.paid_in_minor,
	k.paid_in_currency,
	k.refunded_in_minor,
	k.disputed_in_minor,
	k.payment_method
FROM unnest(
	@donations::uuid[],
	@intents::text[],
	@surplus::boolean[],
	@refunded::bigint[],
	@disputed::bigint[],
	@paid_in::bigint[],
	@paid_in_currencies::text[],
	@refunded_in::bigint[],
	@disputed_in::bigint[],
	@methods::text[]
) AS k (
	donation, intent, surplus, refunded_minor, disputed_minor, paid_in_minor, paid_in_currency, refunded_in_minor,
	disputed_in_minor, payment_method
)
ON CONFLICT (donation, payment_intent_id) DO UPDATE
SET
	surplus = excluded.surplus,
	refunded_minor = excluded.refunded_minor,
	disputed_minor = excluded.disputed_minor,
	paid_in_minor = excluded.paid_in_minor,
	paid_in_currency = excluded.paid_in_currency,
	refunded_in_minor = excluded.refunded_in_minor,
	disputed_in_minor = excluded.disputed_in_minor,
	payment_method = excluded.payment_method`

// keepTx notes movements on the payments that they are of, and returns what each gives back of its donation, what a bank
// takes by it, and the payments of which more than before went back twice. The first payment of a donation that nothing went
// back of needs no note. The caller has locked the donations.
func keepTx(ctx context.Context, tx pgx.Tx, movements []Movement, first []bool) (minor, disputed []int64, twice []backTwice, err error) {
	minor, disputed = make([]int64, len(movements)), make([]int64, len(movements))
	var donations []uuid.UUID
	var intents []string
	for i, m := range movements {
		if m.PaymentIntent != "" && (!first[i] || m.PaidIn.Currency != "") {
			donations, intents = append(donations, m.Donation), append(intents, m.PaymentIntent)
		}
	}
	payments := map[paymentKey]*kept{}
	if len(donations) > 0 {
		if payments, err = readKeptTx(ctx, tx, donations, intents); err != nil {
			return nil, nil, nil, err
		}
	}
	for i, m := range movements {
		p := payments[paymentKey{m.Donation, m.PaymentIntent}]
		if p == nil { // nobody tells of which payment it is, or there is nothing to tell
			p = &kept{}
		}
		refunded, taken := p.refunded.minor, p.disputed.minor
		p.add(m)
		minor[i], disputed[i] = p.refunded.minor-refunded, p.disputed.minor-taken
		// Each visit to a closed page opens a page of its own, and two can be paid: one of them can go back to the donor,
		// and the donation is still there.
		if m.PaidMinor > 0 && !first[i] {
			p.surplus, p.method = true, m.Method
			minor[i] -= m.PaidMinor
		}
	}
	for key, p := range payments {
		if now := p.twice(); now > p.wasTwiceMinor {
			twice = append(twice, backTwice{key.donation, now, p.by})
		}
	}
	return minor, disputed, twice, writeKeptTx(ctx, tx, payments)
}

func readKeptTx(ctx context.Context, tx pgx.Tx, donations []uuid.UUID, intents []string) (map[paymentKey]*kept, error) {
	rows, err := tx.Query(ctx, keptSQL, pgx.NamedArgs{"donations": donations, "intents": intents})
	if err != nil {
		return nil, postgres.Error(err)
	}
	payments := map[paymentKey]*kept{}
	var key paymentKey
	var p kept
	_, err = pgx.ForEachRow(rows, []any{
		&key.donation, &key.intent, &p.donation.Minor, &p.donation.Currency, &p.surplus, &p.refunded.minor, &p.disputed.minor,
		&p.paidInMinor, &p.paidInCurrency, &p.refunded.inMinor, &p.disputed.inMinor, &p.method,
	}, func() error {
		found := p
		found.wasTwiceMinor = p.twice()
		payments[key] = &found
		return nil
	})
	return payments, postgres.Error(err)
}

func writeKeptTx(ctx context.Context, tx pgx.Tx, payments map[paymentKey]*kept) error {
	if len(payments) == 0 {
		return nil
	}
	var donations []uuid.UUID
	var intents, currencies, methods []string
	var surplus []bool
	var refunded, disputed, paidIn, refundedIn, disputedIn []int64
	for key, p := range payments {
		donations, intents, surplus = append(donations, key.donation), append(intents, key.intent), append(surplus, p.surplus)
		refunded, disputed = append(refunded, p.refunded.minor), append(disputed, p.disputed.minor)
		paidIn, currencies = append(paidIn, p.paidInMinor), append(currencies, string(p.paidInCurrency))
		methods = append(methods, p.method)
		refundedIn, disputedIn = append(refundedIn, p.refunded.inMinor), append(disputedIn, p.disputed.inMinor)
	}
	_, err := tx.Exec(ctx, keepSQL, pgx.NamedArgs{
		"donations": donations, "intents": intents, "surplus": surplus, "refunded": refunded, "disputed": disputed,
		"paid_in": paidIn, "paid_in_currencies": currencies, "refunded_in": refundedIn, "disputed_in": disputedIn,
		"methods": methods,
	})
	return postgres.Error(err)
}

// returning is what is known of the way back of one payment of a donation.
type returning struct {
	// intent is the payment's.
	intent string
	// surplus: the donation was paid already.
	surplus bool
	// method is how it was paid, Stripe's word; empty when that is not known.
	method string
	// paid is what the donor paid, which is what Stripe gives back: the donation's amount, or that in the donor's own currency.
	paid money.Amount
	// balanceMinor is what Stripe's balance says went back of the donation, balanceInMinor the same as part of what was paid in
	// another currency. refundsMinor is the sum of the refunds that are alive, asked for, under way, or succeeded, in the
	// currency of paid.
	balanceMinor, balanceInMinor, refundsMinor int64
	// disputedMinor is what the balance says that banks took.
	disputedMinor int64
	// barred: a dispute leaves nothing to refund, also one whose money has not been seen to move.
	barred bool
}

// back is how much of what was paid goes back. What Stripe's balance says and what is known of its refunds overlap, and
// either can be first to know of one made at Stripe: the larger counts. Stripe itself refuses what both do not know yet.
func (d Donation) back(r returning) money.Amount {
	balance := r.balanceMinor
	if r.paid.Currency != d.Amount.Currency {
		balance = r.balanceInMinor
	}
	return money.Amount{Minor: max(balance, r.refundsMinor), Currency: r.paid.Currency}
}

// A payment that was converted before anybody kept its currency goes back in Stripe's dashboard only.
const returningSQL = `
SELECT
	w.intent,
	bool_or(w.surplus) AS surplus,
	max(w.method),
	max(w.paid_in_minor),
	max(w.paid_in_currency),
	sum(w.balance_minor)::bigint,
	sum(w.balance_in_minor)::bigint,
	sum(w.refunds_minor)::bigint,
	sum(w.disputed_minor)::bigint,
	bool_or(w.barred)
FROM (
	SELECT
		p.payment_intent_id AS intent,
		p.surplus,
		p.payment_method AS method,
		p.paid_in_minor,
		p.paid_in_currency,
		p.refunded_minor AS balance_minor,
		p.refunded_in_minor AS balance_in_minor,
		0::bigint AS refunds_minor,
		p.disputed_minor,
		false AS barred
	FROM donations.payments AS p
	WHERE p.donation = @donation
		AND NOT p.differs
	UNION ALL
	SELECT
		r.intent,
		false,
		'',
		0,
		'',
		0,
		0,
		r.amount_minor,
		0,
		false
	FROM (
		SELECT
			coalesce(nullif(r.payment_intent_id, ''), d.payment_intent_id, '') AS intent,
			r.amount_minor,
			r.currency,
			d.currency AS own_currency
		FROM donations.refunds AS r
		JOIN donations.donations AS d ON d.id = r.donation
		WHERE r.donation = @donation
			AND r.id <> @but
			AND r.state NOT IN ('failed', 'rejected', 'canceled')
	) AS r
	LEFT JOIN donations.payments AS p ON p.donation = @donation AND p.payment_intent_id = r.intent
	WHERE r.currency = coalesce(nullif(p.paid_in_currency, ''), r.own_currency)
	UNION ALL
	SELECT
		coalesce(nullif(p.payment_intent_id, ''), d.payment_intent_id, ''),
		false,
		'',
		0,
		'',
		0,
		0,
		0,
		0,
		true
	FROM donations.disputes AS p
	JOIN donations.donations AS d ON d.id = p.donation
	WHERE p.donation = @donation
		AND NOT p.refundable
) AS w
GROUP BY w.intent
ORDER BY
	surplus DESC,
	w.intent`

// returningTx tells what goes back of each payment of a donation, one refund left out: surplus ones first, then the donation's
// own, then those that are not known to be paid. The caller has locked the donation.
func returningTx(ctx context.Context, tx pgx.Tx, d Donation, but uuid.UUID) ([]returning, error) {
	rows, err := tx.Query(ctx, returningSQL, pgx.NamedArgs{"donation": d.ID, "but": but})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r returning, err error) {
		err = row.Scan(&r.intent, &r.surplus, &r.method, &r.paid.Minor, &r.paid.Currency, &r.balanceMinor, &r.balanceInMinor,
			&r.refundsMinor, &r.disputedMinor, &r.barred)
		if r.paid.Minor == 0 {
			r.paid = d.Amount
		}
		return r, err
	})
	return d.withOwn(found), postgres.Error(err)
}

// withOwn sets the donation's own payment among the others: it has what the balance says of the donation and of none of them.
func (d Donation) withOwn(others []returning) []returning {
	own := returning{intent: d.PaymentIntent, paid: d.Amount}
	if i := slices.IndexFunc(others, own.same); i >= 0 {
		own = others[i]
		others = slices.Delete(others, i, i+1)
	}
	own.surplus, own.method, own.balanceMinor, own.disputedMinor = false, d.PaymentMethod, d.refundedMinor, d.disputedMinor
	after := 0
	for _, r := range others {
		own.balanceMinor, own.disputedMinor = own.balanceMinor-r.balanceMinor, own.disputedMinor-r.disputedMinor
		if r.surplus {
			own.balanceMinor += d.Amount.Minor
			after++
		}
	}
	return slices.Insert(others, after, own)
}

func (r returning) same(other returning) bool { return r.intent == other.intent }

// payments are those that a refund can be of.
func (d Donation) payments(all []returning) (some []returning) {
	for _, r := range all {
		if r.intent == d.PaymentIntent || r.surplus {
			some = append(some, r)
		}
	}
	return some
}

// left is how much of a payment can still be given back, in the currency that the donor paid in.
func (d Donation) left(r returning) money.Amount {
	return money.Amount{Minor: r.paid.Minor - d.back(r).Minor, Currency: r.paid.Currency}
}

// checkRefundable returns the payments that Stripe would give back, FAILED_PRECONDITION when there is none.
func (d Donation) checkRefundable(payments []returning) (open []returning, err error) {
	switch {
	case d.PayTime.IsZero():
		return nil, errs.New(errorsv1.ErrorReason_DONATION_NOT_PAID, "The donation is not paid, so there is nothing to give back.")
	case d.PaymentIntent == "":
		return nil, errs.New(errorsv1.ErrorReason_DONATION_NOT_AT_STRIPE, "The donation did not come through Stripe, and cannot go back through it.")
	}
	for _, r := range payments {
		if r.disputedMinor <= 0 && !r.barred {
			open = append(open, r)
		}
	}
	if len(open) == 0 {
		return nil, errs.New(errorsv1.ErrorReason_DONATION_DISPUTED, "The donor's bank disputes the donation, so the money goes its own way.")
	}
	return open, nil
}

// choose returns the first of the payments in the amount's currency that has so much left, or that has anything left for
// the zero Amount. FAILED_PRECONDITION for more than is left of each.
func (d Donation) choose(open []returning, amount money.Amount) (returning, error) {
	most := money.Amount{Currency: cmp.Or(amount.Currency, d.Amount.Currency)}
	for _, r := range open {
		left := d.left(r)
		if amount.Currency != "" && left.Currency != amount.Currency {
			continue
		}
		if left.Minor >= max(amount.Minor, 1) {
			return r, nil
		}
		if left.Currency == most.Currency {
			most.Minor = max(most.Minor, left.Minor)
		}
	}
	return returning{}, errs.New(errorsv1.ErrorReason_REFUND_TOO_LARGE, "Only %s of the donation is left to give back at once.", most)
}

// needsApproval reports whether a second member must agree that so much more of the donation goes back. All that
// goes back of one donation counts together, so that many small refunds are one large one. A threshold in another
// currency than what goes back says nothing about it, so then everything needs approval; without one nothing does.
func (d Donation) needsApproval(all []returning, amount, threshold money.Amount) bool {
	if threshold.Currency == "" {
		return false
	}
	for _, r := range all {
		back := d.back(r)
		if back.Minor <= 0 {
			continue
		}
		if back.Currency != threshold.Currency {
			return true
		}
		amount.Minor += back.Minor
	}
	return amount.Currency != threshold.Currency || amount.Minor > threshold.Minor
}

// SurplusPayment is a payment of a donation that was paid already: its page was opened again, and paid there as well.
type SurplusPayment struct {
	PaymentIntent string
	// Paid is in the currency that the donor paid in, and Refunded what refunds brought back of it.
	Paid, Refunded money.Amount
}

const surplusPaymentsSQL = `
SELECT
	p.donation,
	p.payment_intent_id,
	CASE WHEN p.paid_in_currency = '' THEN d.amount_minor ELSE p.paid_in_minor END,
	CASE WHEN p.paid_in_currency = '' THEN p.refunded_minor ELSE p.refunded_in_minor END,
	coalesce(nullif(p.paid_in_currency, ''), d.currency)
FROM donations.payments AS p
JOIN donations.donations AS d ON d.id = p.donation
WHERE p.donation = ANY(@donations::uuid[])
	AND p.surplus
ORDER BY
	p.donation,
	p.payment_intent_id`

// SurplusPayments returns those of each of the donations that has any.
func (s *Service) SurplusPayments(ctx context.Context, donations ...Donation) (map[uuid.UUID][]SurplusPayment, error) {
	ids := make([]uuid.UUID, len(donations))
	for i, d := range donations {
		ids[i] = d.ID
	}
	rows, err := s.cfg.Pool.Query(ctx, surplusPaymentsSQL, pgx.NamedArgs{"donations": ids})
	if err != nil {
		return nil, postgres.Error(err)
	}
	surplus := map[uuid.UUID][]SurplusPayment{}
	var id uuid.UUID
	var p SurplusPayment
	_, err = pgx.ForEachRow(rows, []any{&id, &p.PaymentIntent, &p.Paid.Minor, &p.Refunded.Minor, &p.Paid.Currency}, func() error {
		p.Refunded.Currency = p.Paid.Currency
		surplus[id] = append(surplus[id], p)
		return nil
	})
	return surplus, postgres.Error(err)
}

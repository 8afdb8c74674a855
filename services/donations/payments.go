package donations

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// paymentKey is a gift and the payment intent of one of its payments.
type paymentKey struct {
	donation uuid.UUID
	intent   string
}

// kept is what became of one payment, where the gift's own row does not tell it.
type kept struct {
	gift money.Amount
	// surplus: the gift was paid already.
	surplus bool
	// givenBack went by refunds, disputed by disputes.
	givenBack, disputed gone
	// paidInMinor is in the currency that the donor paid in, if that is not the gift's.
	paidInMinor int64
}

// gone is what went from a payment one way: of the gift, and in the currency that the donor paid in, if that is not the
// gift's.
type gone struct{ minor, inMinor int64 }

// add notes a movement. Of what was paid in the donor's own currency the books have what Stripe converts, at the rate
// of each day, https://docs.stripe.com/currencies/disputes-refunds, and the donor has back what was paid: so its part
// of that is what went back of the gift. Until the payment is booked, it is what the books have.
func (p *kept) add(m Movement) {
	if m.PaidIn.Currency != "" && m.PaidIn.Currency != p.gift.Currency {
		p.paidInMinor = m.PaidIn.Minor
		for _, g := range []*gone{&p.givenBack, &p.disputed} {
			if g.inMinor != 0 {
				g.minor = p.part(g.inMinor)
			}
		}
	}
	p.goes(&p.givenBack, m.GivenBackMinor, m.GivenBackIn)
	p.goes(&p.disputed, m.DisputedMinor, m.DisputedIn)
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

// part is how much of the gift so much of what was paid is, rounded up, so that all that was paid is all of the gift.
func (p *kept) part(inMinor int64) int64 {
	if p.paidInMinor == 0 {
		return 0
	}
	part, err := p.gift.Part(inMinor, p.paidInMinor)
	if err != nil { // no payment is so large, and nothing goes back beyond it
		return p.gift.Minor
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
	coalesce(p.given_back_minor, 0),
	coalesce(p.disputed_minor, 0),
	coalesce(p.paid_in_minor, 0),
	coalesce(p.given_back_in_minor, 0),
	coalesce(p.disputed_in_minor, 0)
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
	given_back_minor,
	disputed_minor,
	paid_in_minor,
	given_back_in_minor,
	disputed_in_minor
)
SELECT
	k.donation,
	k.intent,
	k.surplus,
	k.given_back_minor,
	k.disputed_minor,
	k.paid_in_minor,
	k.given_back_in_minor,
	k.disputed_in_minor
FROM unnest(
	@donations::uuid[],
	@intents::text[],
	@surplus::boolean[],
	@given_back::bigint[],
	@disputed::bigint[],
	@paid_in::bigint[],
	@given_back_in::bigint[],
	@disputed_in::bigint[]
) AS k (
	donation, intent, surplus, given_back_minor, disputed_minor, paid_in_minor, given_back_in_minor, disputed_in_minor
)
ON CONFLICT (donation, payment_intent_id) DO UPDATE
SET
	surplus = excluded.surplus,
	given_back_minor = excluded.given_back_minor,
	disputed_minor = excluded.disputed_minor,
	paid_in_minor = excluded.paid_in_minor,
	given_back_in_minor = excluded.given_back_in_minor,
	disputed_in_minor = excluded.disputed_in_minor`

// keepTx notes movements on the payments that they are of, and returns what each gives back of its gift, and what a bank
// takes by it. The first payment of a gift that nothing went back of needs no note. The caller has locked the gifts.
func keepTx(ctx context.Context, tx pgx.Tx, movements []Movement, first []bool) (minor, disputed []int64, err error) {
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
			return nil, nil, err
		}
	}
	for i, m := range movements {
		p := payments[paymentKey{m.Donation, m.PaymentIntent}]
		if p == nil { // nobody tells of which payment it is, or there is nothing to tell
			p = &kept{}
		}
		givenBack, taken := p.givenBack.minor, p.disputed.minor
		p.add(m)
		minor[i], disputed[i] = p.givenBack.minor-givenBack, p.disputed.minor-taken
		// Each visit to a closed page opens a page of its own, and two can be paid: one of them can go back to the donor,
		// and the gift is still there.
		if m.PaidMinor > 0 && !first[i] {
			p.surplus = true
			minor[i] -= m.PaidMinor
		}
	}
	return minor, disputed, writeKeptTx(ctx, tx, payments)
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
		&key.donation, &key.intent, &p.gift.Minor, &p.gift.Currency, &p.surplus, &p.givenBack.minor, &p.disputed.minor,
		&p.paidInMinor, &p.givenBack.inMinor, &p.disputed.inMinor,
	}, func() error {
		found := p
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
	var intents []string
	var surplus []bool
	var givenBack, disputed, paidIn, givenBackIn, disputedIn []int64
	for key, p := range payments {
		donations, intents, surplus = append(donations, key.donation), append(intents, key.intent), append(surplus, p.surplus)
		givenBack, disputed = append(givenBack, p.givenBack.minor), append(disputed, p.disputed.minor)
		paidIn = append(paidIn, p.paidInMinor)
		givenBackIn, disputedIn = append(givenBackIn, p.givenBack.inMinor), append(disputedIn, p.disputed.inMinor)
	}
	_, err := tx.Exec(ctx, keepSQL, pgx.NamedArgs{
		"donations": donations, "intents": intents, "surplus": surplus, "given_back": givenBack, "disputed": disputed,
		"paid_in": paidIn, "given_back_in": givenBackIn, "disputed_in": disputedIn,
	})
	return postgres.Error(err)
}

// returning is what is known of the way back of one payment of a gift.
type returning struct {
	// intent is the payment's.
	intent string
	// surplus: the gift was paid already.
	surplus bool
	// converted: it was paid in another currency than the gift's.
	converted bool
	// balanceMinor is what Stripe's balance says went back, refundsMinor the sum of the refunds that are alive: asked
	// for, under way, or succeeded.
	balanceMinor, refundsMinor int64
	// disputedMinor is what the balance says that banks took.
	disputedMinor int64
	// barred: a dispute leaves nothing to refund, also one whose money has not been seen to move.
	barred bool
}

// back is how much of the payment goes back. What Stripe's balance says and what is known of its refunds overlap, and
// either can be first to know of one made at Stripe: the larger counts. Stripe itself refuses what both do not know yet.
func (r returning) back() int64 { return max(r.balanceMinor, r.refundsMinor) }

// What went back in the donor's own currency, from Stripe's dashboard, counts once the balance shows it.
const returningSQL = `
SELECT
	w.intent,
	bool_or(w.surplus) AS surplus,
	bool_or(w.converted),
	sum(w.balance_minor)::bigint,
	sum(w.refunds_minor)::bigint,
	sum(w.disputed_minor)::bigint,
	bool_or(w.barred)
FROM (
	SELECT
		p.payment_intent_id AS intent,
		p.surplus,
		p.paid_in_minor > 0 AS converted,
		p.given_back_minor AS balance_minor,
		0::bigint AS refunds_minor,
		p.disputed_minor,
		false AS barred
	FROM donations.payments AS p
	WHERE p.donation = @donation
	UNION ALL
	SELECT
		coalesce(nullif(r.payment_intent_id, ''), d.payment_intent_id, ''),
		false,
		false,
		0,
		r.amount_minor,
		0,
		false
	FROM donations.refunds AS r
	JOIN donations.donations AS d ON d.id = r.donation
	WHERE r.donation = @donation
		AND r.id <> @but
		AND r.state NOT IN ('failed', 'rejected', 'canceled')
		AND r.currency = d.currency
	UNION ALL
	SELECT
		coalesce(nullif(p.payment_intent_id, ''), d.payment_intent_id, ''),
		false,
		false,
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

// returningTx tells what goes back of each payment of a gift, one refund left out: surplus ones first, then the gift's
// own, then those that are not known to be paid. The caller has locked the gift.
func returningTx(ctx context.Context, tx pgx.Tx, d Donation, but uuid.UUID) ([]returning, error) {
	rows, err := tx.Query(ctx, returningSQL, pgx.NamedArgs{"donation": d.ID, "but": but})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r returning, err error) {
		err = row.Scan(&r.intent, &r.surplus, &r.converted, &r.balanceMinor, &r.refundsMinor, &r.disputedMinor, &r.barred)
		return r, err
	})
	return d.withOwn(found), postgres.Error(err)
}

// withOwn sets the gift's own payment among the others: it has what the balance says of the gift and of none of them.
func (d Donation) withOwn(others []returning) []returning {
	own := returning{intent: d.PaymentIntent}
	if i := slices.IndexFunc(others, own.same); i >= 0 {
		own = others[i]
		others = slices.Delete(others, i, i+1)
	}
	own.surplus, own.balanceMinor, own.disputedMinor = false, d.givenBackMinor, d.disputedMinor
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

// payments are those that a refund can be of: what Stripe shows in another currency goes back in its dashboard only, so
// where there is a choice it is left out.
func (d Donation) payments(all []returning) (some []returning) {
	for _, r := range all {
		if r.intent == d.PaymentIntent || r.surplus && !r.converted {
			some = append(some, r)
		}
	}
	return some
}

// left is how much of a payment can still be given back.
func (d Donation) left(r returning) int64 { return d.Amount.Minor - r.back() }

// checkRefundable returns the payments that Stripe would give back, FAILED_PRECONDITION when there is none.
func (d Donation) checkRefundable(payments []returning) (open []returning, err error) {
	switch {
	case d.PayTime.IsZero():
		return nil, errs.Precondition("GIFT_NOT_PAID", "The gift is not paid, so there is nothing to give back.")
	case d.PaymentIntent == "":
		return nil, errs.Precondition("GIFT_NOT_AT_STRIPE", "The gift did not come through Stripe, and cannot go back through it.")
	}
	for _, r := range payments {
		if r.disputedMinor <= 0 && !r.barred {
			open = append(open, r)
		}
	}
	if len(open) == 0 {
		return nil, errs.Precondition("GIFT_DISPUTED", "The donor's bank disputes the gift, so the money goes its own way.")
	}
	return open, nil
}

// choose returns the first of the payments that has so much left, or anything for zero. FAILED_PRECONDITION for more
// than is left of each.
func (d Donation) choose(open []returning, minor int64) (returning, error) {
	var most int64
	for _, r := range open {
		left := d.left(r)
		if left >= max(minor, 1) {
			return r, nil
		}
		most = max(most, left)
	}
	return returning{}, errs.Precondition("REFUND_TOO_LARGE", "Only %s of the gift is left to give back at once.",
		money.Amount{Minor: most, Currency: d.Amount.Currency})
}

// needsApproval reports whether a second member must agree that so much more of the gift goes back. All that
// goes back of one gift counts together, so that many small refunds are one large one. A threshold in another
// currency than the gift's says nothing about it, so then everything needs approval; without one nothing does.
func (d Donation) needsApproval(all []returning, minor int64, threshold money.Amount) bool {
	if threshold.Currency == "" {
		return false
	}
	for _, r := range all {
		minor += max(r.back(), 0)
	}
	return threshold.Currency != d.Amount.Currency || minor > threshold.Minor
}

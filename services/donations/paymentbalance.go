package donations

import (
	"cmp"
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

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

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

// paymentBalance is what Stripe's balance has of one payment, where the donation's own row does not say it.
type paymentBalance struct {
	donation money.Amount
	// surplus: the donation was already paid when this payment arrived.
	surplus bool
	// refunded is what went back by refunds, disputed what banks took by disputes.
	refunded, disputed outflow
	// paidInMinor is what the donor paid in paidInCurrency; zero when that is the donation's currency.
	paidInMinor    int64
	paidInCurrency money.Currency
	// method is the payment method of a surplus payment.
	method string
	// wasTwiceMinor is twice as it was read. by is Stripe's id of the refund or dispute that moved it last.
	wasTwiceMinor int64
	by            string
}

// paidBackTwice is what went back of one payment beyond what was paid; by is Stripe's id of the refund or dispute.
type paidBackTwice struct {
	donation uuid.UUID
	minor    int64
	by       string
}

// twice is what went back beyond what was paid, as when a refund and the donor's bank return the same payment.
func (p *paymentBalance) twice() int64 {
	if p.paidInMinor > 0 { // without the rounding of each part
		return max(0, p.part(p.refunded.inMinor+p.disputed.inMinor-p.paidInMinor))
	}
	return max(0, p.refunded.minor+p.disputed.minor-p.donation.Minor)
}

// outflow is what went from a payment in one way: minor in the donation's currency, inMinor in the one that the donor paid in,
// which is zero when both are the same.
type outflow struct{ minor, inMinor int64 }

// add adds a movement. Stripe converts a refund at the rate of its day (https://docs.stripe.com/currencies/disputes-refunds), so
// the books have another amount than the donor gets back. What went back of the donation is computed from the part of the
// payment that the donor got back. Until the payment is booked, it is the amount in the books.
func (p *paymentBalance) add(m Movement) {
	// Only a payment's own movement has PaidIn.
	if m.PaidIn.Currency != "" && m.PaidIn.Currency != p.donation.Currency {
		p.paidInMinor, p.paidInCurrency = m.PaidIn.Minor, m.PaidIn.Currency
		// Refunds and disputes that were booked before the payment were counted as in the books. Now that the whole is
		// known, their part of it is.
		for _, g := range []*outflow{&p.refunded, &p.disputed} {
			if g.inMinor != 0 {
				g.minor = p.part(g.inMinor)
			}
		}
	}
	p.addOutflow(&p.refunded, m.RefundedMinor, m.RefundedIn)
	p.addOutflow(&p.disputed, m.DisputedMinor, m.DisputedIn)
	if by := cmp.Or(m.Dispute, m.Refund); by != "" {
		p.by = by
	}
}

// addOutflow adds the amount in the books, or, where it is known, the donor's part of the payment.
func (p *paymentBalance) addOutflow(g *outflow, minor int64, in money.Amount) {
	// The difference of two rounded sums, not a rounded difference: so the parts add up to the whole.
	before := p.part(g.inMinor)
	g.inMinor += in.Minor
	if in.Currency != "" && p.paidInMinor > 0 {
		g.minor += p.part(g.inMinor) - before
	} else {
		g.minor += minor
	}
}

// part converts a part of what was paid into the donation's currency. It rounds up, so that the whole payment is the whole
// donation.
func (p *paymentBalance) part(inMinor int64) int64 {
	if p.paidInMinor == 0 {
		return 0
	}
	part, err := p.donation.Part(inMinor, p.paidInMinor)
	if err != nil { // an overflow: no payment is so large
		return p.donation.Minor
	}
	return part.Minor
}

// paymentBalancesSQL returns one row for each key, with zeros where payments has none. It is read by payments_pkey and
// donations_pkey, and locks nothing, because the caller holds the locks of the donations.
const paymentBalancesSQL = `
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

// storePaymentBalancesSQL writes whole balances, of new rows and old ones. It leaves differs, under_way and the polls
// as they are: they are not part of the balance. Each payment is in the arrays once, as ON CONFLICT requires.
const storePaymentBalancesSQL = `
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

// bookPaymentsTx adds movements to their payments. It returns, for each movement, what it refunds and what it disputes of its
// donation, and the payments of which more than before went back twice. A donation's first payment has a row only when it
// was paid in another currency or something went back of it. The caller has locked the donations.
func bookPaymentsTx(ctx context.Context, tx pgx.Tx, movements []Movement, first []bool) (minor, disputed []int64, twice []paidBackTwice, err error) {
	minor, disputed = make([]int64, len(movements)), make([]int64, len(movements))
	var donations []uuid.UUID
	var intents []string
	for i, m := range movements {
		// The donation's own row describes a first payment in its currency, so that one needs no balance here.
		if m.PaymentIntent != "" && (!first[i] || m.PaidIn.Currency != "") {
			donations, intents = append(donations, m.Donation), append(intents, m.PaymentIntent)
		}
	}
	payments := map[paymentKey]*paymentBalance{}
	if len(donations) > 0 {
		if payments, err = readPaymentBalancesTx(ctx, tx, donations, intents); err != nil {
			return nil, nil, nil, err
		}
	}
	for i, m := range movements {
		p := payments[paymentKey{m.Donation, m.PaymentIntent}]
		if p == nil { // the payment is not known, or needs no row
			p = &paymentBalance{}
		}
		// What a movement adds to the donation is what it adds to the payment, as converted there.
		refunded, taken := p.refunded.minor, p.disputed.minor
		p.add(m)
		minor[i], disputed[i] = p.refunded.minor-refunded, p.disputed.minor-taken
		// Each visit to a closed page opens another page, so two can be paid. One of them can go back to the donor
		// while the donation stays received. The donation's refunded_minor therefore counts a surplus payment as a
		// refund of less than zero.
		if m.PaidMinor > 0 && !first[i] {
			p.surplus, p.method = true, m.Method
			minor[i] -= m.PaidMinor
		}
	}
	for key, p := range payments {
		// Only a loss that has grown is told.
		if now := p.twice(); now > p.wasTwiceMinor {
			twice = append(twice, paidBackTwice{key.donation, now, p.by})
		}
	}
	return minor, disputed, twice, storePaymentBalancesTx(ctx, tx, payments)
}

// readPaymentBalancesTx reads the balances of the payments. wasTwiceMinor is what was lost before this booking.
func readPaymentBalancesTx(ctx context.Context, tx pgx.Tx, donations []uuid.UUID, intents []string) (map[paymentKey]*paymentBalance, error) {
	rows, err := tx.Query(ctx, paymentBalancesSQL, pgx.NamedArgs{"donations": donations, "intents": intents})
	if err != nil {
		return nil, postgres.Error(err)
	}
	payments := map[paymentKey]*paymentBalance{}
	var key paymentKey
	var p paymentBalance
	_, err = pgx.ForEachRow(rows, []any{
		&key.donation, &key.intent, &p.donation.Minor, &p.donation.Currency, &p.surplus, &p.refunded.minor, &p.disputed.minor,
		&p.paidInMinor, &p.paidInCurrency, &p.refunded.inMinor, &p.disputed.inMinor, &p.method,
	}, func() error {
		// A copy, because ForEachRow scans each row into p.
		found := p
		found.wasTwiceMinor = p.twice()
		payments[key] = &found
		return nil
	})
	return payments, postgres.Error(err)
}

// storePaymentBalancesTx writes all of them. Their order is that of a map, which is harmless while the caller holds the
// locks of the donations.
func storePaymentBalancesTx(ctx context.Context, tx pgx.Tx, payments map[paymentKey]*paymentBalance) error {
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
	_, err := tx.Exec(ctx, storePaymentBalancesSQL, pgx.NamedArgs{
		"donations": donations, "intents": intents, "surplus": surplus, "refunded": refunded, "disputed": disputed,
		"paid_in": paidIn, "paid_in_currencies": currencies, "refunded_in": refundedIn, "disputed_in": disputedIn,
		"methods": methods,
	})
	return postgres.Error(err)
}

package refunds

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// refundable is one payment of a donation, with what went back of it and what is about to.
type refundable struct {
	// intent is the payment's.
	intent string
	// surplus: the donation was paid already.
	surplus bool
	// method is the payment method, Stripe's word; empty when it is not known.
	method string
	// paid is what the donor paid, in the currency in which Stripe refunds it.
	paid money.Amount
	// converted: paid is in another currency than the donation.
	converted bool
	// balanceMinor is what went back by Stripe's balance, in the donation's currency; balanceInMinor is the same in the currency
	// of paid if that is another one. refundsMinor is the sum of the refunds that are requested, under way or succeeded, in
	// the currency of paid.
	balanceMinor, balanceInMinor, refundsMinor int64
	// disputedMinor is what banks took by Stripe's balance.
	disputedMinor int64
	// barred: a dispute of it allows no refund, also one whose money is not booked yet.
	barred bool
}

// back is how much of what was paid went back or is about to. The balance and the stored refunds overlap, and either can be the
// first to know of a refund that was made at Stripe, so the larger sum counts. Stripe refuses what neither knows yet.
func (r refundable) back() money.Amount {
	balance := r.balanceMinor
	if r.converted {
		balance = r.balanceInMinor
	}
	return money.Amount{Minor: max(balance, r.refundsMinor), Currency: r.paid.Currency}
}

// Three parts, by payment intent: what the balance has of each payment, what stored refunds take, and which payments a
// dispute bars. Refunds in another currency than their payment's do not count here. The balances are read from
// payments_pkey, which begins with the donation, the refunds from refunds_donation_idx and the disputes from
// disputes_donation_idx. Every refund counts, also before it is sent, unless it is failed, rejected or canceled. A
// dispute without a payment intent is about the donation's own payment. The parts have zeros for what they do not know,
// so sums and maxima put them together. refundableSQL locks nothing: the caller holds the lock of the donation.
const refundableSQL = `
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
		FROM refunds.refunds AS r
		JOIN donations.donations AS d ON d.id = r.donation
		WHERE r.donation = @donation
			AND r.id <> @except
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
	FROM refunds.disputes AS p
	JOIN donations.donations AS d ON d.id = p.donation
	WHERE p.donation = @donation
		AND NOT p.refundable
) AS w
GROUP BY w.intent
ORDER BY
	surplus DESC,
	w.intent`

// refundableTx returns the payments of a donation: surplus payments first, then the donation's own, then those that are not
// known to be paid. The refund except is not counted. The caller has locked the donation.
func refundableTx(ctx context.Context, tx pgx.Tx, d donations.Donation, except uuid.UUID) ([]refundable, error) {
	rows, err := tx.Query(ctx, refundableSQL, pgx.NamedArgs{"donation": d.ID, "except": except})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r refundable, err error) {
		err = row.Scan(&r.intent, &r.surplus, &r.method, &r.paid.Minor, &r.paid.Currency, &r.balanceMinor, &r.balanceInMinor,
			&r.refundsMinor, &r.disputedMinor, &r.barred)
		// A payment without an amount of its own counts as made in the donation's currency, for the donation's amount.
		if r.paid.Minor == 0 {
			r.paid = d.Amount
		}
		r.converted = r.paid.Currency != d.Amount.Currency
		return r, err
	})
	return withOwn(d, found), postgres.Error(err)
}

// withOwn inserts the donation's own payment. Its balances are those of the donation less those of the others.
func withOwn(d donations.Donation, others []refundable) []refundable {
	// Without a row in payments the donation's own payment was made in its currency.
	own := refundable{intent: d.PaymentIntent, paid: d.Amount}
	if i := slices.IndexFunc(others, own.same); i >= 0 {
		own = others[i]
		others = slices.Delete(others, i, i+1)
	}
	own.surplus, own.method, own.balanceMinor, own.disputedMinor = false, d.PaymentMethod, d.RefundedMinor, d.DisputedMinor
	// The donation's sums include its surplus payments, each of which was booked as a negative refund of the whole amount.
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

// same reports whether both are of one payment.
func (r refundable) same(other refundable) bool { return r.intent == other.intent }

// paidOf returns the payments that paid the donation, of which a refund can be.
func paidOf(d donations.Donation, all []refundable) (paid []refundable) {
	for _, r := range all {
		if r.intent == d.PaymentIntent || r.surplus {
			paid = append(paid, r)
		}
	}
	return paid
}

// left is how much of the payment can still be refunded, in the currency of paid.
func (r refundable) left() money.Amount {
	return money.Amount{Minor: r.paid.Minor - r.back().Minor, Currency: r.paid.Currency}
}

// checkRefundable returns the payments that Stripe would refund. FAILED_PRECONDITION if there is none.
func checkRefundable(d donations.Donation, payments []refundable) (open []refundable, err error) {
	switch {
	case d.PayTime.IsZero():
		return nil, errs.New(errorsv1.ErrorReason_DONATION_NOT_PAID, "The donation is not paid, so it cannot be refunded.")
	case d.PaymentIntent == "":
		return nil, errs.New(errorsv1.ErrorReason_DONATION_NOT_AT_STRIPE, "The donation was not paid through Stripe, so Stripe cannot refund it.")
	}
	for _, r := range payments {
		if r.disputedMinor <= 0 && !r.barred {
			// The bank decides about a disputed payment. The donation's other payments can still be refunded.
			open = append(open, r)
		}
	}
	if len(open) == 0 {
		return nil, errs.New(errorsv1.ErrorReason_DONATION_DISPUTED, "The donor's bank disputes the donation. The bank decides whether the money goes back.")
	}
	return open, nil
}

// choose returns the first of the payments of which the amount is left; for the zero Amount, the first of which anything is
// left. FAILED_PRECONDITION (REFUND_TOO_LARGE) if there is none.
func choose(d donations.Donation, open []refundable, amount money.Amount) (refundable, error) {
	// The most that one payment has left in this currency, for the error.
	most := money.Amount{Currency: cmp.Or(amount.Currency, d.Amount.Currency)}
	for _, r := range open {
		left := r.left()
		if amount.Currency != "" && left.Currency != amount.Currency {
			continue
		}
		// At least one unit, so that a request without an amount finds a payment of which something is left.
		if left.Minor >= max(amount.Minor, 1) {
			return r, nil
		}
		if left.Currency == most.Currency {
			most.Minor = max(most.Minor, left.Minor)
		}
	}
	return refundable{}, errs.New(errorsv1.ErrorReason_REFUND_TOO_LARGE, "At most %s of the donation can be refunded at once.", most)
}

// needsApproval reports whether a second member must approve a refund of this amount. All refunds of a donation count together,
// so that many small refunds do not evade the threshold. If the threshold is in another currency than a refund, every refund
// needs approval; without a threshold none does.
func needsApproval(all []refundable, amount, threshold money.Amount) bool {
	if threshold.Currency == "" {
		return false
	}
	for _, r := range all {
		back := r.back()
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

// refundOf returns the payment that a request is of, and the amount, which is all that is left of it unless the request has one.
// A surplus payment with enough left comes before the donation's own.
func refundOf(d donations.Donation, in Request, all []refundable, disconnected error) (payment refundable, amount money.Amount, err error) {
	amount = in.Amount
	payments := paidOf(d, all)
	currencies := []string{}
	for _, r := range payments {
		if code := string(r.paid.Currency); code != "" && !slices.Contains(currencies, code) {
			currencies = append(currencies, code)
		}
	}
	if amount != (money.Amount{}) && !slices.Contains(currencies, string(amount.Currency)) {
		e := errs.New(errorsv1.ErrorReason_CURRENCY_MISMATCH, "A payment is refunded in the currency that it was paid in.")
		e.Fields = []errs.Field{{Field: "refund.amount.currency_code", Description: "must be the currency of the payment: " + strings.Join(currencies, " or ")}}
		return payment, amount, e
	}
	// An unpaid or disputed donation is reported before a disconnected account, in the order that Create promises.
	open, err := checkRefundable(d, payments)
	if err == nil {
		err = disconnected
	}
	if err != nil {
		return payment, amount, err
	}
	if payment, err = choose(d, open, amount); err == nil && amount == (money.Amount{}) {
		amount = payment.left()
	}
	return payment, amount, err
}

// claimOn returns the claim on one of the donation's payments. The time of a surplus payment is not stored, so it counts as made
// now.
func claimOn(d donations.Donation, payment refundable, now time.Time) Claim {
	if payment.surplus {
		return claimOf(payment.method, now)
	}
	return claimOf(payment.method, d.PayTime)
}

package webhooks

import (
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// meaning says how the gross amount of a balance transaction is booked, and what it does to its donation. The other
// side is always Stripe's balance.
type meaning struct {
	kind string
	// role is the account of the other side.
	role ledger.AccountRole
	// payment: it belongs to a payment. If that is no donation of ours, the other side is unknown receipts.
	payment bool
	// paid: the donation was paid. back: it was refunded.
	paid, back bool
	// disputed: the donor's bank took the money back, or returned it.
	disputed bool
	// family names the pot of types that hold money back and release it; empty for other types.
	family string
}

var (
	donation = meaning{kind: ledger.KindDonation, role: ledger.RoleDonations, payment: true, paid: true}
	refund   = meaning{kind: ledger.KindRefund, role: ledger.RoleRefunds, payment: true, back: true}
	dispute  = meaning{kind: ledger.KindDispute, role: ledger.RoleDisputes, payment: true, disputed: true}
	payout   = meaning{kind: ledger.KindPayout, role: ledger.RoleTransit}
	ownFee   = meaning{kind: ledger.KindFee, role: ledger.RoleStripeFees}
	// topUp passes through transit. Its other side is a line of the bank's statement.
	topUp = meaning{kind: ledger.KindTopUp, role: ledger.RoleTransit}
	// unclassified is booked to unknown receipts until a treasurer classifies it. It is for products of Stripe's that a
	// collective does not use by itself.
	unclassified = meaning{kind: ledger.KindOther, role: ledger.RoleUnknownReceipts}
)

// hold is the meaning of types that hold money back or release it. The pot of a family is empty in the end.
func hold(family string) meaning {
	return meaning{kind: ledger.KindOther, role: ledger.RoleTransit, family: family}
}

// meanings has every type of balance transaction that Stripe documents,
// https://docs.stripe.com/reports/balance-transaction-types. A failed refund or payout and a won dispute are the same
// with the other sign. Reserves and payouts pass through transit, which returns to zero when they are released or reach
// the bank.
var meanings = map[string]meaning{
	"charge":                 donation,
	"payment":                donation,
	"refund":                 refund,
	"refund_failure":         refund,
	"payment_refund":         refund,
	"payment_failure_refund": refund,
	"payment_reversal":       refund,
	"issuing_dispute":        unclassified,

	"payout":         payout,
	"payout_cancel":  payout,
	"payout_failure": payout,

	"topup":                     topUp,
	"topup_reversal":            topUp,
	"inbound_transfer":          topUp,
	"inbound_transfer_reversal": topUp,

	"stripe_fee":    ownFee,
	"stripe_fx_fee": ownFee,
	"tax_fee":       ownFee,
	// Credits towards Stripe's fees, and taxes on them.
	"fee_credit_funding": ownFee,
	"tax_fund":           ownFee,

	"reserve_transaction":             hold("reserve"),
	"reserved_funds":                  hold("reserve"),
	"reserve_hold":                    hold("reserve"),
	"reserve_release":                 hold("reserve"),
	"payment_network_reserve_hold":    hold("payment_network_reserve"),
	"payment_network_reserve_release": hold("payment_network_reserve"),
	"payout_minimum_balance_hold":     hold("minimum_balance"),
	"payout_minimum_balance_release":  hold("minimum_balance"),
	"issuing_authorization_hold":      hold("issuing_authorization"),
	"issuing_authorization_release":   hold("issuing_authorization"),

	// Money that Stripe lends and takes back. Unknown receipts return to zero when all is paid back.
	"advance":                unclassified,
	"advance_funding":        unclassified,
	"anticipation_repayment": unclassified,
	// Purchases from other users of Stripe's, paid with the balance.
	"stripe_balance_payment_debit":          unclassified,
	"stripe_balance_payment_debit_reversal": unclassified,

	"adjustment":                   unclassified, // unless its category is known, see meaningOf
	"application_fee":              unclassified,
	"application_fee_refund":       unclassified,
	"climate_order_purchase":       unclassified,
	"climate_order_refund":         unclassified,
	"connect_collection_transfer":  unclassified,
	"contribution":                 unclassified,
	"issuing_transaction":          unclassified,
	"obligation_inbound":           unclassified,
	"obligation_outbound":          unclassified,
	"obligation_payout":            unclassified,
	"obligation_payout_failure":    unclassified,
	"obligation_reversal_inbound":  unclassified,
	"obligation_reversal_outbound": unclassified,
	"payment_unreconciled":         unclassified,
	"transfer":                     unclassified,
	"transfer_cancel":              unclassified,
	"transfer_failure":             unclassified,
	"transfer_refund":              unclassified,
}

// meaningOf returns the meaning of a balance transaction. documented is false for a type that Stripe has added since.
func meaningOf(t stripe.BalanceTransaction) (m meaning, documented bool) {
	if t.Type == "adjustment" {
		switch t.Category {
		case "dispute", "dispute_reversal":
			return dispute, true
		case "refund_failure":
			return refund, true
		case "fee", "tax":
			return ownFee, true
		}
	}
	if m, documented = meanings[t.Type]; !documented {
		return unclassified, false
	}
	return m, true
}

package webhooks

import (
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// meaning says how a balance transaction's gross amount is booked, and what it does to its donation. The other
// side is always Stripe's balance.
type meaning struct {
	kind string
	// role is the other side.
	role ledger.AccountRole
	// payment: it belongs to one payment. When that is no donation of ours, its other side is unknown receipts.
	payment bool
	// paid, back: the donation's money came, or went back.
	paid, back bool
	// disputed: the donor's bank took it back, or gave it again.
	disputed bool
	// family: what is held back and released by these types is one pot; empty for what is no hold.
	family string
}

var (
	donation = meaning{kind: ledger.KindDonation, role: ledger.RoleDonations, payment: true, paid: true}
	refund   = meaning{kind: ledger.KindRefund, role: ledger.RoleRefunds, payment: true, back: true}
	dispute  = meaning{kind: ledger.KindDispute, role: ledger.RoleDisputes, payment: true, disputed: true}
	payout   = meaning{kind: ledger.KindPayout, role: ledger.RoleTransit}
	ownFee   = meaning{kind: ledger.KindFee, role: ledger.RoleStripeFees}
	// topUp passes through transit: its other side is a line of the bank's statement.
	topUp = meaning{kind: ledger.KindTopUp, role: ledger.RoleTransit}
	// explain waits for the treasurer: products of Stripe's that a collective does not use by itself.
	unclassified = meaning{kind: ledger.KindOther, role: ledger.RoleUnknownReceipts}
)

// hold is money that Stripe holds back, or releases. All of one family is one pot, which is empty in the end.
func hold(family string) meaning {
	return meaning{kind: ledger.KindOther, role: ledger.RoleTransit, family: family}
}

// meanings has every type of balance transaction that Stripe documents,
// https://docs.stripe.com/reports/balance-transaction-types. A refund or payout that fails, and a dispute
// that is won, are the same with the other sign. Reserves and payouts pass through transit, which returns
// to zero when they are released or reach the bank.
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
	// What Stripe gives towards its fees, and takes for the taxes on them.
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

	// Money that Stripe lends and takes back: it is owed until then, and on the account of what is to be explained it
	// comes to nothing when all is paid back.
	"advance":                unclassified,
	"advance_funding":        unclassified,
	"anticipation_repayment": unclassified,
	// What was bought with the balance from another user of Stripe's, only its buyer knows.
	"stripe_balance_payment_debit":          unclassified,
	"stripe_balance_payment_debit_reversal": unclassified,

	"adjustment":                   unclassified, // but see meaningOf
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

// meaningOf looks a balance transaction up; documented is false for a type that Stripe has invented since.
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

package webhooks

import (
	"math/big"
	"regexp"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
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
	explain = meaning{kind: ledger.KindOther, role: ledger.RoleUnknownReceipts}
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
	"issuing_dispute":        explain,

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
	"advance":                explain,
	"advance_funding":        explain,
	"anticipation_repayment": explain,
	// What was bought with the balance from another user of Stripe's, only its buyer knows.
	"stripe_balance_payment_debit":          explain,
	"stripe_balance_payment_debit_reversal": explain,

	"adjustment":                   explain, // but see meaningOf
	"application_fee":              explain,
	"application_fee_refund":       explain,
	"climate_order_purchase":       explain,
	"climate_order_refund":         explain,
	"connect_collection_transfer":  explain,
	"contribution":                 explain,
	"issuing_transaction":          explain,
	"obligation_inbound":           explain,
	"obligation_outbound":          explain,
	"obligation_payout":            explain,
	"obligation_payout_failure":    explain,
	"obligation_reversal_inbound":  explain,
	"obligation_reversal_outbound": explain,
	"payment_unreconciled":         explain,
	"transfer":                     explain,
	"transfer_cancel":              explain,
	"transfer_failure":             explain,
	"transfer_refund":              explain,
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
		return explain, false
	}
	return m, true
}

// posting is what one balance transaction becomes.
type posting struct {
	// of is the balance transaction.
	of          stripe.BalanceTransaction
	transaction ledger.Transaction
	// conversion has no rate when the money came in the balance's currency.
	conversion ledger.Conversion
	// movement is for the donation; its Donation is Nil when there is none.
	movement donations.Movement
	// unattributed: it is about a payment that is no donation of ours.
	unattributed bool
	// held is the donation whose payment passes through transit, and how far that is; Nil for none.
	held    uuid.UUID
	transit donations.Transit
	// stranger is a payment that looks like a donation's and is none; its Donation is Nil when there is none.
	stranger donations.Stranger
	// undocumented: its type is unknown.
	undocumented bool
}

// empty reports whether there is nothing to book: Stripe has balance transactions of nothing.
func (p posting) empty() bool { return len(p.transaction.Entries) == 0 }

// post turns a balance transaction into its ledger transaction, which has its id as reference. owner is the
// collective that what belongs to no donation is booked to; empty for nobody's.
//
// Nothing here may depend on the time or on what else is known: the same balance transaction must become
// the same transaction each time.
func post(t stripe.BalanceTransaction, match donations.Match, owner string) posting {
	m, documented := meaningOf(t)
	p := posting{of: t, undocumented: !documented, conversion: conversion(t)}
	dimensions := ledger.Entry{Collective: owner}
	role, kind := m.role, m.kind
	if m.paid && match.Donation != uuid.Nil && !match.IsPaidBy(paid(t)) {
		p.stranger, match = stranger(t, match.Donation), donations.Match{}
	}
	switch {
	case m.payment && match.Donation != uuid.Nil:
		dimensions = ledger.Entry{
			Collective: match.Campaign.Collective, Campaign: match.Campaign.Campaign, Donation: match.Donation,
		}
		switch {
		case m.paid && match.UnderWay && match.HeldTime.Equal(t.Created):
			return arrival(p, t, dimensions, movement(t, m, match))
		case t.Source.PaymentIntent == "":
			p.movement = movement(t, m, match)
		case m.paid && (t.Source.Status == stripe.ChargePending || t.Source.Status == stripe.ChargeFailed):
			p.held = match.Donation
			if t.Source.Status == stripe.ChargeFailed {
				p.transit = donations.TransitFailed
			}
			role, kind = ledger.RoleTransit, ledger.KindOther
		case t.Type == "payment_failure_refund" && (match.UnderWay || !match.Booked):
			p.held, p.transit, role, kind = match.Donation, donations.TransitFailed, ledger.RoleTransit, ledger.KindOther
		default:
			p.movement = movement(t, m, match)
		}
	case m.payment:
		p.unattributed, role, kind = true, ledger.RoleUnknownReceipts, ledger.KindOther
	}
	currency := money.Currency(t.Currency)
	entry := func(role ledger.AccountRole, minor int64) {
		if minor == 0 {
			return
		}
		e := dimensions
		e.Role, e.Amount = role, money.Amount{Minor: minor, Currency: currency}
		p.transaction.Entries = append(p.transaction.Entries, e)
	}
	p.transaction.Reference, p.transaction.Kind, p.transaction.Effective = t.ID, kind, t.Created
	entry(ledger.RoleStripeBalance, t.Amount)
	entry(role, -t.Amount)
	for _, fee := range fees(t) {
		entry(ledger.RoleStripeFees, fee)
	}
	entry(ledger.RoleStripeBalance, -t.Fee)
	return p
}

// arrivalSuffix makes the reference of an arrival from that of its balance transaction, of which Stripe has one alone.
const arrivalSuffix = "_arrived"

// arrival turns what came into transit into the donation, once its bank has answered. Some debits are in Stripe's balance
// before, and go out of it again when they fail: until then the donation is under way, and is not received.
// https://docs.stripe.com/reports/balance-transaction-types
func arrival(p posting, t stripe.BalanceTransaction, dimensions ledger.Entry, move donations.Movement) posting {
	if t.Source.Status == stripe.ChargePending || t.Source.Status == stripe.ChargeFailed {
		return p // nothing new
	}
	p.conversion, p.movement, p.held, p.transit = ledger.Conversion{}, move, move.Donation, donations.TransitArrived
	p.transaction.Reference, p.transaction.Kind, p.transaction.Effective = t.ID+arrivalSuffix, ledger.KindDonation, t.Created
	from, to := dimensions, dimensions
	from.Role, from.Amount = ledger.RoleTransit, money.Amount{Minor: t.Amount, Currency: money.Currency(t.Currency)}
	to.Role, to.Amount = ledger.RoleDonations, money.Amount{Minor: -t.Amount, Currency: money.Currency(t.Currency)}
	p.transaction.Entries = []ledger.Entry{from, to}
	return p
}

// paid is what the donor paid; what arrived when Stripe does not tell.
func paid(t stripe.BalanceTransaction) money.Amount {
	if t.Source.Currency == "" {
		return money.Amount{Minor: t.Amount, Currency: money.Currency(t.Currency)}
	}
	return money.Amount{Minor: t.Source.Amount, Currency: money.Currency(t.Source.Currency)}
}

func stranger(t stripe.BalanceTransaction, claim uuid.UUID) donations.Stranger {
	return donations.Stranger{Donation: claim, PaymentIntent: t.Source.PaymentIntent, Transaction: t.ID, Paid: paid(t)}
}

// ratePattern is a JSON number that is not negative, with an exponent that no computer minds.
var (
	ratePattern = regexp.MustCompile(`^[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?$`)
	maxRate     = big.NewRat(1_000_000_000, 1)
)

// conversion is kept beside the transaction. A rate that is none explains nothing, and must not keep the money
// from being booked.
func conversion(t stripe.BalanceTransaction) (c ledger.Conversion) {
	rate, isNumber := new(big.Rat), ratePattern.MatchString(t.ExchangeRate)
	if isNumber {
		rate.SetString(t.ExchangeRate)
	}
	if rate.Sign() <= 0 || rate.Cmp(maxRate) >= 0 {
		return c
	}
	c.Reference, c.Rate = t.ID, t.ExchangeRate
	if t.Source.Currency != "" && t.Source.Currency != t.Currency {
		c.Original = money.Amount{Minor: t.Source.Amount, Currency: money.Currency(t.Source.Currency)}
		// Refunds and disputes say how much, and the balance says which way.
		if t.Amount < 0 {
			c.Original.Minor = -t.Source.Amount
		}
	}
	return c
}

// fees returns the parts of the fee, Stripe's, an application's, tax, as Stripe tells them. Where they do
// not add up to the fee in its own currency, the whole is one part: the fee is what moved.
func fees(t stripe.BalanceTransaction) []int64 {
	var parts []int64
	var sum int64
	for _, f := range t.Fees {
		if f.Currency != t.Currency {
			return []int64{t.Fee}
		}
		parts = append(parts, f.Amount)
		sum += f.Amount
	}
	if sum != t.Fee {
		return []int64{t.Fee}
	}
	return parts
}

func movement(t stripe.BalanceTransaction, m meaning, match donations.Match) donations.Movement {
	move := donations.Movement{
		Donation:      match.Donation,
		PaymentIntent: t.Source.PaymentIntent,
		Charge:        t.Source.Charge,
		Method:        t.Source.Method,
		At:            t.Created,
		Back:          !m.paid && t.Amount > 0,
	}
	// By what the source says that it is, and never by how its id looks.
	switch t.Source.Object {
	case "refund":
		move.Refund = t.Source.ID
	case "dispute":
		move.Dispute = t.Source.ID
	}
	original := conversion(t).Original
	switch {
	case m.paid:
		move.PaidMinor, move.SettledIn = match.Amount.Minor, money.Currency(t.Currency)
		if match.Asked.Currency != match.Amount.Currency {
			move.PaidIn = match.Asked
		}
	case m.back:
		move.RefundedMinor, move.RefundedIn = gone(t, original, match)
	case m.disputed:
		move.DisputedMinor, move.DisputedIn = gone(t, original, match)
	}
	return move
}

// gone is what went of the donation, in its currency and in the one that the donor paid in. Converted money cannot be
// compared with the donation's amount, but what the refund or the dispute says of itself.
func gone(t stripe.BalanceTransaction, original money.Amount, match donations.Match) (minor int64, in money.Amount) {
	switch {
	case t.Amount == 0: // a fee alone
		return 0, money.Amount{}
	case original.Currency == match.Amount.Currency:
		return -original.Minor, money.Amount{}
	case original.Currency == "" && money.Currency(t.Currency) != match.Amount.Currency: // the balance has what the donor paid
		return 0, money.Amount{Minor: -t.Amount, Currency: money.Currency(t.Currency)}
	}
	if money.Currency(t.Currency) == match.Amount.Currency {
		minor = -t.Amount
	}
	return minor, money.Amount{Minor: -original.Minor, Currency: original.Currency}
}

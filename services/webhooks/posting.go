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

// posting is what a balance transaction is booked as.
type posting struct {
	// of is the balance transaction.
	of          stripe.BalanceTransaction
	transaction ledger.Transaction
	// conversion has no rate when the money came in the balance's currency.
	conversion ledger.Conversion
	// movement is the change of the donation; its Donation is Nil when there is none.
	movement donations.Movement
	// unattributed: it is about a payment that is no donation of ours.
	unattributed bool
	// held is the donation whose payment is in transit, and transit its state; Nil for none.
	held    uuid.UUID
	transit donations.Transit
	// stranger is a payment that claims to be a donation's and is not; its Donation is Nil when there is none.
	stranger donations.RefusedPayment
	// undocumented: the type is unknown.
	undocumented bool
}

// empty reports whether there is nothing to book. Stripe has balance transactions of zero.
func (p posting) empty() bool { return len(p.transaction.Entries) == 0 }

// post turns a balance transaction into a ledger transaction with its id as reference. owner is the collective of what
// belongs to no donation; empty for none.
//
// The result depends on the arguments alone: the same balance transaction becomes the same transaction each time.
func post(t stripe.BalanceTransaction, match donations.Match, owner string) posting {
	m, documented := meaningOf(t)
	p := posting{of: t, undocumented: !documented, conversion: conversion(t)}
	dimensions := ledger.Entry{Collective: owner}
	role, kind := m.role, m.kind
	// Another amount does not pay the donation. The money becomes an unknown receipt, and the payment is noted as
	// refused.
	if m.paid && match.Donation != uuid.Nil && !match.IsPaidBy(paidAmount(t)) {
		p.stranger, match = stranger(t, match.Donation), donations.Match{}
	}
	switch {
	case m.payment && match.Donation != uuid.Nil:
		dimensions = ledger.Entry{
			Collective: match.Campaign.Collective, Campaign: match.Campaign.Campaign, Donation: match.Donation,
		}
		switch {
		// The books have this charge in transit, under its own id. Only its arrival is left to book.
		case m.paid && match.UnderWay && match.HeldTime.Equal(t.Created):
			return arrival(p, t, dimensions, movement(t, m, match))
		case t.Source.PaymentIntent == "":
			p.movement = movement(t, m, match)
		// The money is in Stripe's balance before the donor's bank has answered, or although it refused. It is in
		// transit.
		case m.paid && (t.Source.Status == stripe.ChargePending || t.Source.Status == stripe.ChargeFailed):
			p.held = match.Donation
			if t.Source.Status == stripe.ChargeFailed {
				p.transit = donations.TransitFailed
			}
			role, kind = ledger.RoleTransit, ledger.KindOther
		// A debit that never arrived in the books leaves transit again. One that had arrived is refunded, below.
		case t.Type == "payment_failure_refund" && (match.UnderWay || !match.Booked):
			p.held, p.transit, role, kind = match.Donation, donations.TransitFailed, ledger.RoleTransit, ledger.KindOther
		default:
			p.movement = movement(t, m, match)
		}
	// It belongs to a payment that is no donation of ours.
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
	// The gross amount and its other side come first, which divideAmong relies on. The fee follows with its own two
	// sides.
	entry(ledger.RoleStripeBalance, t.Amount)
	entry(role, -t.Amount)
	for _, fee := range fees(t) {
		entry(ledger.RoleStripeFees, fee)
	}
	entry(ledger.RoleStripeBalance, -t.Fee)
	return p
}

// arrivalSuffix is appended to the id of a balance transaction, for the second ledger transaction of a debit in
// transit.
const arrivalSuffix = "_arrived"

// arrival books a payment in transit as received, once the donor's bank has answered. Some debits are in Stripe's
// balance before, and leave it again when they fail; until then the donation is not received.
// https://docs.stripe.com/reports/balance-transaction-types
func arrival(p posting, t stripe.BalanceTransaction, dimensions ledger.Entry, move donations.Movement) posting {
	if t.Source.Status == stripe.ChargePending || t.Source.Status == stripe.ChargeFailed {
		return p // still in transit
	}
	p.conversion, p.movement, p.held, p.transit = ledger.Conversion{}, move, move.Donation, donations.TransitArrived
	p.transaction.Reference, p.transaction.Kind, p.transaction.Effective = t.ID+arrivalSuffix, ledger.KindDonation, t.Created
	from, to := dimensions, dimensions
	from.Role, from.Amount = ledger.RoleTransit, money.Amount{Minor: t.Amount, Currency: money.Currency(t.Currency)}
	to.Role, to.Amount = ledger.RoleDonations, money.Amount{Minor: -t.Amount, Currency: money.Currency(t.Currency)}
	p.transaction.Entries = []ledger.Entry{from, to}
	return p
}

// paidAmount is what the donor paid, or what arrived if Stripe does not tell.
func paidAmount(t stripe.BalanceTransaction) money.Amount {
	if t.Source.Currency == "" {
		return money.Amount{Minor: t.Amount, Currency: money.Currency(t.Currency)}
	}
	return money.Amount{Minor: t.Source.Amount, Currency: money.Currency(t.Source.Currency)}
}

func stranger(t stripe.BalanceTransaction, claim uuid.UUID) donations.RefusedPayment {
	return donations.RefusedPayment{Donation: claim, PaymentIntent: t.Source.PaymentIntent, Transaction: t.ID, Paid: paidAmount(t)}
}

// ratePattern is a JSON number that is not negative, with an exponent that no computer minds.
var (
	// ratePattern is a JSON number that is not negative, with a small exponent.
	ratePattern = regexp.MustCompile(`^[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?$`)
	maxRate     = big.NewRat(1_000_000_000, 1)
)

// conversion is stored beside the transaction. An invalid rate is left out, and does not keep the money from being
// booked.
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
		// Refunds and disputes have an amount without a sign; the balance transaction has the sign.
		if t.Amount < 0 {
			c.Original.Minor = -t.Source.Amount
		}
	}
	return c
}

// fees returns the parts of the fee as Stripe tells them: Stripe's, an application's, tax. If they do not sum to the
// fee in its own currency, the whole fee is one part.
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
	// The kind is what the source says, never what its id begins with.
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
		move.RefundedMinor, move.RefundedIn = returnedAmount(t, original, match)
	case m.disputed:
		move.DisputedMinor, move.DisputedIn = returnedAmount(t, original, match)
	}
	return move
}

// returnedAmount is what was returned of the donation, in its own currency and in the currency that the donor paid in.
// Converted money cannot be compared with the donation's amount, so the amount of the refund or dispute itself is used.
func returnedAmount(t stripe.BalanceTransaction, original money.Amount, match donations.Match) (minor int64, in money.Amount) {
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

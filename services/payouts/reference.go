package payouts

import (
	"strings"
)

// BankReference is the reference of the ledger transaction by which a payout reaches the bank. No balance transaction
// has such an id.
func BankReference(payout string) string { return ReferencePrefix + payout }

// ReturnReference is the reference of the reversal of that transaction, when a paid payout failed.
func ReturnReference(payout string) string { return BankReference(payout) + returnedSuffix }

// OfReference returns the payout of such a reference, and whether it is a [ReturnReference].
func OfReference(reference string) (payout string, returned bool) {
	return strings.CutSuffix(strings.TrimPrefix(reference, ReferencePrefix), returnedSuffix)
}

const returnedSuffix = "-returned"

// ReferencePrefix begins both references, and no id of Stripe's.
const ReferencePrefix = "payout:"

package payouts

import (
	"strings"
)

// BankReference is the reference of the ledger transaction by which a payout reaches the bank, and
// ReturnReference of the one by which a paid payout that failed leaves it. No balance transaction has such an id.
func BankReference(payout string) string { return ReferencePrefix + payout }

// ReturnReference is the counterpart of [BankReference].
func ReturnReference(payout string) string { return BankReference(payout) + returnedSuffix }

// OfReference is the payout of such a reference, and whether it is the second one.
func OfReference(reference string) (payout string, returned bool) {
	return strings.CutSuffix(strings.TrimPrefix(reference, ReferencePrefix), returnedSuffix)
}

const returnedSuffix = "-returned"

// ReferencePrefix is what those references begin with, and no id of Stripe's.
const ReferencePrefix = "payout:"

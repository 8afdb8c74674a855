package payouts

import (
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/money"
)

// Payout is a payout of Stripe's, from an account's balance to its bank account.
type Payout struct {
	// Account is the Stripe account; empty for the platform's own. ID is Stripe's, po_….
	Account, ID string
	// Amount is the whole payout; negative when the bank was debited.
	Amount money.Amount
	// Share is the part of the collective that was asked for; otherwise the whole.
	Share money.Amount
	State stripe.PayoutStatus
	// Automatic: Stripe made it, and tells what is inside.
	Automatic bool
	// Arrival is the day on which the bank has it, at midnight UTC.
	Arrival, Created time.Time
	// Transaction is the payout's own balance transaction. FailureTransaction is the one by which it was returned;
	// empty when it was not.
	Transaction, FailureTransaction string
	// BankTime is when the line at the bank was posted, ReconcileTime when the payout was last compared with the books.
	// Zero: not yet.
	BankTime, ReconcileTime time.Time
	// Reconciliation is the result of the comparison.
	Reconciliation Reconciliation
	// Findings are the present differences. A collective that has a share only does not see them.
	Findings []Finding

	// listable: its contents can be listed at Stripe. contentsAfter is where the listing continues. contentsRead: it is
	// complete.
	listable      bool
	contentsAfter string
	contentsRead  bool
	attempts      int
	// bankedAt and reconciledAt are nil when they have not happened.
	bankedAt, reconciledAt *time.Time
}

// rank orders the states. An answer with a lower rank than the stored state is older and changes nothing.
func rank(s stripe.PayoutStatus) int {
	switch s {
	case stripe.PayoutPending:
		return 0
	case stripe.PayoutInTransit:
		return 1
	case stripe.PayoutPaid:
		return 2
	default:
		return 3
	}
}

package payouts

import (
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/money"
)

// Payout is money on its way from a Stripe account's balance to its bank account.
type Payout struct {
	// Account is the Stripe account; empty for the platform's own. ID is Stripe's, po_….
	Account, ID string
	// Amount is the whole payout's, negative when the bank was debited.
	Amount money.Amount
	// Share is the part that was asked for, the whole when nobody's was.
	Share money.Amount
	State stripe.PayoutStatus
	// Automatic: Stripe made it, and knows what is inside.
	Automatic bool
	// Arrival is the day on which the bank has it, at midnight UTC.
	Arrival, Created time.Time
	// Transaction is its own balance transaction, FailureTransaction the one by which it came back; empty: none.
	Transaction, FailureTransaction string
	// BankTime is when the bank's line was posted, ReconcileTime when all was last compared with the books; zero:
	// not yet.
	BankTime, ReconcileTime time.Time
	// Reconciliation is what the comparison said.
	Reconciliation Reconciliation
	// Findings are what differs now. Somebody who sees a share only is not told which transactions.
	Findings []Finding

	// listable: its contents can be listed at Stripe. contentsAfter is where the reading goes on; contentsRead:
	// it is whole.
	listable      bool
	contentsAfter string
	contentsRead  bool
	attempts      int
	// bankedAt and reconciledAt are NULL in the database when they have not come.
	bankedAt, reconciledAt *time.Time
}

// rank orders the states: a reading that is older than what is known changes nothing.
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

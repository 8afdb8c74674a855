package refunds

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/money"
)

// State is how far a refund is.
type State string

// The states of a refund.
const (
	// StateAwaitingApproval: a second member must approve it.
	StateAwaitingApproval State = "awaiting_approval"
	// StateApproved: a job sends it to Stripe.
	StateApproved State = "approved"
	// StateSubmitted: it may have reached Stripe, whose answer is not known.
	StateSubmitted State = "submitted"
	// StatePending: Stripe accepted it, and no money moved yet.
	StatePending State = "pending"
	// StateSucceeded: it is on its way to the donor, and can still fail.
	StateSucceeded State = "succeeded"
	// StateFailed: Stripe refused it, or the money came back.
	StateFailed State = "failed"
	// StateRejected: a second member rejected it.
	StateRejected State = "rejected"
	// StateCanceled: it was canceled, here or at Stripe.
	StateCanceled State = "canceled"
)

// next returns the states that a refund can go to from s. The trigger refunds.check_refund_change has the same
// table.
func (s State) next() []State {
	switch s {
	case StateAwaitingApproval:
		return []State{StateApproved, StateRejected, StateCanceled}
	case StateApproved:
		return []State{StateSubmitted, StateCanceled}
	case StateSubmitted:
		return []State{StatePending, StateSucceeded, StateFailed, StateCanceled}
	case StatePending:
		return []State{StateSucceeded, StateFailed, StateCanceled}
	case StateSucceeded:
		return []State{StateFailed, StateCanceled}
	}
	return nil
}

// CanBecome reports whether a refund can go from s to next in one step. Staying is no step.
func (s State) CanBecome(next State) bool { return slices.Contains(s.next(), next) }

// Unfinished reports whether the refund must still be sent to Stripe or read there. One that succeeded is finished, since a
// later failure shows in the balance.
func (s State) Unfinished() bool {
	return s == StateApproved || s == StateSubmitted || s == StatePending
}

// stateOf returns the state for Stripe's status. An unknown status is pending.
func stateOf(s stripe.RefundStatus) State {
	switch s {
	case stripe.RefundSucceeded:
		return StateSucceeded
	case stripe.RefundFailed:
		return StateFailed
	case stripe.RefundCanceled:
		return StateCanceled
	}
	return StatePending
}

// Reason is why a donation is refunded. It is empty for a refund that was made at Stripe without one.
type Reason string

// The reasons.
const (
	ReasonRequestedByDonor Reason = "requested_by_donor"
	ReasonDuplicate        Reason = "duplicate"
	ReasonFraudulent       Reason = "fraudulent"
	ReasonOther            Reason = "other"
)

// stripe is Stripe's word for the reason; empty for none.
func (r Reason) stripe() string {
	switch r {
	case ReasonRequestedByDonor:
		return "requested_by_customer"
	case ReasonDuplicate, ReasonFraudulent:
		return string(r)
	}
	return ""
}

// reasonOf returns the reason for Stripe's word. An unknown word is ReasonOther.
func reasonOf(stripeWord string) Reason {
	switch stripeWord {
	case "requested_by_customer":
		return ReasonRequestedByDonor
	case "duplicate", "fraudulent":
		return Reason(stripeWord)
	case "":
		return ""
	}
	return ReasonOther
}

// Refund is a refund of one payment of a donation, or of a part of it.
type Refund struct {
	ID       uuid.UUID
	Campaign campaigns.Name
	Donation uuid.UUID
	// StripeAccount is the donation's.
	StripeAccount string
	// AtStripe: it was made in Stripe's dashboard, or by Stripe itself.
	AtStripe bool
	// Amount is in the currency that the payment was paid in.
	Amount money.Amount
	Reason Reason
	// Note is for the books. It does not say who gave.
	Note string
	// RequestedBy and ReviewedBy are names of API keys; empty for nobody.
	RequestedBy, ReviewedBy string
	State                   State
	// StripeRefund is Stripe's id; empty until Stripe has answered.
	StripeRefund string
	// FailureReason is ours, in capitals, when Stripe did not accept it, else Stripe's word; empty unless it failed.
	FailureReason          string
	CreateTime, UpdateTime time.Time
	// SubmitTime is when it was first sent; zero before.
	SubmitTime time.Time
	// Claim is until when the donor's bank can take the same payment back.
	Claim Claim

	fingerprint []byte
	attempt     int
	// paymentIntent is the payment that it is of.
	paymentIntent string
}

// Name returns the resource name, that of the donation and `/refunds/{refund}`.
func (r Refund) Name() string {
	return donations.Donation{Campaign: r.Campaign, ID: r.Donation}.Name() + "/refunds/" + r.ID.String()
}

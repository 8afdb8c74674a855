package donations

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/money"
)

// RefundState is how far a refund is.
type RefundState string

// The states of a refund.
const (
	// RefundAwaitingApproval needs a second member.
	RefundAwaitingApproval RefundState = "awaiting_approval"
	// RefundApproved is to be sent to Stripe.
	RefundApproved RefundState = "approved"
	// RefundSubmitted may have reached Stripe.
	RefundSubmitted RefundState = "submitted"
	// RefundPending was accepted; no money moved yet.
	RefundPending RefundState = "pending"
	// RefundSucceeded is on its way to the donor, and can still fail.
	RefundSucceeded RefundState = "succeeded"
	// RefundFailed did not happen, or came back.
	RefundFailed RefundState = "failed"
	// RefundRejected was refused by a second member.
	RefundRejected RefundState = "rejected"
	// RefundCanceled was called off.
	RefundCanceled RefundState = "canceled"
)

// next returns the states that a refund can go to from s. The trigger donations.check_refund_change has the same
// table.
func (s RefundState) next() []RefundState {
	switch s {
	case RefundAwaitingApproval:
		return []RefundState{RefundApproved, RefundRejected, RefundCanceled}
	case RefundApproved:
		return []RefundState{RefundSubmitted, RefundCanceled}
	case RefundSubmitted:
		return []RefundState{RefundPending, RefundSucceeded, RefundFailed, RefundCanceled}
	case RefundPending:
		return []RefundState{RefundSucceeded, RefundFailed, RefundCanceled}
	case RefundSucceeded:
		return []RefundState{RefundFailed, RefundCanceled}
	}
	return nil
}

// CanBecome reports whether a refund can go from s to next in one step. Staying is no step.
func (s RefundState) CanBecome(next RefundState) bool { return slices.Contains(s.next(), next) }

// Unfinished reports whether Stripe has still to be asked or told: a refund that succeeded is not, since its
// failure shows in the balance.
func (s RefundState) Unfinished() bool {
	return s == RefundApproved || s == RefundSubmitted || s == RefundPending
}

// refundState is Stripe's word in ours. One that is new to us is not the end.
func refundState(s stripe.RefundStatus) RefundState {
	switch s {
	case stripe.RefundSucceeded:
		return RefundSucceeded
	case stripe.RefundFailed:
		return RefundFailed
	case stripe.RefundCanceled:
		return RefundCanceled
	}
	return RefundPending
}

// RefundReason is why a gift is given back. It is empty for a refund that was made at Stripe without one.
type RefundReason string

// The reasons.
const (
	ReasonRequestedByDonor RefundReason = "requested_by_donor"
	ReasonDuplicate        RefundReason = "duplicate"
	ReasonFraudulent       RefundReason = "fraudulent"
	ReasonOther            RefundReason = "other"
)

// stripe is the reason in Stripe's words; empty where it has none.
func (r RefundReason) stripe() string {
	switch r {
	case ReasonRequestedByDonor:
		return "requested_by_customer"
	case ReasonDuplicate, ReasonFraudulent:
		return string(r)
	}
	return ""
}

func refundReason(stripeWord string) RefundReason {
	switch stripeWord {
	case "requested_by_customer":
		return ReasonRequestedByDonor
	case "duplicate", "fraudulent":
		return RefundReason(stripeWord)
	case "":
		return ""
	}
	return ReasonOther
}

// Refund is a gift, or a part of it, on its way back.
type Refund struct {
	ID       uuid.UUID
	Campaign campaigns.Name
	Donation uuid.UUID
	// StripeAccount is the gift's.
	StripeAccount string
	// AtStripe: it was made in Stripe's dashboard, or by Stripe itself, and not by a member here.
	AtStripe bool
	Amount   money.Amount
	Reason   RefundReason
	// Note is for the books.
	Note string
	// RequestedBy and ReviewedBy are names of API keys; empty for nobody.
	RequestedBy, ReviewedBy string
	State                   RefundState
	// StripeRefund is Stripe's id; empty until Stripe has answered.
	StripeRefund string
	// FailureReason is ours, in capitals, when Stripe did not accept it, else Stripe's; empty unless it failed.
	FailureReason          string
	CreateTime, UpdateTime time.Time
	// SubmitTime is zero until it was first sent.
	SubmitTime time.Time

	fingerprint []byte
	attempt     int
	// paymentIntent is that of the payment that it is of.
	paymentIntent string
}

// Name returns the resource name, that of the gift and `/refunds/{refund}`.
func (r Refund) Name() string {
	return Donation{Campaign: r.Campaign, ID: r.Donation}.Name() + "/refunds/" + r.ID.String()
}

// RefundRequest is a member's wish to give a gift back.
type RefundRequest struct {
	Campaign  campaigns.Name
	Donation  uuid.UUID
	RequestID uuid.UUID
	// Amount is how much; zero for all that is left.
	Amount money.Amount
	Reason RefundReason
	Note   string
	// Key is the resource name of the API key that asks.
	Key string
}

// fingerprint is a hash of what a request id stands for, over an injective encoding.
func (in RefundRequest) fingerprint() []byte {
	h := sha256.New()
	var number [8]byte
	binary.BigEndian.PutUint64(number[:], uint64(in.Amount.Minor))
	h.Write(number[:])
	for _, text := range []string{string(in.Amount.Currency), string(in.Reason), in.Note} {
		binary.BigEndian.PutUint64(number[:], uint64(len(text)))
		h.Write(number[:])
		h.Write([]byte(text))
	}
	return h.Sum(nil)
}

package refunds

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/google/uuid"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/errs"
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

// RefundReason is why a donation is given back. It is empty for a refund that was made at Stripe without one.
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

// Refund is a donation, or a part of it, on its way back.
type Refund struct {
	ID       uuid.UUID
	Campaign campaigns.Name
	Donation uuid.UUID
	// StripeAccount is the donation's.
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
	// Claim is until when the donor's bank can take the same payment back.
	Claim Claim

	fingerprint []byte
	attempt     int
	// paymentIntent is that of the payment that it is of.
	paymentIntent string
}

// Name returns the resource name, that of the donation and `/refunds/{refund}`.
func (r Refund) Name() string {
	return donations.Donation{Campaign: r.Campaign, ID: r.Donation}.Name() + "/refunds/" + r.ID.String()
}

// RefundRequest is a member's wish to give a donation back.
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
	// AllowDebit: it may be of a SEPA debit, which the donor's bank can take back as well.
	AllowDebit bool
}

// Claim is until when a donor's bank can take a payment back, whatever else became of it; zero for one that is no SEPA
// debit. https://docs.stripe.com/payments/sepa-debit#disputed-payments
type Claim struct {
	// Any is without a reason: eight weeks. Unauthorized is when the donor says that the debit was none of theirs:
	// thirteen months.
	Any, Unauthorized time.Time
}

// methodDebit is Stripe's word for a SEPA debit.
const methodDebit = "sepa_debit"

// claimOf is the claim on what was paid by the method at that time.
func claimOf(method string, paid time.Time) Claim {
	if method != methodDebit || paid.IsZero() {
		return Claim{}
	}
	return Claim{Any: paid.AddDate(0, 0, 8*7), Unauthorized: paid.AddDate(0, 13, 0)}
}

// check is FAILED_PRECONDITION (DEBIT_CAN_BE_CLAIMED) while the bank can still take the payment back.
func (c Claim) check(now time.Time) error {
	switch {
	case !now.Before(c.Unauthorized): // also when there is none
		return nil
	case now.Before(c.Any):
		return errs.New(errorsv1.ErrorReason_DEBIT_CAN_BE_CLAIMED, "The donation was paid by SEPA debit. Until %s the donor’s bank can take it back as well, "+
			"without giving a reason, and until %s if the donor says that they did not authorise it: then it is paid back twice. Ask the donor not "+
			"to claim it at their bank, and set allow_debit to refund it all the same.", c.Any.Format(time.DateOnly), c.Unauthorized.Format(time.DateOnly))
	}
	return errs.New(errorsv1.ErrorReason_DEBIT_CAN_BE_CLAIMED, "The donation was paid by SEPA debit. Until %s the donor’s bank can take it back as well, if "+
		"the donor says that they did not authorise it: then it is paid back twice. Ask the donor not to claim it at their bank, and set "+
		"allow_debit to refund it all the same.", c.Unauthorized.Format(time.DateOnly))
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

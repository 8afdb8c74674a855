package webhooks

import (
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// State is what became of an event.
type State string

// The states of an event.
const (
	// StateReceived is stored, to be applied.
	StateReceived State = "received"
	// StateApplied is done.
	StateApplied State = "applied"
	// StateIgnored has nothing for us.
	StateIgnored State = "ignored"
	// StateFailed was tried in vain, and is tried again until it is given up.
	StateFailed State = "failed"
)

// Reasons why an event is ignored.
const (
	reasonUnknownType    = "UNKNOWN_TYPE"
	reasonOtherLivemode  = "OTHER_LIVEMODE"
	reasonUnknownAccount = "UNKNOWN_ACCOUNT"
	reasonNotOurs        = "NOT_OURS"
)

// Event is a stored event. What it said stays inside.
type Event struct {
	ID         string
	Account    string
	Type       string
	State      State
	Attempts   int
	Reason     string
	Created    time.Time
	Received   time.Time
	FinishTime time.Time // zero until it is applied or ignored

	object stripe.Object
	// apart: it names a donation whose own page is not known yet, which is asked for before.
	apart bool
}

// Endpoint is where an event came in. Each has secrets of its own.
type Endpoint int

// The two endpoints.
const (
	// EndpointPlatform gets the events of the platform's own account.
	EndpointPlatform Endpoint = iota + 1
	// EndpointConnect gets those of connected accounts, which name their account.
	EndpointConnect
)

// step is what it takes to apply an event.
type step string

const (
	// stepSession moves a donation, by what the event says of its Checkout Session.
	stepSession step = "session"
	// stepDecline counts a payment that was refused on its donation.
	stepDecline step = "decline"
	// stepObject names an object that is to be read again, by the reader of its kind.
	stepObject step = "object"
	// stepHint says that money moved: the next sync sees it.
	stepHint step = "hint"
	stepNone step = "none"
)

const (
	typeCompleted      = "checkout.session.completed"
	typeAsyncSucceeded = "checkout.session.async_payment_succeeded"
	typeAsyncFailed    = "checkout.session.async_payment_failed"
	typeExpired        = "checkout.session.expired"
	typeDeclined       = "payment_intent.payment_failed"
	typeProcessing     = "payment_intent.processing"
	typeAuthorized     = "account.application.authorized"
	typeDeauthorized   = "account.application.deauthorized"
)

// steps are the event types that matter. All others are stored and ignored: payment_intent.succeeded, for instance,
// says nothing that a session or a charge does not say as well. stripe-go v76 has no constant for some.
var steps = map[string]step{
	typeCompleted:      stepSession,
	typeAsyncSucceeded: stepSession,
	typeAsyncFailed:    stepSession,
	typeExpired:        stepSession,
	typeDeclined:       stepDecline,
	// A debit is at the bank. Of a single donation its session says so.
	typeProcessing: stepObject,

	typeAuthorized:   stepNone,
	typeDeauthorized: stepNone,

	"account.updated": stepObject,

	"charge.succeeded":                  stepHint,
	"charge.updated":                    stepHint,
	"charge.captured":                   stepHint,
	"charge.refunded":                   stepObject,
	"charge.refund.updated":             stepObject,
	"refund.created":                    stepObject,
	"refund.updated":                    stepObject,
	"refund.failed":                     stepObject,
	"charge.dispute.created":            stepObject,
	"charge.dispute.updated":            stepObject,
	"charge.dispute.closed":             stepObject,
	"charge.dispute.funds_withdrawn":    stepObject,
	"charge.dispute.funds_reinstated":   stepObject,
	"radar.early_fraud_warning.created": stepObject,
	"radar.early_fraud_warning.updated": stepObject,
	"payout.created":                    stepObject,
	"payout.updated":                    stepObject,
	"payout.paid":                       stepObject,
	"payout.failed":                     stepObject,
	"payout.canceled":                   stepObject,
	"payout.reconciliation_completed":   stepObject,
	// invoice.payment_succeeded says what invoice.paid says, and other invoice events say nothing of money.
	"invoice.paid":                  stepObject,
	"invoice.payment_failed":        stepObject,
	"customer.subscription.created": stepObject,
	"customer.subscription.updated": stepObject,
	"customer.subscription.deleted": stepObject,
	"topup.succeeded":               stepHint,
	"topup.reversed":                stepHint,
}

// sort says what is to be done with an event, and what its object says if that is needed; a reason that is not empty
// means: ignore it.
func sort(e stripe.Event, livemode bool) (s step, o stripe.Object, ignore string) {
	s, known := steps[e.Type]
	switch {
	// A live Connect endpoint also gets test events.
	case e.Livemode != livemode:
		return stepNone, o, reasonOtherLivemode
	// Only a connected account can be disconnected.
	case !known, s == stepNone && e.Account == "":
		return stepNone, o, reasonUnknownType
	}
	o = e.Object()
	if s == stepSession && o.Session == nil || s == stepObject && o.ID == "" || e.Type == typeProcessing && o.Invoice == "" {
		return stepNone, stripe.Object{}, reasonUnknownType
	}
	return s, o, ""
}

const (
	firstRetry = 5 * time.Second
	maxRetry   = time.Hour
	// giveUpAfter tries are about twelve hours. Money does not depend on it: the sync books what an event
	// could not say.
	giveUpAfter = 20
)

// retryPause is how long an event that failed that often waits; nil when it is given up.
func retryPause(attempts int) *time.Duration {
	if attempts >= giveUpAfter {
		return nil
	}
	pause := min(firstRetry<<min(attempts-1, 20), maxRetry)
	return &pause
}

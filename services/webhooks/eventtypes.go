package webhooks

import (
	"slices"

	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// step is what it takes to apply an event. It is stored.
type step string

const (
	// stepSession changes a donation by what the event says of its Checkout Session.
	stepSession step = "session"
	// stepDecline counts a declined payment on its donation.
	stepDecline step = "decline"
	// stepResource names a resource that is read again at Stripe, by the reader of its kind.
	stepResource step = "resource"
	// stepHint says that money moved. The next sync sees it.
	stepHint step = "hint"
	// stepNone needs no work, or is done when the event is received.
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
// adds nothing to what its session or charge says. stripe-go v76 has no constant for some of them.
var steps = map[string]step{
	typeCompleted:      stepSession,
	typeAsyncSucceeded: stepSession,
	typeAsyncFailed:    stepSession,
	typeExpired:        stepSession,
	typeDeclined:       stepDecline,
	// A debit is at the bank. For a single donation its session says so.
	typeProcessing: stepResource,

	typeAuthorized:   stepNone,
	typeDeauthorized: stepNone,

	"account.updated": stepResource,

	"charge.succeeded":                  stepHint,
	"charge.updated":                    stepHint,
	"charge.captured":                   stepHint,
	"charge.refunded":                   stepResource,
	"charge.refund.updated":             stepResource,
	"refund.created":                    stepResource,
	"refund.updated":                    stepResource,
	"refund.failed":                     stepResource,
	"charge.dispute.created":            stepResource,
	"charge.dispute.updated":            stepResource,
	"charge.dispute.closed":             stepResource,
	"charge.dispute.funds_withdrawn":    stepResource,
	"charge.dispute.funds_reinstated":   stepResource,
	"radar.early_fraud_warning.created": stepResource,
	"radar.early_fraud_warning.updated": stepResource,
	"payout.created":                    stepResource,
	"payout.updated":                    stepResource,
	"payout.paid":                       stepResource,
	"payout.failed":                     stepResource,
	"payout.canceled":                   stepResource,
	"payout.reconciliation_completed":   stepResource,
	// invoice.payment_succeeded says what invoice.paid says, and other invoice events say nothing of money.
	"invoice.paid":                  stepResource,
	"invoice.payment_failed":        stepResource,
	"customer.subscription.created": stepResource,
	"customer.subscription.updated": stepResource,
	"customer.subscription.deleted": stepResource,
	"topup.succeeded":               stepHint,
	"topup.reversed":                stepHint,
}

// classify returns what to do with an event, and what the event says of its resource when that is needed. ignore is the
// reason for ignoring it, or empty.
func classify(e stripe.Event, livemode bool) (s step, o stripe.Resource, ignore string) {
	s, known := steps[e.Type]
	switch {
	// A live Connect endpoint also gets test events.
	case e.Livemode != livemode:
		return stepNone, o, reasonOtherLivemode
	// Only a connected account can be disconnected.
	case !known, s == stepNone && e.Account == "":
		return stepNone, o, reasonUnknownType
	}
	o = e.Resource()
	if s == stepSession && o.Session == nil || s == stepResource && o.ID == "" || e.Type == typeProcessing && o.Invoice == "" {
		return stepNone, stripe.Resource{}, reasonUnknownType
	}
	return s, o, ""
}

// unsubscribed are event types that are handled, but that a webhook endpoint of our API version cannot subscribe to.
// There charge.refund.updated says the same.
var unsubscribed = []string{"refund.failed"}

// EventTypes returns the event types that an endpoint must subscribe to, sorted.
func EventTypes(endpoint Endpoint) []string {
	var types []string
	for kind, step := range steps {
		// Only a connected account can be disconnected.
		if step == stepNone && endpoint != EndpointConnect || slices.Contains(unsubscribed, kind) {
			continue
		}
		types = append(types, kind)
	}
	slices.Sort(types)
	return types
}

package webhooks

import "slices"

// unsubscribed are event types that are understood, and that an endpoint of the API version we speak cannot ask
// for: charge.refund.updated says the same there.
var unsubscribed = []string{"refund.failed"}

// EventTypes returns the types that Stripe must send to an endpoint, sorted.
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

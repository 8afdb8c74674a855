package stripesim

import "time"

// subscriptionData is subscription_data of a session.
var subscriptionData = opt(hash(schema{
	"description":             opt(text(500)),
	"metadata":                opt(metadata),
	"application_fee_percent": elsewhere, "billing_cycle_anchor": elsewhere, "default_tax_rates": elsewhere,
	"invoice_settings": elsewhere, "on_behalf_of": elsewhere, "proration_behavior": elsewhere, "transfer_data": elsewhere,
	"trial_end": elsewhere, "trial_period_days": elsewhere, "trial_settings": elsewhere,
}))

// checkSubscriptionSession refuses what Stripe takes in payment mode only, and what is not simulated.
func checkSubscriptionSession(p params) *apiError {
	if err := onlyInPaymentMode(p); err != nil {
		return err
	}
	if len(p.list("line_items")) > 1 {
		return notSimulated("a subscription of more than one item")
	}
	return nil
}

// onlyInPaymentMode refuses the parameters that belong to a single payment.
func onlyInPaymentMode(p params) *apiError {
	for _, name := range []string{"customer_creation", "payment_intent_data", "submit_type"} {
		if p.has(name) {
			return invalid("", name, "You can not pass `%s` in `%s` mode.", name, p.str("mode"))
		}
	}
	return nil
}

// checkRecurring holds a line item's price against the session's mode. name is the line item's, for the message. A
// subscription has a recurring price, a payment has none.
func checkRecurring(mode, name string, price params) *apiError {
	switch {
	case mode == modePayment && price.has("recurring"):
		return invalid("", name, "You specified `payment` mode but passed a recurring price. Either switch to "+
			"`subscription` mode or use only one-time prices.")
	case mode == modeSubscription && !price.has("recurring"):
		return invalid("", "", "You must provide at least one recurring price in `subscription` mode when using prices.")
	case mode == modeSubscription && price.obj("recurring").str("interval") != "month":
		return notSimulated("an interval that is no month")
	}
	return nil
}

// renderSubscription changes what a session of a subscription shows: no payment intent, and what it made once it
// is complete.
func (se *session) renderSubscription(o document) {
	o["mode"], o["customer_creation"], o["payment_method_collection"] = modeSubscription, "always", "always"
	o["payment_intent"], o["submit_type"], o["invoice_creation"] = nil, nil, nil
	if se.Status == sessionComplete {
		o["customer"], o["subscription"], o["invoice"] = se.CustomerID, se.SubscriptionID, se.InvoiceID
	}
}

// subscriptionIntent is the payment intent of a session's first invoice, which the first attempt makes. The first
// attempt also creates customer, subscription and invoice, and later attempts find them. The customer's name is a
// placeholder until an attempt brings its own.
func (s *Sim) subscriptionIntent(w *world, se *session, by request, now time.Time) *intent {
	if se.SubscriptionID == "" {
		s.startSubscription(w, se, se.payer("", ""), by, now)
	}
	return w.Intents.byID[w.Invoices.byID[se.InvoiceID].IntentID]
}

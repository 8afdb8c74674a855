package stripesim

import (
	"net/http"
	"time"
)

// States of a subscription, https://docs.stripe.com/api/subscriptions/object#subscription_object-status.
const (
	subIncomplete        = "incomplete"
	subIncompleteExpired = "incomplete_expired"
	subActive            = "active"
	subPastDue           = "past_due"
	subCanceled          = "canceled"
)

const (
	dueSubscriptionCycle  = "subscription_cycle"
	dueSubscriptionExpiry = "subscription_expiry"
	// incompleteLife is how long a first payment may take,
	// https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses.
	incompleteLife = 23 * time.Hour
)

// Why a subscription was canceled.
const (
	reasonRequested     = "cancellation_requested"
	reasonPaymentFailed = "payment_failed"
)

// subscription charges a customer each period until it is canceled. It has one item. Periods are counted from Created,
// so that a month with fewer days does not shift the later ones. Canceled and incomplete_expired are final. Times are
// Unix seconds.
type subscription struct {
	ID         string            `json:"id"`
	Created    int64             `json:"created"`
	Status     string            `json:"status"`
	CustomerID string            `json:"customer_id"`
	MethodID   string            `json:"method_id,omitempty"` // charged by renewals; "" until the first is paid
	ItemID     string            `json:"item_id"`
	Item       lineItem          `json:"item"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	// Periods is how many periods have begun. The current one lasts from Start to End.
	Periods           int    `json:"periods"`
	Start             int64  `json:"start"`
	End               int64  `json:"end"`
	CancelAtPeriodEnd bool   `json:"cancel_at_period_end,omitempty"`
	CancelAt          int64  `json:"cancel_at,omitempty"` // another end than the period's
	Pause             *pause `json:"pause,omitempty"`
	CanceledAt        int64  `json:"canceled_at,omitempty"`
	EndedAt           int64  `json:"ended_at,omitempty"`
	Reason            string `json:"reason,omitempty"` // why it was canceled
	LatestInvoiceID   string `json:"latest_invoice_id,omitempty"`
	// Presented is the donor's own currency, when it is not the price's (Adaptive Pricing).
	Presented *exchange `json:"presented,omitempty"`
}

func (sub *subscription) key() (string, int64) { return sub.ID, sub.Created }

// ended is for ever. Past due and incomplete subscriptions have not ended.
func (sub *subscription) ended() bool {
	return sub.Status == subCanceled || sub.Status == subIncompleteExpired
}

// startSubscription creates what the first attempt to pay a session creates: the customer, the subscription and its
// first invoice, open. The events come in the order customer, subscription, invoice. A first payment that does not
// arrive within incompleteLife expires the subscription.
func (s *Sim) startSubscription(w *world, se *session, who donor, by request, now time.Time) *subscription {
	cu := newCustomer(who, se.Currency, now)
	w.Customers.add(cu)
	sub := &subscription{
		ID: newID("sub_1", 23), Created: now.Unix(), Status: subIncomplete, CustomerID: cu.ID, ItemID: newID("si_", 14),
		Item: se.Items[0], Metadata: se.SubscriptionMetadata, Periods: 1, Start: now.Unix(),
	}
	sub.End = sub.Item.Recurring.after(sub.Created, sub.Periods)
	// The donor's currency applies to every later invoice too, at the rate of the session.
	if se.Source != nil {
		sub.Presented = &exchange{To: se.Currency, Rate: se.Source.FXRate}
	}
	w.Subscriptions.add(sub)
	se.CustomerID, se.SubscriptionID = cu.ID, sub.ID
	s.emit(w, "customer.created", cu.render(), nil, by, now)
	inv := w.newInvoice(sub, "subscription_create", now)
	se.InvoiceID = inv.ID
	s.emit(w, "customer.subscription.created", sub.render(), nil, by, now)
	s.emit(w, "invoice.created", inv.render(w), nil, by, now)
	s.finalize(w, inv, by, now)
	s.agenda.add(due{At: now.Add(incompleteLife), Kind: dueSubscriptionExpiry, Account: w.ID, ID: sub.ID})
	return sub
}

// paySubscription pays a session of a subscription. A declined card leaves the subscription incomplete, and the next
// attempt pays the same invoice.
func (s *Sim) paySubscription(w *world, se *session, m *paymentMethod, by request, now time.Time) error {
	sub, inv := w.Subscriptions.byID[se.SubscriptionID], w.Invoices.byID[se.InvoiceID]
	// Each attempt may bring another name and country, and the last one counts.
	w.Customers.byID[se.CustomerID].Donor = m.Donor
	w.PaymentMethods.add(m)
	if declined := s.attempt(w, inv, m, cards[m.Number].decline, by, now); declined != nil {
		s.emit(w, "invoice.payment_failed", inv.render(w), nil, by, now)
		return declined
	}
	s.activate(w, sub, m, by, now)
	s.emitPaid(w, inv, by, now)
	se.Status, se.Donor = sessionComplete, &m.Donor
	s.emit(w, "checkout.session.completed", se.render(), nil, request{}, now)
	return nil
}

// activate starts a subscription whose first payment arrived or is in progress. From now on its payment method is
// charged by the renewals, the first at the end of the period.
func (s *Sim) activate(w *world, sub *subscription, m *paymentMethod, by request, now time.Time) {
	sub.Status, sub.MethodID = subActive, m.ID
	s.agenda.add(due{At: time.Unix(sub.End, 0), Kind: dueSubscriptionCycle, Account: w.ID, ID: sub.ID})
	s.emit(w, "customer.subscription.updated", sub.render(), document{"default_payment_method": nil, "status": subIncomplete}, by, now)
}

// expireSubscription ends a subscription whose first payment did not arrive. It is called at the end of incompleteLife,
// and when the first debit failed. A debit that is still at the bank holds it back.
func (s *Sim) expireSubscription(w *world, sub *subscription, now time.Time) {
	inv := w.Invoices.byID[sub.LatestInvoiceID]
	if sub.Status != subIncomplete || w.Intents.byID[inv.IntentID].Status == intentProcessing {
		return
	}
	sub.Status, sub.EndedAt = subIncompleteExpired, now.Unix()
	inv.Status, inv.VoidedAt, inv.AutoAdvance = invoiceVoid, now.Unix(), false
	s.emit(w, "customer.subscription.updated", sub.render(), document{"status": subIncomplete}, request{}, now)
	s.emit(w, "invoice.voided", inv.render(w), nil, request{}, now)
}

// cycle begins the next period, or ends a subscription that ends with this one. The invoice is a draft for an hour.
// https://docs.stripe.com/billing/invoices/subscription#subscription-lifecycle
func (s *Sim) cycle(w *world, sub *subscription, now time.Time) {
	switch {
	case sub.ended():
		return
	case sub.CancelAtPeriodEnd, sub.CancelAt != 0 && sub.CancelAt <= now.Unix():
		s.endSubscription(w, sub, sub.Reason, request{}, now)
		return
	}
	// A pause that ends at this very second must not leave the new invoice uncollected, whichever of the two is
	// performed first.
	s.resumeOnTime(w, sub, now)
	// previous has the values before the change, which the event shows as previous_attributes.
	previous := document{
		"current_period_end": sub.End, "current_period_start": sub.Start, "latest_invoice": sub.LatestInvoiceID,
	}
	sub.Periods++
	sub.Start, sub.End = sub.End, sub.Item.Recurring.after(sub.Created, sub.Periods)
	inv := w.newInvoice(sub, "subscription_cycle", now)
	// A paused subscription gets these entries too; chargeFirst leaves alone an invoice that is not to be collected.
	s.agenda.add(due{At: now.Add(draftLife), Kind: dueInvoiceFinal, Account: w.ID, ID: inv.ID})
	s.agenda.add(due{At: time.Unix(sub.End, 0), Kind: dueSubscriptionCycle, Account: w.ID, ID: sub.ID})
	s.emit(w, "invoice.created", inv.render(w), nil, request{}, now)
	if sub.Pause != nil {
		s.leaveUncollected(w, sub, inv, now)
	}
	s.emit(w, "customer.subscription.updated", sub.render(), previous, request{}, now)
}

// endSubscription ends a subscription now. Unpaid invoices are not tried again.
func (s *Sim) endSubscription(w *world, sub *subscription, reason string, by request, now time.Time) {
	sub.Status, sub.EndedAt, sub.Reason = subCanceled, now.Unix(), reason
	// It is set already when the end was announced before, as with cancel_at_period_end.
	if sub.CanceledAt == 0 {
		sub.CanceledAt = now.Unix()
	}
	// Open and draft invoices keep their status. Only their collection ends.
	for _, inv := range w.Invoices.rows {
		if inv.SubscriptionID == sub.ID && (inv.Status == invoiceOpen || inv.Status == invoiceDraft) {
			inv.AutoAdvance, inv.NextAttempt = false, 0
		}
	}
	s.emit(w, "customer.subscription.deleted", sub.render(), nil, by, now)
}

// setStatus changes a running subscription's status and announces it. A status that is the same already is no change,
// and emits nothing.
func (s *Sim) setStatus(w *world, sub *subscription, status string, now time.Time) {
	if sub.Status == status {
		return
	}
	previous := document{"status": sub.Status}
	sub.Status = status
	s.emit(w, "customer.subscription.updated", sub.render(), previous, request{}, now)
}

// subscription finds the subscription of the path in the account of the call. An ended one is found too.
func (c *call) subscription() (*subscription, *apiError) {
	id := c.http.PathValue("id")
	sub, ok := c.world.Subscriptions.get(id)
	if !ok {
		return nil, noSuch(http.StatusNotFound, "subscription", id, "id")
	}
	return sub, nil
}

func (s *Sim) getSubscription(c *call) (document, *apiError) {
	sub, err := c.subscription()
	if err != nil {
		return nil, err
	}
	return sub.render(), nil
}

// cancelSubscription is DELETE: now, and for ever. Stripe does not find a subscription that has ended, so a repeat of
// the call gets a 404.
func (s *Sim) cancelSubscription(c *call) (document, *apiError) {
	sub, err := c.subscription()
	if err == nil && sub.ended() {
		err = noSuch(http.StatusNotFound, "subscription", sub.ID, "id")
	}
	if err != nil {
		return nil, err
	}
	s.endSubscription(c.world, sub, reasonRequested, c.request, c.now)
	return sub.render(), nil
}

// subscriptionListParams: https://docs.stripe.com/api/subscriptions/list?api-version=2023-10-16.
var subscriptionListParams = listParams(schema{
	"status":   opt(oneOf(subActive, "all", subCanceled, "ended", subIncomplete, subIncompleteExpired, subPastDue, "paused", "trialing", "unpaid")),
	"customer": elsewhere, "price": elsewhere, "automatic_tax": elsewhere, "collection_method": elsewhere,
	"current_period_end": elsewhere, "current_period_start": elsewhere, "test_clock": elsewhere,
})

// listSubscriptions leaves out those that ended, unless they are asked for.
func (s *Sim) listSubscriptions(c *call) (document, *apiError) {
	status := c.params.str("status")
	return listPage(&c.world.Subscriptions, c.params, "/v1/subscriptions", "subscription", func(sub *subscription) bool {
		// all and ended are no states, but filters of Stripe's.
		switch status {
		case "":
			return !sub.ended()
		case "all":
			return true
		case "ended":
			return sub.ended()
		}
		return sub.Status == status
	}, (*subscription).render)
}

// subscriptionUpdateParams: https://docs.stripe.com/api/subscriptions/update?api-version=2023-10-16. A new price is
// made by price_data, for the product that the subscription has. Everything else about the item is refused.
var subscriptionUpdateParams = schema{
	"cancel_at_period_end": opt(boolean),
	"proration_behavior":   opt(oneOf("always_invoice", "create_prorations", "none")),
	"items": opt(list(hash(schema{
		"id": opt(text(0)),
		"price_data": opt(hash(schema{
			"currency":    req(text(3)),
			"product":     req(text(0)),
			"unit_amount": opt(integer(0, maxAmount)),
			"recurring": req(hash(schema{
				"interval": req(oneOf("day", "month", "week", "year")), "interval_count": opt(integer(1, 1000)),
			})),
			"tax_behavior":        opt(oneOf("exclusive", "inclusive", "unspecified")),
			"unit_amount_decimal": elsewhere,
		})),
		"quantity":           opt(integer(0, 999_999)),
		"billing_thresholds": elsewhere, "clear_usage": elsewhere, "deleted": elsewhere, "metadata": elsewhere,
		"price": elsewhere, "tax_rates": elsewhere,
	}), 20)),
	"expand": opt(list(text(0), 0)),
	"pause_collection": opt(unset(hash(schema{
		"behavior":   req(oneOf(string(PauseKeepsDrafts), string(PauseGivesInvoicesUp), string(PauseVoidsInvoices))),
		"resumes_at": opt(timestamp),
	}))),
	"add_invoice_items": elsewhere, "application_fee_percent": elsewhere, "automatic_tax": elsewhere,
	"billing_cycle_anchor": elsewhere, "billing_thresholds": elsewhere, "cancel_at": elsewhere,
	"cancellation_details": elsewhere, "collection_method": elsewhere, "coupon": elsewhere, "days_until_due": elsewhere,
	"default_payment_method": elsewhere, "default_source": elsewhere, "default_tax_rates": elsewhere,
	"description": elsewhere, "metadata": elsewhere, "off_session": elsewhere, "on_behalf_of": elsewhere,
	"payment_behavior": elsewhere, "payment_settings": elsewhere,
	"pending_invoice_item_interval": elsewhere, "promotion_code": elsewhere, "proration_date": elsewhere,
	"transfer_data": elsewhere, "trial_end": elsewhere, "trial_from_plan": elsewhere, "trial_settings": elsewhere,
}

// updateSubscription changes the price of later periods, whether the subscription ends with its period, and whether its
// invoices are collected. Nothing is
// changed before all parameters are checked. A call that changes nothing emits no event.
func (s *Sim) updateSubscription(c *call) (document, *apiError) {
	sub, err := c.subscription()
	if err != nil {
		return nil, err
	}
	if sub.ended() {
		return nil, refused("", "", "A canceled subscription can only update its cancellation_details and metadata.")
	}
	item, err := c.newItem(sub)
	if err != nil {
		return nil, err
	}
	previous := document{}
	// An invoice has a copy of the item, so only those of later periods have the new price.
	if item != nil {
		previous["items"], previous["plan"] = sub.renderItems(), sub.Item.renderPlan()
		sub.Item = *item
	}
	if c.params.has("cancel_at_period_end") && c.params.flag("cancel_at_period_end") != sub.CancelAtPeriodEnd {
		sub.setCancelAtPeriodEnd(c.params.flag("cancel_at_period_end"), previous, c.now)
	}
	if c.params.has("pause_collection") {
		s.changePause(sub, newPause(c.params.obj("pause_collection")), previous, c.world)
	}
	if len(previous) > 0 {
		s.emit(c.world, "customer.subscription.updated", sub.render(), previous, c.request, c.now)
	}
	return sub.render(), nil
}

// setCancelAtPeriodEnd notes in previous what it changes. All four members count as changed, even where one is the
// same. A date set by CancelAt is removed.
func (sub *subscription) setCancelAtPeriodEnd(cancel bool, previous document, now time.Time) {
	o := sub.render()
	for _, name := range []string{"cancel_at", "cancel_at_period_end", "canceled_at", "cancellation_details"} {
		previous[name] = o[name]
	}
	sub.CancelAtPeriodEnd, sub.CancelAt, sub.CanceledAt, sub.Reason = cancel, 0, 0, ""
	if cancel {
		sub.CanceledAt, sub.Reason = now.Unix(), reasonRequested
	}
}

// newItem is the subscription's one item with another price or quantity; nil when neither was sent.
func (c *call) newItem(sub *subscription) (*lineItem, *apiError) {
	items := c.params.list("items")
	if len(items) == 0 {
		return nil, nil
	}
	item := items[0].(params)
	price := item.obj("price_data")
	amount, hasAmount := price.num("unit_amount")
	quantity, hasQuantity := item.num("quantity")
	// A copy: the subscription changes only when everything was accepted.
	next := sub.Item
	if hasQuantity {
		next.Quantity = quantity
	}
	// What would prorate, add an item or change the interval is not simulated and is refused, with Stripe's own errors
	// where Stripe has one.
	switch {
	case len(items) > 1, !item.has("id"):
		return nil, notSimulated("a second item")
	case item.str("id") != sub.ItemID:
		return nil, noSuch(http.StatusBadRequest, "subscription item", item.str("id"), "items[0][id]")
	case hasQuantity && c.params.str("proration_behavior") != "none":
		return nil, notSimulated("a proration")
	case price == nil && hasQuantity:
		return &next, nil
	case price == nil:
		return nil, nil
	case price.str("product") != sub.Item.ProductID:
		return nil, noSuch(http.StatusBadRequest, "product", price.str("product"), "items[0][price_data][product]")
	case price.str("currency") != sub.Item.Currency:
		return nil, invalid("", "items[0][price_data][currency]", "The price specified only supports `%s`. This doesn't match the "+
			"expected currency: `%s`.", price.str("currency"), sub.Item.Currency)
	case !hasAmount:
		return nil, missingParam("items[0][price_data][unit_amount]")
	case price.obj("recurring").str("interval") != "month":
		return nil, notSimulated("an interval that is no month")
	case c.params.str("proration_behavior") != "none":
		return nil, notSimulated("a proration")
	}
	// A price never changes at Stripe; another amount is another price.
	next.PriceID, next.Created, next.UnitAmount = newID("price_1", 23), c.now.Unix(), amount
	if recurring := newRecurrence(price.obj("recurring")); *recurring != *sub.Item.Recurring {
		return nil, notSimulated("another interval")
	}
	return &next, nil
}

// subscriptionRoutes are the calls about subscriptions and what belongs to them.
func (s *Sim) subscriptionRoutes() []route {
	return []route{
		{"GET /v1/subscriptions", "subscription", true, subscriptionListParams, s.listSubscriptions},
		{"GET /v1/subscriptions/{id}", "subscription", false, expandOnly, s.getSubscription},
		{"POST /v1/subscriptions/{id}", "subscription", false, subscriptionUpdateParams, s.updateSubscription},
		{"DELETE /v1/subscriptions/{id}", "subscription", false, expandOnly, s.cancelSubscription},
		{"GET /v1/invoices", "invoice", true, invoiceListParams, s.listInvoices},
		{"GET /v1/invoices/{id}", "invoice", false, expandOnly, s.getInvoice},
		{"GET /v1/customers/{id}", "customer", false, expandOnly, s.getCustomer},
		{"DELETE /v1/customers/{id}", "customer", false, noParams, s.deleteCustomer},
		{"POST /v1/billing_portal/sessions", "billing_portal.session", false, portalCreateParams, s.createPortalSession},
	}
}

// performSubscription performs what is due of a subscription or an invoice. An id that is no longer in its table is
// passed over. Each function checks itself whether the present state still allows what was due, so nothing has to be
// taken out of the agenda.
func (s *Sim) performSubscription(w *world, d due, now time.Time) {
	if inv, ok := w.Invoices.get(d.ID); ok {
		switch d.Kind {
		case dueInvoiceFinal:
			s.chargeFirst(w, inv, now)
		case dueInvoiceRetry:
			s.chargeAgain(w, inv, now)
		}
	}
	if sub, ok := w.Subscriptions.get(d.ID); ok {
		switch d.Kind {
		case dueSubscriptionCycle:
			s.cycle(w, sub, now)
		case dueSubscriptionExpiry:
			s.expireSubscription(w, sub, now)
		case dueSubscriptionEnd:
			s.endOnTime(w, sub, now)
		case dueSubscriptionResume:
			s.resumeOnTime(w, sub, now)
		}
	}
}

package stripesim

import (
	"fmt"
	"net/http"
	"time"
)

// States of an invoice, https://docs.stripe.com/invoicing/overview#invoice-statuses.
const (
	invoiceDraft   = "draft"
	invoiceOpen    = "open"
	invoicePaid    = "paid"
	invoiceVoid    = "void"
	invoiceGivenUp = "uncollectible"
)

const (
	dueInvoiceFinal = "invoice_final"
	dueInvoiceRetry = "invoice_retry"
	// draftLife is how long a renewal's invoice can still be changed.
	draftLife = time.Hour
)

// retryAfter is when a renewal that failed is charged again, each after the one before; then the subscription is
// canceled. Stripe chooses its times within what the account's settings allow.
// https://docs.stripe.com/billing/revenue-recovery/smart-retries
var retryAfter = []time.Duration{3 * 24 * time.Hour, 5 * 24 * time.Hour, 7 * 24 * time.Hour}

// invoice is one period of a subscription. It is a draft, then open, then paid, void or uncollectible; an uncollectible
// one can still be paid. Amounts are in minor units of its item's currency. NextAttempt is zero when no attempt is
// scheduled. PeriodStart and PeriodEnd are the invoice's own, LineStart and LineEnd the period that its line pays for.
type invoice struct {
	ID                 string            `json:"id"`
	Created            int64             `json:"created"`
	Status             string            `json:"status"`
	Reason             string            `json:"reason"` // billing_reason
	Number             string            `json:"number,omitempty"`
	CustomerID         string            `json:"customer_id"`
	SubscriptionID     string            `json:"subscription_id"`
	SubscriptionItemID string            `json:"subscription_item_id"`
	LineID             string            `json:"line_id"`
	Item               lineItem          `json:"item"`
	Metadata           map[string]string `json:"metadata,omitempty"` // the subscription's
	PeriodStart        int64             `json:"period_start"`
	PeriodEnd          int64             `json:"period_end"`
	LineStart          int64             `json:"line_start"`
	LineEnd            int64             `json:"line_end"`
	IntentID           string            `json:"intent_id,omitempty"`
	ChargeID           string            `json:"charge_id,omitempty"` // of the last attempt
	Attempts           int               `json:"attempts"`
	AutoAdvance        bool              `json:"auto_advance"`
	OutOfBand          bool              `json:"out_of_band,omitempty"` // paid by other means than Stripe
	NextAttempt        int64             `json:"next_attempt,omitempty"`
	FinalizedAt        int64             `json:"finalized_at,omitempty"`
	PaidAt             int64             `json:"paid_at,omitempty"`
	VoidedAt           int64             `json:"voided_at,omitempty"`
	GivenUpAt          int64             `json:"given_up_at,omitempty"` // marked as uncollectible
	Source             *sourcePrice      `json:"source,omitempty"`      // of one in the donor's own currency
}

func (inv *invoice) key() (string, int64) { return inv.ID, inv.Created }

// amount is what is due in the invoice's own currency, which is the donor's when there is a Source.
func (inv *invoice) amount() int64 { return inv.Item.amount() }

// newInvoice is a draft of the current period's, which the subscription knows as its latest. Its own period is
// the one before, whose end made it.
func (w *world) newInvoice(sub *subscription, reason string, now time.Time) *invoice {
	inv := &invoice{
		ID: newID("in_1", 23), Created: now.Unix(), Status: invoiceDraft, Reason: reason, CustomerID: sub.CustomerID,
		SubscriptionID: sub.ID, SubscriptionItemID: sub.ItemID, LineID: newID("il_1", 23), Item: sub.Item, Metadata: sub.Metadata,
		PeriodStart: sub.Start, PeriodEnd: sub.Start, LineStart: sub.Start, LineEnd: sub.End, AutoAdvance: true,
	}
	// The item is a copy, so the conversion does not change the subscription's price.
	if fx := sub.Presented; fx != nil {
		inv.Source = &sourcePrice{Amount: inv.amount(), Currency: sub.Item.Currency, FXRate: fx.Rate}
		inv.Item.UnitAmount = convert(inv.Item.UnitAmount, inv.Item.Currency, fx.To, fx.Rate)
		inv.Item.Currency = fx.To
	}
	// The first invoice has an empty period of its own: it begins and ends when the subscription starts.
	if sub.Periods > 1 {
		inv.PeriodStart = sub.Item.Recurring.after(sub.Created, sub.Periods-2)
	}
	w.Invoices.add(inv)
	sub.LatestInvoiceID = inv.ID
	return inv
}

// finalize opens a draft: it gets its number and its payment intent. The number counts the customer's invoices and is
// never given twice. The session's payment_intent_data does not apply to subscriptions, so the intent has a description
// of Stripe's and no metadata.
func (s *Sim) finalize(w *world, inv *invoice, by request, now time.Time) {
	cu := w.Customers.byID[inv.CustomerID]
	cu.Invoices++
	inv.Number = fmt.Sprintf("%s-%04d", cu.Prefix, cu.Invoices)
	id := newID("pi_3", 23)
	what := "Subscription update"
	if inv.Reason == "subscription_create" {
		what = "Subscription creation"
	}
	in := &intent{
		ID: id, Created: now.Unix(), Amount: inv.amount(), Currency: inv.Item.Currency, Data: intentData{Description: what},
		Secret: newID(id+"_secret_", 25), Status: intentNeedsMethod, Late: s.cfg.FeeDelay > 0,
		CustomerID: inv.CustomerID, InvoiceID: inv.ID, Source: inv.Source,
	}
	// The methods are those of the account at this time, not those of the session.
	if w.Debits {
		in.Methods = w.methods(nil, in.Currency)
	}
	w.Intents.add(in)
	inv.Status, inv.IntentID, inv.FinalizedAt = invoiceOpen, in.ID, now.Unix()
	s.emit(w, "invoice.finalized", inv.render(w), nil, by, now)
	s.emit(w, "payment_intent.created", in.render(w), nil, by, now)
}

// attempt charges an open invoice's card. The caller updates the subscription. The world is locked. The intent and the
// invoice have the state after the attempt when the first event is emitted, since an event shows its object as it is
// then.
func (s *Sim) attempt(w *world, inv *invoice, m *paymentMethod, decline *DeclinedError, by request, now time.Time) *DeclinedError {
	in := w.Intents.byID[inv.IntentID]
	ch := newCharge(in, m, decline, now)
	w.Charges.add(ch)
	in.ChargeID, inv.ChargeID = ch.ID, ch.ID
	inv.Attempts++
	// The invoice stays open and keeps its intent, which the next attempt uses again.
	if decline != nil {
		in.Status, in.LastError, in.LastMethod = intentNeedsMethod, decline, m.ID
		s.emit(w, "charge.failed", ch.render(), nil, by, now)
		s.emit(w, "payment_intent.payment_failed", in.render(w), nil, by, now)
		return decline
	}
	// The balance transaction comes with the fee: later through the agenda, or at once.
	if s.cfg.FeeDelay > 0 {
		s.agenda.add(due{At: now.Add(s.cfg.FeeDelay), Kind: dueChargeBalance, Account: w.ID, ID: ch.ID})
	} else {
		w.settle(ch)
	}
	in.Status, in.MethodID, in.LastError, in.LastMethod = intentSucceeded, m.ID, nil, ""
	inv.Status, inv.PaidAt, inv.AutoAdvance, inv.NextAttempt = invoicePaid, now.Unix(), false, 0
	s.emit(w, "charge.succeeded", ch.render(), nil, by, now)
	s.emit(w, "payment_intent.succeeded", in.render(w), nil, by, now)
	return nil
}

// emitPaid emits both of Stripe's events about a paid invoice. Stripe has two names for the same fact.
func (s *Sim) emitPaid(w *world, inv *invoice, by request, now time.Time) {
	s.emit(w, "invoice.paid", inv.render(w), nil, by, now)
	s.emit(w, "invoice.payment_succeeded", inv.render(w), nil, by, now)
}

// chargeFirst finalizes a renewal's draft and charges it, unless its subscription has ended meanwhile. It is due an
// hour after the draft was made. A repeat finds the invoice no longer a draft.
func (s *Sim) chargeFirst(w *world, inv *invoice, now time.Time) {
	if !inv.AutoAdvance || inv.Status != invoiceDraft {
		return
	}
	s.finalize(w, inv, request{}, now)
	s.renew(w, inv, now)
}

// chargeAgain is a retry of a renewal, unless it was paid or given up before its time. An entry whose time is not
// NextAttempt belongs to a retry that was replaced or called off.
func (s *Sim) chargeAgain(w *world, inv *invoice, now time.Time) {
	if inv.Status == invoiceOpen && inv.NextAttempt == now.Unix() {
		inv.NextAttempt = 0
		s.renew(w, inv, now)
	}
}

// renew charges a renewal with the subscription's card or debit. There is no donor to answer a 3-D Secure challenge.
func (s *Sim) renew(w *world, inv *invoice, now time.Time) {
	sub := w.Subscriptions.byID[inv.SubscriptionID]
	m := w.PaymentMethods.byID[sub.MethodID]
	// A debit has no outcome yet: endInvoiceDebit continues with the bank's answer.
	if m.IBAN != "" {
		s.debitInvoice(w, inv, m, request{}, now)
		return
	}
	decline := cards[m.Number].decline
	// The bank would ask the donor, who is not there, so the payment is declined.
	if decline == nil && cards[m.Number].challenge {
		decline = &DeclinedError{
			Code: "authentication_required", DeclineCode: "authentication_required",
			Message: "Your card was declined. This transaction requires authentication.",
		}
	}
	// A success also makes a subscription active again that was past due.
	if s.attempt(w, inv, m, decline, request{}, now) == nil {
		w.Customers.byID[inv.CustomerID].Delinquent = false
		s.emitPaid(w, inv, request{}, now)
		s.setStatus(w, sub, subActive, now)
		return
	}
	s.invoiceFailed(w, sub, inv, now)
}

// invoiceFailed announces a failed attempt and schedules the next one, or ends the subscription after the last.
func (s *Sim) invoiceFailed(w *world, sub *subscription, inv *invoice, now time.Time) {
	w.Customers.byID[inv.CustomerID].Delinquent = true
	// The first attempt is followed by one retry for each entry of retryAfter.
	last := inv.Attempts > len(retryAfter)
	if !last {
		// The next attempt is announced with the failure, as next_payment_attempt.
		at := now.Add(retryAfter[inv.Attempts-1])
		inv.NextAttempt = at.Unix()
		s.agenda.add(due{At: time.Unix(inv.NextAttempt, 0), Kind: dueInvoiceRetry, Account: w.ID, ID: inv.ID})
	}
	s.emit(w, "invoice.payment_failed", inv.render(w), nil, request{}, now)
	if last {
		s.endSubscription(w, sub, reasonPaymentFailed, request{}, now)
		return
	}
	s.setStatus(w, sub, subPastDue, now)
}

func (s *Sim) getInvoice(c *call) (document, *apiError) {
	id := c.http.PathValue("id")
	inv, ok := c.world.Invoices.get(id)
	if !ok {
		return nil, noSuch(http.StatusNotFound, "invoice", id, "id")
	}
	return inv.render(c.world), nil
}

var invoiceListParams = listParams(schema{
	"customer":          opt(text(0)),
	"subscription":      opt(text(0)),
	"status":            opt(oneOf("draft", "open", "paid", "uncollectible", "void")),
	"collection_method": elsewhere, "due_date": elsewhere,
})

// listInvoices filters by any of customer, subscription and status. An unknown id gives an empty list here.
func (s *Sim) listInvoices(c *call) (document, *apiError) {
	customer, subscription, status := c.params.str("customer"), c.params.str("subscription"), c.params.str("status")
	return listPage(&c.world.Invoices, c.params, "/v1/invoices", "invoice", func(inv *invoice) bool {
		return (customer == "" || inv.CustomerID == customer) && (subscription == "" || inv.SubscriptionID == subscription) &&
			(status == "" || inv.Status == status)
	}, func(inv *invoice) document { return inv.render(c.world) })
}

// render shows every member of an invoice. The customer's name and address are those of now, not those at the time of
// the invoice.
func (inv *invoice) render(w *world) document {
	cu := w.Customers.byID[inv.CustomerID]
	// An invoice is paid as a whole or not at all.
	paid, remaining := int64(0), inv.amount()
	if inv.Status == invoicePaid {
		paid, remaining = remaining, 0
	}
	o := document{
		"id":                               inv.ID,
		"object":                           "invoice",
		"account_country":                  "FR",
		"account_name":                     "Simulated account",
		"account_tax_ids":                  nil,
		"amount_due":                       inv.amount(),
		"amount_paid":                      paid,
		"amount_remaining":                 remaining,
		"amount_shipping":                  0,
		"application":                      nil,
		"application_fee_amount":           nil,
		"attempt_count":                    inv.Attempts,
		"attempted":                        inv.Attempts > 0,
		"auto_advance":                     inv.AutoAdvance,
		"automatic_tax":                    document{"enabled": false, "liability": nil, "status": nil},
		"billing_reason":                   inv.Reason,
		"charge":                           orNull(inv.ChargeID),
		"collection_method":                "charge_automatically",
		"created":                          inv.Created,
		"currency":                         inv.Item.Currency,
		"custom_fields":                    nil,
		"customer":                         inv.CustomerID,
		"customer_address":                 cu.Donor.address(),
		"customer_email":                   cu.Donor.Email,
		"customer_name":                    cu.Donor.Name,
		"customer_phone":                   nil,
		"customer_shipping":                nil,
		"customer_tax_exempt":              "none",
		"customer_tax_ids":                 []any{},
		"default_payment_method":           nil,
		"default_source":                   nil,
		"default_tax_rates":                []any{},
		"description":                      nil,
		"discount":                         nil,
		"discounts":                        []any{},
		"due_date":                         nil,
		"effective_at":                     timeOrNull(inv.FinalizedAt),
		"ending_balance":                   nil,
		"footer":                           nil,
		"from_invoice":                     nil,
		"hosted_invoice_url":               nil,
		"invoice_pdf":                      nil,
		"issuer":                           document{"type": "self"},
		"last_finalization_error":          nil,
		"latest_revision":                  nil,
		"lines":                            inv.renderLines(),
		"livemode":                         false,
		"metadata":                         document{},
		"next_payment_attempt":             timeOrNull(inv.NextAttempt),
		"number":                           orNull(inv.Number),
		"on_behalf_of":                     nil,
		"paid":                             inv.Status == invoicePaid,
		"paid_out_of_band":                 inv.OutOfBand,
		"payment_intent":                   orNull(inv.IntentID),
		"payment_settings":                 document{"default_mandate": nil, "payment_method_options": nil, "payment_method_types": nil},
		"period_end":                       inv.PeriodEnd,
		"period_start":                     inv.PeriodStart,
		"post_payment_credit_notes_amount": 0,
		"pre_payment_credit_notes_amount":  0,
		"quote":                            nil,
		"receipt_number":                   nil,
		"rendering":                        nil,
		"rendering_options":                nil,
		"shipping_cost":                    nil,
		"shipping_details":                 nil,
		"starting_balance":                 0,
		"statement_descriptor":             nil,
		"status":                           inv.Status,
		"status_transitions": document{
			"finalized_at": timeOrNull(inv.FinalizedAt), "marked_uncollectible_at": timeOrNull(inv.GivenUpAt),
			"paid_at": timeOrNull(inv.PaidAt), "voided_at": timeOrNull(inv.VoidedAt),
		},
		"subscription":           inv.SubscriptionID,
		"subscription_details":   document{"metadata": orEmpty(inv.Metadata)},
		"subtotal":               inv.amount(),
		"subtotal_excluding_tax": inv.amount(),
		"tax":                    nil,
		"test_clock":             nil,
		"total":                  inv.amount(),
		"total_discount_amounts": []any{},
		"total_excluding_tax":    inv.amount(),
		"total_tax_amounts":      []any{},
		"transfer_data":          nil,
		"webhooks_delivered_at":  timeOrNull(inv.FinalizedAt),
	}
	// These members exist from the finalization on.
	if inv.Status != invoiceDraft {
		o["ending_balance"] = 0
		o["hosted_invoice_url"] = "https://invoice.stripe.com/i/simulated/" + inv.ID
		o["invoice_pdf"] = "https://pay.stripe.com/invoice/simulated/" + inv.ID + "/pdf"
	}
	return o
}

// renderLines is the list with the one line, which has the subscription's metadata; the invoice itself has none.
func (inv *invoice) renderLines() document {
	// The price is in the text of the line too, in English whatever the donor's language.
	shown := formatAmount("en", inv.Item.UnitAmount, inv.Item.Currency)
	line := document{
		"id": inv.LineID, "object": "line_item", "amount": inv.amount(), "amount_excluding_tax": inv.amount(),
		"currency":         inv.Item.Currency,
		"description":      fmt.Sprintf("%d × %s (at %s / month)", inv.Item.Quantity, inv.Item.Name, shown),
		"discount_amounts": []any{}, "discountable": true, "discounts": []any{}, "invoice": inv.ID, "livemode": false,
		"metadata": orEmpty(inv.Metadata), "period": document{"end": inv.LineEnd, "start": inv.LineStart},
		"plan": inv.Item.renderPlan(), "price": inv.Item.renderPrice(), "proration": false,
		"proration_details": document{"credited_items": nil}, "quantity": inv.Item.Quantity,
		"subscription": inv.SubscriptionID, "subscription_item": inv.SubscriptionItemID, "tax_amounts": []any{},
		"tax_rates": []any{}, "type": "subscription", "unit_amount_excluding_tax": fmt.Sprint(inv.Item.UnitAmount),
	}
	return document{
		"object": "list", "data": []any{line}, "has_more": false, "total_count": 1, "url": "/v1/invoices/" + inv.ID + "/lines",
	}
}

// Invoice is a read-only copy of an invoice; amounts are in minor units. PriceMinor is what it is in the merchant's
// currency.
type Invoice struct {
	ID             string `json:"id"`
	SubscriptionID string `json:"subscription_id"`
	AmountMinor    int64  `json:"amount_minor"`
	PriceMinor     int64  `json:"price_minor"`
	Status         string `json:"status"`
	// Charged: its payment arrived, whatever the invoice's state. Collecting: a debit is at the bank, or another
	// attempt is scheduled.
	Charged    bool `json:"charged"`
	Collecting bool `json:"collecting"`
}

// Invoices returns the account's invoices ("" for the platform), oldest first; nil for an unknown account.
func (s *Sim) Invoices(account string) []Invoice {
	s.lock()
	defer s.unlock()
	w := s.world(account)
	if w == nil {
		return nil
	}
	out := make([]Invoice, 0, len(w.Invoices.rows))
	for _, inv := range w.Invoices.rows {
		c := Invoice{ID: inv.ID, SubscriptionID: inv.SubscriptionID, AmountMinor: inv.amount(), PriceMinor: inv.amount(), Status: inv.Status}
		if inv.Source != nil {
			c.PriceMinor = inv.Source.Amount
		}
		// A draft has no intent, and so is neither charged nor collecting.
		if in, ok := w.Intents.get(inv.IntentID); ok {
			c.Charged, c.Collecting = in.Status == intentSucceeded, in.Status == intentProcessing || inv.NextAttempt != 0
		}
		out = append(out, c)
	}
	return out
}

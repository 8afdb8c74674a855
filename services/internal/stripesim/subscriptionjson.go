package stripesim

import (
	"fmt"
	"time"
)

// render shows every member of a subscription.
func (sub *subscription) render() object {
	cancelAt := timeOrNull(sub.CancelAt)
	if sub.CancelAtPeriodEnd {
		cancelAt = sub.End
	}
	return object{
		"id":                                sub.ID,
		"object":                            "subscription",
		"application":                       nil,
		"application_fee_percent":           nil,
		"automatic_tax":                     object{"enabled": false, "liability": nil},
		"billing_cycle_anchor":              sub.Created,
		"billing_cycle_anchor_config":       nil,
		"billing_thresholds":                nil,
		"cancel_at":                         cancelAt,
		"cancel_at_period_end":              sub.CancelAtPeriodEnd,
		"canceled_at":                       timeOrNull(sub.CanceledAt),
		"cancellation_details":              object{"comment": nil, "feedback": nil, "reason": orNull(sub.Reason)},
		"collection_method":                 "charge_automatically",
		"created":                           sub.Created,
		"currency":                          sub.Item.Currency,
		"current_period_end":                sub.End,
		"current_period_start":              sub.Start,
		"customer":                          sub.CustomerID,
		"days_until_due":                    nil,
		"default_payment_method":            orNull(sub.MethodID),
		"default_source":                    nil,
		"default_tax_rates":                 []any{},
		"description":                       nil,
		"discount":                          nil,
		"discounts":                         []any{},
		"ended_at":                          timeOrNull(sub.EndedAt),
		"invoice_settings":                  object{"account_tax_ids": nil, "issuer": object{"type": "self"}},
		"items":                             sub.renderItems(),
		"latest_invoice":                    orNull(sub.LatestInvoiceID),
		"livemode":                          false,
		"metadata":                          orEmpty(sub.Metadata),
		"next_pending_invoice_item_invoice": nil,
		"on_behalf_of":                      nil,
		"pause_collection":                  sub.Pause.render(),
		"payment_settings": object{
			"payment_method_options": nil, "payment_method_types": nil, "save_default_payment_method": "off",
		},
		"pending_invoice_item_interval": nil,
		"pending_setup_intent":          nil,
		"pending_update":                nil,
		"plan":                          sub.Item.renderPlan(),
		"quantity":                      sub.Item.Quantity,
		"schedule":                      nil,
		"start_date":                    sub.Created,
		"status":                        sub.Status,
		"test_clock":                    nil,
		"transfer_data":                 nil,
		"trial_end":                     nil,
		"trial_settings":                object{"end_behavior": object{"missing_payment_method": "create_invoice"}},
		"trial_start":                   nil,
	}
}

func (sub *subscription) renderItems() object {
	item := object{
		"id": sub.ItemID, "object": "subscription_item", "billing_thresholds": nil, "created": sub.Created,
		"discounts": []any{}, "metadata": object{}, "plan": sub.Item.renderPlan(), "price": sub.Item.renderPrice(),
		"quantity": sub.Item.Quantity, "subscription": sub.ID, "tax_rates": []any{},
	}
	return object{
		"object": "list", "data": []any{item}, "has_more": false, "total_count": 1,
		"url": "/v1/subscription_items?subscription=" + sub.ID,
	}
}

// timeOrNull shows a time that may not have come.
func timeOrNull(seconds int64) any {
	if seconds == 0 {
		return nil
	}
	return seconds
}

// render shows every member of an invoice.
func (inv *invoice) render(w *world) object {
	cu := w.Customers.byID[inv.CustomerID]
	paid, remaining := int64(0), inv.amount()
	if inv.Status == invoicePaid {
		paid, remaining = remaining, 0
	}
	o := object{
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
		"automatic_tax":                    object{"enabled": false, "liability": nil, "status": nil},
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
		"issuer":                           object{"type": "self"},
		"last_finalization_error":          nil,
		"latest_revision":                  nil,
		"lines":                            inv.renderLines(),
		"livemode":                         false,
		"metadata":                         object{},
		"next_payment_attempt":             timeOrNull(inv.NextAttempt),
		"number":                           orNull(inv.Number),
		"on_behalf_of":                     nil,
		"paid":                             inv.Status == invoicePaid,
		"paid_out_of_band":                 inv.OutOfBand,
		"payment_intent":                   orNull(inv.IntentID),
		"payment_settings":                 object{"default_mandate": nil, "payment_method_options": nil, "payment_method_types": nil},
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
		"status_transitions": object{
			"finalized_at": timeOrNull(inv.FinalizedAt), "marked_uncollectible_at": timeOrNull(inv.GivenUpAt),
			"paid_at": timeOrNull(inv.PaidAt), "voided_at": timeOrNull(inv.VoidedAt),
		},
		"subscription":           inv.SubscriptionID,
		"subscription_details":   object{"metadata": orEmpty(inv.Metadata)},
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
	if inv.Status != invoiceDraft {
		o["ending_balance"] = 0
		o["hosted_invoice_url"] = "https://invoice.stripe.com/i/simulated/" + inv.ID
		o["invoice_pdf"] = "https://pay.stripe.com/invoice/simulated/" + inv.ID + "/pdf"
	}
	return o
}

func (inv *invoice) renderLines() object {
	shown := formatAmount("en", inv.Item.UnitAmount, inv.Item.Currency)
	line := object{
		"id": inv.LineID, "object": "line_item", "amount": inv.amount(), "amount_excluding_tax": inv.amount(),
		"currency":         inv.Item.Currency,
		"description":      fmt.Sprintf("%d × %s (at %s / month)", inv.Item.Quantity, inv.Item.Name, shown),
		"discount_amounts": []any{}, "discountable": true, "discounts": []any{}, "invoice": inv.ID, "livemode": false,
		"metadata": orEmpty(inv.Metadata), "period": object{"end": inv.LineEnd, "start": inv.LineStart},
		"plan": inv.Item.renderPlan(), "price": inv.Item.renderPrice(), "proration": false,
		"proration_details": object{"credited_items": nil}, "quantity": inv.Item.Quantity,
		"subscription": inv.SubscriptionID, "subscription_item": inv.SubscriptionItemID, "tax_amounts": []any{},
		"tax_rates": []any{}, "type": "subscription", "unit_amount_excluding_tax": fmt.Sprint(inv.Item.UnitAmount),
	}
	return object{
		"object": "list", "data": []any{line}, "has_more": false, "total_count": 1, "url": "/v1/invoices/" + inv.ID + "/lines",
	}
}

// Subscription is a read-only copy of a subscription.
type Subscription struct {
	ID                string            `json:"id"`
	Status            string            `json:"status"`
	CustomerID        string            `json:"customer_id"`
	AmountMinor       int64             `json:"amount_minor"` // of the next invoice
	Metadata          map[string]string `json:"metadata"`
	CancelAtPeriodEnd bool              `json:"cancel_at_period_end"`
	// CancelAt is when it is to end, with its period or at another time; zero for not. Paused: it collects nothing.
	CancelAt        time.Time `json:"cancel_at,omitzero"`
	Paused          bool      `json:"paused,omitempty"`
	PeriodEnd       time.Time `json:"period_end"`
	LatestInvoiceID string    `json:"latest_invoice_id"`
}

// Subscriptions returns the account's subscriptions ("" for the platform), oldest first; nil for an unknown
// account.
func (s *Sim) Subscriptions(account string) []Subscription {
	s.lock()
	defer s.unlock()
	w := s.world(account)
	if w == nil {
		return nil
	}
	out := make([]Subscription, 0, len(w.Subscriptions.rows))
	for _, sub := range w.Subscriptions.rows {
		cancelAt := sub.CancelAt
		if sub.CancelAtPeriodEnd {
			cancelAt = sub.End
		}
		c := Subscription{
			ID: sub.ID, Status: sub.Status, CustomerID: sub.CustomerID, AmountMinor: sub.Item.amount(), Metadata: sub.Metadata,
			CancelAtPeriodEnd: sub.CancelAtPeriodEnd, PeriodEnd: time.Unix(sub.End, 0).UTC(), LatestInvoiceID: sub.LatestInvoiceID,
			Paused: sub.Pause != nil,
		}
		if cancelAt != 0 {
			c.CancelAt = time.Unix(cancelAt, 0).UTC()
		}
		out = append(out, c)
	}
	return out
}

// Invoice is a read-only copy of an invoice; amounts are in minor units. PriceMinor is what it is in the merchant's
// currency.
type Invoice struct {
	ID             string `json:"id"`
	SubscriptionID string `json:"subscription_id"`
	AmountMinor    int64  `json:"amount_minor"`
	PriceMinor     int64  `json:"price_minor"`
	Status         string `json:"status"`
	// Charged: its payment arrived, whatever became of the invoice. Collecting: a debit is at the bank, or another
	// attempt is to come.
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
		if in, ok := w.Intents.get(inv.IntentID); ok {
			c.Charged, c.Collecting = in.Status == intentSucceeded, in.Status == intentProcessing || inv.NextAttempt != 0
		}
		out = append(out, c)
	}
	return out
}

package stripesim

import (
	"time"
)

// render shows every member of a subscription.
func (sub *subscription) render() document {
	// The end of the period takes precedence over a date of its own; setCancelAtPeriodEnd never leaves both.
	cancelAt := timeOrNull(sub.CancelAt)
	if sub.CancelAtPeriodEnd {
		cancelAt = sub.End
	}
	return document{
		"id":                                sub.ID,
		"object":                            "subscription",
		"application":                       nil,
		"application_fee_percent":           nil,
		"automatic_tax":                     document{"enabled": false, "liability": nil},
		"billing_cycle_anchor":              sub.Created,
		"billing_cycle_anchor_config":       nil,
		"billing_thresholds":                nil,
		"cancel_at":                         cancelAt,
		"cancel_at_period_end":              sub.CancelAtPeriodEnd,
		"canceled_at":                       timeOrNull(sub.CanceledAt),
		"cancellation_details":              document{"comment": nil, "feedback": nil, "reason": orNull(sub.Reason)},
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
		"invoice_settings":                  document{"account_tax_ids": nil, "issuer": document{"type": "self"}},
		"items":                             sub.renderItems(),
		"latest_invoice":                    orNull(sub.LatestInvoiceID),
		"livemode":                          false,
		"metadata":                          orEmpty(sub.Metadata),
		"next_pending_invoice_item_invoice": nil,
		"on_behalf_of":                      nil,
		"pause_collection":                  sub.Pause.render(),
		"payment_settings": document{
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
		"trial_settings":                document{"end_behavior": document{"missing_payment_method": "create_invoice"}},
		"trial_start":                   nil,
	}
}

// renderItems is the list with the one item. It has a total_count, which Stripe's description does not list.
func (sub *subscription) renderItems() document {
	item := document{
		"id": sub.ItemID, "object": "subscription_item", "billing_thresholds": nil, "created": sub.Created,
		"discounts": []any{}, "metadata": document{}, "plan": sub.Item.renderPlan(), "price": sub.Item.renderPrice(),
		"quantity": sub.Item.Quantity, "subscription": sub.ID, "tax_rates": []any{},
	}
	return document{
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

// Subscription is a read-only copy of a subscription.
type Subscription struct {
	ID                string            `json:"id"`
	Status            string            `json:"status"`
	CustomerID        string            `json:"customer_id"`
	AmountMinor       int64             `json:"amount_minor"` // of the next invoice
	Metadata          map[string]string `json:"metadata"`
	CancelAtPeriodEnd bool              `json:"cancel_at_period_end"`
	// CancelAt is when it ends, with its period or at another time; zero for never. Paused: it collects nothing.
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
		// As in render: an end with the period moves with the period.
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

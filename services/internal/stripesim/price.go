package stripesim

import (
	"strconv"
	"strings"
	"time"
)

// recurrence is the interval of a price. Only months are simulated.
type recurrence struct {
	Months int64 `json:"months"`
}

// newRecurrence reads recurring of a price; nil for a price that is paid once. checkRecurring has refused other
// intervals than months.
func newRecurrence(p params) *recurrence {
	if p == nil {
		return nil
	}
	r := &recurrence{Months: 1}
	if n, ok := p.num("interval_count"); ok {
		r.Months = n
	}
	return r
}

// render is recurring of a price, null for one that is paid once.
func (r *recurrence) render() any {
	if r == nil {
		return nil
	}
	return document{
		"aggregate_usage": nil, "interval": "month", "interval_count": r.Months, "meter": nil, "trial_period_days": nil,
		"usage_type": "licensed",
	}
}

// after returns the time that many periods after the anchor: the same day of the month, or the month's last when it is
// shorter. https://docs.stripe.com/billing/subscriptions/billing-cycle
func (r *recurrence) after(anchor int64, periods int) int64 {
	from := time.Unix(anchor, 0).UTC()
	// The first of the month is moved, because adding a month to the 31st would skip a short one.
	month := time.Date(from.Year(), from.Month(), 1, from.Hour(), from.Minute(), from.Second(), 0, time.UTC).
		AddDate(0, int(r.Months)*periods, 0)
	last := month.AddDate(0, 1, -1).Day()
	return month.AddDate(0, 0, min(from.Day(), last)-1).Unix()
}

// renderPrice shows every member of the price that price_data made.
func (i lineItem) renderPrice() document {
	kind := "one_time"
	if i.Recurring != nil {
		kind = "recurring"
	}
	return document{
		"id": i.PriceID, "object": "price",
		"active":         false, // a price made for one session is not for reuse
		"billing_scheme": "per_unit", "created": i.Created, "currency": i.Currency, "custom_unit_amount": nil,
		"livemode": false, "lookup_key": nil, "metadata": document{}, "nickname": nil, "product": i.ProductID,
		"recurring": i.Recurring.render(), "tax_behavior": i.TaxBehavior, "tiers_mode": nil, "transform_quantity": nil,
		"type": kind, "unit_amount": i.UnitAmount, "unit_amount_decimal": strconv.FormatInt(i.UnitAmount, 10),
	}
}

// renderPlan shows the same price in the older form that subscriptions and invoices still carry.
func (i lineItem) renderPlan() document {
	return document{
		"id": i.PriceID, "object": "plan",
		"active": false, "aggregate_usage": nil, "amount": i.UnitAmount, "amount_decimal": strconv.FormatInt(i.UnitAmount, 10),
		"billing_scheme": "per_unit", "created": i.Created, "currency": i.Currency, "interval": "month",
		"interval_count": i.Recurring.Months, "livemode": false, "metadata": document{}, "meter": nil, "nickname": nil,
		"product": i.ProductID, "tiers_mode": nil, "transform_usage": nil, "trial_period_days": nil, "usage_type": "licensed",
	}
}

// lineItem is one line of a session, with the price and product that price_data made. UnitAmount is in minor units of
// Currency. Recurring is nil in payment mode. The price and the product have no rows of their own.
type lineItem struct {
	ID          string            `json:"id"`
	PriceID     string            `json:"price_id"`
	ProductID   string            `json:"product_id"`
	Created     int64             `json:"created"`
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	TaxBehavior string            `json:"tax_behavior"`
	Currency    string            `json:"currency"`
	UnitAmount  int64             `json:"unit_amount"`
	Quantity    int64             `json:"quantity"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	Recurring   *recurrence       `json:"recurring,omitempty"`
}

// newLineItem reads a line that passed checkItems, which made sure of amount and quantity.
func newLineItem(p params, now time.Time) lineItem {
	price := p.obj("price_data")
	product := price.obj("product_data")
	item := lineItem{
		ID: newID("li_1", 23), PriceID: newID("price_1", 23), ProductID: newID("prod_", 14), Created: now.Unix(),
		Name: product.str("name"), Description: product.str("description"), Metadata: product.dict("metadata"),
		TaxBehavior: price.str("tax_behavior"), Currency: strings.ToLower(price.str("currency")),
	}
	if item.TaxBehavior == "" {
		item.TaxBehavior = "unspecified"
	}
	item.UnitAmount, _ = price.num("unit_amount")
	item.Quantity, _ = p.num("quantity")
	item.Recurring = newRecurrence(price.obj("recurring"))
	return item
}

func (i lineItem) amount() int64 { return i.UnitAmount * i.Quantity }

// render is a line of the session. Its description is the product's name, and it has no discount and no tax.
func (i lineItem) render() document {
	return document{
		"id": i.ID, "object": "item",
		"amount_discount": 0, "amount_subtotal": i.amount(), "amount_tax": 0, "amount_total": i.amount(),
		"currency": i.Currency, "description": i.Name, "quantity": i.Quantity,
		"price": i.renderPrice(),
	}
}

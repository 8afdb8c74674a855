package stripesim

import (
	"net/http"
	"time"
)

// customer is the payer of a subscription, which Checkout creates. Its e-mail address, name and country are those of
// the last attempt to pay the first invoice. Each subscription has a customer of its own.
type customer struct {
	ID      string `json:"id"`
	Created int64  `json:"created"`
	Donor   donor  `json:"donor"`
	// Currency is that of the first invoice, Prefix and Invoices number them.
	Currency   string `json:"currency"`
	Prefix     string `json:"prefix"`
	Invoices   int    `json:"invoices"`
	Delinquent bool   `json:"delinquent,omitempty"` // the last invoice could not be charged
	Deleted    bool   `json:"deleted,omitempty"`
}

func (cu *customer) key() (string, int64) { return cu.ID, cu.Created }

// newCustomer has no invoice yet. Its invoices are numbered by its random prefix and a counter, see finalize.
func newCustomer(who donor, currency string, now time.Time) *customer {
	return &customer{ID: newID("cus_", 14), Created: now.Unix(), Donor: who, Currency: currency, Prefix: newID("S", 7)}
}

// render shows every member of a customer. Renewals are charged with the subscription's payment method, so the customer
// has no default of its own.
func (cu *customer) render() document {
	return document{
		"id":             cu.ID,
		"object":         "customer",
		"address":        cu.Donor.address(),
		"balance":        0,
		"created":        cu.Created,
		"currency":       orNull(cu.Currency),
		"default_source": nil,
		"delinquent":     cu.Delinquent,
		"description":    nil,
		"discount":       nil,
		"email":          cu.Donor.Email,
		"invoice_prefix": cu.Prefix,
		"invoice_settings": document{
			"custom_fields": nil, "default_payment_method": nil, "footer": nil, "rendering_options": nil,
		},
		"livemode":              false,
		"metadata":              document{},
		"name":                  cu.Donor.Name,
		"next_invoice_sequence": cu.Invoices + 1,
		"phone":                 nil,
		"preferred_locales":     []any{},
		"shipping":              nil,
		"tax_exempt":            "none",
		"test_clock":            nil,
	}
}

func (s *Sim) getCustomer(c *call) (document, *apiError) {
	id := c.http.PathValue("id")
	cu, ok := c.world.Customers.get(id)
	switch {
	case !ok:
		return nil, noSuch(http.StatusNotFound, "customer", id, "id")
	case cu.Deleted:
		return document{"id": cu.ID, "object": "customer", "deleted": true}, nil
	}
	return cu.render(), nil
}

// deleteCustomer forgets who it is. What was charged stays.
func (s *Sim) deleteCustomer(c *call) (document, *apiError) {
	id := c.http.PathValue("id")
	cu, ok := c.world.Customers.get(id)
	if !ok || cu.Deleted {
		return nil, noSuch(http.StatusNotFound, "customer", id, "id")
	}
	cu.Deleted, cu.Donor = true, donor{}
	return document{"id": cu.ID, "object": "customer", "deleted": true}, nil
}

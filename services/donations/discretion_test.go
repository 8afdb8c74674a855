package donations

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/cagnotte/cagnotte/services/collectives"
)

// A collective that asks for discretion is named neither on the payment page's item, nor on bank statements, nor in mails.
func TestDiscretion(t *testing.T) {
	e := newEnv(t)
	said := func(monthly bool) url.Values {
		t.Helper()
		in := intent()
		in.Monthly = monthly
		e.create(in)
		requests := e.sim.Requests()
		for i := len(requests) - 1; i >= 0; i-- {
			if requests[i].Method == http.MethodPost && requests[i].Path == "/v1/checkout/sessions" {
				form, err := url.ParseQuery(string(requests[i].Body))
				if err != nil {
					t.Fatal(err)
				}
				return form
			}
		}
		t.Fatal("no session was made")
		return nil
	}
	const suffix, whose = "payment_intent_data[statement_descriptor_suffix]", "line_items[0][price_data][product_data][description]"
	names := func() string {
		t.Helper()
		first, _ := e.paidMonthly()
		r := e.recurring(first)
		_, names, err := e.donations.readerOf(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		page := e.donations.managePage(r, names)
		_, text := startMail(r, names, page)
		if !strings.HasSuffix(page, "/monthly/"+r.ID.String()) || !strings.Contains(text, page) {
			t.Errorf("the mail says %q", text)
		}
		return text
	}
	if form := said(false); form.Get(suffix) != "VALLON" || form.Get(whose) != "Vallon" {
		t.Errorf("the session says %v", form)
	}
	if form := said(true); form.Has(suffix) || form.Get(whose) != "Vallon" {
		t.Errorf("the monthly session says %v", form)
	}
	if text := names(); !strings.Contains(text, "Vallon") || !strings.Contains(text, "Une avocate") {
		t.Errorf("the mail does not say what it is about: %q", text)
	}
	if _, err := e.groups.Update(t.Context(), "vallon", "", func(c *collectives.Collective) error {
		c.Discreet = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, monthly := range []bool{false, true} {
		form := said(monthly)
		if !monthly && form.Get(suffix) != "DON" || form.Has(whose) || form.Get("line_items[0][price_data][product_data][name]") != "Don" {
			t.Errorf("the discreet session says %v", form)
		}
		for name, values := range form {
			if said := strings.ToLower(strings.Join(values, " ")); strings.Contains(said, "vallon") || strings.Contains(said, "avocate") {
				t.Errorf("the discreet session names the cause in %s: %s", name, said)
			}
		}
		if back := form.Get("success_url"); !strings.HasPrefix(back, "https://cagnotte.example/donations/") {
			t.Errorf("Stripe leads back to %s", back)
		}
	}
	if text := names(); strings.Contains(text, "Vallon") || strings.Contains(text, "avocate") || strings.Contains(text, "{") {
		t.Errorf("the discreet mail says %q", text)
	}
}

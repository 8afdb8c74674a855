package stripesim_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"
)

// monthly is what Cagnotte sends for a monthly donation of so many cents.
func monthly(amountMinor int64) *stripe.CheckoutSessionParams {
	p := donation(amountMinor)
	p.Mode = stripe.String("subscription")
	p.SubmitType, p.PaymentIntentData, p.CustomerCreation = nil, nil, nil
	p.SubscriptionData = &stripe.CheckoutSessionSubscriptionDataParams{Metadata: map[string]string{"recurring_donation": "r1"}}
	p.LineItems[0].PriceData.Recurring = &stripe.CheckoutSessionLineItemPriceDataRecurringParams{Interval: stripe.String("month")}
	return p
}

// subscribed is a simulator at noon of a 31st of January with one paid subscription.
func subscribed(t *testing.T) (sim *stripesim.Sim, api *client.API, apiURL string, clock *stripesim.Clock, sub stripesim.Subscription) {
	t.Helper()
	clock = stripesim.NewClockAt(time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC))
	clock.Freeze()
	sim, apiURL = serve(t, stripesim.Config{Clock: clock})
	api = newClient(apiURL, testKey, 0)
	pay(t, sim, create(t, api, monthly(2000)).ID)
	return sim, api, apiURL, clock, sim.Subscriptions("")[0]
}

func TestASubscriptionBegins(t *testing.T) {
	sim, api, _, _, sub := subscribed(t)
	const events = "customer.created customer.subscription.created invoice.created invoice.finalized payment_intent.created " +
		"charge.succeeded payment_intent.succeeded customer.subscription.updated invoice.paid invoice.payment_succeeded " +
		"checkout.session.completed"
	if got := eventTypes(sim, ""); got != events {
		t.Errorf("events %s", got)
	}
	p := &stripe.CheckoutSessionParams{}
	p.AddExpand("invoice.charge")
	p.AddExpand("subscription")
	se, err := api.CheckoutSessions.Get(sim.Sessions("")[0].ID, p)
	if err != nil {
		t.Fatal(err)
	}
	if se.PaymentIntent != nil || se.Customer.ID != sub.CustomerID || se.Subscription.Status != "active" || se.Invoice.BillingReason != "subscription_create" {
		t.Errorf("session %+v", se)
	}
	if got := se.Invoice.SubscriptionDetails.Metadata["recurring_donation"]; got != "r1" {
		t.Errorf("the subscription's metadata does not reach its invoice: %q", got)
	}
	if ch := se.Invoice.Charge; len(ch.Metadata) != 0 || ch.Invoice.ID != se.Invoice.ID {
		t.Errorf("charge %+v", ch)
	}
}

func TestADeclinedFirstMonthCanBeTriedAgain(t *testing.T) {
	sim, url := serve(t, stripesim.Config{})
	se := create(t, newClient(url, testKey, 0), monthly(2000))
	if err := sim.Pay(se.ID, stripesim.CardDeclined); err == nil {
		t.Fatal("not declined")
	}
	if got := sim.Subscriptions("")[0].Status; got != "incomplete" {
		t.Errorf("it is %s", got)
	}
	pay(t, sim, se.ID)
	if got := sim.Subscriptions(""); len(got) != 1 || got[0].Status != "active" {
		t.Errorf("got %+v", got)
	}
}

func TestAFirstMonthThatNeverComes(t *testing.T) {
	clock := stripesim.NewClock()
	sim, url := serve(t, stripesim.Config{Clock: clock})
	if err := sim.Pay(create(t, newClient(url, testKey, 0), monthly(2000)).ID, stripesim.CardDeclined); err == nil {
		t.Fatal("not declined")
	}
	clock.Advance(25 * time.Hour)
	if got := sim.Subscriptions("")[0].Status; got != "incomplete_expired" {
		t.Errorf("it is %s", got)
	}
	if got := eventTypes(sim, ""); !strings.Contains(got, "invoice.voided") {
		t.Errorf("events %s", got)
	}
}

// TestMonthsKeepTheirDay: the day of the month is the anchor's, or the month's last.
func TestMonthsKeepTheirDay(t *testing.T) {
	sim, _, _, clock, _ := subscribed(t)
	for _, want := range []string{"2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"} {
		end := sim.Subscriptions("")[0].PeriodEnd
		if got := end.Format(time.DateOnly); got != want {
			t.Fatalf("a period ends on %s, want %s", got, want)
		}
		clock.Set(end.Add(time.Minute))
		if n := len(sim.BalanceTransactions("")); n != int(end.Month())-1 {
			t.Errorf("%d payments while the invoice is a draft", n)
		}
		clock.Advance(time.Hour)
	}
	if n := len(sim.BalanceTransactions("")); n != 5 {
		t.Errorf("%d payments, want 5", n)
	}
}

func TestRetriesThenTheEnd(t *testing.T) {
	sim, _, _, clock, sub := subscribed(t)
	if err := sim.SetCard(sub.ID, stripesim.CardDeclined); err != nil {
		t.Fatal(err)
	}
	clock.Set(sub.PeriodEnd.Add(2 * time.Hour))
	if got := sim.Subscriptions("")[0].Status; got != "past_due" {
		t.Errorf("after the first failure it is %s", got)
	}
	clock.Advance(16 * 24 * time.Hour)
	if got := sim.Subscriptions("")[0].Status; got != "canceled" {
		t.Errorf("after the last it is %s", got)
	}
	got := eventTypes(sim, "")
	if strings.Count(got, "invoice.payment_failed") != 4 || !strings.HasSuffix(got, "invoice.payment_failed customer.subscription.deleted") {
		t.Errorf("events %s", got)
	}
	if n := len(sim.BalanceTransactions("")); n != 1 {
		t.Errorf("%d payments, want 1", n)
	}
}

// Those that ended are listed only for who asks: https://docs.stripe.com/api/subscriptions/list.
func TestSubscriptionsAreListedByStatus(t *testing.T) {
	sim, url := serve(t, stripesim.Config{})
	api := newClient(url, testKey, 0)
	for range 2 {
		pay(t, sim, create(t, api, monthly(2000)).ID)
	}
	goesOn, ended := sim.Subscriptions("")[0].ID, sim.Subscriptions("")[1].ID
	if _, err := api.Subscriptions.Cancel(ended, nil); err != nil {
		t.Fatal(err)
	}
	for status, want := range map[string][]string{
		"": {goesOn}, "all": {ended, goesOn}, "ended": {ended}, "canceled": {ended}, "active": {goesOn}, "past_due": nil,
	} {
		p := &stripe.SubscriptionListParams{}
		if status != "" {
			p.Status = &status
		}
		var got []string
		i := api.Subscriptions.List(p)
		for i.Next() {
			got = append(got, i.Subscription().ID)
		}
		slices.Sort(got)
		slices.Sort(want)
		if err := i.Err(); err != nil || !slices.Equal(got, want) {
			t.Errorf("of status %q are %v, %v; want %v", status, got, err, want)
		}
	}
}

func TestChangingASubscription(t *testing.T) {
	sim, api, _, clock, sub := subscribed(t)
	now, err := api.Subscriptions.Get(sub.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	item := now.Items.Data[0]
	change := func(proration string) error {
		_, err := api.Subscriptions.Update(sub.ID, &stripe.SubscriptionParams{
			ProrationBehavior: stripe.String(proration),
			Items: []*stripe.SubscriptionItemsParams{{ID: stripe.String(item.ID), PriceData: &stripe.SubscriptionItemPriceDataParams{
				Currency: stripe.String("eur"), Product: stripe.String(item.Price.Product.ID), UnitAmount: stripe.Int64(3000),
				Recurring: &stripe.SubscriptionItemPriceDataRecurringParams{Interval: stripe.String("month")},
			}}},
		})
		return err
	}
	if err := change("create_prorations"); err == nil || !strings.Contains(err.Error(), "simulated") {
		t.Errorf("a proration: %v", err)
	}
	if err := change("none"); err != nil {
		t.Fatal(err)
	}
	clock.Set(sub.PeriodEnd.Add(2 * time.Hour))
	if got := sim.BalanceTransactions(""); len(got) != 2 || got[1].AmountMinor != 3000 {
		t.Errorf("got %+v", got)
	}
	if err := sim.CancelInPortal(sub.ID); err != nil {
		t.Fatal(err)
	}
	clock.Set(sim.Subscriptions("")[0].PeriodEnd)
	if got := sim.Subscriptions("")[0].Status; got != "canceled" || len(sim.BalanceTransactions("")) != 2 {
		t.Errorf("after its period it is %s", got)
	}
	if _, err := api.Subscriptions.Cancel(sub.ID, nil); err == nil {
		t.Error("what is canceled was canceled again")
	}
	if err := change("none"); err == nil {
		t.Error("what is canceled was changed")
	}
}

func TestThePortal(t *testing.T) {
	sim, api, _, _, sub := subscribed(t)
	portal, err := api.BillingPortalSessions.New(&stripe.BillingPortalSessionParams{
		Customer: stripe.String(sub.CustomerID), ReturnURL: stripe.String("https://don.example/back"), Locale: stripe.String("fr"),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, body := raw(t, http.MethodGet, portal.URL, "")
	if !strings.Contains(body, "https://don.example/back") || !strings.Contains(body, sub.ID) {
		t.Errorf("the page is %s", body)
	}
	form := url.Values{"subscription": {sub.ID}, "act": {"cancel"}}
	if resp, body := raw(t, http.MethodPost, portal.URL, form.Encode()); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("HTTP %d: %s", resp.StatusCode, body)
	}
	if !sim.Subscriptions("")[0].CancelAtPeriodEnd {
		t.Error("it goes on")
	}
	form.Set("subscription", "sub_of_somebody_else")
	if resp, _ := raw(t, http.MethodPost, portal.URL, form.Encode()); resp.StatusCode != http.StatusConflict {
		t.Errorf("another's subscription: HTTP %d", resp.StatusCode)
	}
}

func TestSubscriptionsFitTheClient(t *testing.T) {
	sim, _, apiURL, _, sub := subscribed(t)
	for path, typ := range map[string]reflect.Type{
		"/v1/subscriptions/" + sub.ID + "?expand[]=latest_invoice":                 reflect.TypeFor[stripe.Subscription](),
		"/v1/invoices?expand[]=data.subscription":                                  reflect.TypeFor[stripe.InvoiceList](),
		"/v1/customers/" + sub.CustomerID:                                          reflect.TypeFor[stripe.Customer](),
		"/v1/checkout/sessions/" + sim.Sessions("")[0].ID + "?expand[]=line_items": reflect.TypeFor[stripe.CheckoutSession](),
		"/v1/events": reflect.TypeFor[stripe.EventList](),
	} {
		resp, body := raw(t, http.MethodGet, apiURL+path, "")
		var v any
		if err := json.Unmarshal([]byte(body), &v); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %v", path, resp.StatusCode, err)
		}
		checkShape(t, path, v, typ)
	}
}

package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// A 4xx on another API version would mean three days of retries, and then loss: the event is taken, and its
// object is read again in our version.
func TestAnEventOfAnotherVersionIsNoError(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	e.Sim.SetDelivery(stripesim.Delivery{Drop: true})
	d := give(t, e.Conn, donationTo(campaign))
	page := session(t, e, d).ID
	pay(t, e, d)
	// What a newer version says of the session is not what ours says.
	body := []byte(fmt.Sprintf(`{"id":"evt_newer","object":"event","api_version":"2031-01-01.oak","created":%d,"livemode":false,
		"type":"checkout.session.completed","data":{"object":{"id":%q,"object":"checkout.session","status":"done","amount_total":{"value":"7.00"}}}}`,
		time.Now().Unix(), page))
	if got := deliver(t, e, "/v1/webhooks/stripe", body, sign(body, apptest.WebhookSecret, time.Now())); got != http.StatusOK {
		t.Fatalf("HTTP %d", got)
	}
	e.Eventually("the donation is received, in full", func() bool {
		return outcome(t, e.Conn, d) == donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED
	})
}

// Many have shipped this: the event's row is written first, its application fails, and Stripe's repetition finds
// a duplicate.
func TestAnEventRowWrittenBeforeProcessingIsNoDuplicateForEver(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	e.Sim.SetDelivery(stripesim.Delivery{Drop: true})
	d := give(t, e.Conn, donationTo(campaign))
	s := session(t, e, d)
	pay(t, e, d)
	for _, paid := range e.Sim.Sessions("") {
		if paid.ID == s.ID {
			s = paid
		}
	}
	completed := func(amount int64) []byte {
		return []byte(fmt.Sprintf(`{"id":"evt_once","object":"event","api_version":"2023-10-16","created":%d,"livemode":false,
			"type":"checkout.session.completed","data":{"object":{"id":%q,"object":"checkout.session","client_reference_id":%q,
			"amount_total":%d,"currency":"eur","livemode":false,"mode":"payment","status":"complete","payment_status":"paid","payment_intent":%q}}}`,
			time.Now().Unix(), s.ID, strings.TrimPrefix(d.GetName(), campaign+"/donations/"), amount, s.PaymentIntentID))
	}
	post := func(body []byte) {
		t.Helper()
		if got := deliver(t, e, "/v1/webhooks/stripe", body, sign(body, apptest.WebhookSecret, time.Now())); got != http.StatusOK {
			t.Fatalf("HTTP %d", got)
		}
	}
	post(completed(1)) // an amount that is not the donation's: applying it fails
	e.Eventually("it failed, in sight", func() bool {
		return received(t, e, webhooksv1.EventState_EVENT_STATE_FAILED)["evt_once"] != nil
	})
	post(completed(20_00))
	e.Eventually("its repetition is applied", func() bool {
		return received(t, e, webhooksv1.EventState_EVENT_STATE_APPLIED)["evt_once"] != nil
	})
}

// To Stripe a redirection is a failure, and an endpoint that keeps failing is disabled.
func TestWebhookAddressesDoNotRedirect(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, path := range []string{"/v1/webhooks/stripe", "/v1/webhooks/stripe/connect"} {
		body := event("evt_1", "customer.created", "")
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.URL+path, strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		secret := apptest.WebhookSecret
		if strings.HasSuffix(path, "connect") {
			secret = apptest.ConnectSecret
		}
		req.Header.Set("Stripe-Signature", sign(body, secret, time.Now()))
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: HTTP %d", path, resp.StatusCode)
		}
	}
}

// The address that Stripe leads back to is a hint: whoever opens it, with whatever in it, has paid nothing.
func TestTheLandingPageProvesNothing(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	d := give(t, e.Conn, donationTo(campaign))
	collective, slug, _ := strings.Cut(strings.TrimPrefix(campaign, "collectives/"), "/campaigns/")
	id := d.GetName()[strings.LastIndex(d.GetName(), "/")+1:]
	for _, query := range []string{"", "?lang=en", "?session_id=" + session(t, e, d).ID + "&payment_status=paid&redirect_status=succeeded"} {
		status, _, _ := follow(t, http.MethodGet, e.URL+"/c/"+collective+"/"+slug+"/donations/"+id+query)
		if status != http.StatusOK {
			t.Fatalf("the page answers %d", status)
		}
	}
	if got := outcome(t, e.Conn, d); got != donationsv1.DonationOutcome_DONATION_OUTCOME_OPEN {
		t.Errorf("the donor is told %v", got)
	}
	if settled, pending := progress(t, e.Conn, campaign); settled != 0 || pending != 0 {
		t.Errorf("settled %d, pending %d", settled, pending)
	}
}

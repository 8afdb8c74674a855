package app_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// sign makes the header that Stripe would send at this time.
func sign(payload []byte, secret string, at time.Time) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.%s", at.Unix(), payload)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

// deliver posts a body as Stripe does, and answers the HTTP status.
func deliver(t *testing.T, e *apptest.Env, path string, payload []byte, signature string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.URL+path, bytes.NewReader(payload))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Stripe-Signature", signature)
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func event(id, kind, extra string) []byte {
	return []byte(fmt.Sprintf(`{"id":%q,"object":"event","api_version":"2023-10-16","created":1700000000,"livemode":false,
		"type":%q,"data":{"object":{"id":"obj_1","object":"thing"}}%s}`, id, kind, extra))
}

// received lists the events that are in a state.
func received(t *testing.T, e *apptest.Env, state webhooksv1.EventState) map[string]*webhooksv1.WebhookEvent {
	t.Helper()
	list, err := webhooksv1.NewWebhooksServiceClient(e.Conn).ListWebhookEvents(apptest.WithKey(t.Context(), e.OperatorKey),
		&webhooksv1.ListWebhookEventsRequest{Parent: "instance", State: state, PageSize: 200})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*webhooksv1.WebhookEvent{}
	for _, ev := range list.GetWebhookEvents() {
		out[strings.TrimPrefix(ev.GetName(), "instance/webhookEvents/")] = ev
	}
	return out
}

func TestWhatIsLetIn(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	const platform, connect = "/v1/webhooks/stripe", "/v1/webhooks/stripe/connect"
	now := time.Now()
	body := event("evt_good", "customer.created", "")
	for what, c := range map[string]struct {
		path      string
		payload   []byte
		signature string
		want      int
	}{
		"a signed event":                    {platform, body, sign(body, apptest.WebhookSecret, now), 200},
		"the same again":                    {platform, body, sign(body, apptest.WebhookSecret, now), 200},
		"two signatures, as during a roll":  {platform, body, sign(body, "whsec_old", now) + "," + strings.SplitN(sign(body, apptest.WebhookSecret, now), ",", 2)[1], 200},
		"the other endpoint's secret":       {platform, body, sign(body, apptest.ConnectSecret, now), 400},
		"the right secret at the wrong end": {connect, body, sign(body, apptest.WebhookSecret, now), 400},
		"an hour old":                       {platform, body, sign(body, apptest.WebhookSecret, now.Add(-time.Hour)), 400},
		"another body":                      {platform, event("evt_forged", "customer.created", ""), sign(body, apptest.WebhookSecret, now), 400},
		"no signature":                      {platform, body, "", 400},
		"a broken signature":                {platform, body, "t=x,v1=zz", 400},
		"too large":                         {platform, bytes.Repeat([]byte("x"), 300<<10), "t=1,v1=00", 413},
		"a new api version":                 {platform, []byte(`{"id":"evt_new","object":"event","api_version":"2030-01-01","created":1,"type":"a.b","livemode":false,"data":{"object":{}}}`), "", 200},
	} {
		if what == "a new api version" {
			c.signature = sign(c.payload, apptest.WebhookSecret, now)
		}
		t.Run(what, func(t *testing.T) {
			if got := deliver(t, e, c.path, c.payload, c.signature); got != c.want {
				t.Errorf("HTTP %d, want %d", got, c.want)
			}
		})
	}
	live := event("evt_live", "checkout.session.completed", "")
	live = bytes.Replace(live, []byte(`"livemode":false`), []byte(`"livemode":true`), 1)
	if got := deliver(t, e, platform, live, sign(live, apptest.WebhookSecret, now)); got != 200 {
		t.Errorf("the other livemode: HTTP %d, want 200", got)
	}
	e.Eventually("what is not ours is stored and ignored", func() bool {
		ignored := received(t, e, webhooksv1.EventState_EVENT_STATE_IGNORED)
		return ignored["evt_good"] != nil && ignored["evt_live"] != nil && ignored["evt_new"] != nil
	})
	if all := received(t, e, webhooksv1.EventState_EVENT_STATE_UNSPECIFIED); len(all) != 3 || all["evt_forged"] != nil {
		t.Errorf("stored %d events, want 3", len(all))
	}
}

func TestEventsTwiceLateAndOutOfOrder(t *testing.T) {
	e := apptest.Start(t, apptest.Config{FeeDelay: time.Minute})
	campaign, _ := e.Campaign("vallon")
	e.Sim.SetDelivery(stripesim.Delivery{Twice: true, Shuffle: true, Delay: 5 * time.Millisecond, Seed: 7})
	const donations = 6
	for range donations {
		pay(t, e, give(t, e.Conn, donationTo(campaign)))
	}
	e.Clock.Advance(2 * time.Minute)
	e.Eventually("all is booked, once", func() bool {
		settled, pending := progress(t, e.Conn, campaign)
		return settled == donations*20_00 && pending == 0
	})
	if err := e.Sim.WaitDelivered(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.Eventually("no event waits", func() bool { return len(received(t, e, webhooksv1.EventState_EVENT_STATE_RECEIVED)) == 0 })
	if failed := received(t, e, webhooksv1.EventState_EVENT_STATE_FAILED); len(failed) != 0 {
		t.Errorf("failed: %v", failed)
	}
	if settled, _ := progress(t, e.Conn, campaign); settled != donations*20_00 {
		t.Errorf("settled %d after everything came twice", settled)
	}
}

func TestEveryWebhookLost(t *testing.T) {
	e := apptest.Start(t, apptest.Config{SyncEvery: 200 * time.Millisecond, FeeDelay: time.Minute})
	campaign, _ := e.Campaign("vallon")
	e.Sim.SetDelivery(stripesim.Delivery{Drop: true})
	d := give(t, e.Conn, donationTo(campaign))
	pay(t, e, d)
	e.Clock.Advance(2 * time.Minute)
	e.Eventually("the sync books it", func() bool {
		settled, pending := progress(t, e.Conn, campaign)
		return settled == 20_00 && pending == 0
	})
	if got := outcome(t, e.Conn, d); got != donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED {
		t.Errorf("the donor is told %v", got)
	}
}

func TestADonorWhoWaitsIsEnough(t *testing.T) {
	e := apptest.Start(t, apptest.Config{FeeDelay: time.Hour})
	campaign, _ := e.Campaign("vallon")
	e.Sim.SetDelivery(stripesim.Delivery{Drop: true})
	d := give(t, e.Conn, donationTo(campaign))
	pay(t, e, d)
	e.Eventually("asking again and again makes us look at Stripe", func() bool {
		return outcome(t, e.Conn, d) == donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED
	})
}

func TestAnExpiredPage(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	d := give(t, e.Conn, donationTo(campaign))
	if err := e.Sim.Expire(session(t, e, d).ID); err != nil {
		t.Fatal(err)
	}
	e.Eventually("the donor is told that nothing was paid", func() bool {
		return outcome(t, e.Conn, d) == donationsv1.DonationOutcome_DONATION_OUTCOME_NOT_PAID
	})
	if settled, pending := progress(t, e.Conn, campaign); settled != 0 || pending != 0 {
		t.Errorf("settled %d, pending %d for a page that nobody paid", settled, pending)
	}
}

func TestOperatorsOnlySeeEvents(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	_, owner := e.Campaign("vallon")
	_, err := webhooksv1.NewWebhooksServiceClient(e.Conn).ListWebhookEvents(apptest.WithKey(t.Context(), owner), &webhooksv1.ListWebhookEventsRequest{Parent: "instance"})
	wantError(t, err, codes.NotFound, "NOT_FOUND", "")
}

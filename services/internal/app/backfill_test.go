package app_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// Ten days in which no webhook came and the program was down for nine: everything ends equal.
func TestEveryWebhookLostForTenDaysThenAStart(t *testing.T) {
	e := apptest.Start(t, apptest.Config{FeeDelay: time.Minute})
	campaign, owner := e.Campaign("vallon")
	paid, left, late := give(t, e.Conn, donationTo(campaign)), give(t, e.Conn, donationTo(campaign)), give(t, e.Conn, donationTo(campaign))
	e.Sim.SetDelivery(stripesim.Delivery{Drop: true})
	pay(t, e, paid)
	e.Clock.Advance(time.Hour)
	e.StopApp()
	pay(t, e, late)
	e.Clock.Advance(10 * 24 * time.Hour) // the page that nobody paid at expires
	before := len(e.Sim.Requests())
	e.StartApp()
	e.Eventually("the money is booked", func() bool {
		settled, pending := progress(t, e.Conn, campaign)
		return settled == 40_00 && pending == 0
	})
	e.Eventually("the donor who left is told", func() bool {
		return outcome(t, e.Conn, left) == donationsv1.DonationOutcome_DONATION_OUTCOME_NOT_PAID
	})
	wantBooksOfStripe(t, e, "vallon")
	e.Eventually("every event of a page that Stripe knows is applied", func() bool {
		applied := received(t, e, webhooksv1.EventState_EVENT_STATE_APPLIED)
		return !slices.ContainsFunc(e.Sim.Events(""), func(ev stripesim.Event) bool {
			return strings.HasPrefix(ev.Type, "checkout.session.") && applied[ev.ID] == nil
		})
	})
	if n := len(e.Sim.Requests()) - before; n > 150 {
		t.Errorf("%d calls to Stripe for ten days without a donation to speak of", n)
	}
	health, err := webhooksv1.NewWebhooksServiceClient(e.Conn).GetWebhookHealth(apptest.WithKey(t.Context(), owner),
		&webhooksv1.GetWebhookHealthRequest{Name: "collectives/vallon/webhookHealth"})
	if err != nil || health.GetMissedCount() == 0 || health.GetReceivedCount() != 0 {
		t.Errorf("the owner is told %v, %v", health, err)
	}
}

// Stripe keeps its events for 30 days: what happened in 29 without the program, of every kind, ends equal.
func TestTwentyNineDaysWithoutTheProgram(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, owner := e.Campaign("vallon")
	treasurer := e.Key("collectives/vallon", accessv1.Role_ROLE_TREASURER)
	for _, err := range []error{e.Sim.OfferDebits("", true), e.Sim.SchedulePayouts("", true)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	monthly := payMonthly(t, e, "lyon")
	monthly.wantBooked(1, 20_00)
	e.Clock.Advance(5 * day)
	refunded, disputed, won, late, debited := give(t, e.Conn, donationTo(campaign)), give(t, e.Conn, donationTo(campaign)),
		give(t, e.Conn, donationTo(campaign)), give(t, e.Conn, donationTo(campaign)), give(t, e.Conn, donationTo(campaign))
	pages := map[string]string{}
	for name, d := range map[string]*donationsv1.Donation{"refunded": refunded, "disputed": disputed, "won": won, "late": late, "debited": debited} {
		pages[name] = session(t, e, d).ID
	}
	e.Sim.SetDelivery(stripesim.Delivery{Drop: true})
	e.StopApp()
	for _, name := range []string{"refunded", "disputed", "won", "late"} {
		if err := e.Sim.Pay(pages[name], stripesim.CardOK); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Sim.PayByDebit(pages["debited"], stripesim.IBANPaid); err != nil {
		t.Fatal(err)
	}
	charge := map[string]string{}
	for _, s := range e.Sim.Sessions("") {
		charge[s.ID] = s.ChargeID
	}
	e.Clock.Advance(5 * day)
	if _, err := e.Sim.Refund(charge[pages["refunded"]], 0); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Sim.Dispute(charge[pages["disputed"]], stripesim.Disputed{}); err != nil {
		t.Fatal(err)
	}
	id, err := e.Sim.Dispute(charge[pages["won"]], stripesim.Disputed{})
	if err != nil {
		t.Fatal(err)
	}
	e.Clock.Advance(10 * day)
	if err := e.Sim.CloseDispute(id, true, true); err != nil {
		t.Fatal(err)
	}
	e.Clock.Advance(14*day + 23*time.Hour)
	e.Sim.SetDelivery(stripesim.Delivery{})
	e.StartApp()

	e.Eventually("each payout is at the bank, and the balance is Stripe's", func() bool {
		var balance, paidOut, onItsWay int64
		for _, b := range e.Sim.BalanceTransactions("") {
			balance += b.NetMinor
		}
		for _, p := range e.Sim.Payouts("") {
			if p.Status == "paid" {
				paidOut += p.AmountMinor
			} else {
				onItsWay += p.AmountMinor
			}
		}
		got := map[string]int64{}
		for _, c := range []struct{ key, name string }{{treasurer, "vallon"}, {monthly.owner, "lyon"}} {
			for account, minor := range balances(t, e.Conn, c.key, "collectives/"+c.name) {
				got[account] += minor
			}
		}
		return paidOut != 0 && got["51212"] == balance && got[bank] == paidOut && got[transit] == onItsWay
	})
	monthly.wantBooked(2, 40_00)
	for _, c := range []struct {
		donation *donationsv1.Donation
		back     int64
		disputed bool
	}{{refunded, 20_00, false}, {disputed, 0, true}, {won, 0, false}, {late, 0, false}, {debited, 0, false}} {
		e.Eventually("a donation is as at Stripe", func() bool {
			d := stateOf(t, e, owner, c.donation)
			return d.GetBookTime() != nil && d.GetAmountRefunded().GetAmountMinor() == c.back && d.GetDisputed() == c.disputed
		})
	}
}

// A burst from many donors stays within what Stripe allows a test key, and a donor never waits for the sync.
func TestCallsStayWithinStripesLimit(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	e.StopApp()
	e.SetStripeRate(20)
	e.Sim.SetLimit(25)
	e.StartApp()
	const donations = 30
	for range donations {
		pay(t, e, give(t, e.Conn, donationTo(campaign)))
	}
	e.Eventually("all is booked", func() bool {
		settled, pending := progress(t, e.Conn, campaign)
		return settled == donations*20_00 && pending == 0
	})
	if n := e.Sim.Limited(); n != 0 {
		t.Errorf("Stripe refused %d calls for its limit", n)
	}
}

// What Stripe refuses for a lock or its limit is tried again, under the same key with the same body.
func TestLocksAndLimitsAtStripeAreWaitedOut(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		for name, fault := range map[string]stripesim.Fault{
			"lock_timeout": stripesim.LockTimeout("/v1/checkout/sessions", 1),
			"rate_limit":   {PathPrefix: "/v1/checkout/sessions", Status: http.StatusTooManyRequests, Times: 1},
		} {
			e.Sim.AddFault(fault)
			req := donationTo(campaign)
			var d *donationsv1.Donation
			e.Eventually("the same request gets its page after a "+name, func() bool {
				var err error
				d, err = donationsv1.NewDonationsServiceClient(conn).CreateDonation(t.Context(), req)
				return err == nil && d.GetCheckoutUrl() != ""
			})
			keys := map[string]string{}
			for _, r := range e.Sim.Requests() {
				if r.Method != http.MethodPost || r.IdempotencyKey == "" {
					continue
				}
				if body, known := keys[r.IdempotencyKey]; known && body != string(r.Body) {
					t.Errorf("one idempotency key has two bodies")
				}
				keys[r.IdempotencyKey] = string(r.Body)
			}
		}
	})
}

// Keys and secrets are rolled with the old and the new one side by side; nothing is lost on the way.
func TestKeysAndSecretsAreRolled(t *testing.T) {
	const newKey, newSecret = "sk_test_new", "whsec_test_new"
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	want := int64(0)
	giveAndWait := func(when string) {
		t.Helper()
		pay(t, e, give(t, e.Conn, donationTo(campaign)))
		want += 20_00
		e.Eventually("a donation is booked "+when, func() bool {
			settled, pending := progress(t, e.Conn, campaign)
			return settled == want && pending == 0
		})
		if err := e.Sim.WaitDelivered(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	endpoint := func(secret string) {
		e.Sim.SetEndpoints([]stripesim.Endpoint{{URL: e.URL + "/v1/webhooks/stripe", Secret: secret}})
	}
	giveAndWait("before")
	e.StopApp()
	e.SetAPIKey(apptest.APIKey + "," + newKey)
	e.SetSecrets(apptest.WebhookSecret+","+newSecret, apptest.ConnectSecret)
	e.StartApp()
	giveAndWait("with the old ones still in force")
	e.Sim.SetAPIKeys(apptest.APIKey, newKey)
	endpoint(apptest.WebhookSecret + "," + newSecret) // Stripe signs with both
	giveAndWait("with both in force")
	e.Sim.SetAPIKeys(newKey)
	endpoint(newSecret)
	giveAndWait("with the old ones gone, and no restart")
	e.StopApp()
	e.SetAPIKey(newKey)
	e.SetSecrets(newSecret, apptest.ConnectSecret)
	e.StartApp()
	giveAndWait("after")
}

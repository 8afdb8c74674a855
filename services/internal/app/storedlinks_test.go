package app_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// TestLinksAreKeptNoLongerThanTheyAreGoodFor looks for every link and secret of Stripe's in every table, while they are
// good and after: who reads a backup must not find a page that is open.
func TestLinksAreKeptNoLongerThanTheyAreGoodFor(t *testing.T) {
	box := mailtest.Start(t)
	e := apptest.Start(t, apptest.Config{SMTPURL: box.URL()})
	campaign, _ := e.Campaign("vallon")
	m := payMonthly(t, e, "lyon")
	m.wantBooked(1, 20_00)

	// links are what must be found in no table but the one named, each by its own words.
	links := map[string]string{}
	open, paid, left, back := give(t, e.Conn, donationTo(campaign)), give(t, e.Conn, donationTo(campaign)), give(t, e.Conn, donationTo(campaign)), give(t, e.Conn, donationTo(campaign))
	pages := map[string]string{"open": session(t, e, open).ID, "paid": session(t, e, paid).ID, "left": session(t, e, left).ID, "back": session(t, e, back).ID}
	pay(t, e, paid)
	for _, name := range []string{"left", "back"} {
		if err := e.Sim.Expire(pages[name]); err != nil {
			t.Fatal(err)
		}
	}
	is := func(d *donationsv1.Donation, want donationsv1.DonationOutcome) {
		t.Helper()
		e.Eventually("the donor is told "+want.String(), func() bool { return outcome(t, e.Conn, d) == want })
	}
	is(left, donationsv1.DonationOutcome_DONATION_OUTCOME_NOT_PAID)
	is(back, donationsv1.DonationOutcome_DONATION_OUTCOME_NOT_PAID)
	if err := e.Sim.Pay(reopened(t, e, back), stripesim.CardOK); err != nil {
		t.Fatal(err)
	}
	is(back, donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED)
	for _, s := range e.Sim.Sessions("") {
		links["/pay/"+s.ID] = ""
	}
	links["/pay/"+pages["open"]] = "donations.donations"

	page := e.URL + "/c/lyon/avocate/monthly/" + m.name()[len(m.name())-36:]
	token := openLink(t, m, box)
	browse(t, page+"/open", url.Values{"token": {token}})
	_, portal := browse(t, page+"/portal", url.Values{"token": {token}})
	_, owner := e.Campaign("paris")
	onboarding, err := onboard(t, e.Conn, owner, "collectives/paris", uuid.NewString())
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{
		token, portal[strings.LastIndex(portal, "/")+1:], onboarding.GetUrl()[strings.LastIndex(onboarding.GetUrl(), "/")+1:],
		// The client secret of any payment, and the page of any invoice.
		"_secret_", "invoice.stripe.com", "pay.stripe.com",
	} {
		if len(link) < 8 {
			t.Fatalf("there is nothing to look for: %q", link)
		}
		links[link] = ""
	}

	look := func(when string) {
		t.Helper()
		for table, text := range everyTable(t, e) {
			for link, allowed := range links {
				if found := strings.Contains(text, link); found != (table == allowed) {
					t.Errorf("%s: %s holds %s: %v, want it in %q alone", when, table, link, found, allowed)
				}
			}
		}
	}
	e.Eventually("all events are applied", func() bool {
		return len(received(t, e, webhooksv1.EventState_EVENT_STATE_RECEIVED)) == 0
	})
	look("while they are good")
	e.Clock.Advance(24 * time.Hour) // the page that was open closes
	is(open, donationsv1.DonationOutcome_DONATION_OUTCOME_NOT_PAID)
	links["/pay/"+pages["open"]] = ""
	look("after a day")

	if len(everyTable(t, e)["webhooks.events"]) == 0 {
		t.Error("there is nothing left to look through")
	}
}

func statusOf(t *testing.T, e *apptest.Env, d *donationsv1.Donation) *donationsv1.DonationStatus {
	t.Helper()
	status, err := donationsv1.NewDonationsServiceClient(e.Conn).GetDonationStatus(t.Context(), &donationsv1.GetDonationStatusRequest{Name: d.GetName() + "/status"})
	if err != nil {
		t.Fatal(err)
	}
	return status
}

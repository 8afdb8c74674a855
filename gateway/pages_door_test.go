package gateway_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/gateway"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
)

// dance is an event at free price.
func dance() *campaignsv1.Campaign {
	c := vallon()
	c.Event = &campaignsv1.Event{Date: "2026-08-15", Time: "19:30", Place: "Salle des fêtes"}
	c.CollectiveTimeZone = "Europe/Paris"
	return c
}

func TestDoor(t *testing.T) {
	c := dance()
	var asked *donationsv1.CreateDonationRequest
	var failure error
	b := &backend{
		getCampaign: func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) { return c, nil },
		createDonation: func(r *donationsv1.CreateDonationRequest) (*donationsv1.Donation, error) {
			asked = r
			return &donationsv1.Donation{CheckoutUrl: "https://checkout.stripe.com/c/pay/cs_1#x"}, failure
		},
	}
	now := time.Date(2026, 8, 15, 18, 0, 0, 0, time.UTC)
	front := serve(t, b, gateway.Options{PublicURL: publicURL, Uncached: true, Now: func() time.Time { return now }})
	door := front.URL + campaignPath + "/door"
	post := func(t *testing.T, form url.Values, header ...string) answer {
		t.Helper()
		return send(t, "POST", door+"?lang=fr", form.Encode(), append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
	}

	t.Run("has a button for each amount, and no progress", func(t *testing.T) {
		got := send(t, "GET", door+"?lang=fr", "")
		holds(t, got.body, `<button name="preset" value="2000">20`, `name="robots" content="noindex`, "Salle des fêtes", `id="amount"`)
		lacks(t, got.body, "progressbar", "312,50", "data-start")
		if policy := got.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' https://checkout.stripe.com") || !strings.Contains(policy, "script-src 'self'") {
			t.Errorf("the policy is %q", policy)
		}
	})
	t.Run("says when the event is yet to come, and when it is over, by the days of its collective", func(t *testing.T) {
		for at, says := range map[string]string{
			"2026-08-14T21:59:00Z": "L’événement a lieu le", "2026-08-14T22:01:00Z": "", "2026-08-16T03:59:00Z": "", "2026-08-16T04:01:00Z": "L’événement a eu lieu le",
		} {
			now, _ = time.Parse(time.RFC3339, at)
			got := send(t, "GET", door+"?lang=fr", "")
			if says == "" {
				lacks(t, got.body, "L’événement a")
			} else {
				holds(t, got.body, says, `<button name="preset"`)
			}
		}
	})
	t.Run("starts a donation that comes back to the door, once and without the fee", func(t *testing.T) {
		for _, c := range []struct {
			form url.Values
			want int64
			back string
		}{
			{url.Values{"preset": {"2000"}}, 2000, ""},
			{url.Values{"preset": {"2000"}, "at": {"7"}}, 2000, "?at=7"},
			{url.Values{"amount": {"12,50"}, "at": {"777"}, "often": {"monthly"}, "cover": {"yes"}}, 1250, ""},
			{url.Values{"amount": {"3"}, "at": {"//evil.example"}}, 300, ""},
		} {
			got := post(t, c.form, "Sec-Fetch-Site", "same-origin")
			if got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != "https://checkout.stripe.com/c/pay/cs_1#x" {
				t.Fatalf("%v: got %d to %q", c.form, got.StatusCode, got.Header.Get("Location"))
			}
			d := asked.GetDonation()
			if d.GetAmount().GetAmountMinor() != c.want || d.GetReturnUrl() != publicURL+campaignPath+"/door"+c.back || asked.GetCoverFee() || asked.GetRecurrence() == donationsv1.Recurrence_RECURRENCE_MONTHLY {
				t.Errorf("%v: asked for %v", c.form, asked)
			}
		}
	})
	t.Run("says what is wrong, and keeps what was typed and the place in the history", func(t *testing.T) {
		got := post(t, url.Values{"amount": {"vingt"}, "at": {"7"}})
		if got.StatusCode != 400 || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("got %d, %q", got.StatusCode, got.Header.Get("Cache-Control"))
		}
		holds(t, got.body, "Saisissez le montant en chiffres", `value="vingt"`, `name="at" value="7"`, `href="#amount"`, `data-start="`+campaignPath+`/door?lang=fr"`)
		failure = fail(codes.Unavailable, "STRIPE_UNAVAILABLE")
		if got = post(t, url.Values{"preset": {"2000"}}); got.StatusCode != 503 {
			t.Errorf("got %d", got.StatusCode)
		}
		holds(t, got.body, "Le service de paiement ne répond pas", `<button name="preset" value="2000">`)
		failure, asked = nil, nil
		if got = post(t, url.Values{"preset": {"2000"}}, "Sec-Fetch-Site", "cross-site"); got.StatusCode != 403 || asked != nil {
			t.Errorf("another site's form got %d", got.StatusCode)
		}
	})
	t.Run("thanks everybody alike", func(t *testing.T) {
		c.Texts["fr"].ThankYou = "À **tout de suite** !"
		plain, placed := send(t, "GET", door+"/thanks?lang=fr", ""), send(t, "GET", door+"/thanks?lang=fr&at=7", "")
		if plain.body != placed.body || plain.StatusCode != 200 {
			t.Errorf("got %d, and another page with a place", plain.StatusCode)
		}
		holds(t, plain.body, "Merci", "<strong>tout de suite</strong>", `href="`+campaignPath+`/door?lang=fr" data-again`)
	})
	t.Run("is kind where no donations are taken, and is not there for what is no event", func(t *testing.T) {
		c.AcceptingDonations, c.State = false, campaignsv1.CampaignState_CAMPAIGN_STATE_PAUSED
		got := send(t, "GET", door+"?lang=fr", "")
		holds(t, got.body, "La collecte est en pause")
		lacks(t, got.body, "<button name", "<form")
		c = dance()
		c.AcceptingCards = false
		holds(t, send(t, "GET", door+"?lang=fr", "").body, "par carte ne sont pas possibles")
		c, asked = vallon(), nil
		for _, path := range []string{"", "/thanks", "/unpaid"} {
			if got := send(t, "GET", door+path, ""); got.StatusCode != 404 {
				t.Errorf("%q: got %d", path, got.StatusCode)
			}
		}
		if got := post(t, url.Values{"preset": {"2000"}}); got.StatusCode != 404 || asked != nil {
			t.Errorf("the form got %d", got.StatusCode)
		}
	})
}

// The page of a donation that was made at a door is shown to nobody there.
func TestBackAtDoor(t *testing.T) {
	status := &donationsv1.DonationStatus{Name: campaignName + "/donations/01890a5d-ac96-774b-bcce-b302099a8057/status", Amount: euros(2000), Locale: "fr"}
	b := &backend{donationStatus: func(*donationsv1.GetDonationStatusRequest) (*donationsv1.DonationStatus, error) { return status, nil }}
	front := serve(t, b, gateway.Options{PublicURL: publicURL})
	page, door := front.URL+campaignPath+"/donations/01890a5d-ac96-774b-bcce-b302099a8057", publicURL+campaignPath+"/door"
	for _, c := range []struct {
		outcome    donationsv1.DonationOutcome
		back, want string
	}{
		{donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED, door, "/door/thanks?lang=fr"},
		{donationsv1.DonationOutcome_DONATION_OUTCOME_CONFIRMING, door + "?at=4", "/door/thanks?at=4&lang=fr"},
		{donationsv1.DonationOutcome_DONATION_OUTCOME_NOT_PAID, door + "?at=4", "/door/unpaid?at=4&lang=fr"},
		{donationsv1.DonationOutcome_DONATION_OUTCOME_OPEN, door + "?at=<x>", "/door/unpaid?lang=fr"},
		// These are other places, and their donors read what became of their donation.
		{donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED, "https://vallon.example" + campaignPath + "/door", ""},
		{donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED, publicURL + "/c/vallon/autre/door", ""},
		{donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED, publicURL + campaignPath, ""},
		{donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED, "", ""},
		{donationsv1.DonationOutcome_DONATION_OUTCOME_REFUNDED, door, ""},
	} {
		status.Outcome, status.ReturnUrl = c.outcome, c.back
		got := send(t, "GET", page+"?lang=fr", "")
		if c.want == "" {
			if got.StatusCode != http.StatusOK {
				t.Errorf("%v back to %q: got %d to %q", c.outcome, c.back, got.StatusCode, got.Header.Get("Location"))
			}
			continue
		}
		if got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != campaignPath+c.want || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v back to %q: got %d to %q", c.outcome, c.back, got.StatusCode, got.Header.Get("Location"))
		}
		lacks(t, got.body, "01890a5d", "20")
	}
}

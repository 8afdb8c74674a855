package gateway_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/cagnotte/cagnotte/gateway"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
)

func TestGive(t *testing.T) {
	var asked *donationsv1.CreateDonationRequest
	var failure error
	b := &backend{createDonation: func(r *donationsv1.CreateDonationRequest) (*donationsv1.Donation, error) {
		asked = r
		if failure != nil {
			return nil, failure
		}
		return &donationsv1.Donation{CheckoutUrl: "https://checkout.stripe.com/c/pay/cs_1#x"}, nil
	}}
	front := serve(t, b, gateway.Options{})
	post := func(t *testing.T, form url.Values, header ...string) answer {
		t.Helper()
		return send(t, "POST", front.URL+campaignPath+"/give?lang=fr", form.Encode(),
			append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
	}

	t.Run("leads to the payment page, whatever way the amount is said", func(t *testing.T) {
		for _, c := range []struct {
			form url.Values
			want int64
		}{
			{url.Values{"preset": {"2000"}}, 2000},
			{url.Values{"amount": {"12,50"}}, 1250},
			{url.Values{"amount": {" 1\u202f234,5 €"}}, 123450},
			{url.Values{"amount": {"7"}, "preset": {"2000"}}, 700},
		} {
			got := post(t, c.form, "Sec-Fetch-Site", "same-origin")
			if got.StatusCode != 303 || got.Header.Get("Location") != "https://checkout.stripe.com/c/pay/cs_1#x" {
				t.Fatalf("%v: got %d to %q", c.form, got.StatusCode, got.Header.Get("Location"))
			}
			if asked.GetDonation().GetAmount().GetAmountMinor() != c.want || asked.GetDonation().GetAmount().GetCurrencyCode() != "EUR" {
				t.Errorf("%v: asked for %v", c.form, asked.GetDonation().GetAmount())
			}
			if asked.GetParent() != campaignName || asked.GetDonation().GetLocale() != "fr" || len(asked.GetRequestId()) != 36 {
				t.Errorf("asked for %v", asked)
			}
		}
	})
	t.Run("says in words what is wrong with the amount, and keeps it", func(t *testing.T) {
		for _, c := range []struct {
			form url.Values
			says string
		}{
			{url.Values{}, "Choisissez un montant"},
			{url.Values{"amount": {"vingt"}}, "Saisissez le montant en chiffres"},
			{url.Values{"amount": {"1,234"}}, "Saisissez le montant en chiffres"},
			{url.Values{"preset": {"2000; DROP"}}, "Saisissez le montant en chiffres"},
		} {
			asked = nil
			got := post(t, c.form)
			if got.StatusCode != 400 || asked != nil {
				t.Errorf("%v: got %d", c.form, got.StatusCode)
			}
			holds(t, got.body, c.says, `role="alert" tabindex="-1" autofocus`, `<a href="#amount">`, `id="amount-error"`, `aria-describedby="amount-error bounds" aria-invalid="true"`,
				`value="`+c.form.Get("amount")+`"`)
			if got.Header.Get("Cache-Control") != "no-store" {
				t.Error("somebody's form may be kept by caches")
			}
		}
	})
	t.Run("escapes what was typed", func(t *testing.T) {
		lacks(t, post(t, url.Values{"amount": {`"><script>`}}).body, "<script")
	})
	t.Run("says in words why a donation was refused", func(t *testing.T) {
		for _, c := range []struct {
			failure error
			status  int
			says    string
		}{
			{fail(codes.InvalidArgument, "AMOUNT_TOO_SMALL"), 400, "Le don minimum est de 1\u00a0€"},
			{fail(codes.InvalidArgument, "AMOUNT_TOO_LARGE"), 400, "Le don maximum est de 5\u202f000\u00a0€"},
			{fail(codes.ResourceExhausted, "TOO_MANY_DONATIONS", &errdetails.RetryInfo{RetryDelay: durationpb.New(5 * time.Minute)}), 429, "Réessayez dans 5 minutes"},
			{fail(codes.ResourceExhausted, "TOO_MANY_DONATIONS", &errdetails.RetryInfo{RetryDelay: durationpb.New(20 * time.Second)}), 429, "Réessayez dans 20 secondes"},
			{fail(codes.Unavailable, "STRIPE_UNAVAILABLE"), 503, "Le service de paiement ne répond pas"},
			{fail(codes.FailedPrecondition, "CAMPAIGN_NOT_OPEN"), 409, "n’accepte pas de dons en ce moment"},
			{fail(codes.Internal, "INTERNAL"), 500, "Un problème est survenu"},
		} {
			failure = c.failure
			got := post(t, url.Values{"amount": {"0,10"}, "preset": {"2000"}})
			if got.StatusCode != c.status {
				t.Errorf("got %d, want %d", got.StatusCode, c.status)
			}
			holds(t, got.body, c.says, `role="alert"`, `value="0,10"`, `value="2000" checked`)
			// Where no field is at fault none gets the focus.
			if atField := strings.Contains(got.body, "aria-invalid"); atField != (c.status == 400) || strings.Contains(got.body, "autofocus") != atField {
				t.Errorf("%s: the field is at fault: %v", c.says, atField)
			}
		}
		failure = nil
	})
	t.Run("refuses a form on another site", func(t *testing.T) {
		for _, header := range [][]string{
			{"Sec-Fetch-Site", "cross-site"},
			{"Sec-Fetch-Site", "same-site"},
			{"Origin", "https://evil.example"},
			{"Origin", "null"},
		} {
			asked = nil
			got := post(t, url.Values{"preset": {"2000"}}, header...)
			if got.StatusCode != 403 || asked != nil {
				t.Errorf("%v: got %d", header, got.StatusCode)
			}
		}
	})
	t.Run("never leads anywhere but to a payment page", func(t *testing.T) {
		elsewhere := serve(t, &backend{createDonation: func(*donationsv1.CreateDonationRequest) (*donationsv1.Donation, error) {
			return &donationsv1.Donation{CheckoutUrl: "https://checkout.stripe.com.evil.example/"}, nil
		}}, gateway.Options{})
		got := send(t, "POST", elsewhere.URL+campaignPath+"/give", "preset=2000", "Content-Type", "application/x-www-form-urlencoded")
		if got.StatusCode != 500 || got.Header.Get("Location") != "" {
			t.Errorf("got %d to %q", got.StatusCode, got.Header.Get("Location"))
		}
	})
	t.Run("leads a reload of the form's address back to the campaign", func(t *testing.T) {
		got := send(t, "GET", front.URL+campaignPath+"/give?lang=en", "")
		if got.StatusCode != 303 || got.Header.Get("Location") != campaignPath+"?lang=en" {
			t.Errorf("got %d to %q", got.StatusCode, got.Header.Get("Location"))
		}
	})
}

func TestDonationPage(t *testing.T) {
	donation := &donationsv1.DonationStatus{}
	b := &backend{donationStatus: func(r *donationsv1.GetDonationStatusRequest) (*donationsv1.DonationStatus, error) {
		donation.Name, donation.Amount = r.GetName(), euros(2000)
		return donation, nil
	}}
	front := serve(t, b, gateway.Options{})
	page := front.URL + campaignPath + "/donations/" + donationID

	for _, c := range []struct {
		outcome donationsv1.DonationOutcome
		says    []string
		silent  []string
	}{
		{donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED, []string{"Votre don de 20\u00a0€ est bien arrivé."}, []string{"http-equiv", "checkout.stripe.com"}},
		{donationsv1.DonationOutcome_DONATION_OUTCOME_CONFIRMING, []string{"en cours de confirmation", `data-wait="2,3,5,10,20,40"`}, []string{"bien arrivé", "checkout.stripe.com"}},
		{donationsv1.DonationOutcome_DONATION_OUTCOME_OPEN, []string{"Nous n’avons pas encore reçu de paiement", "Si vous avez annulé, rien n’a été débité.", `href="https://checkout.stripe.com/c/pay/cs_1"`, `data-wait="2,3,5,10,20,40"`}, []string{"Merci"}},
		{donationsv1.DonationOutcome_DONATION_OUTCOME_NOT_PAID, []string{"n’a pas été payé", "Rien n’a été débité.", "Faire un don"}, []string{"Merci", "http-equiv"}},
		{donationsv1.DonationOutcome_DONATION_OUTCOME_REFUNDED, []string{"vous a été remboursé"}, []string{"Merci", "http-equiv"}},
	} {
		t.Run(c.outcome.String(), func(t *testing.T) {
			donation.Outcome, donation.ReturnUrl, donation.CheckoutUrl = c.outcome, "https://vallon.example/soutenir", ""
			if c.outcome == donationsv1.DonationOutcome_DONATION_OUTCOME_OPEN {
				donation.CheckoutUrl = "https://checkout.stripe.com/c/pay/cs_1"
			}
			got := send(t, "GET", page, "")
			holds(t, got.body, append(c.says, "noindex", `href="https://vallon.example/soutenir"`, "Retourner sur vallon.example")...)
			lacks(t, got.body, c.silent...)
			if got.StatusCode != 200 || got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("got %d, Cache-Control %q", got.StatusCode, got.Header.Get("Cache-Control"))
			}
			if referrer := got.Header.Get("Referrer-Policy"); referrer != "same-origin" {
				t.Errorf("the donation's address goes out with Referrer-Policy %q", referrer)
			}
		})
	}
	t.Run("says who took it back when a bank did", func(t *testing.T) {
		donation.Outcome, donation.Disputed = donationsv1.DonationOutcome_DONATION_OUTCOME_REFUNDED, true
		got := send(t, "GET", page, "")
		holds(t, got.body, "Le paiement a été contesté", "Le paiement de 20\u00a0€ a été contesté")
		lacks(t, got.body, "vous a été remboursé", "Merci")
		donation.Disputed = false
	})
	t.Run("says that it went back twice, and how", func(t *testing.T) {
		euros := func(minor int64) *moneyv1.Money { return &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: minor} }
		donation.Outcome, donation.Disputed = donationsv1.DonationOutcome_DONATION_OUTCOME_REFUNDED, true
		donation.AmountRefunded, donation.AmountDisputed = euros(2000), euros(2000)
		got := send(t, "GET", page, "")
		holds(t, got.body, "Votre don a été remboursé", "deux fois\u202f: 20\u00a0€ par le collectif et 20\u00a0€ par votre banque")
		lacks(t, got.body, "a été contesté", "Merci", "Une partie")
		donation.AmountRefunded = euros(500)
		holds(t, send(t, "GET", page, "").body, "a été contesté", "deux fois\u202f: 5\u00a0€ par le collectif")
		donation.Outcome, donation.AmountRefunded, donation.AmountDisputed = donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED, nil, euros(800)
		holds(t, send(t, "GET", page, "").body, "est bien arrivé", "reprise par votre banque\u202f: 8\u00a0€. Votre don est désormais de 12\u00a0€.")
		donation.Disputed, donation.AmountDisputed = false, nil
	})
	t.Run("says what of it went back", func(t *testing.T) {
		donation.Outcome = donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED
		donation.AmountRefunded = &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 550}
		holds(t, send(t, "GET", page, "").body, "est bien arrivé", "5,50\u00a0€ vous ont été remboursés. Votre don est désormais de 14,50\u00a0€.")
		donation.AmountRefunded = nil
		lacks(t, send(t, "GET", page, "").body, "remboursés")
	})
	donation.Outcome = donationsv1.DonationOutcome_DONATION_OUTCOME_OPEN
	t.Run("a page that waits has a link, and a script that looks again by itself", func(t *testing.T) {
		got := send(t, "GET", page+"?lang=en", "")
		holds(t, got.body, `data-wait="2,3,5,10,20,40" data-look="?lang=en&amp;look=1"`, "Check again", `data-state="open"`)
		lacks(t, got.body, "http-equiv=\"refresh")
		script := regexp.MustCompile(`<script src="(/assets/wait-[^"]+)" defer>`).FindStringSubmatch(got.body)
		if script == nil {
			t.Fatal("the page has no script")
		}
		if file := send(t, "GET", front.URL+script[1], ""); file.StatusCode != 200 || !strings.HasPrefix(file.Header.Get("Content-Type"), "text/javascript") {
			t.Errorf("its script: %d %s", file.StatusCode, file.Header)
		}
		if policy := got.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'self'; connect-src 'self';") {
			t.Errorf("the policy is %q", policy)
		}
	})
	t.Run("speaks the donor's language, unless another is asked for", func(t *testing.T) {
		donation.Locale = "en"
		holds(t, send(t, "GET", page+"?look=1", "", "Accept-Language", "fr").body, "No payment yet")
		holds(t, send(t, "GET", page+"?look=1&lang=fr", "").body, "Aucun paiement")
	})
	t.Run("leads back to the campaign without a return address, and never to a script", func(t *testing.T) {
		for _, address := range []string{"", "javascript:alert(1)", "//evil.example"} {
			donation.ReturnUrl = address
			got := send(t, "GET", page+"?look=1&lang=fr", "")
			holds(t, got.body, `href="/c/vallon/cameras?lang=fr"`, "Retourner à la collecte")
			lacks(t, got.body, "javascript:", "evil.example")
		}
	})
	t.Run("believes nothing that the address says", func(t *testing.T) {
		lacks(t, send(t, "GET", page+"?look=1&lang=fr&outcome=RECEIVED&status=paid&redirect_status=succeeded", "").body, "bien arrivé", "Merci")
	})
	t.Run("tells the truth even when the campaign cannot be shown", func(t *testing.T) {
		b.getCampaign = func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
			return nil, fail(codes.Unavailable, "DATABASE_UNAVAILABLE")
		}
		if got := send(t, "GET", page+"?look=1&lang=fr", ""); got.StatusCode != 200 {
			t.Errorf("got %d", got.StatusCode)
		}
	})
	t.Run("waits a moment for the webhook of who has just paid", func(t *testing.T) {
		asked := 0
		b.donationStatus = func(r *donationsv1.GetDonationStatusRequest) (*donationsv1.DonationStatus, error) {
			asked++
			status := &donationsv1.DonationStatus{Name: r.GetName(), Amount: euros(2000), Outcome: donationsv1.DonationOutcome_DONATION_OUTCOME_OPEN}
			if asked > 2 {
				status.Outcome = donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED
			}
			return status, nil
		}
		holds(t, send(t, "GET", page, "").body, "bien arrivé")
	})
}

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
)

const campaignPath = "/c/vallon/cameras"

// holds checks that a page says all of it.
func holds(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not say %q:\n%s", text, page)
		}
	}
}

func lacks(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(page, text) {
			t.Errorf("the page says %q:\n%s", text, page)
		}
	}
}

func TestCampaignPage(t *testing.T) {
	b := &backend{}
	front := serve(t, b, gateway.Options{CheckoutOrigins: []string{"https://checkout.stripe.com", "http://127.0.0.1:12111"}})

	t.Run("shows story, progress, stages and the form, in French", func(t *testing.T) {
		got := send(t, "GET", front.URL+campaignPath, "")
		if got.StatusCode != 200 {
			t.Fatalf("got %d", got.StatusCode)
		}
		holds(t, got.body, `<html lang="fr">`, "Contre les caméras, au tribunal", "<strong>23 caméras</strong>",
			"312,50\u00a0€", "recueillis sur 800\u00a0€", "39\u00a0%", "40\u00a0€ en cours de confirmation",
			"Mise en demeure", "financé", "il manque 187,50\u00a0€", "ensuite", `value="2000"`, "De 1\u00a0€ à 5\u202f000\u00a0€")
		lacks(t, got.body, "<script", "style=", "http://", "onclick")
	})
	t.Run("shares nothing of one reader with the next", func(t *testing.T) {
		got := send(t, "GET", front.URL+campaignPath, "", "Authorization", "Bearer key", "Origin", "https://vallon.example")
		if got.Header.Get("X-Request-Id") != "" || !strings.Contains(got.Header.Get("Cache-Control"), "public") {
			t.Errorf("a page for caches has the headers %v", got.Header)
		}
		md := b.lastMetadata(t)
		if md.Get("authorization") != nil || md.Get("cagnotte-origin") != nil {
			t.Errorf("a public page was asked for with %v", md)
		}
		if md.Get("cagnotte-client-address") == nil {
			t.Error("the limits do not see who asks")
		}
	})
	t.Run("lets the form lead to the payment pages and nowhere else", func(t *testing.T) {
		policy := send(t, "GET", front.URL+campaignPath, "").Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "form-action 'self' https://checkout.stripe.com http://127.0.0.1:12111;", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("the policy lacks %q: %s", want, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src") {
			t.Errorf("the policy is %q", policy)
		}
	})
	t.Run("chooses the language by ?lang=, then by the browser, then French", func(t *testing.T) {
		for _, c := range []struct{ query, accept, want string }{
			{"", "", "fr"},
			{"", "en-GB,en;q=0.9", "en"},
			{"", "de,en;q=0.8,fr;q=0.9", "fr"},
			{"", "de, en;q=0.1", "en"},
			{"", "en;q=0", "fr"},
			{"?lang=en", "fr", "en"},
			{"?lang=xx", "en", "en"},
		} {
			got := send(t, "GET", front.URL+campaignPath+c.query, "", "Accept-Language", c.accept)
			holds(t, got.body, `<html lang="`+c.want+`">`)
			fixed := c.query == "?lang=en"
			if vary := strings.Join(got.Header.Values("Vary"), ","); strings.Contains(vary, "Accept-Language") == fixed {
				t.Errorf("%+v: Vary is %q", c, vary)
			}
		}
	})
	t.Run("marks the language of a text that has no translation", func(t *testing.T) {
		got := send(t, "GET", front.URL+campaignPath+"?lang=en", "")
		holds(t, got.body, "raised of €800", `<span lang="fr">Première instance</span>`, `<span lang="en">Appeal</span>`, "€187.50 to go")
	})
	t.Run("its files exist, for ever under their names", func(t *testing.T) {
		body := send(t, "GET", front.URL+campaignPath, "").body
		for _, path := range regexp.MustCompile(`href="(/assets/[^"]+)"`).FindAllStringSubmatch(body, -1) {
			got := send(t, "GET", front.URL+path[1], "")
			if got.StatusCode != 200 || !strings.Contains(got.Header.Get("Cache-Control"), "immutable") {
				t.Errorf("%s: got %d, %v", path[1], got.StatusCode, got.Header)
			}
		}
	})
}

func TestHostileCampaign(t *testing.T) {
	b := &backend{getCampaign: func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
		c := vallon()
		c.CollectiveDisplayName = `"><script>alert(1)</script>`
		c.Texts["fr"].Title = `<img src=x onerror=alert(2)>`
		c.Stages[0].Titles["fr"] = `</li><script>alert(3)</script>`
		c.Texts["fr"].Story = strings.Join([]string{
			`<script>alert(4)</script>`,
			`<a href="javascript:alert(5)">a</a> [b](javascript:alert(6)) [c](JaVaScRiPt:alert(7)) [d](data:text/html,x)`,
			`![image](https://tracker.example/pixel.gif)`,
			`<iframe src="https://evil.example"></iframe><style>body{display:none}</style>`,
			`[e](https://fine.example "onmouseover=alert(8)") <https://auto.example> https://linkified.example`,
			"# Heading",
			`<form action="https://evil.example"><input name=card></form>`,
		}, "\n\n")
		return c, nil
	}}
	front := serve(t, b, gateway.Options{})
	got := send(t, "GET", front.URL+campaignPath, "")
	lacks(t, strings.ToLower(got.body), "<script", "<img", "javascript:", "data:text", "tracker.example", "<iframe", "<style", "<form action", "onmouseover=alert", "evil.example")
	holds(t, got.body, `&lt;img src=x onerror=alert(2)&gt;`, `<h2>Heading</h2>`)
	for _, host := range []string{"fine.example", "auto.example", "linkified.example"} {
		if !regexp.MustCompile(`<a href="https://` + host + `" rel="noopener nofollow">`).MatchString(got.body) {
			t.Errorf("the link to %s is not as it should be:\n%s", host, got.body)
		}
	}
	if n := strings.Count(got.body, "<h1"); n != 1 {
		t.Errorf("there are %d h1", n)
	}
}

func TestPagesThatAreNot(t *testing.T) {
	var failure error
	b := &backend{getCampaign: func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) { return nil, failure }}
	front := serve(t, b, gateway.Options{})
	t.Run("a draft, a stranger's address and nonsense look alike", func(t *testing.T) {
		failure = fail(codes.NotFound, "NOT_FOUND")
		for _, path := range []string{campaignPath, "/c/Vallon/cameras", "/c/vallon/..%2f..%2fx", campaignPath + "/gifts/1", "/c/vallon/cameras/x/y", "/c/x/give"} {
			got := send(t, "GET", front.URL+path, "")
			if got.StatusCode != 404 {
				t.Errorf("%s: got %d", path, got.StatusCode)
			}
			holds(t, got.body, "Il n’y a rien à cette adresse", "noindex")
		}
	})
	t.Run("an outage asks to come back, and is not kept", func(t *testing.T) {
		failure = fail(codes.Unavailable, "DATABASE_UNAVAILABLE")
		got := send(t, "GET", front.URL+campaignPath, "")
		if got.StatusCode != 503 || got.Header.Get("Retry-After") == "" || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("got %d, %v", got.StatusCode, got.Header)
		}
	})
	t.Run("people get a page for a missing address", func(t *testing.T) {
		got := send(t, "GET", front.URL+"/nothing", "", "Accept", "text/html")
		if got.StatusCode != 404 || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/html") {
			t.Errorf("got %d", got.StatusCode)
		}
	})
}

func TestCollectivePage(t *testing.T) {
	campaigns := []*campaignsv1.Campaign{vallon()}
	b := &backend{listCampaigns: func(r *campaignsv1.ListCampaignsRequest) (*campaignsv1.ListCampaignsResponse, error) {
		if r.GetPageToken() == "next" {
			return &campaignsv1.ListCampaignsResponse{Campaigns: campaigns}, nil
		}
		return &campaignsv1.ListCampaignsResponse{Campaigns: campaigns, NextPageToken: "next"}, nil
	}}
	front := serve(t, b, gateway.Options{})
	got := send(t, "GET", front.URL+"/c/vallon?lang=en", "")
	holds(t, got.body, "Campaigns of Vallon contre caméras", `href="/c/vallon/cameras?lang=en"`, `href="/c/vallon?lang=en&amp;page=next"`)
	lacks(t, send(t, "GET", front.URL+"/c/vallon?page=next", "").body, "page=next")
	t.Run("a collective without public campaigns looks like none", func(t *testing.T) {
		campaigns = nil
		if got := send(t, "GET", front.URL+"/c/vallon", ""); got.StatusCode != 404 {
			t.Errorf("got %d", got.StatusCode)
		}
	})
}

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
			if asked.GetAmount().GetAmountMinor() != c.want || asked.GetAmount().GetCurrencyCode() != "EUR" {
				t.Errorf("%v: asked for %v", c.form, asked.GetAmount())
			}
			if asked.GetParent() != campaignName || asked.GetLocale() != "fr" || len(asked.GetRequestId()) != 36 {
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
			{url.Values{"amount": {"vingt"}}, "Écrivez le montant en chiffres"},
			{url.Values{"amount": {"1,234"}}, "Écrivez le montant en chiffres"},
			{url.Values{"preset": {"2000; DROP"}}, "Écrivez le montant en chiffres"},
		} {
			asked = nil
			got := post(t, c.form)
			if got.StatusCode != 400 || asked != nil {
				t.Errorf("%v: got %d", c.form, got.StatusCode)
			}
			holds(t, got.body, c.says, `role="alert"`, `value="`+c.form.Get("amount")+`"`)
			if got.Header.Get("Cache-Control") != "no-store" {
				t.Error("somebody's form may be kept by caches")
			}
		}
	})
	t.Run("escapes what was typed", func(t *testing.T) {
		lacks(t, post(t, url.Values{"amount": {`"><script>`}}).body, "<script")
	})
	t.Run("says in words why a gift was refused", func(t *testing.T) {
		for _, c := range []struct {
			failure error
			status  int
			says    string
		}{
			{fail(codes.InvalidArgument, "AMOUNT_TOO_SMALL"), 400, "Le plus petit don possible est de 1\u00a0€"},
			{fail(codes.InvalidArgument, "AMOUNT_TOO_LARGE"), 400, "Le plus grand don possible ici est de 5\u202f000\u00a0€"},
			{fail(codes.ResourceExhausted, "TOO_MANY_GIFTS", &errdetails.RetryInfo{RetryDelay: durationpb.New(5 * time.Minute)}), 429, "Réessayez dans 5 minutes"},
			{fail(codes.ResourceExhausted, "TOO_MANY_GIFTS", &errdetails.RetryInfo{RetryDelay: durationpb.New(20 * time.Second)}), 429, "Réessayez dans 20 secondes"},
			{fail(codes.Unavailable, "STRIPE_UNAVAILABLE"), 503, "Le service de paiement ne répond pas"},
			{fail(codes.FailedPrecondition, "CAMPAIGN_NOT_OPEN"), 409, "ne prend pas de dons en ce moment"},
			{fail(codes.Internal, "INTERNAL"), 500, "Quelque chose n’a pas marché"},
		} {
			failure = c.failure
			got := post(t, url.Values{"amount": {"0,10"}, "preset": {"2000"}})
			if got.StatusCode != c.status {
				t.Errorf("got %d, want %d", got.StatusCode, c.status)
			}
			holds(t, got.body, c.says, `value="0,10"`, `value="2000" checked`)
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

func TestClosedCampaign(t *testing.T) {
	for state, says := range map[campaignsv1.CampaignState]string{
		campaignsv1.CampaignState_CAMPAIGN_STATE_CLOSED:    "La collecte est terminée",
		campaignsv1.CampaignState_CAMPAIGN_STATE_PAUSED:    "Les dons sont en pause",
		campaignsv1.CampaignState_CAMPAIGN_STATE_PUBLISHED: "La collecte est terminée", // its deadline has passed
	} {
		front := serve(t, &backend{getCampaign: func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
			c := vallon()
			c.State, c.AcceptingGifts = state, false
			return c, nil
		}}, gateway.Options{})
		got := send(t, "GET", front.URL+campaignPath, "")
		holds(t, got.body, says, "Mise en demeure")
		lacks(t, got.body, "<form")
	}
}

func TestGiftPage(t *testing.T) {
	gift := &donationsv1.DonationStatus{}
	b := &backend{donationStatus: func(r *donationsv1.GetDonationStatusRequest) (*donationsv1.DonationStatus, error) {
		gift.Name, gift.Amount = r.GetName(), euros(2000)
		return gift, nil
	}}
	front := serve(t, b, gateway.Options{})
	page := front.URL + campaignPath + "/gifts/" + donationID

	for _, c := range []struct {
		outcome donationsv1.DonationOutcome
		says    []string
		silent  []string
	}{
		{donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED, []string{"Votre don de 20\u00a0€ est bien arrivé."}, []string{"http-equiv", "checkout.stripe.com"}},
		{donationsv1.DonationOutcome_DONATION_OUTCOME_CONFIRMING, []string{"en cours de confirmation", `http-equiv="refresh"`}, []string{"bien arrivé", "checkout.stripe.com"}},
		{donationsv1.DonationOutcome_DONATION_OUTCOME_OPEN, []string{"Nous n’avons pas vu de paiement", "Si vous avez annulé, rien n’a été débité.", `href="https://checkout.stripe.com/c/pay/cs_1"`, `http-equiv="refresh"`}, []string{"Merci"}},
		{donationsv1.DonationOutcome_DONATION_OUTCOME_NOT_PAID, []string{"n’a pas été payé", "Rien n’a été débité.", "Faire un don"}, []string{"Merci", "http-equiv"}},
		{donationsv1.DonationOutcome_DONATION_OUTCOME_GIVEN_BACK, []string{"vous a été rendu"}, []string{"Merci", "http-equiv"}},
	} {
		t.Run(c.outcome.String(), func(t *testing.T) {
			gift.Outcome, gift.ReturnUrl, gift.CheckoutUrl = c.outcome, "https://vallon.example/soutenir", ""
			if c.outcome == donationsv1.DonationOutcome_DONATION_OUTCOME_OPEN {
				gift.CheckoutUrl = "https://checkout.stripe.com/c/pay/cs_1"
			}
			got := send(t, "GET", page, "")
			holds(t, got.body, append(c.says, "noindex", `href="https://vallon.example/soutenir"`, "Retourner sur vallon.example")...)
			lacks(t, got.body, c.silent...)
			if got.StatusCode != 200 || got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("got %d, Cache-Control %q", got.StatusCode, got.Header.Get("Cache-Control"))
			}
			if referrer := got.Header.Get("Referrer-Policy"); referrer != "same-origin" {
				t.Errorf("the gift's address goes out with Referrer-Policy %q", referrer)
			}
		})
	}
	gift.Outcome = donationsv1.DonationOutcome_DONATION_OUTCOME_OPEN
	t.Run("looks again by itself, ever more seldom, and then leaves it to the reader", func(t *testing.T) {
		address, looks, total := page, 0, 0
		for {
			got := send(t, "GET", address, "")
			m := regexp.MustCompile(`http-equiv="refresh" content="(\d+);url=([^"]+)"`).FindStringSubmatch(got.body)
			if m == nil {
				holds(t, got.body, "Vérifier de nouveau")
				break
			}
			looks++
			seconds, err := time.ParseDuration(m[1] + "s")
			if err != nil || looks > 20 {
				t.Fatalf("look %d: %v", looks, err)
			}
			total += int(seconds.Seconds())
			address = front.URL + strings.ReplaceAll(m[2], "&amp;", "&")
		}
		if looks < 3 || total < 60 || total > 300 {
			t.Errorf("%d looks in %d s", looks, total)
		}
	})
	t.Run("speaks the donor's language, unless another is asked for", func(t *testing.T) {
		gift.Locale = "en"
		holds(t, send(t, "GET", page, "", "Accept-Language", "fr").body, "No payment so far")
		holds(t, send(t, "GET", page+"?lang=fr", "").body, "Aucun paiement")
	})
	t.Run("leads back to the campaign without a return address, and never to a script", func(t *testing.T) {
		for _, address := range []string{"", "javascript:alert(1)", "//evil.example"} {
			gift.ReturnUrl = address
			got := send(t, "GET", page+"?lang=fr", "")
			holds(t, got.body, `href="/c/vallon/cameras?lang=fr"`, "Retourner à la collecte")
			lacks(t, got.body, "javascript:", "evil.example")
		}
	})
	t.Run("believes nothing that the address says", func(t *testing.T) {
		lacks(t, send(t, "GET", page+"?lang=fr&outcome=RECEIVED&status=paid&redirect_status=succeeded", "").body, "bien arrivé", "Merci")
	})
	t.Run("tells the truth even when the campaign cannot be shown", func(t *testing.T) {
		b.getCampaign = func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
			return nil, fail(codes.Unavailable, "DATABASE_UNAVAILABLE")
		}
		if got := send(t, "GET", page+"?lang=fr", ""); got.StatusCode != 200 {
			t.Errorf("got %d", got.StatusCode)
		}
	})
}

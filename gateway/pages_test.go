package gateway_test

import (
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/gateway"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
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
		holds(t, got.body, `<html lang="fr" dir="ltr">`, "Contre les caméras, au tribunal", "<strong>23 caméras</strong>",
			"312,50\u00a0€", "recueillis sur 800\u00a0€", "39\u00a0%", "40\u00a0€ en cours de confirmation",
			"Mise en demeure", "financé", "il manque 187,50\u00a0€", "à venir", "Il manque 487,50\u00a0€.", "Étape en cours", `value="2000"`, "De 1\u00a0€ à 5\u202f000\u00a0€")
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
			{"", "it,en;q=0.8,fr;q=0.9", "fr"},
			{"", "it, en;q=0.1", "en"},
			{"", "de-AT, en;q=0.1", "de"},
			{"?lang=es", "de", "es"},
			{"", "en;q=0", "fr"},
			{"?lang=en", "fr", "en"},
			{"?lang=xx", "en", "en"},
		} {
			got := send(t, "GET", front.URL+campaignPath+c.query, "", "Accept-Language", c.accept)
			holds(t, got.body, `<html lang="`+c.want+`" dir="ltr">`)
			fixed := c.query == "?lang=en" || c.query == "?lang=es"
			if vary := strings.Join(got.Header.Values("Vary"), ","); strings.Contains(vary, "Accept-Language") == fixed {
				t.Errorf("%+v: Vary is %q", c, vary)
			}
		}
	})
	t.Run("marks the language of a text that has no translation", func(t *testing.T) {
		got := send(t, "GET", front.URL+campaignPath+"?lang=en", "")
		holds(t, got.body, "raised of €800", `<span lang="fr" dir="auto">Première instance</span>`, `<span lang="en" dir="auto">Appeal</span>`, "€187.50 to go")
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

func TestOtherSpellingsOfAnAddressLeadToThePage(t *testing.T) {
	front := serve(t, &backend{}, gateway.Options{})
	for asked, want := range map[string]string{
		campaignPath + "/":                  campaignPath,
		"/c/Vallon/Cameras?lang=en":         "/c/vallon/cameras?lang=en",
		"/C/VALLON/":                        "/c/vallon",
		"/c/vallon/cameras/Pledge/?lang=fr": "/c/vallon/cameras/pledge?lang=fr",
	} {
		got := send(t, "GET", front.URL+asked, "", "Accept", "text/html")
		if got.StatusCode != 301 || got.Header.Get("Location") != want {
			t.Errorf("%s: %d to %q", asked, got.StatusCode, got.Header.Get("Location"))
		}
	}
	for _, stays := range []string{"/c/", "/c", campaignPath} {
		if got := send(t, "GET", front.URL+stays, ""); got.StatusCode == 301 {
			t.Errorf("%s leads to %q", stays, got.Header.Get("Location"))
		}
	}
	if got := send(t, "POST", front.URL+"/c/Vallon/cameras/give", "amount=20", "Content-Type", "application/x-www-form-urlencoded"); got.StatusCode != 404 {
		t.Errorf("a form at another spelling: %d", got.StatusCode)
	}
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
	front := serve(t, b, gateway.Options{Uncached: true})
	t.Run("a draft, a stranger's address and nonsense look alike", func(t *testing.T) {
		failure = fail(codes.NotFound, "NOT_FOUND")
		for _, path := range []string{campaignPath, "/c/vallon/..%2f..%2fx", campaignPath + "/donations/1", "/c/vallon/cameras/x/y", "/c/x/give"} {
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
	holds(t, got.body, "Open campaigns", "<h1>Vallon contre caméras</h1>", `href="/c/vallon/cameras?lang=en"`, `href="/c/vallon?lang=en&amp;page=next"`)
	lacks(t, send(t, "GET", front.URL+"/c/vallon?page=next", "").body, "page=next")
	t.Run("a collective without public campaigns looks like none", func(t *testing.T) {
		campaigns = nil
		if got := send(t, "GET", front.URL+"/c/vallon", ""); got.StatusCode != 404 {
			t.Errorf("got %d", got.StatusCode)
		}
	})
}

// Where Stripe takes no payments, donors read it before they choose an amount, and are offered the other ways.
func TestACampaignWithoutCards(t *testing.T) {
	b := &backend{getCampaign: func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
		c := vallon()
		c.AcceptingCards = false
		return c, nil
	}}
	got := send(t, "GET", serve(t, b, gateway.Options{}).URL+campaignPath, "")
	holds(t, got.body, "Les dons par carte ne sont pas possibles pour le moment.", "Revenez bientôt", "Mise en demeure")
	lacks(t, got.body, "<form", "/pledge")

	b.treasury = &pledges{}
	got = send(t, "GET", serve(t, b, gateway.Options{}).URL+campaignPath, "")
	holds(t, got.body, "Les dons par carte ne sont pas possibles pour le moment.", `class="button" href="`+campaignPath+`/pledge"`)
	lacks(t, got.body, "<form", "Revenez bientôt")
}

func TestClosedCampaign(t *testing.T) {
	for state, says := range map[campaignsv1.CampaignState]string{
		campaignsv1.CampaignState_CAMPAIGN_STATE_CLOSED:    "La collecte est terminée",
		campaignsv1.CampaignState_CAMPAIGN_STATE_PAUSED:    "La collecte est en pause",
		campaignsv1.CampaignState_CAMPAIGN_STATE_PUBLISHED: "La collecte est terminée", // its deadline has passed
	} {
		front := serve(t, &backend{getCampaign: func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
			c := vallon()
			c.State, c.AcceptingDonations = state, false
			return c, nil
		}}, gateway.Options{})
		got := send(t, "GET", front.URL+campaignPath, "")
		holds(t, got.body, says, "Mise en demeure")
		lacks(t, got.body, "<form")
	}
}

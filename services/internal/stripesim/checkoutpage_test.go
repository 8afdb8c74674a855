package stripesim_test

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/stripe/stripe-go/v76"
)

func cardForm(number string) url.Values {
	return url.Values{"card": {number}, "expiry": {"05/66"}, "cvc": {"123"}, "email": {"ana@example.org"}}
}

func TestPage(t *testing.T) {
	clock := stripesim.NewClock()
	sim, base := serve(t, stripesim.Config{Clock: clock})
	api := newClient(base, testKey, 0)
	post := func(t *testing.T, page string, form url.Values) (*http.Response, string) {
		t.Helper()
		resp, body := raw(t, http.MethodPost, page, form.Encode())
		return resp, html.UnescapeString(body)
	}
	get := func(t *testing.T, page string, header ...string) (*http.Response, string) {
		t.Helper()
		resp, body := raw(t, http.MethodGet, page, "", header...)
		return resp, html.UnescapeString(body)
	}
	// The client sees the simulator at the address that it used itself.
	page := func(t *testing.T, change func(*stripe.CheckoutSessionParams)) *stripe.CheckoutSession {
		t.Helper()
		p := donation(123450)
		if change != nil {
			change(p)
		}
		return create(t, api, p)
	}

	t.Run("says what is paid, that it is simulated, and loads nothing foreign", func(t *testing.T) {
		resp, body := get(t, page(t, nil).URL)
		for _, want := range []string{"SIMULÉE", "Vallon contre caméras", "Donner 1\u202f234,50\u00a0€", `lang="fr"`, "4242 4242 4242 4242", "Annuler"} {
			if !strings.Contains(body, want) {
				t.Errorf("no %q in %s", want, body)
			}
		}
		csp := resp.Header.Get("Content-Security-Policy")
		if resp.StatusCode != 200 || !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(body, "<script") {
			t.Errorf("got %d, policy %q", resp.StatusCode, csp)
		}
		if resp, css := get(t, base+"/pay/style.css"); resp.StatusCode != 200 || !strings.Contains(css, "main") {
			t.Errorf("stylesheet: %d", resp.StatusCode)
		}
	})
	t.Run("speaks the browser's language when the session leaves it open", func(t *testing.T) {
		se := page(t, func(p *stripe.CheckoutSessionParams) { p.Locale, p.SubmitType = stripe.String("auto"), nil })
		if _, body := get(t, se.URL, "Accept-Language", "en-GB,fr;q=0.5"); !strings.Contains(body, "Pay €1,234.50") {
			t.Error(body)
		}
		if _, body := get(t, se.URL, "Accept-Language", "fr-FR,en;q=0.5"); !strings.Contains(body, "Payer 1") {
			t.Error(body)
		}
	})
	t.Run("escapes what the merchant wrote", func(t *testing.T) {
		se := page(t, func(p *stripe.CheckoutSessionParams) {
			p.LineItems[0].PriceData.ProductData.Name = stripe.String(`<script>alert(1)</script>`)
		})
		if _, body := raw(t, http.MethodGet, se.URL, ""); strings.Contains(body, "<script>") {
			t.Error(body)
		}
	})
	t.Run("fills in a test card that was chosen", func(t *testing.T) {
		_, body := get(t, page(t, nil).URL+"?card=4000000000009995")
		if !strings.Contains(body, `value="4000 0000 0000 9995"`) || !strings.Contains(body, `aria-current="true"`) {
			t.Error(body)
		}
	})
	t.Run("pays, and leads to the success URL however often it is sent", func(t *testing.T) {
		se := page(t, func(p *stripe.CheckoutSessionParams) {
			p.SuccessURL = stripe.String("https://don.example/merci?a=é&session={CHECKOUT_SESSION_ID}")
		})
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				resp, body := post(t, se.URL, cardForm("4242 4242 4242 4242"))
				if want := "https://don.example/merci?a=é&session=" + se.ID; resp.StatusCode != 303 || resp.Header.Get("Location") != want {
					t.Errorf("got %d %s %s", resp.StatusCode, resp.Header.Get("Location"), body)
				}
			})
		}
		wg.Wait()
		if n := len(sim.BalanceTransactions("")); n != 1 {
			t.Errorf("%d balance transactions", n)
		}
		if got, _ := api.CheckoutSessions.Get(se.ID, nil); got.CustomerDetails.Email != "ana@example.org" {
			t.Errorf("got %+v", got.CustomerDetails)
		}
		if resp, body := get(t, se.URL); resp.StatusCode != 200 || !strings.Contains(body, "déjà fait") || strings.Contains(body, "<form") {
			t.Errorf("got %d %s", resp.StatusCode, body)
		}
	})
	t.Run("says in words why a card was refused, and stays open", func(t *testing.T) {
		se := page(t, nil)
		for card, words := range map[string]string{
			"4000000000000002": "Votre carte a été refusée",
			"4000000000009995": "provision suffisante",
			"4000000000000069": "a expiré",
			"4929000000006":    "pas une carte d’essai",
		} {
			resp, body := post(t, se.URL, cardForm(card))
			if resp.StatusCode != 402 || !strings.Contains(body, words) || !strings.Contains(body, `role="alert"`) {
				t.Errorf("%s: got %d %s", card, resp.StatusCode, body)
			}
			if card == "4929000000006" && strings.Contains(body, card) {
				t.Error("a number that may be real is shown again")
			}
		}
		if resp, _ := post(t, se.URL, cardForm(string(stripesim.CardOK))); resp.StatusCode != 303 {
			t.Errorf("got %d", resp.StatusCode)
		}
	})
	t.Run("asks again for a wrong date, code or address", func(t *testing.T) {
		se := page(t, nil)
		for field, values := range map[string][]string{
			"expiry": {"", "13/66", "05/20", "5", "05/2066"}, "cvc": {"", "12", "abc", "12345"}, "email": {"", "ana", "@", "a b@c"},
		} {
			for _, value := range values {
				form := cardForm(string(stripesim.CardOK))
				form.Set(field, value)
				if resp, body := post(t, se.URL, form); resp.StatusCode != 422 || !strings.Contains(body, `role="alert"`) ||
					strings.Count(body, `aria-invalid="true"`) != 1 {
					t.Errorf("%s %q: got %d", field, value, resp.StatusCode)
				}
			}
		}
	})
	t.Run("tells an expired session from an unknown one", func(t *testing.T) {
		se := page(t, nil)
		clock.Advance(25 * time.Hour)
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			resp, body := raw(t, method, se.URL, cardForm(string(stripesim.CardOK)).Encode())
			if resp.StatusCode != 410 || !strings.Contains(html.UnescapeString(body), "a expiré") || strings.Contains(body, "<form") {
				t.Errorf("%s: got %d %s", method, resp.StatusCode, body)
			}
			if resp, _ := raw(t, method, base+"/pay/cs_test_none", ""); resp.StatusCode != 404 {
				t.Errorf("%s: got %d", method, resp.StatusCode)
			}
		}
	})
}

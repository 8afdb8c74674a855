package donations

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Stripe's page says, before anything is paid, that a monthly donation ends with its campaign.
func TestStripesPageSaysThatCampaignsEndMonthlyDonations(t *testing.T) {
	e := newEnv(t, Limit{})
	for locale, words := range map[string]string{
		"fr": "Si la collecte se termine, votre don mensuel s’arrête de lui-même à la fin du mois déjà payé.",
		"en": "If the campaign ends, your monthly donation stops by itself at the end of the month already paid.",
	} {
		in := intent()
		in.Monthly, in.Locale = true, locale
		e.create(in)
		said := ""
		for _, r := range e.sim.Requests() {
			if r.Method != http.MethodPost || r.Path != "/v1/checkout/sessions" {
				continue
			}
			form, err := url.ParseQuery(string(r.Body))
			if err != nil {
				t.Fatal(err)
			}
			said = form.Get("custom_text[submit][message]") // of the latest
		}
		if !strings.Contains(said, words) {
			t.Errorf("in %s the page says %q", locale, said)
		}
	}
}

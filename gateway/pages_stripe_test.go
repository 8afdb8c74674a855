package gateway_test

import (
	"net/http"
	"testing"

	"github.com/cagnotte/cagnotte/gateway"
)

func TestBackFromOnboarding(t *testing.T) {
	front := serve(t, &backend{}, gateway.Options{})
	for path, want := range map[string]string{
		"/stripe/back?lang=fr":    "est enregistrée",
		"/stripe/back?lang=en":    "are saved",
		"/stripe/expired?lang=fr": "Demandez un nouveau lien",
		"/stripe/expired?lang=en": "Ask for a new link",
	} {
		got := send(t, "GET", front.URL+path, "")
		if got.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", path, got.StatusCode)
		}
		holds(t, got.body, want, `name="robots"`)
		// Nothing on it leads into the onboarding, and nothing can be sent from it.
		lacks(t, got.body, "<form", "https://")
	}
}

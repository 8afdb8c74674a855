package stripesim

import (
	"context"
	"html/template"
	"net/http"
	"strings"
	"time"
)

// onboardingText are the words of the onboarding in one language.
type onboardingText struct{ Lang, Title, Simulated, Hint, Submit string }

var onboardingTexts = map[string]onboardingText{
	"fr": {
		"fr", "Inscription simulée", "Page d’inscription SIMULÉE.",
		"Rien n’est demandé ici : le bouton donne à Stripe toutes les informations attendues.", "Terminer l’inscription",
	},
	"en": {
		"en", "Simulated onboarding", "SIMULATED onboarding page.",
		"Nothing is asked here: the button tells Stripe all that it wants to know.", "Finish the onboarding",
	},
}

var onboardingTemplate = template.Must(template.New("onboarding").Parse(`<!DOCTYPE html>
<html lang="{{.Lang}}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{.Title}}</title>
<link rel="stylesheet" href="/pay/style.css">
<main>
<p><strong>{{.Simulated}}</strong></p>
<h1>{{.Title}}</h1>
<p>{{.Hint}}</p>
<form method="post"><button>{{.Submit}}</button></form>
</main>
</html>
`))

func writeOnboarding(w http.ResponseWriter, r *http.Request) {
	t := onboardingTexts["en"]
	if strings.HasPrefix(strings.ToLower(r.Header.Get("Accept-Language")), "fr") {
		t = onboardingTexts["fr"]
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Cache-Control", "no-store")
	if err := onboardingTemplate.Execute(w, t); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// connectControls are the onboarding page and what a test does to connected accounts.
func (s *Sim) connectControls(mux *http.ServeMux) {
	mux.HandleFunc("GET /onboarding/{account}/{token}", s.visitOnboarding)
	mux.HandleFunc("POST /onboarding/{account}/{token}", s.submitOnboarding)
	type named struct {
		Account string `json:"account"`
	}
	mux.HandleFunc("POST /_sim/accounts/complete", control(func(_ context.Context, in named) error { return s.CompleteOnboarding(in.Account) }))
	mux.HandleFunc("POST /_sim/accounts/deauthorize", control(func(_ context.Context, in named) error { return s.Deauthorize(in.Account) }))
	mux.HandleFunc("POST /_sim/accounts/authorize", control(func(_ context.Context, in named) error { return s.Authorize(in.Account) }))
	mux.HandleFunc("POST /_sim/accounts/state", control(func(_ context.Context, in struct {
		Account          string    `json:"account"`
		ChargesEnabled   bool      `json:"charges_enabled"`
		PayoutsEnabled   bool      `json:"payouts_enabled"`
		DetailsSubmitted bool      `json:"details_submitted"`
		CurrentlyDue     []string  `json:"currently_due"`
		DisabledReason   string    `json:"disabled_reason"`
		Deadline         time.Time `json:"deadline"`
	},
	) error {
		return s.SetAccountState(in.Account, AccountState{
			ChargesEnabled: in.ChargesEnabled, PayoutsEnabled: in.PayoutsEnabled, DetailsSubmitted: in.DetailsSubmitted,
			CurrentlyDue: in.CurrentlyDue, DisabledReason: in.DisabledReason, Deadline: in.Deadline,
		})
	}))
}

package stripesim

import (
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"
)

// linkLife is how long an account link opens the onboarding. Stripe says "a few minutes",
// https://docs.stripe.com/api/account_links/object#account_link_object-expires_at.
const linkLife = 5 * time.Minute

// onboarding is the state of a connected account's onboarding. A world without one is complete. Deadline is in Unix
// seconds, zero for none. All links that were ever made remain, since a second visit of an old one has to redirect to
// its own refresh URL.
type onboarding struct {
	Metadata         map[string]string `json:"metadata,omitempty"`
	Country          string            `json:"country"`
	Email            string            `json:"email,omitempty"`
	ChargesEnabled   bool              `json:"charges_enabled"`
	PayoutsEnabled   bool              `json:"payouts_enabled"`
	DetailsSubmitted bool              `json:"details_submitted"`
	CurrentlyDue     []string          `json:"currently_due,omitempty"`
	DisabledReason   string            `json:"disabled_reason,omitempty"`
	Deadline         int64             `json:"deadline,omitempty"`
	Links            []*accountLink    `json:"links,omitempty"`
}

// accountLink is a link to the onboarding of an account, for one use. The token is the secret of the link. Only a
// visited link can submit the form.
type accountLink struct {
	Token      string `json:"token"`
	Expires    int64  `json:"expires"`
	RefreshURL string `json:"refresh_url"`
	ReturnURL  string `json:"return_url"`
	Visited    bool   `json:"visited"`
}

// accountLinkParams: https://docs.stripe.com/api/account_links/create?api-version=2023-10-16.
var accountLinkParams = schema{
	"account":     req(text(0)),
	"type":        req(oneOf("account_onboarding")),
	"refresh_url": req(text(0)),
	"return_url":  req(text(0)),
	"expand":      opt(list(text(0), 0)),
	"collect":     elsewhere, "collection_options": elsewhere,
}

func (s *Sim) accountRoutes() []route {
	return []route{
		{"POST /v1/accounts", "account", false, accountCreateParams, s.createAccount},
		{"GET /v1/accounts/{id}", "account", false, expandOnly, s.getAccount},
		{"POST /v1/account_links", "account_link", false, accountLinkParams, s.createAccountLink},
	}
}

// createAccountLink is the platform's, for an account that is connected to it. A complete account gets a link too,
// whose form then changes nothing.
func (s *Sim) createAccountLink(c *call) (document, *apiError) {
	id := c.params.str("account")
	w := s.accessible(id)
	if c.world.Connected || w == nil || w == s.platform {
		return nil, noAccess(c.key, id)
	}
	for _, name := range []string{"refresh_url", "return_url"} {
		if !isWebURL(c.params.str(name)) {
			return nil, invalid("url_invalid", name, "Not a valid URL")
		}
	}
	// The links need a place: an account that was connected from the start gets the onboarding that it has completed.
	if w.Onboarding == nil {
		w.Onboarding = completeOnboarding()
	}
	link := &accountLink{
		Token: newID("", 24), Expires: c.now.Add(linkLife).Unix(),
		RefreshURL: c.params.str("refresh_url"), ReturnURL: c.params.str("return_url"),
	}
	w.Onboarding.Links = append(w.Onboarding.Links, link)
	s.changed = true
	return document{
		"object": "account_link", "created": c.now.Unix(), "expires_at": link.Expires,
		"url": c.baseURL + "/onboarding/" + w.ID + "/" + link.Token,
	}, nil
}

// completeOnboarding is the state of a complete account.
func completeOnboarding() *onboarding {
	return &onboarding{Country: "FR", ChargesEnabled: true, PayoutsEnabled: true, DetailsSubmitted: true}
}

// CompleteOnboarding completes an account's onboarding, as a person does on the page of an account link.
func (s *Sim) CompleteOnboarding(account string) error {
	return s.SetAccountState(account, AccountState{ChargesEnabled: true, PayoutsEnabled: true, DetailsSubmitted: true})
}

// link finds an account link; nil for one that does not exist. Only accounts with an onboarding have links. The world
// is locked.
func (s *Sim) link(account, token string) (*world, *accountLink) {
	w := s.worlds[account]
	if w == nil || w.Onboarding == nil {
		return nil, nil
	}
	i := slices.IndexFunc(w.Onboarding.Links, func(l *accountLink) bool { return l.Token == token })
	if i < 0 {
		return nil, nil
	}
	return w, w.Onboarding.Links[i]
}

// visitOnboarding opens a link once. Later, or a second time, it redirects to the refresh URL.
func (s *Sim) visitOnboarding(w http.ResponseWriter, r *http.Request) {
	now := s.lock()
	_, link := s.link(r.PathValue("account"), r.PathValue("token"))
	known, fresh, refreshURL := link != nil, false, ""
	// The visit uses the link up, also when it comes too late.
	if known {
		fresh, refreshURL = !link.Visited && now.Unix() < link.Expires, link.RefreshURL
		link.Visited = true
		s.changed = true
	}
	s.unlock()
	switch {
	case !known:
		http.NotFound(w, r)
	case !fresh:
		http.Redirect(w, r, refreshURL, http.StatusSeeOther)
	default:
		writeOnboarding(w, r)
	}
}

// submitOnboarding completes the account and redirects back, however often it is sent.
func (s *Sim) submitOnboarding(w http.ResponseWriter, r *http.Request) {
	now := s.lock()
	account, link := s.link(r.PathValue("account"), r.PathValue("token"))
	to := ""
	switch {
	// No such link: to stays empty, which is the 404 below.
	case link == nil:
	// Whoever sends the form without having opened the link starts again with a new one.
	case !link.Visited:
		to = link.RefreshURL
	default:
		to = link.ReturnURL
		// A second submission emits no second account.updated.
		if !account.Onboarding.DetailsSubmitted {
			s.setAccountState(account, AccountState{ChargesEnabled: true, PayoutsEnabled: true, DetailsSubmitted: true}, now)
		}
	}
	s.unlock()
	if to == "" {
		http.NotFound(w, r)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// onboardingText is the text of the onboarding page in one language.
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

// writeOnboarding chooses between French and English by the browser's first language.
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

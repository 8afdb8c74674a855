package stripesim

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// linkLife is how long an account link opens the onboarding. Stripe says "a few minutes",
// https://docs.stripe.com/api/account_links/object#account_link_object-expires_at.
const linkLife = 5 * time.Minute

// onboarding is what a connected account has told Stripe, and what Stripe lets it do. A world without one is
// that of an account that was complete when it was connected.
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

// accountLink leads one person, once, to the onboarding of an account.
type accountLink struct {
	Token      string `json:"token"`
	Expires    int64  `json:"expires"`
	RefreshURL string `json:"refresh_url"`
	ReturnURL  string `json:"return_url"`
	Visited    bool   `json:"visited"`
}

// firstRequirements are what Stripe wants to know of an association that has told nothing.
var firstRequirements = []string{
	"business_profile.mcc", "business_profile.url", "business_type", "external_account",
	"representative.first_name", "representative.last_name", "tos_acceptance.date", "tos_acceptance.ip",
}

// accountCreateParams: https://docs.stripe.com/api/accounts/create?api-version=2023-10-16.
var accountCreateParams = schema{
	"type":          req(oneOf("standard")),
	"country":       opt(oneOf("FR")),
	"email":         opt(text(0)),
	"metadata":      opt(metadata),
	"expand":        opt(list(text(0), 0)),
	"account_token": elsewhere, "business_profile": elsewhere, "business_type": elsewhere, "capabilities": elsewhere,
	"company": elsewhere, "controller": elsewhere, "default_currency": elsewhere, "documents": elsewhere,
	"external_account": elsewhere, "individual": elsewhere, "settings": elsewhere, "tos_acceptance": elsewhere,
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

func (s *Sim) connectEndpoints() []endpoint {
	return []endpoint{
		{"POST /v1/accounts", "account", false, accountCreateParams, s.createAccount},
		{"GET /v1/accounts/{id}", "account", false, expandOnly, s.getAccount},
		{"POST /v1/account_links", "account_link", false, accountLinkParams, s.createAccountLink},
	}
}

// createAccount makes an account that has told nothing yet. Only the platform may.
func (s *Sim) createAccount(c *call) (object, *apiError) {
	if c.world.Connected {
		return nil, invalid("", "", "Only a platform can create accounts.")
	}
	w := newWorld(newID("acct_1", 15), true, c.now)
	w.Onboarding = &onboarding{
		Metadata: c.params.dict("metadata"), Country: "FR", Email: c.params.str("email"),
		CurrentlyDue: firstRequirements, DisabledReason: "requirements.past_due",
	}
	s.worlds[w.ID] = w
	s.changed = true
	return w.render(), nil
}

// getAccount answers the platform about itself and its connected accounts, and a connected account about
// itself.
func (s *Sim) getAccount(c *call) (object, *apiError) {
	id := c.http.PathValue("id")
	w := s.accessible(id)
	if w == nil || c.world.Connected && w != c.world {
		return nil, noAccess(c.key, id)
	}
	return w.render(), nil
}

func (s *Sim) createAccountLink(c *call) (object, *apiError) {
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
	if w.Onboarding == nil {
		w.Onboarding = completeOnboarding()
	}
	link := &accountLink{
		Token: newID("", 24), Expires: c.now.Add(linkLife).Unix(),
		RefreshURL: c.params.str("refresh_url"), ReturnURL: c.params.str("return_url"),
	}
	w.Onboarding.Links = append(w.Onboarding.Links, link)
	s.changed = true
	return object{
		"object": "account_link", "created": c.now.Unix(), "expires_at": link.Expires,
		"url": c.baseURL + "/onboarding/" + w.ID + "/" + link.Token,
	}, nil
}

// completeOnboarding is that of an account that has told everything.
func completeOnboarding() *onboarding {
	return &onboarding{Country: "FR", ChargesEnabled: true, PayoutsEnabled: true, DetailsSubmitted: true}
}

// accessible is the account's world when the platform may see it.
func (s *Sim) accessible(account string) *world {
	w := s.world(account)
	if w == nil || w.Revoked {
		return nil
	}
	return w
}

// connected finds a connected account for a test's or a person's act.
func (s *Sim) connected(account string) (*world, error) {
	w := s.worlds[account]
	if w == nil || !w.Connected {
		return nil, fmt.Errorf("stripesim: no connected account %s", account)
	}
	return w, nil
}

// AccountState is what a connected account may do, and what Stripe wants to know of it.
type AccountState struct {
	ChargesEnabled, PayoutsEnabled, DetailsSubmitted bool
	// CurrentlyDue are requirements, such as "external_account"; DisabledReason is why something is not enabled.
	CurrentlyDue   []string
	DisabledReason string
	// Deadline is until when they must be met; zero for none.
	Deadline time.Time
}

// SetAccountState changes what a connected account may do, announced by account.updated.
func (s *Sim) SetAccountState(account string, state AccountState) error {
	now := s.lock()
	defer s.unlock()
	w, err := s.connected(account)
	if err != nil {
		return err
	}
	s.setAccountState(w, state, now)
	return nil
}

func (s *Sim) setAccountState(w *world, state AccountState, now time.Time) {
	before := w.render()
	if w.Onboarding == nil {
		w.Onboarding = completeOnboarding()
	}
	o := w.Onboarding
	o.ChargesEnabled, o.PayoutsEnabled, o.DetailsSubmitted = state.ChargesEnabled, state.PayoutsEnabled, state.DetailsSubmitted
	o.CurrentlyDue, o.DisabledReason, o.Deadline = slices.Clone(state.CurrentlyDue), state.DisabledReason, 0
	if !state.Deadline.IsZero() {
		o.Deadline = state.Deadline.Unix()
	}
	previous := object{"requirements": before["requirements"]}
	after := w.render()
	for _, name := range []string{"charges_enabled", "payouts_enabled", "details_submitted"} {
		if before[name] != after[name] {
			previous[name] = before[name]
		}
	}
	s.emit(w, "account.updated", after, previous, request{}, now)
}

// CompleteOnboarding tells Stripe all that it wants to know of an account, as a person does on the page that
// an account link leads to.
func (s *Sim) CompleteOnboarding(account string) error {
	return s.SetAccountState(account, AccountState{ChargesEnabled: true, PayoutsEnabled: true, DetailsSubmitted: true})
}

// AccountsMade returns the ids of the accounts that were made through the API with this in their metadata, sorted.
func (s *Sim) AccountsMade(key, value string) (ids []string) {
	s.lock()
	defer s.unlock()
	for id, w := range s.worlds {
		if w.Onboarding != nil && w.Onboarding.Metadata[key] == value {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Deauthorize takes the platform's access to an account away, as its owner does in the dashboard: the last that
// the platform hears of it is account.application.deauthorized. Authorize gives it back.
func (s *Sim) Deauthorize(account string) error { return s.setRevoked(account, true) }

// Authorize connects an account again that was deauthorized.
func (s *Sim) Authorize(account string) error { return s.setRevoked(account, false) }

func (s *Sim) setRevoked(account string, revoked bool) error {
	now := s.lock()
	defer s.unlock()
	w, err := s.connected(account)
	if err != nil || w.Revoked == revoked {
		return err
	}
	w.Revoked = revoked
	kind := "account.application.authorized"
	if revoked {
		kind = "account.application.deauthorized"
	}
	s.emit(w, kind, object{"id": "ca_SimulatedApplication0000000000", "object": "application", "name": "Cagnotte"}, nil, request{}, now)
	return nil
}

// link finds an account link; nil for one that does not exist.
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

// visitOnboarding opens a link once; later, or a second time, it leads to the refresh URL.
func (s *Sim) visitOnboarding(w http.ResponseWriter, r *http.Request) {
	now := s.lock()
	_, link := s.link(r.PathValue("account"), r.PathValue("token"))
	known, fresh, refreshURL := link != nil, false, ""
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

// submitOnboarding completes the account and leads back, however often it is sent.
func (s *Sim) submitOnboarding(w http.ResponseWriter, r *http.Request) {
	now := s.lock()
	account, link := s.link(r.PathValue("account"), r.PathValue("token"))
	to := ""
	switch {
	case link == nil:
	case !link.Visited:
		to = link.RefreshURL
	default:
		to = link.ReturnURL
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

package stripesim

import (
	"fmt"
	"slices"
	"time"
)

// render shows the account of a French association, as far as it has completed its onboarding.
func (w *world) render() document {
	// A world without an onboarding is complete since it was connected.
	told := w.Onboarding
	if told == nil {
		told = completeOnboarding()
	}
	due := []any{}
	for _, requirement := range told.CurrentlyDue {
		due = append(due, requirement)
	}
	var deadline, accepted any
	if told.Deadline != 0 {
		deadline = told.Deadline
	}
	// Both capabilities follow charges_enabled; Stripe's states in between are not simulated.
	capability := "inactive"
	if told.ChargesEnabled {
		capability = "active"
	}
	if told.DetailsSubmitted {
		accepted = w.Created
	}
	// requirements and future_requirements have the same form. Nothing is ever due in the future only.
	requirements := func(due []any, deadline, disabled any) document {
		return document{
			"alternatives": []any{}, "current_deadline": deadline, "currently_due": due, "disabled_reason": disabled, "errors": []any{},
			"eventually_due": due, "past_due": []any{}, "pending_verification": []any{},
		}
	}
	return document{
		"id":     w.ID,
		"object": "account",
		"business_profile": document{
			"annual_revenue": nil, "estimated_worker_count": nil, "mcc": "8398", "name": "Simulated account", "product_description": nil, "support_address": nil,
			"support_email": nil, "support_phone": nil, "support_url": nil, "url": nil,
		},
		"business_type":   "non_profit",
		"capabilities":    document{"card_payments": capability, "transfers": capability},
		"charges_enabled": told.ChargesEnabled,
		"company": document{
			"address":            document{"city": nil, "country": "FR", "line1": nil, "line2": nil, "postal_code": nil, "state": nil},
			"directors_provided": false, "executives_provided": true, "name": "Simulated account", "owners_provided": true,
			"phone": nil, "tax_id_provided": true,
			"verification": document{"document": document{"back": nil, "details": nil, "details_code": nil, "front": nil}},
		},
		"controller":        document{"type": "account"},
		"country":           told.Country,
		"created":           w.Created,
		"default_currency":  "eur",
		"details_submitted": told.DetailsSubmitted,
		"email":             orNull(told.Email),
		"external_accounts": document{
			"object": "list", "data": []any{}, "has_more": false, "total_count": 0,
			"url": "/v1/accounts/" + w.ID + "/external_accounts",
		},
		"future_requirements": requirements([]any{}, nil, nil),
		"metadata":            orEmpty(told.Metadata),
		"payouts_enabled":     told.PayoutsEnabled,
		"requirements":        requirements(due, deadline, orNull(told.DisabledReason)),
		"settings": document{
			"bacs_debit_payments": document{"display_name": nil, "service_user_number": nil},
			"branding":            document{"icon": nil, "logo": nil, "primary_color": nil, "secondary_color": nil},
			"card_issuing":        document{"tos_acceptance": document{"date": nil, "ip": nil}},
			"card_payments": document{
				"decline_on":                  document{"avs_failure": false, "cvc_failure": false},
				"statement_descriptor_prefix": "SIMULATED", "statement_descriptor_prefix_kana": nil,
				"statement_descriptor_prefix_kanji": nil,
			},
			"dashboard": document{"display_name": "Simulated account", "timezone": "Europe/Paris"},
			"invoices":  document{"default_account_tax_ids": nil},
			"payments": document{
				"statement_descriptor": "SIMULATED", "statement_descriptor_kana": nil, "statement_descriptor_kanji": nil,
			},
			"payouts": document{
				"debit_negative_balances": false, "schedule": document{"delay_days": 7, "interval": "daily"},
				"statement_descriptor": nil,
			},
			"sepa_debit_payments": document{},
		},
		"tos_acceptance": document{"date": accepted, "ip": nil, "user_agent": nil},
		"type":           "standard",
	}
}

// getOwnAccount shows the account that the call is for, by the header Stripe-Account or the platform's.
func (s *Sim) getOwnAccount(c *call) (document, *apiError) { return c.world.render(), nil }

// firstRequirements are Stripe's requirements for an account whose onboarding has not begun.
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

// createAccount creates an account whose onboarding has not begun. Only the platform may call it.
func (s *Sim) createAccount(c *call) (document, *apiError) {
	// A call with the header Stripe-Account acts as that account.
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

// getAccount shows the platform itself and its connected accounts, and a connected account itself. A foreign, an
// unknown and a disconnected account get the same answer, see noAccess.
func (s *Sim) getAccount(c *call) (document, *apiError) {
	id := c.http.PathValue("id")
	w := s.accessible(id)
	if w == nil || c.world.Connected && w != c.world {
		return nil, noAccess(c.key, id)
	}
	return w.render(), nil
}

// accessible is the account's world when the platform may see it.
func (s *Sim) accessible(account string) *world {
	w := s.world(account)
	if w == nil || w.Revoked {
		return nil
	}
	return w
}

// connected returns a connected account for an action of a test or a person.
func (s *Sim) connected(account string) (*world, error) {
	w := s.worlds[account]
	if w == nil || !w.Connected {
		return nil, fmt.Errorf("stripesim: no connected account %s", account)
	}
	return w, nil
}

// AccountState is what a connected account may do, and what Stripe requires of it.
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

// It replaces the whole state. The event always has the requirements as a changed member, and the three flags only
// where they differ. The world is locked.
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
	previous := document{"requirements": before["requirements"]}
	after := w.render()
	for _, name := range []string{"charges_enabled", "payouts_enabled", "details_submitted"} {
		if before[name] != after[name] {
			previous[name] = before[name]
		}
	}
	s.emit(w, "account.updated", after, previous, request{}, now)
}

// AccountsMade returns the ids of the accounts that were created through the API with this metadata, sorted.
func (s *Sim) AccountsMade(key, value string) (ids []string) {
	s.lock()
	defer s.unlock()
	// Accounts of AddAccount have no metadata, and are never among them.
	for id, w := range s.worlds {
		if w.Onboarding != nil && w.Onboarding.Metadata[key] == value {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Deauthorize withdraws the platform's access to an account, as its owner does in the dashboard. The last event of the
// account is account.application.deauthorized. Authorize reverses it.
func (s *Sim) Deauthorize(account string) error { return s.setRevoked(account, true) }

// Authorize connects an account again that was deauthorized.
func (s *Sim) Authorize(account string) error { return s.setRevoked(account, false) }

// setRevoked does nothing when the access is as asked already. The event is emitted in either case, as the world of the
// account remains: only calls of the API for it are refused meanwhile.
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
	// The object of these events is the platform's application, not the account.
	s.emit(w, kind, document{"id": "ca_SimulatedApplication0000000000", "object": "application", "name": "Cagnotte"}, nil, request{}, now)
	return nil
}

package stripesim

// render shows a French association, by what it has told so far.
func (w *world) render() object {
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
	capability := "inactive"
	if told.ChargesEnabled {
		capability = "active"
	}
	if told.DetailsSubmitted {
		accepted = w.Created
	}
	requirements := func(due []any, deadline, disabled any) object {
		return object{
			"alternatives": []any{}, "current_deadline": deadline, "currently_due": due, "disabled_reason": disabled, "errors": []any{},
			"eventually_due": due, "past_due": []any{}, "pending_verification": []any{},
		}
	}
	return object{
		"id":     w.ID,
		"object": "account",
		"business_profile": object{
			"annual_revenue": nil, "estimated_worker_count": nil, "mcc": "8398", "name": "Simulated account", "product_description": nil, "support_address": nil,
			"support_email": nil, "support_phone": nil, "support_url": nil, "url": nil,
		},
		"business_type":   "non_profit",
		"capabilities":    object{"card_payments": capability, "transfers": capability},
		"charges_enabled": told.ChargesEnabled,
		"company": object{
			"address":            object{"city": nil, "country": "FR", "line1": nil, "line2": nil, "postal_code": nil, "state": nil},
			"directors_provided": false, "executives_provided": true, "name": "Simulated account", "owners_provided": true,
			"phone": nil, "tax_id_provided": true,
			"verification": object{"document": object{"back": nil, "details": nil, "details_code": nil, "front": nil}},
		},
		"controller":        object{"type": "account"},
		"country":           told.Country,
		"created":           w.Created,
		"default_currency":  "eur",
		"details_submitted": told.DetailsSubmitted,
		"email":             orNull(told.Email),
		"external_accounts": object{
			"object": "list", "data": []any{}, "has_more": false, "total_count": 0,
			"url": "/v1/accounts/" + w.ID + "/external_accounts",
		},
		"future_requirements": requirements([]any{}, nil, nil),
		"metadata":            orEmpty(told.Metadata),
		"payouts_enabled":     told.PayoutsEnabled,
		"requirements":        requirements(due, deadline, orNull(told.DisabledReason)),
		"settings": object{
			"bacs_debit_payments": object{"display_name": nil, "service_user_number": nil},
			"branding":            object{"icon": nil, "logo": nil, "primary_color": nil, "secondary_color": nil},
			"card_issuing":        object{"tos_acceptance": object{"date": nil, "ip": nil}},
			"card_payments": object{
				"decline_on":                  object{"avs_failure": false, "cvc_failure": false},
				"statement_descriptor_prefix": "SIMULATED", "statement_descriptor_prefix_kana": nil,
				"statement_descriptor_prefix_kanji": nil,
			},
			"dashboard": object{"display_name": "Simulated account", "timezone": "Europe/Paris"},
			"invoices":  object{"default_account_tax_ids": nil},
			"payments": object{
				"statement_descriptor": "SIMULATED", "statement_descriptor_kana": nil, "statement_descriptor_kanji": nil,
			},
			"payouts": object{
				"debit_negative_balances": false, "schedule": object{"delay_days": 7, "interval": "daily"},
				"statement_descriptor": nil,
			},
			"sepa_debit_payments": object{},
		},
		"tos_acceptance": object{"date": accepted, "ip": nil, "user_agent": nil},
		"type":           "standard",
	}
}

func (s *Sim) getOwnAccount(c *call) (object, *apiError) { return c.world.render(), nil }

package stripesim

// renderItems is the list of line items. It is left out of the session unless a call expands it, or asks for it by its
// own path.
func (se *session) renderItems() document {
	data := make([]any, len(se.Items))
	for i, item := range se.Items {
		data[i] = item.render()
	}
	return document{"object": "list", "data": data, "has_more": false, "url": "/v1/checkout/sessions/" + se.ID + "/line_items"}
}

// render shows every member of a Checkout Session.
func (se *session) render() document {
	amount := se.amount()
	o := document{
		"id":                         se.ID,
		"object":                     "checkout.session",
		"after_expiration":           nil,
		"allow_promotion_codes":      se.PromotionCodes,
		"amount_subtotal":            amount,
		"amount_total":               amount,
		"automatic_tax":              document{"enabled": false, "liability": nil, "status": nil},
		"billing_address_collection": orNull(se.BillingAddress),
		"cancel_url":                 orNull(se.CancelURL),
		"client_reference_id":        orNull(se.ClientReferenceID),
		"client_secret":              nil,
		"consent":                    nil,
		"consent_collection":         nil,
		"created":                    se.Created,
		"currency":                   se.Currency,
		"currency_conversion":        se.renderConversion(),
		"custom_fields":              []any{},
		"custom_text": document{
			"after_submit":                message(se.AfterSubmitText),
			"shipping_address":            nil,
			"submit":                      message(se.SubmitText),
			"terms_of_service_acceptance": nil,
		},
		"customer":          nil,
		"customer_creation": "if_required",
		"customer_details":  se.customerDetails(),
		"customer_email":    orNull(se.CustomerEmail),
		"expires_at":        se.ExpiresAt,
		"invoice":           nil,
		"invoice_creation": document{
			"enabled": false,
			"invoice_data": document{
				"account_tax_ids": nil, "custom_fields": nil, "description": nil, "footer": nil, "issuer": nil,
				"metadata": document{}, "rendering_options": nil,
			},
		},
		"livemode":                             false,
		"locale":                               orNull(se.Locale),
		"metadata":                             orEmpty(se.Metadata),
		"mode":                                 modePayment,
		"payment_intent":                       orNull(se.IntentID),
		"payment_link":                         nil,
		"payment_method_collection":            "if_required",
		"payment_method_configuration_details": nil,
		"payment_method_options":               se.methodOptions(),
		"payment_method_types":                 se.methodTypes(),
		"payment_status":                       se.paymentStatus(),
		"phone_number_collection":              document{"enabled": se.PhoneNumber},
		"recovered_from":                       nil,
		"saved_payment_method_options":         nil,
		"setup_intent":                         nil,
		"shipping_address_collection":          nil,
		"shipping_cost":                        nil,
		"shipping_details":                     nil,
		"shipping_options":                     []any{},
		"status":                               se.Status,
		"submit_type":                          orNull(se.SubmitType),
		"subscription":                         nil,
		"success_url":                          se.SuccessURL,
		"total_details":                        document{"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
		"ui_mode":                              "hosted",
		"url":                                  nil,
	}
	// The address of the page is shown only while it can be paid there.
	if se.Status == sessionOpen {
		o["url"] = se.URL
	}
	// The members above are those of payment mode.
	if se.Mode == modeSubscription {
		se.renderSubscription(o)
	}
	if len(se.MethodTypes) == 0 {
		// Which methods the account's default configuration offered; its id is the same for every session.
		o["payment_method_configuration_details"] = document{"id": "pmc_1SimulatedDefaultConfigura", "parent": nil}
	}
	return o
}

// methodTypes are payment_method_types.
func (se *session) methodTypes() []string {
	if len(se.Offered) == 0 { // of a state that was stored before there was more than one list
		return []string{"card", "link"}
	}
	return se.Offered
}

// methodOptions are payment_method_options: the card's are always there, a debit's where it is offered.
func (se *session) methodOptions() document {
	o := document{"card": document{"request_three_d_secure": "automatic"}}
	if se.offers(debitMethod) {
		o[debitMethod] = document{}
	}
	return o
}

// customerDetails is what the donor typed, once the session is paid; before that only the merchant's e-mail address is
// known, and null without one.
func (se *session) customerDetails() any {
	switch {
	case se.Donor != nil:
		return document{
			"address": se.Donor.address(), "email": se.Donor.Email, "name": se.Donor.Name, "phone": nil,
			"tax_exempt": "none", "tax_ids": []any{},
		}
	case se.CustomerEmail != "":
		return document{
			"address": nil, "email": se.CustomerEmail, "name": nil, "phone": nil, "tax_exempt": "none", "tax_ids": nil,
		}
	}
	return nil
}

// message is a member of custom_text: null unless the merchant set a text.
func message(text string) any {
	if text == "" {
		return nil
	}
	return document{"message": text}
}

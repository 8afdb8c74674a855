package stripesim

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// locales are those of Checkout; the page itself speaks French and English.
var locales = []string{
	"auto", "bg", "cs", "da", "de", "el", "en", "en-GB", "es", "es-419", "et", "fi", "fil", "fr", "fr-CA", "hr", "hu",
	"id", "it", "ja", "ko", "lt", "lv", "ms", "mt", "nb", "nl", "pl", "pt", "pt-BR", "ro", "ru", "sk", "sl", "sv", "th",
	"tr", "vi", "zh", "zh-HK", "zh-TW",
}

const (
	modePayment      = "payment"
	modeSubscription = "subscription"

	minSessionLife = 30 * time.Minute
	maxSessionLife = 24 * time.Hour
	// sessionSkew forgives the clocks of client and server their difference.
	sessionSkew = time.Minute

	maxAmount = 99_999_999 // eight digits, https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts
)

// statement accepts a text for bank statements: https://docs.stripe.com/get-started/account/statement-descriptors.
func statement(name string, f *form) (any, *apiError) {
	v, err := text(22)(name, f)
	if err != nil {
		return nil, err
	}
	letters := false
	for _, r := range v.(string) {
		switch {
		case strings.ContainsRune(`<>\'"*`, r):
			return nil, invalid("", name, "Invalid statement descriptor: it must not contain the following special characters: <, >, \\, ', \", *.")
		case r < ' ' || r > '~':
			return nil, invalid("", name, "Invalid statement descriptor: it must contain only Latin characters.")
		case r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z':
			letters = true
		}
	}
	if !letters {
		return nil, invalid("", name, "Invalid statement descriptor: it must contain at least one letter.")
	}
	return v, nil
}

// customMessage is a text of the merchant's on the payment page.
var customMessage = opt(hash(schema{"message": req(text(1200))}))

// sessionCreateParams: https://docs.stripe.com/api/checkout/sessions/create?api-version=2023-10-16. The schema checks
// each parameter alone; checkSession checks what depends on others. Parameters marked elsewhere exist at Stripe and are
// refused here.
var sessionCreateParams = schema{
	"mode":                       req(oneOf("payment", "setup", "subscription")),
	"success_url":                opt(text(0)),
	"cancel_url":                 opt(text(0)),
	"client_reference_id":        opt(text(200)),
	"customer_email":             opt(text(800)),
	"customer_creation":          opt(oneOf("always", "if_required")),
	"currency":                   opt(text(3)),
	"expires_at":                 opt(timestamp),
	"locale":                     opt(oneOf(locales...)),
	"metadata":                   opt(metadata),
	"submit_type":                opt(oneOf("auto", "book", "donate", "pay")),
	"ui_mode":                    opt(oneOf("embedded", "hosted")),
	"billing_address_collection": opt(oneOf("auto", "required")),
	"phone_number_collection":    opt(hash(schema{"enabled": req(boolean)})),
	"allow_promotion_codes":      opt(boolean),
	"payment_method_types":       opt(list(text(0), 0)),
	"custom_text": opt(hash(schema{
		"after_submit": customMessage, "submit": customMessage,
		"shipping_address": elsewhere, "terms_of_service_acceptance": elsewhere,
	})),
	"line_items": opt(list(hash(schema{
		"price_data": opt(hash(schema{
			"currency":    req(text(3)),
			"unit_amount": opt(integer(0, maxAmount)),
			"product_data": opt(hash(schema{
				"name":        req(text(0)),
				"description": opt(text(0)),
				"images":      opt(list(text(0), 8)),
				"metadata":    opt(metadata),
				"tax_code":    elsewhere,
			})),
			"recurring": opt(hash(schema{
				"interval":       req(oneOf("day", "month", "week", "year")),
				"interval_count": opt(integer(1, 1000)),
			})),
			"tax_behavior":        opt(oneOf("exclusive", "inclusive", "unspecified")),
			"product":             elsewhere,
			"unit_amount_decimal": elsewhere,
		})),
		"quantity": opt(integer(0, 999_999)),
		"price":    elsewhere, "adjustable_quantity": elsewhere, "dynamic_tax_rates": elsewhere, "tax_rates": elsewhere,
	}), 100)),
	"payment_intent_data": opt(hash(schema{
		"description":                 opt(text(1000)),
		"metadata":                    opt(metadata),
		"receipt_email":               opt(text(800)),
		"statement_descriptor":        opt(statement),
		"statement_descriptor_suffix": opt(statement),
		"application_fee_amount":      elsewhere, "capture_method": elsewhere, "on_behalf_of": elsewhere,
		"setup_future_usage": elsewhere, "shipping": elsewhere, "transfer_data": elsewhere, "transfer_group": elsewhere,
	})),
	"expand":           opt(list(text(0), 0)),
	"after_expiration": elsewhere, "automatic_tax": elsewhere, "consent_collection": elsewhere, "custom_fields": elsewhere,
	"customer": elsewhere, "customer_update": elsewhere, "discounts": elsewhere, "invoice_creation": elsewhere,
	"payment_method_collection": elsewhere, "payment_method_configuration": elsewhere, "payment_method_options": elsewhere,
	"redirect_on_completion": elsewhere, "return_url": elsewhere, "setup_intent_data": elsewhere,
	"shipping_address_collection": elsewhere, "shipping_options": elsewhere,
	"subscription_data": subscriptionData,
	"tax_id_collection": elsewhere,
}

// checkSession makes the checks that need more than one parameter, or the time.
func checkSession(p params, now time.Time) *apiError {
	// The mode comes first, because it decides which other parameters are allowed.
	mode := p.str("mode")
	switch mode {
	case modePayment:
		if p.has("subscription_data") {
			return invalid("", "subscription_data", "You can not pass `subscription_data` in `payment` mode.")
		}
	case modeSubscription:
		if err := checkSubscriptionSession(p); err != nil {
			return err
		}
	// Mode setup is known to Stripe, and refused here after the checks that Stripe makes itself.
	default:
		if err := onlyInPaymentMode(p); err != nil {
			return err
		}
		return notSimulated("mode " + mode)
	}
	if p.str("ui_mode") == "embedded" {
		return notSimulated("ui_mode embedded")
	}
	if p.str("customer_creation") == "always" {
		return notSimulated("customer_creation always")
	}
	// The schema cannot require it, since the embedded page has none. The hosted page needs it.
	if !p.has("success_url") {
		return missingParam("success_url")
	}
	for _, name := range []string{"success_url", "cancel_url"} {
		if p.has(name) && !isWebURL(p.str(name)) {
			return invalid("url_invalid", name, "Not a valid URL")
		}
	}
	// Stripe refuses an address that is none, so the page can rely on the address of the session.
	if p.has("customer_email") && !isEmail(p.str("customer_email")) {
		return invalid("email_invalid", "customer_email", "Invalid email address: %s", p.str("customer_email"))
	}
	// Any other method of Stripe's is refused as not simulated, also a misspelt one.
	for i, kind := range p.strs("payment_method_types") {
		if kind != "card" && kind != "link" && kind != debitMethod {
			return notSimulated(fmt.Sprintf("payment_method_types[%d] %s", i, kind))
		}
	}
	// The session must be open for between 30 minutes and 24 hours, give or take sessionSkew.
	if at, ok := p.num("expires_at"); ok {
		life := time.Unix(at, 0).Sub(now)
		if life < minSessionLife-sessionSkew {
			// It may have been right when it was sent: a request can be long on its way.
			return refused("", "expires_at", "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.")
		}
		if life > maxSessionLife+sessionSkew {
			return invalid("", "expires_at", "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.")
		}
	}
	return checkItems(p)
}

// checkItems checks the lines one by one, then their sum. All lines have the same currency, and each makes its price
// with price_data, since no prices can be created here.
func checkItems(p params) *apiError {
	items := p.list("line_items")
	if len(items) == 0 {
		return missingParam("line_items")
	}
	var total int64
	currency := strings.ToLower(p.str("currency"))
	for i, item := range items {
		name := fmt.Sprintf("line_items[%d]", i)
		item := item.(params)
		price := item.obj("price_data")
		if price == nil {
			return missingParam(name + "[price_data]")
		}
		quantity, ok := item.num("quantity")
		if !ok {
			return missingParam(name + "[quantity]")
		}
		// Zero passes the schema, because Stripe's own message about it is not the one of the schema.
		if quantity == 0 {
			return invalid("parameter_invalid_integer", name+"[quantity]",
				"This value must be greater than or equal to 1 (it currently is '0').")
		}
		// The recurrence of the price has to fit the mode of the session.
		if err := checkRecurring(p.str("mode"), name, price); err != nil {
			return err
		}
		if price.obj("product_data") == nil {
			return missingParam(name + "[price_data][product_data]")
		}
		// The schema cannot require unit_amount: at Stripe, unit_amount_decimal can stand in its place.
		amount, ok := price.num("unit_amount")
		if !ok {
			return missingParam(name + "[price_data][unit_amount]")
		}
		c := strings.ToLower(price.str("currency"))
		if !slices.Contains(currencies, c) {
			return invalid("", name+"[price_data][currency]", "Invalid currency: %s. Stripe currently supports these currencies: %s",
				c, strings.Join(currencies, ", "))
		}
		// The first line, or the parameter currency, sets the currency of all.
		if currency != "" && currency != c {
			return invalid("", name, "All prices on a Checkout Session must have the same currency: %s is not %s.", c, currency)
		}
		currency = c
		// SEPA debits are in euros only. A session that leaves the methods to Stripe has no such error: it offers no
		// debit then.
		if c != "eur" && slices.Contains(p.strs("payment_method_types"), debitMethod) {
			return invalid("", "payment_method_types", "The currency provided (%s) is invalid for one or more payment method "+
				"types on this Checkout Session: the payment method type sepa_debit only supports: eur.", c)
		}
		total += amount * quantity // both are bounded, so a hundred of them fit
	}
	// The minimum is the currency's, and one minor unit where none is documented.
	if least := minimumAmount[currency]; total < max(least, 1) {
		return invalid("amount_too_small", "", "The Checkout Session's total amount due must add up to at least %s %s",
			formatAmount("en", max(least, 1), currency), currency)
	}
	// The bound of one price applies to the sum as well.
	if total > maxAmount {
		return invalid("amount_too_large", "", "The Checkout Session's total amount due must be no more than %s %s",
			formatAmount("en", maxAmount, currency), currency)
	}
	return nil
}

// isWebURL accepts an absolute address of the web.
func isWebURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// isEmail is as lenient as a payment page: something, an @, a host.
func isEmail(s string) bool {
	name, host, ok := strings.Cut(s, "@")
	return ok && name != "" && host != "" && !strings.ContainsAny(s, " \t\r\n<>,;") && !strings.Contains(host, "@")
}

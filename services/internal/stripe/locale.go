package stripe

import "github.com/cagnotte/cagnotte/services/money"

// locales are those of Stripe's pages for the languages of donors. Stripe has no Occitan and no Breton; those who read them
// read French. https://docs.stripe.com/api/checkout/sessions/create#create_checkout_session-locale
var locales = map[money.Language]string{
	money.French:  "fr",
	money.English: "en",
	money.Occitan: "fr",
	money.Breton:  "fr",
	money.Spanish: "es",
	money.German:  "de",
}

// localeOf is Stripe's locale for a donor's language; French for one that is not ours.
func localeOf(language string) string {
	if known, ok := locales[money.Language(language)]; ok {
		return known
	}
	return locales[money.French]
}

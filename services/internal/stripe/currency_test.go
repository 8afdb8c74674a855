package stripe

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/cagnotte/cagnotte/services/money"
)

// zeroDecimal is https://docs.stripe.com/currencies#zero-decimal: of these Stripe counts whole units, as we do.
const zeroDecimal = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF UGX VND VUV XAF XOF XPF"

func TestAmountsOfZeroDecimalCurrencies(t *testing.T) {
	var form url.Values
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ = url.ParseQuery(string(body))
		_, _ = io.WriteString(w, `{"id":"cs_1","amount_total":500,"currency":"`+form.Get("line_items[0][price_data][currency]")+`"}`)
	})
	for currency := range strings.FieldsSeq(zeroDecimal) {
		amount := money.Amount{Minor: 500, Currency: money.Currency(currency)}
		if amount.Currency.Exponent() != 0 {
			t.Errorf("%s has %d decimals", currency, amount.Currency.Exponent())
		}
		p := params
		p.Amount = amount
		session, err := c.CreateSession(t.Context(), p)
		if err != nil || session.AmountMinor != 500 || session.Currency != currency {
			t.Errorf("%s: read as %d %s, %v", currency, session.AmountMinor, session.Currency, err)
		}
		if got := form.Get("line_items[0][price_data][unit_amount]"); got != "500" || form.Get("line_items[0][price_data][currency]") != strings.ToLower(currency) {
			t.Errorf("%s: Stripe is asked for %q", currency, got)
		}
	}
}

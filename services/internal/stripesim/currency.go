package stripesim

import (
	"strconv"
	"strings"
)

// currencies are those of Stripe's that a French account is likely to meet, and all zero-decimal ones.
var currencies = []string{
	"eur", "usd", "gbp", "chf", "cad", "aud", "nzd", "sek", "nok", "dkk", "pln", "czk", "huf", "ron", "bgn", "brl", "mxn",
	"mad", "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf",
}

// zeroDecimal amounts are whole units, https://docs.stripe.com/currencies#zero-decimal.
var zeroDecimal = map[string]bool{
	"bif": true, "clp": true, "djf": true, "gnf": true, "jpy": true, "kmf": true, "krw": true, "mga": true, "pyg": true,
	"rwf": true, "ugx": true, "vnd": true, "vuv": true, "xaf": true, "xof": true, "xpf": true,
}

// minimumAmount is in minor units, https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts.
// Currencies that are not listed there have no minimum here.
var minimumAmount = map[string]int64{
	"eur": 50, "usd": 50, "gbp": 30, "chf": 50, "cad": 50, "aud": 50, "nzd": 50, "sek": 300, "nok": 300, "dkk": 250,
	"pln": 200, "czk": 1500, "huf": 17500, "ron": 200, "bgn": 100, "brl": 50, "mxn": 1000, "jpy": 50,
}

var symbols = map[string]string{"eur": "€", "usd": "$", "gbp": "£", "jpy": "¥"}

// formatAmount formats minor units: "1 234,50 €" in French, "€1,234.50" in English.
func formatAmount(lang string, minor int64, currency string) string {
	// Two digits of cents: 100 is added so that 5 becomes 105, whose first digit is cut off. An amount must not be
	// negative.
	whole, fraction := strconv.FormatInt(minor, 10), ""
	if !zeroDecimal[currency] {
		whole, fraction = strconv.FormatInt(minor/100, 10), strconv.FormatInt(100+minor%100, 10)[1:]
	}
	group, point := ",", "."
	if lang == "fr" {
		group, point = "\u202f", "," // narrow no-break space, as French typography has it
	}
	// The groups of three are inserted from the right, so the positions to the left stay valid.
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + group + whole[i:]
	}
	if fraction != "" {
		whole += point + fraction
	}
	// A currency without a symbol has its code behind the amount, in both languages.
	symbol, ok := symbols[currency]
	switch {
	case lang == "fr" && ok:
		return whole + "\u00a0" + symbol
	case ok:
		return symbol + whole
	}
	return whole + "\u00a0" + strings.ToUpper(currency)
}

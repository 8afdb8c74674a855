package money

import (
	"cmp"
	"strconv"
	"strings"
)

// Language is a language of people, as a BCP 47 code.
type Language string

// The languages that amounts are written in.
const (
	French  Language = "fr"
	English Language = "en"
	Occitan Language = "oc"
	Breton  Language = "br"
	Spanish Language = "es"
	German  Language = "de"
)

// Languages returns the languages of donors. The first is for everybody whose language is not among them.
func Languages() []Language {
	return []Language{
		French,
		English,
		Occitan,
		Breton,
		Spanish,
		German,
	}
}

const (
	// minus stands before an amount below zero in texts for people; machines get a hyphen.
	minus              = "\u2212"
	noBreakSpace       = "\u00a0"
	narrowNoBreakSpace = "\u202f"
)

// Point returns the decimal separator of a language.
func (l Language) Point() string {
	if l == English {
		return "."
	}
	return ","
}

// Group puts the separator of a language between the thousands of a number, which is digits alone. The spaces do not break
// lines. Spanish separates from five digits on (CLDR's minimumGroupingDigits).
func (l Language) Group(digits string) string {
	switch {
	case l == English:
		return group(digits, ",")
	case l == Spanish && len(digits) < 5:
		return digits
	case l == Spanish || l == German:
		return group(digits, ".")
	}
	return group(digits, narrowNoBreakSpace)
}

// Format writes the amount for people, after Unicode's CLDR: "1 234,50 €" in French and for every language that has no form of
// its own, "€1,234.50" in English, "1234,50 €" in Spanish, "1.234,50 €" in German. Occitan and Breton have the form of French,
// in which their readers live. The spaces do not break lines, and an amount below zero begins with the minus sign U+2212.
//
// The tables are our own because golang.org/x/text/currency puts every symbol in front, whatever
// the language.
func (a Amount) Format(lang Language) string {
	sign, whole, fraction := a.digits()
	if sign != "" {
		sign = minus
	}
	number := lang.Group(whole)
	if fraction != "" {
		number += lang.Point() + fraction
	}
	mark := symbol(a.Currency, lang)
	if lang != English {
		return sign + number + noBreakSpace + mark
	}
	if mark == string(a.Currency) {
		mark += noBreakSpace // a code, unlike a symbol, does not touch the number
	}
	return sign + mark + number
}

// Decimal writes the amount for machines and exports: "-1234.50", without groups or currency, with as many decimals as
// the currency has.
func (a Amount) Decimal() string {
	sign, whole, fraction := a.digits()
	if fraction != "" {
		return sign + whole + "." + fraction
	}
	return sign + whole
}

// String returns Decimal and the code, for logs and test failures.
func (a Amount) String() string { return a.Decimal() + " " + string(a.Currency) }

// digits cuts the number at the decimal point; fraction is empty for a currency without decimals.
func (a Amount) digits() (sign, whole, fraction string) {
	if a.Minor < 0 {
		sign = "-"
	}
	exponent := a.Currency.Exponent()
	all := strconv.FormatUint(magnitude(a.Minor), 10)
	if missing := exponent + 1 - len(all); missing > 0 {
		all = strings.Repeat("0", missing) + all
	}
	cut := len(all) - exponent
	return sign, all[:cut], all[cut:]
}

// group puts a separator between thousands.
func group(digits, separator string) string {
	first := len(digits) % 3
	var parts []string
	if first > 0 {
		parts = append(parts, digits[:first])
	}
	for i := first; i < len(digits); i += 3 {
		parts = append(parts, digits[i:i+3])
	}
	return strings.Join(parts, separator)
}

// symbols are what people write for a currency other than its code, after CLDR. French ones are for all languages without a
// row of their own.
var symbols = map[Language]map[Currency]string{
	French:  {EUR: "€", "GBP": "£GB", "USD": "$US"},
	English: {EUR: "€", "GBP": "£", "USD": "$", "JPY": "¥"},
	Spanish: {EUR: "€", "USD": "US$"},
	German:  {EUR: "€", "GBP": "£", "USD": "$", "JPY": "¥"},
}

// symbol returns what people write for a currency, or else its code.
func symbol(c Currency, lang Language) string {
	known, ok := symbols[lang]
	if !ok {
		known = symbols[French]
	}
	return cmp.Or(known[c], string(c))
}

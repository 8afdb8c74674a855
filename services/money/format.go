package money

import (
	"strconv"
	"strings"
)

// Language is a language of people, as a BCP 47 code.
type Language string

// The languages that amounts are written in.
const (
	French  Language = "fr"
	English Language = "en"
)

const (
	// minus stands before an amount below zero in texts for people; machines get a hyphen.
	minus              = "\u2212"
	noBreakSpace       = "\u00a0"
	narrowNoBreakSpace = "\u202f"
)

// Format writes the amount for people, after Unicode's CLDR: "1 234,50 €" in French and for every
// language but English, whose form is "€1,234.50". The spaces do not break lines, and an amount below zero begins with the
// minus sign U+2212.
//
// The tables are our own because golang.org/x/text/currency puts every symbol in front, whatever
// the language.
func (a Amount) Format(lang Language) string {
	sign, whole, fraction := a.digits()
	if sign != "" {
		sign = minus
	}
	if lang == English {
		mark := symbol(a.Currency, English)
		if mark == string(a.Currency) {
			mark += noBreakSpace // a code, unlike a symbol, does not touch the number
		}
		text := sign + mark
		text += group(whole, ",")
		if fraction != "" {
			text += "." + fraction
		}
		return text
	}
	text := sign + group(whole, narrowNoBreakSpace)
	if fraction != "" {
		text += "," + fraction
	}
	return text + noBreakSpace + symbol(a.Currency, French)
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

// symbol returns what people write for a currency, or else its code.
func symbol(c Currency, lang Language) string {
	english := lang == English
	switch {
	case c == EUR:
		return "€"
	case c == "GBP" && english:
		return "£"
	case c == "GBP":
		return "£GB"
	case c == "USD" && english:
		return "$"
	case c == "USD":
		return "$US"
	case c == "JPY" && english:
		return "¥"
	}
	return string(c)
}

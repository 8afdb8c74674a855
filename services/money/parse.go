package money

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The errors of [Parse], apart from ErrOverflow and ErrUnknownCurrency.
var (
	// ErrEmpty is the error for a text without a number.
	ErrEmpty = errors.New("there is no amount")
	// ErrSyntax is the error for a text that is not a number.
	ErrSyntax = errors.New("the amount is not a number")
	// ErrTooPrecise is the error for more decimals than the currency has.
	ErrTooPrecise = errors.New("the amount has more decimals than the currency")
	// ErrAmbiguous is the error for a separator that can mean thousands or decimals, as in "1,234" euros.
	ErrAmbiguous = errors.New("the separator can mean thousands or decimals")
)

// Parse reads what people type: "12", "12,50", "12.5", "1 234,50", "1,234.50", "1'234.50", with a
// minus sign, with the currency's symbol, code or name ("20 euros") before or after the number, and
// all that Format writes. It does not depend on the language, and refuses to guess:
//
//   - Of two different separators the last one is for decimals; one that occurs twice is for
//     thousands. Thousands are groups of three digits.
//   - A single comma or point before exactly three digits is for thousands in a currency without
//     decimals, for decimals in a currency with three, and ErrAmbiguous otherwise.
//   - Nothing is rounded: more decimals than the currency has are ErrTooPrecise.
//
// Errors wrap one of the package's and repeat the text, which is the caller's own.
func Parse(text string, currency Currency) (Amount, error) {
	if !currency.Valid() {
		return Amount{}, fmt.Errorf("%w: %q", ErrUnknownCurrency, currency)
	}
	minor, err := parseMinor(text, currency)
	if err != nil {
		return Amount{}, fmt.Errorf("%w: %q", err, text)
	}
	return Amount{minor, currency}, nil
}

func parseMinor(text string, currency Currency) (int64, error) {
	// All spaces that people and Format put between thousands become one kind.
	number := strings.NewReplacer(noBreakSpace, " ", narrowNoBreakSpace, " ", "\u2009", " ", "’", "'", "\u2212", "-").Replace(text)
	negative, number := stripSign(strings.TrimSpace(number))
	number = stripCurrency(number, currency)
	if !negative {
		negative, number = stripSign(number) // as in "€-5"
	}
	if number == "" {
		return 0, ErrEmpty
	}
	exponent := currency.Exponent()
	whole, fraction, err := cutDecimals(number, exponent)
	if err != nil {
		return 0, err
	}
	whole, err = joinThousands(whole)
	if err != nil {
		return 0, err
	}
	if len(fraction) > exponent {
		return 0, ErrTooPrecise
	}
	digits := whole + fraction + strings.Repeat("0", exponent-len(fraction))
	if negative {
		digits = "-" + digits
	}
	minor, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, ErrOverflow // all are digits, so it can be nothing else
	}
	return minor, nil
}

func stripSign(number string) (negative bool, rest string) {
	rest, negative = strings.CutPrefix(number, "-")
	return negative, strings.TrimSpace(rest)
}

// names are what people write for a currency in our languages; the longer of two that begin alike comes first.
var names = map[Currency][]string{
	EUR:   {"euroioù", "euros", "euro", "èuros", "èuro"},
	"USD": {"dollars", "dollar", "dólares", "dólar"},
	"GBP": {"pounds", "pound", "livres", "livre", "libras", "libra", "pfund"},
	"CHF": {"francos", "franco", "franken", "francs", "franc"},
}

// stripCurrency removes one name, symbol or code of the currency from either end.
func stripCurrency(number string, currency Currency) string {
	// A name may begin with the code, and the French symbol contain the English one.
	marks := slices.Clone(names[currency])
	for _, lang := range []Language{French, Spanish, English} {
		marks = append(marks, symbol(currency, lang))
	}
	for _, mark := range append(marks, string(currency)) {
		if len(number) < len(mark) {
			continue
		}
		head, tail := number[:len(mark)], number[len(number)-len(mark):]
		switch {
		case strings.EqualFold(head, mark):
			return strings.TrimSpace(number[len(mark):])
		case strings.EqualFold(tail, mark):
			return strings.TrimSpace(number[:len(number)-len(mark)])
		}
	}
	return number
}

// cutDecimals cuts a number at its decimal separator, if it has one.
func cutDecimals(number string, exponent int) (whole, fraction string, err error) {
	cut := strings.LastIndexAny(number, ".,")
	if cut < 0 {
		return number, "", nil
	}
	whole, fraction = number[:cut], number[cut+1:]
	if whole == "" || fraction == "" || !allDigits(fraction) {
		return "", "", ErrSyntax
	}
	switch {
	case strings.IndexByte(whole, number[cut]) >= 0: // twice: thousands
		return number, "", nil
	case strings.ContainsAny(whole, ".,' "): // thousands are marked otherwise
		return whole, fraction, nil
	case len(fraction) != 3 || len(whole) > 3 || whole[0] == '0': // cannot be thousands
		return whole, fraction, nil
	case exponent == 0:
		return number, "", nil
	case exponent == 3:
		return whole, fraction, nil
	}
	return "", "", ErrAmbiguous
}

// joinThousands removes the separators of a whole number, after checking that they are one kind
// and that there are three digits between them.
func joinThousands(whole string) (string, error) {
	first := strings.IndexAny(whole, ".,' ")
	if first < 0 {
		if !allDigits(whole) {
			return "", ErrSyntax
		}
		return whole, nil
	}
	groups := strings.Split(whole, whole[first:first+1])
	for i, digits := range groups {
		wellFormed := len(digits) == 3 || i == 0 && len(digits) >= 1 && len(digits) < 3
		if !wellFormed || !allDigits(digits) {
			return "", ErrSyntax
		}
	}
	return strings.Join(groups, ""), nil
}

func allDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

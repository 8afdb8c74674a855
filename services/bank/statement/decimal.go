package statement

import (
	"strings"

	"github.com/cagnotte/cagnotte/services/money"
)

// parseDecimal reads an amount as banks write it: with a sign and the currency before or after it, blanks or the other mark
// between groups of three digits, zeros in front or none, and no more decimals than the currency has, apart from zeros.
func parseDecimal(text string, currency money.Currency, mark string) (money.Amount, error) {
	if !currency.Valid() {
		return money.Amount{}, errNoAmount
	}
	// The currency may be at either end. Between digits it might be meant as a decimal mark.
	plain := func(text string) string {
		text = strings.Trim(text, "\u00a0\u202f \t\r\n")
		for _, sign := range []string{"€", string(currency)} {
			text = strings.TrimSuffix(strings.TrimPrefix(text, sign), sign)
		}
		return strings.Trim(text, "\u00a0\u202f \t\r\n")
	}
	// The minus of Unicode is written by some programs.
	text = plain(strings.ReplaceAll(text, "−", "-"))
	negative := false
	switch {
	case strings.HasPrefix(text, "-"), strings.HasSuffix(text, "-"):
		negative, text = true, strings.TrimSuffix(strings.TrimPrefix(text, "-"), "-")
	case strings.HasPrefix(text, "+"):
		text = text[1:]
	}
	// The currency may stand between the sign and the digits.
	text = plain(text)
	whole, fraction, _ := strings.Cut(text, mark)
	// The mark that is not the decimal mark groups digits, and so do blanks of all kinds.
	group := map[string]string{",": ".", ".": ","}[mark]
	whole = strings.NewReplacer(" ", group, "\u00a0", group, "\u202f", group).Replace(whole)
	if strings.Contains(whole, group) {
		groups := strings.Split(whole, group)
		for i, g := range groups {
			// Only the first group may be short. So a decimal mark that is not the format's is refused, unless three
			// digits follow it.
			if len(g) > 3 || len(g) < 3 && i > 0 || g == "" {
				return money.Amount{}, errNoAmount
			}
		}
		whole = strings.Join(groups, "")
	}
	if whole == "" && fraction == "" {
		return money.Amount{}, errNoAmount
	}
	whole = strings.TrimLeft(whole, "0")
	exponent := currency.Exponent()
	// Zeros beyond the currency's decimals change nothing.
	for len(fraction) > exponent && strings.HasSuffix(fraction, "0") {
		fraction = fraction[:len(fraction)-1]
	}
	// Thirteen digits and the decimals fit into 64 bits.
	if len(fraction) > exponent || len(whole) > 13 {
		return money.Amount{}, errNoAmount
	}
	amount := money.Amount{Currency: currency}
	for _, digit := range whole + fraction + strings.Repeat("0", exponent-len(fraction)) {
		if digit < '0' || digit > '9' {
			return money.Amount{}, errNoAmount
		}
		amount.Minor = 10*amount.Minor + int64(digit-'0')
	}
	if negative {
		amount.Minor = -amount.Minor
	}
	return amount, nil
}

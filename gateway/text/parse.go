package text

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	"github.com/cagnotte/cagnotte/services/money"
)

// ErrMoney and ErrDay are for a text that is no amount or no day. ErrAmbiguous is for an amount such as "1,234", which can be
// read in two ways.
var (
	ErrMoney     = errors.New("text: this is not an amount")
	ErrAmbiguous = errors.New("text: this amount can be read in two ways")
	ErrDay       = errors.New("text: this is not a day")
)

// ParseMoney reads an amount as people type it, in any of our languages: "12,50", "12.50", "1 250,00 €". It never rounds.
func ParseMoney(typed, currency string) (*moneyv1.Money, error) {
	amount, err := money.Parse(typed, money.Currency(currency))
	switch {
	case errors.Is(err, money.ErrAmbiguous):
		return nil, ErrAmbiguous
	case err != nil:
		return nil, ErrMoney
	}
	return &moneyv1.Money{CurrencyCode: currency, AmountMinor: amount.Minor}, nil
}

// europeanDay is a day as it is written in all our languages, with any of the usual separators.
var europeanDay = regexp.MustCompile(`^(\d{1,2})[/. -](\d{1,2})[/. -](\d{4})$`)

// ParseDay reads a day as people type it or as a browser's field sends it, and writes it as YYYY-MM-DD: "31/12/2026",
// "31.12.2026", "2026-12-31". The day comes before the month in all our languages.
func ParseDay(typed string) (string, error) {
	typed = strings.TrimSpace(typed)
	if m := europeanDay.FindStringSubmatch(typed); m != nil {
		day, _ := strconv.Atoi(m[1]) // digits, by the pattern
		month, _ := strconv.Atoi(m[2])
		year, _ := strconv.Atoi(m[3])
		t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
		// time.Date makes 3 March of 31 February.
		if t.Day() != day || int(t.Month()) != month {
			return "", ErrDay
		}
		return t.Format(time.DateOnly), nil
	}
	t, err := time.Parse(time.DateOnly, typed)
	if err != nil {
		return "", ErrDay
	}
	return t.Format(time.DateOnly), nil
}

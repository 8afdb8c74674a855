package stripesim

import (
	"errors"
	"math/big"
	"strconv"
	"strings"
)

// exchange is the balance currency that charges of another currency settle in.
type exchange struct {
	To   string  `json:"to"`
	Rate float64 `json:"rate"` // units of To for one unit, in major units
}

// SetExchange makes the account's ("" for the platform's) charges of a currency settle in another currency's balance,
// at a rate in major units, as on an account without a balance in the charge's currency. It applies to charges that
// settle from now on; a rate of zero ends it. Fees are in the balance's currency.
func (s *Sim) SetExchange(account, from, to string, rate float64) error {
	s.lock()
	defer s.unlock()
	w := s.world(account)
	switch {
	case w == nil:
		return errors.New("stripesim: no account " + account)
	case rate < 0 || rate > 0 && from == to:
		return errors.New("stripesim: no such exchange")
	}
	if w.Exchange == nil {
		w.Exchange = map[string]exchange{}
	}
	w.Exchange[strings.ToLower(from)] = exchange{To: strings.ToLower(to), Rate: rate}
	s.changed = true
	return nil
}

// settledAmount is what a charge adds to the balance, and the rate; zero when nothing is converted.
func (w *world) settledAmount(ch *charge) (amount int64, currency string, rate float64) {
	if ch.Source != nil { // Adaptive Pricing: Stripe guarantees the merchant's own amount
		return ch.Source.Amount, ch.Source.Currency, rateOf(ch)
	}
	x := w.Exchange[ch.Currency]
	if x.Rate == 0 {
		return ch.Amount, ch.Currency, 0
	}
	return convert(ch.Amount, ch.Currency, x.To, x.Rate), x.To, x.Rate
}

// returnedAmount is what a part of a charge takes from the balance that it settled in: at the rate of
// [Sim.SetExchange], otherwise at its own rate. https://docs.stripe.com/currencies/disputes-refunds
func (w *world) returnedAmount(ch *charge, part int64) (amount int64, currency string, rate float64) {
	if x := w.Exchange[ch.Currency]; x.Rate != 0 {
		return convert(part, ch.Currency, x.To, x.Rate), x.To, x.Rate
	}
	landed, currency, rate := w.settledAmount(ch)
	// A part of the charge returns the same part of what it added to the balance.
	if rate != 0 {
		part = rounded(new(big.Rat).Mul(big.NewRat(part, 1), big.NewRat(landed, ch.Amount)))
	}
	return part, currency, rate
}

// sourcePrice is the merchant's own price when the donor pays in another currency.
type sourcePrice struct {
	Amount   int64   `json:"amount"`
	Currency string  `json:"currency"`
	FXRate   float64 `json:"fx_rate"` // units of the donor's currency for one of the merchant's
}

// Localize shows an open session in the donor's own currency at a rate in major units, as Adaptive Pricing does
// for a donor elsewhere: https://docs.stripe.com/payments/currencies/localize-prices/adaptive-pricing. Amounts and
// currency of the session and of all that comes of it are the donor's then; the merchant's stand in
// currency_conversion, and its own amount is what lands in its balance. It returns a *SessionError when the
// session is not open, or somebody tried to pay it.
func (s *Sim) Localize(sessionID, currency string, rate float64) error {
	s.lock()
	defer s.unlock()
	w, se, err := s.findOpen(sessionID)
	if err != nil {
		return err
	}
	if se.IntentID != "" || se.SubscriptionID != "" {
		return &SessionError{ID: sessionID, Status: "one that was tried in its own currency"}
	}
	source := sourcePrice{Amount: se.itemsAmount(), Currency: se.Items[0].Currency, FXRate: rate}
	se.Currency, se.Source = strings.ToLower(currency), &source
	se.Presented = convert(source.Amount, source.Currency, se.Currency, rate)
	// Another currency may offer other methods: debits are in euros only.
	se.Offered = w.methods(se.MethodTypes, se.Currency)
	s.changed = true
	return nil
}

// renderConversion is currency_conversion of a session.
func (se *session) renderConversion() any {
	if se.Source == nil {
		return nil
	}
	return document{
		"amount_subtotal": se.Source.Amount, "amount_total": se.Source.Amount,
		"fx_rate": strconv.FormatFloat(se.Source.FXRate, 'f', -1, 64), "source_currency": se.Source.Currency,
	}
}

// rateOf is the rate between the donor's currency and the merchant's.
func rateOf(ch *charge) float64 {
	rate, _ := new(big.Rat).Quo(major(ch.Source.Amount, ch.Source.Currency), major(ch.Amount, ch.Currency)).Float64()
	return rate
}

// convert is exact up to the rounding to minor units: the rate is the decimal number that it is written as.
func convert(minor int64, from, to string, rate float64) int64 {
	// The shortest decimal form of the float is what the caller wrote.
	exact, _ := new(big.Rat).SetString(strconv.FormatFloat(rate, 'f', -1, 64))
	converted := exact.Mul(exact, major(minor, from))
	if !zeroDecimal[to] {
		converted.Mul(converted, big.NewRat(100, 1))
	}
	return rounded(converted)
}

func major(minor int64, currency string) *big.Rat {
	if zeroDecimal[currency] {
		return big.NewRat(minor, 1)
	}
	return big.NewRat(minor, 100)
}

// rounded is the nearest integer; halves are rounded away from zero.
func rounded(exact *big.Rat) int64 {
	minor, err := strconv.ParseInt(exact.FloatString(0), 10, 64)
	if err != nil {
		panic("stripesim: an amount beyond all amounts: " + exact.String())
	}
	return minor
}

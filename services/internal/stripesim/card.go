package stripesim

import (
	"fmt"
	"strings"
)

// Card is the number of a test card; spaces are allowed. https://docs.stripe.com/testing#cards
type Card string

// Cards that are paid, one for each tariff, and the declines that people meet most.
const (
	CardOK                Card = "4242424242424242" // standard, EEA
	CardUK                Card = "4000008260000000"
	CardInternational     Card = "4000001240000000" // Canada
	CardDeclined          Card = "4000000000000002"
	CardInsufficientFunds Card = "4000000000009995"
	CardExpired           Card = "4000000000000069"
	// CardChallenged asks for 3-D Secure on every payment; CardChallengedDeclined does and is refused all the same.
	// https://docs.stripe.com/testing#regulatory-cards
	CardChallenged         Card = "4000002760003184"
	CardChallengedDeclined Card = "4000008400001629"
)

// tariff is Stripe's price for a card, in hundredths of a percent on top of the fixed fee of the currency.
// https://stripe.com/fr/pricing
type tariff int64

const (
	tariffEEA           tariff = 150
	tariffUK            tariff = 250
	tariffInternational tariff = 325
)

// fixedFee is in minor units; 25 where nothing is said.
var fixedFee = map[string]int64{"eur": 25, "usd": 30, "gbp": 20, "chf": 30, "jpy": 30, "sek": 180, "nok": 200, "dkk": 180}

// fee is rounded half up to a minor unit.
func (t tariff) fee(amount int64, currency string) int64 {
	// Half a minor unit is 5000 of the 10000 parts that a tariff counts in.
	fixed, ok := fixedFee[currency]
	if !ok {
		fixed = 25
	}
	return (amount*int64(t)+5000)/10000 + fixed
}

// A payment without a decline succeeds, after the challenge if the card asks for one.
type cardFacts struct {
	brand, country string
	tariff         tariff
	decline        *DeclinedError
	challenge      bool // 3-D Secure: the bank asks for one more step
}

// DeclinedError is a declined payment, with Stripe's codes and message.
type DeclinedError struct {
	Code        string // for instance card_declined
	DeclineCode string // the issuer's reason, often empty
	Message     string
}

func (e *DeclinedError) Error() string {
	return fmt.Sprintf("stripesim: %s (%s): %s", e.Code, e.DeclineCode, e.Message)
}

// declined is a test card of Stripe's that is refused. Those are American, hence the tariff.
func declined(code, declineCode, message string) cardFacts {
	return cardFacts{"visa", "US", tariffInternational, &DeclinedError{code, declineCode, message}, false}
}

var cards = map[Card]cardFacts{
	CardOK:             {"visa", "FR", tariffEEA, nil, false},
	"4000002500000003": {"visa", "FR", tariffEEA, nil, false},
	"4000002760000016": {"visa", "DE", tariffEEA, nil, false},
	"5555555555554444": {"mastercard", "FR", tariffEEA, nil, false},
	CardUK:             {"visa", "GB", tariffUK, nil, false},
	CardInternational:  {"visa", "CA", tariffInternational, nil, false},
	"378282246310005":  {"amex", "US", tariffInternational, nil, false},

	CardChallenged: {"visa", "FR", tariffEEA, nil, true},
	CardChallengedDeclined: {
		"visa", "US", tariffInternational,
		&DeclinedError{"card_declined", "generic_decline", "Your card was declined."}, true,
	},

	CardDeclined:          declined("card_declined", "generic_decline", "Your card was declined."),
	CardInsufficientFunds: declined("card_declined", "insufficient_funds", "Your card has insufficient funds."),
	"4000000000009987":    declined("card_declined", "lost_card", "Your card was declined."),
	"4000000000009979":    declined("card_declined", "stolen_card", "Your card was declined."),
	CardExpired:           declined("expired_card", "expired_card", "Your card has expired."),
	"4000000000000127":    declined("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect."),
	"4000000000000119": declined("processing_error", "processing_error",
		"An error occurred while processing your card. Try again in a little bit."),
}

// lookup finds a test card. Any other number is refused before anything is stored, because it may be a real card.
func (c Card) lookup() (Card, cardFacts, error) {
	// Spaces, also unbreakable ones, and hyphens come with numbers that people copy.
	number := Card(strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '\u00a0' || r == '\u202f' {
			return -1
		}
		return r
	}, string(c)))
	if facts, ok := cards[number]; ok {
		return number, facts, nil
	}
	// A number that can be no card's at all gets another error than one that may be somebody's.
	if !luhn(string(number)) {
		return "", cardFacts{}, &DeclinedError{Code: "incorrect_number", Message: "Your card number is incorrect."}
	}
	return "", cardFacts{}, &DeclinedError{
		Code: "card_declined", DeclineCode: "test_mode_live_card",
		Message: "Your card was declined. Your request was in test mode, but used a non test (live) card.",
	}
}

// luhn checks length, digits and check digit of a card number (ISO/IEC 7812-1).
func luhn(number string) bool {
	if len(number) < 12 || len(number) > 19 {
		return false
	}
	sum := 0
	for i := range len(number) {
		d := int(number[len(number)-1-i]) - '0'
		if d < 0 || d > 9 {
			return false
		}
		// From the right, every second digit counts twice, as the sum of its digits.
		if i%2 == 1 {
			d *= 2
			if d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

func (c Card) last4() string { return string(c[len(c)-4:]) }

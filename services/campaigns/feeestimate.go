package campaigns

import "github.com/cagnotte/cagnotte/services/money"

// FeeEstimate is what Stripe is expected to keep of a payment: a share and a fixed part. The fee itself is read at Stripe
// when a donation is booked, and never computed. With the zero value no fee can be covered.
type FeeEstimate struct {
	// BasisPoints is the share in hundredths of a percent, below 10,000.
	BasisPoints int64
	// Fixed is the fixed part. The estimate holds for its currency alone.
	Fixed money.Amount
}

// DefaultFeeEstimate is Stripe's price in France for a card of the European Economic Area,
// https://stripe.com/fr/pricing. A debit costs less, a card from elsewhere more.
var DefaultFeeEstimate = FeeEstimate{BasisPoints: 150, Fixed: money.Amount{Minor: 25, Currency: "EUR"}}

// Holds reports whether the estimate is for payments in the currency.
func (f FeeEstimate) Holds(currency money.Currency) bool {
	return f != FeeEstimate{} && f.Fixed.Currency == currency
}

// Whole returns the smallest sum of which, by the estimate, the wanted one is left. It must hold for the
// currency, and wanted must be positive and below 10^12.
func (f FeeEstimate) Whole(wanted money.Amount) money.Amount {
	const all = 10_000
	left := all - f.BasisPoints
	// Rounded up twice over, since Stripe rounds its share to the nearest minor unit.
	return money.Amount{Minor: ((wanted.Minor+f.Fixed.Minor)*all + left - 1) / left, Currency: wanted.Currency}
}

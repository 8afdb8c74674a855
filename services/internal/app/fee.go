package app

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/money"
)

// DefaultFeeEstimate is what CAGNOTTE_FEE_ESTIMATE is when it is not set.
var DefaultFeeEstimate = campaigns.DefaultFeeEstimate

// maxFeeBasisPoints is far above any price of Stripe's: a slip of the pen ends the start.
const maxFeeBasisPoints = 1000

// feeEstimate reads CAGNOTTE_FEE_ESTIMATE, such as "1.5% + 0.25 EUR"; "off" estimates nothing.
func feeEstimate(value string) (campaigns.FeeEstimate, error) {
	wrong := fmt.Errorf(`CAGNOTTE_FEE_ESTIMATE: %q is not like "1.5%% + 0.25 EUR", nor "off"`, value)
	switch value {
	case "":
		return DefaultFeeEstimate, nil
	case "off":
		return campaigns.FeeEstimate{}, nil
	}
	share, fixed, ok := strings.Cut(value, "+")
	if !ok {
		return campaigns.FeeEstimate{}, wrong
	}
	percent, ok := strings.CutSuffix(strings.TrimSpace(share), "%")
	amount, code, hasCode := strings.Cut(strings.TrimSpace(fixed), " ")
	if !ok || !hasCode {
		return campaigns.FeeEstimate{}, wrong
	}
	points, err := basisPoints(percent)
	if err != nil {
		return campaigns.FeeEstimate{}, wrong
	}
	part, err := money.Parse(amount, money.Currency(code))
	// A fee of zero is written as off, so that a zero here is a mistake.
	if err != nil || part.Minor < 0 || points == 0 && part.Minor == 0 {
		return campaigns.FeeEstimate{}, wrong
	}
	return campaigns.FeeEstimate{BasisPoints: points, Fixed: part}, nil
}

// basisPoints reads a percentage of at most two decimals.
func basisPoints(percent string) (int64, error) {
	whole, decimals, _ := strings.Cut(strings.TrimSpace(percent), ".")
	if len(decimals) > 2 {
		return 0, strconv.ErrRange
	}
	// Padded to two decimals, the digits are basis points: 1.5 is 150.
	points, err := strconv.ParseUint(whole+decimals+strings.Repeat("0", 2-len(decimals)), 10, 31)
	if err != nil || points > maxFeeBasisPoints {
		return 0, strconv.ErrRange
	}
	return int64(points), nil
}

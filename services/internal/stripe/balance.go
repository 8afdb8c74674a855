package stripe

import (
	"context"
	"strings"

	stripego "github.com/stripe/stripe-go/v76"
)

// Balance returns what stands on an account by currency, in upper case: what is available and what is pending, in minor
// units. It is the sum of the account's balance transactions. What else Stripe shows beside it, such as what it reserves
// of the platform's money for connected accounts, or could pay out at once, is a part of that and no money more.
// https://docs.stripe.com/api/balance/balance_object
func (c *Client) Balance(ctx context.Context, account string) (map[string]int64, error) {
	type sum struct {
		Amount   int64  `json:"amount"`
		Currency string `json:"currency"`
	}
	var answer struct {
		stripego.APIResource
		Available []sum `json:"available"`
		Pending   []sum `json:"pending"`
	}
	if err := c.get(ctx, account, "/v1/balance", nil, &answer); err != nil {
		return nil, err
	}
	total := map[string]int64{}
	for _, part := range append(answer.Available, answer.Pending...) {
		total[strings.ToUpper(part.Currency)] += part.Amount
	}
	return total, nil
}

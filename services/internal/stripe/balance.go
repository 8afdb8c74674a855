package stripe

import (
	"context"
	"strings"

	stripego "github.com/stripe/stripe-go/v76"
)

// Balance returns an account's balance by currency, in upper case: available plus pending, in minor units. It is the
// sum of the account's balance transactions. Other amounts of Stripe's answer, such as reserves for connected accounts
// and what can be paid out instantly, are parts of it. https://docs.stripe.com/api/balance/balance_object
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

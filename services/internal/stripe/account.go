package stripe

import (
	"context"

	stripego "github.com/stripe/stripe-go/v76"
)

// ConnectedAccount asks a connected account for itself, and returns its id. It is an error that [Disconnected]
// knows when the account gives no access.
func (c *Client) ConnectedAccount(ctx context.Context, account string) (id string, err error) {
	var answer struct {
		stripego.APIResource
		ID string `json:"id"`
	}
	err = c.get(ctx, account, "/v1/account", nil, &answer)
	return answer.ID, err
}

// OwnAccount returns the id of the account that the key is of, acct_…. A restricted key may not be allowed to
// read it: then it is Refused.
func (c *Client) OwnAccount(ctx context.Context) (id string, err error) {
	var answer struct {
		stripego.APIResource
		ID string `json:"id"`
	}
	err = c.get(ctx, "", "/v1/account", nil, &answer)
	return answer.ID, err
}

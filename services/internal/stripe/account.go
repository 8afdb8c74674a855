package stripe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"
	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"
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

// Account is what a connected account may do, and what Stripe still wants to know of it. Whose it is stays at
// Stripe.
type Account struct {
	ID string
	// ChargesEnabled: it takes payments. PayoutsEnabled: its money can go to its bank. DetailsSubmitted: its
	// onboarding was finished once.
	ChargesEnabled, PayoutsEnabled, DetailsSubmitted bool
	// RequirementsDue are the codes of what is to be told now, such as "external_account", what is late included:
	// https://docs.stripe.com/api/accounts/object#account_object-requirements-currently_due.
	RequirementsDue []string
	// Deadline is until when; zero when nothing is pressing.
	Deadline time.Time
	// DisabledReason is why something is not enabled, such as "requirements.past_due"; may be empty.
	DisabledReason string
}

// AccountLink is a way into the onboarding of an account, for one person, once, for some minutes.
type AccountLink struct {
	URL       string
	ExpiresAt time.Time
}

// metadataCollective is the one key of an account's metadata that we set.
const metadataCollective = "collective"

// CreateAccount makes a Standard account, which its owner manages in a dashboard of its own. The idempotency key
// holds the onboarding and the attempt, so the same two answer the same account for a day; the collective, whose
// slug is public, never changes under them.
func (c *Client) CreateAccount(ctx context.Context, onboarding uuid.UUID, attempt int, collective string) (Account, error) {
	body := &form.Values{}
	form.AppendTo(body, &stripego.AccountParams{
		Type:     stripego.String("standard"),
		Metadata: map[string]string{metadataCollective: collective},
	})
	var answer accountAnswer
	err := c.call(ctx, request{
		method: http.MethodPost, path: "/v1/accounts", body: body,
		idempotencyKey: fmt.Sprintf("account-%s-%d", onboarding, attempt),
	}, &answer)
	if err != nil {
		return Account{}, err
	}
	return answer.account(), nil
}

// maxLinkTries bounds the failures that one request for a link is remembered by.
const maxLinkTries = 10

// CreateAccountLink makes a link into an account's onboarding. The idempotency key holds the request and a hash
// of all parameters, so the same request answers the same link, also when it has expired. A failure that Stripe
// remembers under a key leads to the next key: what a link leads to is there already, and a second link harms nobody.
func (c *Client) CreateAccountLink(ctx context.Context, requestID uuid.UUID, account, refreshURL, returnURL string) (AccountLink, error) {
	body := &form.Values{}
	form.AppendTo(body, &stripego.AccountLinkParams{
		Account: &account, RefreshURL: &refreshURL, ReturnURL: &returnURL, Type: stripego.String("account_onboarding"),
	})
	hash := sha256.Sum256([]byte(body.Encode()))
	var err error
	for try := range maxLinkTries {
		var answer struct {
			stripego.APIResource
			URL       string `json:"url"`
			ExpiresAt int64  `json:"expires_at"`
		}
		err = c.call(ctx, request{
			method: http.MethodPost, path: "/v1/account_links", body: body,
			idempotencyKey: fmt.Sprintf("accountlink-%s-%s-%d", requestID, hex.EncodeToString(hash[:12]), try),
		}, &answer)
		if err == nil {
			return AccountLink{URL: answer.URL, ExpiresAt: unix(answer.ExpiresAt)}, nil
		}
		if failed := new(Error); !errors.As(err, &failed) || !failed.Replayed {
			break
		}
	}
	return AccountLink{}, err
}

// GetAccount reads a connected account. One that took its access back is an error that is [Disconnected].
func (c *Client) GetAccount(ctx context.Context, id string) (Account, error) {
	var answer accountAnswer
	if err := c.get(ctx, "", "/v1/accounts/"+url.PathEscape(id), nil, &answer); err != nil {
		return Account{}, err
	}
	return answer.account(), nil
}

type accountAnswer struct {
	stripego.APIResource
	ID               string `json:"id"`
	ChargesEnabled   bool   `json:"charges_enabled"`
	PayoutsEnabled   bool   `json:"payouts_enabled"`
	DetailsSubmitted bool   `json:"details_submitted"`
	Requirements     struct {
		CurrentlyDue    []string `json:"currently_due"`
		CurrentDeadline int64    `json:"current_deadline"`
		DisabledReason  string   `json:"disabled_reason"`
	} `json:"requirements"`
}

func (o *accountAnswer) account() Account {
	return Account{
		ID: o.ID, ChargesEnabled: o.ChargesEnabled, PayoutsEnabled: o.PayoutsEnabled, DetailsSubmitted: o.DetailsSubmitted,
		RequirementsDue: o.Requirements.CurrentlyDue, DisabledReason: o.Requirements.DisabledReason,
		Deadline: unixOrZero(o.Requirements.CurrentDeadline),
	}
}

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

// ConnectedAccount reads a connected account through its own access, and returns its id. If the account gives no
// access, [Disconnected] recognises the error.
func (c *Client) ConnectedAccount(ctx context.Context, account string) (id string, err error) {
	var answer struct {
		stripego.APIResource
		ID string `json:"id"`
	}
	err = c.get(ctx, account, "/v1/account", nil, &answer)
	return answer.ID, err
}

// OwnAccount returns the id of the key's own account, acct_…. It is Refused when a restricted key may not read it.
func (c *Client) OwnAccount(ctx context.Context) (id string, err error) {
	var answer struct {
		stripego.APIResource
		ID string `json:"id"`
	}
	err = c.get(ctx, "", "/v1/account", nil, &answer)
	return answer.ID, err
}

// Account is what a connected account may do, and what Stripe still requires of it. Nothing of its owner is read.
type Account struct {
	ID string
	// ChargesEnabled: it can take payments. PayoutsEnabled: its money can be paid out. DetailsSubmitted: its onboarding
	// was completed once.
	ChargesEnabled, PayoutsEnabled, DetailsSubmitted bool
	// RequirementsDue are the codes of what Stripe requires now or required before, such as "external_account":
	// https://docs.stripe.com/api/accounts/object#account_object-requirements-currently_due.
	RequirementsDue []string
	// Deadline is the time limit for RequirementsDue; zero when there is none.
	Deadline time.Time
	// DisabledReason is why something is not enabled, such as "requirements.past_due"; empty when Stripe gives none.
	DisabledReason string
}

// AccountLink is a link to an account's onboarding. It can be used once, for some minutes.
type AccountLink struct {
	URL       string
	ExpiresAt time.Time
}

// metadataCollective is the only metadata key that we set on an account.
const metadataCollective = "collective"

// CreateAccount creates a Standard account, which its owner manages in a dashboard of its own. The idempotency key
// holds onboarding and attempt, so that both return the same account for a day. The collective's slug is public and
// never changes for the same onboarding.
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

// maxLinkTries bounds the idempotency keys of one request for a link.
const maxLinkTries = 10

// CreateAccountLink creates a link to an account's onboarding. The idempotency key holds the request and a hash of all
// parameters: the same request returns the same link, also after it has expired. If Stripe repeats a failure under a
// key, the next key is tried, because a second link does no harm.
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

// GetAccount reads a connected account. If it has withdrawn its access, [Disconnected] recognises the error.
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

package stripe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"

	"github.com/cagnotte/cagnotte/services/money"
)

// SessionStatus is the status of a Checkout Session.
type SessionStatus string

// The statuses of a session, https://docs.stripe.com/api/checkout/sessions/object#checkout_session_object-status.
const (
	SessionOpen     SessionStatus = "open"
	SessionComplete SessionStatus = "complete"
	SessionExpired  SessionStatus = "expired"
)

// PaymentStatus tells whether a session is paid. Unpaid is not failed: a debit takes days.
type PaymentStatus string

// The payment statuses that a donation's session can have.
const (
	Paid   PaymentStatus = "paid"
	Unpaid PaymentStatus = "unpaid"
)

// Session is a Checkout Session, also as stored in events. It has nothing of the payer.
type Session struct {
	ID string `json:"id"`
	// Created is when Stripe made it; zero when unknown.
	Created time.Time `json:"created,omitzero"`
	// URL is the payment page; empty once the session is not open.
	URL           string        `json:"-"`
	Status        SessionStatus `json:"status"`
	PaymentStatus PaymentStatus `json:"payment_status"`
	// Donation is the donation in the metadata or in client_reference_id; Nil for none. Everybody who may use the
	// account can write both, so it proves nothing: a session is recognised by its ID.
	Donation uuid.UUID `json:"donation"`
	// PaymentIntent is empty before the first payment attempt.
	PaymentIntent string `json:"payment_intent,omitempty"`
	// IntentStatus is set when the session was read, not from an event.
	IntentStatus string `json:"-"`
	AmountMinor  int64  `json:"amount_minor"`
	// Currency is in upper case. Amount and currency are those that we asked for, also when Stripe shows another
	// currency.
	Currency string `json:"currency"`
	// ShownMinor and ShownCurrency are the price shown to the donor, when Stripe shows it in another currency.
	ShownMinor    int64  `json:"shown_minor,omitempty"`
	ShownCurrency string `json:"shown_currency,omitempty"`
	Livemode      bool   `json:"livemode"`
	// Subscription, Customer and Invoice are those of a monthly donation; empty until the session is complete, and for
	// a single donation. Such a session has no payment intent; its invoice has one.
	Subscription string `json:"subscription,omitempty"`
	Customer     string `json:"customer,omitempty"`
	Invoice      string `json:"invoice,omitempty"`
}

// SessionParams are the parameters of a donation's Checkout Session.
type SessionParams struct {
	// Account is the connected account; empty for the platform's own.
	Account string
	// Donation is the donation's id. Stripe is told nothing else of it.
	Donation uuid.UUID
	// Attempt is part of the idempotency key. Count it up to leave a failure behind that Stripe repeats.
	Attempt int
	Amount  money.Amount
	// Title is what the payment page shows as the item.
	Title string
	// Locale is the donor's language, one of [money.Languages].
	Locale string
	// ExpiresAt is when the page closes, 30 minutes to 24 hours from now, in whole seconds.
	ExpiresAt time.Time
	// SuccessURL and CancelURL are where the page leads to.
	SuccessURL, CancelURL string
	// Monthly makes it a subscription that charges the amount each month.
	Monthly bool
	// Note is the page's text above the button; none when empty.
	Note string
	// Description stands below the title, such as whose campaign it is; none when empty.
	Description string
	// StatementSuffix stands on the bank statement of a single donation by card, behind the account's prefix; see
	// [StatementSuffix]. None when empty.
	StatementSuffix string
}

// CreateSession creates the session, or returns the one that the same parameters created before. The idempotency key
// holds the donation, the attempt and a hash of all parameters, so that one key never has two bodies, even when a
// campaign's title changes in between.
func (c *Client) CreateSession(ctx context.Context, p SessionParams) (Session, error) {
	donation := p.Donation.String()
	metadata := map[string]string{metadataDonation: donation}
	body := &form.Values{}
	params := &stripego.CheckoutSessionParams{
		Mode:              stripego.String("payment"),
		SubmitType:        stripego.String("donate"),
		CustomerCreation:  stripego.String("if_required"),
		ClientReferenceID: &donation,
		Metadata:          metadata,
		// The session's own metadata is not copied to the charge.
		PaymentIntentData: &stripego.CheckoutSessionPaymentIntentDataParams{
			Metadata: metadata, StatementDescriptorSuffix: optional(p.StatementSuffix),
		},
		LineItems: []*stripego.CheckoutSessionLineItemParams{{
			PriceData: &stripego.CheckoutSessionLineItemPriceDataParams{
				Currency:    stripego.String(strings.ToLower(string(p.Amount.Currency))),
				UnitAmount:  stripego.Int64(p.Amount.Minor),
				ProductData: &stripego.CheckoutSessionLineItemPriceDataProductDataParams{Name: &p.Title, Description: optional(p.Description)},
			},
			Quantity: stripego.Int64(1),
		}},
		Locale:     stripego.String(localeOf(p.Locale)),
		ExpiresAt:  stripego.Int64(p.ExpiresAt.Unix()),
		SuccessURL: &p.SuccessURL,
		CancelURL:  &p.CancelURL,
	}
	if p.Note != "" {
		params.CustomText = &stripego.CheckoutSessionCustomTextParams{
			Submit: &stripego.CheckoutSessionCustomTextSubmitParams{Message: &p.Note},
		}
	}
	if p.Monthly {
		subscribe(params, p)
	}
	form.AppendTo(body, params)
	hash := sha256.Sum256([]byte(p.Account + "\n" + body.Encode()))
	key := fmt.Sprintf("donation-%s-%d-%s", donation, p.Attempt, hex.EncodeToString(hash[:12]))

	var answer sessionAnswer
	err := c.call(ctx, request{
		method: http.MethodPost, path: "/v1/checkout/sessions", account: p.Account, idempotencyKey: key, body: body,
	}, &answer)
	var refused *Error
	if errors.As(err, &refused) && p.StatementSuffix != "" && refused.Param == suffixParam {
		// An account without a prefix of its own takes none, and donations matter more. It is another body under another key.
		p.StatementSuffix = ""
		return c.CreateSession(ctx, p)
	}
	if err != nil {
		return Session{}, err
	}
	return answer.session(), nil
}

const suffixParam = "payment_intent_data[statement_descriptor_suffix]"

// maxSuffix fits behind any prefix: that has 10 characters at most, "* " stands between, and all have 22.
// https://docs.stripe.com/get-started/account/statement-descriptors#dynamic
const maxSuffix = 10

// StatementSuffix makes a suffix for bank statements from a name of small Latin letters, digits and dashes: its first words
// in capitals, as many as fit. Stripe wants Latin characters, at least one letter, and none of <>\'"*.
func StatementSuffix(slug string) string {
	suffix := strings.ToUpper(strings.ReplaceAll(slug, "-", " "))
	if len(suffix) <= maxSuffix {
		return suffix
	}
	if end := strings.LastIndexByte(suffix[:maxSuffix+1], ' '); end > 0 {
		return suffix[:end]
	}
	return suffix[:maxSuffix]
}

// optional is nil for an empty text, which Stripe takes for the wish to unset a parameter.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// GetSession reads a session with the status of its payment intent.
func (c *Client) GetSession(ctx context.Context, account, id string) (Session, error) {
	var answer sessionAnswer
	err := c.get(ctx, account, "/v1/checkout/sessions/"+url.PathEscape(id), query("expand[0]", "payment_intent"), &answer)
	if err != nil {
		return Session{}, err
	}
	return answer.session(), nil
}

// SessionOfIntent reads the session of a payment intent. Its ID is empty when there is none.
func (c *Client) SessionOfIntent(ctx context.Context, account, intent string) (Session, error) {
	var answer struct {
		stripego.APIResource
		Data []sessionJSON `json:"data"`
	}
	err := c.get(ctx, account, "/v1/checkout/sessions",
		query("payment_intent", intent, "limit", "1", "expand[0]", "data.payment_intent"), &answer)
	if err != nil || len(answer.Data) == 0 || answer.Data[0].PaymentIntent.ID != intent {
		return Session{}, err
	}
	return answer.Data[0].session(), nil
}

// ExpireSession closes an open session. Afterwards nobody can pay on it. A session that is not open is Refused. attempt is part
// of the idempotency key; count it up to leave an earlier answer behind.
func (c *Client) ExpireSession(ctx context.Context, account, id string, attempt int) (Session, error) {
	var answer sessionAnswer
	err := c.call(ctx, request{
		method: http.MethodPost, path: "/v1/checkout/sessions/" + url.PathEscape(id) + "/expire", account: account,
		idempotencyKey: fmt.Sprintf("expire-%s-%d", id, attempt), body: &form.Values{},
	}, &answer)
	if err != nil {
		return Session{}, err
	}
	return answer.session(), nil
}

// metadataDonation is the only metadata key of a donation that we set and read.
const metadataDonation = "donation"

type sessionJSON struct {
	ID                string            `json:"id"`
	Created           int64             `json:"created"`
	URL               string            `json:"url"`
	Status            SessionStatus     `json:"status"`
	PaymentStatus     PaymentStatus     `json:"payment_status"`
	ClientReferenceID string            `json:"client_reference_id"`
	Metadata          map[string]string `json:"metadata"`
	PaymentIntent     reference         `json:"payment_intent"`
	AmountTotal       int64             `json:"amount_total"`
	Currency          string            `json:"currency"`
	Livemode          bool              `json:"livemode"`
	Subscription      reference         `json:"subscription"`
	Customer          reference         `json:"customer"`
	Invoice           reference         `json:"invoice"`
	// CurrencyConversion is set when Stripe shows the donor a price in another currency (Adaptive Pricing). Then
	// amount and currency of the session are the donor's, and these are ours.
	CurrencyConversion *struct {
		AmountTotal    int64  `json:"amount_total"`
		SourceCurrency string `json:"source_currency"`
	} `json:"currency_conversion"`
}

type sessionAnswer struct {
	stripego.APIResource
	sessionJSON
}

func (o *sessionJSON) session() Session {
	donation := parseDonation(o.Metadata)
	if donation == uuid.Nil {
		donation, _ = uuid.Parse(o.ClientReferenceID)
	}
	s := Session{
		ID:            o.ID,
		URL:           o.URL,
		Status:        o.Status,
		PaymentStatus: o.PaymentStatus,
		Donation:      donation,
		PaymentIntent: o.PaymentIntent.ID,
		IntentStatus:  o.PaymentIntent.Status,
		AmountMinor:   o.AmountTotal,
		Currency:      strings.ToUpper(o.Currency),
		Livemode:      o.Livemode,
		Subscription:  o.Subscription.ID,
		Customer:      o.Customer.ID,
		Invoice:       o.Invoice.ID,
		Created:       unixOrZero(o.Created),
	}
	if c := o.CurrencyConversion; c != nil {
		s.ShownMinor, s.ShownCurrency = s.AmountMinor, s.Currency
		s.AmountMinor, s.Currency = c.AmountTotal, strings.ToUpper(c.SourceCurrency)
	}
	return s
}

// parseDonation returns the donation that metadata names. Other products may use the same key, so a value that is not a
// UUID is not ours.
func parseDonation(metadata map[string]string) uuid.UUID {
	id, err := uuid.Parse(metadata[metadataDonation])
	if err != nil {
		return uuid.Nil
	}
	return id
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

package stripe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"

	"github.com/cagnotte/cagnotte/services/money"
)

// SubscriptionStatus is the status of a subscription.
type SubscriptionStatus string

// The statuses of a subscription, https://docs.stripe.com/api/subscriptions/object#subscription_object-status.
const (
	SubscriptionIncomplete        SubscriptionStatus = "incomplete"
	SubscriptionIncompleteExpired SubscriptionStatus = "incomplete_expired"
	SubscriptionTrialing          SubscriptionStatus = "trialing"
	SubscriptionActive            SubscriptionStatus = "active"
	SubscriptionPastDue           SubscriptionStatus = "past_due"
	SubscriptionUnpaid            SubscriptionStatus = "unpaid"
	SubscriptionPaused            SubscriptionStatus = "paused"
	SubscriptionCanceled          SubscriptionStatus = "canceled"
)

// PaymentFailed is the reason of a cancellation by Stripe, when a period could not be charged.
const PaymentFailed = "payment_failed"

// Subscription is a subscription. It has nothing of the payer but an id.
type Subscription struct {
	ID     string
	Status SubscriptionStatus
	// Recurring is the monthly donation in its metadata; Nil for another product's subscription.
	Recurring uuid.UUID
	Customer  string
	// Amount is the price of the next period; with several items, the first one's.
	Amount money.Amount
	// Item and Product are needed to change the amount.
	Item, Product string
	// Anchor is the time from which periods are counted; PeriodEnd is the end of the present one.
	Anchor, PeriodEnd time.Time
	CancelAtPeriodEnd bool
	// CancelAt is when it is to end; zero for never. Members can choose any day in Stripe's dashboard.
	CancelAt time.Time
	// Paused: members paused its collection. Invoices are not collected until ResumesAt; if that is zero, until members
	// end the pause. https://docs.stripe.com/billing/subscriptions/pause-payment
	Paused    bool
	ResumesAt time.Time
	// EndedAt is zero until it ended. EndReason is why it ended or will, in Stripe's words, such as PaymentFailed.
	EndedAt   time.Time
	EndReason string
	// Latest is the invoice of the latest period, with the state of its payment.
	Latest   Invoice
	Livemode bool
}

// EndsWithPeriod reports whether the present period is the last.
func (s Subscription) EndsWithPeriod() bool {
	return s.CancelAtPeriodEnd || !s.CancelAt.IsZero() && !s.CancelAt.After(s.PeriodEnd)
}

// Ends reports whether an end is planned, with this period or on another day.
func (s Subscription) Ends() bool { return s.CancelAtPeriodEnd || !s.CancelAt.IsZero() }

// NextDebit is when the next period is charged, as far as is known; zero when none will be. Periods that begin within a
// pause are not charged.
func (s Subscription) NextDebit() time.Time {
	next := s.PeriodEnd
	switch {
	case next.IsZero(), s.EndsWithPeriod(), s.Paused && s.ResumesAt.IsZero():
		return time.Time{}
	// Only these are charged. An unpaid subscription makes drafts that are not collected.
	case s.Status != SubscriptionActive && s.Status != SubscriptionTrialing && s.Status != SubscriptionPastDue:
		return time.Time{}
	}
	for s.Paused && next.Before(s.ResumesAt) {
		next = monthAfter(next, max(s.Anchor.Day(), s.PeriodEnd.Day()))
	}
	if !s.CancelAt.IsZero() && !s.CancelAt.After(next) {
		return time.Time{}
	}
	return next
}

// monthAfter is the day in the next month, or that month's last day when it is shorter,
// https://docs.stripe.com/billing/subscriptions/billing-cycle.
func monthAfter(t time.Time, day int) time.Time {
	first := time.Date(t.Year(), t.Month()+1, 1, t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(day, last)-1)
}

// subscribe turns the parameters of a single donation's session into those of a monthly donation's, without what Stripe
// accepts in payment mode only. In API version 2023-10-16 that includes submit_type, so the button says "subscribe" and the
// note above it says what it does; and payment_intent_data, so bank statements bear the account's own descriptor. The
// subscription's metadata reaches its invoices; nothing reaches their charges.
func subscribe(params *stripego.CheckoutSessionParams, p SessionParams) {
	params.Mode = stripego.String("subscription")
	params.SubmitType, params.CustomerCreation, params.PaymentIntentData = nil, nil, nil
	params.SubscriptionData = &stripego.CheckoutSessionSubscriptionDataParams{
		Metadata: map[string]string{metadataRecurring: p.Donation.String()},
	}
	params.LineItems[0].PriceData.Recurring = &stripego.CheckoutSessionLineItemPriceDataRecurringParams{
		Interval: stripego.String("month"),
	}
}

// latestPayment is expanded in each answer, because the payment tells the state of the latest month.
const latestPayment = "latest_invoice.payment_intent"

// GetSubscription reads a subscription with its latest invoice and the state of its payment.
func (c *Client) GetSubscription(ctx context.Context, account, id string) (Subscription, error) {
	var answer subscriptionAnswer
	err := c.get(ctx, account, "/v1/subscriptions/"+url.PathEscape(id), query("expand[0]", latestPayment), &answer)
	return answer.subscription(), err
}

// SubscriptionChange is a change of a subscription.
type SubscriptionChange struct {
	// Account is the connected account; empty for the platform's own.
	Account string
	// Now is the subscription as it was read.
	Now Subscription
	// Number is part of the idempotency key. Count it up for each change, and to leave an answer behind that Stripe
	// repeats.
	Number int
	// Amount is the price of each period from the next one on; zero leaves it unchanged.
	Amount money.Amount
	// CancelAtPeriodEnd ends it with the present period.
	CancelAtPeriodEnd bool
}

// ChangeSubscription changes a running subscription, or returns what the same change with the same number returned
// before. Paid periods are not prorated. A subscription that has ended is Refused.
func (c *Client) ChangeSubscription(ctx context.Context, ch SubscriptionChange) (Subscription, error) {
	params := &stripego.SubscriptionParams{ProrationBehavior: stripego.String("none")}
	params.AddExpand(latestPayment)
	if ch.CancelAtPeriodEnd {
		params.CancelAtPeriodEnd = stripego.Bool(true)
	}
	if ch.Amount.Minor > 0 {
		params.Items = []*stripego.SubscriptionItemsParams{{
			ID:       &ch.Now.Item,
			Quantity: stripego.Int64(1), // members may have changed it; the amount is for the whole
			PriceData: &stripego.SubscriptionItemPriceDataParams{
				Currency:   stripego.String(strings.ToLower(string(ch.Amount.Currency))),
				Product:    &ch.Now.Product,
				Recurring:  &stripego.SubscriptionItemPriceDataRecurringParams{Interval: stripego.String("month")},
				UnitAmount: stripego.Int64(ch.Amount.Minor),
			},
		}}
	}
	body := &form.Values{}
	form.AppendTo(body, params)
	hash := sha256.Sum256([]byte(ch.Account + "\n" + body.Encode()))
	var answer subscriptionAnswer
	err := c.call(ctx, request{
		method: http.MethodPost, path: "/v1/subscriptions/" + url.PathEscape(ch.Now.ID), account: ch.Account, body: body,
		idempotencyKey: fmt.Sprintf("recurring-%s-%d-%s", ch.Now.Recurring, ch.Number, hex.EncodeToString(hash[:12])),
	}, &answer)
	return answer.subscription(), err
}

// PauseSubscription has the invoices of a subscription voided instead of collected, until [Client.ResumeSubscription]. An
// invoice that was made before is collected all the same (https://docs.stripe.com/billing/subscriptions/pause-payment). It
// replaces a pause that members set. A subscription that has ended is Refused. Repeating the call is safe.
func (c *Client) PauseSubscription(ctx context.Context, account, id string) (Subscription, error) {
	return c.setPause(ctx, account, id, query("pause_collection[behavior]", "void", "expand[0]", latestPayment))
}

// ResumeSubscription ends a pause: the next period's invoice is collected. Those that were voided stay so. Repeating the
// call is safe.
func (c *Client) ResumeSubscription(ctx context.Context, account, id string) (Subscription, error) {
	return c.setPause(ctx, account, id, query("pause_collection", "", "expand[0]", latestPayment))
}

func (c *Client) setPause(ctx context.Context, account, id string, body *form.Values) (Subscription, error) {
	var answer subscriptionAnswer
	err := c.call(ctx, request{
		method: http.MethodPost, path: "/v1/subscriptions/" + url.PathEscape(id), account: account, body: body,
	}, &answer)
	return answer.subscription(), err
}

// CancelSubscription ends a subscription now. It is Missing when it has ended already, so repeating the call is safe.
func (c *Client) CancelSubscription(ctx context.Context, account, id string) (Subscription, error) {
	var answer subscriptionAnswer
	err := c.call(ctx, request{
		method: http.MethodDelete, path: "/v1/subscriptions/" + url.PathEscape(id), account: account, body: query("expand[0]", latestPayment),
	}, &answer)
	return answer.subscription(), err
}

// metadataRecurring is the only metadata key of a subscription that we set and read. It differs from a single
// donation's, so that an invoice cannot be taken for one.
const metadataRecurring = "recurring_donation"

func parseRecurring(metadata map[string]string) uuid.UUID {
	id, err := uuid.Parse(metadata[metadataRecurring])
	if err != nil {
		return uuid.Nil
	}
	return id
}

type subscriptionAnswer struct {
	stripego.APIResource
	subscriptionJSON
}

type subscriptionJSON struct {
	ID                string             `json:"id"`
	Created           int64              `json:"created"`
	Status            SubscriptionStatus `json:"status"`
	Metadata          map[string]string  `json:"metadata"`
	Customer          reference          `json:"customer"`
	CancelAtPeriodEnd bool               `json:"cancel_at_period_end"`
	CancelAt          int64              `json:"cancel_at"`
	Anchor            int64              `json:"billing_cycle_anchor"`
	CurrentPeriodEnd  int64              `json:"current_period_end"`
	EndedAt           int64              `json:"ended_at"`
	LatestInvoice     invoiceJSON        `json:"latest_invoice"`
	PauseCollection   *struct {
		ResumesAt int64 `json:"resumes_at"`
	} `json:"pause_collection"`
	CancellationDetails *struct {
		Reason string `json:"reason"`
	} `json:"cancellation_details"`
	Items struct {
		Data []struct {
			ID       string `json:"id"`
			Quantity int64  `json:"quantity"`
			Price    struct {
				Product    reference `json:"product"`
				UnitAmount int64     `json:"unit_amount"`
				Currency   string    `json:"currency"`
			} `json:"price"`
		} `json:"data"`
	} `json:"items"`
	Livemode bool `json:"livemode"`
}

func (o *subscriptionJSON) subscription() Subscription {
	sub := Subscription{
		ID: o.ID, Status: o.Status, Recurring: parseRecurring(o.Metadata), Customer: o.Customer.ID,
		CancelAtPeriodEnd: o.CancelAtPeriodEnd, Livemode: o.Livemode, Latest: o.LatestInvoice.invoice(),
	}
	sub.Anchor, sub.PeriodEnd = unixOrZero(o.Anchor), unixOrZero(o.CurrentPeriodEnd)
	sub.CancelAt, sub.EndedAt = unixOrZero(o.CancelAt), unixOrZero(o.EndedAt)
	if o.PauseCollection != nil {
		sub.Paused, sub.ResumesAt = true, unixOrZero(o.PauseCollection.ResumesAt)
	}
	if o.CancellationDetails != nil {
		sub.EndReason = o.CancellationDetails.Reason
	}
	if len(o.Items.Data) > 0 {
		item := o.Items.Data[0]
		sub.Item, sub.Product = item.ID, item.Price.Product.ID
		sub.Amount = money.Amount{Minor: item.Price.UnitAmount * item.Quantity, Currency: money.Currency(strings.ToUpper(item.Price.Currency))}
	}
	return sub
}

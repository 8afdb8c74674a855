package donations

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/money"
)

// Recurring is a monthly donation: a subscription at Stripe. Each of its paid invoices is a [Donation].
type Recurring struct {
	// ID is that of its first donation too.
	ID       uuid.UUID
	Campaign campaigns.Name
	// Amount is what the next month brings.
	Amount        money.Amount
	Locale        string
	StripeAccount string
	Livemode      bool
	State         RecurringState
	// Subscription and Customer are empty until somebody paid.
	Subscription, Customer string
	// CancelAtPeriodEnd: it ends at PeriodEnd, which is zero until somebody paid, or before.
	CancelAtPeriodEnd bool
	PeriodEnd         time.Time
	// CancelTime is when it is to end, by Stripe's word; zero for not. Members can choose a day in Stripe's dashboard.
	CancelTime time.Time
	// Paused: members paused it in Stripe's dashboard, until ResumeTime, or for as long as they want when that is zero.
	Paused     bool
	ResumeTime time.Time
	// NextDebit is when the next month is taken; zero when none is, or not known yet.
	NextDebit time.Time
	// DebitPending: a debit of the latest month is at the bank.
	DebitPending bool
	// EndTime is zero until it ended; EndReason says why it did, or will.
	EndTime    time.Time
	EndReason  EndReason
	CreateTime time.Time
	UpdateTime time.Time

	// wantedMinor and wantedEnd are what Stripe is still to be told: zero when nothing.
	wantedMinor  int64
	wantedEnd    wantedEnd
	wish         int
	wishFailures int
	// version is another after each change.
	version string
}

// Name returns the resource name, `…/recurringDonations/{recurring_donation}`.
func (r Recurring) Name() string { return recurringName(r.Campaign, r.ID) }

func recurringName(c campaigns.Name, id uuid.UUID) string {
	return c.String() + recurringPart + id.String()
}

const recurringPart = "/recurringDonations/"

// parseRecurringName reads a resource name. One of another form names nothing: NOT_FOUND.
func parseRecurringName(name string) (campaigns.Name, uuid.UUID, error) {
	parent, last, ok := strings.Cut(name, recurringPart)
	if !ok {
		return campaigns.Name{}, uuid.Nil, errs.NotFound(name)
	}
	campaign, err := campaigns.ParseName(parent)
	if err != nil {
		return campaigns.Name{}, uuid.Nil, err
	}
	id, err := uuid.Parse(last)
	if err != nil {
		return campaigns.Name{}, uuid.Nil, errs.NotFound(name)
	}
	return campaign, id, nil
}

// Pending reports whether something is wanted that Stripe has not been told of yet.
func (r Recurring) Pending() bool { return r.wantedMinor != 0 || r.wantedEnd != "" }

// running reports whether it goes on, or tries to.
func (r Recurring) running() bool {
	return r.State == RecurringActive || r.State == RecurringPastDue
}

// RecurringState is how a monthly donation stands.
type RecurringState string

// The states of a monthly donation.
const (
	RecurringCreated  RecurringState = "created"
	RecurringActive   RecurringState = "active"
	RecurringPastDue  RecurringState = "past_due"
	RecurringCanceled RecurringState = "canceled"
	RecurringExpired  RecurringState = "expired"
)

// next returns the states that a monthly donation can go to from s. The trigger donations.check_recurring_change has
// the same table.
func (s RecurringState) next() []RecurringState {
	switch s {
	case RecurringCreated:
		return []RecurringState{RecurringActive, RecurringPastDue, RecurringCanceled, RecurringExpired}
	case RecurringExpired:
		return []RecurringState{RecurringActive, RecurringPastDue, RecurringCanceled}
	case RecurringActive:
		return []RecurringState{RecurringPastDue, RecurringCanceled}
	case RecurringPastDue:
		return []RecurringState{RecurringActive, RecurringCanceled}
	}
	return nil
}

// CanBecome reports whether a monthly donation can go from s to next in one step. Staying is no step.
func (s RecurringState) CanBecome(next RecurringState) bool { return slices.Contains(s.next(), next) }

// recurringState is what a subscription's status means; "" for one that says nothing yet. Unpaid and paused ones
// bring no money and have not ended.
func recurringState(status stripe.SubscriptionStatus) RecurringState {
	switch status {
	case stripe.SubscriptionActive, stripe.SubscriptionTrialing:
		return RecurringActive
	case stripe.SubscriptionPastDue, stripe.SubscriptionUnpaid, stripe.SubscriptionPaused:
		return RecurringPastDue
	case stripe.SubscriptionCanceled:
		return RecurringCanceled
	}
	return ""
}

// EndReason is why a monthly donation ended, or will; "" while it goes on.
type EndReason string

// The reasons of an end.
const (
	EndedByDonor      EndReason = "donor"
	EndedByCollective EndReason = "collective"
	EndedByCampaign   EndReason = "campaign_closed"
	EndedByFailure    EndReason = "payment_failed"
	EndedAtStripe     EndReason = "at_stripe"
)

// wantedEnd is when a monthly donation is to end; "" for not.
type wantedEnd string

const (
	endNow       wantedEnd = "now"
	endWithMonth wantedEnd = "period_end"
)

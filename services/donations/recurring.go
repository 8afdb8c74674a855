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

// Recurring is a monthly donation: a subscription at Stripe, with the id of its first donation. Each paid invoice is one
// [Donation]: the first invoice pays the donation that the donor started, and each other one gets a row, unique by Stripe
// account and invoice ([Service.ApplyInvoice]).
//
//	state     meaning                                         next states
//	created   the first month is not paid                     active, past_due, canceled, expired
//	expired   its payment page closed unpaid                  active, past_due, canceled (paid after all)
//	active    the latest month is paid, or its debit is       past_due, canceled
//	          at the bank
//	past_due  the latest month could not be collected;        active, canceled
//	          Stripe tries again for some days
//	canceled  it has ended                                    none
//
// Changes. Another amount and an end are stored as a pending change, then applied at Stripe, and applied again by upkeep
// until Stripe has them ([Service.ChangeRecurring], [Service.EndRecurring], recurringchange.go). An end supersedes a later
// end, never an earlier one. While the Stripe account is disconnected a change stays pending, and Stripe is asked nothing.
//
// Ends. A closed campaign, and one past its deadline, ends its monthly donations: with the paid month, or at once where the
// latest month is not paid ([Service.KeepRecurring]). A paused campaign does not. An end with the month that is asked for
// while the next invoice is a draft is an end at once, since Stripe would charge that draft. A month that was charged before
// its end was asked for stays a donation, as does a debit that is at the bank; if the bank refuses that debit, the
// subscription ends at once, because Stripe would collect it again. Members get one notice of each end, with its reason
// and without the donor (recurringnotice.go). What members set in Stripe's dashboard, an end on a day or a pause, is read
// with the subscription and shown.
//
// Readings. Stripe gives readings of a subscription no order. One is applied only to the version of the row that was there
// before the reading began; otherwise the subscription is read again. Upkeep reads those that are due: after the end of
// each period, and daily while one is past due.
//
// Debits. A SEPA debit takes days, and meanwhile its month has neither succeeded nor failed. A first month has failed when
// Stripe has given its invoice up, so that no donor pays twice. Money that arrived pays its month whatever became of the
// invoice. A month that was paid in the donor's own currency counts what it brought in the campaign's; the first one counts
// the amount that was agreed on.
//
// Donors have no account. A link is mailed to the address that Stripe has, which is read for the mail and not stored. Its
// token, stored as a hash, opens once, by a button, and then manages the donation for 30 minutes (recurringlink.go). The mail
// at the start has the address of the page where a link can be asked for (recurringstart.go).
//
// Locks: whoever locks a monthly donation and its first donation locks the first donation first.
type Recurring struct {
	// ID is that of its first donation too.
	ID       uuid.UUID
	Campaign campaigns.Name
	// Amount is the next month's, a pending change included.
	Amount        money.Amount
	Locale        string
	StripeAccount string
	Livemode      bool
	State         RecurringState
	// Subscription and Customer are Stripe's ids, empty until the first month is paid.
	Subscription, Customer string
	// CancelAtPeriodEnd: it ends at PeriodEnd or before. PeriodEnd is zero until the first month is paid.
	CancelAtPeriodEnd bool
	PeriodEnd         time.Time
	// CancelTime is when Stripe will end it; zero when it will not. Members can choose a day in Stripe's dashboard.
	CancelTime time.Time
	// Paused: members paused it in Stripe's dashboard, until ResumeTime, or without an end when that is zero.
	Paused     bool
	ResumeTime time.Time
	// NextDebit is when the next month is charged; zero when none will be, or when that is not known yet.
	NextDebit time.Time
	// DebitPending: a debit of the latest month is at the bank.
	DebitPending bool
	// EndTime is zero until it has ended. EndReason is why it has ended, or will.
	EndTime   time.Time
	EndReason EndReason
	// ForgetTime is when its donor asked to be forgotten after its end; zero for never.
	ForgetTime time.Time
	CreateTime time.Time
	UpdateTime time.Time

	// pendingMinor and pendingEnd are the pending change: the parts of it that Stripe does not have yet; zero for none.
	// changeNumber grows with each change, and changeFailures counts the attempts to apply it.
	pendingMinor   int64
	pendingEnd     pendingEnd
	changeNumber   int
	changeFailures int
	// version differs after each write of the row.
	version string
}

// Name returns the resource name, `…/recurringDonations/{recurring_donation}`.
func (r Recurring) Name() string { return recurringName(r.Campaign, r.ID) }

func recurringName(c campaigns.Name, id uuid.UUID) string {
	return c.String() + recurringPart + id.String()
}

const recurringPart = "/recurringDonations/"

// parseRecurringName reads a resource name. A name of another form is NOT_FOUND.
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

// Pending reports whether a change is stored that Stripe does not have yet.
func (r Recurring) Pending() bool { return r.pendingMinor != 0 || r.pendingEnd != "" }

// running reports whether Stripe charges its months, or tries to.
func (r Recurring) running() bool {
	return r.State == RecurringActive || r.State == RecurringPastDue
}

// RecurringState is a monthly donation's state; [Recurring] has the table.
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

// CanBecome reports whether a monthly donation can go from s to next in one step. From s to s is not a step.
func (s RecurringState) CanBecome(next RecurringState) bool { return slices.Contains(s.next(), next) }

// recurringState is the state for a subscription's status, and "" for a status that has none. Unpaid and paused
// subscriptions bring no money and have not ended: past_due.
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

// EndReason is why a monthly donation has ended, or will; "" while no end is known.
type EndReason string

// The reasons of an end.
const (
	EndedByDonor      EndReason = "donor"
	EndedByCollective EndReason = "collective"
	EndedByCampaign   EndReason = "campaign_closed"
	EndedByFailure    EndReason = "payment_failed"
	EndedAtStripe     EndReason = "at_stripe"
)

// pendingEnd is when a pending change ends the monthly donation; "" for no end.
type pendingEnd string

const (
	endNow       pendingEnd = "now"
	endWithMonth pendingEnd = "period_end"
)

package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

const (
	recurringActive   = recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_ACTIVE
	recurringPastDue  = recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_PAST_DUE
	recurringCanceled = recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_CANCELED
)

// months is a campaign with a monthly donation of 20 €.
type months struct {
	t                      *testing.T
	e                      *apptest.Env
	slug, campaign, owner  string
	first                  *donationsv1.Donation
	client                 recurringv1.RecurringServiceClient
	subscription, customer string
}

// startMonthly starts one and does not pay it.
func startMonthly(t *testing.T, e *apptest.Env, slug string) *months {
	t.Helper()
	m := &months{t: t, e: e, slug: slug, client: recurringv1.NewRecurringServiceClient(e.Conn)}
	m.campaign, m.owner = e.Campaign(slug)
	req := donationTo(m.campaign)
	req.Recurrence = donationsv1.Recurrence_RECURRENCE_MONTHLY
	m.first = give(t, e.Conn, req)
	return m
}

// payMonthly starts one and pays its first month.
func payMonthly(t *testing.T, e *apptest.Env, slug string) *months {
	t.Helper()
	m := startMonthly(t, e, slug)
	m.pay()
	return m
}

func (m *months) pay() {
	m.t.Helper()
	pay(m.t, m.e, m.first)
	id := m.name()[strings.LastIndex(m.name(), "/")+1:]
	for _, sub := range m.e.Sim.Subscriptions("") {
		if sub.Metadata["recurring_donation"] == id {
			m.subscription, m.customer = sub.ID, sub.CustomerID
		}
	}
	if m.subscription == "" {
		m.t.Fatalf("Stripe has no subscription of %s", m.name())
	}
}

func (m *months) name() string { return m.first.GetRecurringDonation() }

func (m *months) get() *recurringv1.RecurringDonation {
	m.t.Helper()
	r, err := recurringv1.NewRecurringServiceClient(m.e.Conn).GetRecurringDonation(apptest.WithKey(m.t.Context(), m.owner),
		&recurringv1.GetRecurringDonationRequest{Name: m.name()})
	if err != nil {
		m.t.Fatal(err)
	}
	return r
}

// donations are the campaign's, newest first.
func (m *months) donations() []*donationsv1.Donation {
	m.t.Helper()
	list, err := donationsv1.NewDonationsServiceClient(m.e.Conn).ListDonations(apptest.WithKey(m.t.Context(), m.owner),
		&donationsv1.ListDonationsRequest{Parent: m.campaign})
	if err != nil {
		m.t.Fatal(err)
	}
	return list.GetDonations()
}

// wantBooked waits until there are so many donations, all booked, that bring the amount together.
func (m *months) wantBooked(count int, minor int64) {
	m.t.Helper()
	m.e.Eventually(fmt.Sprintf("%d months of %d in all are booked", count, minor), func() bool {
		booked, sum := 0, int64(0)
		for _, d := range m.donations() {
			if d.GetBookTime() != nil && d.GetRecurringDonation() == m.name() {
				booked++
				sum += d.GetAmount().GetAmountMinor()
			}
		}
		settled, _ := progress(m.t, m.e.Conn, m.campaign)
		return booked == count && len(m.donations()) == count && sum == minor && settled == minor
	})
}

func (m *months) becomes(what string, is func(*recurringv1.RecurringDonation) bool) {
	m.t.Helper()
	m.e.Eventually(what, func() bool { return is(m.get()) })
}

func (m *months) atStripe() stripesim.Subscription {
	m.t.Helper()
	for _, sub := range m.e.Sim.Subscriptions("") {
		if sub.ID == m.subscription {
			return sub
		}
	}
	m.t.Fatalf("Stripe has no subscription %s", m.subscription)
	return stripesim.Subscription{}
}

// nextMonth passes the period's end and the hour in which its invoice is a draft.
func (m *months) nextMonth() {
	m.t.Helper()
	m.e.Clock.Set(m.atStripe().PeriodEnd.Add(90 * time.Minute))
}

func TestAMonthlyDonationGoesOn(t *testing.T) {
	e := apptest.Start(t, apptest.Config{FeeDelay: time.Second})
	m := payMonthly(t, e, "vallon")
	e.Sim.SettleFees()
	m.wantBooked(1, 20_00)
	m.becomes("it goes on", func(r *recurringv1.RecurringDonation) bool {
		return r.GetState() == recurringActive && r.GetPeriodEndTime().AsTime().Equal(m.atStripe().PeriodEnd)
	})
	if got := m.donations()[0].GetName(); got != m.first.GetName() {
		t.Errorf("the first month is %s, want the donation that was started, %s", got, m.first.GetName())
	}
	for month := int64(2); month <= 4; month++ {
		m.nextMonth()
		e.Sim.SettleFees()
		m.wantBooked(int(month), month*20_00)
	}
	if state := outcome(t, e.Conn, m.donations()[0]); state != donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED {
		t.Errorf("a later month is %v", state)
	}
	wantBooksOfStripe(t, e, "vallon")

	list, err := m.client.ListRecurringDonations(apptest.WithKey(t.Context(), m.owner), &recurringv1.ListRecurringDonationsRequest{Parent: m.campaign})
	if err != nil || len(list.GetRecurringDonations()) != 1 || list.GetRecurringDonations()[0].GetName() != m.name() {
		t.Errorf("the list is %v, %v", list, err)
	}
	t.Run("a refund finds its month", func(t *testing.T) {
		latest := m.donations()[0]
		treasurer := e.Key("collectives/vallon", accessv1.Role_ROLE_TREASURER)
		_, err := refundsv1.NewRefundsServiceClient(e.Conn).CreateRefund(apptest.WithKey(t.Context(), treasurer), &refundsv1.CreateRefundRequest{
			Parent: latest.GetName(), RequestId: uuid.NewString(),
			Refund: &refundsv1.Refund{Reason: refundsv1.RefundReason_REFUND_REASON_REQUESTED_BY_DONOR},
		})
		if err != nil {
			t.Fatal(err)
		}
		e.Eventually("the month is given back", func() bool {
			settled, _ := progress(t, e.Conn, m.campaign)
			return m.donations()[0].GetState() == donationsv1.DonationState_DONATION_STATE_REFUNDED && settled == 60_00
		})
	})
}

// Named after a bug that others shipped: the first invoice was lost because it came before the session. What Stripe says
// of a first month is delivered in every order, each word twice.
func TestTheFirstInvoiceIsNotLostWhenItComesBeforeTheSession(t *testing.T) {
	e := apptest.Start(t, apptest.Config{FeeDelay: 24 * time.Hour})
	const session, invoice, balance = "checkout.session.completed", "invoice.paid", "charge.updated"
	var slugs []string
	for i, order := range [][]string{
		{session, invoice, balance},
		{session, balance, invoice},
		{invoice, session, balance},
		{invoice, balance, session},
		{balance, session, invoice},
		{balance, invoice, session},
		{session},
		{invoice},
		{balance},
	} {
		t.Run(strings.Join(order, " then "), func(t *testing.T) {
			e.Sim.SetDelivery(stripesim.Delivery{Drop: true})
			m := payMonthly(t, e, fmt.Sprintf("vallon-%d", i))
			slugs = append(slugs, m.slug)
			e.Sim.SettleFees()
			e.Sim.SetDelivery(stripesim.Delivery{})
			of := map[string]string{}
			for _, event := range e.Sim.Events("") {
				of[event.Type] = event.ID // of this donation, the latest
			}
			for _, kind := range order {
				for range 2 {
					if err := e.Sim.Redeliver(of[kind]); err != nil {
						t.Fatal(err)
					}
					if err := e.Sim.WaitDelivered(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			m.wantBooked(1, 20_00)
			if got := m.donations()[0].GetName(); got != m.first.GetName() {
				t.Errorf("the month is %s, want the donation that was started, %s", got, m.first.GetName())
			}
		})
	}
	wantBooksOfStripe(t, e, slugs...)
}

// TestRenewalsAreNotMissed loses every event of four months: others' services never learned of a renewal.
func TestRenewalsAreNotMissed(t *testing.T) {
	e := apptest.Start(t, apptest.Config{SyncEvery: 300 * time.Millisecond})
	e.Sim.SetDelivery(stripesim.Delivery{Drop: true})
	m := payMonthly(t, e, "vallon")
	for range 3 {
		m.nextMonth()
	}
	m.wantBooked(4, 80_00)
	wantBooksOfStripe(t, e, "vallon")
	t.Run("and how it stands is asked for", func(t *testing.T) {
		if err := e.Sim.CancelInPortal(m.subscription); err != nil {
			t.Fatal(err)
		}
		e.Clock.Set(m.atStripe().PeriodEnd.Add(12 * time.Hour))
		e.StopApp()
		e.StartApp()
		m.becomes("it ended", func(r *recurringv1.RecurringDonation) bool {
			return r.GetState() == recurringCanceled &&
				r.GetEndReason() == recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_AT_STRIPE
		})
		m.wantBooked(4, 80_00)
	})
}

func TestAMonthThatCannotBePaid(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	setCard := func(m *months, card stripesim.Card) {
		t.Helper()
		if err := e.Sim.SetCard(m.subscription, card); err != nil {
			t.Fatal(err)
		}
	}
	isPastDue := func(r *recurringv1.RecurringDonation) bool { return r.GetState() == recurringPastDue }

	t.Run("is paid when the card is changed", func(t *testing.T) {
		m := payMonthly(t, e, "changed")
		m.wantBooked(1, 20_00)
		setCard(m, stripesim.CardDeclined)
		m.nextMonth()
		m.becomes("the month is due", isPastDue)
		m.wantBooked(1, 20_00)
		setCard(m, stripesim.CardOK)
		e.Clock.Advance(4 * 24 * time.Hour)
		m.wantBooked(2, 40_00)
		m.becomes("it goes on", func(r *recurringv1.RecurringDonation) bool { return r.GetState() == recurringActive })
	})
	t.Run("ends it at last", func(t *testing.T) {
		m := payMonthly(t, e, "ends")
		m.wantBooked(1, 20_00)
		setCard(m, stripesim.CardInsufficientFunds)
		m.nextMonth()
		m.becomes("the month is due", isPastDue)
		told, err := noticesv1.NewNoticesServiceClient(e.Conn).ListNotices(apptest.WithKey(t.Context(), m.owner),
			&noticesv1.ListNoticesRequest{Parent: "collectives/ends"})
		notices := besidesKeys(told)
		if err != nil || len(notices) != 1 || notices[0].GetKind() != "recurring_failing" ||
			notices[0].GetSubject() != m.name() {
			t.Errorf("members are told %v, %v", told, err)
		}
		e.Clock.Advance(20 * 24 * time.Hour)
		m.becomes("it ended", func(r *recurringv1.RecurringDonation) bool {
			return r.GetState() == recurringCanceled && r.GetEndTime() != nil &&
				r.GetEndReason() == recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_PAYMENT_FAILED
		})
		m.wantBooked(1, 20_00)
	})
}

func TestMembersEndAMonthlyDonation(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		client := recurringv1.NewRecurringServiceClient(conn)
		slug := "vallon-" + strings.ToLower(t.Name()[strings.LastIndex(t.Name(), "/")+1:])
		m := startMonthly(t, e, slug)
		cancel := func(key string, atPeriodEnd bool) (*recurringv1.RecurringDonation, error) {
			return client.CancelRecurringDonation(apptest.WithKey(t.Context(), key),
				&recurringv1.CancelRecurringDonationRequest{Name: m.name(), AtPeriodEnd: atPeriodEnd})
		}
		_, err := cancel(m.owner, false)
		wantError(t, err, codes.FailedPrecondition, "RECURRING_NOT_STARTED", "")
		m.pay()
		m.wantBooked(1, 20_00)
		_, err = cancel(e.Key("collectives/"+slug, accessv1.Role_ROLE_AUDITOR), false)
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")

		for range 2 {
			r, err := cancel(m.owner, true)
			if err != nil || r.GetState() != recurringActive || !r.GetCancelAtPeriodEnd() || r.GetChangePending() ||
				r.GetEndReason() != recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_COLLECTIVE {
				t.Fatalf("to end with the month: %v, %v", r, err)
			}
		}
		e.Sim.AddFault(stripesim.Fault{Method: "DELETE", PathPrefix: "/v1/subscriptions/", Times: 1, Status: 500})
		treasurer := e.Key("collectives/"+slug, accessv1.Role_ROLE_TREASURER)
		r, err := cancel(treasurer, false)
		if err != nil || r.GetState() != recurringActive || !r.GetChangePending() {
			t.Fatalf("while Stripe fails: %v, %v; want it pending", r, err)
		}
		// The pause after the failure is over, and the timer of upkeep begins with the program.
		e.Clock.Advance(time.Minute)
		e.StopApp()
		e.StartApp()
		m.becomes("the end is not lost", func(r *recurringv1.RecurringDonation) bool {
			return r.GetState() == recurringCanceled && !r.GetChangePending()
		})
		if got := m.atStripe().Status; got != "canceled" {
			t.Errorf("at Stripe it is %s", got)
		}
	})
}

func TestMonthlyDonationsEndWithTheirCampaign(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	m := payMonthly(t, e, "vallon")
	m.wantBooked(1, 20_00)
	other := payMonthly(t, e, "other")
	other.wantBooked(1, 20_00)
	_, err := campaignsv1.NewCampaignsServiceClient(e.Conn).CloseCampaign(apptest.WithKey(t.Context(), m.owner),
		&campaignsv1.CloseCampaignRequest{Name: m.campaign})
	if err != nil {
		t.Fatal(err)
	}
	e.StopApp()
	e.StartApp()
	m.becomes("it is to end", func(r *recurringv1.RecurringDonation) bool {
		return r.GetCancelAtPeriodEnd() && r.GetState() == recurringActive &&
			r.GetEndReason() == recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_CAMPAIGN_CLOSED
	})
	m.nextMonth()
	m.becomes("it ended", func(r *recurringv1.RecurringDonation) bool { return r.GetState() == recurringCanceled })
	other.wantBooked(2, 40_00)
	m.wantBooked(1, 20_00)
	wantBooksOfStripe(t, e, "vallon", "other")
}

// TestARefundLeadsToItsMonth gives a month back before its payment is in Stripe's balance, and loses every event:
// the refund names a payment without metadata, and its invoice leads to the donation.
func TestARefundLeadsToItsMonth(t *testing.T) {
	e := apptest.Start(t, apptest.Config{SyncEvery: 300 * time.Millisecond, FeeDelay: 24 * time.Hour})
	e.Sim.SetDelivery(stripesim.Delivery{Drop: true})
	m := payMonthly(t, e, "vallon")
	var charge string
	for _, event := range e.Sim.Events("") {
		if event.Type == "charge.succeeded" {
			charge = event.ObjectID
		}
	}
	if _, err := e.Sim.Refund(charge, 8_00); err != nil {
		t.Fatal(err)
	}
	e.Eventually("the refund finds the month", func() bool {
		return m.donations()[0].GetState() == donationsv1.DonationState_DONATION_STATE_PARTIALLY_REFUNDED
	})
	e.Sim.SettleFees()
	e.Eventually("both are booked", func() bool { settled, _ := progress(t, e.Conn, m.campaign); return settled == 12_00 })
}

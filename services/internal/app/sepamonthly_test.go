package app_test

import (
	"testing"
	"time"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// debitMonthly starts a monthly donation whose first month is at the bank, and known to be.
func debitMonthly(t *testing.T, e *apptest.Env, slug string, iban stripesim.IBAN) *months {
	t.Helper()
	if err := e.Sim.OfferDebits("", true); err != nil {
		t.Fatal(err)
	}
	m := startMonthly(t, e, slug)
	if err := e.Sim.PayByDebit(session(t, e, m.first).ID, iban); err != nil {
		t.Fatal(err)
	}
	subs := e.Sim.Subscriptions("")
	m.subscription, m.customer = subs[len(subs)-1].ID, subs[len(subs)-1].CustomerID
	m.firstBecomes(donationsv1.DonationOutcome_DONATION_OUTCOME_CONFIRMING)
	return m
}

// firstBecomes waits until the donor is told so of the first month.
func (m *months) firstBecomes(want donationsv1.DonationOutcome) {
	m.t.Helper()
	m.e.Eventually("the donor is told "+want.String(), func() bool {
		m.e.Clock.Advance(time.Second) // who waits has Stripe asked now and then
		return outcome(m.t, m.e.Conn, m.first) == want
	})
}

// failing counts the notices of a month that could not be collected.
func (m *months) failing() (count int) {
	m.t.Helper()
	told, err := noticesv1.NewNoticesServiceClient(m.e.Conn).ListNotices(apptest.WithKey(m.t.Context(), m.owner),
		&noticesv1.ListNoticesRequest{Parent: "collectives/" + m.slug})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, n := range told.GetNotices() {
		if n.GetKind() == "recurring_failing" {
			count++
		}
	}
	return count
}

func isActive(r *recurringv1.RecurringDonation) bool { return r.GetState() == recurringActive }

func TestMonthsByDebit(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	m := debitMonthly(t, e, "vallon", stripesim.IBANPaid)
	m.becomes("it goes on, and a debit is at the bank", func(r *recurringv1.RecurringDonation) bool {
		return isActive(r) && r.GetDebitPending()
	})
	if settled, pending := progress(t, e.Conn, m.campaign); settled != 0 || pending != 20_00 {
		t.Errorf("settled %d, pending %d; the debit is under way", settled, pending)
	}
	if books := balances(t, e.Conn, m.owner, "collectives/vallon"); len(books) != 0 {
		t.Errorf("the books hold %v of money that is not there", books)
	}
	e.Clock.Advance(aWeek)
	m.wantBooked(1, 20_00)
	m.firstBecomes(donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED)
	m.becomes("nothing is at the bank", func(r *recurringv1.RecurringDonation) bool { return !r.GetDebitPending() })

	m.nextMonth()
	m.becomes("the renewal is at the bank", (*recurringv1.RecurringDonation).GetDebitPending)
	m.wantBooked(1, 20_00)
	if r := m.get(); !isActive(r) || m.failing() != 0 {
		t.Errorf("while the renewal is at the bank it is %v, and told as failing %d times", r.GetState(), m.failing())
	}
	e.Clock.Advance(aWeek)
	m.wantBooked(2, 40_00)

	if err := e.Sim.SetIBAN(m.subscription, stripesim.IBANDisputed); err != nil {
		t.Fatal(err)
	}
	m.nextMonth()
	e.Clock.Advance(aWeek)
	m.wantBooked(3, 60_00)
	e.Clock.Advance(3 * aWeek)
	e.Eventually("the third month is taken back", func() bool {
		settled, _ := progress(t, e.Conn, m.campaign)
		return settled == 40_00 && m.donations()[0].GetState() == donationsv1.DonationState_DONATION_STATE_DISPUTED
	})
	wantBooksOfStripe(t, e, "vallon")
}

// The bank refuses the first debit: it has not failed, and nobody gives a second time, before Stripe gives it up.
func TestAFirstMonthsDebitThatTheBankRefuses(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	m := debitMonthly(t, e, "vallon", stripesim.IBANRefused)
	e.Clock.Advance(aWeek)
	m.becomes("the month is due", func(r *recurringv1.RecurringDonation) bool {
		return r.GetState() == recurringPastDue && !r.GetDebitPending()
	})
	if err := e.Sim.WaitDelivered(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := outcome(t, e.Conn, m.first); got != donationsv1.DonationOutcome_DONATION_OUTCOME_CONFIRMING {
		t.Errorf("while it is tried again the donor is told %v", got)
	}
	e.Clock.Advance(4 * 24 * time.Hour)
	if err := e.Sim.SettleInvoice(m.atStripe().LatestInvoiceID, true); err != nil {
		t.Fatal(err)
	}
	m.wantBooked(1, 20_00)
	m.becomes("it goes on", isActive)
	if n := m.failing(); n != 1 {
		t.Errorf("members are told %d times that it fails", n)
	}

	given := debitMonthly(t, e, "given-up", stripesim.IBANRefused)
	for range 20 {
		e.Clock.Advance(aWeek)
	}
	given.firstBecomes(donationsv1.DonationOutcome_DONATION_OUTCOME_NOT_PAID)
	given.becomes("it ended", func(r *recurringv1.RecurringDonation) bool { return r.GetState() == recurringCanceled })
	if settled, pending := progress(t, e.Conn, given.campaign); settled != 0 || pending != 0 {
		t.Errorf("settled %d, pending %d", settled, pending)
	}
}

// TestMonthsByDebitWithoutAnyEvent also holds the first month back, as Stripe's documentation has it.
func TestMonthsByDebitWithoutAnyEvent(t *testing.T) {
	e := apptest.Start(t, apptest.Config{SyncEvery: 300 * time.Millisecond})
	e.Sim.SetDelivery(stripesim.Delivery{Drop: true})
	if err := e.Sim.HoldFirstDebits("", true); err != nil {
		t.Fatal(err)
	}
	paid, refused := debitMonthly(t, e, "paid", stripesim.IBANPaid), debitMonthly(t, e, "refused", stripesim.IBANRefused)
	e.Clock.Advance(aWeek)
	paid.wantBooked(1, 20_00)
	refused.firstBecomes(donationsv1.DonationOutcome_DONATION_OUTCOME_NOT_PAID)
	paid.nextMonth()
	e.Clock.Advance(aWeek)
	paid.wantBooked(2, 40_00)
	wantBooksOfStripe(t, e, "paid", "refused")
}

// Members void an invoice while its debit is at the bank: the money comes, and is the donor's donation.
func TestMoneyOfAVoidedInvoiceIsADonation(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	m := debitMonthly(t, e, "vallon", stripesim.IBANPaid)
	e.Clock.Advance(aWeek)
	m.wantBooked(1, 20_00)
	m.nextMonth()
	if err := e.Sim.VoidInvoice(m.atStripe().LatestInvoiceID); err != nil {
		t.Fatal(err)
	}
	e.Clock.Advance(aWeek)
	m.wantBooked(2, 40_00)
	wantBooksOfStripe(t, e, "vallon")
}

func TestMonthsInTheDonorsOwnCurrency(t *testing.T) {
	e := apptest.Start(t, apptest.Config{FeeDelay: time.Second})
	m := startMonthly(t, e, "vallon")
	if err := e.Sim.Localize(session(t, e, m.first).ID, "gbp", 0.8); err != nil {
		t.Fatal(err)
	}
	m.pay()
	e.Sim.SettleFees()
	m.wantBooked(1, 20_00)
	m.nextMonth()
	e.Sim.SettleFees()
	m.wantBooked(2, 40_00)
	wantBooksOfStripe(t, e, "vallon")
	list, err := ledgerv1.NewLedgerServiceClient(e.Conn).ListTransactions(apptest.WithKey(t.Context(), m.owner),
		&ledgerv1.ListTransactionsRequest{Parent: "collectives/vallon/ledger"})
	if err != nil || len(list.GetTransactions()) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	for _, tx := range list.GetTransactions() {
		if tx.GetKind() != "donation" || tx.GetExchangeRate() != "1.25" || tx.GetOriginalAmount().GetCurrencyCode() != "GBP" || tx.GetOriginalAmount().GetAmountMinor() != 16_00 {
			t.Errorf("booked as %v", tx)
		}
	}
}

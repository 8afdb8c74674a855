package stripesim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/stripe/stripe-go/v76/client"
)

// debited is a simulator on a Monday with one subscription whose first month is debited from the account.
func debited(t *testing.T, iban stripesim.IBAN, hold bool) (sim *stripesim.Sim, api *client.API, clock *stripesim.Clock) {
	t.Helper()
	clock = stripesim.NewClockAt(time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC))
	clock.Freeze()
	sim, url := serve(t, stripesim.Config{Clock: clock})
	if err := sim.OfferDebits("", true); err != nil {
		t.Fatal(err)
	}
	if err := sim.HoldFirstDebits("", hold); err != nil {
		t.Fatal(err)
	}
	api = newClient(url, testKey, 0)
	if err := sim.PayByDebit(create(t, api, monthly(2000)).ID, iban); err != nil {
		t.Fatal(err)
	}
	return sim, api, clock
}

// stands is how subscription, latest invoice and session stand.
func stands(sim *stripesim.Sim) string {
	sub := sim.Subscriptions("")[0]
	invoice := ""
	for _, inv := range sim.Invoices("") {
		if inv.ID == sub.LatestInvoiceID {
			invoice = inv.Status
		}
	}
	return sub.Status + ", " + invoice + ", " + sim.Sessions("")[0].PaymentStatus
}

func wantStands(t *testing.T, sim *stripesim.Sim, want string) {
	t.Helper()
	if got := stands(sim); got != want {
		t.Errorf("it stands %q, want %q", got, want)
	}
}

const debitWeek = 7 * 24 * time.Hour

func TestAFirstMonthByDebit(t *testing.T) {
	for hold, meanwhile := range map[bool]string{false: "active, open, unpaid", true: "incomplete, open, unpaid"} {
		sim, _, clock := debited(t, stripesim.IBANPaid, hold)
		wantStands(t, sim, meanwhile)
		before := eventTypes(sim, "")
		if !strings.HasSuffix(before, "checkout.session.completed") || strings.Contains(before, "invoice.paid") {
			t.Errorf("events %s", before)
		}
		clock.Advance(2 * 24 * time.Hour) // longer than an incomplete one may wait for somebody to pay
		wantStands(t, sim, meanwhile)
		clock.Advance(debitWeek)
		wantStands(t, sim, "active, paid, paid")
		if got := eventTypes(sim, "")[len(before):]; !strings.Contains(got, "charge.succeeded payment_intent.succeeded") ||
			!strings.HasSuffix(got, "invoice.paid invoice.payment_succeeded checkout.session.async_payment_succeeded") {
			t.Errorf("events %s", got)
		}
		money := sim.BalanceTransactions("")
		if len(money) != 1 || money[0].Type != "payment" || !strings.HasPrefix(money[0].SourceID, "py_") {
			t.Errorf("the balance is %+v", money)
		}
	}
}

func TestAFirstMonthWhoseDebitFails(t *testing.T) {
	t.Run("is tried again, and then given up", func(t *testing.T) {
		sim, _, clock := debited(t, stripesim.IBANRefused, false)
		clock.Advance(debitWeek)
		wantStands(t, sim, "past_due, open, unpaid")
		clock.Advance(3 * 24 * time.Hour)
		if err := sim.SettleInvoice(sim.Invoices("")[0].ID, false); err != nil {
			t.Error(err)
		}
		if n := strings.Count(eventTypes(sim, ""), "async_payment_failed"); n != 1 {
			t.Errorf("the session says it %d times", n)
		}
		clock.Advance(10 * debitWeek)
		if got := sim.Subscriptions("")[0].Status; got != "canceled" || len(sim.BalanceTransactions("")) != 0 {
			t.Errorf("at last it is %s", got)
		}
	})
	t.Run("never began, where it was held", func(t *testing.T) {
		sim, _, clock := debited(t, stripesim.IBANRefused, true)
		clock.Advance(debitWeek)
		wantStands(t, sim, "incomplete_expired, void, unpaid")
	})
}

func TestRenewalsByDebit(t *testing.T) {
	sim, api, clock := debited(t, stripesim.IBANPaid, false)
	renewed := func() {
		clock.Set(sim.Subscriptions("")[0].PeriodEnd.Add(2 * time.Hour))
	}
	renewed()
	wantStands(t, sim, "active, open, paid") // processing: nothing is called failed
	clock.Advance(debitWeek)
	wantStands(t, sim, "active, paid, paid")
	sub := sim.Subscriptions("")[0]
	if err := sim.SetIBAN(sub.ID, stripesim.IBANDisputed); err != nil {
		t.Fatal(err)
	}
	renewed()
	clock.Advance(4 * debitWeek)
	if d := sim.Disputes(""); len(d) != 1 || d[0].AmountMinor != 2000 {
		t.Errorf("disputes %+v", d)
	}

	t.Run("that a member takes back arrive all the same, and pay nothing", func(t *testing.T) {
		renewed()
		id := sim.Subscriptions("")[0].LatestInvoiceID
		if err := sim.VoidInvoice(id); err != nil {
			t.Fatal(err)
		}
		if err := sim.SettleInvoice(id, true); err != nil {
			t.Fatal(err)
		}
		wantStands(t, sim, "active, void, paid")
		if sim.VoidInvoice(id) == nil || sim.SettleInvoice(id, true) == nil {
			t.Error("what is over was ended again")
		}
	})
	t.Run("are paid although they were given up", func(t *testing.T) {
		renewed()
		id := sim.Subscriptions("")[0].LatestInvoiceID
		if err := sim.GiveInvoiceUp(id); err != nil {
			t.Fatal(err)
		}
		wantStands(t, sim, "active, uncollectible, paid")
		clock.Advance(debitWeek)
		wantStands(t, sim, "active, paid, paid")
	})
	t.Run("that are at the bank arrive after the end", func(t *testing.T) {
		renewed()
		before := len(sim.BalanceTransactions(""))
		if _, err := api.Subscriptions.Cancel(sub.ID, nil); err != nil {
			t.Fatal(err)
		}
		clock.Advance(debitWeek)
		wantStands(t, sim, "canceled, paid, paid")
		if n := len(sim.BalanceTransactions("")); n != before+1 {
			t.Errorf("%d movements, before %d", n, before)
		}
	})
}

// TestMonthsInTheDonorsCurrency: the price stays the merchant's, whose amount lands.
func TestMonthsInTheDonorsCurrency(t *testing.T) {
	clock := stripesim.NewClock()
	sim, url := serve(t, stripesim.Config{Clock: clock})
	se := create(t, newClient(url, testKey, 0), monthly(2000))
	if err := sim.Localize(se.ID, "gbp", 0.86); err != nil {
		t.Fatal(err)
	}
	pay(t, sim, se.ID)
	clock.Set(sim.Subscriptions("")[0].PeriodEnd.Add(2 * time.Hour))
	if all := sim.Invoices(""); len(all) != 2 || all[1].AmountMinor != 1720 {
		t.Errorf("invoices %+v", all)
	}
	if money := sim.BalanceTransactions(""); len(money) != 2 || money[1].AmountMinor != 2000 || money[1].Currency != "eur" {
		t.Errorf("the balance is %+v", money)
	}
	if sub := sim.Subscriptions("")[0]; sub.AmountMinor != 2000 {
		t.Errorf("the price is %d", sub.AmountMinor)
	}
}

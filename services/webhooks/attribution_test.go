package webhooks

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/refunds"
)

// large is a donation of 10,000 €, whose page nobody pays.
func (e *env) large(name campaigns.Name) donations.Donation {
	e.t.Helper()
	if _, err := e.pool.Exec(e.t.Context(), "UPDATE campaigns.campaigns SET maximum_minor = 1000000"); err != nil {
		e.t.Fatal(err)
	}
	in := intent(name)
	in.Amount.Minor = 10_000_00
	d, err := e.donations.Create(e.t.Context(), in)
	if err != nil {
		e.t.Fatal(err)
	}
	return d
}

// refused are the notices of payments that are not what they say, by the balance transaction.
func (e *env) refused() map[string]money.Amount {
	e.t.Helper()
	rows, err := e.pool.Query(e.t.Context(), `
		SELECT n.key, n.amount_minor, n.currency FROM notices.notices AS n WHERE n.kind = 'payment_refused'`)
	if err != nil {
		e.t.Fatal(err)
	}
	defer rows.Close()
	told := map[string]money.Amount{}
	for rows.Next() {
		var key string
		var amount money.Amount
		if err := rows.Scan(&key, &amount.Minor, &amount.Currency); err != nil {
			e.t.Fatal(err)
		}
		told[key] = amount
	}
	return told
}

// Whoever may use an account writes on it what they like. Named after an attack: 0.50 € passed for a donation of 10,000 €.
func TestPaymentThatOnlyNamesADonationIsUnattributed(t *testing.T) {
	for name, c := range map[string]struct {
		campaign campaigns.Name
		account  string
		minor    int64
		// reference is client_reference_id, metadata is metadata[donation], of the session and its payment.
		reference, metadata bool
		drop                bool
	}{
		"0.50 € for one of 10,000 €, by metadata":                     {campaign: festival, account: connected, minor: 50, metadata: true},
		"the same, when every webhook is lost":                        {campaign: festival, account: connected, minor: 50, metadata: true, drop: true},
		"all of its amount, by metadata":                              {campaign: festival, account: connected, minor: 10_000_00, metadata: true},
		"all of its amount, when every webhook is lost":               {campaign: festival, account: connected, minor: 10_000_00, metadata: true, drop: true},
		"another product's payment on a shared account, by reference": {campaign: vallon, minor: 10_000_00, reference: true},
		"the same, by both":                                           {campaign: vallon, minor: 10_000_00, reference: true, metadata: true},
		"the same, by both, when every webhook is lost":               {campaign: vallon, minor: 10_000_00, reference: true, metadata: true, drop: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, stripesim.Config{})
			e.sim.SetDelivery(stripesim.Delivery{Drop: c.drop})
			d := e.large(c.campaign)
			foreign := foreignSessionOf(t, e, c.account, d.ID, c.minor, c.reference, c.metadata)
			if err := e.sim.Pay(foreign, stripesim.CardOK); err != nil {
				t.Fatal(err)
			}
			charge := e.sim.Sessions(c.account)[1].ChargeID
			step := func() {
				t.Helper()
				e.delivered()
				for range 2 {
					e.run(c.account)
				}
				e.want(d, donations.StateCreated, false)
				e.wantBooks(c.account)
				if settled, pending := e.progress(c.campaign); settled+pending != 0 {
					t.Errorf("settled %d, pending %d", settled, pending)
				}
			}
			step()
			if got := e.balances(c.account)[ledger.RoleUnknownReceipts]; got != -c.minor {
				t.Errorf("unknown receipts %d, want %d", got, -c.minor)
			}
			told := e.refused()
			paid := e.sim.BalanceTransactions(c.account)[0].ID
			if want := (money.Amount{Minor: c.minor, Currency: money.EUR}); c.metadata && (len(told) != 1 || told[paid] != want) || !c.metadata && len(told) != 0 {
				t.Errorf("members are told of %v", told)
			}

			t.Run("and goes back", func(t *testing.T) {
				if _, err := e.sim.Refund(charge, c.minor/2); err != nil {
					t.Fatal(err)
				}
				step()
				if _, err := e.sim.Refund(charge, c.minor-c.minor/2); err != nil {
					t.Fatal(err)
				}
				step()
				if n := one[int](e, "SELECT count(*) FROM refunds.refunds"); n != 0 {
					t.Errorf("the donation has %d refunds", n)
				}
				if len(e.refused()) != len(told) {
					t.Errorf("members are told of %v", e.refused())
				}
			})
			t.Run("and its own page is paid all the same, once", func(t *testing.T) {
				e.pay(d)
				e.delivered()
				for range 2 {
					e.run(c.account)
				}
				e.want(d, donations.StateSucceeded, true)
				if settled, pending := e.progress(c.campaign); settled != 10_000_00 || pending != 0 {
					t.Errorf("settled %d, pending %d", settled, pending)
				}
				e.wantBooks(c.account)
			})
		})
	}
}

// A dispute of a foreign payment is none of the donation's, either.
func TestADisputeOfAPaymentThatOnlyNamesADonation(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	d := e.give(vallon)
	e.pay(d)
	foreign := foreignSessionOf(t, e, "", d.ID, 20_00, true, true)
	if err := e.sim.Pay(foreign, stripesim.CardOK); err != nil {
		t.Fatal(err)
	}
	e.delivered()
	e.run("")
	e.want(d, donations.StateSucceeded, true)
	if _, err := e.sim.Dispute(e.sim.Sessions("")[1].ChargeID, stripesim.Disputed{}); err != nil {
		t.Fatal(err)
	}
	e.delivered()
	for range 2 {
		e.run("")
	}
	e.want(d, donations.StateSucceeded, true)
	if n := one[int](e, "SELECT count(*) FROM refunds.disputes"); n != 0 {
		t.Errorf("the donation has %d disputes", n)
	}
	if n := one[int](e, "SELECT count(*) FROM notices.notices WHERE kind = 'paid_twice'"); n != 0 {
		t.Error("members are told that the donation was paid twice")
	}
	if settled, _ := e.progress(vallon); settled != 20_00 {
		t.Errorf("settled %d", settled)
	}
	e.wantBooks("")
}

// A charge on a donation's own page that brings another amount than the page asked for is not the donation, nor is its refund.
func TestDonationPaidWithAnotherAmount(t *testing.T) {
	e, f := faked(t)
	d := e.give(vallon)
	now := e.clock.Now()
	less := charge(1, d, now)
	less.amount = 50
	f.rows = []fakeRow{less}
	e.run("")
	f.rows = append([]fakeRow{{
		id: "txn_back", kind: "refund", category: "refund", amount: -50, created: now.Add(time.Minute),
		source: `{"id":"re_1","object":"refund","charge":"ch_1","payment_intent":"pi_1"}`,
	}}, f.rows...)
	for range 2 {
		e.run("")
		if got := e.donation(d); !got.BookTime.IsZero() || got.FullyReturned() {
			t.Errorf("%+v", got)
		}
		sums := e.balances("")
		if sums[ledger.RoleUnknownReceipts] != 0 || sums[ledger.RoleDonations] != 0 || sums[ledger.RoleRefunds] != 0 {
			t.Errorf("%v", sums)
		}
		if told := e.refused(); len(told) != 1 || told["txn_1"].Minor != 50 {
			t.Errorf("members are told of %v", told)
		}
	}
}

// With every webhook lost, the payment of a page that was opened again is found.
func TestReopenedPageIsFoundWithoutWebhooks(t *testing.T) {
	for _, times := range []int{1, 3} {
		t.Run(fmt.Sprint(times), func(t *testing.T) {
			e := newEnv(t, stripesim.Config{})
			e.sim.SetDelivery(stripesim.Delivery{Drop: true})
			e.run("")
			d := e.give(vallon)
			for range times {
				if err := e.sim.Expire(d.CheckoutSession); err != nil {
					t.Fatal(err)
				}
				if err := e.donations.Refresh(t.Context(), d.ID); err != nil {
					t.Fatal(err)
				}
				d = e.reopen(d)
			}
			if err := e.sim.Pay(d.CheckoutSession, stripesim.CardOK); err != nil {
				t.Fatal(err)
			}
			// Its events are not in Stripe's list any more.
			e.later(40 * 24 * time.Hour)
			for range 2 {
				e.run("")
			}
			e.want(d, donations.StateSucceeded, true)
			e.wantBooks("")
			if told := e.refused(); len(told) != 0 {
				t.Errorf("members are told of %v", told)
			}
		})
	}
}

// reopen opens the page of an expired donation again.
func (e *env) reopen(d donations.Donation) donations.Donation {
	e.t.Helper()
	d, err := e.donations.Reopen(e.t.Context(), d.Campaign, d.ID, donations.Visit{})
	if err != nil {
		e.t.Fatal(err)
	}
	return d
}

// Cards that are refused on another product's pages close no donation's.
func TestDeclineOfAForeignPaymentThatNamesADonation(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	d := e.give(vallon)
	foreign := foreignSessionOf(t, e, "", d.ID, 20_00, true, true)
	for range 10 {
		_ = e.sim.Pay(foreign, stripesim.CardDeclined)
	}
	e.delivered()
	e.run("")
	if n := one[int](e, "SELECT declines FROM donations.donations WHERE id = $1", d.ID); n != 0 {
		t.Errorf("%d declines are counted", n)
	}
	for range 3 {
		_ = e.sim.Pay(d.CheckoutSession, stripesim.CardDeclined)
	}
	e.delivered()
	e.run("")
	if n := one[int](e, "SELECT declines FROM donations.donations WHERE id = $1", d.ID); n != 3 {
		t.Errorf("%d declines are counted, want 3", n)
	}
}

// A subscription of another product's, or forged, pays no months.
func TestASubscriptionThatOnlyNamesAMonthlyDonation(t *testing.T) {
	for _, drop := range []bool{false, true} {
		t.Run(map[bool]string{false: "with webhooks", true: "without"}[drop], func(t *testing.T) {
			e := newEnv(t, stripesim.Config{})
			e.sim.SetDelivery(stripesim.Delivery{Drop: drop})
			in := intent(festival)
			in.Monthly = true
			d, err := e.donations.Create(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			form := foreignForm(uuid.Nil, 50, false, false)
			form.Set("mode", "subscription")
			form.Set("line_items[0][price_data][recurring][interval]", "month")
			form.Set("subscription_data[metadata][recurring_donation]", d.ID.String())
			forged := postSession(t, e, connected, form)
			if err := e.sim.Pay(forged, stripesim.CardOK); err != nil {
				t.Fatal(err)
			}
			e.delivered()
			e.run(connected)
			e.want(d, donations.StateCreated, false)
			e.pay(d)
			e.delivered()
			e.later(time.Hour)
			for range 2 {
				e.run(connected)
			}
			e.want(d, donations.StateSucceeded, true)
			if n := one[int](e, "SELECT count(*) FROM donations.donations"); n != 1 {
				t.Errorf("%d donations", n)
			}
			e.wantBooks(connected)
			if got := e.balances(connected)[ledger.RoleUnknownReceipts]; got != -50 {
				t.Errorf("unknown receipts %d", got)
			}
			if told := e.refused(); len(told) != 1 {
				t.Errorf("members are told of %v", told)
			}
		})
	}
}

// A donation that is paid once more in another currency: what was paid is told and shown, and goes back.
func TestADonationThatIsPaidTwiceInAnotherCurrency(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	d := e.give(vallon)
	// Once Stripe does not find the session, so another page is opened while the first one still is.
	e.sim.AddFault(stripesim.Fault{Method: http.MethodGet, PathPrefix: "/v1/checkout/sessions/", Times: 1, Status: http.StatusNotFound, Code: "resource_missing"})
	if err := e.donations.Refresh(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	pages := [2]string{d.CheckoutSession, e.reopen(d).CheckoutSession}
	if err := e.sim.Localize(pages[1], "usd", 1.1); err != nil {
		t.Fatal(err)
	}
	for i, page := range pages {
		if err := e.sim.Pay(page, stripesim.CardOK); err != nil {
			t.Fatal(err)
		}
		e.delivered()
		e.run("")
		e.want(d, donations.StateSucceeded, true)
		if told := one[string](e, "SELECT coalesce(string_agg(amount_minor || ' ' || currency, ','), '') FROM notices.notices WHERE kind = 'paid_twice'"); told != []string{"", "2200 USD"}[i] {
			t.Errorf("members are told of %q", told)
		}
	}
	dollars := func(minor int64) money.Amount { return money.Amount{Minor: minor, Currency: "USD"} }
	surplus := func(back int64) {
		t.Helper()
		all, err := e.donations.SurplusPayments(t.Context(), d)
		if err != nil || len(all[d.ID]) != 1 || all[d.ID][0].Paid != dollars(22_00) || all[d.ID][0].Refunded != dollars(back) {
			t.Errorf("surplus payments %+v, %v", all, err)
		}
	}
	surplus(0)
	for _, part := range []struct{ ask, back int64 }{{5_00, 5_00}, {0, 22_00}} {
		in := refunds.Request{
			Campaign: d.Campaign, Donation: d.ID, RequestID: uuid.New(), Reason: refunds.ReasonDuplicate, Key: "collectives/vallon/apiKeys/one",
		}
		if part.ask > 0 {
			in.Amount = dollars(part.ask)
		}
		r, err := e.refunds.Create(t.Context(), in)
		if err != nil || r.Amount.Currency != "USD" {
			t.Fatalf("%+v, %v", r, err)
		}
		if err := e.refunds.Submit(t.Context(), r.ID); err != nil {
			t.Fatal(err)
		}
		e.delivered()
		e.run("")
		e.want(d, donations.StateSucceeded, true)
		surplus(part.back)
		if e.donation(d).FullyReturned() {
			t.Error("the donation is given back")
		}
	}
	if settled, _ := e.progress(vallon); settled != 20_00 {
		t.Errorf("settled %d", settled)
	}
	e.wantBooks("")
}

// A refund of the second payment may be known before that payment: it leaves the donation as it is.
func TestRefundBookedBeforeItsSurplusPayment(t *testing.T) {
	e, f := faked(t)
	d, now := e.give(vallon), e.clock.Now()
	f.rows = []fakeRow{charge(1, d, now)}
	e.run("")
	e.want(d, donations.StateSucceeded, true)
	f.intents["pi_2"] = d
	f.rows = append([]fakeRow{{
		id: "txn_back", kind: "refund", category: "refund", amount: -20_00, created: now.Add(time.Minute),
		source: `{"id":"re_1","object":"refund","charge":"ch_2","payment_intent":"pi_2"}`,
	}}, f.rows...)
	e.run("")
	second := charge(2, d, now)
	second.of = donations.Donation{}
	f.rows = append([]fakeRow{second}, f.rows...)
	for range 2 {
		e.run("")
		e.want(d, donations.StateSucceeded, true)
		if e.donation(d).FullyReturned() {
			t.Error("the donation is given back")
		}
	}
	if settled, _ := e.progress(vallon); settled != 20_00 {
		t.Errorf("settled %d", settled)
	}
}

// Stripe has some debits in its balance before the bank has answered. They are under way, and then received or not paid;
// never received and given back.
func TestPendingDebitInTheBalance(t *testing.T) {
	for name, c := range map[string]struct {
		paid bool
		// order of what is booked: the payment while it is pending, its arrival, its failure, and the payment seen after it.
		order   []string
		state   donations.State
		settled int64
	}{
		"arrives":                        {true, []string{"pending", "arrived"}, donations.StateSucceeded, 20_00},
		"fails":                          {false, []string{"pending", "failure"}, donations.StateFailed, 0},
		"fails, and both are seen later": {false, []string{"failed", "failure"}, donations.StateFailed, 0},
		"fails, and its return is seen before it":        {false, []string{"failure", "failed"}, donations.StateFailed, 0},
		"arrives, and was not seen before":               {true, []string{"arrived"}, donations.StateSucceeded, 20_00},
		"is asked for again while it is still under way": {true, []string{"pending", "pending", "arrived", "arrived"}, donations.StateSucceeded, 20_00},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, stripesim.Config{FeeDelay: 40 * 24 * time.Hour})
			if err := e.sim.OfferDebits("", true); err != nil {
				t.Fatal(err)
			}
			e.run("")
			d := e.give(vallon)
			if err := e.sim.PayByDebit(d.CheckoutSession, stripesim.IBANPaid); err != nil {
				t.Fatal(err)
			}
			e.delivered()
			e.run("")
			intent := e.donation(d).PaymentIntent
			at := e.clock.Now().Truncate(time.Second)
			source := stripe.Source{ID: "py_1", Object: "charge", Charge: "py_1", PaymentIntent: intent, Amount: 20_00, Currency: "EUR"}
			payment := stripe.BalanceTransaction{ID: "txn_1", Type: "payment", Category: "charge", Amount: 20_00, Fee: 35, Net: 19_65, Currency: "EUR", Created: at}
			all := map[string]stripe.BalanceTransaction{}
			for name, status := range map[string]stripe.ChargeStatus{"pending": stripe.ChargePending, "arrived": stripe.ChargeSucceeded, "failed": stripe.ChargeFailed} {
				payment.Source, payment.Source.Status = source, status
				all[name] = payment
			}
			failure := payment
			failure.ID, failure.Type, failure.Category, failure.Amount, failure.Fee, failure.Net = "txn_2", "payment_failure_refund", "refund", -20_00, 0, -20_00
			failure.Source = stripe.Source{ID: "pyr_1", Object: "refund", Charge: "py_1", PaymentIntent: intent, Amount: 20_00, Currency: "EUR"}
			failure.Created = at.Add(time.Hour)
			all["failure"] = failure

			for i, name := range c.order {
				if i == len(c.order)-1 || name != "pending" {
					e.answered(d, c.paid)
				}
				if err := e.webhooks.book(t.Context(), "", []stripe.BalanceTransaction{all[name]}, nil, nil); err != nil {
					t.Fatal(err)
				}
				if name == "pending" {
					e.want(d, donations.StatePending, false)
					if settled, pending := e.progress(vallon); settled != 0 || pending != 20_00 {
						t.Errorf("settled %d, pending %d", settled, pending)
					}
				}
			}
			e.want(d, c.state, c.paid)
			if settled, pending := e.progress(vallon); settled != c.settled || pending != 0 {
				t.Errorf("settled %d, pending %d", settled, pending)
			}
			sums := e.balances("")
			if sums[ledger.RoleTransit] != 0 || sums[ledger.RoleDonations] != -c.settled || sums[ledger.RoleRefunds] != 0 || sums[ledger.RoleStripeBalance] != c.settled-35 {
				t.Errorf("the books: %v", sums)
			}
		})
	}
}

// answered brings the bank's answer on a debit, once.
func (e *env) answered(d donations.Donation, paid bool) {
	e.t.Helper()
	if e.donation(d).State != donations.StatePending {
		return
	}
	if err := e.sim.SettleDebit(d.CheckoutSession, paid); err != nil {
		e.t.Fatal(err)
	}
	e.delivered()
	if err := e.webhooks.applySessions(e.t.Context(), "", time.Time{}); err != nil {
		e.t.Fatal(err)
	}
}

// A page that is visited again opens a page of its own, and one donation can be paid on both: by card, and by a debit
// that Stripe has in its balance before the bank has answered. No state of the donation's tells of the second.
func TestPendingSecondPaymentInTheBalance(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.run("")
	d := e.give(vallon)
	e.pay(d)
	e.delivered()
	e.run("")
	e.want(d, donations.StateSucceeded, true)
	e.paysFor(d, "pi_second", money.Amount{})
	charge := stripe.BalanceTransaction{
		ID: "txn_second", Type: "payment", Category: "charge", Amount: 20_00, Net: 20_00, Currency: "EUR", Created: e.clock.Now().Truncate(time.Second),
		Source: stripe.Source{
			ID: "py_second", Object: "charge", Charge: "py_second", PaymentIntent: "pi_second", Amount: 20_00, Currency: "EUR",
			Status: stripe.ChargePending,
		},
	}
	book := func() {
		t.Helper()
		if err := e.webhooks.book(t.Context(), "", []stripe.BalanceTransaction{charge}, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	book()
	polled := func() bool {
		t.Helper()
		accounts, err := e.donations.UnbookedAccounts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		due, err := e.donations.DueUnbooked(t.Context(), "", nil, 10)
		if err != nil || len(accounts) != len(due) {
			t.Fatalf("accounts %q, due %v: %v", accounts, due, err)
		}
		if len(due) == 0 {
			return false
		}
		if due[0].Donation != d.ID || due[0].PaymentIntent != "pi_second" || !due[0].At.Equal(charge.Created) || len(due) != 1 {
			t.Errorf("polled: %+v", due)
		}
		if err := e.donations.PollLater(t.Context(), due); err != nil {
			t.Fatal(err)
		}
		return true
	}
	if polled() {
		t.Error("polled at once")
	}
	e.clock.Advance(2 * time.Minute)
	if !polled() {
		t.Error("nobody asks whether it arrived")
	}
	if polled() {
		t.Error("polled again at once")
	}
	e.clock.Advance(2 * time.Hour)
	if !polled() {
		t.Error("nobody asks again")
	}
	if due, err := e.donations.DueUnbooked(t.Context(), "", []string{"pi_second"}, 10); err != nil || len(due) != 1 {
		t.Errorf("read, and polled: %+v, %v", due, err)
	}
	charge.Source.Status = stripe.ChargeSucceeded
	book()
	if sums := e.balances(""); sums[ledger.RoleTransit] != 0 || sums[ledger.RoleDonations] != -40_00 {
		t.Errorf("the books: %v", sums)
	}
	if n := one[int](e, "SELECT count(*) FROM notices.notices AS n WHERE n.kind = 'paid_twice'"); n != 1 {
		t.Errorf("members are told %d times", n)
	}
	e.clock.Advance(2 * time.Hour)
	if polled() {
		t.Error("polled though it arrived")
	}
}

// The same of a month after the first, which no session speaks of: the books say when it failed.
func TestPendingMonthInTheBalance(t *testing.T) {
	const pending, succeeded, failed = donations.StatePending, donations.StateSucceeded, donations.StateFailed
	want := map[string][]donations.State{
		"fails":                          {pending, failed},
		"fails, and both are seen later": {failed, failed},
		"arrives":                        {pending, succeeded},
		"fails, and a second debit of the month arrives": {pending, failed, failed, succeeded},
		"fails, and that is seen after the second debit": {pending, pending, pending, succeeded},
		"fails, and that is seen after the second came":  {pending, succeeded, succeeded},
	}
	for name, order := range map[string][]string{
		"fails":                          {"pending", "failure"},
		"fails, and both are seen later": {"failed", "failure"},
		"arrives":                        {"pending", "arrived"},
		"fails, and a second debit of the month arrives": {"pending", "failure", "again", "again arrived"},
		"fails, and that is seen after the second debit": {"again", "failed", "failure", "again arrived"},
		"fails, and that is seen after the second came":  {"pending", "again arrived", "failure"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, stripesim.Config{FeeDelay: 60 * 24 * time.Hour})
			if err := e.sim.OfferDebits("", true); err != nil {
				t.Fatal(err)
			}
			e.run("")
			in := intent(vallon)
			in.Monthly = true
			first, err := e.donations.Create(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.sim.PayByDebit(first.CheckoutSession, stripesim.IBANPaid); err != nil {
				t.Fatal(err)
			}
			e.clock.Advance(7 * 24 * time.Hour)
			e.clock.Set(e.sim.Subscriptions("")[0].PeriodEnd.Add(2 * time.Hour))
			invoice := e.sim.Subscriptions("")[0].LatestInvoiceID
			inv, err := e.webhooks.cfg.Stripe.GetInvoice(t.Context(), "", invoice)
			if err != nil || !inv.UnderWay {
				t.Fatalf("the invoice is %+v, %v", inv, err)
			}
			at := e.clock.Now().Add(-4 * 24 * time.Hour).Truncate(time.Second)
			payment := func(n int, status stripe.ChargeStatus) stripe.BalanceTransaction {
				id := fmt.Sprintf("py_%d", n)
				return stripe.BalanceTransaction{
					ID: fmt.Sprintf("txn_%d", n), Type: "payment", Category: "charge", Amount: 20_00, Net: 20_00, Currency: "EUR", Created: at.Add(time.Duration(n) * 24 * time.Hour),
					Source: stripe.Source{
						ID: id, Object: "charge", Charge: id, PaymentIntent: inv.PaymentIntent, Invoice: invoice, Amount: 20_00, Currency: "EUR", Status: status,
					},
				}
			}
			failure := stripe.BalanceTransaction{
				ID: "txn_failure", Type: "payment_failure_refund", Category: "refund", Amount: -20_00, Net: -20_00, Currency: "EUR", Created: at.Add(30 * time.Hour),
				Source: stripe.Source{ID: "pyr_1", Object: "refund", Charge: "py_1", PaymentIntent: inv.PaymentIntent, Amount: 20_00, Currency: "EUR"},
			}
			all := map[string]stripe.BalanceTransaction{
				"pending": payment(1, stripe.ChargePending), "failed": payment(1, stripe.ChargeFailed), "arrived": payment(1, stripe.ChargeSucceeded),
				"again": payment(2, stripe.ChargePending), "again arrived": payment(2, stripe.ChargeSucceeded), "failure": failure,
			}
			states := []donations.State{} // of the month, after each
			settled := int64(0)
			for _, name := range order {
				if err := e.webhooks.book(t.Context(), "", []stripe.BalanceTransaction{all[name]}, nil, nil); err != nil {
					t.Fatal(err)
				}
				got := one[donations.State](e, "SELECT d.state FROM donations.donations AS d WHERE d.recurring_id <> d.id")
				if states = append(states, got); strings.HasSuffix(name, "arrived") {
					settled = 20_00
				}
			}
			if diff := cmp.Diff(want[name], states); diff != "" {
				t.Errorf("the month (-want +got):\n%s", diff)
			}
			if sums := e.balances(""); sums[ledger.RoleTransit] != 0 || sums[ledger.RoleDonations] != -settled || sums[ledger.RoleUnknownReceipts] != 0 ||
				sums[ledger.RoleRefunds] != 0 || sums[ledger.RoleStripeBalance] != settled {
				t.Errorf("the books: %v", sums)
			}
			if got, _ := e.progress(vallon); got != settled {
				t.Errorf("settled %d, want %d", got, settled)
			}
		})
	}
}

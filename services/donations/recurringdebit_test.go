package donations

import (
	"testing"
	"time"

	"github.com/google/uuid"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/money"
)

const aWeek = 7 * 24 * time.Hour

// debitMonthly returns a monthly donation whose first month is at the bank, with its event applied.
func (e *env) debitMonthly(iban stripesim.IBAN) (first Donation) {
	e.t.Helper()
	if err := e.sim.OfferDebits("", true); err != nil {
		e.t.Fatal(err)
	}
	first = e.monthly()
	if err := e.sim.PayByDebit(first.CheckoutSession, iban); err != nil {
		e.t.Fatal(err)
	}
	e.wantFirst(first, StatePending)
	return first
}

// wantFirst asks Stripe about the first month, as a donor who waits makes the program do.
func (e *env) wantFirst(first Donation, want State) {
	e.t.Helper()
	if err := e.donations.Refresh(e.t.Context(), first.ID); err != nil {
		e.t.Fatal(err)
	}
	d, err := e.donations.byID(e.t.Context(), first.ID)
	if err != nil || d.State != want {
		e.t.Errorf("the first month is %s, want %s: %v", d.State, want, err)
	}
}

func (e *env) latestInvoice() string {
	all := e.sim.Subscriptions("")
	return all[len(all)-1].LatestInvoiceID
}

// lookUp finds the donation of an invoice's payment, as the sync does with a charge.
func (e *env) lookUp(invoice string, charged stripesim.BalanceTransaction) {
	e.t.Helper()
	money, err := e.donations.cfg.Stripe.GetBalanceTransaction(e.t.Context(), "", charged.ID)
	if err != nil {
		e.t.Fatal(err)
	}
	_, told, err := e.donations.NewLookup("").Ask(e.t.Context(), Payment{Intent: money.Source.PaymentIntent, Invoice: invoice, Money: &money})
	if err != nil || !told {
		e.t.Fatalf("told %v, %v", told, err)
	}
}

// months are the amounts of the paid months, and the states of all.
func (e *env) months() (paid []int64, states []State) {
	e.t.Helper()
	rows, err := e.pool.Query(e.t.Context(), `
		SELECT d.amount_minor, d.state, d.paid_at IS NOT NULL
		FROM donations.donations AS d
		WHERE d.recurring_id IS NOT NULL
		ORDER BY d.created_at, d.id`)
	if err != nil {
		e.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var minor int64
		var state State
		var is bool
		if err := rows.Scan(&minor, &state, &is); err != nil {
			e.t.Fatal(err)
		}
		if states = append(states, state); is {
			paid = append(paid, minor)
		}
	}
	return paid, states
}

func TestAFirstMonthByDebitIsPendingUntilItIsGivenUp(t *testing.T) {
	t.Run("while Stripe tries again it has not failed", func(t *testing.T) {
		e := newEnv(t)
		first := e.debitMonthly(stripesim.IBANRefused)
		e.clock.Advance(aWeek)
		if ok := e.applySession(first, true); !ok {
			t.Fatal("the session's word is nobody's")
		}
		e.wantFirst(first, StatePending)
		e.refreshRecurring(first)
		if r := e.recurring(first); r.State != RecurringPastDue {
			t.Errorf("the monthly donation is %s", r.State)
		}
		pending, err := e.donations.byID(t.Context(), first.ID)
		if page := pending.PayableURL(e.donations.now()); err != nil || page != "" {
			t.Errorf("it can be paid a second time, on %q: %v", page, err)
		}
		e.clock.Advance(4 * 24 * time.Hour) // the second debit is at the bank
		if err := e.sim.SettleInvoice(e.latestInvoice(), true); err != nil {
			t.Fatal(err)
		}
		e.wantFirst(first, StateSucceeded)
		if paid, _ := e.months(); len(paid) != 1 {
			t.Errorf("%d months are paid", len(paid))
		}
	})
	for _, hold := range []bool{false, true} {
		e := newEnv(t)
		if err := e.sim.HoldFirstDebits("", hold); err != nil {
			t.Fatal(err)
		}
		first := e.debitMonthly(stripesim.IBANRefused)
		e.clock.Advance(15 * aWeek)
		e.wantFirst(first, StateFailed)
		e.refreshRecurring(first)
		e.keep()
		if r := e.recurring(first); r.running() || r.State == RecurringCreated {
			t.Errorf("held %v, given up, it is %s", hold, r.State)
		}
	}
}

// applySession applies the session of a debit's event.
func (e *env) applySession(first Donation, failed bool) bool {
	e.t.Helper()
	session, err := e.donations.cfg.Stripe.GetSession(e.t.Context(), "", first.CheckoutSession)
	if err != nil {
		e.t.Fatal(err)
	}
	return e.donations.applySession(e.t.Context(), SessionFact{Session: session, Failed: failed, At: e.clock.Now()}) == nil
}

func TestAVoidedInvoiceIsPaidByItsMoney(t *testing.T) {
	e := newEnv(t)
	first := e.debitMonthly(stripesim.IBANPaid)
	e.clock.Advance(aWeek)
	e.wantFirst(first, StateSucceeded)
	e.refreshRecurring(first)

	e.clock.Set(e.recurring(first).PeriodEnd.Add(2 * time.Hour))
	e.sim.Subscriptions("") // lets the time pass at Stripe
	voided := e.latestInvoice()
	if err := e.sim.VoidInvoice(voided); err != nil {
		t.Fatal(err)
	}
	if err := e.sim.SettleInvoice(voided, true); err != nil {
		t.Fatal(err)
	}
	inv, err := e.donations.cfg.Stripe.GetInvoice(t.Context(), "", voided)
	if err != nil || inv.Paid {
		t.Fatalf("the invoice is %+v, %v", inv, err)
	}
	brought := e.sim.BalanceTransactions("")
	for range 2 {
		e.lookUp(voided, brought[len(brought)-1])
	}
	if paid, _ := e.months(); len(paid) != 2 || paid[1] != 20_00 {
		t.Fatalf("paid months %v", paid)
	}
	t.Run("and is no second donation when the invoice becomes paid after all", func(t *testing.T) {
		inv.Paid, inv.PaidAt, inv.Amount.Minor = true, e.clock.Now(), 20_00
		if ours, err := e.donations.ApplyInvoice(t.Context(), "", inv); err != nil || !ours {
			t.Fatal(ours, err)
		}
		if paid, _ := e.months(); len(paid) != 2 {
			t.Errorf("paid months %v", paid)
		}
	})
	t.Run("nor what a refund of it leads to", func(t *testing.T) {
		id, err := e.sim.Refund(brought[len(brought)-1].SourceID, 5_00)
		if err != nil {
			t.Fatal(err)
		}
		e.findRefunded(id)
	})
	t.Run("found by its refund first", func(t *testing.T) {
		e.clock.Set(e.sim.Subscriptions("")[0].PeriodEnd.Add(2 * time.Hour))
		e.sim.Subscriptions("")
		voided := e.latestInvoice()
		if err := e.sim.VoidInvoice(voided); err != nil {
			t.Fatal(err)
		}
		if err := e.sim.SettleInvoice(voided, true); err != nil {
			t.Fatal(err)
		}
		brought := e.sim.BalanceTransactions("")
		id, err := e.sim.Refund(brought[len(brought)-1].SourceID, 5_00)
		if err != nil {
			t.Fatal(err)
		}
		e.findRefunded(id)
		if paid, _ := e.months(); len(paid) != 3 {
			t.Errorf("paid months %v", paid)
		}
	})
}

// monthlyInPounds begins a monthly donation whose donor pays in another currency than the campaign's.
func (e *env) monthlyInPounds() (first Donation) {
	e.t.Helper()
	first = e.monthly()
	if err := e.sim.Localize(first.CheckoutSession, "gbp", 0.86); err != nil {
		e.t.Fatal(err)
	}
	if err := e.sim.Pay(first.CheckoutSession, stripesim.CardInternational); err != nil {
		e.t.Fatal(err)
	}
	return first
}

// Amount and currency of such a month's invoice are the donor's; the donation's are the campaign's.
func TestMonthsInTheDonorsCurrency(t *testing.T) {
	e := newEnv(t)
	first := e.monthlyInPounds()
	e.wantFirst(first, StateSucceeded)
	e.refreshRecurring(first)
	if _, err := e.donations.ChangeRecurring(t.Context(), vallon, first.ID, money.Amount{Minor: 30_00, Currency: money.EUR}, Visit{}); err != nil {
		t.Fatal(err)
	}
	e.clock.Set(e.recurring(first).PeriodEnd.Add(2 * time.Hour))
	e.refreshRecurring(first)
	if paid, states := e.months(); len(paid) != 2 || paid[0] != 20_00 || paid[1] != 30_00 || states[0] != StateSucceeded {
		t.Errorf("paid %v, %v", paid, states)
	}

	t.Run("wait for what they brought", func(t *testing.T) {
		e.sim.SetFeeDelay(time.Hour)
		e.clock.Set(e.recurring(first).PeriodEnd.Add(90 * time.Minute))
		e.sim.Subscriptions("")
		inv, err := e.donations.cfg.Stripe.GetInvoice(t.Context(), "", e.latestInvoice())
		if err != nil || !inv.Paid || inv.Amount != (money.Amount{Minor: 25_80, Currency: "GBP"}) {
			t.Fatalf("the invoice is %+v, %v", inv, err)
		}
		_, err = e.donations.ApplyInvoice(t.Context(), "", inv)
		wantReason(t, err, errorsv1.ErrorReason_FEE_UNKNOWN)
		e.sim.SettleFees()
		if ours, err := e.donations.ApplyInvoice(t.Context(), "", inv); err != nil || !ours {
			t.Fatal(ours, err)
		}
		if paid, _ := e.months(); len(paid) != 3 || paid[2] != 30_00 {
			t.Errorf("paid %v", paid)
		}
	})
	t.Run("are what was asked for when the balance is in a third currency", func(t *testing.T) {
		before := e.count()
		inv := stripe.Invoice{
			ID: "in_third", Subscription: e.recurring(first).Subscription, Recurring: first.ID, Paid: true, PaymentIntent: "pi_third",
			Amount: money.Amount{Minor: 25_80, Currency: "GBP"}, PaidAt: e.clock.Now(),
		}
		ours, err := e.donations.applyPaidInvoice(t.Context(), "", inv, &stripe.BalanceTransaction{Amount: 32_00, Currency: "USD"})
		if paid, _ := e.months(); err != nil || !ours || e.count() != before+1 || paid[len(paid)-1] != 30_00 {
			t.Errorf("%v, %v: paid %v", ours, err, paid)
		}
	})
}

// The amount that is converted back may differ by some cents.
func TestAFirstMonthInTheDonorsCurrencyBeforeItsSession(t *testing.T) {
	e := newEnv(t)
	first := e.monthlyInPounds()
	inv, err := e.donations.cfg.Stripe.GetInvoice(t.Context(), "", e.latestInvoice())
	if err != nil || !inv.First || inv.Amount.Currency != "GBP" {
		t.Fatalf("the invoice is %+v, %v", inv, err)
	}
	for range 2 {
		ours, err := e.donations.applyPaidInvoice(t.Context(), "", inv, &stripe.BalanceTransaction{Amount: 20_01, Currency: "EUR"})
		if err != nil || !ours {
			t.Fatal(ours, err)
		}
		e.wantFirst(first, StateSucceeded)
		if paid, states := e.months(); len(states) != 1 || len(paid) != 1 || paid[0] != 20_00 {
			t.Errorf("paid %v, %v: it is another donation", paid, states)
		}
	}
}

func TestAnEndWithTheMonthChargesNoDraft(t *testing.T) {
	e := newEnv(t)
	first, subscription := e.paidMonthly()
	e.clock.Set(e.recurring(first).PeriodEnd.Add(10 * time.Minute))
	r, err := e.donations.EndRecurring(t.Context(), vallon, first.ID, true, EndedByDonor)
	if err != nil || r.State != RecurringCanceled || r.EndReason != EndedByDonor || r.Pending() {
		t.Fatalf("%+v, %v", r, err)
	}
	e.clock.Advance(5 * aWeek)
	if n := len(e.sim.BalanceTransactions("")); n != 1 {
		t.Errorf("%d payments: the draft was taken", n)
	}
	if sub := e.sim.Subscriptions("")[0]; sub.ID != subscription || sub.Status != "canceled" {
		t.Errorf("at Stripe it is %+v", sub)
	}

	t.Run("and once it is taken, that month is the last", func(t *testing.T) {
		first, _ := e.paidMonthly()
		before := len(e.sim.BalanceTransactions(""))
		e.clock.Set(e.recurring(first).PeriodEnd.Add(2 * time.Hour))
		e.refreshRecurring(first)
		r, err := e.donations.EndRecurring(t.Context(), vallon, first.ID, true, EndedByDonor)
		if err != nil || r.State != RecurringActive || !r.CancelAtPeriodEnd {
			t.Fatalf("%+v, %v", r, err)
		}
		e.clock.Advance(9 * aWeek)
		if n := len(e.sim.BalanceTransactions("")); n != before+1 {
			t.Errorf("%d payments more", n-before)
		}
	})
}

// Stripe goes on collecting an unpaid month, so an end with the month is one at once there.
func TestAnEndWithAnUnpaidMonthIsAtOnce(t *testing.T) {
	e := newEnv(t)
	first, subscription := e.paidMonthly()
	if err := e.sim.SetCard(subscription, stripesim.CardInsufficientFunds); err != nil {
		t.Fatal(err)
	}
	e.clock.Set(e.recurring(first).PeriodEnd.Add(2 * time.Hour)) // without an event
	if _, err := e.campaigns.Close(t.Context(), vallon); err != nil {
		t.Fatal(err)
	}
	e.keep()
	if r := e.recurring(first); r.State != RecurringCanceled || r.EndReason != EndedByCampaign {
		t.Errorf("%+v", r)
	}
	_ = e.sim.SetCard(subscription, stripesim.CardOK) // an error: it has ended
	e.clock.Advance(2 * aWeek)
	if n := len(e.sim.BalanceTransactions("")); n != 1 {
		t.Errorf("%d payments: a month was taken for a campaign that is closed", n)
	}
}

// A payment that belongs to no donation is looked up once, and found to be none.
func TestAPaymentOfNoDonation(t *testing.T) {
	e := newEnv(t)
	lookup := e.donations.NewLookup("")
	for range 3 {
		if claim, told, err := lookup.Ask(t.Context(), Payment{Intent: "pi_nobody"}); claim != uuid.Nil || !told || err != nil {
			t.Errorf("%s, %v, %v", claim, told, err)
		}
	}
	if n := len(e.sim.Requests()); n != 1 {
		t.Errorf("Stripe was asked %d times", n)
	}
}

// A campaign that closes while a month is at the bank ends the donation with that month. Once the bank refuses it, the month
// is not paid for, and Stripe would debit it again.
func TestAMonthThatFailsAfterItsCampaignClosedIsNotTriedAgain(t *testing.T) {
	e := newEnv(t)
	first := e.debitMonthly(stripesim.IBANPaid)
	e.clock.Advance(aWeek)
	e.wantFirst(first, StateSucceeded)
	e.refreshRecurring(first)
	e.clock.Set(e.recurring(first).PeriodEnd.Add(2 * time.Hour))
	e.refreshRecurring(first)
	if _, err := e.campaigns.Close(t.Context(), vallon); err != nil {
		t.Fatal(err)
	}
	e.keep()
	if r := e.recurring(first); !r.DebitPending || !r.CancelAtPeriodEnd || r.State != RecurringActive {
		t.Fatalf("%+v", r)
	}
	if err := e.sim.SettleInvoice(e.latestInvoice(), false); err != nil {
		t.Fatal(err)
	}
	before := len(e.sim.BalanceTransactions(""))
	e.refreshRecurring(first)
	e.keep()
	if r := e.recurring(first); r.State != RecurringCanceled || r.EndReason != EndedByCampaign {
		t.Errorf("%+v", r)
	}
	e.clock.Advance(5 * aWeek)
	if n := len(e.sim.BalanceTransactions("")) - before; n != 0 {
		t.Errorf("%d payments more: a month was taken for a campaign that is closed", n)
	}
}

// Stripe has some debits in its balance before the bank has answered. A month of one is not paid until then.
func TestAMonthThatIsInTheBalanceWhileItIsPending(t *testing.T) {
	for name, c := range map[string]struct {
		statuses []stripe.ChargeStatus
		want     State
	}{
		"is under way":          {[]stripe.ChargeStatus{stripe.ChargePending, stripe.ChargePending}, StatePending},
		"arrives":               {[]stripe.ChargeStatus{stripe.ChargePending, stripe.ChargeSucceeded}, StateSucceeded},
		"fails":                 {[]stripe.ChargeStatus{stripe.ChargePending, stripe.ChargeFailed}, StateFailed},
		"is seen when it fails": {[]stripe.ChargeStatus{stripe.ChargeFailed}, StateFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			first := e.debitMonthly(stripesim.IBANPaid)
			e.clock.Advance(aWeek)
			e.wantFirst(first, StateSucceeded)
			e.refreshRecurring(first)
			e.clock.Set(e.recurring(first).PeriodEnd.Add(2 * time.Hour))
			e.sim.Subscriptions("")
			inv, err := e.donations.cfg.Stripe.GetInvoice(t.Context(), "", e.latestInvoice())
			if err != nil || inv.Paid || !inv.UnderWay {
				t.Fatalf("the invoice is %+v, %v", inv, err)
			}
			for _, status := range c.statuses {
				brought := &stripe.BalanceTransaction{
					ID: "txn_month", Type: "payment", Amount: 20_00, Net: 20_00, Currency: "EUR", Created: e.clock.Now(),
					Source: stripe.Source{
						ID: "py_month", Object: "charge", Charge: "py_month", PaymentIntent: inv.PaymentIntent, Amount: 20_00, Currency: "EUR", Status: status,
					},
				}
				if ours, err := e.donations.applyPaidInvoice(t.Context(), "", inv, brought); err != nil || !ours {
					t.Fatal(ours, err)
				}
				matches, err := e.donations.Find(t.Context(), "", []Clue{{PaymentIntent: inv.PaymentIntent}})
				if err != nil || !matches[0].IsPaidBy(money.Amount{Minor: 20_00, Currency: money.EUR}) {
					t.Errorf("%s, found %+v, %v", status, matches, err)
				}
			}
			if _, states := e.months(); len(states) != 2 || states[1] != c.want {
				t.Errorf("the months are %v, want %s", states, c.want)
			}
			if r := e.recurring(first); r.State != RecurringActive {
				t.Errorf("the monthly donation is %s", r.State)
			}
			t.Run("and is paid by its invoice", func(t *testing.T) {
				if err := e.sim.SettleInvoice(inv.ID, true); err != nil {
					t.Fatal(err)
				}
				paid, err := e.donations.cfg.Stripe.GetInvoice(t.Context(), "", inv.ID)
				if err != nil || !paid.Paid {
					t.Fatalf("the invoice is %+v, %v", paid, err)
				}
				if _, err := e.donations.ApplyInvoice(t.Context(), "", paid); err != nil {
					t.Fatal(err)
				}
				if _, states := e.months(); len(states) != 2 || states[1] != StateSucceeded {
					t.Errorf("the months are %v", states)
				}
			})
		})
	}
}

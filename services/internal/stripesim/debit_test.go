package stripesim_test

import (
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"

	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// happened are the types of all events but those of sessions whose time was over.
func happened(sim *stripesim.Sim) (types []string) {
	for _, e := range sim.Events("") {
		if e.Type != "checkout.session.expired" {
			types = append(types, e.Type)
		}
	}
	return types
}

func TestDebits(t *testing.T) {
	// A Monday, so that five business days are a week.
	clock := stripesim.NewClockAt(time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC))
	sim, base := serve(t, stripesim.Config{Clock: clock})
	api := newClient(base, testKey, 0)
	if se := create(t, api, donation(2000)); slices.Contains(se.PaymentMethodTypes, "sepa_debit") {
		t.Fatal("debits are offered before the account switched them on")
	}
	if err := sim.OfferDebits("", true); err != nil {
		t.Fatal(err)
	}

	t.Run("are complete and unpaid until the bank answers, days later", func(t *testing.T) {
		se := create(t, api, donation(10000))
		if !slices.Contains(se.PaymentMethodTypes, "sepa_debit") {
			t.Fatalf("offered are %v", se.PaymentMethodTypes)
		}
		before := len(happened(sim))
		if err := sim.PayByDebit(se.ID, stripesim.IBANPaid); err != nil {
			t.Fatal(err)
		}
		want := []string{"payment_intent.created", "payment_intent.processing", "charge.pending", "checkout.session.completed"}
		if diff := cmp.Diff(want, happened(sim)[before:]); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		now := latestSession(sim)
		if now.Status != "complete" || now.PaymentStatus != "unpaid" || !strings.HasPrefix(now.ChargeID, "py_") {
			t.Errorf("the session is %+v", now)
		}
		var charge map[string]any
		_, body := raw(t, http.MethodGet, base+"/v1/charges/"+now.ChargeID, "")
		if err := json.Unmarshal([]byte(body), &charge); err != nil {
			t.Fatal(err)
		}
		if charge["paid"] != false || charge["captured"] != true || charge["status"] != "pending" || charge["balance_transaction"] != nil {
			t.Errorf("the pending charge is %s", body)
		}
		checkShape(t, "charge", charge, reflect.TypeFor[stripe.Charge]())

		clock.Advance(6 * 24 * time.Hour)
		if latestSession(sim).PaymentStatus != "unpaid" {
			t.Error("paid before five business days are over")
		}
		clock.Advance(24 * time.Hour)
		want = append(want, "charge.succeeded", "payment_intent.succeeded", "checkout.session.async_payment_succeeded")
		if diff := cmp.Diff(want, happened(sim)[before:]); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		money := sim.BalanceTransactions("")
		if len(money) != 1 || money[0].Type != "payment" || money[0].FeeMinor != 35 || money[0].SourceID != now.ChargeID {
			t.Errorf("the balance is %+v", money)
		}
	})

	t.Run("fail days later, and the session looks as it did", func(t *testing.T) {
		se := create(t, api, donation(2000))
		if err := sim.PayByDebit(se.ID, stripesim.IBANRefusedLate); err != nil {
			t.Fatal(err)
		}
		before, money := len(happened(sim)), len(sim.BalanceTransactions(""))
		clock.Advance(21 * 24 * time.Hour)
		want := []string{"charge.failed", "payment_intent.payment_failed", "checkout.session.async_payment_failed"}
		if diff := cmp.Diff(want, happened(sim)[before:]); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		if s := latestSession(sim); s.Status != "complete" || s.PaymentStatus != "unpaid" || len(sim.BalanceTransactions("")) != money {
			t.Errorf("the session is %+v", s)
		}
	})

	t.Run("are answered early by a control, once", func(t *testing.T) {
		se := create(t, api, donation(2000))
		if err := sim.PayByDebit(se.ID, stripesim.IBANRefused); err != nil {
			t.Fatal(err)
		}
		if err := sim.SettleDebit(se.ID, true); err != nil {
			t.Fatal(err)
		}
		events := len(happened(sim))
		var gone *stripesim.SessionError
		if err := sim.SettleDebit(se.ID, false); !errors.As(err, &gone) {
			t.Errorf("answered twice: %v", err)
		}
		clock.Advance(30 * 24 * time.Hour)
		if latestSession(sim).PaymentStatus != "paid" || len(happened(sim)) > events {
			t.Error("the bank answered again on time")
		}
	})

	t.Run("are for euros and for test accounts", func(t *testing.T) {
		if se := create(t, api, inDollars()); slices.Contains(se.PaymentMethodTypes, "sepa_debit") {
			t.Errorf("offered in dollars: %v", se.PaymentMethodTypes)
		}
		se := create(t, api, donation(2000))
		var refused *stripesim.DeclinedError
		if err := sim.PayByDebit(se.ID, "FR7630006000011234567890189"); !errors.As(err, &refused) {
			t.Errorf("somebody's account: %v", err)
		}
	})

	t.Run("are begun on the page", func(t *testing.T) {
		se := create(t, api, donation(2000))
		_, body := raw(t, http.MethodGet, se.URL, "")
		if body = html.UnescapeString(body); !strings.Contains(body, "prélèvement SEPA") {
			t.Fatalf("not offered: %s", body)
		}
		form := url.Values{"email": {"ana@example.org"}, "name": {""}, "iban": {string(stripesim.IBANPaid)}}
		if resp, body := raw(t, http.MethodPost, se.URL, form.Encode()); resp.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("without a name: %d %s", resp.StatusCode, body)
		}
		form.Set("name", "Ana")
		form.Set("iban", "FR7630006000011234567890189")
		if resp, body := raw(t, http.MethodPost, se.URL, form.Encode()); resp.StatusCode != http.StatusPaymentRequired || strings.Contains(body, "7890189") {
			t.Errorf("a real account: %d %s", resp.StatusCode, body)
		}
		form.Set("iban", string(stripesim.IBANPaid))
		if resp, body := raw(t, http.MethodPost, se.URL, form.Encode()); resp.StatusCode != http.StatusSeeOther {
			t.Errorf("got %d %s", resp.StatusCode, body)
		}
		if s := latestSession(sim); s.PaymentStatus != "unpaid" || s.Status != "complete" {
			t.Errorf("the session is %+v", s)
		}
	})
}

func TestChallenge(t *testing.T) {
	sim, base := serve(t, stripesim.Config{})
	se := create(t, newClient(base, testKey, 0), donation(2000))
	form := cardForm(string(stripesim.CardChallenged))
	resp, body := raw(t, http.MethodPost, se.URL, form.Encode())
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, `name="challenge" value="pass"`) || latestSession(sim).Status != "open" {
		t.Fatalf("the card's bank asked for nothing: %d %s", resp.StatusCode, body)
	}
	form.Set("challenge", "fail")
	if resp, _ := raw(t, http.MethodPost, se.URL, form.Encode()); resp.StatusCode != http.StatusPaymentRequired || latestSession(sim).Status != "open" {
		t.Errorf("a wrong answer got %d", resp.StatusCode)
	}
	form.Set("challenge", "pass")
	if resp, body := raw(t, http.MethodPost, se.URL, form.Encode()); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("the right answer got %d %s", resp.StatusCode, body)
	}
	want := []string{
		"payment_intent.created", "payment_intent.requires_action", "payment_intent.payment_failed", "payment_intent.requires_action",
		"charge.succeeded", "payment_intent.succeeded", "checkout.session.completed",
	}
	if diff := cmp.Diff(want, happened(sim)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestOtherCurrencies(t *testing.T) {
	sim, base := serve(t, stripesim.Config{})
	api := newClient(base, testKey, 0)
	t.Run("a charge lands converted", func(t *testing.T) {
		if err := sim.SetExchange("", "usd", "eur", 0.5); err != nil {
			t.Fatal(err)
		}
		pay(t, sim, create(t, api, inDollars()).ID)
		_, body := raw(t, http.MethodGet, base+"/v1/balance_transactions", "")
		if b := sim.BalanceTransactions("")[0]; b.AmountMinor != 1000 || b.Currency != "eur" || !strings.Contains(body, `"exchange_rate": 0.5`) {
			t.Errorf("the balance is %+v, %s", b, body)
		}
	})
	t.Run("a donor is shown another price, and the merchant gets its own", func(t *testing.T) {
		se := create(t, api, donation(2000))
		if err := sim.Localize(se.ID, "usd", 1.1); err != nil {
			t.Fatal(err)
		}
		_, body := raw(t, http.MethodGet, base+"/v1/checkout/sessions/"+se.ID, "")
		for _, want := range []string{`"amount_total": 2200`, `"currency": "usd"`, `"source_currency": "eur"`, `"fx_rate": "1.1"`} {
			if !strings.Contains(body, want) {
				t.Errorf("no %s in %s", want, body)
			}
		}
		pay(t, sim, se.ID)
		all := sim.BalanceTransactions("")
		if b := all[len(all)-1]; b.AmountMinor != 2000 || b.Currency != "eur" {
			t.Errorf("the balance is %+v", b)
		}
		if err := sim.Localize(se.ID, "usd", 1.2); err == nil {
			t.Error("a page that was paid is shown in another currency")
		}
	})
	t.Run("and what goes back leaves the merchant's balance at the rate of its day, or else as it came", func(t *testing.T) {
		charge := latestSession(sim).ChargeID
		if err := sim.SetExchange("", "usd", "eur", 0.8); err != nil {
			t.Fatal(err)
		}
		refund, err := sim.Refund(charge, 550)
		if err != nil {
			t.Fatal(err)
		}
		if err := sim.SetExchange("", "usd", "eur", 0); err != nil {
			t.Fatal(err)
		}
		if err := sim.FailRefund(refund, "lost_or_stolen_card"); err != nil {
			t.Fatal(err)
		}
		dispute, err := sim.Dispute(charge, stripesim.Disputed{AmountMinor: 1100})
		if err != nil {
			t.Fatal(err)
		}
		if err := sim.CloseDispute(dispute, true, false); err != nil {
			t.Fatal(err)
		}
		all := sim.BalanceTransactions("")
		for i, b := range all[len(all)-4:] {
			if want := []int64{-440, 440, -1000, 1000}[i]; b.AmountMinor != want || b.Currency != "eur" {
				t.Errorf("%s moves %d %s, want %d eur", b.Type, b.AmountMinor, b.Currency, want)
			}
		}
	})
}

// latestSession is the one that was created last.
func latestSession(sim *stripesim.Sim) stripesim.Session {
	all := sim.Sessions("")
	return all[len(all)-1]
}

func inDollars() *stripe.CheckoutSessionParams {
	p := donation(2000)
	p.LineItems[0].PriceData.Currency = stripe.String("usd")
	return p
}

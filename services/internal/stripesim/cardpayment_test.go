package stripesim_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/stripe/stripe-go/v76"
)

func eventTypes(sim *stripesim.Sim, account string) string {
	var types []string
	for _, e := range sim.Events(account) {
		types = append(types, e.Type)
	}
	return strings.Join(types, " ")
}

func TestPay(t *testing.T) {
	t.Run("makes intent, charge and balance transaction, and the events in order", func(t *testing.T) {
		sim, api := start(t, stripesim.Config{})
		se := create(t, api, donation(2000))
		pay(t, sim, se.ID)
		p := &stripe.CheckoutSessionParams{}
		p.AddExpand("payment_intent.latest_charge.balance_transaction")
		se, err := api.CheckoutSessions.Get(se.ID, p)
		if err != nil {
			t.Fatal(err)
		}
		if se.Status != "complete" || se.PaymentStatus != "paid" || se.URL != "" || se.CustomerDetails.Email == "" {
			t.Errorf("session %+v", se)
		}
		in := se.PaymentIntent
		if in.Status != "succeeded" || in.AmountReceived != 2000 || in.Metadata["donation"] != "d1" || in.Metadata["cagnotte"] != "" {
			t.Errorf("intent %+v", in)
		}
		ch := in.LatestCharge
		if !ch.Paid || ch.Amount != 2000 || ch.Metadata["donation"] != "d1" || ch.PaymentMethodDetails.Card.Last4 != "4242" {
			t.Errorf("charge %+v", ch)
		}
		b := ch.BalanceTransaction
		if b.Amount != 2000 || b.Fee != 55 || b.Net != 1945 || b.Type != "charge" || b.Source.ID != ch.ID ||
			b.FeeDetails[0].Type != "stripe_fee" || b.FeeDetails[0].Amount != 55 || b.Status != "pending" {
			t.Errorf("balance transaction %+v", b)
		}
		if got := eventTypes(sim, ""); got != donationEvents {
			t.Errorf("events %s", got)
		}
		if got := sim.BalanceTransactions(""); len(got) != 1 || got[0].NetMinor != 1945 || got[0].ID != b.ID {
			t.Errorf("got %+v", got)
		}
		if got := sim.Sessions("")[0]; got.ChargeID != ch.ID || got.PaymentIntentID != in.ID || got.URL != "" ||
			got.SuccessURL != "https://don.example/merci?session="+se.ID {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("charges by the card's origin, rounded half up", func(t *testing.T) {
		for card, want := range map[stripesim.Card]int64{
			stripesim.CardOK:            40, // 1.5 % of 10.33 is 15.495 cents
			stripesim.CardUK:            51, // 2.5 %: 25.825
			stripesim.CardInternational: 59, // 3.25 %: 33.5725
			"4000 0025 0000 0003":       40, // spaces as people type them
			"5555555555554444":          40,
		} {
			sim, api := start(t, stripesim.Config{})
			se := create(t, api, donation(1033))
			if err := sim.Pay(se.ID, card); err != nil {
				t.Fatal(err)
			}
			if got := sim.BalanceTransactions("")[0].FeeMinor; got != want {
				t.Errorf("%s: fee %d, want %d", card, got, want)
			}
		}
	})

	t.Run("keeps the session open after a decline and tries the same intent again", func(t *testing.T) {
		sim, api := start(t, stripesim.Config{})
		se := create(t, api, donation(2000))
		var declined *stripesim.DeclinedError
		if err := sim.Pay(se.ID, stripesim.CardInsufficientFunds); !errors.As(err, &declined) || declined.DeclineCode != "insufficient_funds" {
			t.Fatalf("got %v", err)
		}
		se, _ = api.CheckoutSessions.Get(se.ID, nil)
		first := se.PaymentIntent.ID
		in, err := api.PaymentIntents.Get(first, nil)
		if err != nil || in.Status != "requires_payment_method" || in.LastPaymentError.DeclineCode != "insufficient_funds" ||
			in.LastPaymentError.PaymentMethod.Card.Last4 != "9995" || se.Status != "open" {
			t.Fatalf("intent %+v, %v, session %s", in, err, se.Status)
		}
		pay(t, sim, se.ID)
		in, _ = api.PaymentIntents.Get(first, nil)
		if in.Status != "succeeded" || in.LastPaymentError != nil {
			t.Errorf("intent %+v", in)
		}
		want := "payment_intent.created charge.failed payment_intent.payment_failed " +
			"charge.succeeded payment_intent.succeeded checkout.session.completed"
		if got := eventTypes(sim, ""); got != want {
			t.Errorf("events %s", got)
		}
		p := &stripe.ChargeListParams{PaymentIntent: &first}
		charges := api.Charges.List(p)
		var states []string
		for charges.Next() {
			states = append(states, string(charges.Charge().Status))
		}
		if strings.Join(states, " ") != "succeeded failed" || len(sim.BalanceTransactions("")) != 1 {
			t.Errorf("charges %v", states)
		}
	})

	t.Run("makes nothing of a number that is no test card", func(t *testing.T) {
		sim, api := start(t, stripesim.Config{})
		se := create(t, api, donation(2000))
		for card, code := range map[stripesim.Card]string{
			"4242424242424241": "incorrect_number", "12": "incorrect_number", "4929000000006": "card_declined", "": "incorrect_number",
		} {
			var declined *stripesim.DeclinedError
			if err := sim.Pay(se.ID, card); !errors.As(err, &declined) || declined.Code != code {
				t.Errorf("%s: %v", card, err)
			}
		}
		if got := eventTypes(sim, ""); got != "" {
			t.Errorf("events %s", got)
		}
	})

	t.Run("refuses a session that is paid, expired or unknown", func(t *testing.T) {
		sim, api := start(t, stripesim.Config{})
		paid, expired := create(t, api, donation(2000)).ID, create(t, api, donation(2000)).ID
		pay(t, sim, paid)
		if err := sim.Expire(expired); err != nil {
			t.Fatal(err)
		}
		for id, status := range map[string]string{paid: "complete", expired: "expired", "cs_test_none": ""} {
			var e *stripesim.SessionError
			if err := sim.Pay(id, stripesim.CardOK); !errors.As(err, &e) || e.Status != status {
				t.Errorf("pay %s: %v", id, err)
			}
			if err := sim.Expire(id); !errors.As(err, &e) || e.Status != status {
				t.Errorf("expire %s: %v", id, err)
			}
		}
		if n := len(sim.BalanceTransactions("")); n != 1 {
			t.Errorf("%d balance transactions", n)
		}
	})
}

func TestLateFee(t *testing.T) {
	clock := stripesim.NewClockAt(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	clock.Freeze()
	sim, api := start(t, stripesim.Config{Clock: clock, FeeDelay: time.Minute})
	first := create(t, api, donation(2000))
	pay(t, sim, first.ID)
	charged := clock.Now().Truncate(time.Second)

	t.Run("is not there with the charge", func(t *testing.T) {
		for _, e := range sim.Events("") {
			var got struct {
				Data struct {
					Object struct {
						Balance json.RawMessage `json:"balance_transaction"`
					} `json:"object"`
				} `json:"data"`
			}
			if err := json.Unmarshal(e.Payload, &got); err != nil {
				t.Fatal(err)
			}
			if e.Type == "charge.succeeded" && string(got.Data.Object.Balance) != "null" {
				t.Errorf("balance transaction %s", got.Data.Object.Balance)
			}
		}
		if n := len(sim.BalanceTransactions("")); n != 0 {
			t.Errorf("%d balance transactions", n)
		}
	})

	t.Run("arrives on the clock with charge.updated, and bears the charge's time", func(t *testing.T) {
		clock.Advance(time.Hour)
		if got := eventTypes(sim, ""); got != donationEvents+" charge.updated" {
			t.Fatalf("events %s", got)
		}
		events := sim.Events("")
		updated := events[len(events)-1]
		if !updated.Created.Equal(charged.Add(time.Minute)) {
			t.Errorf("updated at %v", updated.Created)
		}
		if !strings.Contains(string(updated.Payload), `"previous_attributes": {
      "balance_transaction": null
    }`) {
			t.Errorf("payload %s", updated.Payload)
		}
		if got := sim.BalanceTransactions("")[0].Created; !got.Equal(charged) {
			t.Errorf("created %v, charged %v", got, charged)
		}
	})

	t.Run("can be missed by a listing that looks only after the newest", func(t *testing.T) {
		late := create(t, api, donation(1000))
		pay(t, sim, late.ID)
		clock.Advance(30 * time.Second)
		early := create(t, api, donation(3000))
		pay(t, sim, early.ID)
		sim.SettleFees() // both arrive now
		p := &stripe.BalanceTransactionListParams{CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: clock.Now().Unix()}}
		i, n := api.BalanceTransactions.List(p), 0
		for i.Next() {
			n++
		}
		if all := len(sim.BalanceTransactions("")); n != 1 || all != 3 {
			t.Errorf("%d of %d are listed", n, all)
		}
		clock.Advance(time.Hour) // nothing comes twice
		if all := len(sim.BalanceTransactions("")); all != 3 {
			t.Errorf("%d balance transactions", all)
		}
	})

	t.Run("becomes available after a week", func(t *testing.T) {
		balance, err := api.Balance.Get(nil)
		if err != nil || balance.Available[0].Amount != 0 || balance.Pending[0].Amount != 2000+1000+3000-55-40-70 {
			t.Errorf("got %+v, %v", balance, err)
		}
		clock.Advance(7 * 24 * time.Hour)
		balance, err = api.Balance.Get(nil)
		if err != nil || balance.Available[0].Amount != 5835 || balance.Pending[0].Amount != 0 {
			t.Errorf("got %+v, %v", balance, err)
		}
	})
}

func TestAccounts(t *testing.T) {
	sim, api := start(t, stripesim.Config{})
	sim.AddAccount(connected)
	p := donation(2000)
	p.SetStripeAccount(connected)
	se := create(t, api, p)
	pay(t, sim, se.ID)

	t.Run("do not see each other's objects", func(t *testing.T) {
		if _, err := api.CheckoutSessions.Get(se.ID, nil); stripeError(t, err).HTTPStatusCode != 404 {
			t.Error(err)
		}
		if len(sim.Sessions("")) != 0 || len(sim.Sessions(connected)) != 1 || len(sim.BalanceTransactions("")) != 0 ||
			len(sim.BalanceTransactions(connected)) != 1 || eventTypes(sim, "") != "" {
			t.Error("something is in the wrong world")
		}
		events := sim.Events(connected)
		if !strings.Contains(string(events[0].Payload), `"account": "`+connected+`"`) {
			t.Errorf("payload %s", events[0].Payload)
		}
	})
	t.Run("must be registered", func(t *testing.T) {
		p := donation(2000)
		p.SetStripeAccount("acct_unknown")
		_, err := api.CheckoutSessions.New(p)
		if e := stripeError(t, err); e.HTTPStatusCode != 403 || e.Code != stripe.ErrorCodeAccountInvalid {
			t.Errorf("got %+v", e)
		}
		if sim.Sessions("acct_unknown") != nil {
			t.Error("an unknown account has sessions")
		}
	})
	t.Run("can be looked at", func(t *testing.T) {
		own, err := api.Accounts.Get()
		if err != nil || own.ID != sim.Account() || !own.ChargesEnabled {
			t.Errorf("got %+v, %v", own, err)
		}
		other, err := api.Accounts.GetByID(connected, nil)
		if err != nil || other.ID != connected {
			t.Errorf("got %+v, %v", other, err)
		}
		_, err = api.Accounts.GetByID("acct_unknown", nil)
		if e := stripeError(t, err); e.HTTPStatusCode != 403 {
			t.Errorf("got %+v", e)
		}
	})
}

func TestEvents(t *testing.T) {
	clock := stripesim.NewClockAt(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	clock.Freeze()
	hook := receive(t, secret, nil)
	sim, api := start(t, stripesim.Config{Clock: clock, Endpoints: []stripesim.Endpoint{hook.endpoint()}})
	pay(t, sim, create(t, api, donation(2000)).ID)
	waitDelivered(t, sim)
	sim.SetDelivery(stripesim.Delivery{Drop: true})
	if err := sim.Expire(create(t, api, donation(2000)).ID); err != nil {
		t.Fatal(err)
	}

	list := func(p *stripe.EventListParams) string {
		var types []string
		i := api.Events.List(p)
		for i.Next() {
			types = append(types, string(i.Event().Type))
		}
		if i.Err() != nil {
			t.Fatal(i.Err())
		}
		return strings.Join(types, " ")
	}
	for rule, tc := range map[string]struct {
		params *stripe.EventListParams
		want   string
	}{
		"newest first":             {&stripe.EventListParams{}, "checkout.session.expired checkout.session.completed payment_intent.succeeded charge.succeeded payment_intent.created"},
		"by type":                  {&stripe.EventListParams{Type: stripe.String("charge.succeeded")}, "charge.succeeded"},
		"by a group":               {&stripe.EventListParams{Type: stripe.String("payment_intent.*")}, "payment_intent.succeeded payment_intent.created"},
		"by types":                 {&stripe.EventListParams{Types: stripe.StringSlice([]string{"charge.succeeded", "checkout.session.expired"})}, "checkout.session.expired charge.succeeded"},
		"those that never arrived": {&stripe.EventListParams{DeliverySuccess: stripe.Bool(false)}, "checkout.session.expired"},
	} {
		t.Run("are listed "+rule, func(t *testing.T) {
			if got := list(tc.params); got != tc.want {
				t.Errorf("got %s", got)
			}
		})
	}
	t.Run("are got one by one", func(t *testing.T) {
		id := sim.Events("")[0].ID
		e, err := api.Events.Get(id, nil)
		if err != nil || e.APIVersion != "2023-10-16" || e.PendingWebhooks != 0 || e.Request.IdempotencyKey == "" {
			t.Errorf("got %+v, %v", e, err)
		}
	})
	t.Run("are gone after thirty days", func(t *testing.T) {
		clock.Advance(31 * 24 * time.Hour)
		if got := list(&stripe.EventListParams{}); got != "" {
			t.Errorf("got %s", got)
		}
	})
}

package stripesim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"
)

func TestSession(t *testing.T) {
	clock := stripesim.NewClockAt(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	clock.Freeze()
	sim, api := start(t, stripesim.Config{BaseURL: "http://pay.test/", Clock: clock})

	t.Run("is created open, unpaid and without an intent", func(t *testing.T) {
		se := create(t, api, donation(2000))
		if se.Status != "open" || se.PaymentStatus != "unpaid" || se.PaymentIntent != nil || se.Livemode {
			t.Errorf("got status %s, %s, intent %v", se.Status, se.PaymentStatus, se.PaymentIntent)
		}
		if se.AmountTotal != 2000 || se.Currency != "eur" || se.Metadata["cagnotte"] != "session" || se.Locale != "fr" {
			t.Errorf("got %+v", se)
		}
		if want := "http://pay.test/pay/" + se.ID; se.URL != want {
			t.Errorf("got URL %s, want %s", se.URL, want)
		}
		if se.ExpiresAt-se.Created != 24*3600 || se.Created != clock.Now().Unix() {
			t.Errorf("created %d, expires %d", se.Created, se.ExpiresAt)
		}
		if !strings.HasPrefix(se.ID, "cs_test_") {
			t.Errorf("id %s", se.ID)
		}
	})

	t.Run("shows its line items when asked", func(t *testing.T) {
		p := donation(1500)
		p.LineItems[0].Quantity = stripe.Int64(2)
		p.AddExpand("line_items")
		se := create(t, api, p)
		if se.AmountTotal != 3000 || len(se.LineItems.Data) != 1 || se.LineItems.Data[0].Price.UnitAmount != 1500 {
			t.Errorf("got %d, %+v", se.AmountTotal, se.LineItems)
		}
		if again, err := api.CheckoutSessions.Get(se.ID, nil); err != nil || again.LineItems != nil || again.AmountTotal != 3000 {
			t.Errorf("got %+v, %v", again, err)
		}
		list := api.CheckoutSessions.ListLineItems(&stripe.CheckoutSessionListLineItemsParams{Session: &se.ID})
		if !list.Next() || list.LineItem().Description != "Vallon contre caméras" || list.Next() || list.Err() != nil {
			t.Errorf("line items: %v", list.Err())
		}
	})

	t.Run("expires once, by the API", func(t *testing.T) {
		se := create(t, api, donation(2000))
		done, err := api.CheckoutSessions.Expire(se.ID, nil)
		if err != nil || done.Status != "expired" || done.URL != "" {
			t.Fatalf("got %+v, %v", done, err)
		}
		_, err = api.CheckoutSessions.Expire(se.ID, nil)
		if e := stripeError(t, err); e.HTTPStatusCode != 400 || e.Type != stripe.ErrorTypeInvalidRequest ||
			!strings.Contains(e.Msg, `"expired"`) {
			t.Errorf("got %+v", e)
		}
	})

	t.Run("expires when its time is over, not before", func(t *testing.T) {
		p := donation(2000)
		p.ExpiresAt = stripe.Int64(clock.Now().Add(30 * time.Minute).Unix())
		se := create(t, api, p)
		clock.Advance(30*time.Minute - time.Second)
		if got, _ := api.CheckoutSessions.Get(se.ID, nil); got.Status != "open" {
			t.Errorf("a second before: %s", got.Status)
		}
		clock.Advance(time.Hour)
		events := sim.Events("")
		last := events[len(events)-1]
		if last.Type != "checkout.session.expired" || last.ObjectID != se.ID || last.Created.Unix() != se.ExpiresAt {
			t.Errorf("got %s at %v, want its expiry at %d", last.Type, last.Created, se.ExpiresAt)
		}
	})

	t.Run("is unknown under another id", func(t *testing.T) {
		_, err := api.CheckoutSessions.Get("cs_test_nothing", nil)
		if e := stripeError(t, err); e.HTTPStatusCode != 404 || e.Code != stripe.ErrorCodeResourceMissing || e.RequestID == "" {
			t.Errorf("got %+v", e)
		}
	})
}

func TestSessionParameters(t *testing.T) {
	now := time.Now()
	for _, tc := range []struct {
		rule        string
		change      func(*stripe.CheckoutSessionParams)
		code, param string
	}{
		{"a success URL is required", func(p *stripe.CheckoutSessionParams) { p.SuccessURL = nil }, "parameter_missing", "success_url"},
		{"a URL is absolute", func(p *stripe.CheckoutSessionParams) { p.CancelURL = stripe.String("/c") }, "url_invalid", "cancel_url"},
		{"a mode is required", func(p *stripe.CheckoutSessionParams) { p.Mode = nil }, "parameter_missing", "mode"},
		{"the mode is known", func(p *stripe.CheckoutSessionParams) { p.Mode = stripe.String("donation") }, "", "mode"},
		{"line items are required", func(p *stripe.CheckoutSessionParams) { p.LineItems = nil }, "parameter_missing", "line_items"},
		{
			"a quantity is required", func(p *stripe.CheckoutSessionParams) { p.LineItems[0].Quantity = nil },
			"parameter_missing", "line_items[0][quantity]",
		},
		{
			"a product has a name", func(p *stripe.CheckoutSessionParams) { p.LineItems[0].PriceData.ProductData.Name = nil },
			"parameter_missing", "line_items[0][price_data][product_data]",
		},
		{
			"49 cents are too little", func(p *stripe.CheckoutSessionParams) { p.LineItems[0].PriceData.UnitAmount = stripe.Int64(49) },
			"amount_too_small", "",
		},
		{
			"nine digits are too much", func(p *stripe.CheckoutSessionParams) {
				p.LineItems[0].PriceData.UnitAmount = stripe.Int64(99_999_999)
				p.LineItems[0].Quantity = stripe.Int64(2)
			},
			"amount_too_large", "",
		},
		{
			"a negative amount is none", func(p *stripe.CheckoutSessionParams) { p.LineItems[0].PriceData.UnitAmount = stripe.Int64(-1) },
			"parameter_invalid_integer", "line_items[0][price_data][unit_amount]",
		},
		{
			"the currency is known", func(p *stripe.CheckoutSessionParams) { p.LineItems[0].PriceData.Currency = stripe.String("xxx") },
			"", "line_items[0][price_data][currency]",
		},
		{"the locale is known", func(p *stripe.CheckoutSessionParams) { p.Locale = stripe.String("oc") }, "", "locale"},
		{
			"29 minutes are too short", func(p *stripe.CheckoutSessionParams) {
				p.ExpiresAt = stripe.Int64(now.Add(28 * time.Minute).Unix())
			},
			"", "expires_at",
		},
		{
			"a day is the longest", func(p *stripe.CheckoutSessionParams) {
				p.ExpiresAt = stripe.Int64(now.Add(24*time.Hour + 2*time.Minute).Unix())
			},
			"", "expires_at",
		},
		{
			"a reference has 200 characters", func(p *stripe.CheckoutSessionParams) {
				p.ClientReferenceID = stripe.String(strings.Repeat("é", 201))
			},
			"", "client_reference_id",
		},
		{
			"metadata has 50 keys", func(p *stripe.CheckoutSessionParams) {
				for i := range 50 {
					p.AddMetadata(fmt.Sprint("key", i), "v")
				}
			},
			"", "metadata",
		},
		{
			"a metadata key has 40 characters", func(p *stripe.CheckoutSessionParams) { p.AddMetadata(strings.Repeat("k", 41), "v") },
			"", "metadata[" + strings.Repeat("k", 41) + "]",
		},
		{
			"a metadata value has 500 characters", func(p *stripe.CheckoutSessionParams) { p.AddMetadata("k", strings.Repeat("v", 501)) },
			"", "metadata[k]",
		},
		{
			"submit_type belongs to payment mode", func(p *stripe.CheckoutSessionParams) {
				p.Mode, p.PaymentIntentData = stripe.String("subscription"), nil
			},
			"", "submit_type",
		},
		{
			"a bank statement takes no such character", func(p *stripe.CheckoutSessionParams) {
				p.PaymentIntentData = &stripe.CheckoutSessionPaymentIntentDataParams{StatementDescriptorSuffix: stripe.String("DON*")}
			},
			"", "payment_intent_data[statement_descriptor_suffix]",
		},
		{
			"a bank statement is in Latin characters", func(p *stripe.CheckoutSessionParams) {
				p.PaymentIntentData = &stripe.CheckoutSessionPaymentIntentDataParams{StatementDescriptorSuffix: stripe.String("ÉTÉ")}
			},
			"", "payment_intent_data[statement_descriptor_suffix]",
		},
		{
			"a bank statement has a letter", func(p *stripe.CheckoutSessionParams) {
				p.PaymentIntentData = &stripe.CheckoutSessionPaymentIntentDataParams{StatementDescriptorSuffix: stripe.String("2026")}
			},
			"", "payment_intent_data[statement_descriptor_suffix]",
		},
		{
			"a bank statement has 22 characters", func(p *stripe.CheckoutSessionParams) {
				p.PaymentIntentData = &stripe.CheckoutSessionPaymentIntentDataParams{StatementDescriptorSuffix: stripe.String(strings.Repeat("A", 23))}
			},
			"", "payment_intent_data[statement_descriptor_suffix]",
		},
		{
			"payment_intent_data belongs to payment mode", func(p *stripe.CheckoutSessionParams) { p.Mode = stripe.String("setup") },
			"", "payment_intent_data",
		},
		{
			"an unknown parameter is named", func(p *stripe.CheckoutSessionParams) { p.AddExtra("donor[name]", "x") },
			"parameter_unknown", "donor",
		},
		{
			"an unknown nested parameter is named", func(p *stripe.CheckoutSessionParams) { p.AddExtra("line_items[0][prise]", "x") },
			"parameter_unknown", "line_items[0][prise]",
		},
		{
			"an empty value unsets nothing here", func(p *stripe.CheckoutSessionParams) { p.CancelURL = stripe.String("") },
			"parameter_invalid_empty", "cancel_url",
		},
		{
			"what is not simulated is refused", func(p *stripe.CheckoutSessionParams) { p.Customer = stripe.String("cus_1") },
			"", "customer",
		},
		{"only what exists is expanded", func(p *stripe.CheckoutSessionParams) { p.AddExpand("donor") }, "", "expand"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			sim, api := start(t, stripesim.Config{})
			p := donation(2000)
			tc.change(p)
			_, err := api.CheckoutSessions.New(p)
			e := stripeError(t, err)
			if e.HTTPStatusCode != 400 || string(e.Code) != tc.code || e.Param != tc.param {
				t.Errorf("got %d code %q param %q (%s), want 400 %q %q", e.HTTPStatusCode, e.Code, e.Param, e.Msg, tc.code, tc.param)
			}
			if tc.code != "" && e.DocURL == "" {
				t.Error("a code has a page that explains it")
			}
			if n := len(sim.Sessions("")); n != 0 {
				t.Errorf("%d sessions were made", n)
			}
		})
	}

	for rule, change := range map[string]func(*stripe.CheckoutSessionParams){
		"50 cents are enough": func(p *stripe.CheckoutSessionParams) { p.LineItems[0].PriceData.UnitAmount = stripe.Int64(50) },
		"50 yen are 50 whole yen": func(p *stripe.CheckoutSessionParams) {
			p.LineItems[0].PriceData.Currency, p.LineItems[0].PriceData.UnitAmount = stripe.String("JPY"), stripe.Int64(50)
		},
		"30 minutes less a clock's difference": func(p *stripe.CheckoutSessionParams) {
			p.ExpiresAt = stripe.Int64(now.Add(30*time.Minute - 30*time.Second).Unix())
		},
		"50 metadata keys of 40 and 500": func(p *stripe.CheckoutSessionParams) {
			for i := range 49 {
				p.AddMetadata(fmt.Sprintf("%040d", i), strings.Repeat("é", 500))
			}
		},
	} {
		t.Run("accepts "+rule, func(t *testing.T) {
			_, api := start(t, stripesim.Config{})
			p := donation(2000)
			change(p)
			create(t, api, p)
		})
	}
}

func TestLists(t *testing.T) {
	clock := stripesim.NewClockAt(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	clock.Freeze()
	sim, api := start(t, stripesim.Config{Clock: clock})
	var ids []string // newest first
	for range 25 {
		se := create(t, api, donation(2000))
		pay(t, sim, se.ID)
		ids = append([]string{se.ID}, ids...)
		clock.Advance(time.Second)
	}

	sessions := func(p *stripe.CheckoutSessionListParams) (got []string) {
		i := api.CheckoutSessions.List(p)
		for i.Next() {
			got = append(got, i.CheckoutSession().ID)
		}
		if i.Err() != nil {
			t.Fatal(i.Err())
		}
		return got
	}
	equal := func(t *testing.T, got, want []string) {
		t.Helper()
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("got %d: %v\nwant %d: %v", len(got), got, len(want), want)
		}
	}
	t.Run("come newest first, over pages", func(t *testing.T) {
		p := &stripe.CheckoutSessionListParams{}
		p.Limit = stripe.Int64(7)
		equal(t, sessions(p), ids)
	})
	t.Run("walk back from a cursor", func(t *testing.T) {
		p := &stripe.CheckoutSessionListParams{}
		p.EndingBefore, p.Limit, p.Single = &ids[9], stripe.Int64(4), true
		// The client walks a page read with ending_before from its end.
		equal(t, sessions(p), []string{ids[8], ids[7], ids[6], ids[5]})
	})
	t.Run("are ten when nothing is said", func(t *testing.T) {
		p := &stripe.CheckoutSessionListParams{}
		p.Single = true
		equal(t, sessions(p), ids[:10])
	})
	t.Run("keep to a time range", func(t *testing.T) {
		from := clock.Now().Add(-5 * time.Second).Unix()
		p := &stripe.CheckoutSessionListParams{CreatedRange: &stripe.RangeQueryParams{GreaterThan: from, LesserThanOrEqual: from + 3}}
		equal(t, sessions(p), ids[1:4])
	})
	t.Run("find a session by its intent", func(t *testing.T) {
		se, err := api.CheckoutSessions.Get(ids[3], nil)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, sessions(&stripe.CheckoutSessionListParams{PaymentIntent: &se.PaymentIntent.ID}), ids[3:4])
	})
	t.Run("go on behind a cursor within a time range, and expand a session's payment down to the money", func(t *testing.T) {
		p := &stripe.CheckoutSessionListParams{CreatedRange: &stripe.RangeQueryParams{
			GreaterThanOrEqual: clock.Now().Add(-20 * time.Second).Unix(), LesserThanOrEqual: clock.Now().Add(-10 * time.Second).Unix(),
		}}
		p.Limit, p.Single, p.StartingAfter = stripe.Int64(100), true, &ids[12]
		p.AddExpand("data.payment_intent.latest_charge.balance_transaction")
		equal(t, sessions(p), ids[13:20])
		i := api.CheckoutSessions.List(p)
		for i.Next() {
			if moved := i.CheckoutSession().PaymentIntent.LatestCharge.BalanceTransaction; moved.Amount != 2000 {
				t.Errorf("got %+v", moved)
			}
		}
	})
	t.Run("refuse an unknown cursor and a limit over 100", func(t *testing.T) {
		p := &stripe.BalanceTransactionListParams{}
		p.StartingAfter = stripe.String("txn_none")
		if e := stripeError(t, drain(api, p)); e.Code != stripe.ErrorCodeResourceMissing || e.Param != "starting_after" {
			t.Errorf("got %+v", e)
		}
		p = &stripe.BalanceTransactionListParams{}
		p.Limit = stripe.Int64(101)
		if e := stripeError(t, drain(api, p)); e.Code != stripe.ErrorCodeParameterInvalidInteger || e.Param != "limit" {
			t.Errorf("got %+v", e)
		}
	})
	t.Run("expand what they list, in depth", func(t *testing.T) {
		p := &stripe.BalanceTransactionListParams{Type: stripe.String("charge")}
		p.Limit = stripe.Int64(100)
		p.AddExpand("data.source.payment_intent.latest_charge")
		i, n := api.BalanceTransactions.List(p), 0
		for i.Next() {
			n++
			if in := i.BalanceTransaction().Source.Charge.PaymentIntent; in.Metadata["donation"] != "d1" || in.LatestCharge.Amount != 2000 {
				t.Fatalf("got %+v", in)
			}
		}
		if i.Err() != nil || n != 25 {
			t.Errorf("%d, %v", n, i.Err())
		}
		p = &stripe.BalanceTransactionListParams{}
		p.AddExpand("source")
		if e := stripeError(t, drain(api, p)); !strings.Contains(e.Msg, "data.source") {
			t.Errorf("got %s", e.Msg)
		}
	})
}

func drain(api *client.API, p *stripe.BalanceTransactionListParams) error {
	i := api.BalanceTransactions.List(p)
	for i.Next() {
	}
	return i.Err()
}

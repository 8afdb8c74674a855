package stripesim_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"
)

// charged pays 20 € and returns the charge's id.
func charged(t *testing.T, sim *stripesim.Sim, api *client.API) string {
	t.Helper()
	se := create(t, api, donation(2000))
	pay(t, sim, se.ID)
	for _, s := range sim.Sessions("") {
		if s.ID == se.ID {
			return s.ChargeID
		}
	}
	t.Fatal("no session")
	return ""
}

func refundOf(charge string, amount int64) *stripe.RefundParams {
	p := &stripe.RefundParams{Charge: &charge}
	if amount != 0 {
		p.Amount = &amount
	}
	return p
}

// lastEvents are the types of the last n.
func lastEvents(sim *stripesim.Sim, n int) string {
	types := strings.Fields(eventTypes(sim, ""))
	return strings.Join(types[max(0, len(types)-n):], " ")
}

func sumOf(sim *stripesim.Sim) (net int64) {
	for _, b := range sim.BalanceTransactions("") {
		net += b.NetMinor
	}
	return net
}

func TestRefundsOfCharges(t *testing.T) {
	sim, api := start(t, stripesim.Config{})

	t.Run("come in parts, and refuse what is not left in Stripe's words", func(t *testing.T) {
		charge := charged(t, sim, api)
		r, err := api.Refunds.New(refundOf(charge, 500))
		if err != nil {
			t.Fatal(err)
		}
		if r.Status != "succeeded" || r.Amount != 500 || r.Charge.ID != charge || r.BalanceTransaction == nil || r.PaymentIntent == nil {
			t.Errorf("got %+v", r)
		}
		if got := lastEvents(sim, 2); got != "refund.created charge.refunded" {
			t.Errorf("events %s", got)
		}
		_, err = api.Refunds.New(refundOf(charge, 1501))
		if e := stripeError(t, err); e.HTTPStatusCode != 400 || e.Param != "amount" || e.Code != "" {
			t.Errorf("too much: %+v", e)
		}
		if _, err = api.Refunds.New(refundOf(charge, 0)); err != nil {
			t.Fatal(err)
		}
		_, err = api.Refunds.New(refundOf(charge, 0))
		if e := stripeError(t, err); e.HTTPStatusCode != 400 || e.Code != "charge_already_refunded" ||
			e.Msg != "Charge "+charge+" has already been refunded." {
			t.Errorf("twice: %+v", e)
		}
		ch, err := api.Charges.Get(charge, nil)
		if err != nil || ch.AmountRefunded != 2000 || !ch.Refunded {
			t.Errorf("%+v, %v", ch, err)
		}
		list := api.Refunds.List(&stripe.RefundListParams{Charge: &charge})
		n := 0
		for list.Next() {
			n++
		}
		if n != 2 || list.Err() != nil {
			t.Errorf("%d refunds listed, %v", n, list.Err())
		}
	})

	t.Run("say what is missing", func(t *testing.T) {
		_, err := api.Refunds.New(&stripe.RefundParams{})
		if e := stripeError(t, err); e.Code != "parameter_missing" {
			t.Errorf("nothing: %+v", e)
		}
		_, err = api.Refunds.New(refundOf("ch_none", 0))
		if e := stripeError(t, err); e.HTTPStatusCode != 404 || e.Code != "resource_missing" {
			t.Errorf("no charge: %+v", e)
		}
		_, err = api.Refunds.Get("re_none", nil)
		if e := stripeError(t, err); e.HTTPStatusCode != 404 {
			t.Errorf("no refund: %+v", e)
		}
	})

	t.Run("wait for money, then go through", func(t *testing.T) {
		charge := charged(t, sim, api)
		if err := sim.SetLowBalance("", true); err != nil {
			t.Fatal(err)
		}
		before := sumOf(sim)
		r, err := api.Refunds.New(refundOf(charge, 2000))
		if err != nil || r.Status != "pending" || r.BalanceTransaction != nil || sumOf(sim) != before {
			t.Fatalf("%+v, %v", r, err)
		}
		if err := sim.SetLowBalance("", false); err != nil {
			t.Fatal(err)
		}
		if r, err = api.Refunds.Get(r.ID, nil); err != nil || r.Status != "succeeded" || sumOf(sim) != before-2000 {
			t.Errorf("%+v, %v", r, err)
		}
		if got := lastEvents(sim, 2); got != "charge.refund.updated refund.updated" {
			t.Errorf("events %s", got)
		}
	})

	t.Run("fail after they succeeded, and bring the money back", func(t *testing.T) {
		charge := charged(t, sim, api)
		before := sumOf(sim)
		id, err := sim.Refund(charge, 700)
		if err != nil {
			t.Fatal(err)
		}
		if err := sim.FailRefund(id, "lost_or_stolen_card"); err != nil {
			t.Fatal(err)
		}
		r, err := api.Refunds.Get(id, nil)
		if err != nil || r.Status != "failed" || r.FailureReason != "lost_or_stolen_card" || r.FailureBalanceTransaction == nil {
			t.Errorf("%+v, %v", r, err)
		}
		last := sim.BalanceTransactions("")[len(sim.BalanceTransactions(""))-1]
		if last.Type != "refund_failure" || last.AmountMinor != 700 || last.SourceID != id || sumOf(sim) != before {
			t.Errorf("got %+v", last)
		}
		if ch, err := api.Charges.Get(charge, nil); err != nil || ch.AmountRefunded != 0 {
			t.Errorf("%+v, %v", ch, err)
		}
		if got := lastEvents(sim, 3); got != "refund.failed charge.refund.updated refund.updated" {
			t.Errorf("events %s", got)
		}
		if err := sim.FailRefund(id, "unknown"); err == nil {
			t.Error("it fails twice")
		}
	})

	t.Run("bring a part of the fee back with a negative fee", func(t *testing.T) {
		if err := sim.SetRefundedFee("", 100); err != nil {
			t.Fatal(err)
		}
		id, err := sim.Refund(charged(t, sim, api), 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range sim.BalanceTransactions("") {
			if b.SourceID == id && (b.FeeMinor != -27 || b.NetMinor != b.AmountMinor-b.FeeMinor) {
				t.Errorf("got %+v", b)
			}
		}
	})
}

func TestDisputesOfCharges(t *testing.T) {
	sim, api := start(t, stripesim.Config{})

	t.Run("withdraw the money and a fee, bar refunds, and give both back when won", func(t *testing.T) {
		charge := charged(t, sim, api)
		before := sumOf(sim)
		id, err := sim.Dispute(charge, stripesim.Disputed{})
		if err != nil {
			t.Fatal(err)
		}
		d, err := api.Disputes.Get(id, nil)
		if err != nil || d.Status != "needs_response" || d.Amount != 2000 || d.IsChargeRefundable || len(d.BalanceTransactions) != 1 {
			t.Fatalf("%+v, %v", d, err)
		}
		b := d.BalanceTransactions[0]
		if b.Amount != -2000 || b.Fee != 1500 || b.Net != -3500 || b.Type != "adjustment" || b.ReportingCategory != "dispute" || b.Source.ID != id {
			t.Errorf("withdrawn %+v", b)
		}
		if got := lastEvents(sim, 2); got != "charge.dispute.created charge.dispute.funds_withdrawn" {
			t.Errorf("events %s", got)
		}
		_, err = api.Refunds.New(refundOf(charge, 0))
		if e := stripeError(t, err); e.HTTPStatusCode != 400 || e.Code != "charge_disputed" ||
			e.Msg != "Charge "+charge+" has been charged back; cannot issue a refund." {
			t.Errorf("refund: %+v", e)
		}
		if _, err := sim.Dispute(charge, stripesim.Disputed{}); err == nil {
			t.Error("it is disputed twice")
		}
		if err := sim.SubmitEvidence(id, "winning_evidence"); err != nil {
			t.Fatal(err)
		}
		if err := sim.CloseDispute(id, true, true); err != nil {
			t.Fatal(err)
		}
		d, err = api.Disputes.Get(id, nil)
		if err != nil || d.Status != "won" || !d.IsChargeRefundable || len(d.BalanceTransactions) != 2 ||
			d.BalanceTransactions[1].Fee != -1500 || d.BalanceTransactions[1].ReportingCategory != "dispute_reversal" || sumOf(sim) != before {
			t.Errorf("%+v, %v", d, err)
		}
		if got := lastEvents(sim, 2); got != "charge.dispute.closed charge.dispute.funds_reinstated" {
			t.Errorf("events %s", got)
		}
		if ch, err := api.Charges.Get(charge, nil); err != nil || !ch.Disputed {
			t.Errorf("%+v, %v", ch, err)
		}
	})

	t.Run("move no money when they are prevented, and ask nothing", func(t *testing.T) {
		charge := charged(t, sim, api)
		before := sumOf(sim)
		id, err := sim.Dispute(charge, stripesim.Disputed{Prevented: true})
		if err != nil {
			t.Fatal(err)
		}
		d, err := api.Disputes.Get(id, nil)
		if err != nil || d.Status != "prevented" || len(d.BalanceTransactions) != 0 || d.EvidenceDetails.DueBy != 0 || d.IsChargeRefundable || sumOf(sim) != before {
			t.Errorf("%+v, %v", d, err)
		}
		if err := sim.CloseDispute(id, true, false); err == nil {
			t.Error("it is won")
		}
	})

	t.Run("take what was refunded once more", func(t *testing.T) {
		charge := charged(t, sim, api)
		before := sumOf(sim)
		if _, err := sim.Refund(charge, 0); err != nil {
			t.Fatal(err)
		}
		id, err := sim.Dispute(charge, stripesim.Disputed{})
		if err != nil {
			t.Fatal(err)
		}
		if err := sim.CloseDispute(id, false, false); err != nil {
			t.Fatal(err)
		}
		if got := sumOf(sim) - before; got != -2000-2000-1500 {
			t.Errorf("moved %d", got)
		}
	})

	t.Run("give the money back under review, and once only", func(t *testing.T) {
		for won, want := range map[bool]int64{true: -1500, false: -2000 - 1500} {
			charge := charged(t, sim, api)
			before := sumOf(sim)
			id, err := sim.Dispute(charge, stripesim.Disputed{})
			if err != nil {
				t.Fatal(err)
			}
			if err := sim.ReinstateDispute(id); err == nil {
				t.Error("it is not under review")
			}
			if err := sim.SubmitEvidence(id, "evidence"); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := sim.ReinstateDispute(id); err != nil {
					t.Fatal(err)
				}
			}
			if d, err := api.Disputes.Get(id, nil); err != nil || d.Status != "under_review" || sumOf(sim)-before != -1500 {
				t.Errorf("%+v, %v: moved %d", d, err, sumOf(sim)-before)
			}
			if err := sim.CloseDispute(id, won, false); err != nil {
				t.Fatal(err)
			}
			if got := sumOf(sim) - before; got != want {
				t.Errorf("won %v: moved %d, want %d", won, got, want)
			}
		}
	})

	t.Run("begin as inquiries without money, which can grow", func(t *testing.T) {
		before := sumOf(sim)
		charge := charged(t, sim, api)
		id, err := sim.Dispute(charge, stripesim.Disputed{Inquiry: true, AmountMinor: 600})
		if err != nil {
			t.Fatal(err)
		}
		if d, err := api.Disputes.Get(id, nil); err != nil || d.Status != "warning_needs_response" || len(d.BalanceTransactions) != 0 || !d.IsChargeRefundable {
			t.Errorf("%+v, %v", d, err)
		}
		if err := sim.CloseDispute(id, true, false); err == nil {
			t.Error("an inquiry is won")
		}
		if err := sim.CloseInquiry(id); err != nil {
			t.Fatal(err)
		}
		if err := sim.EscalateDispute(id); err != nil {
			t.Fatal(err)
		}
		if err := sim.CloseDispute(id, false, false); err != nil {
			t.Fatal(err)
		}
		if got := sumOf(sim) - before; got != 1945-600-1500 {
			t.Errorf("moved %d", got)
		}
	})
}

func TestFraudWarnings(t *testing.T) {
	sim, api := start(t, stripesim.Config{})
	charge := charged(t, sim, api)
	id, err := sim.WarnOfFraud(charge, "")
	if err != nil {
		t.Fatal(err)
	}
	w, err := api.RadarEarlyFraudWarnings.Get(id, nil)
	if err != nil || !w.Actionable || w.Charge.ID != charge || w.FraudType != "made_with_stolen_card" {
		t.Errorf("%+v, %v", w, err)
	}
	if _, err := sim.Refund(charge, 0); err != nil {
		t.Fatal(err)
	}
	if w, err = api.RadarEarlyFraudWarnings.Get(id, nil); err != nil || w.Actionable {
		t.Errorf("wholly refunded: %+v, %v", w, err)
	}
	if got := lastEvents(sim, 1); got != "radar.early_fraud_warning.updated" {
		t.Errorf("events %s", got)
	}
}

func TestRefundsAndDisputesFitTheClient(t *testing.T) {
	sim, url := serve(t, stripesim.Config{})
	api := newClient(url, testKey, 0)
	charge := charged(t, sim, api)
	refund, err := sim.Refund(charge, 500)
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.FailRefund(refund, "declined"); err != nil {
		t.Fatal(err)
	}
	if _, err := sim.Refund(charge, 400); err != nil {
		t.Fatal(err)
	}
	if _, err := sim.WarnOfFraud(charge, ""); err != nil {
		t.Fatal(err)
	}
	dispute, err := sim.Dispute(charge, stripesim.Disputed{})
	if err != nil {
		t.Fatal(err)
	}
	for path, typ := range map[string]reflect.Type{
		"/v1/refunds/" + refund + "?expand[]=balance_transaction&expand[]=charge": reflect.TypeFor[stripe.Refund](),
		"/v1/refunds?charge=" + charge:                                            reflect.TypeFor[stripe.RefundList](),
		"/v1/disputes/" + dispute + "?expand[]=charge":                            reflect.TypeFor[stripe.Dispute](),
		"/v1/disputes?charge=" + charge:                                           reflect.TypeFor[stripe.DisputeList](),
		"/v1/radar/early_fraud_warnings":                                          reflect.TypeFor[stripe.RadarEarlyFraudWarningList](),
		"/v1/charges/" + charge + "?expand[]=refunds":                             reflect.TypeFor[stripe.Charge](),
		"/v1/charges/" + charge + "?expand[]=dispute":                             nil, // stripe-go leaves the member out
		"/v1/balance_transactions?expand[]=data.source":                           nil, // any of several kinds
		"/v1/balance_transactions?source=" + dispute + "&":                        reflect.TypeFor[stripe.BalanceTransactionList](),
	} {
		resp, body := raw(t, http.MethodGet, url+path, "")
		var v any
		if err := json.Unmarshal([]byte(body), &v); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: %d %v %s", path, resp.StatusCode, err, body)
		}
		if typ != nil {
			checkShape(t, path, v, typ)
		}
	}
}

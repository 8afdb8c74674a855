package stripe

import (
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

var refundParams = RefundParams{
	Account: "acct_1", Refund: uuid.MustParse("0190f6c8-0000-7000-8000-000000000002"), Attempt: 1,
	PaymentIntent: "pi_1", AmountMinor: 500, Reason: "requested_by_customer",
}

func TestCreateRefundSays(t *testing.T) {
	var body url.Values
	var account string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		body, _ = url.ParseQuery(string(raw))
		account = r.Header.Get("Stripe-Account")
		_, _ = io.WriteString(w, `{"id":"re_1","object":"refund","amount":500,"currency":"eur","charge":"ch_1","payment_intent":"pi_1",
			"status":"pending","created":1700000000,"metadata":{"refund":"0190f6c8-0000-7000-8000-000000000002"},"reason":null}`)
	})
	got, err := c.CreateRefund(t.Context(), refundParams)
	if err != nil {
		t.Fatal(err)
	}
	// Nothing but an id that says nothing.
	want := url.Values{
		"amount": {"500"}, "payment_intent": {"pi_1"}, "reason": {"requested_by_customer"},
		"metadata[refund]": {"0190f6c8-0000-7000-8000-000000000002"},
	}
	if diff := cmp.Diff(want, body); diff != "" || account != "acct_1" {
		t.Errorf("for %q (-want +got):\n%s", account, diff)
	}
	if diff := cmp.Diff(Refund{
		ID: "re_1", Charge: "ch_1", PaymentIntent: "pi_1", Refund: refundParams.Refund, AmountMinor: 500, Currency: "EUR",
		Status: RefundPending, Created: time.Unix(1700000000, 0).UTC(),
	}, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func TestOneRefundKeyHasOneBody(t *testing.T) {
	var key string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		key = r.Header.Get("Idempotency-Key")
		_, _ = io.WriteString(w, `{"id":"re_1"}`)
	})
	keyOf := func(p RefundParams) string {
		t.Helper()
		if _, err := c.CreateRefund(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if !sayNothing.MatchString(key) {
			t.Errorf("the key is %q", key)
		}
		return key
	}
	first := keyOf(refundParams)
	if keyOf(refundParams) != first {
		t.Error("the same parameters have two keys")
	}
	seen := map[string]string{first: "unchanged"}
	for what, change := range map[string]func(*RefundParams){
		"attempt": func(p *RefundParams) { p.Attempt++ },
		"account": func(p *RefundParams) { p.Account = "" },
		"amount":  func(p *RefundParams) { p.AmountMinor++ },
		"reason":  func(p *RefundParams) { p.Reason = "" },
		"payment": func(p *RefundParams) { p.PaymentIntent += "x" },
		"refund":  func(p *RefundParams) { p.Refund = uuid.New() },
	} {
		p := refundParams
		change(&p)
		if before, taken := seen[keyOf(p)]; taken {
			t.Errorf("%s has the key of %s", what, before)
		}
		seen[key] = what
	}
}

func TestListRefundsReadsAllPages(t *testing.T) {
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query().Get("charge")+" "+r.URL.Query().Get("starting_after"))
		if len(asked) == 1 {
			_, _ = io.WriteString(w, `{"data":[{"id":"re_2","metadata":{"refund":"another product's"}}],"has_more":true}`)
			return
		}
		_, _ = io.WriteString(w, `{"data":[{"id":"re_1","failure_reason":"declined","status":"failed"}],"has_more":false}`)
	})
	all, err := c.ListRefundsOfCharge(t.Context(), "", "ch_1")
	if err != nil || len(all) != 2 || all[0].Refund != uuid.Nil || all[1].FailureReason != "declined" {
		t.Errorf("%+v, %v", all, err)
	}
	if diff := cmp.Diff([]string{"ch_1 ", "ch_1 re_2"}, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestDisputeAmountsComeFromItsBalanceTransactions(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"id":"dp_1","object":"dispute","amount":1000,"currency":"usd","charge":"ch_1","payment_intent":"pi_1",
			"status":"won","reason":"fraudulent","is_charge_refundable":true,"created":1700000000,
			"evidence":{"customer_name":"Somebody"},"evidence_details":{"due_by":1700001000},"balance_transactions":[
			{"id":"txn_1","amount":-920,"fee":1500,"net":-2420,"currency":"eur"},
			{"id":"txn_2","amount":910,"fee":-1500,"net":2410,"currency":"eur"}]}`)
	})
	got, err := c.GetDispute(t.Context(), "", "dp_1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Dispute{
		ID: "dp_1", Charge: "ch_1", PaymentIntent: "pi_1", AmountMinor: 1000, Currency: "USD", Reason: "fraudulent",
		Status: DisputeWon, DueBy: time.Unix(1700001000, 0).UTC(), Refundable: true, WithdrawnMinor: 920, ReinstatedMinor: 910,
		BalanceCurrency: "EUR", Created: time.Unix(1700000000, 0).UTC(),
	}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

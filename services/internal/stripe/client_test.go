package stripe

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/money"
)

// serve returns a client of a server that answers with the handler.
func serve(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := New(Config{APIKey: "rk_test_x", BaseURL: server.URL, Timeout: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestKeys(t *testing.T) {
	for key, want := range map[string]string{
		"sk_live_a": "live", "rk_live_a": "live", "sk_test_a": "test", "rk_test_a": "test",
		"": "", "pk_live_a": "", "sk_livex": "", "whsec_a": "", "sk_": "",
	} {
		c, err := New(Config{APIKey: key})
		switch {
		case want == "" && err == nil:
			t.Errorf("%q is taken for a key", key)
		case want == "":
			if key != "" && strings.Contains(err.Error(), key) && len(key) > 4 {
				t.Errorf("the error prints the key: %v", err)
			}
		case err != nil || c.Livemode() != (want == "live"):
			t.Errorf("%q: %v", key, err)
		}
	}
}

var params = SessionParams{
	Account: "acct_1", Donation: uuid.MustParse("0190f6c8-0000-7000-8000-000000000001"), Attempt: 1,
	Amount: money.Amount{Minor: 2000, Currency: "EUR"}, Title: "Une avocate & plus", Locale: "fr",
	ExpiresAt: time.Unix(1_700_000_000, 0), SuccessURL: "https://a.example/?x=1", CancelURL: "https://a.example/",
}

func TestCreateSessionSays(t *testing.T) {
	var got *http.Request
	var form url.Values
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r
		form, _ = url.ParseQuery(string(body))
		_, _ = io.WriteString(w, `{"id":"cs_1","url":"https://checkout.example/1","status":"open","payment_status":"unpaid","payment_intent":null}`)
	})
	session, err := c.CreateSession(t.Context(), params)
	if err != nil || session.ID != "cs_1" || session.URL == "" || session.Status != SessionOpen {
		t.Fatalf("session = %+v, %v", session, err)
	}
	const id = "0190f6c8-0000-7000-8000-000000000001"
	want := url.Values{
		"mode": {"payment"}, "submit_type": {"donate"}, "customer_creation": {"if_required"}, "locale": {"fr"},
		"client_reference_id": {id}, "metadata[donation]": {id}, "payment_intent_data[metadata][donation]": {id},
		"line_items[0][price_data][currency]": {"eur"}, "line_items[0][price_data][unit_amount]": {"2000"},
		"line_items[0][price_data][product_data][name]": {"Une avocate & plus"}, "line_items[0][quantity]": {"1"},
		"expires_at": {"1700000000"}, "success_url": {"https://a.example/?x=1"}, "cancel_url": {"https://a.example/"},
	}
	if diff := cmp.Diff(want, form); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
	for header, want := range map[string]string{
		"Stripe-Account": "acct_1", "Stripe-Version": APIVersion, "Authorization": "Bearer rk_test_x",
		"X-Stripe-Client-Telemetry": "", "X-Stripe-Client-User-Agent": userAgent,
	} {
		if got.Header.Get(header) != want {
			t.Errorf("%s: %q, want %q", header, got.Header.Get(header), want)
		}
	}
}

// sayNothing is a key of ids, counts and hashes.
var sayNothing = regexp.MustCompile(`^(donation|refund)-[0-9a-f-]{36}-[0-9]{1,9}-[0-9a-f]{24}$`)

func TestOneIdempotencyKeyHasOneBody(t *testing.T) {
	var key string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		key = r.Header.Get("Idempotency-Key")
		_, _ = io.WriteString(w, `{"id":"cs_1"}`)
	})
	keyOf := func(p SessionParams) string {
		t.Helper()
		if _, err := c.CreateSession(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		// 255 characters at most, and nothing of a person: https://docs.stripe.com/api/idempotent_requests.
		if !sayNothing.MatchString(key) {
			t.Errorf("the key is %q", key)
		}
		return key
	}
	first := keyOf(params)
	if keyOf(params) != first {
		t.Error("the same parameters have two keys")
	}
	seen := map[string]string{first: "unchanged"}
	for what, change := range map[string]func(*SessionParams){
		"attempt":  func(p *SessionParams) { p.Attempt++ },
		"account":  func(p *SessionParams) { p.Account = "" },
		"amount":   func(p *SessionParams) { p.Amount.Minor++ },
		"title":    func(p *SessionParams) { p.Title += "!" },
		"expiry":   func(p *SessionParams) { p.ExpiresAt = p.ExpiresAt.Add(time.Second) },
		"page":     func(p *SessionParams) { p.CancelURL += "x" },
		"donation": func(p *SessionParams) { p.Donation = uuid.New() },
	} {
		p := params
		change(&p)
		if before, taken := seen[keyOf(p)]; taken {
			t.Errorf("%s has the key of %s", what, before)
		}
		seen[key] = what
	}
}

func TestErrors(t *testing.T) {
	stripeError := func(status int, kind, code string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"error":{"type":"`+kind+`","code":"`+code+`","message":"No such thing: jane@example.org","param":"p"}}`)
		}
	}
	raw := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); _, _ = io.WriteString(w, body) }
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		kind    Kind
		code    codes.Code
	}{
		"rate limited":              {stripeError(429, "invalid_request_error", "rate_limit"), Throttled, codes.Unavailable},
		"a key in use":              {stripeError(409, "idempotency_error", "idempotency_key_in_use"), Busy, codes.Unavailable},
		"failing":                   {stripeError(500, "api_error", ""), Failed, codes.Unavailable},
		"a proxy's page":            {raw(502, "<html>jane@example.org</html>"), Failed, codes.Unavailable},
		"a 429 of a proxy":          {raw(429, "slow down"), Throttled, codes.Unavailable},
		"an error without an error": {raw(500, `{"who":"jane@example.org"}`), Failed, codes.Unavailable},
		"wrong":                     {stripeError(400, "invalid_request_error", "parameter_missing"), Refused, codes.Internal},
		"no rights":                 {stripeError(403, "invalid_request_error", "account_invalid"), Refused, codes.Internal},
		"a revoked key":             {stripeError(401, "invalid_request_error", "api_key_expired"), Unauthorized, codes.Unavailable},
		"not there":                 {stripeError(404, "invalid_request_error", "resource_missing"), Missing, codes.NotFound},
		"not JSON":                  {raw(200, "jane@example.org"), Lost, codes.Unavailable},
		"cut off":                   {raw(200, `{"id":"jane@example.org`), Lost, codes.Unavailable},
		"somewhere else":            {raw(302, ""), Lost, codes.Unavailable},
		"silent": {func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(2 * time.Second):
			}
		}, Lost, codes.Unavailable},
		"broken": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, Lost, codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			client := serve(t, func(w http.ResponseWriter, r *http.Request) { calls++; c.handler(w, r) })
			start := time.Now()
			_, err := client.GetSession(t.Context(), "", "cs_1")
			if KindOf(err) != c.kind || errs.Code(err) != c.code {
				t.Errorf("kind %d, code %v: %v", KindOf(err), errs.Code(err), err)
			}
			var classified *errs.Error
			if !errors.As(err, &classified) {
				t.Fatal("not classified")
			}
			if c.code == codes.Unavailable && (classified.Reason != errorsv1.ErrorReason_STRIPE_UNAVAILABLE || classified.RetryAfter <= 0) {
				t.Errorf("reason %s, after %v", classified.Reason, classified.RetryAfter)
			}
			if strings.Contains(err.Error(), "jane") {
				t.Errorf("the error quotes Stripe: %v", err)
			}
			if took := time.Since(start); took > 1500*time.Millisecond {
				t.Errorf("took %v", took)
			}
			if c.kind != Lost && calls != 1 {
				t.Errorf("%d calls", calls)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		server := httptest.NewServer(http.NotFoundHandler())
		server.Close()
		c, err := New(Config{APIKey: "sk_test_x", BaseURL: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.GetSession(t.Context(), "", "cs_1"); KindOf(err) != Lost {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("the caller's time is over", func(t *testing.T) {
		c := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := c.GetSession(ctx, "", "cs_1"); KindOf(err) != Lost {
			t.Errorf("err = %v", err)
		}
	})
}

func TestBalanceTransactions(t *testing.T) {
	var asked url.Values
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Query()
		_, _ = io.WriteString(w, `{"object":"list","has_more":true,"data":[
			{"id":"txn_1","type":"charge","reporting_category":"charge","amount":15500,"fee":9315,"net":6185,"currency":"usd","created":1677242724,
			 "fee_details":[{"amount":8835,"currency":"usd","type":"application_fee"},{"amount":480,"currency":"usd","type":"stripe_fee"}],
			 "source":{"id":"py_1","object":"charge","payment_intent":"pi_1","metadata":{"donation":"0190f6c8-0000-7000-8000-000000000001"}}},
			{"id":"txn_2","type":"adjustment","reporting_category":"dispute","amount":-1000,"fee":1500,"net":-2500,"currency":"eur","created":1,
			 "fee_details":[],"source":{"id":"du_1","object":"dispute","charge":"ch_1","payment_intent":"pi_2","metadata":{"donation":"0190f6c8-0000-7000-8000-000000000001"}}},
			{"id":"txn_3","type":"payout","amount":-1,"fee":0,"net":-1,"currency":"eur","created":1,"fee_details":[],"source":"po_1"},
			{"id":"txn_4","type":"stripe_fee","amount":-1,"fee":0,"net":-1,"currency":"eur","created":1,"fee_details":null,"source":null}]}`)
	})
	page, more, err := c.ListBalanceTransactions(t.Context(), "", BalanceQuery{Since: time.Unix(100, 0), After: "txn_0"})
	if err != nil || !more || len(page) != 4 {
		t.Fatalf("%d, %v, %v", len(page), more, err)
	}
	want := url.Values{"limit": {"100"}, "created[gte]": {"100"}, "expand[0]": {"data.source"}, "starting_after": {"txn_0"}}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("query (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(BalanceTransaction{
		ID: "txn_1", Type: "charge", Category: "charge", Amount: 15500, Fee: 9315, Net: 6185, Currency: "USD", Created: unix(1677242724),
		Fees:   []Fee{{Type: "application_fee", Amount: 8835, Currency: "USD"}, {Type: "stripe_fee", Amount: 480, Currency: "USD"}},
		Source: Source{ID: "py_1", Object: "charge", Charge: "py_1", PaymentIntent: "pi_1", Donation: uuid.MustParse("0190f6c8-0000-7000-8000-000000000001")},
	}, page[0]); diff != "" {
		t.Errorf("charge (-want +got):\n%s", diff)
	}
	// A dispute's id is no charge's, and its metadata is not the donation's.
	if diff := cmp.Diff(Source{ID: "du_1", Object: "dispute", Charge: "ch_1", PaymentIntent: "pi_2"}, page[1].Source); diff != "" {
		t.Errorf("dispute (-want +got):\n%s", diff)
	}
	if page[2].Source != (Source{ID: "po_1"}) || page[3].Source != (Source{}) {
		t.Errorf("sources %+v, %+v", page[2].Source, page[3].Source)
	}
}

func TestGetPaymentIntent(t *testing.T) {
	answer := ""
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) })
	answer = `{"id":"pi_1","status":"succeeded","metadata":{},"latest_charge":{"id":"ch_1","object":"charge","balance_transaction":null}}`
	if got, err := c.GetPaymentIntent(t.Context(), "", "pi_1"); err != nil || got.Balance != nil {
		t.Errorf("before the fee: %+v, %v", got, err)
	}
	answer = `{"id":"pi_1","status":"requires_payment_method","metadata":{},"latest_charge":null}`
	if got, err := c.GetPaymentIntent(t.Context(), "", "pi_1"); err != nil || got.Balance != nil || got.Status != "requires_payment_method" {
		t.Errorf("unpaid: %+v, %v", got, err)
	}
	answer = `{"id":"pi_1","status":"succeeded","metadata":{"donation":"0190f6c8-0000-7000-8000-000000000001"},"latest_charge":{
		"id":"ch_1","object":"charge","payment_intent":"pi_1","metadata":{"donation":"0190f6c8-0000-7000-8000-000000000001"},
		"balance_transaction":{"id":"txn_1","type":"charge","amount":100,"fee":30,"net":70,"currency":"eur","created":5,"source":"ch_1","fee_details":[]}}}`
	donation := uuid.MustParse("0190f6c8-0000-7000-8000-000000000001")
	got, err := c.GetPaymentIntent(t.Context(), "", "pi_1")
	if err != nil || got.Donation != donation || got.Balance == nil {
		t.Fatalf("paid: %+v, %v", got, err)
	}
	if diff := cmp.Diff(Source{ID: "ch_1", Object: "charge", Charge: "ch_1", PaymentIntent: "pi_1", Donation: donation}, got.Balance.Source); diff != "" {
		t.Errorf("source (-want +got):\n%s", diff)
	}
}

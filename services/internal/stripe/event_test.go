package stripe

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

func sign(payload []byte, secret string, at time.Time) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.%s", at.Unix(), payload)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

const completed = `{"id":"evt_1","object":"event","api_version":"2023-10-16","account":"acct_1","created":1700000000,"livemode":true,
	"type":"checkout.session.completed","data":{"object":{"id":"cs_1","object":"checkout.session","status":"complete",
	"payment_status":"unpaid","client_reference_id":"0190f6c8-0000-7000-8000-000000000001","metadata":{},"payment_intent":"pi_1",
	"amount_total":2000,"currency":"eur","livemode":true,"customer_details":{"email":"jane@example.org","name":"Jane"},"url":null}}}`

func TestVerify(t *testing.T) {
	body, now := []byte(completed), time.Now()
	good := sign(body, "whsec_b", now)
	_, signature, _ := strings.Cut(good, ",")
	for name, c := range map[string]struct {
		header  string
		secrets []string
		ok      bool
	}{
		"the secret":                {good, []string{"whsec_b"}, true},
		"the second secret":         {good, []string{"whsec_a", "whsec_b"}, true},
		"several signatures":        {sign(body, "whsec_x", now) + "," + signature, []string{"whsec_b"}, true},
		"just within the tolerance": {sign(body, "whsec_b", now.Add(-295*time.Second)), []string{"whsec_b"}, true},
		"a clock that is ahead":     {sign(body, "whsec_b", now.Add(time.Hour)), []string{"whsec_b"}, true},
		"stale":                     {sign(body, "whsec_b", now.Add(-305*time.Second)), []string{"whsec_b"}, false},
		"no secret":                 {good, nil, false},
		"an empty secret":           {sign(body, "", now), []string{""}, false},
		"another secret":            {good, []string{"whsec_a"}, false},
		"no header":                 {"", []string{"whsec_b"}, false},
		"no time":                   {signature, []string{"whsec_b"}, false},
		"another scheme only":       {strings.Replace(good, "v1=", "v0=", 1), []string{"whsec_b"}, false},
		"an upper-case time":        {strings.Replace(good, "t=", "T=", 1), []string{"whsec_b"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := Verify(body, c.header, c.secrets)
			if c.ok && (err != nil || e.ID != "evt_1") {
				t.Errorf("event %q, %v", e.ID, err)
			}
			if !c.ok && (errs.As(err).Reason != errorsv1.ErrorReason_BAD_SIGNATURE || errs.Code(err) != codes.InvalidArgument) {
				t.Errorf("err = %v", err)
			}
		})
	}
	t.Run("signed, and no event", func(t *testing.T) {
		for _, payload := range []string{"[]", "{}", "null", `{"id":1}`, "not json"} {
			if _, err := Verify([]byte(payload), sign([]byte(payload), "s", now), []string{"s"}); errs.Code(err) != codes.InvalidArgument {
				t.Errorf("%s: %v", payload, err)
			}
		}
	})
}

func TestEventHasNoPersonalData(t *testing.T) {
	e, err := parseEvent([]byte(completed))
	if err != nil {
		t.Fatal(err)
	}
	if e.ID != "evt_1" || e.Type != "checkout.session.completed" || e.Account != "acct_1" || !e.Livemode || e.Created.Unix() != 1_700_000_000 {
		t.Errorf("the event is %+v", e)
	}
	want := Resource{PaymentIntent: "pi_1", Session: &Session{
		ID: "cs_1", Status: SessionComplete, PaymentStatus: Unpaid, PaymentIntent: "pi_1", AmountMinor: 2000,
		Donation: uuid.MustParse("0190f6c8-0000-7000-8000-000000000001"), Currency: "EUR", Livemode: true,
	}}
	if diff := cmp.Diff(want, e.Resource()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	stored, err := json.Marshal(e.Resource())
	if err != nil || strings.Contains(strings.ToLower(string(stored)), "jane") {
		t.Errorf("stored: %s, %v", stored, err)
	}
	var back Resource
	if err := json.Unmarshal(stored, &back); err != nil || !cmp.Equal(back, want) {
		t.Errorf("read back: %+v, %v", back, err)
	}
}

func TestOtherProductsObjects(t *testing.T) {
	for name, c := range map[string]struct {
		kind, version, object string
		want                  Resource
	}{
		"a reference that is somebody's name":       {"checkout.session.completed", APIVersion, `{"id":"cs_1","client_reference_id":"jane@example.org"}`, Resource{Session: &Session{ID: "cs_1"}}},
		"an expanded intent":                        {"charge.updated", APIVersion, `{"id":"ch_1","object":"charge","payment_intent":{"id":"pi_2"}}`, Resource{ID: "ch_1", Kind: "charge", PaymentIntent: "pi_2"}},
		"a dispute":                                 {"charge.dispute.created", APIVersion, `{"id":"du_1","object":"dispute","charge":"ch_1","payment_intent":"pi_3"}`, Resource{ID: "du_1", Kind: "dispute", PaymentIntent: "pi_3"}},
		"a session of another version names itself": {"checkout.session.completed", "2031-01-01.oak", `{"id":"cs_1","status":"complete","amount_total":"20.00"}`, Resource{Session: &Session{ID: "cs_1"}}},
		"even one that reads like ours":             {"checkout.session.completed", "2031-01-01.oak", `{"id":"cs_1","status":"complete","payment_status":"paid","amount_total":2000,"currency":"eur"}`, Resource{Session: &Session{ID: "cs_1"}}},
		"a session that cannot be read, too":        {"checkout.session.completed", APIVersion, `{"id":"cs_1","amount_total":"20.00"}`, Resource{Session: &Session{ID: "cs_1"}}},
		"an invoice of another version":             {"invoice.paid", "2031-01-01.oak", `{"id":"in_1","object":"invoice","metadata":[],"payment_intent":7}`, Resource{ID: "in_1", Kind: "invoice"}},
		"no object":                                 {"charge.updated", APIVersion, `null`, Resource{}},
		"an object of another shape":                {"checkout.session.completed", APIVersion, `{"id":{"a":1}}`, Resource{}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, parseResource(c.kind, c.version, json.RawMessage(c.object))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A header that anybody may send must never let a body through that was not signed, nor crash.
func FuzzVerify(f *testing.F) {
	body := []byte(completed)
	f.Add("")
	f.Add("t=1,v1=00")
	f.Add(sign(body, "whsec_known_to_the_fuzzer_only_as_a_seed", time.Now()))
	f.Add("t=9223372036854775807,v1=")
	f.Add("t=-9223372036854775808,v1=zz,v1=,t=1")
	f.Add(strings.Repeat("v1=00,", 300) + "t=1")
	f.Fuzz(func(t *testing.T, header string) {
		if _, err := Verify(body, header, []string{"whsec_secret"}); err == nil {
			t.Errorf("let through by %q", header)
		}
	})
}

func FuzzParseEvent(f *testing.F) {
	f.Add([]byte(completed))
	f.Add([]byte(`{"id":"e","type":"checkout.session.x","data":{"object":{"metadata":{"donation":"x"}}}}`))
	f.Add([]byte(`{"id":"e","type":"charge.updated","data":{"object":{"payment_intent":[1]}}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		e, err := parseEvent(payload)
		if err != nil {
			return
		}
		if e.ID == "" || e.Type == "" || !json.Valid(payload) {
			t.Error("an event without id or type, or no JSON")
		}
		if _, err := json.Marshal(e.Resource()); err != nil {
			t.Error(err)
		}
	})
}

// The event must be stored whatever another version takes for a time.
func TestATimeInAnotherVersion(t *testing.T) {
	for member, want := range map[string]string{
		`1700000000`:             `{"id":"in_1","kind":"invoice","created":"2023-11-14T22:13:20Z"}`,
		`1700000000000`:          `{"id":"in_1","kind":"invoice"}`,
		`1e300`:                  `{"id":"in_1","kind":"invoice"}`,
		`-1e12`:                  `{"id":"in_1","kind":"invoice"}`,
		`"2023-11-14T22:13:20Z"`: `{"id":"in_1","kind":"invoice"}`,
	} {
		o := parseResource("invoice.paid", "2099-01-01.other", json.RawMessage(`{"id":"in_1","object":"invoice","created":`+member+`}`))
		if got, err := json.Marshal(o); err != nil || string(got) != want {
			t.Errorf("%s is stored as %s, %v; want %s", member, got, err, want)
		}
	}
}

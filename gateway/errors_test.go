package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/cagnotte/cagnotte/gateway"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

// parsed is an error answer, read as a client would.
type parsed struct {
	code            codes.Code
	reason, message string
	fields          []string
	requestID       string
	// text is for people, in this language.
	text, language string
}

func parse(t *testing.T, a answer) parsed {
	t.Helper()
	if got := a.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type is %q", got)
	}
	var st spb.Status
	if err := protojson.Unmarshal([]byte(a.body), &st); err != nil {
		t.Fatalf("not a google.rpc.Status: %v\n%s", err, a.body)
	}
	p := parsed{code: codes.Code(st.GetCode()), message: st.GetMessage()}
	for _, detail := range status.FromProto(&st).Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			p.reason = d.GetReason()
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				p.fields = append(p.fields, v.GetField())
			}
		case *errdetails.RequestInfo:
			p.requestID = d.GetRequestId()
		case *errdetails.LocalizedMessage:
			if p.text != "" {
				t.Error("it has two texts")
			}
			p.text, p.language = d.GetMessage(), d.GetLocale()
		case *errdetails.RetryInfo:
		default:
			t.Errorf("it holds a %T", d)
		}
	}
	return p
}

func TestErrorForm(t *testing.T) {
	var failure error
	b := &backend{getCampaign: func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) { return nil, failure }}
	front := serve(t, b, gateway.Options{Uncached: true})

	t.Run("keeps reason, fields and retry hint, and maps the code", func(t *testing.T) {
		for _, c := range []struct {
			code codes.Code
			http int
		}{
			{codes.InvalidArgument, 400},
			{codes.FailedPrecondition, 400},
			{codes.Unauthenticated, 401},
			{codes.PermissionDenied, 403},
			{codes.NotFound, 404},
			{codes.AlreadyExists, 409},
			{codes.Aborted, 409},
			{codes.ResourceExhausted, 429},
			{codes.Internal, 500},
			{codes.Unavailable, 503},
			{codes.DeadlineExceeded, 504},
		} {
			failure = fail(c.code, "SOME_REASON", &errdetails.RetryInfo{RetryDelay: durationpb.New(1500 * time.Millisecond)},
				&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "name", Description: "odd"}}})
			got := send(t, "GET", front.URL+"/v1/"+campaignName, "")
			if got.StatusCode != c.http {
				t.Errorf("%s became %d, want %d", c.code, got.StatusCode, c.http)
			}
			p := parse(t, got)
			if p.code != c.code || p.reason != "SOME_REASON" || p.message != "A sentence for a developer." || len(p.fields) != 1 || p.fields[0] != "name" {
				t.Errorf("%s: got %+v", c.code, p)
			}
			if retry := got.Header.Get("Retry-After"); retry != "2" {
				t.Errorf("Retry-After is %q: 1.5 s round up to 2", retry)
			}
			if id := got.Header.Get("X-Request-Id"); id == "" || p.requestID != id {
				t.Errorf("the header says %q, the body %q", id, p.requestID)
			}
			if c.http == 401 && got.Header.Get("WWW-Authenticate") != "Bearer" {
				t.Error("401 does not say how to authenticate")
			}
		}
	})
	t.Run("never repeats a text or a detail that no service classified", func(t *testing.T) {
		for _, code := range []codes.Code{codes.Unknown, codes.Unavailable, codes.Internal, codes.DataLoss, codes.ResourceExhausted} {
			st, err := status.New(code, "dial unix /run/secret.sock").WithDetails(&errdetails.DebugInfo{Detail: "goroutine 1"})
			if err != nil {
				t.Fatal(err)
			}
			failure = st.Err()
			got := send(t, "GET", front.URL+"/v1/"+campaignName, "")
			if strings.Contains(got.body, "secret") || strings.Contains(got.body, "goroutine") {
				t.Errorf("%s leaks: %s", code, got.body)
			}
			if p := parse(t, got); p.reason == "" || p.message == "" {
				t.Errorf("%s: got %+v", code, p)
			}
		}
	})
	t.Run("never repeats a debugging detail of a classified error", func(t *testing.T) {
		failure = fail(codes.Internal, "INTERNAL", &errdetails.DebugInfo{Detail: "goroutine 1"})
		if got := send(t, "GET", front.URL+"/v1/"+campaignName, ""); strings.Contains(got.body, "goroutine") {
			t.Errorf("it leaks: %s", got.body)
		}
	})
}

// TestErrorsSpeakTheCallersLanguage asks in two languages, for errors of the gateway's own, of a library's and of a service's.
func TestErrorsSpeakTheCallersLanguage(t *testing.T) {
	failure := status.Error(codes.Unavailable, "dial unix /run/secret.sock")
	b := &backend{getCampaign: func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) { return nil, failure }}
	front := serve(t, b, gateway.Options{Uncached: true})
	for _, c := range []struct{ path, language, reason, want string }{
		{"/v1/nothing", "fr", "NO_SUCH_ADDRESS", "Il n’y a rien à cette adresse."},
		{"/v1/nothing", "en", "NO_SUCH_ADDRESS", "There is nothing at this address."},
		{"/v1/" + campaignName, "fr", "SERVICE_UNAVAILABLE", "Le service est momentanément indisponible. Réessayez dans un instant."},
		{"/v1/" + campaignName + "?page=1", "fr", "INVALID_REQUEST", "La demande ne peut pas être lue."},
	} {
		p := parse(t, send(t, "GET", front.URL+c.path, "", "Accept-Language", c.language))
		if p.reason != c.reason || p.language != c.language || p.text != c.want {
			t.Errorf("%s, %s: %+v", c.path, c.language, p)
		}
	}
	large := send(t, "POST", front.URL+"/v1/"+campaignName+"/donations", strings.Repeat("x", 1<<20), "Accept-Language", "fr-FR,fr;q=0.9")
	if p := parse(t, large); p.reason != "BODY_TOO_LARGE" || p.text != "Votre envoi est trop volumineux. Choisissez un texte ou un fichier plus petit." {
		t.Errorf("a large body: %+v", p)
	}
	failure = fail(codes.NotFound, "NOT_FOUND", &errdetails.LocalizedMessage{Locale: "fr", Message: "Un texte du service."})
	p := parse(t, send(t, "GET", front.URL+"/v1/"+campaignName, "", "Accept-Language", "fr-FR, en;q=0.5"))
	asked := strings.Join(b.lastMetadata(t).Get("accept-language"), "|")
	if p.text != "Un texte du service." || asked != "fr-FR, en;q=0.5" {
		t.Errorf("the service was asked for %q and its text became %q", asked, p.text)
	}
}

func TestWhatTheGatewayRefuses(t *testing.T) {
	front := serve(t, &backend{}, gateway.Options{})
	donations := "/v1/" + campaignName + "/donations"
	for _, c := range []struct {
		rule, method, path, body string
		status                   int
		reason, field            string
	}{
		{"an address that does not exist", "GET", "/v1/nothing", "", 404, "NO_SUCH_ADDRESS", ""},
		{"an address outside of the API", "GET", "/wp-login.php", "", 404, "NO_SUCH_ADDRESS", ""},
		{"a method that does not exist", "PUT", "/v1/" + campaignName, "", 405, "METHOD_NOT_ALLOWED", ""},
		{"a method that a fixed route lacks", "POST", "/healthz", "", 405, "METHOD_NOT_ALLOWED", ""},
		{"a field that does not exist", "POST", donations, `{"ammount":{}}`, 400, "INVALID_REQUEST", "ammount"},
		{"a nested field that does not exist", "POST", donations, `{"donation":{"amount":{"cents":1}}}`, 400, "INVALID_REQUEST", "cents"},
		{"a parameter that does not exist", "GET", "/v1/collectives/vallon/ledger:export?form=2026-01-01", "", 400, "INVALID_REQUEST", "form"},
		{"a parameter beside a body that is the message", "POST", donations + "?recurrence=RECURRENCE_ONCE", `{}`, 400, "INVALID_REQUEST", "recurrence"},
		{"a parameter that the path has", "GET", "/v1/" + campaignName + "?name=x", "", 400, "INVALID_REQUEST", "name"},
		{"a parameter of the wrong type", "GET", "/v1/collectives/vallon/campaigns?page_size=many", "", 400, "INVALID_REQUEST", ""},
		{"what is not JSON", "POST", donations, `amount=20`, 400, "INVALID_REQUEST", ""},
		{"a second JSON value", "POST", donations, `{} {}`, 400, "INVALID_REQUEST", ""},
		{"a body that is too large", "POST", donations, `{"request_id":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "BODY_TOO_LARGE", ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			got := send(t, c.method, front.URL+c.path, c.body, "Content-Type", "application/json")
			if got.StatusCode != c.status {
				t.Errorf("got %d, want %d: %s", got.StatusCode, c.status, got.body)
			}
			p := parse(t, got)
			if p.reason != c.reason {
				t.Errorf("the reason is %q, want %q", p.reason, c.reason)
			}
			if c.field != "" && (len(p.fields) != 1 || p.fields[0] != c.field) {
				t.Errorf("it names %v, want %q", p.fields, c.field)
			}
			if strings.Contains(got.body, "proto:") {
				t.Errorf("it speaks of our libraries: %s", got.body)
			}
		})
	}
	t.Run("a bank statement that comes without a key, and is large as only statements are", func(t *testing.T) {
		path := front.URL + "/v1/collectives/vallon/bankStatements:import"
		statement := `{"content":"` + strings.Repeat("QUFB", 1<<18) + `"}`
		if got := send(t, "POST", path, statement); got.StatusCode != 413 {
			t.Errorf("without a key: got %d", got.StatusCode)
		}
		if got := send(t, "POST", path, statement, "Authorization", "Bearer key"); got.StatusCode == 413 {
			t.Error("with a key: got 413")
		}
	})
	t.Run("and says which methods there are", func(t *testing.T) {
		for path, want := range map[string]string{
			"/v1/" + campaignName:                  "DELETE, GET, PATCH",
			"/v1/" + campaignName + ":publish":     "POST",
			donations:                              "GET, POST",
			"/v1/collectives/vallon/ledger:export": "GET",
			"/readyz":                              "GET",
		} {
			if got := send(t, "PUT", front.URL+path, ""); got.StatusCode != 405 || got.Header.Get("Allow") != want {
				t.Errorf("%s: got %d, Allow %q, want %q", path, got.StatusCode, got.Header.Get("Allow"), want)
			}
		}
	})
	t.Run("a form or a header that would change the method", func(t *testing.T) {
		got := send(t, "POST", front.URL+"/v1/"+campaignName, "", "Content-Type", "application/x-www-form-urlencoded", "X-HTTP-Method-Override", "GET")
		if got.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("got %d", got.StatusCode)
		}
	})
}

func TestJSON(t *testing.T) {
	front := serve(t, &backend{}, gateway.Options{})
	got := send(t, "GET", front.URL+"/v1/"+campaignName, "")
	var c campaignsv1.Campaign
	if err := protojson.Unmarshal([]byte(got.body), &c); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"accepting_donations":true`, `"amount_minor":"80000"`, `"state":"CAMPAIGN_STATE_PUBLISHED"`, `"allowed_origins":[]`} {
		if !strings.Contains(strings.ReplaceAll(got.body, " ", ""), want) {
			t.Errorf("it lacks %s: %s", want, got.body)
		}
	}
	if policy := got.Header.Get("Cache-Control"); policy != "public, max-age=0, s-maxage=1" {
		t.Errorf("Cache-Control is %q", policy)
	}
}

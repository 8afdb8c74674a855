package gateway_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/cagnotte/cagnotte/gateway"
	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
)

func TestWebhooks(t *testing.T) {
	var got *webhooksv1.ReceiveStripeEventRequest
	var failure error
	b := &backend{receiveEvent: func(r *webhooksv1.ReceiveStripeEventRequest) (*webhooksv1.ReceiveStripeEventResponse, error) {
		got = r
		return &webhooksv1.ReceiveStripeEventResponse{}, failure
	}}
	front := serve(t, b, gateway.Options{})
	const raw = "{\n  \"id\": \"evt_1\",\u00a0\"é\": 1 }\n"

	for path, endpoint := range map[string]webhooksv1.Endpoint{
		"/v1/webhooks/stripe":         webhooksv1.Endpoint_ENDPOINT_PLATFORM,
		"/v1/webhooks/stripe/connect": webhooksv1.Endpoint_ENDPOINT_CONNECT,
	} {
		t.Run("passes the bytes on as they came: "+path, func(t *testing.T) {
			a := send(t, "POST", front.URL+path, raw, "Stripe-Signature", "t=1,v1=ab")
			if a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/json" {
				t.Errorf("got %d: %s", a.StatusCode, a.body)
			}
			if string(got.GetPayload()) != raw || got.GetSignature() != "t=1,v1=ab" || got.GetEndpoint() != endpoint {
				t.Errorf("it got %v", got)
			}
		})
	}
	t.Run("400 for a bad signature", func(t *testing.T) {
		failure = fail(codes.InvalidArgument, "BAD_SIGNATURE")
		if a := send(t, "POST", front.URL+"/v1/webhooks/stripe", raw); a.StatusCode != 400 || parse(t, a).reason != "BAD_SIGNATURE" {
			t.Errorf("got %d: %s", a.StatusCode, a.body)
		}
	})
	t.Run("503 and a hint when to come back, while the database is away", func(t *testing.T) {
		for _, code := range []codes.Code{codes.Unavailable, codes.DeadlineExceeded} {
			failure = fail(code, "DATABASE_UNAVAILABLE")
			a := send(t, "POST", front.URL+"/v1/webhooks/stripe", raw)
			if a.StatusCode != 503 || a.Header.Get("Retry-After") == "" || parse(t, a).reason != "DATABASE_UNAVAILABLE" {
				t.Errorf("%s: got %d, Retry-After %q: %s", code, a.StatusCode, a.Header.Get("Retry-After"), a.body)
			}
		}
	})
	t.Run("413 for what is too large, and exactly the limit goes through", func(t *testing.T) {
		failure, got = nil, nil
		if a := send(t, "POST", front.URL+"/v1/webhooks/stripe", strings.Repeat("x", 256<<10)); a.StatusCode != 200 || len(got.GetPayload()) != 256<<10 {
			t.Errorf("the limit got %d", a.StatusCode)
		}
		if a := send(t, "POST", front.URL+"/v1/webhooks/stripe", strings.Repeat("x", 256<<10+1)); a.StatusCode != 413 {
			t.Errorf("more got %d", a.StatusCode)
		}
	})
	t.Run("405 for a look at it", func(t *testing.T) {
		if a := send(t, "GET", front.URL+"/v1/webhooks/stripe", ""); a.StatusCode != 405 || a.Header.Get("Allow") != "POST" {
			t.Errorf("got %d", a.StatusCode)
		}
	})
}

func TestHealth(t *testing.T) {
	b := &backend{}
	front := serve(t, b, gateway.Options{})
	check := func(t *testing.T, path string, want int) answer {
		t.Helper()
		a := send(t, "GET", front.URL+path, "")
		if a.StatusCode != want {
			t.Errorf("%s: got %d, want %d", path, a.StatusCode, want)
		}
		return a
	}
	t.Run("not ready before the service says so", func(t *testing.T) {
		check(t, "/healthz", 200)
		check(t, "/readyz", 503)
	})
	t.Run("ready", func(t *testing.T) {
		b.health.SetServingStatus("cagnotte", grpc_health_v1.HealthCheckResponse_SERVING)
		check(t, "/readyz", 200)
	})
	t.Run("not ready while the database is away, and says the state", func(t *testing.T) {
		b.health.SetServingStatus("cagnotte", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
		check(t, "/healthz", 200)
		a := check(t, "/readyz", 503)
		if p := parse(t, a); p.reason != "NOT_READY" || !strings.Contains(p.message, "NOT_SERVING") {
			t.Errorf("got %+v", p)
		}
	})
}

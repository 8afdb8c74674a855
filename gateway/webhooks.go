package gateway

import (
	"io"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
)

const (
	// webhookRetry is the Retry-After while the database is away. Stripe retries by its own schedule.
	webhookRetry = 10 * time.Second

	platformEndpoint = webhooksv1.Endpoint_ENDPOINT_PLATFORM
	connectEndpoint  = webhooksv1.Endpoint_ENDPOINT_CONNECT
)

// receive passes an event of Stripe's on with its raw body, over which the signature is. Stripe sends an event again after
// any answer other than 2xx (https://docs.stripe.com/webhooks#retries).
// The two endpoints have secrets of their own, so the service is told which one was called.
func receive(conn grpc.ClientConnInterface, b *bodies, endpoint webhooksv1.Endpoint) http.Handler {
	client := webhooksv1.NewWebhooksServiceClient(conn)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		payload, release, err := b.read(w, r, maxEventBytes)
		if err != nil {
			writeError(r.Context(), w, err)
			return
		}
		defer release()
		ctx, cancel := withTimeout(r.Context())
		defer cancel()
		_, err = client.ReceiveStripeEvent(ctx, &webhooksv1.ReceiveStripeEventRequest{
			Payload:   payload,
			Signature: r.Header.Get("Stripe-Signature"),
			Endpoint:  endpoint,
		})
		if err != nil {
			// Anything but 2xx makes Stripe send the event again; 503 tells that the fault is temporary.
			if code := status.Code(err); code == codes.Unavailable || code == codes.DeadlineExceeded {
				err = retryable(&httpError{status: http.StatusServiceUnavailable, err: err}, webhookRetry)
			}
			writeError(r.Context(), w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"received":true}`+"\n")
	})
}

package gateway

import (
	"errors"
	"io"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
)

const (
	// maxEventBytes is far above Stripe's largest events, and what ReceiveStripeEvent takes.
	maxEventBytes = 256 << 10
	// maxJSONBytes holds the largest campaign, twelve stories of 20,000 characters, in any script.
	maxJSONBytes = 1 << 20

	// webhookRetry is the hint when the database is away; Stripe keeps to its own plan.
	webhookRetry = 10 * time.Second

	platformEndpoint = webhooksv1.Endpoint_ENDPOINT_PLATFORM
	connectEndpoint  = webhooksv1.Endpoint_ENDPOINT_CONNECT
)

// receive passes one of Stripe's deliveries on, byte by byte as it came: the
// signature is over the raw body. Any answer but 2xx makes Stripe send it again
// (https://docs.stripe.com/webhooks#retries).
func receive(conn grpc.ClientConnInterface, endpoint webhooksv1.Endpoint) http.Handler {
	client := webhooksv1.NewWebhooksServiceClient(conn)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		payload, err := readBody(w, r, maxEventBytes)
		if err != nil {
			writeError(r.Context(), w, err)
			return
		}
		ctx, cancel := withTimeout(r.Context())
		defer cancel()
		_, err = client.ReceiveStripeEvent(ctx, &webhooksv1.ReceiveStripeEventRequest{
			Payload:   payload,
			Signature: r.Header.Get("Stripe-Signature"),
			Endpoint:  endpoint,
		})
		if err != nil {
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

// readBody returns the whole body, or a 413 beyond limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err == nil {
		return body, nil
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, errBodyTooLarge
	}
	return nil, errBodyCut
}

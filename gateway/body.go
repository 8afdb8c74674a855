package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	imagesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/images/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
)

// body says what an address reads. The services have the same bounds for messages, in package rpc.
type body string

const (
	noBody body = "nothing"
	// formBody is a form of our own pages, which bound it.
	formBody body = "a form"
	// jsonBody is up to maxPublicBytes without a key, and what the call needs with one that is known.
	jsonBody body = "JSON"
	// eventBody is one of Stripe's deliveries.
	eventBody body = "an event"
)

const (
	// maxPublicBytes is far above a donation, with its addresses.
	maxPublicBytes = 16 << 10
	// maxJSONBytes holds the largest campaign, twelve stories of 20,000 characters and as many thank-you texts, in any script.
	maxJSONBytes = 1<<20 + 128<<10
	// decodedCopies is how often a large body is in memory while it is decoded, besides itself.
	decodedCopies = 2
	// maxEventBytes is far above Stripe's largest events, and what ReceiveStripeEvent takes.
	maxEventBytes = 256 << 10
)

// largeBodies are the calls whose body is large, by the end of their path: the most bytes, and the method. What stands
// before the end is the name of the call's parent.
var largeBodies = map[string]struct {
	most   int64
	method string
}{
	"/bankStatements:import": {6 << 20, bankv1.BankService_ImportBankStatement_FullMethodName},              // a bank statement, 4 MiB in base64
	"/attachments":           {12 << 20, treasuryv1.TreasuryService_CreateExpenseAttachment_FullMethodName}, // a file of an expense, 8 MiB in base64
	"/images":                {12 << 20, imagesv1.ImagesService_CreateImage_FullMethodName},                 // a picture, 8 MiB in base64
}

// Budget limits what requests hold at once. Take takes n of it in the name of a caller, and returns the function that gives
// it back; ok is false when there is not enough. Package places has one.
type Budget interface {
	Take(ctx context.Context, whom string, n int64) (release func(), ok bool)
}

// bodies reads the bodies of requests.
type bodies struct {
	budget Budget
	keys   accessv1.AccessServiceClient
}

// whole reads the whole body before the handler is called, so that a body that is too large and one that is not JSON get
// different errors. It forbids caches to keep the answer. Before it reads more than callers without a key may send, it checks
// the key, and its right to what the path names: for the largest bodies that to make the call.
func (b *bodies) whole(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit := int64(maxPublicBytes)
		if r.Header.Get("Authorization") != "" && (r.ContentLength < 0 || r.ContentLength > limit) {
			asked := &accessv1.GetPrincipalRequest{}
			limit = maxJSONBytes
			if name := strings.TrimPrefix(r.URL.Path, "/v1/"); strings.HasPrefix(name, "collectives/") {
				asked.Resource = name
			}
			for suffix, large := range largeBodies {
				if parent, ok := strings.CutSuffix(asked.Resource, suffix); ok && r.Method == http.MethodPost {
					limit, asked.Resource, asked.Method = large.most, parent, large.method
				}
			}
			// The call authorises again; this is before its body is read.
			if _, err := b.keys.GetPrincipal(r.Context(), asked); err != nil {
				writeError(r.Context(), w, err)
				return
			}
		}
		body, release, err := b.read(w, r, limit)
		if err != nil {
			writeError(r.Context(), w, err)
			return
		}
		defer release()
		if len(body) > maxPublicBytes && b.budget != nil {
			// Its texts are copied once as they stand in JSON, and their bytes twice: as they are decoded, and for the service.
			// TestUploadsHoldNoMoreThanIsCounted measures it.
			release, ok := b.budget.Take(r.Context(), networkFrom(r.Context()), decodedCopies*int64(len(body)))
			if !ok {
				writeError(r.Context(), w, errBusy)
				return
			}
			defer release()
		}
		r.Body = &wholeBody{Reader: bytes.NewReader(body), data: body}
		body = nil
		// grpc-gateway would add the forwarding headers as they came to the metadata.
		r.Header.Del("X-Forwarded-For")
		r.Header.Del("X-Forwarded-Host")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// wholeBody is a body that was read.
type wholeBody struct {
	*bytes.Reader
	data []byte
}

// Close implements io.Closer.
func (*wholeBody) Close() error { return nil }

// take returns the bytes and forgets them, so that they can be freed while the call goes on.
func (b *wholeBody) take() []byte {
	data := b.data
	b.Reader, b.data = bytes.NewReader(nil), nil
	return data
}

// read returns the whole body. HTTP 413 beyond limit bytes, 503 beyond the budget. Bytes beyond maxPublicBytes are taken
// from the budget as they arrive, until the caller releases them; the number of connections limits smaller bodies.
func (b *bodies) read(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, release func(), err error) {
	if r.ContentLength > limit {
		return nil, nil, errBodyTooLarge
	}
	var held []func()
	giveBack := func() {
		for _, release := range held {
			release()
		}
	}
	defer func() {
		if err != nil {
			giveBack()
		}
	}()
	in := http.MaxBytesReader(w, r.Body, limit)
	body = make([]byte, 0, min(max(r.ContentLength+1, 512), maxPublicBytes))
	for {
		n, err := in.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		var tooLarge *http.MaxBytesError
		switch {
		case errors.Is(err, io.EOF):
			return body, giveBack, nil
		case errors.As(err, &tooLarge):
			return nil, nil, errBodyTooLarge
		case err != nil:
			return nil, nil, errBodyCut
		case len(body) < cap(body):
			continue
		}
		larger := 2 * cap(body)
		if larger > maxPublicBytes && b.budget != nil {
			release, ok := b.budget.Take(r.Context(), networkFrom(r.Context()), int64(cap(body)))
			if !ok {
				return nil, nil, errBusy
			}
			held = append(held, release)
		}
		body = append(make([]byte, 0, larger), body...)
	}
}

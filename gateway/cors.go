package gateway

import (
	"net/http"
	"regexp"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

const (
	// corsKeep is how long an answer of CheckOrigin is cached. A changed list of origins takes effect within it, and a
	// preflight and its request share one answer.
	corsKeep = 5 * time.Second
	// corsMax limits the memory that invented origins can take.
	corsMax = 4096
)

// publicCall matches what a widget calls: a campaign, its donations, one donation's status.
var publicCall = regexp.MustCompile(`^/v1/(collectives/[a-z0-9-]{1,40}/campaigns/[a-z0-9-]{1,40})(/donations|/donations/[0-9a-f-]{36}/status)?$`)

// cors lets pages of a campaign's allowed origins read the public calls about it.
// Other answers have no CORS header. Credentials are never allowed: there are no cookies.
type cors struct {
	campaigns campaignsv1.CampaignsServiceClient
	now       func() time.Time

	mu    sync.Mutex
	known map[corsKey]corsAnswer
}

type corsKey struct{ campaign, origin string }

type corsAnswer struct {
	allowed bool
	until   time.Time
}

func newCORS(conn grpc.ClientConnInterface, now func() time.Time) *cors {
	return &cors{campaigns: campaignsv1.NewCampaignsServiceClient(conn), now: now, known: map[corsKey]corsAnswer{}}
}

func (c *cors) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		match := publicCall.FindStringSubmatch(r.URL.Path)
		if match == nil {
			next.ServeHTTP(w, r)
			return
		}
		// Each address has one method: donations are made, the rest is read.
		method := http.MethodGet
		if match[2] == "/donations" {
			method = http.MethodPost
		}
		// A preflight asks for the method of the request that is to follow
		// (https://fetch.spec.whatwg.org/#http-cors-protocol).
		asked, preflight := r.Method, false
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			asked, preflight = r.Header.Get("Access-Control-Request-Method"), true
		}
		h := w.Header()
		// The answer depends on the origin, so a cache must not give it to another one. That holds for refusals as
		// well.
		h.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		if origin != "" && asked == method && c.allowed(r, match[1], origin) {
			h.Set("Access-Control-Allow-Origin", origin)
			if preflight {
				h.Set("Access-Control-Allow-Methods", method)
				// The body of a donation is JSON, which browsers announce by this header. No other header is needed.
				h.Set("Access-Control-Allow-Headers", "Content-Type")
				h.Set("Access-Control-Max-Age", "600")
			}
		}
		// A preflight that is refused has the same status and none of the headers; the browser then sends nothing.
		if preflight {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// allowed asks whether the campaign allows the origin. An error counts as no.
func (c *cors) allowed(r *http.Request, campaign, origin string) bool {
	key := corsKey{campaign, origin}
	now := c.now()
	c.mu.Lock()
	answer, ok := c.known[key]
	// The lock is not held during the call. Two requests at once may both ask, and store the same answer.
	c.mu.Unlock()
	if ok && now.Before(answer.until) {
		return answer.allowed
	}
	ctx, cancel := withTimeout(r.Context())
	defer cancel()
	// The answer is cached for all callers, so it must not depend on this caller's key.
	md, _ := metadata.FromOutgoingContext(ctx)
	md.Delete(authorizationKey)
	got, err := c.campaigns.CheckOrigin(metadata.NewOutgoingContext(ctx, md), &campaignsv1.CheckOriginRequest{Name: campaign, Origin: origin})
	// An error is not stored, so the next request asks again.
	if err != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// An empty cache costs one call for each origin; no answer becomes wrong.
	if len(c.known) >= corsMax {
		clear(c.known)
	}
	c.known[key] = corsAnswer{allowed: got.GetAllowed(), until: now.Add(corsKeep)}
	return got.GetAllowed()
}

package gateway

import (
	"context"
	"net/http"
	"net/netip"
	"regexp"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
)

const (
	// corsKeep is how long an answer of CheckOrigin is cached. A changed list of origins takes effect within it, and a
	// preflight and its request share one answer.
	corsKeep = 5 * time.Second
	// corsLastGood is how long the last answer counts while no other can be had, as that of package cached does.
	corsLastGood = 30 * time.Second
	// corsMax limits the memory that invented origins can take.
	corsMax = 4096
	// originRetry is when a page may ask again after nobody could say whether its origin is allowed.
	originRetry = 5 * time.Second
)

// publicCall matches what a widget calls: a campaign, its progress, the ways to give without a card, its donations, one
// donation's status.
var publicCall = regexp.MustCompile(`^/v1/(collectives/[a-z0-9-]{1,40}/campaigns/[a-z0-9-]{1,40})(/progress|/pledgeMethods|/donations|/donations/[0-9a-f-]{36}/status)?$`)

// cors lets pages of a campaign's allowed origins read the public calls about it.
// Other answers have no CORS header. Credentials are never allowed: there are no cookies.
type cors struct {
	campaigns campaignsv1.CampaignsServiceClient
	proxies   []netip.Prefix
	known     *otter.Cache[corsKey, corsAnswer]
	asking    singleflight.Group
}

type corsKey struct{ campaign, origin string }

type corsAnswer struct {
	allowed bool
	until   time.Time
}

func newCORS(conn grpc.ClientConnInterface, o Options) *cors {
	return &cors{
		campaigns: campaignsv1.NewCampaignsServiceClient(conn),
		proxies:   o.TrustedProxies,
		known: otter.Must(&otter.Options[corsKey, corsAnswer]{
			MaximumSize: corsMax, ExpiryCalculator: otter.ExpiryWriting[corsKey, corsAnswer](corsLastGood),
		}),
	}
}

// allow adds the header to an answer about a campaign that came from memory.
//
// Pages of any origin may read an error. It says the same to all, and to a stranger no more than any program reads without a
// browser: a draft and a campaign that does not exist have one answer. So the widget can tell who embeds it that the name is
// wrong, and an origin that is not allowed is what is left when nothing can be read.
//
// It is false when nobody can say whether the origin is allowed. Then the answer is to be an error, which any page may read: a
// page that reads nothing would blame its origin.
func (c *cors) allow(h http.Header, r *http.Request, status int) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	allowed, told := false, true
	// The question is asked for a missing campaign, too: for a draft, its members are told who asked.
	if match := publicCall.FindStringSubmatch(r.URL.Path); match != nil {
		allowed, told = c.allowed(r, match[1], origin)
	}
	switch {
	case allowed:
		h.Set("Access-Control-Allow-Origin", origin)
	case !told || status >= http.StatusBadRequest:
		h.Set("Access-Control-Allow-Origin", "*")
	}
	return told || status >= http.StatusBadRequest
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
		allowed, told := false, true
		if origin != "" && asked == method {
			allowed, told = c.allowed(r, match[1], origin)
		}
		switch {
		case allowed:
			h.Set("Access-Control-Allow-Origin", origin)
		case !told:
			// The page may read the error. After a preflight it sends what it meant to, and that is asked about again.
			h.Set("Access-Control-Allow-Origin", "*")
		}
		if allowed || !told {
			if preflight {
				h.Set("Access-Control-Allow-Methods", method)
				// The body of a donation is JSON, which browsers announce by this header. No other header is needed.
				h.Set("Access-Control-Allow-Headers", "Content-Type")
				// What nobody could say is not to be kept.
				if told {
					h.Set("Access-Control-Max-Age", "600")
				}
			}
		}
		// A preflight that is refused has the same status and none of the headers; the browser then sends nothing.
		if preflight {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if !told {
			writeError(r.Context(), w, retryable(failure(errorsv1.ErrorReason_SERVICE_UNAVAILABLE, "Whether this origin is allowed cannot be told now."), originRetry))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// allowed asks whether the campaign allows the origin. After an error it is what was last known; told is false when nothing was.
func (c *cors) allowed(r *http.Request, campaign, origin string) (allowed, told bool) {
	key := corsKey{campaign, origin}
	last, known := c.known.GetIfPresent(key)
	if time.Now().Before(last.until) {
		return last.allowed, true
	}
	// All who ask at once wait for one answer, whoever of them leaves. A path has no space, so the names stay apart.
	got, err, _ := c.asking.Do(campaign+" "+origin, func() (any, error) {
		ctx, cancel := withTimeout(context.WithoutCancel(r.Context()))
		defer cancel()
		md, ok := metadata.FromOutgoingContext(ctx)
		if !ok {
			md = callerMetadata(r, requestID(r), c.proxies)
		}
		// The answer is cached for all callers, so it must not depend on this caller's key.
		md.Delete(authorizationKey)
		got, err := c.campaigns.CheckOrigin(metadata.NewOutgoingContext(ctx, md), &campaignsv1.CheckOriginRequest{Name: campaign, Origin: origin})
		// An error is not stored, so the next request asks again.
		if err != nil {
			return nil, err
		}
		c.known.Set(key, corsAnswer{allowed: got.GetAllowed(), until: time.Now().Add(corsKeep)})
		return got.GetAllowed(), nil
	})
	if err != nil {
		return last.allowed, known
	}
	return got.(bool), true
}

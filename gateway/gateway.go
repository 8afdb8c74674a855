package gateway

import (
	"context"
	_ "embed"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/cagnotte/cagnotte/gateway/asset"
	"github.com/cagnotte/cagnotte/gateway/cached"
	"github.com/cagnotte/cagnotte/gateway/console"
	"github.com/cagnotte/cagnotte/gateway/design"
	"github.com/cagnotte/cagnotte/gateway/guide"
	"github.com/cagnotte/cagnotte/gateway/pages"
	"github.com/cagnotte/cagnotte/gateway/reference"
	"github.com/cagnotte/cagnotte/gateway/text"
	"github.com/cagnotte/cagnotte/gateway/widget"
	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
)

// callTimeout ends a call that the services do not answer. It is longer than the ten seconds after which CreateDonation
// stops waiting for Stripe.
const callTimeout = 15 * time.Second

//go:embed openapi.swagger.json
var openAPI []byte

// Options configure the gateway. The zero value works on loopback.
type Options struct {
	// PublicURL is where browsers reach the gateway, such as "https://dons.example"; with https,
	// answers ask browsers to stay with https.
	PublicURL string
	// OnionURL is the address of the same service in the Tor network, such as "http://….onion", which answers to browsers name:
	// Tor Browser offers to go there. Empty: there is none.
	OnionURL string
	// Host are the lines of who runs the service, for the legal notice and the page about privacy. Empty: neither says it.
	Host []string
	// TrustedProxies are the networks whose X-Forwarded-For is believed. None when empty.
	TrustedProxies []netip.Prefix
	// CheckoutOrigins are the origins of the payment pages, to which the forms of the pages may redirect.
	// "https://checkout.stripe.com" when empty.
	CheckoutOrigins []string
	// PortalOrigins are the origins of the pages where donors change the card of a monthly donation, to which the form may
	// redirect. "https://billing.stripe.com" when empty.
	PortalOrigins []string
	// Uncached renders each answer anew, for tests of what is rendered. False: public reads are shared for a second.
	Uncached bool
	// Bodies limits the memory that bodies of requests take in the process, in bytes; no limit when nil.
	Bodies Budget
	// Reads limits how many public reads are rendered at once, by one for each; no limit when nil.
	Reads Budget
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Logger gets what callers are not told; slog.Default when nil.
	Logger *slog.Logger
}

// New returns the handler of all addresses. It calls the services over conn, which the caller closes. The handler has no
// state that another copy of it needs. The http.Server around it sets timeouts for reading and writing.
func New(conn grpc.ClientConnInterface, o Options) (http.Handler, error) {
	if conn == nil {
		return nil, errors.New("gateway: no gRPC connection")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if len(o.CheckoutOrigins) == 0 {
		o.CheckoutOrigins = []string{"https://checkout.stripe.com"}
	}
	if len(o.PortalOrigins) == 0 {
		o.PortalOrigins = []string{"https://billing.stripe.com"}
	}
	embedding := newCORS(conn, o)
	all, page, err := routes(conn, embedding, o)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for _, r := range all {
		mux.Handle(r.pattern, r.handler)
	}
	// Headers come first, so that errors have them too; then the caller's metadata, which every call needs.
	whole := withHeaders(o, withCaller(o, mux))
	if o.Uncached {
		return whole, nil
	}
	front, err := cached.New(cached.Config{
		Next: whole, Routes: publicReads(embedding), Place: placesOf(o), Busy: withHeaders(o, withCaller(o, busy(page))), Logger: o.Logger,
	})
	if err != nil {
		return nil, err
	}
	return withFiles(withHeaders(o, mux), front), nil
}

// withFiles answers embedded files without the caller's metadata: they call nothing.
func withFiles(files, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if (r.URL.Path == widget.StablePath || strings.HasPrefix(r.URL.Path, widget.VersionPrefix)) && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			files.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// route is one address, or all addresses with one prefix.
type route struct {
	pattern string
	// takes says what body the address reads.
	takes   body
	handler http.Handler
}

// routes returns all addresses, and the page that answers when there is no place for a read. A test compares them with a list.
func routes(conn grpc.ClientConnInterface, embedding *cors, o Options) (all []route, busy http.Handler, err error) {
	// One budget is shared by all routes that read bodies.
	b := &bodies{budget: o.Bodies, keys: accessv1.NewAccessServiceClient(conn)}
	rest, err := newREST(conn, b, o.Logger)
	if err != nil {
		return nil, nil, err
	}
	script, err := widget.New()
	if err != nil {
		return nil, nil, err
	}
	assets := design.NewAssets()
	site, err := pages.New(pages.Config{
		Conn:            conn,
		PublicURL:       o.PublicURL,
		Host:            o.Host,
		Assets:          assets,
		CheckoutOrigins: o.CheckoutOrigins,
		PortalOrigins:   o.PortalOrigins,
		Now:             o.Now,
		Logger:          o.Logger,
	})
	if err != nil {
		return nil, nil, err
	}
	members, err := console.New(console.Config{
		Conn:       conn,
		PublicURL:  o.PublicURL,
		Preview:    site.Preview,
		Poster:     site.Poster,
		DoorPoster: site.DoorPoster,
		Widget:     script,
		Assets:     assets,
		Bodies:     o.Bodies,
		Now:        o.Now,
		Logger:     o.Logger,
	})
	if err != nil {
		return nil, nil, err
	}
	manual, err := guide.New(guide.Config{Assets: assets})
	if err != nil {
		return nil, nil, err
	}
	api, err := reference.Handler(orJSON(site))
	if err != nil {
		return nil, nil, err
	}
	// Browsers get the page for what is not there, programs get JSON: see orJSON.
	return []route{
		{"/", noBody, orJSON(site)},
		{"/{$}", noBody, site},
		{"/privacy", noBody, site},
		{"/c/", formBody, site},
		{"/images/", noBody, site},
		{"/oembed", noBody, only(http.MethodGet, site)},
		{"/sitemap.xml", noBody, only(http.MethodGet, site)},
		{"/robots.txt", noBody, only(http.MethodGet, site)},
		{"/proof", noBody, site},
		{"/donations/", noBody, site},
		{"/monthly/", noBody, site},
		{"/stripe/", noBody, site},
		{"/console", formBody, members},
		{"/console/", formBody, members},
		{"/guide", noBody, manual},
		{"/guide/", noBody, manual},
		{"/assets/", noBody, assets.Or(site)},
		{"/v1/", jsonBody, embedding.wrap(rest)},
		{"/v1/webhooks/stripe", eventBody, only(http.MethodPost, receive(conn, b, platformEndpoint))},
		{"/v1/webhooks/stripe/connect", eventBody, only(http.MethodPost, receive(conn, b, connectEndpoint))},
		{"/healthz", noBody, only(http.MethodGet, http.HandlerFunc(alive))},
		{"/readyz", noBody, only(http.MethodGet, ready(conn))},
		{"/api", noBody, only(http.MethodGet, api)},
		{"/api/", noBody, only(http.MethodGet, api)},
		{"/openapi.json", noBody, only(http.MethodGet, asset.New(openAPI, "application/json", "public, max-age=300"))},
		{widget.StablePath, noBody, only(http.MethodGet, script)},
		{widget.VersionPrefix, noBody, only(http.MethodGet, version(script))},
	}, http.HandlerFunc(site.Busy), nil
}

// version answers the present version of the script, and 404 for all others: see package widget.
func version(script *widget.Script) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !script.Has(r.URL.Path) {
			writeError(r.Context(), w, errNotFound)
			return
		}
		script.ServeHTTP(w, r)
	})
}

// withCaller gives the request its id and its gRPC metadata, and removes all headers of the client that would become
// metadata.
func withCaller(o Options, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := requestID(r)
		w.Header().Set("X-Request-Id", id)
		ctx := metadata.NewOutgoingContext(r.Context(), callerMetadata(r, id, o.TrustedProxies))
		r = r.Clone(ctx)
		for name := range r.Header {
			if strings.HasPrefix(name, "Grpc-") || strings.HasPrefix(name, "Cagnotte-") {
				r.Header.Del(name)
			}
		}
		next.ServeHTTP(w, r)
	})
}

// withHeaders sets what every answer carries. Pages replace the content policy by their own.
func withHeaders(o Options, next http.Handler) http.Handler {
	// The values are shared by all answers. A handler that wants another sets it.
	common := map[string][]string{
		"X-Content-Type-Options":  {"nosniff"},
		"Content-Security-Policy": {"default-src 'none'; frame-ancestors 'none'"},
		// Not no-referrer: browsers then send `Origin: null` with our own forms.
		"Referrer-Policy":    {"same-origin"},
		"Permissions-Policy": {"camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
	}
	if strings.HasPrefix(o.PublicURL, "https://") {
		common["Strict-Transport-Security"] = []string{"max-age=31536000"}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), common)
		if o.OnionURL != "" {
			w.Header().Set("Onion-Location", o.OnionURL+onionPath(r.URL))
		}
		next.ServeHTTP(w, r)
	})
}

// onionPath is the path with the language, and nothing else of the query: an answer that many share must not repeat what one
// of them sent, and a token belongs into no header.
func onionPath(u *url.URL) string {
	path := u.EscapedPath()
	if lang := text.ExplicitLanguage(&http.Request{URL: u}, text.Languages); lang != "" {
		path += "?lang=" + lang
	}
	return path
}

// orJSON answers what is not there: browsers get the page for it, programs the error in JSON.
func orJSON(site http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept"), "text/html") {
			site.ServeHTTP(w, r)
			return
		}
		writeError(r.Context(), w, errNotFound)
	})
}

// only answers 405 to other methods; HEAD goes with GET.
func only(method string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method && (method != http.MethodGet || r.Method != http.MethodHead) {
			w.Header().Set("Allow", method)
			writeError(r.Context(), w, errMethod)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// withTimeout bounds one call.
func withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, callTimeout)
}

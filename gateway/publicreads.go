package gateway

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/cagnotte/cagnotte/gateway/cached"
)

// sitemapFresh is how old the sitemap may be, which names thousands of campaigns. Search engines come once a day or so.
const sitemapFresh = 5 * time.Minute

// cacheShared lets shared caches have an answer for as long as ours, and browsers ask each time.
const cacheShared = "public, max-age=0, s-maxage=1"

// publicReads are the addresses that are answered from memory; see package cached. Pages about one person's donation are never
// among them. A page ignores parameters that others added to a link to it; the API refuses them.
func publicReads(c *cors) []cached.Route {
	return []cached.Route{
		{Pattern: "/v1/collectives/*/campaigns/*/progress", Keyed: true, CacheControl: cacheShared, Headers: c.allow},
		{Pattern: "/v1/collectives/*/campaigns/*/pledgeMethods", Keyed: true, CacheControl: cacheShared, Headers: c.allow},
		{Pattern: "/v1/collectives/*/campaigns/*", Keyed: true, CacheControl: cacheShared, Headers: c.allow},
		{Pattern: "/v1/collectives/*/campaigns", Keyed: true, CacheControl: cacheShared, Query: []string{"page_size", "page_token"}},
		{Pattern: "/v1/collectives/*/campaigns/*/news", Keyed: true, CacheControl: cacheShared, Query: []string{"page_size", "page_token"}},
		{Pattern: "/v1/collectives/*/campaigns/*/news/*", Keyed: true, CacheControl: cacheShared},
		{Pattern: "/v1/collectives/*/campaigns/*/donationBatches", Keyed: true, CacheControl: cacheShared, Query: []string{"page_size", "page_token"}},
		{Pattern: "/v1/collectives/*/campaigns/*/publicExpenses", Keyed: true, CacheControl: cacheShared, Query: []string{"page_size", "page_token"}},
		{Pattern: "/v1/instance/listedCampaigns", Keyed: true, CacheControl: cacheShared, Query: []string{"page_size", "page_token"}},
		{Pattern: "/c/*/*/embed", Language: true, Lenient: true, Query: []string{"origin"}},
		{Pattern: "/c/*/*/badge.svg", Language: true, Lenient: true},
		{Pattern: "/c/*/*", Language: true, Lenient: true},
		{Pattern: "/c/*/*/door", Language: true, Lenient: true},
		{Pattern: "/c/*/*/door/unpaid", Language: true, Lenient: true},
		{Pattern: "/c/*/*/door/thanks", Language: true, Lenient: true},
		{Pattern: "/c/*/*/picture.png", Language: true, Lenient: true},
		{Pattern: "/c/*/*/poster.pdf", Language: true, Lenient: true},
		{Pattern: "/c/*/*/qr.svg", Lenient: true},
		{Pattern: "/c/*/*/qr.png", Lenient: true},
		{Pattern: "/c/*", Language: true, Lenient: true, Query: []string{"page"}},
		{Pattern: "/proof", Language: true, Lenient: true},
		{Pattern: "/sitemap.xml", Lenient: true, Fresh: sitemapFresh},
		{Pattern: "/c/*/*/news", Language: true, Lenient: true, Query: []string{"page"}},
		{Pattern: "/c/*/*/news.atom", Language: true, Lenient: true},
		{Pattern: "/c/*/*/news/*", Language: true, Lenient: true},
		{Pattern: "/", Language: true, Lenient: true, Query: []string{"page"}},
		{Pattern: "/privacy", Language: true, Lenient: true},
		{Pattern: "/images/*/*/*", Lenient: true},
	}
}

// placesOf takes a place for a read in the name of the client's network.
func placesOf(o Options) func(*http.Request, time.Duration) (func(), bool) {
	if o.Reads == nil {
		return nil
	}
	return func(r *http.Request, wait time.Duration) (func(), bool) {
		// When the time is up already, a free place is still taken.
		ctx, cancel := context.WithTimeout(r.Context(), wait)
		defer cancel()
		return o.Reads.Take(ctx, networkOf(clientAddress(r, o.TrustedProxies)), 1)
	}
}

// busy answers a read for which there is no place.
func busy(page http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			w.Header().Set("Cache-Control", "no-store")
			// Pages of any origin may read an error, as in [cors.allow].
			w.Header().Set("Access-Control-Allow-Origin", "*")
			writeError(r.Context(), w, errBusy)
			return
		}
		page.ServeHTTP(w, r)
	})
}

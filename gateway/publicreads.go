package gateway

import "github.com/cagnotte/cagnotte/gateway/cached"

// cacheShared lets shared caches have an answer for as long as ours, and browsers ask each time.
const cacheShared = "public, max-age=0, s-maxage=1"

// publicReads are the addresses that are answered from memory; see package cached. Pages about one person's donation are never
// among them. A page ignores parameters that others added to a link to it; the API refuses them.
func publicReads(c *cors) []cached.Route {
	return []cached.Route{
		{Pattern: "/v1/collectives/*/campaigns/*/progress", CacheControl: cacheShared, Headers: c.allow},
		{Pattern: "/v1/collectives/*/campaigns/*/pledgeMethods", CacheControl: cacheShared, Headers: c.allow},
		{Pattern: "/v1/collectives/*/campaigns/*", CacheControl: cacheShared, Headers: c.allow},
		{Pattern: "/v1/collectives/*/campaigns", CacheControl: cacheShared, Query: []string{"page_size", "page_token"}},
		{Pattern: "/v1/collectives/*/campaigns/*/news", CacheControl: cacheShared, Query: []string{"page_size", "page_token"}},
		{Pattern: "/v1/collectives/*/campaigns/*/news/*", CacheControl: cacheShared},
		{Pattern: "/v1/collectives/*/campaigns/*/donationBatches", CacheControl: cacheShared, Query: []string{"page_size", "page_token"}},
		{Pattern: "/v1/collectives/*/campaigns/*/publicExpenses", CacheControl: cacheShared, Query: []string{"page_size", "page_token"}},
		{Pattern: "/v1/instance/listedCampaigns", CacheControl: cacheShared, Query: []string{"page_size", "page_token"}},
		{Pattern: "/c/*/*/embed", Language: true, Lenient: true, Query: []string{"origin"}},
		{Pattern: "/c/*/*/badge.svg", Language: true, Lenient: true},
		{Pattern: "/c/*/*", Language: true, Lenient: true},
		{Pattern: "/c/*/*/picture.png", Language: true, Lenient: true},
		{Pattern: "/c/*/*/poster.pdf", Language: true, Lenient: true},
		{Pattern: "/c/*/*/qr.svg", Lenient: true},
		{Pattern: "/c/*/*/qr.png", Lenient: true},
		{Pattern: "/c/*", Language: true, Lenient: true, Query: []string{"page"}},
		{Pattern: "/proof", Language: true, Lenient: true},
		{Pattern: "/sitemap.xml", Lenient: true},
		{Pattern: "/c/*/*/news", Language: true, Lenient: true, Query: []string{"page"}},
		{Pattern: "/c/*/*/news.atom", Language: true, Lenient: true},
		{Pattern: "/c/*/*/news/*", Language: true, Lenient: true},
		{Pattern: "/", Language: true, Lenient: true, Query: []string{"page"}},
		{Pattern: "/privacy", Language: true, Lenient: true},
		{Pattern: "/images/*/*/*", Lenient: true},
	}
}

package cached

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cagnotte/cagnotte/gateway/text"
)

// Route is an address, or a family of addresses, whose answers to GET may be shared.
type Route struct {
	// Pattern is a path. A star stands for one segment of letters, digits, dots, dashes and underscores.
	Pattern string
	// Query are the parameters that the answer depends on.
	Query []string
	// Lenient: whatever else the query has is ignored, such as what is added to links on their way. When false, such a request
	// passes through.
	Lenient bool
	// Keyed: who sends a key sees more, so a request with Authorization passes through. When false, the header is ignored, as by
	// the handler behind.
	Keyed bool
	// Fresh is how old an answer may be that is given without asking for another; a second when zero.
	Fresh time.Duration
	// Language: the answer depends on ?lang= and on Accept-Language. Query need not have "lang".
	Language bool
	// CacheControl replaces that of an answer 200 to who has no key. Empty: only what says so itself is kept.
	CacheControl string
	// Headers adds the headers that depend on the request to an answer of this status. False: what they say is not known now,
	// and the request is answered as when there is no place for it. Nil: none.
	Headers func(h http.Header, r *http.Request, status int) bool
}

const (
	// maxSegments is above the longest pattern, and maxQuery above any query that we write.
	maxSegments = 12
	maxQuery    = 1024
	languageKey = "lang"
)

type pattern struct {
	Route
	segments []string
}

// key is what an answer depends on. Language is empty where it does not depend on the browser's.
type key struct{ path, query, language string }

// flight is the key as singleflight takes it. No part holds a zero byte: see match and canonical.
func (k key) flight() string { return k.path + "\x00" + k.query + "\x00" + k.language }

// match finds the route of a path.
func match(patterns []pattern, path string) *pattern {
	if len(path) == 0 || path[0] != '/' {
		return nil
	}
	var room [maxSegments]string
	segments := room[:0]
	for rest := path[1:]; ; {
		segment, after, more := strings.Cut(rest, "/")
		if len(segments) == maxSegments {
			return nil
		}
		segments = append(segments, segment)
		if !more {
			break
		}
		rest = after
	}
	for i := range patterns {
		if fits(patterns[i].segments, segments) {
			return &patterns[i]
		}
	}
	return nil
}

func fits(pattern, segments []string) bool {
	if len(pattern) != len(segments) {
		return false
	}
	for i, want := range pattern {
		// The front page's only segment is empty, in the pattern as in the path.
		if want == "*" && !plain(segments[i]) || want != "*" && want != segments[i] {
			return false
		}
	}
	return true
}

// plain reports whether a segment stands for itself in a URL and is no way up. Capitals are none: pages may redirect them.
func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return s != "" && len(s) <= 128 && s[0] != '.'
}

// fresh is the route's, or the standard.
func (p *pattern) fresh() time.Duration { return cmp.Or(p.Fresh, freshFor) }

// keyOf returns what the answer depends on; false when the request is not one whose answer is shared.
func (p *pattern) keyOf(r *http.Request) (key, bool) {
	// A slash that was escaped belongs to a segment. Whatever else was escaped is the same address.
	if raw := r.URL.RawPath; strings.Contains(raw, "%2f") || strings.Contains(raw, "%2F") {
		return key{}, false
	}
	k := key{path: r.URL.Path}
	chosen := ""
	if r.URL.RawQuery != "" {
		var ok bool
		if k.query, chosen, ok = p.canonical(r.URL.RawQuery); !ok {
			return key{}, false
		}
	}
	if p.Language && chosen == "" {
		k.language = text.PreferredLanguage(r.Header.Get("Accept-Language"), text.Languages)
	}
	return k, true
}

// canonical returns the parameters that the route knows in one order, and the language among them.
func (p *pattern) canonical(raw string) (query, language string, ok bool) {
	// What cannot be read is left out of what is given.
	given, err := url.ParseQuery(raw)
	if !p.Lenient && (err != nil || len(raw) > maxQuery) {
		return "", "", false
	}
	known := url.Values{}
	for name, values := range given {
		switch {
		case p.Language && name == languageKey:
			// The first counts, as in package text; another language than ours is ignored as there.
			if slices.Contains(text.Languages, values[0]) {
				language = values[0]
				known.Set(name, language)
			}
		case slices.Contains(p.Query, name) && (p.Lenient || len(values) == 1):
			// The first counts, as for pages. One that is longer than any of ours is none.
			if len(values[0]) <= maxQuery {
				known.Set(name, values[0])
			}
		case !p.Lenient:
			return "", "", false
		}
	}
	return known.Encode(), language, true
}

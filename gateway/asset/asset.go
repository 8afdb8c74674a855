// Package asset serves one embedded file: compressed once, revalidated by its ETag.
package asset

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
)

// Asset is a file that never changes while the program runs. It is an http.Handler for GET and HEAD.
type Asset struct {
	plain, packed             []byte
	etag, contentType, policy string
}

// New returns the file with this media type and Cache-Control.
func New(body []byte, contentType, cacheControl string) *Asset {
	sum := sha256.Sum256(body)
	var packed bytes.Buffer
	// Neither error can happen: the level is valid and a buffer takes every write.
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	_, _ = z.Write(body)
	_ = z.Close()
	return &Asset{
		plain:       body,
		packed:      packed.Bytes(),
		etag:        base64.RawURLEncoding.EncodeToString(sum[:12]),
		contentType: contentType,
		policy:      cacheControl,
	}
}

// Version returns a short name of the content, for addresses that may be cached for ever.
func (a *Asset) Version() string { return a.etag }

// ServeHTTP answers the file, with gzip when the client accepts it, or 304 when the client has it.
func (a *Asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, etag := a.plain, `"`+a.etag+`"`
	h := w.Header()
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		// Another representation needs another strong ETag (RFC 9110, 8.8.3.3).
		body, etag = a.packed, `"`+a.etag+`-gz"`
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", a.policy)
	h.Add("Vary", "Accept-Encoding")
	h.Set("ETag", etag)
	// Shared caches keep assets, and an id belongs to one request.
	h.Del("X-Request-Id")
	if matches(r.Header.Get("If-None-Match"), a.etag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

// acceptsGzip reports whether the client listed gzip and did not refuse it with q=0.
func acceptsGzip(header string) bool {
	for item := range strings.SplitSeq(header, ",") {
		coding, params, _ := strings.Cut(strings.TrimSpace(item), ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			q := strings.ReplaceAll(params, " ", "")
			return !strings.HasPrefix(q, "q=0") || strings.Trim(strings.TrimPrefix(q, "q=0"), ".0") != ""
		}
	}
	return false
}

// matches compares If-None-Match with the content, whichever encoding the client holds.
func matches(header, etag string) bool {
	for item := range strings.SplitSeq(header, ",") {
		got := strings.Trim(strings.TrimPrefix(strings.TrimSpace(item), "W/"), `"`)
		if got == "*" || strings.TrimSuffix(got, "-gz") == etag {
			return true
		}
	}
	return false
}

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
	name          string
	plain, packed form
	// contentType, policy and vary are headers, which all answers share.
	contentType, policy, vary []string
}

// form is the file in one encoding.
type form struct {
	body         []byte
	etag, length []string
}

// New returns the file with this media type and Cache-Control.
func New(body []byte, contentType, cacheControl string) *Asset {
	sum := sha256.Sum256(body)
	name := base64.RawURLEncoding.EncodeToString(sum[:12])
	var packed bytes.Buffer
	// Neither error can happen: the level is valid and a buffer takes every write.
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	_, _ = z.Write(body)
	_ = z.Close()
	return &Asset{
		name:  name,
		plain: newForm(body, `"`+name+`"`),
		// Another representation needs another strong ETag (RFC 9110, 8.8.3.3).
		packed:      newForm(packed.Bytes(), `"`+name+`-gz"`),
		contentType: []string{contentType},
		policy:      []string{cacheControl},
		vary:        []string{"Accept-Encoding"},
	}
}

func newForm(body []byte, etag string) form {
	return form{body: body, etag: []string{etag}, length: []string{strconv.Itoa(len(body))}}
}

var gzipped = []string{"gzip"}

// Version returns a short name of the content, for addresses that may be cached for ever.
func (a *Asset) Version() string { return a.name }

// ServeHTTP answers the file, with gzip when the client accepts it, or 304 when the client has it.
func (a *Asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, f := w.Header(), &a.plain
	packed := AcceptsGzip(r.Header.Get("Accept-Encoding"))
	if packed {
		f = &a.packed
	}
	h["Content-Type"], h["Cache-Control"], h["Etag"] = a.contentType, a.policy, f.etag
	if h["Vary"] == nil {
		h["Vary"] = a.vary
	} else {
		h.Add("Vary", a.vary[0])
	}
	// Shared caches keep assets, and an id belongs to one request.
	delete(h, "X-Request-Id")
	if known := r.Header.Get("If-None-Match"); known != "" && matches(known, a.name) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if packed {
		h["Content-Encoding"] = gzipped
	}
	h["Content-Length"] = f.length
	if r.Method != http.MethodHead {
		_, _ = w.Write(f.body)
	}
}

// AcceptsGzip reports whether the client listed gzip and did not refuse it with q=0.
func AcceptsGzip(header string) bool {
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

package cached

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cagnotte/cagnotte/gateway/asset"
)

const (
	// gzipAbove is the size below which compression saves no packet.
	gzipAbove = 1024
	// overhead is about what an answer takes beside its bytes: headers, the entry, and its place in the cache.
	overhead = 2048
)

// field is a header. The values are shared by all answers, so nobody may change them.
type field struct {
	name   string
	values []string
}

// form is an answer in one encoding.
type form struct {
	body []byte
	// etag is empty for an answer that is not kept for its content.
	etag string
	// unchanged are the headers of a 304, which whole begins with.
	whole, unchanged []field
}

// answer is what a render gave.
type answer struct {
	status int
	// packed is nil where gzip saves nothing.
	plain, packed *form
	// made is when the render began, so that nothing in it is older.
	made time.Time
	// keep is how long it may be given to anybody.
	keep time.Duration
	// refused: there was no place for the render. Another client may have one.
	refused bool
	// refresh is when the next render is due, and expire when nobody gets this answer without asking for another; both in
	// nanoseconds since made.
	refresh, expire atomic.Int64
}

// newAnswer takes over what was recorded. shared adds what caches need. last is the answer before, or nil: what did not change
// is not compressed again.
func newAnswer(status int, header http.Header, body []byte, made time.Time, shared bool, last *answer) *answer {
	a := &answer{status: status, made: made}
	if !shared {
		a.plain = &form{body: body, whole: fieldsOf(header, "", "", len(body))}
		return a
	}
	// An id belongs to one request, and this answer to many.
	header.Del("X-Request-Id")
	header.Del("Content-Length")
	header.Add("Vary", "Accept-Encoding")
	sum := sha256.Sum256(body)
	tag := base64.RawURLEncoding.EncodeToString(sum[:12])
	a.plain = newForm(header, body, `"`+tag+`"`, "")
	var packed []byte
	if last != nil && last.packed != nil && last.plain.etag == a.plain.etag {
		packed = last.packed.body
	} else {
		packed = pack(header.Get("Content-Type"), body)
	}
	if packed != nil {
		a.packed = newForm(header, packed, `"`+tag+`-gz"`, "gzip")
	}
	return a
}

func newForm(header http.Header, body []byte, etag, encoding string) *form {
	f := &form{body: body, etag: etag, whole: fieldsOf(header, etag, encoding, len(body))}
	// A 304 has what a cache updates its copy by (RFC 9110, 15.4.5), and our policies.
	for _, h := range f.whole {
		if h.name != "Content-Encoding" && h.name != "Content-Length" && h.name != "Content-Type" {
			f.unchanged = append(f.unchanged, h)
		}
	}
	return f
}

func fieldsOf(header http.Header, etag, encoding string, length int) []field {
	var fields []field
	for name, values := range header {
		// Several lines of Vary are one list.
		if name == "Vary" {
			values = []string{strings.Join(values, ", ")}
		}
		fields = append(fields, field{name, values})
	}
	if etag != "" {
		fields = append(fields, field{"Etag", []string{etag}})
	}
	if encoding != "" {
		fields = append(fields, field{"Content-Encoding", []string{encoding}})
	}
	return append(fields, field{"Content-Length", []string{strconv.Itoa(length)}})
}

// pack compresses texts; nil where that saves nothing.
func pack(contentType string, body []byte) []byte {
	media, _, _ := strings.Cut(contentType, ";")
	isText := strings.HasPrefix(media, "text/") || strings.HasSuffix(media, "json") || strings.HasSuffix(media, "xml")
	if !isText || len(body) < gzipAbove {
		return nil
	}
	var packed bytes.Buffer
	// A buffer takes every write.
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(body)
	_ = z.Close()
	if packed.Len() >= len(body) {
		return nil
	}
	return bytes.Clone(packed.Bytes())
}

// weight is about what the answer takes of memory.
func (a *answer) weight() uint32 {
	total := overhead + len(a.plain.body)
	if a.packed != nil {
		total += len(a.packed.body)
	}
	return uint32(total)
}

// write answers a request for GET or HEAD.
func (a *answer) write(w http.ResponseWriter, r *http.Request) {
	f := a.plain
	if a.packed != nil && asset.AcceptsGzip(r.Header.Get("Accept-Encoding")) {
		f = a.packed
	}
	h := w.Header()
	if f.etag != "" {
		if known := r.Header.Get("If-None-Match"); known != "" && holds(known, f.etag) {
			f.set(h, f.unchanged)
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	f.set(h, f.whole)
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(f.body)
	}
}

func (f *form) set(h http.Header, fields []field) {
	for _, field := range fields {
		h[field.name] = field.values
	}
}

// holds compares If-None-Match with an ETag, weakly (RFC 9110, 13.1.2).
func holds(header, etag string) bool {
	if header == etag {
		return true
	}
	for item := range strings.SplitSeq(header, ",") {
		item = strings.TrimPrefix(strings.TrimSpace(item), "W/")
		if item == "*" || item == etag {
			return true
		}
	}
	return false
}

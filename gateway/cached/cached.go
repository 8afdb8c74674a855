package cached

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"

	"github.com/cagnotte/cagnotte/gateway/text"
)

const (
	// freshFor is how old an answer can be that is given without asking for another, and renewAfter when one begins to ask.
	freshFor   = time.Second
	renewAfter = freshFor / 2
	// lastGoodFor is how old an answer can be while renders fail, such as during a restart of the database.
	lastGoodFor = 30 * time.Second
	// patience is how long a request waits for a render where there is a last good answer, and retryAfter the time between
	// two renders that fail.
	patience   = time.Second
	retryAfter = time.Second
	// renderFor bounds a render. It is longer than a call of the gateway's.
	renderFor = 20 * time.Second
)

// Config is what a Handler needs. Fields without a default are required.
type Config struct {
	// Next answers what is not cached, and renders what is.
	Next http.Handler
	// Routes are the addresses whose answers are shared. The first that fits counts.
	Routes []Route
	// Bytes bounds the answers 200; 64 MiB when zero. MissingBytes bounds those that say 404; 4 MiB when zero.
	Bytes, MissingBytes uint64
	// Now tells the time; time.Now when nil.
	Now func() time.Time
	// Logger gets what no visitor is told; slog.Default when nil.
	Logger *slog.Logger
}

// Handler answers public reads from memory, and passes on the rest. It is safe for concurrent use.
type Handler struct {
	next     http.Handler
	patterns []pattern
	now      func() time.Time
	logger   *slog.Logger
	answers  *otter.Cache[key, *answer]
	missing  *otter.Cache[key, *answer]
	renders  singleflight.Group
}

// New returns a Handler, or an error for a pattern that cannot be one.
func New(c Config) (*Handler, error) {
	h := &Handler{next: c.Next, now: c.Now, logger: c.Logger}
	if h.now == nil {
		h.now = time.Now
	}
	if h.logger == nil {
		h.logger = slog.Default()
	}
	for _, route := range c.Routes {
		path, ok := strings.CutPrefix(route.Pattern, "/")
		segments := strings.Split(path, "/")
		if !ok || len(segments) > maxSegments {
			return nil, fmt.Errorf("cached: the pattern %q", route.Pattern)
		}
		h.patterns = append(h.patterns, pattern{route, segments})
	}
	var err, merr error
	h.answers, err = room(c.Bytes, 64<<20, lastGoodFor)
	h.missing, merr = room(c.MissingBytes, 4<<20, freshFor)
	return h, errors.Join(err, merr)
}

// room is a cache of so many bytes, or its default. An entry leaves it when nobody may get it any more.
func room(bytes, standard uint64, keep time.Duration) (*otter.Cache[key, *answer], error) {
	if bytes == 0 {
		bytes = standard
	}
	return otter.New(&otter.Options[key, *answer]{
		MaximumWeight: bytes,
		Weigher: func(k key, a *answer) uint32 {
			return a.weight() + uint32(len(k.path)+len(k.query))
		},
		ExpiryCalculator: otter.ExpiryWriting[key, *answer](keep),
	})
}

// ServeHTTP answers from memory what it has, and renders what it may keep.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, k, ok := h.find(r)
	if !ok {
		h.next.ServeHTTP(w, r)
		return
	}
	found, now := h.stored(k, r), h.now()
	if found != nil {
		age := now.Sub(found.made)
		if due := found.refresh.Load(); int64(age) >= due && int64(age) < found.expire.Load() && found.status == http.StatusOK {
			// One of all who come now begins the next render, and nobody waits for it.
			if found.refresh.CompareAndSwap(due, int64(age+retryAfter)) {
				h.begin(p, k, r)
			}
		}
		if int64(age) < found.expire.Load() {
			h.give(p, found, w, r)
			return
		}
		if age >= lastGoodFor || found.status != http.StatusOK {
			found = nil
		}
	}
	rendered := h.await(r.Context(), h.begin(p, k, r), found)
	switch {
	case rendered == nil:
		// The client left.
	case rendered.status == http.StatusTooManyRequests:
		h.next.ServeHTTP(w, r)
	default:
		h.give(p, rendered, w, r)
	}
}

// find returns the route and the key of a request whose answer is shared.
func (h *Handler) find(r *http.Request) (*pattern, key, bool) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.URL.RawPath != "" || r.Header["Authorization"] != nil {
		return nil, key{}, false
	}
	p := match(h.patterns, r.URL.Path)
	if p == nil {
		return nil, key{}, false
	}
	k, ok := p.keyOf(r)
	return p, k, ok
}

// stored returns what is kept for the key; nil for nothing.
func (h *Handler) stored(k key, r *http.Request) *answer {
	if found, ok := h.answers.GetIfPresent(k); ok {
		return found
	}
	if found, ok := h.missing.GetIfPresent(inLanguage(k, r)); ok {
		return found
	}
	return nil
}

// give writes an answer, with the headers that depend on the request.
func (h *Handler) give(p *pattern, a *answer, w http.ResponseWriter, r *http.Request) {
	if p.Headers != nil {
		p.Headers(w.Header(), r, a.status)
	}
	a.write(w, r)
}

// await waits for a render, or for as long as patience where there is a last good answer. Nil: the client left.
func (h *Handler) await(ctx context.Context, rendering <-chan singleflight.Result, lastGood *answer) *answer {
	var late <-chan time.Time
	if lastGood != nil {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case result := <-rendering:
		rendered := result.Val.(*answer)
		if lastGood != nil && rendered.status >= http.StatusInternalServerError {
			return lastGood
		}
		return rendered
	case <-late:
		return lastGood
	case <-ctx.Done():
		return nil
	}
}

// begin renders an answer and keeps it, once for all who ask meanwhile.
func (h *Handler) begin(p *pattern, k key, r *http.Request) <-chan singleflight.Result {
	missing := inLanguage(k, r)
	request := k.request(missing.language, r)
	return h.renders.DoChan(missing.flight(), func() (any, error) {
		a := h.render(p, k, request)
		switch {
		case a.status == http.StatusOK && a.plain.etag != "":
			h.answers.Set(k, a)
		case a.status == http.StatusNotFound:
			// What is gone is not the last good answer.
			h.answers.Invalidate(k)
			h.missing.Set(missing, a)
		case a.status >= http.StatusInternalServerError:
			if last, ok := h.answers.GetIfPresent(k); ok {
				// The age until which the last good answer is given without another attempt.
				until := int64(h.now().Sub(last.made) + retryAfter)
				last.refresh.Store(until)
				last.expire.Store(min(until, int64(lastGoodFor)))
			}
		}
		return a, nil
	})
}

// inLanguage is the key of a 404, whose text is in the reader's language on all routes.
func inLanguage(k key, r *http.Request) key {
	if k.language == "" {
		k.language = text.PreferredLanguage(r.Header.Get("Accept-Language"), text.Languages)
	}
	return k
}

// render asks the handler behind. It never fails: an error is an answer, too.
func (h *Handler) render(p *pattern, k key, request *http.Request) (rendered *answer) {
	ctx, cancel := context.WithTimeout(context.Background(), renderFor)
	defer cancel()
	made := h.now()
	defer func() {
		// A panic here would end the program, because it is in no goroutine of the server's.
		if cause := recover(); cause != nil {
			h.logger.ErrorContext(ctx, "a public answer cannot be rendered", "path", k.path, "panic", cause)
			rendered = newAnswer(http.StatusInternalServerError, http.Header{}, nil, made, false)
		}
	}()
	record := &recorder{header: http.Header{}}
	h.next.ServeHTTP(record, request.WithContext(ctx))
	status, header := record.result()
	if status == http.StatusOK && p.CacheControl != "" {
		header.Set("Cache-Control", p.CacheControl)
		// A shared cache must not give it to who has a key, and would see more.
		header.Add("Vary", "Authorization")
	}
	shared := status == http.StatusOK && strings.HasPrefix(header.Get("Cache-Control"), "public") && header.Get("Set-Cookie") == ""
	a := newAnswer(status, header, record.body.Bytes(), made, shared)
	a.refresh.Store(int64(renewAfter))
	a.expire.Store(int64(freshFor))
	return a
}

// request is what a render gets: nothing of who asked first but the address, which the limits count.
func (k key) request(language string, asked *http.Request) *http.Request {
	r := &http.Request{
		Method: http.MethodGet,
		URL:    &url.URL{Path: k.path, RawQuery: k.query},
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Accept-Language": {language}},
		Body:   http.NoBody,
		// The host is left out: a client chooses it.
		RemoteAddr: asked.RemoteAddr,
		RequestURI: k.path,
	}
	if forwarded := asked.Header["X-Forwarded-For"]; forwarded != nil {
		r.Header["X-Forwarded-For"] = forwarded
	}
	return r
}

// recorder is a ResponseWriter in memory.
type recorder struct {
	header http.Header
	// sent is the header as it was at WriteHeader; later changes do not count.
	sent   http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status, r.sent = status, r.header.Clone()
	}
}

func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(b)
}

func (r *recorder) result() (int, http.Header) {
	r.WriteHeader(http.StatusOK)
	return r.status, r.sent
}

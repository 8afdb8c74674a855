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
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"

	"github.com/cagnotte/cagnotte/gateway/text"
)

const (
	// freshFor is how old an answer can be that is given without asking for another. At half of it one begins to ask.
	freshFor = time.Second
	// lastGoodFor is how old an answer can be while renders fail, such as during a restart of the database.
	lastGoodFor = 30 * time.Second
	// patience is how long a request waits for a render where there is a last good answer, and retryAfter the time between
	// two renders that fail.
	patience   = time.Second
	retryAfter = time.Second
	// placeWait is how long a request waits for a place.
	placeWait = time.Second
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
	// Place takes a place for a render in the name of the request's client, and returns what gives it back, to be called once.
	// It waits for one that long at most; ok is false when there is none then. Nil: as many are rendered at once as are asked
	// for. Busy answers who found none; it is required with Place.
	Place func(r *http.Request, wait time.Duration) (release func(), ok bool)
	Busy  http.Handler
	// Now tells the time; time.Now when nil.
	Now func() time.Time
	// Logger gets what no visitor is told; slog.Default when nil.
	Logger *slog.Logger
}

// Handler answers public reads from memory, and passes on the rest. It is safe for concurrent use.
type Handler struct {
	next     http.Handler
	place    func(*http.Request, time.Duration) (func(), bool)
	busy     http.Handler
	patterns []pattern
	now      func() time.Time
	logger   *slog.Logger
	answers  *otter.Cache[key, *answer]
	missing  *otter.Cache[key, *answer]
	renders  singleflight.Group
}

// New returns a Handler, or an error for a pattern that cannot be one.
func New(c Config) (*Handler, error) {
	h := &Handler{next: c.Next, place: c.Place, busy: c.Busy, now: c.Now, logger: c.Logger}
	if h.place == nil {
		h.place = func(*http.Request, time.Duration) (func(), bool) { return func() {}, true }
	}
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
	h.answers, err = room(c.Bytes, 64<<20)
	h.missing, merr = room(c.MissingBytes, 4<<20)
	return h, errors.Join(err, merr)
}

// room is a cache of so many bytes, or its default. An entry leaves it when nobody may get it any more.
func room(bytes, standard uint64) (*otter.Cache[key, *answer], error) {
	if bytes == 0 {
		bytes = standard
	}
	return otter.New(&otter.Options[key, *answer]{
		MaximumWeight: bytes,
		Weigher: func(k key, a *answer) uint32 {
			return a.weight() + uint32(len(k.path)+len(k.query))
		},
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[key, *answer]) time.Duration { return e.Value.keep }),
	})
}

// ServeHTTP answers from memory what it has, and renders what it may keep.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := h.find(r)
	if p == nil {
		h.next.ServeHTTP(w, r)
		return
	}
	k, ok := p.keyOf(r)
	if !ok {
		h.alone(w, r)
		return
	}
	found, now := h.stored(k, r), h.now()
	if found != nil {
		age := now.Sub(found.made)
		if due := found.refresh.Load(); int64(age) >= due && int64(age) < found.expire.Load() && found.status == http.StatusOK {
			// One of all who come now begins the next render, and nobody waits for it.
			if found.refresh.CompareAndSwap(due, int64(age+retryAfter)) {
				h.begin(p, k, r, &place{take: h.place})
			}
		}
		if int64(age) < found.expire.Load() {
			h.give(p, found, w, r)
			return
		}
		if age >= found.keep || found.status != http.StatusOK {
			found = nil
		}
	}
	rendered := h.await(r.Context(), h.begin(p, k, r, &place{take: h.place}), found)
	if rendered != nil && rendered.refused {
		// There was no place for who asked first.
		leave, ok := h.place(r, placeWait)
		if !ok {
			h.busy.ServeHTTP(w, r)
			return
		}
		mine := &place{leave: leave}
		// It stays unused when somebody else renders.
		defer mine.giveBack()
		if rendered, _ = h.answers.GetIfPresent(k); rendered == nil || int64(h.now().Sub(rendered.made)) >= rendered.expire.Load() {
			rendered = h.await(r.Context(), h.begin(p, k, r, mine), nil)
		}
	}
	switch {
	case rendered == nil:
		// The client left.
	case rendered.refused || rendered.status == http.StatusTooManyRequests:
		// It was refused to who asked first.
		h.alone(w, r)
	default:
		h.give(p, rendered, w, r)
	}
}

// place is that of one render: take takes it when the render begins, unless it was taken before, and leave gives it back.
type place struct {
	take  func(*http.Request, time.Duration) (func(), bool)
	leave func()
	// owned says that the render or who waits for it has it.
	owned atomic.Bool
}

// enter returns what gives the place back; false when there is none.
func (p *place) enter(r *http.Request) (leave func(), ok bool) {
	if p.leave == nil {
		return p.take(r, 0)
	}
	return p.leave, p.owned.CompareAndSwap(false, true)
}

// giveBack gives a place back that no render uses.
func (p *place) giveBack() {
	if p.owned.CompareAndSwap(false, true) {
		p.leave()
	}
}

// find returns the route of a read whose answer may be shared; nil for none.
func (h *Handler) find(r *http.Request) *pattern {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil
	}
	p := match(h.patterns, r.URL.Path)
	if p == nil || p.Keyed && r.Header["Authorization"] != nil {
		return nil
	}
	return p
}

// alone answers one request of a route from behind, when its answer cannot be shared.
func (h *Handler) alone(w http.ResponseWriter, r *http.Request) {
	leave, ok := h.place(r, placeWait)
	if !ok {
		h.busy.ServeHTTP(w, r)
		return
	}
	defer leave()
	h.next.ServeHTTP(w, r)
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
	if p.Headers != nil && !p.Headers(w.Header(), r, a.status) {
		h.busy.ServeHTTP(w, r)
		return
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
func (h *Handler) begin(p *pattern, k key, r *http.Request, in *place) <-chan singleflight.Result {
	missing := inLanguage(k, r)
	request := k.request(missing.language, r)
	return h.renders.DoChan(missing.flight(), func() (any, error) {
		a := h.render(p, k, request, in)
		switch {
		case a.refused:
			// It says nothing of the handler behind.
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
				last.expire.Store(min(until, int64(last.keep)))
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
func (h *Handler) render(p *pattern, k key, request *http.Request, in *place) (rendered *answer) {
	ctx, cancel := context.WithTimeout(context.Background(), renderFor)
	defer cancel()
	made := h.now()
	defer func() {
		// A panic here would end the program, because it is in no goroutine of the server's.
		if cause := recover(); cause != nil {
			h.logger.ErrorContext(ctx, "a public answer cannot be rendered", "path", k.path, "panic", cause)
			rendered = newAnswer(http.StatusInternalServerError, http.Header{}, nil, made, false, nil)
		}
	}()
	request = request.WithContext(ctx)
	leave, ok := in.enter(request)
	if !ok {
		return &answer{status: http.StatusServiceUnavailable, refused: true}
	}
	defer leave()
	record := &recorder{header: http.Header{}}
	h.next.ServeHTTP(record, request)
	status, header := record.result()
	if status == http.StatusOK && p.CacheControl != "" {
		header.Set("Cache-Control", p.CacheControl)
		// A shared cache must not give it to who has a key, and would see more.
		header.Add("Vary", "Authorization")
	}
	shared := status == http.StatusOK && strings.HasPrefix(header.Get("Cache-Control"), "public") && header.Get("Set-Cookie") == ""
	last, _ := h.answers.GetEntryQuietly(k)
	a := newAnswer(status, header, record.body.Bytes(), made, shared, last.Value)
	fresh := freshFor
	if a.keep = freshFor; status == http.StatusOK {
		fresh = p.fresh()
		// It is the last good one for as long after it would have been asked for again.
		a.keep = fresh - freshFor + lastGoodFor
	}
	a.refresh.Store(int64(fresh / 2))
	a.expire.Store(int64(fresh))
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

package cached

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/semaphore"
)

// site is a handler behind the cache, as a test wants it.
type site struct {
	mu      sync.Mutex
	body    string
	status  int
	header  http.Header
	renders atomic.Int32
	// before runs in each render, when it is not nil.
	before func(*http.Request)
}

func (s *site) say(status int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.body = status, body
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.renders.Add(1)
	if s.before != nil {
		s.before(r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h := w.Header()
	h.Set("X-Request-Id", "one-request")
	h.Set("Content-Type", "text/html; charset=utf-8")
	if s.status == http.StatusOK {
		h.Set("Cache-Control", "public, max-age=0, s-maxage=1")
	}
	for name, values := range s.header {
		h[name] = values
	}
	w.WriteHeader(s.status)
	_, _ = io.WriteString(w, s.body)
}

var long = strings.Repeat("une phrase qui se comprime bien. ", 200)

func newHandler(t *testing.T, s *site, c Config) *Handler {
	t.Helper()
	if s.status == 0 {
		s.status = http.StatusOK
	}
	c.Next, c.Logger = s, slog.New(slog.DiscardHandler)
	if c.Routes == nil {
		c.Routes = []Route{
			{Pattern: "/c/*/*", Language: true, Lenient: true},
			{Pattern: "/v1/*", Keyed: true, Query: []string{"page"}, CacheControl: "public, max-age=0, s-maxage=1"},
		}
	}
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(h http.Handler, path string, header ...string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func bodyOf(t *testing.T, r *http.Response) string {
	t.Helper()
	var from io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		from = z
	}
	body, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestStampedeRendersOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{body: long, before: func(*http.Request) { time.Sleep(300 * time.Millisecond) }}
		h := newHandler(t, s, Config{})
		var asking sync.WaitGroup
		for range 1000 {
			asking.Go(func() {
				if got := get(h, "/c/vallon/cameras"); got.StatusCode != 200 || bodyOf(t, got) != long {
					t.Errorf("got %d", got.StatusCode)
				}
			})
		}
		asking.Wait()
		if n := s.renders.Load(); n != 1 {
			t.Errorf("it was rendered %d times", n)
		}
		h.answers.StopAllGoroutines()
		h.missing.StopAllGoroutines()
	})
}

func TestAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{body: "before"}
		h := newHandler(t, s, Config{})
		defer h.missing.StopAllGoroutines()
		defer h.answers.StopAllGoroutines()
		read := func() string { return bodyOf(t, get(h, "/c/vallon/cameras")) }

		read()
		s.say(200, "after")
		time.Sleep(400 * time.Millisecond)
		if got := read(); got != "before" || s.renders.Load() != 1 {
			t.Errorf("a fresh answer is %q after %d renders", got, s.renders.Load())
		}
		time.Sleep(200 * time.Millisecond)
		if got := read(); got != "before" {
			t.Errorf("who begins the next render waits for it, and gets %q", got)
		}
		synctest.Wait()
		if got := read(); got != "after" || s.renders.Load() != 2 {
			t.Errorf("then it is %q after %d renders", got, s.renders.Load())
		}
		// Nobody asked meanwhile, so nothing was rendered, and the answer is too old.
		s.say(200, "later")
		time.Sleep(time.Second)
		if got := read(); got != "later" {
			t.Errorf("a second later it is %q", got)
		}
		s.say(404, "gone")
		time.Sleep(time.Second)
		if got := get(h, "/c/vallon/cameras"); got.StatusCode != 404 {
			t.Errorf("what is gone is answered %d", got.StatusCode)
		}
		s.say(200, "published")
		time.Sleep(time.Second)
		if got := read(); got != "published" {
			t.Errorf("a second after it was published it is %q", got)
		}
	})
}

func TestLastGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{body: "good"}
		h := newHandler(t, s, Config{})
		defer h.missing.StopAllGoroutines()
		defer h.answers.StopAllGoroutines()
		status := func() int { return get(h, "/c/vallon/cameras").StatusCode }
		status()
		s.say(503, "away")
		for range 29 {
			time.Sleep(time.Second)
			if got := status(); got != 200 {
				t.Fatalf("the last good answer became %d", got)
			}
		}
		time.Sleep(2 * time.Second)
		if got := status(); got != 503 {
			t.Errorf("after more than 30 seconds it is %d", got)
		}
		s.say(200, "good")
		if got := status(); got != 200 {
			t.Errorf("an error was kept: %d", got)
		}
		// A database that does not answer holds nobody up for longer than a second.
		time.Sleep(2 * time.Second)
		s.before = func(r *http.Request) { <-r.Context().Done() }
		begin := time.Now()
		if got := status(); got != 200 || time.Since(begin) > time.Second {
			t.Errorf("got %d after %s", got, time.Since(begin))
		}
		time.Sleep(time.Minute)
	})
}

func TestLeavingDoesNotEndARender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{body: "whole", before: func(r *http.Request) {
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
				t.Error("the render was ended")
			}
		}}
		h := newHandler(t, s, Config{})
		defer h.missing.StopAllGoroutines()
		defer h.answers.StopAllGoroutines()
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan struct{})
		go func() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/c/vallon/cameras", nil).WithContext(ctx))
			close(left)
		}()
		synctest.Wait()
		leave()
		<-left
		if got := bodyOf(t, get(h, "/c/vallon/cameras")); got != "whole" || s.renders.Load() != 1 {
			t.Errorf("the next got %q after %d renders", got, s.renders.Load())
		}
	})
}

func TestNothingPersonal(t *testing.T) {
	var seen *http.Request
	s := &site{body: "x", before: func(r *http.Request) { seen = r }}
	h := newHandler(t, s, Config{})
	get(h, "/c/vallon/cameras?lang=en&fbclid=me", "Cookie", "session=me", "Origin", "https://vallon.example", "X-Request-Id", "me-12345",
		"X-Forwarded-For", "203.0.113.9", "User-Agent", "me", "If-None-Match", `"me"`)
	if seen.Header.Get("X-Forwarded-For") != "203.0.113.9" || len(seen.Header) != 2 || seen.Header.Get("Accept-Language") == "" || seen.Host != "" || seen.URL.RawQuery != "lang=en" {
		t.Errorf("the render got %v, %q, %q", seen.Header, seen.Host, seen.URL)
	}
	for _, c := range []struct {
		why, path string
		header    []string
	}{
		{"a key", "/v1/x", []string{"Authorization", "Bearer key"}},
		{"another address", "/c/vallon/cameras/donations/1", nil},
		{"an unknown parameter of the API", "/v1/x?form=all", nil},
		{"a parameter twice", "/v1/x?page=a&page=b", nil},
		{"an escaped slash", "/c/vallon/cam%2Feras", nil},
		{"a way up", "/c/vallon/..", nil},
	} {
		before := s.renders.Load()
		for range 2 {
			if got := get(h, c.path, c.header...); got.Header.Get("X-Request-Id") == "" {
				t.Errorf("%s: it came from memory", c.why)
			}
		}
		if n := s.renders.Load() - before; n != 2 {
			t.Errorf("%s: two requests were rendered %d times", c.why, n)
		}
	}
	s.header = http.Header{"Set-Cookie": {"session=me"}}
	get(h, "/c/vallon/cookie")
	s.header = http.Header{"Cache-Control": {"no-store"}}
	get(h, "/c/vallon/private")
	before := s.renders.Load()
	get(h, "/c/vallon/cookie")
	get(h, "/c/vallon/private")
	if s.renders.Load() != before+2 {
		t.Error("an answer with a cookie, or one that must not be stored, was kept")
	}
}

func TestForms(t *testing.T) {
	s := &site{body: long}
	h := newHandler(t, s, Config{})
	plain, packed := get(h, "/v1/x"), get(h, "/v1/x", "Accept-Encoding", "br, gzip")
	if bodyOf(t, plain) != long || bodyOf(t, packed) != long || packed.Header.Get("Content-Encoding") != "gzip" {
		t.Error("a form is broken")
	}
	if plain.Header.Get("ETag") == "" || plain.Header.Get("ETag") == packed.Header.Get("ETag") || strings.HasPrefix(plain.Header.Get("ETag"), "W/") {
		t.Errorf("the ETags are %s and %s", plain.Header.Get("ETag"), packed.Header.Get("ETag"))
	}
	if packed.ContentLength <= 0 || packed.Header.Get("Vary") != "Authorization, Accept-Encoding" || packed.Header.Get("X-Request-Id") != "" {
		t.Errorf("the headers are %v", packed.Header)
	}
	for _, c := range []struct {
		encoding, match string
		want            int
	}{
		{"", plain.Header.Get("ETag"), 304},
		{"", packed.Header.Get("ETag"), 200},
		{"gzip", packed.Header.Get("ETag"), 304},
		{"gzip", `"other", W/` + packed.Header.Get("ETag"), 304},
		{"gzip", "*", 304},
		{"gzip", `"other"`, 200},
	} {
		got := get(h, "/v1/x", "Accept-Encoding", c.encoding, "If-None-Match", c.match)
		if got.StatusCode != c.want {
			t.Errorf("%+v: got %d", c, got.StatusCode)
		}
		if got.StatusCode == 304 && (got.Header.Get("ETag") == "" || got.Header.Get("Cache-Control") == "" || got.Header.Get("Vary") == "" || got.Header.Get("Content-Length") != "") {
			t.Errorf("a 304 has the headers %v", got.Header)
		}
	}
	r := httptest.NewRequest(http.MethodHead, "/v1/x", nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") != fmt.Sprint(len(long)) {
		t.Errorf("HEAD got %d, %d bytes, %v", w.Code, w.Body.Len(), w.Header())
	}
}

func TestLanguages(t *testing.T) {
	s := &site{}
	h := newHandler(t, s, Config{})
	h.next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.renders.Add(1)
		w.Header().Set("Cache-Control", "public")
		_, _ = io.WriteString(w, r.URL.RawQuery+" "+r.Header.Get("Accept-Language"))
	})
	for _, c := range []struct{ query, accept, want string }{
		{"", "", " fr"},
		{"", "it, en;q=0.5", " en"},
		{"", "en-GB", " en"},
		{"?lang=en", "fr", "lang=en"},
		{"?lang=xx", "en", " en"},
		{"?utm_source=journal", "en", " en"},
		{"?utm_source=journal&lang=fr", "en", "lang=fr"},
	} {
		if got := bodyOf(t, get(h, "/c/vallon/cameras"+c.query, "Accept-Language", c.accept)); !strings.HasPrefix(got, c.want) {
			t.Errorf("%+v: got %q", c, got)
		}
	}
	if n := s.renders.Load(); n != 4 {
		t.Errorf("two languages, by choice or not, were rendered %d times", n)
	}
}

// What a page ignores does not make another request of it.
func TestOddRequestsAreShared(t *testing.T) {
	s := &site{body: "x"}
	h := newHandler(t, s, Config{Routes: []Route{{Pattern: "/sitemap.xml", Lenient: true, Query: []string{"page"}, Fresh: time.Hour}}})
	for _, c := range []struct {
		path   string
		header []string
	}{
		{"/sitemap.xml", nil},
		{"/sitemap.xml", []string{"Authorization", "Bearer x"}},
		{"/sitemap.xml", []string{"Cache-Control", "no-cache", "Cookie", "a=b"}},
		{"/sitemap.xml?" + strings.Repeat("x", 5000), nil},
		{"/sitemap.xml?page=" + strings.Repeat("x", 5000), nil},
		{"/sitemap.xml?%zz", nil},
		{"/sitemap.xml?a;b", nil},
		{"/sitemap.xml?x=1&x=2", nil},
		{"/sitemap%2Exml", nil},
		{"/%73itemap.xml", nil},
	} {
		if got := get(h, c.path, c.header...); got.StatusCode != 200 {
			t.Errorf("%s: got %d", c.path[:min(30, len(c.path))], got.StatusCode)
		}
	}
	if n := s.renders.Load(); n != 1 {
		t.Errorf("it was rendered %d times", n)
	}
	get(h, "/sitemap.xml?page=2&page=3")
	get(h, "/sitemap.xml?page=2")
	if n := s.renders.Load(); n != 2 {
		t.Errorf("with a page it was rendered %d times", n-1)
	}
}

func TestFreshFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{body: "before"}
		h := newHandler(t, s, Config{Routes: []Route{{Pattern: "/sitemap.xml", Fresh: 5 * time.Minute}}})
		defer h.missing.StopAllGoroutines()
		defer h.answers.StopAllGoroutines()
		read := func() string { return bodyOf(t, get(h, "/sitemap.xml")) }
		read()
		s.say(200, "after")
		time.Sleep(2 * time.Minute)
		if got := read(); got != "before" || s.renders.Load() != 1 {
			t.Errorf("after two minutes it is %q after %d renders", got, s.renders.Load())
		}
		time.Sleep(3 * time.Minute)
		if got := read(); got != "after" {
			t.Errorf("after five minutes it is %q", got)
		}
		s.say(503, "away")
		time.Sleep(5*time.Minute + 20*time.Second)
		if got := read(); got != "after" {
			t.Errorf("the last good answer became %q", got)
		}
		time.Sleep(time.Minute)
		if got := read(); got != "away" {
			t.Errorf("long after that it is %q", got)
		}
	})
}

// One client that asks for whatever it can think of has its places, and others read meanwhile what it asks for, too.
func TestOneClientHasItsPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each = 3
		places := map[string]*semaphore.Weighted{"192.0.2.1:1": semaphore.NewWeighted(each), "198.51.100.1:1": semaphore.NewWeighted(each)}
		var under, most atomic.Int32
		s := &site{body: "x", before: func(r *http.Request) {
			if !strings.HasPrefix(r.RemoteAddr, "192.0.2.") {
				return
			}
			n := under.Add(1)
			defer under.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			select {
			case <-time.After(10 * time.Second):
			case <-r.Context().Done():
			}
		}}
		h := newHandler(t, s, Config{
			Place: func(r *http.Request, wait time.Duration) (func(), bool) {
				ctx, cancel := context.WithTimeout(r.Context(), wait)
				defer cancel()
				mine := places[r.RemoteAddr]
				return func() { mine.Release(1) }, mine.TryAcquire(1) || wait > 0 && mine.Acquire(ctx, 1) == nil
			},
			Busy: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }),
		})
		defer h.missing.StopAllGoroutines()
		defer h.answers.StopAllGoroutines()
		ask := func(client, path string) int {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.RemoteAddr = client
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code
		}
		var asking sync.WaitGroup
		var refused atomic.Int32
		for i := range 100 {
			// What can be shared, and what the API would refuse.
			path := fmt.Sprintf("/c/vallon/campaign-%d", i)
			if i%2 == 1 {
				path = fmt.Sprintf("/v1/x?odd=%d", i)
			}
			asking.Go(func() {
				if ask("192.0.2.1:1", path) == http.StatusServiceUnavailable {
					refused.Add(1)
				}
			})
		}
		synctest.Wait()
		begin := time.Now()
		for i := range 100 {
			if got := ask("198.51.100.1:1", fmt.Sprintf("/c/vallon/other-%d", i)); got != http.StatusOK {
				t.Errorf("another client got %d", got)
			}
		}
		// It reads also what the first was refused.
		var joined sync.WaitGroup
		for range 20 {
			joined.Go(func() {
				if got := ask("198.51.100.1:1", "/c/vallon/campaign-98"); got != http.StatusOK {
					t.Errorf("another client got %d of what the first asked for", got)
				}
			})
		}
		joined.Wait()
		if took := time.Since(begin); took != 0 {
			t.Errorf("another client waited %s", took)
		}
		asking.Wait()
		if n := most.Load(); n != each {
			t.Errorf("the first had %d places at once", n)
		}
		if refused.Load() == 0 {
			t.Error("the first was refused nothing")
		}
		// All places are free again.
		for client, its := range places {
			if !its.TryAcquire(each) {
				t.Errorf("places of %s were lost", client)
			}
		}
	})
}

// Who waited for a render that was refused to another client renders for all who waited.
func TestARefusalIsNotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{body: "x", before: func(*http.Request) { time.Sleep(time.Millisecond) }}
		h := newHandler(t, s, Config{
			Place: func(r *http.Request, wait time.Duration) (func(), bool) {
				time.Sleep(10 * time.Millisecond)
				return func() {}, r.RemoteAddr != "192.0.2.1:1"
			},
			Busy: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }),
		})
		defer h.missing.StopAllGoroutines()
		defer h.answers.StopAllGoroutines()
		var asking sync.WaitGroup
		for i := range 100 {
			asking.Go(func() {
				r, want := httptest.NewRequest(http.MethodGet, "/c/vallon/cameras", nil), http.StatusOK
				if i == 0 {
					r.RemoteAddr, want = "192.0.2.1:1", http.StatusServiceUnavailable
				} else {
					time.Sleep(5 * time.Millisecond)
					r.RemoteAddr = "198.51.100.1:1"
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != want {
					t.Errorf("%s got %d", r.RemoteAddr, w.Code)
				}
			})
		}
		asking.Wait()
		if n := s.renders.Load(); n != 1 {
			t.Errorf("it was rendered %d times", n)
		}
	})
}

func TestWhatDidNotChangeIsNotCompressedAgain(t *testing.T) {
	s := &site{body: long}
	now := time.Now()
	h := newHandler(t, s, Config{Now: func() time.Time { return now }})
	packed := func() *byte {
		t.Helper()
		if got := get(h, "/v1/x", "Accept-Encoding", "gzip"); bodyOf(t, got) != s.body {
			t.Error("the body is another")
		}
		a, _ := h.answers.GetIfPresent(key{path: "/v1/x"})
		return &a.packed.body[0]
	}
	first := packed()
	now = now.Add(2 * time.Second)
	if packed() != first || s.renders.Load() != 2 {
		t.Errorf("it was compressed again, or not rendered: %d renders", s.renders.Load())
	}
	s.say(200, long+"!")
	now = now.Add(2 * time.Second)
	if packed() == first {
		t.Error("the former bytes were given")
	}
}

func TestInventedAddressesStayBounded(t *testing.T) {
	const bound = 1 << 20
	s := &site{status: http.StatusNotFound, body: long}
	h := newHandler(t, s, Config{MissingBytes: bound})
	s.say(200, "known")
	get(h, "/c/vallon/cameras")
	s.say(404, long)
	for i := range 100_000 {
		if got := get(h, fmt.Sprintf("/c/vallon/invented-%d", i)); got.StatusCode != 404 {
			t.Fatalf("got %d", got.StatusCode)
		}
	}
	h.missing.CleanUp()
	if size := h.missing.WeightedSize(); size > bound {
		t.Errorf("they take %d bytes", size)
	}
	if h.answers.WeightedSize() == 0 {
		t.Error("they drove out what is there")
	}
	// A full room may leave out what is new to it, so this is about another.
	h = newHandler(t, s, Config{})
	before := s.renders.Load()
	get(h, "/c/vallon/nothing")
	get(h, "/c/vallon/nothing")
	if n := s.renders.Load() - before; n != 1 {
		t.Errorf("the same missing address was rendered %d times", n)
	}
}

func TestAnswersStayBounded(t *testing.T) {
	const bound = 1 << 20
	s := &site{body: long}
	h := newHandler(t, s, Config{Bytes: bound})
	for i := range 2000 {
		get(h, fmt.Sprintf("/c/vallon/campaign-%d", i))
	}
	h.answers.CleanUp()
	if size := h.answers.WeightedSize(); size > bound || size == 0 {
		t.Errorf("they take %d bytes", size)
	}
}

func TestOneCallersRefusalIsHisOwn(t *testing.T) {
	s := &site{status: http.StatusTooManyRequests}
	h := newHandler(t, s, Config{})
	for range 2 {
		if got := get(h, "/v1/x"); got.StatusCode != 429 || got.Header.Get("X-Request-Id") == "" {
			t.Errorf("got %d", got.StatusCode)
		}
	}
	if n := s.renders.Load(); n != 4 {
		t.Errorf("two refusals took %d renders, of which two are each caller's own", n)
	}
}

func TestPanic(t *testing.T) {
	s := &site{before: func(*http.Request) { panic("a fault") }}
	h := newHandler(t, s, Config{})
	if got := get(h, "/v1/x"); got.StatusCode != 500 {
		t.Errorf("got %d", got.StatusCode)
	}
	s.before = nil
	if got := get(h, "/v1/x"); got.StatusCode != 200 {
		t.Errorf("it was kept: %d", got.StatusCode)
	}
}

func TestConcurrent(t *testing.T) {
	s := &site{body: long}
	// The clock runs a thousand times as fast, so that answers age under the readers.
	begin := time.Now()
	h := newHandler(t, s, Config{Bytes: 64 << 10, MissingBytes: 16 << 10, Now: func() time.Time { return begin.Add(time.Since(begin) * 1000) }})
	var asking sync.WaitGroup
	for reader := range 16 {
		asking.Go(func() {
			for i := range 500 {
				if reader == 0 {
					s.say([]int{200, 404, 503, 200}[i%4], long[:len(long)-i])
				}
				encoding := []string{"", "gzip"}[i%2]
				bodyOf(t, get(h, fmt.Sprintf("/c/vallon/campaign-%d", i%40), "Accept-Encoding", encoding, "Accept-Language", []string{"fr", "en"}[reader%2]))
			}
		})
	}
	asking.Wait()
}

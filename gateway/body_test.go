package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/cagnotte/cagnotte/gateway"
	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	imagesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/images/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
)

// counted is a body that tells how much of it was read.
type counted struct {
	left int
	read atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), c.left)
	for i := range n {
		p[i] = ' '
	}
	c.left -= n
	c.read.Add(int64(n))
	return n, nil
}

// post sends a body of so many bytes straight to the handler, its length told or not.
func post(t *testing.T, handler http.Handler, path string, size int, told bool, headers ...string) (answer *answerRecorder, read int64) {
	t.Helper()
	body := &counted{left: size}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://dons.example"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "192.0.2.1:1000"
	r.ContentLength = -1
	if told {
		r.ContentLength = int64(size)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer = &answerRecorder{header: http.Header{}, status: http.StatusOK}
	handler.ServeHTTP(answer, r)
	return answer, body.read.Load()
}

type answerRecorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answerRecorder) Header() http.Header         { return a.header }
func (a *answerRecorder) Write(p []byte) (int, error) { return a.body.Write(p) }
func (a *answerRecorder) WriteHeader(status int)      { a.status = status }

// budget counts what is taken of it.
type budget struct {
	mu               sync.Mutex
	all, taken, most int64
}

func (b *budget) now() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.taken
}

func (b *budget) Take(_ context.Context, _ string, n int64) (func(), bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.taken+n > b.all {
		return nil, false
	}
	b.taken += n
	b.most = max(b.most, b.taken)
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.taken -= n
	}, true
}

func TestNoLargeBodyIsReadBeforeTheKeyIsKnown(t *testing.T) {
	b := &backend{receiveEvent: func(*webhooksv1.ReceiveStripeEventRequest) (*webhooksv1.ReceiveStripeEventResponse, error) {
		return &webhooksv1.ReceiveStripeEventResponse{}, nil
	}, access: &keys{}}
	held := &budget{all: 64 << 20}
	handler := serve(t, b, gateway.Options{Bodies: held}).Config.Handler
	const importPath, campaigns, donations = "/v1/collectives/vallon/bankStatements:import", "/v1/collectives/vallon/campaigns", "/v1/" + campaignName + "/donations"
	key, nonsense := "Bearer key", "Bearer nonsense"
	const passed = 0 // on to the services, whatever they say
	for _, c := range []struct {
		name, path, authorization string
		size                      int
		want                      int
		// mostRead is what may be read of it at most.
		mostRead int64
	}{
		{"an import with a key that is none", importPath, nonsense, 5 << 20, 401, 0},
		{"an import without one", importPath, "", 5 << 20, 413, 17 << 10},
		{"an import with one", importPath, key, 5 << 20, passed, 5 << 20},
		{"an import of another collective", "/v1/collectives/marseille/bankStatements:import", key, 5 << 20, 404, 0},
		{"an import with a key that may not", "/v1/collectives/lecture/bankStatements:import", key, 5 << 20, 404, 0},
		{"a picture of another collective", "/v1/collectives/marseille/images", key, 11 << 20, 404, 0},
		{"a picture", "/v1/collectives/vallon/images", key, 11 << 20, passed, 11 << 20},
		{"an attachment of another collective", "/v1/collectives/marseille/expenses/1/attachments", key, 11 << 20, 404, 0},
		{"an attachment", "/v1/collectives/vallon/expenses/1/attachments", key, 11 << 20, passed, 11 << 20},
		{"a campaign of another collective", "/v1/collectives/marseille/campaigns", key, 900 << 10, 404, 0},
		{"an import that is too large", importPath, key, 7 << 20, 413, 6<<20 + 1},
		{"a campaign with a key that is none", campaigns, nonsense, 900 << 10, 401, 0},
		{"a campaign with one", campaigns, key, 900 << 10, passed, 900 << 10},
		{"a campaign that is too large", campaigns, key, 2 << 20, 413, 1<<20 + 128<<10 + 1},
		{"a donation of 15 kB", donations, "", 15 << 10, passed, 15 << 10},
		{"a donation of 17 kB", donations, "", 17 << 10, 413, 17 << 10},
		{"an event", "/v1/webhooks/stripe", "", 200 << 10, passed, 200 << 10},
		{"an event that is too large", "/v1/webhooks/stripe", "", 300 << 10, 413, 256<<10 + 1},
		{"a form", "/c/vallon/cameras/give", "", 100 << 10, 400, 5 << 10},
	} {
		for _, told := range []bool{true, false} {
			headers := []string{"Content-Type", "application/json"}
			if strings.HasSuffix(c.path, "/give") {
				headers = []string{"Content-Type", "application/x-www-form-urlencoded"}
			}
			if c.authorization != "" {
				headers = append(headers, "Authorization", c.authorization)
			}
			got, read := post(t, handler, c.path, c.size, told, headers...)
			wrong := got.status != c.want
			if c.want == passed {
				wrong = slices.Contains([]int{401, 413, 503}, got.status)
			}
			if wrong || read > c.mostRead {
				t.Errorf("%s, length told %v: HTTP %d after %d bytes, want %d after %d at most: %s", c.name, told, got.status, read, c.want, c.mostRead, got.body.String())
			}
			if held.taken != 0 {
				t.Fatalf("%s: %d bytes are not given back", c.name, held.taken)
			}
		}
	}
	if held.most < 5<<20 {
		t.Errorf("the budget held %d bytes at most, of a body of 5 MiB", held.most)
	}

	t.Run("beyond the budget one is told to come again", func(t *testing.T) {
		held.all = 1 << 20
		got, read := post(t, handler, importPath, 5<<20, true, "Authorization", key)
		if got.status != 503 || got.header.Get("Retry-After") == "" || !strings.Contains(got.body.String(), "TOO_BUSY") || read > 2<<20 {
			t.Errorf("HTTP %d after %d bytes: %s", got.status, read, got.body.String())
		}
		if got, _ := post(t, handler, donations, 1000, true); got.status == 503 {
			t.Errorf("a small body: HTTP %d", got.status)
		}
	})
}

// keys knows one key, which reads and writes in collectives/vallon and reads in collectives/lecture.
type keys struct {
	accessv1.UnimplementedAccessServiceServer
}

// parents are what the methods of large bodies must be asked about.
var parents = map[string]*regexp.Regexp{
	"": regexp.MustCompile(`^(collectives/(vallon|lecture)(/.*)?)?$`),
	"/cagnotte.bank.v1.BankService/ImportBankStatement":             regexp.MustCompile(`^collectives/vallon$`),
	"/cagnotte.images.v1.ImagesService/CreateImage":                 regexp.MustCompile(`^collectives/vallon$`),
	"/cagnotte.treasury.v1.TreasuryService/CreateExpenseAttachment": regexp.MustCompile(`^collectives/vallon/expenses/1$`),
}

func (*keys) GetPrincipal(ctx context.Context, req *accessv1.GetPrincipalRequest) (*accessv1.Principal, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if !slices.Equal(md.Get("authorization"), []string{"Bearer key"}) {
		return nil, refusal(codes.Unauthenticated, "INVALID_KEY")
	}
	if may := parents[req.GetMethod()]; may == nil || !may.MatchString(req.GetResource()) {
		return nil, refusal(codes.NotFound, "NOT_FOUND")
	}
	return &accessv1.Principal{}, nil
}

// refusal is an error as the services answer it.
func refusal(code codes.Code, reason string) error {
	refused, err := status.New(code, "refused").WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: "cagnotte"})
	if err != nil {
		return err
	}
	return refused.Err()
}

// holding is a connection to services that hold their requests until all are there.
type holding struct {
	grpc.ClientConnInterface
	// allocated is what the program had allocated when the first request was there.
	allocated uint64
	copies    []proto.Message
	mu        sync.Mutex
	arrived   chan struct{}
	leave     chan struct{}
}

func (h *holding) Invoke(_ context.Context, method string, request, _ any, _ ...grpc.CallOption) error {
	if method == accessv1.AccessService_GetPrincipal_FullMethodName {
		return nil
	}
	h.mu.Lock()
	if h.allocated == 0 {
		h.allocated = allocated()
	}
	// A service that is called in process gets a copy of the request.
	h.copies = append(h.copies, proto.Clone(request.(proto.Message)))
	h.mu.Unlock()
	h.arrived <- struct{}{}
	<-h.leave
	return nil
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// live is what is in use after everything else was freed.
func live() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// The budget counts at least what uploads really hold: while one is decoded, and while 16 wait in the services.
func TestUploadsHoldNoMoreThanIsCounted(t *testing.T) {
	const uploads = 16
	for name, upload := range map[string]struct {
		path    string
		request proto.Message
	}{
		"statement": {"/v1/collectives/vallon/bankStatements:import", &bankv1.ImportBankStatementRequest{Content: make([]byte, 4<<20)}},
		"picture":   {"/v1/collectives/vallon/images", &imagesv1.Image{Content: make([]byte, 8<<20)}},
		"attachment": {"/v1/collectives/vallon/expenses/1/attachments", &treasuryv1.CreateExpenseAttachmentRequest{
			ExpenseAttachment: &treasuryv1.ExpenseAttachment{Content: make([]byte, 8<<20)},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			body, err := protojson.Marshal(upload.request)
			if err != nil {
				t.Fatal(err)
			}
			h := &holding{arrived: make(chan struct{}), leave: make(chan struct{})}
			held := &budget{all: 1 << 40}
			handler, err := gateway.New(h, gateway.Options{Bodies: held, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			var done sync.WaitGroup
			begin := func(i int) {
				done.Go(func() {
					r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://dons.example"+upload.path, bytes.NewReader(body))
					if err != nil {
						t.Error(err)
						return
					}
					r.RemoteAddr = fmt.Sprintf("192.0.%d.1:1000", i)
					r.Header.Set("Authorization", "Bearer key")
					got := &answerRecorder{header: http.Header{}, status: http.StatusOK}
					handler.ServeHTTP(got, r)
					if got.status != http.StatusOK {
						t.Errorf("HTTP %d: %s", got.status, got.body.String())
						h.arrived <- struct{}{}
					}
				})
				<-h.arrived
			}
			before, start := live(), allocated()
			begin(0)
			one := held.now()
			// A buffer that grew was copied from one half as large, which is free as soon as that is done.
			decoding := int64(h.allocated-start) - int64(len(body))*4/3
			if decoding > one {
				t.Errorf("decoding one allocates %d kB, and the budget counts %d kB", decoding>>10, one>>10)
			}
			for i := 1; i < uploads; i++ {
				begin(i)
			}
			used, counted := live()-before, held.now()
			t.Logf("body %d kB; decoding allocates %d kB of %d kB counted; %d uploads hold %d kB of %d kB counted",
				len(body)>>10, decoding>>10, one>>10, uploads, used>>10, counted>>10)
			if used > counted {
				t.Errorf("%d uploads hold %d kB, and the budget counts %d kB", uploads, used>>10, counted>>10)
			}
			// The body itself is free while the services work.
			if most := int64(uploads) * 5 / 2 * int64(len(body)) * 3 / 4; used > most {
				t.Errorf("%d uploads hold %d kB, more than twice what they bring", uploads, used>>10)
			}
			close(h.leave)
			done.Wait()
			if held.now() != 0 {
				t.Errorf("%d bytes are not given back", held.now())
			}
			runtime.KeepAlive(h.copies)
		})
	}
}

// No link of ours leads to another site because of the path that somebody asked for.
func TestLinksStayOnThisSite(t *testing.T) {
	front := serve(t, &backend{}, gateway.Options{})
	link := regexp.MustCompile(`(?:href|src|action)="([^"]*)"|;url=([^"]*)"`)
	for _, path := range []string{
		"/%2Fevil.example/x", "/%2f%2fevil.example", "//evil.example/x", "/%5Cevil.example/x", "/c/%2Fevil.example", "/c/vallon/%2F%2Fevil.example",
		"/c//evil.example", "/assets/%2Fevil.example", "/stripe//evil.example", "/;@evil.example", "/c/vallon/cameras/give/%2Fevil.example",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, front.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Opaque = path // as it is, and not as Go would clean it
		r.Header.Set("Accept", "text/html")
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		targets := []string{resp.Header.Get("Location")}
		for _, found := range link.FindAllStringSubmatch(string(body), -1) {
			targets = append(targets, found[1]+found[2])
		}
		for _, target := range targets {
			to, err := r.URL.Parse(strings.ReplaceAll(target, `\`, "/"))
			if target == "" {
				continue
			}
			if err != nil || strings.HasPrefix(target, "//") || to.Host != "" && to.Host != r.URL.Host {
				t.Errorf("GET %s leads to %q", path, target)
			}
		}
	}
}

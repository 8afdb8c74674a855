package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/cagnotte/cagnotte/gateway"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
)

// recorder is a connection that keeps the last request and answers nothing.
type recorder struct {
	method  string
	request proto.Message
}

func (c *recorder) Invoke(_ context.Context, method string, request, _ any, _ ...grpc.CallOption) error {
	c.method, c.request = method, request.(proto.Message)
	return nil
}

func (c *recorder) NewStream(_ context.Context, _ *grpc.StreamDesc, method string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	c.method = method
	return nil, errors.New("no stream here")
}

var (
	packageLink = regexp.MustCompile(`<li><a href="(/api/[a-z]+)"`)
	grpcName    = regexp.MustCompile(`gRPC: <code>([^<]+)</code>`)
	curlLine    = regexp.MustCompile(`(?s)<pre tabindex="0"><code>(.*?)</code></pre>`)
	curlURL     = regexp.MustCompile(`\$URL([^" \\\n]+)`)
	curlBody    = regexp.MustCompile(`(?s)-d '(.*)'$`)
	curlMethod  = regexp.MustCompile(`-X ([A-Z]+)`)
	link        = regexp.MustCompile(`href="(/api[^"]*)"`)
	anchor      = regexp.MustCompile(` id="([^"]+)"`)
)

func TestReferenceOfTheAPI(t *testing.T) {
	conn := &recorder{}
	handler, err := gateway.New(conn, gateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	page := func(path string) string {
		t.Helper()
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusOK {
			t.Fatalf("GET %s: %d", path, w.Code)
		}
		return w.Body.String()
	}
	pages := map[string]string{"/api": page("/api")}
	for _, m := range packageLink.FindAllStringSubmatch(pages["/api"], -1) {
		pages[m[1]] = page(m[1])
	}

	told := map[string]string{} // curl line by method
	for path, body := range pages {
		if path == "/api" {
			continue
		}
		methods, lines := grpcName.FindAllStringSubmatch(body, -1), curlLine.FindAllStringSubmatch(body, -1)
		if len(methods) != len(lines) {
			t.Fatalf("%s: %d methods and %d curl lines", path, len(methods), len(lines))
		}
		for i := range methods {
			told["/"+methods[i][1]] = html.UnescapeString(lines[i][1])
		}
	}

	t.Run("tells every method that REST has", func(t *testing.T) {
		protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
			if !strings.HasPrefix(string(f.Package()), "cagnotte.") {
				return true
			}
			for i := range f.Services().Len() {
				s := f.Services().Get(i)
				for j := range s.Methods().Len() {
					name := "/" + string(s.FullName()) + "/" + string(s.Methods().Get(j).Name())
					if _, ok := told[name]; !ok && name != "/cagnotte.webhooks.v1.WebhooksService/ReceiveStripeEvent" {
						t.Errorf("%s is not told", name)
					}
				}
			}
			return true
		})
	})

	t.Run("shows curl lines that reach their method with a request that its constraints accept", func(t *testing.T) {
		for method, line := range told {
			verb, body := http.MethodGet, ""
			if m := curlBody.FindStringSubmatch(line); m != nil {
				verb = http.MethodPost
				body = strings.ReplaceAll(m[1], "'$(uuidgen)'", "0198c2a4-7d5e-7c3b-9a41-5d2f6b8e1c07")
			}
			if m := curlMethod.FindStringSubmatch(line); m != nil {
				verb = m[1]
			}
			url := curlURL.FindStringSubmatch(line)
			if url == nil {
				t.Errorf("%s: no address in %s", method, line)
				continue
			}
			conn.method, conn.request = "", nil
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(verb, url[1], strings.NewReader(body)))
			if conn.method != method {
				answer, _ := io.ReadAll(w.Body)
				t.Errorf("%s: the line reached %q: %d %s\n%s", method, conn.method, w.Code, answer, line)
				continue
			}
			if conn.request == nil {
				continue // a stream's request is sent later
			}
			if err := protovalidate.Validate(conn.request); err != nil {
				t.Errorf("%s: %v\n%s", method, err, line)
			}
		}
	})

	t.Run("lists every reason with its code, HTTP status and meaning", func(t *testing.T) {
		values := errorsv1.ErrorReason(0).Descriptor().Values()
		for i := 1; i < values.Len(); i++ {
			reason := errorsv1.ErrorReason(values.Get(i).Number())
			line := fmt.Sprintf(`<dt id="%s"><code>%s</code> <span class="type">%s, HTTP %d</span></dt><dd><p>`,
				reason, reason, code.Code(reason.Code()), reason.HTTPStatus())
			if !strings.Contains(pages["/api/errors"], line) {
				t.Errorf("there is no %s", line)
			}
		}
		for reason, want := range map[errorsv1.ErrorReason]int{
			errorsv1.ErrorReason_NOT_FOUND: 404, errorsv1.ErrorReason_BODY_TOO_LARGE: 413, errorsv1.ErrorReason_METHOD_NOT_ALLOWED: 405,
		} {
			if got := reason.HTTPStatus(); got != want {
				t.Errorf("%s is HTTP %d, want %d", reason, got, want)
			}
		}
	})

	t.Run("answers what is not there like the rest of the site", func(t *testing.T) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/api/nothing", nil)
		r.Header.Set("Accept", "text/html")
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "<main") {
			t.Errorf("a page that is not there: %d %s", w.Code, w.Body)
		}
	})

	t.Run("links to what is there", func(t *testing.T) {
		for path, body := range pages {
			for _, m := range link.FindAllStringSubmatch(body, -1) {
				target, fragment, _ := strings.Cut(m[1], "#")
				if strings.HasPrefix(target, "/api/style-") {
					page(target)
					continue
				}
				there, ok := pages[target]
				if !ok {
					t.Errorf("%s links to %s, which is no page", path, target)
				}
				if fragment != "" && !strings.Contains(there, ` id="`+fragment+`"`) {
					t.Errorf("%s links to %s, where that is not", path, m[1])
				}
			}
			seen := map[string]bool{}
			for _, m := range anchor.FindAllStringSubmatch(body, -1) {
				if seen[m[1]] {
					t.Errorf("%s has the id %s twice", path, m[1])
				}
				seen[m[1]] = true
			}
		}
	})
}

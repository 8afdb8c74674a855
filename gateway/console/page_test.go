package console

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fullstorydev/grpchan/inprocgrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cagnotte/cagnotte/gateway/design"
	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
)

// fakeAccess knows one session, of a treasurer.
type fakeAccess struct {
	accessv1.UnimplementedAccessServiceServer
	accessv1.UnimplementedSignInServiceServer
	accessv1.UnimplementedMembersServiceServer
	redeemed []*accessv1.RedeemSignInLinkRequest
	signOuts int
	keys     []*accessv1.CreateApiKeyRequest
	overview *fakeOverview
}

const goodToken = "cas_0123456789abcdef_secret"

func bearer(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	return strings.Join(md.Get("authorization"), ",")
}

func (f *fakeAccess) GetPrincipal(ctx context.Context, _ *accessv1.GetPrincipalRequest) (*accessv1.Principal, error) {
	if bearer(ctx) != "Bearer "+goodToken {
		return nil, status.Error(codes.Unauthenticated, "no")
	}
	return &accessv1.Principal{
		Session: "members/m/sessions/s", Member: "members/m", DisplayName: "Léa <b>", Email: "lea@example.org", Language: "fr",
		ProveTime: timestamppb.New(time.Now().Add(-time.Hour)),
		Memberships: []*accessv1.Membership{
			{Name: "collectives/vallon/memberships/1", Role: treasurer, CollectiveDisplayName: "Vallon"},
			{Name: "collectives/causse/memberships/2", Role: editor, CollectiveDisplayName: "Causse"},
		},
	}, nil
}

func (f *fakeAccess) RequestSignInLink(ctx context.Context, _ *accessv1.RequestSignInLinkRequest) (*accessv1.RequestSignInLinkResponse, error) {
	if err := refuseEnded(ctx); err != nil {
		return nil, err
	}
	return &accessv1.RequestSignInLinkResponse{BrowserToken: "browser"}, nil
}

// refuseEnded is what the services do before a public method too.
func refuseEnded(ctx context.Context) error {
	if b := bearer(ctx); b != "" && b != "Bearer "+goodToken {
		return status.Error(codes.Unauthenticated, "ended")
	}
	return nil
}

func (f *fakeAccess) RedeemSignInLink(ctx context.Context, r *accessv1.RedeemSignInLinkRequest) (*accessv1.Session, error) {
	if err := refuseEnded(ctx); err != nil {
		return nil, err
	}
	f.redeemed = append(f.redeemed, r)
	if r.GetToken() != "good" || r.GetBrowserToken() != "browser" {
		return nil, status.Error(codes.FailedPrecondition, "no")
	}
	return &accessv1.Session{Token: goodToken}, nil
}

func (f *fakeAccess) SignOut(context.Context, *accessv1.SignOutRequest) (*emptypb.Empty, error) {
	f.signOuts++
	return &emptypb.Empty{}, nil
}

func (f *fakeAccess) CreateApiKey(_ context.Context, r *accessv1.CreateApiKeyRequest) (*accessv1.ApiKey, error) {
	f.keys = append(f.keys, r)
	return &accessv1.ApiKey{Name: "collectives/vallon/apiKeys/k", Secret: "cag_secret"}, nil
}

func (f *fakeAccess) ListApiKeys(context.Context, *accessv1.ListApiKeysRequest) (*accessv1.ListApiKeysResponse, error) {
	return &accessv1.ListApiKeysResponse{ApiKeys: []*accessv1.ApiKey{{
		Name: "collectives/vallon/apiKeys/k", DisplayName: "Export", Role: treasurer, State: accessv1.ApiKeyState_API_KEY_STATE_WORKING,
		LastUseTime: timestamppb.New(time.Date(2026, 3, 1, 23, 30, 0, 0, time.UTC)), EndTime: timestamppb.New(time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC)),
	}}}, nil
}

// start returns the console over a fake of the services.
func start(t *testing.T) (http.Handler, *fakeAccess) {
	t.Helper()
	fake := &fakeAccess{overview: &fakeOverview{}}
	conn := &inprocgrpc.Channel{}
	fake.overview.register(conn)
	accessv1.RegisterAccessServiceServer(conn, fake)
	accessv1.RegisterSignInServiceServer(conn, fake)
	accessv1.RegisterMembersServiceServer(conn, fake)
	handler, err := New(Config{Conn: conn, Assets: design.NewAssets(), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return handler, fake
}

// send asks for a page; cookies and headers follow as name, value.
func send(handler http.Handler, method, address string, form url.Values, headers ...string) *http.Response {
	r := httptest.NewRequest(method, address, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Result()
}

const signedIn = sessionCookie + "=" + goodToken

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWhoIsNotSignedInIsLedToTheSignInAndBack(t *testing.T) {
	handler, _ := start(t)
	for name, cookie := range map[string]string{
		"without a cookie": "a=b", "with another session": sessionCookie + "=cas_old_secret", "with an API key": sessionCookie + "=cag_key_secret",
	} {
		r := send(handler, http.MethodGet, "/console/c/vallon?x=1", nil, "Cookie", cookie)
		if want := "/console/sign-in?next=%2Fconsole%2Fc%2Fvallon%3Fx%3D1"; r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != want {
			t.Errorf("%s: %d, %s, want %s", name, r.StatusCode, r.Header.Get("Location"), want)
		}
	}
	asked := send(handler, http.MethodPost, "/console/sign-in", url.Values{"email": {"lea@example.org"}, "next": {"/console/c/vallon?x=1"}})
	if asked.StatusCode != http.StatusSeeOther || len(asked.Cookies()) != 1 {
		t.Fatalf("asking for a link: %d %v", asked.StatusCode, asked.Cookies())
	}
	binding := asked.Cookies()[0]
	if page := send(handler, http.MethodGet, "/console/sign-in/link?token=good", nil); page.StatusCode != http.StatusOK || len(page.Cookies()) > 0 {
		t.Errorf("a program that opens the link: %d %v", page.StatusCode, page.Cookies())
	}
	if r := send(handler, http.MethodPost, "/console/sign-in/link", url.Values{"token": {"good"}}); r.StatusCode != http.StatusUnprocessableEntity || len(r.Cookies()) > 0 {
		t.Errorf("another browser with the link: %d %v", r.StatusCode, r.Cookies())
	}
	r := send(handler, http.MethodPost, "/console/sign-in/link", url.Values{"token": {"good"}}, "Cookie", binding.Name+"="+binding.Value)
	if r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != "/console/c/vallon?x=1" {
		t.Fatalf("the link: %d %s", r.StatusCode, r.Header.Get("Location"))
	}
	for _, c := range r.Cookies() {
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
			t.Errorf("cookie %s: %+v", c.Name, c)
		}
	}
	if c := r.Cookies()[0]; c.Name != sessionCookie || c.Value != goodToken {
		t.Errorf("the session's cookie: %v", c)
	}
}

func TestPagesOfAMember(t *testing.T) {
	handler, fake := start(t)
	r := send(handler, http.MethodGet, "/console/c/vallon", nil, "Cookie", signedIn, "Accept-Language", "en")
	text := body(t, r)
	if r.StatusCode != http.StatusOK || !strings.Contains(text, `lang="fr"`) || !strings.Contains(text, "Causse") || strings.Contains(text, "<b>") {
		t.Errorf("home: %d\n%s", r.StatusCode, text)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Robots-Tag": "noindex, nofollow"} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if policy := r.Header.Get("Content-Security-Policy"); strings.Contains(policy, "unsafe") || !strings.Contains(policy, "script-src 'self';") {
		t.Errorf("policy: %s", policy)
	}
	for _, address := range []string{"/console/c/elsewhere", "/console/c/vallon/nothing", "/console/nothing"} {
		if r := send(handler, http.MethodGet, address, nil, "Cookie", signedIn); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", address, r.StatusCode)
		}
	}
	if r := send(handler, http.MethodGet, "/console", nil, "Cookie", signedIn); r.StatusCode != http.StatusOK {
		t.Errorf("the chooser of two places: %d", r.StatusCode)
	}
	if r := send(handler, http.MethodPost, "/console/sign-out", nil, "Cookie", signedIn, "Sec-Fetch-Site", "cross-site"); r.StatusCode != http.StatusForbidden || fake.signOuts != 0 {
		t.Errorf("a form of another site: %d, signed out %d times", r.StatusCode, fake.signOuts)
	}
	r = send(handler, http.MethodPost, "/console/sign-out", nil, "Cookie", signedIn, "Sec-Fetch-Site", "same-origin")
	if r.StatusCode != http.StatusSeeOther || fake.signOuts != 1 || r.Cookies()[0].MaxAge >= 0 {
		t.Errorf("signing out: %d, %d, %v", r.StatusCode, fake.signOuts, r.Cookies())
	}
	if text := body(t, send(handler, http.MethodGet, r.Header.Get("Location"), nil)); !strings.Contains(text, "Vous êtes déconnecté.") {
		t.Errorf("it does not say so:\n%s", text)
	}
	if text := body(t, send(handler, http.MethodGet, "/console/sign-in?done=signin.%3Cb%3E", nil)); strings.Contains(text, `role="status"`) {
		t.Errorf("an unknown code is shown:\n%s", text)
	}
}

// A key ends after its last day where the collective is, and the list shows that day.
func TestAKeyWorksOnItsLastDay(t *testing.T) {
	handler, fake := start(t)
	send(handler, http.MethodPost, "/console/c/vallon/settings/keys/new", url.Values{"display_name": {"Export"}, "role": {treasurer.String()}, "end": {"2026-12-31"}}, "Cookie", signedIn)
	if got, want := fake.keys[0].GetApiKey().GetEndTime().AsTime(), time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("a key of a collective in Paris ends at %s, want %s", got, want)
	}
	text := body(t, send(handler, http.MethodGet, "/console/c/vallon/settings/keys", nil, "Cookie", signedIn))
	for _, want := range []string{"2\u00a0mars 2026", "31\u00a0décembre 2026"} {
		if !strings.Contains(text, want) {
			t.Errorf("the list has no %s:\n%s", want, text[strings.Index(text, "<main"):])
		}
	}
}

func TestAFormThatNoBrowserSendsIsRefused(t *testing.T) {
	handler, _ := start(t)
	r := send(handler, http.MethodPost, "/console/sign-in", nil, "Content-Type", "multipart/form-data")
	r2 := httptest.NewRequest(http.MethodPost, "/console/sign-in", strings.NewReader("--x\r\n"))
	r2.Header.Set("Content-Type", "multipart/form-data; boundary=y")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r2)
	if r.StatusCode >= 500 || w.Code >= 500 || w.Code < 400 {
		t.Errorf("%d and %d", r.StatusCode, w.Code)
	}
}

func TestFormsAreBounded(t *testing.T) {
	handler, _ := start(t)
	r := send(handler, http.MethodPost, "/console/sign-in", url.Values{"email": {strings.Repeat("x", maxFormBytes)}})
	if r.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a large form: %d", r.StatusCode)
	}
}

func TestWhoseSessionHasEndedSignsInAgain(t *testing.T) {
	handler, fake := start(t)
	const ended = sessionCookie + "=cas_old_secret"
	asked := send(handler, http.MethodPost, "/console/sign-in", url.Values{"email": {"lea@example.org"}}, "Cookie", ended)
	if asked.StatusCode != http.StatusSeeOther || asked.Header.Get("Location") != "/console/sign-in/sent" || len(asked.Cookies()) != 1 {
		t.Fatalf("asking for a link: %d %s", asked.StatusCode, asked.Header.Get("Location"))
	}
	cookies := ended + "; " + browserCookie + "=" + asked.Cookies()[0].Value
	r := send(handler, http.MethodPost, "/console/sign-in/link", url.Values{"token": {"good"}}, "Cookie", cookies)
	if r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != "/console" || r.Cookies()[0].Value != goodToken || len(fake.redeemed) != 1 {
		t.Errorf("the link: %d %s %v", r.StatusCode, r.Header.Get("Location"), r.Cookies())
	}
}

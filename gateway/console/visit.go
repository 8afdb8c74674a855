package console

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cagnotte/cagnotte/gateway/text"
	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
)

// maxFormBytes is what a form may have whose route says nothing else.
const maxFormBytes = 64 << 10

// errNoPage is returned by a page that there is not, or not for this member.
var errNoPage = status.Error(codes.NotFound, "there is no such page")

// visit is one request of a page, with who sent it.
type visit struct {
	// Words are in the member's language.
	*text.Words
	*console
	w http.ResponseWriter
	r *http.Request
	// me is who calls; nil on public pages.
	me *accessv1.Principal
	// collective is the name of the collective whose page it is, "collectives/vallon"; empty elsewhere.
	collective string
	// roles are those of the member there, OPERATOR included.
	roles []accessv1.Role

	// known is the collective once it was asked for.
	known *collectivesv1.Collective
	// listed are its campaigns once they were asked for.
	listed *campaignsv1.ListCampaignsResponse
	// keyNames are the display names of API keys by their names, once they were asked for.
	keyNames map[string]string
	// passkeys adds the script of passkeys.
	passkeys bool
	// age: the page has the script that makes and uses keys of receipts.
	age bool
}

// page makes a handler of a route: it checks where a form comes from, bounds it, and finds out who asks.
func (c *console) page(r route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		v := c.visit(w, req)
		if err := v.enter(r); err != nil {
			v.fail(err)
			return
		}
		limit := int64(maxFormBytes)
		if r.body > 0 {
			limit = r.body
		}
		// Most forms are small, and are read without asking.
		if req.Method == http.MethodPost && limit > maxFormBytes && c.Bodies != nil {
			release, ok := c.Bodies.Take(req.Context(), v.who(), limit)
			if !ok {
				v.fail(status.Error(codes.Unavailable, "too many uploads are under way"))
				return
			}
			defer release()
		}
		v.r.Body = http.MaxBytesReader(w, v.r.Body, limit)
		// A form that is too large would look like an empty one to whoever asks for a value. This reads no files.
		var tooLarge *http.MaxBytesError
		if err := v.r.ParseForm(); errors.As(err, &tooLarge) {
			v.fail(err)
			return
		}
		if err := r.serve(v); err != nil {
			v.fail(err)
		}
	})
}

// who is whose share of the memory for uploads a request takes.
func (v *visit) who() string {
	if v.me == nil {
		return ""
	}
	return v.me.GetMember()
}

// visit begins a request. Of what the client sent, the services get its address, the request's id and the session.
func (c *console) visit(w http.ResponseWriter, r *http.Request) *visit {
	lang := text.ExplicitLanguage(r, text.MemberLanguages)
	if lang == "" {
		lang = text.PreferredLanguage(r.Header.Get("Accept-Language"), text.MemberLanguages)
	}
	v := &visit{Words: c.catalogues[lang], console: c, w: w, r: r}
	v.carry()
	return v
}

// carried are the keys of metadata that go on to the services as the gateway set them.
var carried = []string{"cagnotte-client-address", "cagnotte-request-id"}

// carry sets the metadata of the calls.
func (v *visit) carry() {
	given, _ := metadata.FromOutgoingContext(v.r.Context())
	md := metadata.Pairs("accept-language", v.Lang)
	for _, key := range carried {
		md.Set(key, given.Get(key)...)
	}
	if token := sessionToken(v.r); token != "" {
		md.Set("authorization", "Bearer "+token)
	}
	v.r = v.r.WithContext(metadata.NewOutgoingContext(v.r.Context(), md))
}

// ctx is the context of the calls.
func (v *visit) ctx() context.Context { return v.r.Context() }

// errForeign is for a form that another site sent.
var errForeign = errors.New("console: a form of another site")

// enter finds out who asks, and whether there is such a page for them.
func (v *visit) enter(r route) error {
	if v.foreign.Check(v.r) != nil {
		return errForeign
	}
	if r.public {
		v.dropEnded()
		return nil
	}
	if sessionToken(v.r) == "" {
		return status.Error(codes.Unauthenticated, "there is no session")
	}
	me, err := v.access.GetPrincipal(v.ctx(), &accessv1.GetPrincipalRequest{})
	if err != nil {
		return err
	}
	// An API key in the cookie is none: the console is for people.
	if me.GetSession() == "" {
		return status.Error(codes.Unauthenticated, "there is no session")
	}
	v.me = me
	if words := v.catalogues[me.GetLanguage()]; words != nil && text.ExplicitLanguage(v.r, text.MemberLanguages) == "" && v.Lang != words.Lang {
		v.Words = words
		v.carry()
	}
	if id := v.r.PathValue("collective"); id != "" {
		v.collective = "collectives/" + id
	}
	for _, m := range me.GetMemberships() {
		parent, _, _ := strings.Cut(m.GetName(), "/memberships/")
		if parent == "instance" || parent == v.collective {
			v.roles = append(v.roles, m.GetRole())
		}
	}
	if v.collective != "" && len(v.roles) == 0 || !permits(r.roles, v.roles) {
		return errNoPage
	}
	return nil
}

// dropEnded leaves out of the calls of a public page a session that has ended: the services refuse every call that comes with
// one, so that its browser could not sign in again.
func (v *visit) dropEnded() {
	if sessionToken(v.r) == "" {
		return
	}
	if _, err := v.access.GetPrincipal(v.ctx(), &accessv1.GetPrincipalRequest{}); status.Code(err) != codes.Unauthenticated {
		return
	}
	md, _ := metadata.FromOutgoingContext(v.ctx())
	md.Delete("authorization") // FromOutgoingContext returns a copy
	v.r = v.r.WithContext(metadata.NewOutgoingContext(v.ctx(), md))
}

// can reports whether the member has one of these roles here, for what a page shows. The services decide.
func (v *visit) can(roles ...accessv1.Role) bool { return permits(roles, v.roles) }

// roleSince is since when the member has the role here, that in the collective before an operator's; nil for none.
func (v *visit) roleSince() (since *timestamppb.Timestamp) {
	for _, m := range v.me.GetMemberships() {
		switch parent, _, _ := strings.Cut(m.GetName(), "/memberships/"); parent {
		case v.collective:
			return m.GetCreateTime()
		case "instance":
			since = m.GetCreateTime()
		}
	}
	return since
}

// path is an address of the collective's: path("/books") is "/console/c/vallon/books".
func (v *visit) path(below string) string {
	return "/console/c/" + strings.TrimPrefix(v.collective, "collectives/") + below
}

// settings returns the collective. It is asked for once a visit.
func (v *visit) settings() (*collectivesv1.Collective, error) {
	if v.known == nil {
		c, err := collectivesv1.NewCollectivesServiceClient(v.Conn).GetCollective(v.ctx(), &collectivesv1.GetCollectiveRequest{Name: v.collective})
		if err != nil {
			return nil, err
		}
		v.known = c
	}
	return v.known, nil
}

// zone is the collective's time zone, in which its days begin; UTC on pages of no collective.
func (v *visit) zone() (*time.Location, error) {
	if v.collective == "" {
		return time.UTC, nil // the operator's pages
	}
	c, err := v.settings()
	if err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(c.GetTimeZone())
	if err != nil {
		return time.UTC, nil // a zone that this machine does not know
	}
	return zone, nil
}

// page is what the layout gets.
type page struct {
	*text.Words
	Title, Style, Icon, Script string
	// PasskeyScript is empty on pages without passkeys.
	PasskeyScript string
	// AgeScript is empty on pages without keys of receipts.
	AgeScript string
	// Self is the page's own address, with its query.
	Self string
	// OtherLanguage is this page in the other language.
	OtherLanguage string
	// Flash says what was just done.
	Flash string
	// Me is nil before the sign-in.
	Me *accessv1.Principal
	// Here is the collective's display name, or the operator's part; empty elsewhere.
	Here string
	// Places are where else the member can go.
	Places []place
	Nav    []navLink
	// Wrong says that a form was refused.
	Wrong   bool
	Content any
}

type place struct {
	Name, Role, Path string
	Current          bool
}

type navLink struct {
	Label, Icon, Path string
	// Badge is how many things wait there, and BadgeLabel the same in words; empty for none.
	Badge, BadgeLabel string
	Current           bool
}

// render answers a page whole, or nothing of it. The name is that of its template, "books/accounts"; title is a text.
func (v *visit) render(code int, name, title string, content any) error {
	p := v.newPage(title, content)
	var body bytes.Buffer
	t := v.templates[name]
	if t == nil {
		return errors.New("console: there is no template " + name)
	}
	if err := t.ExecuteTemplate(&body, "layout", p); err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.Lang)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Content-Security-Policy", securityPolicy)
	v.w.WriteHeader(code)
	_, _ = v.w.Write(body.Bytes())
	return nil
}

// show renders a page that was found.
func (v *visit) show(name, title string, content any) error {
	return v.render(http.StatusOK, name, title, content)
}

// refuse renders a page again whose form was refused.
func (v *visit) refuse(name, title string, content any) error {
	return v.render(http.StatusUnprocessableEntity, name, title, content)
}

func (v *visit) newPage(title string, content any) *page {
	p := &page{
		Words:         v.Words,
		Title:         title,
		Style:         v.styleURL,
		Icon:          v.iconURL,
		Script:        v.scriptURL,
		Self:          v.r.URL.RequestURI(),
		OtherLanguage: "?" + withQuery(v.r.URL.Query(), "lang", v.T("shell.otherLanguageCode")),
		Flash:         v.flash(),
		Me:            v.me,
		Content:       content,
	}
	if v.passkeys {
		p.PasskeyScript = v.passkeyScriptURL
	}
	if v.age {
		p.AgeScript = v.ageScriptURL
	}
	v.navigate(p)
	return p
}

// navigate fills in where the member is, and where they can go.
func (v *visit) navigate(p *page) {
	if v.me == nil {
		return
	}
	for _, m := range v.me.GetMemberships() {
		parent, _, _ := strings.Cut(m.GetName(), "/memberships/")
		to := place{Name: m.GetCollectiveDisplayName(), Role: capital(v.T("shell." + m.GetRole().String())), Path: "/console/c/" + strings.TrimPrefix(parent, "collectives/"), Current: parent == v.collective}
		if parent == "instance" {
			to.Name, to.Path, to.Current = v.T("shell.instance"), "/console/instance", part(v.r.URL.Path) == "/console/instance"
		}
		if to.Current {
			p.Here = to.Name
		}
		p.Places = append(p.Places, to)
	}
	if v.collective != "" && p.Here == "" {
		// The operator looks at a collective without being a member of it.
		p.Here = strings.TrimPrefix(v.collective, "collectives/")
		if c, err := v.settings(); err == nil {
			p.Here = c.GetDisplayName()
		}
	}
	// The entry of the longest address that the page's begins with is the current one.
	current, length := -1, 0
	for i := range v.sections {
		for _, entry := range v.sections[i].nav {
			to := entry.path
			if v.collective != "" && !strings.HasPrefix(to, "/console/") {
				to = v.path(to)
			}
			// An entry of another part, such as the operator's, is not of this page's navigation.
			if part(to) != part(v.r.URL.Path) || !permits(entry.roles, v.roles) {
				continue
			}
			for _, at := range append([]string{entry.path}, entry.also...) {
				if v.collective != "" && !strings.HasPrefix(at, "/console/") {
					at = v.path(at)
				}
				if here := v.r.URL.Path; (here == at || strings.HasPrefix(here, at+"/")) && len(at) > length {
					current, length = len(p.Nav), len(at)
				}
			}
			link := navLink{Label: v.T(entry.label), Icon: entry.icon, Path: to}
			if entry.badge != nil {
				link.Badge, link.BadgeLabel = entry.badge(v)
			}
			p.Nav = append(p.Nav, link)
		}
	}
	if current >= 0 {
		p.Nav[current].Current = true
	}
}

// part is the part of the console that an address is in: "/console/c", "/console/instance", "/console/me".
func part(path string) string {
	segments := strings.SplitN(path, "/", 4)
	return strings.Join(segments[:min(len(segments), 3)], "/")
}

// securityPolicy is the Content-Security-Policy of all pages: nothing from elsewhere, no inline script or style.
const securityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// redirect leads to an address of the console by 303, so that a reload sends nothing twice.
func (v *visit) redirect(to string) error {
	v.w.Header().Set("Cache-Control", "no-store")
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

// doneCode is a section and a name: "books.closed".
var doneCode = regexp.MustCompile(`^([a-z]+)\.([a-z-]+)$`)

// done leads on after something was done, and has the next page say so: done("books.closed", …) says the sentence
// "done.closed" of the catalogue books.
func (v *visit) done(code, to string) error {
	u, err := url.Parse(to)
	if err != nil {
		return err
	}
	query := u.Query()
	query.Set("done", code)
	u.RawQuery = query.Encode()
	return v.redirect(u.String())
}

// flash is the sentence of ?done=; empty for a code that no catalogue has.
func (v *visit) flash() string {
	m := doneCode.FindStringSubmatch(v.r.URL.Query().Get("done"))
	if m == nil || !v.Has(m[1]+".done."+m[2]) {
		return ""
	}
	return v.T(m[1] + ".done." + m[2])
}

// withQuery sets one parameter of a query and encodes it; an empty value removes it.
func withQuery(query url.Values, name, value string) string {
	query = url.Values(http.Header(query).Clone())
	query.Del("done")
	query.Del(name)
	if value != "" {
		query.Set(name, value)
	}
	return query.Encode()
}

// ownPath returns an address of this site that somebody may be led to after signing in, or the console's first page: no
// other site's, and none outside of the console and the guide.
func ownPath(next string) string {
	const start = "/console"
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || len(next) > 2000 ||
		strings.ContainsAny(next, "\\\r\n\t") || strings.HasPrefix(next, "//") {
		return start
	}
	clean := path.Clean(u.Path)
	if clean != start && !strings.HasPrefix(clean, start+"/") && clean != "/guide" && !strings.HasPrefix(clean, "/guide/") ||
		clean == start+"/sign-out" {
		return start
	}
	u.Path, u.RawPath, u.Fragment = clean, "", ""
	return u.String()
}

// message is a page of a heading, sentences and links.
type message struct {
	Paragraphs []string
	Links      []link
}

type link struct{ URL, Text string }

// emptyWith is what the template of this name shows in place of an empty list: a text, and the way on if there is one.
type emptyWith struct {
	link
	Empty string
}

// fail answers the error of a call that a page needs.
func (v *visit) fail(err error) {
	var tooLarge *http.MaxBytesError
	code := status.Code(err)
	switch {
	case errors.Is(err, errForeign):
		v.failed(http.StatusForbidden, "foreign")
	case errors.As(err, &tooLarge):
		v.failed(http.StatusRequestEntityTooLarge, "tooLarge")
	case reasonOf(err) == reauthenticationRequired && v.me != nil:
		_ = v.redirect(confirmPath(v.comeBack()))
	case code == codes.Unauthenticated:
		clearSession(v.w)
		_ = v.redirect("/console/sign-in?" + url.Values{"next": {v.comeBack()}}.Encode())
	// A name or a page token that the service refuses as invalid was typed or cut: nothing is at that address.
	case code == codes.NotFound, code == codes.InvalidArgument && v.r.Method != http.MethodPost:
		v.failed(http.StatusNotFound, "missing")
	// A form that its page had no words for: one that is cut, or that nobody's browser sends.
	case code == codes.InvalidArgument, code == codes.FailedPrecondition, code == codes.AlreadyExists, code == codes.OutOfRange:
		v.failed(http.StatusBadRequest, "refusal", localized(status.Convert(err)))
	case v.ctx().Err() != nil:
		// The reader has left.
		v.failed(http.StatusServiceUnavailable, "busy")
	case code == codes.Unavailable, code == codes.DeadlineExceeded, code == codes.ResourceExhausted, code == codes.Aborted:
		v.Logger.WarnContext(v.ctx(), "a page of the console lacks what it shows", "path", v.r.Pattern, "code", code.String())
		v.w.Header().Set("Retry-After", "10")
		v.failed(http.StatusServiceUnavailable, "busy")
	default:
		v.Logger.ErrorContext(v.ctx(), "a page of the console failed", "path", v.r.Pattern, "code", code.String(), "error", errorForLog(err))
		v.failed(http.StatusInternalServerError, "broken")
	}
}

// errorForLog is the text of an error that is the console's own. That of a call is logged where it was made.
func errorForLog(err error) string {
	if _, ok := status.FromError(err); ok {
		return ""
	}
	return err.Error()
}

// failed renders the page of a failure, whose texts are shell.{key}Title and shell.{key}Text. More sentences may follow.
func (v *visit) failed(code int, key string, more ...string) {
	back := link{"/console", v.T("shell.toStart")}
	if v.me == nil {
		back = link{"/", v.T("shell.toSite")}
	}
	content := message{Paragraphs: []string{v.T("shell." + key + "Text")}, Links: []link{back}}
	for _, sentence := range more {
		if sentence != "" {
			content.Paragraphs = append(content.Paragraphs, sentence)
		}
	}
	if err := v.render(code, "shell/message", v.T("shell."+key+"Title"), content); err != nil {
		http.Error(v.w, v.T("shell.brokenTitle"), http.StatusInternalServerError)
	}
}

// comeBack is where to go on after the sign-in: this page, or the one that a form was on.
func (v *visit) comeBack() string {
	if v.r.Method == http.MethodGet || v.r.Method == http.MethodHead {
		return ownPath(v.r.URL.RequestURI())
	}
	if from, err := url.Parse(v.r.Referer()); err == nil && from.Host == v.r.Host {
		return ownPath(from.RequestURI())
	}
	return ownPath(v.r.URL.Path)
}

// safeHTML marks markup of this package's own files.
func safeHTML(markup string) template.HTML { return template.HTML(markup) }

// isNotFound reports whether a call found nothing.
func isNotFound(err error) bool { return status.Code(err) == codes.NotFound }

package app_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/cagnotte/cagnotte/gateway/console"
	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
)

var consoleRoles = []accessv1.Role{
	accessv1.Role_ROLE_OWNER, accessv1.Role_ROLE_EDITOR, accessv1.Role_ROLE_TREASURER, accessv1.Role_ROLE_AUDITOR, accessv1.Role_ROLE_OPERATOR,
}

// consoleVisitor asks for pages of the console with a session, and follows no redirect.
type consoleVisitor struct {
	url, session string
}

// answer is what came.
type answer struct {
	code     int
	location string
	header   http.Header
	body     string
}

// request sends one; a form is posted.
func (v consoleVisitor) request(t *testing.T, method, path, kind string, body io.Reader) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, v.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	req.Header.Set("Accept-Language", "fr")
	if v.session != "" {
		req.Header.Set("Cookie", "__Host-cagnotte="+v.session)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer{res.StatusCode, res.Header.Get("Location"), res.Header, string(content)}
}

func (v consoleVisitor) get(t *testing.T, path string) answer {
	t.Helper()
	return v.request(t, http.MethodGet, path, "", nil)
}

func (v consoleVisitor) post(t *testing.T, path string, form url.Values) answer {
	t.Helper()
	return v.request(t, http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

// send asks for a page, or posts an empty form.
func (v consoleVisitor) send(t *testing.T, method, path string) answer {
	t.Helper()
	if method == http.MethodPost {
		return v.post(t, path, url.Values{})
	}
	return v.get(t, path)
}

// startConsole starts a program that can send mail.
func startConsole(t *testing.T) (*apptest.Env, *mailtest.Server) {
	t.Helper()
	mails := mailtest.Start(t)
	return apptest.Start(t, apptest.Config{SMTPURL: mails.URL(), Localhost: true}), mails
}

// consoleAddress is the address of a page about the furnished collective.
func consoleAddress(t *testing.T, h *apptest.Furnished, p console.Page) (method, path string) {
	t.Helper()
	method, _, _ = strings.Cut(p.Pattern, " ")
	path, ok := h.Address(p.Pattern)
	if !ok {
		t.Errorf("%s: nothing is known for a variable of it: have apptest.Furnish make it", p.Pattern)
	}
	return method, path
}

// may reports whether a role finds a page.
func may(p console.Page, role accessv1.Role) bool {
	return len(p.Roles) == 0 || slices.Contains(p.Roles, role)
}

// Members of another collective, whatever their role, find at the addresses of a collective what they find at those of a
// collective that does not exist; who is not signed in is led to the sign-in. Nothing changes.
func TestTheConsoleShowsNothingToMembersOfAnotherCollective(t *testing.T) {
	e, mails := startConsole(t)
	h := e.Furnish("vallon")
	e.Campaign("voisins")
	strangers := map[accessv1.Role]string{}
	for _, role := range consoleRoles[:4] {
		strangers[role] = e.SignIn("voisins", strings.ToLower(role.String())+"@voisins.example", role)
	}
	n := &neighbours{e: e}
	e.Eventually("the invitation is mailed", func() bool {
		return slices.ContainsFunc(mails.Mails(), func(m mailtest.Mail) bool { return strings.HasPrefix(m.To, "invitee-vallon@") })
	})
	var before map[string]string
	e.Eventually("jobs have ended", func() bool {
		last := before
		before = n.rows(t)
		return maps.Equal(last, before)
	})
	nobody := consoleVisitor{url: e.URL}
	quiet := func(what string, a answer) {
		t.Helper()
		for _, secret := range h.Secrets {
			if strings.Contains(a.body, secret) || strings.Contains(a.body, strings.ReplaceAll(secret, " ", "\u202f")) {
				t.Errorf("%s shows %q", what, secret)
			}
		}
	}
	count := 0
	for _, p := range console.Pages() {
		method, path := consoleAddress(t, h, p)
		if p.Public {
			quiet(p.Pattern, nobody.send(t, method, path))
			continue
		}
		count++
		a := nobody.send(t, method, path)
		if a.code != http.StatusSeeOther || !strings.HasPrefix(a.location, "/console/sign-in?") {
			t.Errorf("%s without a session: %d, %s", p.Pattern, a.code, a.location)
		}
		quiet(p.Pattern, a)
		for role, session := range strangers {
			what := fmt.Sprintf("%s as %s", p.Pattern, role)
			stranger := consoleVisitor{url: e.URL, session: session}
			if strings.HasSuffix(p.Pattern, "/devices/end") && method == http.MethodPost {
				continue // ends what is the stranger's own
			}
			a := stranger.send(t, method, path)
			quiet(what, a)
			// What begins with nothing of the collective's is the member's own: the first page, the account, the proof.
			if !strings.Contains(p.Pattern, "{") || strings.HasSuffix(p.Pattern, "console/{$}") {
				if strings.HasPrefix(p.Pattern[strings.Index(p.Pattern, "/"):], "/console/instance") && a.code != http.StatusNotFound {
					t.Errorf("%s: %d", what, a.code)
				}
				continue
			}
			// What is not the stranger's own is as good as deleted; that it is still there is seen below.
			if method == http.MethodPost && strings.Contains(p.Pattern, "/console/me/") && strings.HasPrefix(a.location, "/console/me?done=") {
				continue
			}
			if a.code != http.StatusNotFound {
				t.Errorf("%s: %d %s", what, a.code, a.location)
				continue
			}
			none := stranger.send(t, method, strings.Replace(path, "/c/vallon", "/c/nobody", 1))
			if want := strings.ReplaceAll(none.body, "nobody", "vallon"); a.body != want && strings.Contains(path, "/c/vallon") {
				t.Errorf("%s: the page differs from that of a collective that does not exist", what)
			}
		}
	}
	if count < 200 {
		t.Errorf("only %d pages", count)
	}
	for table, hash := range n.rows(t) {
		// The sealer writes these at its own pace.
		if before[table] != hash && table != "ledger.shares" && table != "ledger.balance_keys" {
			t.Errorf("rows of %s have changed", table)
		}
	}
	members := accessv1.NewMembersServiceClient(e.Conn)
	passkeys, err := members.ListPasskeys(apptest.WithKey(t.Context(), h.Second), &accessv1.ListPasskeysRequest{Parent: "members/me"})
	if err != nil || len(passkeys.GetPasskeys()) != 1 {
		t.Errorf("who has a session and a passkey has them no more: %v, %v", passkeys, err)
	}
	for _, role := range consoleRoles {
		if a := (consoleVisitor{url: e.URL, session: h.Sessions[role]}).get(t, "/console"); a.code != http.StatusOK && a.code != http.StatusSeeOther || strings.Contains(a.location, "sign-in") {
			t.Errorf("%s is signed out: %d %s", role, a.code, a.location)
		}
	}
}

// Each member of a collective finds the pages of their roles and no other, and no page leads to one that is not found.
func TestTheConsoleShowsMembersThePagesOfTheirRole(t *testing.T) {
	e, _ := startConsole(t)
	h := e.Furnish("vallon")
	match := http.NewServeMux()
	pages := map[string]console.Page{}
	for _, p := range console.Pages() {
		match.Handle(p.Pattern, http.NotFoundHandler())
		pages[p.Pattern] = p
	}
	for _, role := range consoleRoles {
		t.Run(role.String(), func(t *testing.T) {
			v := consoleVisitor{url: e.URL, session: h.Sessions[role]}
			leads, followed := map[string]string{}, map[string]int{}
			for _, p := range console.Pages() {
				method, path := consoleAddress(t, h, p)
				switch {
				case p.Public || strings.Contains(p.Pattern, "/me/passkeys/{") || strings.Contains(p.Pattern, "/me/devices/{"):
					// What belongs to one member is another test's.
				case strings.Contains(p.Pattern, "/settings/keys/{key}") && role != accessv1.Role_ROLE_OWNER && role != accessv1.Role_ROLE_OPERATOR:
					// Keys are found by who made them, and by owners.
					if a := v.send(t, method, path); a.code != http.StatusNotFound {
						t.Errorf("%s: %d %s", p.Pattern, a.code, a.location)
					}
				case !may(p, role):
					if a := v.send(t, method, path); a.code != http.StatusNotFound {
						t.Errorf("%s: %d %s", p.Pattern, a.code, a.location)
					}
				case method == http.MethodGet:
					a := v.get(t, path)
					if a.code != http.StatusOK && a.code != http.StatusSeeOther {
						t.Errorf("%s, %s: %d", p.Pattern, path, a.code)
					}
					for _, to := range linksOf(t, a) {
						if leads[to] == "" {
							leads[to] = path
						}
					}
				}
			}
			for to, from := range leads {
				method, path, _ := strings.Cut(to, " ")
				at, err := url.Parse(path)
				if err != nil {
					t.Errorf("%s has the address %q", from, path)
					continue
				}
				if at.Path == "" || at.Path == "." {
					continue
				}
				base, _ := url.Parse(from)
				at = base.ResolveReference(at)
				if !strings.HasPrefix(at.Path, "/console") {
					continue
				}
				_, pattern := match.Handler(&http.Request{Method: method, URL: at, Host: "localhost"})
				if p, ok := pages[pattern]; !ok || !p.Public && !may(p, role) {
					t.Errorf("%s leads to %s, which %s does not find", from, to, role)
					continue
				}
				if followed[pattern]++; method == http.MethodGet && followed[pattern] <= 2 {
					if a := v.get(t, at.RequestURI()); a.code >= 400 {
						t.Errorf("%s leads to %s: %d", from, to, a.code)
					}
				}
			}
			if len(leads) < 30 {
				t.Errorf("the pages lead to %d others", len(leads))
			}
		})
	}
}

// linksOf are where a page's links and forms lead: "GET /console/…".
func linksOf(t *testing.T, a answer) (to []string) {
	t.Helper()
	if !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
		return nil
	}
	root, err := html.Parse(strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	for node := range root.Descendants() {
		switch {
		case node.Type != html.ElementNode:
		case node.Data == "a" && attribute(node, "href") != "" && !strings.HasPrefix(attribute(node, "href"), "#"):
			to = append(to, "GET "+attribute(node, "href"))
		case node.Data == "form" && attribute(node, "action") != "":
			to = append(to, strings.ToUpper(attribute(node, "method"))+" "+attribute(node, "action"))
		}
	}
	for i := range to {
		to[i] = strings.TrimPrefix(to[i], " ")
		if strings.HasPrefix(to[i], "/") {
			to[i] = "GET " + to[i]
		}
	}
	return to
}

func attribute(node *html.Node, name string) string {
	for _, a := range node.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

package app_test

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/net/html"

	"github.com/cagnotte/cagnotte/gateway/console"
	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// hostileID is the id of an element that only hostile texts would make.
const hostileID = "hostile-element"

// hostile are texts that nobody types in good faith, by what they try.
var hostile = map[string]string{
	"HTML":       `x"><i id=` + hostileID + `>a</i><script id=` + hostileID + `>alert(1)</script> [a](javascript:alert(1)) ![b](https://evil.example/x.png)`,
	"formula":    `=HYPERLINK("https://evil.example";"a")`,
	"direction":  "\u202eabc\u2066\u200b\u200d\ufeffdef",
	"NUL":        "a\x00b",
	"bytes":      "a\xff\xfeb",
	"a megabyte": strings.Repeat("é", 1<<19),
}

// htmlForm is one of a page, with what it holds.
type htmlForm struct {
	method, action string
	multipart      bool
	pressed        bool
	values         url.Values
	// texts are the names of what is typed, and types what each input is: "text", "email", "date".
	texts []string
	types map[string]string
	files []string
	// choices are the values of selects, radios and boxes by name.
	choices map[string][]string
}

// formsOf are the forms of a page below its main part, as a browser reads them.
func formsOf(t *testing.T, page, body string) (forms []*htmlForm) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var at *htmlForm
	var read func(*html.Node)
	read = func(n *html.Node) {
		if n.Type == html.ElementNode {
			name, kind := attribute(n, "name"), attribute(n, "type")
			switch n.Data {
			case "form":
				at = &htmlForm{
					method: strings.ToUpper(attribute(n, "method")), action: attribute(n, "action"),
					multipart: attribute(n, "enctype") == "multipart/form-data", values: url.Values{}, types: map[string]string{}, choices: map[string][]string{},
				}
				if at.method == "" {
					at.method = http.MethodGet
				}
				if at.action == "" {
					at.action = page
				}
				forms = append(forms, at)
			case "textarea":
				if at != nil && name != "" {
					at.texts, at.types[name] = append(at.texts, name), "textarea"
					if n.FirstChild != nil {
						at.values.Set(name, n.FirstChild.Data)
					}
				}
			case "input":
				if at == nil || name == "" {
					break
				}
				switch kind {
				case "hidden":
					at.values.Set(name, attribute(n, "value"))
				case "file":
					at.files = append(at.files, name)
				case "radio", "checkbox":
					at.choices[name] = append(at.choices[name], attribute(n, "value"))
					if slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "checked" }) || kind == "radio" && at.values.Get(name) == "" {
						at.values.Set(name, attribute(n, "value"))
					}
				default:
					at.texts, at.types[name] = append(at.texts, name), kind
					at.values.Set(name, attribute(n, "value"))
				}
			case "option":
				if at == nil {
					break
				}
				selected := n.Parent
				for selected.Data != "select" {
					selected = selected.Parent
				}
				name := attribute(selected, "name")
				value := attribute(n, "value")
				if at.choices[name] == nil || at.values.Get(name) == "" || slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "selected" }) {
					at.values.Set(name, value)
				}
				at.choices[name] = append(at.choices[name], value)
			case "button":
				// The first one is pressed.
				if at != nil && kind != "button" && !at.pressed {
					if at.pressed = true; name != "" {
						at.values.Set(name, attribute(n, "value"))
					}
				}
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			read(c)
		}
		if n.Type == html.ElementNode && n.Data == "form" {
			at = nil
		}
	}
	read(root)
	return forms
}

// maxQuery is how long the text of a filter is here.
const maxQuery = 10_000

// key tells forms apart.
func (f *htmlForm) key() string { return f.method + " " + f.action + " " + strings.Join(f.texts, " ") }

// again reads a form anew, as somebody who comes back to it: it knows of changes since. It is nil where the form is gone: the
// cheques that it was about are banked.
func again(t *testing.T, v consoleVisitor, page, key string) *htmlForm {
	t.Helper()
	for _, f := range formsOf(t, page, v.get(t, page).body) {
		if f.key() == key {
			return f
		}
	}
	return nil
}

// typed gives what somebody types in good faith into the empty fields of a form.
func (f *htmlForm) typed(e *apptest.Env, serial int) url.Values {
	values := url.Values(maps.Clone(f.values))
	for _, name := range f.texts {
		if values.Get(name) != "" && name != "id" {
			continue
		}
		value := "Un texte"
		switch kind := f.types[name]; {
		case kind == "date" && (name == "deadline" || name == "end"):
			value = e.Clock.Now().AddDate(1, 0, 0).Format(time.DateOnly)
		case kind == "date":
			value = e.Clock.Now().AddDate(0, 0, -2).Format(time.DateOnly)
		case name == "time":
			value = "20:30"
		case kind == "email" || strings.Contains(name, "email"):
			value = fmt.Sprintf("personne-%d@example.org", serial)
		case kind == "url" || strings.Contains(name, "site") || strings.Contains(name, "origin"):
			value = "https://exemple.example"
		case strings.Contains(name, "amount"), strings.Contains(name, "goal"), strings.Contains(name, "minimum"), strings.Contains(name, "maximum"):
			value = "12,50"
		case name == "account" || strings.HasPrefix(name, "account_id"):
			value = fmt.Sprint(75400 + serial%99)
		case strings.HasSuffix(name, "_id") || name == "id" || name == "slug":
			value = fmt.Sprintf("essai-%d", serial)
		}
		values.Set(name, value)
	}
	if values.Has("request_id") {
		values.Set("request_id", uuid.NewString())
	}
	if f.choices["sure"] != nil {
		values.Set("sure", "yes")
	}
	return values
}

// submit sends a form as a browser does.
func (f *htmlForm) submit(t *testing.T, v consoleVisitor, page string, values url.Values) answer {
	t.Helper()
	base, err := url.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	to, err := base.Parse(f.action)
	if err != nil {
		t.Fatalf("%s: action %q", page, f.action)
	}
	if f.method == http.MethodGet {
		to.RawQuery = values.Encode()
		return v.get(t, to.RequestURI())
	}
	if !f.multipart {
		return v.post(t, to.RequestURI(), values)
	}
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, all := range values {
		for _, value := range all {
			if err := w.WriteField(name, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = w.Close()
	return v.request(t, http.MethodPost, to.RequestURI(), w.FormDataContentType(), &body)
}

// rich are forms that need more than texts: a picture, a bank's file, a box that is ticked, amounts that add up, or a period that can be closed.
var rich = regexp.MustCompile(`/(image|bank/import|split|reclassify|closing|receipts/declaration|receipts/keys/new)$`)

// shownAtOnce are forms whose answer is a page: a preview, or a key's secret.
var shownAtOnce = regexp.MustCompile(`/(preview|import|keys/new)$`)

// gone are forms that end what the others need, such as a session, or that have nothing of their own to type.
var gone = regexp.MustCompile(`/(sign-out|devices/end|delete|revoke|remove|close|suspend|approve|reject|cancel)$`)

var stack = regexp.MustCompile(`goroutine \d+|\.go:\d+|SQLSTATE|panic:|pq:|rpc error`)

// What is hostile is refused at its field, or stored and shown as text, by each form of the console.
func TestTheConsoleTakesHostileTextsAsTexts(t *testing.T) {
	e, _ := startConsole(t)
	h := e.Furnish("vallon")
	operator := consoleVisitor{url: e.URL, session: h.Sessions[accessv1.Role_ROLE_OPERATOR]}
	visitors := []consoleVisitor{{url: e.URL}, {url: e.URL, session: h.Sessions[accessv1.Role_ROLE_OWNER]}, {url: e.URL, session: h.Sessions[accessv1.Role_ROLE_TREASURER]}, operator}
	done := map[string]bool{}
	stored, refused, fields := 0, 0, 0
	serial := 0
	for _, p := range console.Pages() {
		method, page := consoleAddress(t, h, p)
		if method != http.MethodGet {
			continue
		}
		for _, v := range visitors {
			a := v.get(t, page)
			if a.code != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
				continue
			}
			for _, f := range formsOf(t, page, a.body) {
				key := f.key()
				if strings.HasPrefix(f.action, "/") && !strings.HasPrefix(f.action, "/console") {
					continue // a campaign's page in the preview
				}
				if done[key] || gone.MatchString(f.action) || len(f.texts) == 0 {
					continue
				}
				done[key] = true
				kept := 0
				for _, name := range f.texts {
					fields++
					for what, text := range hostile {
						if f.method == http.MethodGet && len(text) > maxQuery {
							text = text[:maxQuery] // longer ones reach no program
						}
						serial++
						now := again(t, v, page, key)
						if now == nil {
							break
						}
						values := now.typed(e, serial)
						values.Set(name, text)
						said := fmt.Sprintf("%s, field %s, %s", p.Pattern, name, what)
						switch a := f.submit(t, v, page, values); {
						case stack.MatchString(a.body):
							t.Errorf("%s: %d shows its insides: %s", said, a.code, stack.FindString(a.body))
						case f.method == http.MethodGet:
							if a.code >= 500 {
								t.Errorf("%s: %d", said, a.code)
							}
							calm(t, said, a.body)
						case a.code == http.StatusSeeOther:
							stored, kept = stored+1, kept+1
							if strings.Contains(a.location, "evil") {
								t.Errorf("%s leads to %s", said, a.location)
							}
						case a.code == http.StatusUnprocessableEntity:
							refused++
							atField := strings.Contains(a.body, `id="`+name+`-error"`)
							if !atField && (what == "NUL" || what == "bytes" || !strings.Contains(a.body, `id="errors"`)) {
								t.Errorf("%s is refused and does not say why", said)
							}
							calm(t, said, a.body)
						case a.code == http.StatusRequestEntityTooLarge && len(text) > 60_000:
							refused++
						case a.code == http.StatusOK && shownAtOnce.MatchString(f.action):
							stored, kept = stored+1, kept+1
							calm(t, said, a.body)
						default:
							t.Errorf("%s: %d %s", said, a.code, mainText(t, a.body))
						}
					}
				}
				if f.method != http.MethodPost {
					continue
				}
				// What is typed in good faith is taken, so it was the hostile text that was refused.
				serial++
				now := again(t, v, page, key)
				if now == nil || kept > 0 {
					continue
				}
				if a := now.submit(t, v, page, now.typed(e, serial)); a.code != http.StatusSeeOther && !rich.MatchString(p.Pattern) {
					t.Errorf("%s: takes nothing: %d %s %v", p.Pattern, a.code, mainText(t, a.body), f.typed(e, serial))
				}
			}
		}
	}
	t.Logf("%d fields; %d texts stored, %d refused", fields, stored, refused)
	if fields < 60 || stored < 50 || refused < 50 {
		t.Errorf("%d fields, %d stored, %d refused: the forms are not found, or the values are no good", fields, stored, refused)
	}
	// Whatever was stored is shown as text.
	for _, p := range console.Pages() {
		method, page := consoleAddress(t, h, p)
		if method != http.MethodGet {
			continue
		}
		for _, v := range visitors {
			a := v.get(t, page)
			if a.code >= 500 {
				t.Errorf("%s: %d", p.Pattern, a.code)
			}
			if strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
				calm(t, p.Pattern, a.body)
			}
		}
	}
	nobody := consoleVisitor{url: e.URL}
	for _, page := range []string{"/", "/c/vallon", "/c/vallon/avocate", "/c/vallon/en-pause", "/c/vallon/avocate?lang=en"} {
		a := nobody.get(t, page)
		if a.code >= 500 {
			t.Errorf("%s: %d", page, a.code)
		}
		calm(t, page, a.body)
	}
	exportsAreTexts(t, visitors[2], "/console/c/vallon/")
}

// A form that is refused says why in a summary, also one that has nothing left to choose.
func TestTheConsoleSaysWhyAFormIsRefused(t *testing.T) {
	e, _ := startConsole(t)
	h := e.Furnish("vallon")
	treasurer := consoleVisitor{url: e.URL, session: h.Sessions[accessv1.Role_ROLE_TREASURER]}
	page := "/console/c/vallon/bank/cheques"
	var deposit *htmlForm
	for _, f := range formsOf(t, page, treasurer.get(t, page).body) {
		if f.values.Has("cheques") {
			deposit = f
		}
	}
	if deposit == nil {
		t.Fatal("no cheque waits to be banked")
	}
	if a := deposit.submit(t, treasurer, page, deposit.values); a.code != http.StatusSeeOther {
		t.Fatalf("the deposit: %d %s", a.code, mainText(t, a.body))
	}
	if again := deposit.submit(t, treasurer, page, deposit.values); again.code != http.StatusSeeOther {
		t.Errorf("the same deposit again: %d %s", again.code, mainText(t, again.body))
	}
	deposit.values.Set("request_id", uuid.NewString())
	if a := deposit.submit(t, treasurer, page, deposit.values); a.code != http.StatusUnprocessableEntity || !strings.Contains(a.body, "annulés entre-temps") {
		t.Errorf("another deposit of the same cheques: %d %s", a.code, mainText(t, a.body))
	}

	refused := 0
	for _, p := range console.Pages() {
		method, path := consoleAddress(t, h, p)
		if method != http.MethodPost || gone.MatchString(path) || strings.HasSuffix(path, "/passkeys/finish") || strings.HasSuffix(path, "/passkey/finish") {
			continue // the last two answer the script of passkeys
		}
		v := consoleVisitor{url: e.URL, session: h.Sessions[accessv1.Role_ROLE_OWNER]}
		switch {
		case p.Public:
			v.session = ""
		case strings.HasPrefix(path, "/console/instance"):
			v.session = h.Sessions[accessv1.Role_ROLE_OPERATOR]
		}
		if a := v.post(t, path, url.Values{}); a.code == http.StatusUnprocessableEntity {
			refused++
			if !strings.Contains(a.body, `<div class="summary"`) {
				t.Errorf("%s is refused and does not say why: %s", p.Pattern, mainText(t, a.body))
			}
		}
	}
	if refused < 30 {
		t.Errorf("%d forms were refused", refused)
	}
}

// calm finds no element that a hostile text made.
func calm(t *testing.T, what, body string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if attribute(n, "id") == hostileID {
			t.Errorf("%s: a hostile text made <%s>", what, n.Data)
		}
		for _, a := range n.Attr {
			if value := strings.ToLower(strings.TrimSpace(a.Val)); (a.Key == "href" || a.Key == "src" || a.Key == "action" || a.Key == "formaction") &&
				(strings.HasPrefix(value, "javascript:") || strings.HasPrefix(value, "data:") || a.Key != "href" && strings.Contains(value, "evil.example")) || strings.HasPrefix(a.Key, "on") {
				t.Errorf("%s: a hostile text made %s=%q", what, a.Key, a.Val)
			}
		}
	}
}

// mainText is what a page says.
func mainText(t *testing.T, body string) string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode && n.Parent != nil && (n.Parent.Data == "p" || n.Parent.Data == "h1") {
			said.WriteString(strings.TrimSpace(n.Data) + " ")
		}
	}
	return said.String()[:min(120, said.Len())]
}

// exportsAreTexts downloads all that a page offers, and finds no cell that a spreadsheet would run.
func exportsAreTexts(t *testing.T, v consoleVisitor, page string) {
	t.Helper()
	tables := 0
	check := func(from, cell string) {
		if cell != "" && strings.ContainsRune("=+@", rune(cell[0])) {
			t.Errorf("%s has the cell %q", from, cell)
		}
	}
	for _, path := range []string{"books/export?format=CSV", "books/export?format=XLSX", "books/export?format=PAYOUTS", "settings/audit/export?format=CSV"} {
		path = page + path
		got := v.get(t, path)
		if got.code != http.StatusOK {
			t.Errorf("%s: %d", path, got.code)
			continue
		}
		switch kind := got.header.Get("Content-Type"); {
		case strings.HasPrefix(kind, "text/csv"):
			tables++
			rows, err := csv.NewReader(strings.NewReader(got.body)).ReadAll()
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			for _, row := range rows {
				for _, cell := range row {
					check(path, cell)
				}
			}
		case strings.Contains(kind, "spreadsheetml"):
			tables++
			archive, err := zip.NewReader(strings.NewReader(got.body), int64(len(got.body)))
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			for _, file := range archive.File {
				r, err := file.Open()
				if err != nil {
					t.Fatal(err)
				}
				content, err := io.ReadAll(r)
				_ = r.Close()
				if err != nil || bytes.Contains(content, []byte("<f>")) || bytes.Contains(content, []byte("<f ")) {
					t.Errorf("%s: %s has a formula, or %v", path, file.Name, err)
				}
			}
		}
	}
	if tables < 4 {
		t.Errorf("%d tables", tables)
	}
}

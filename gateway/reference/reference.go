package reference

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"

	"github.com/cagnotte/cagnotte/gateway/asset"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
)

//go:embed templates/*.html style.css
var files embed.FS

// contentPolicy lets the pages load their style sheet and nothing else.
const contentPolicy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// view is what a template shows.
type view struct {
	Title  string
	Style  string
	Groups []group // all of them, for the way round
	Group  group   // the one that a page is about
	// Failure is an error as REST answers it.
	Failure string
}

// Handler serves /api and what is below it, to GET and HEAD, and hands what is not there to missing.
// It errs when the embedded contract cannot be read.
func Handler(missing http.Handler) (http.Handler, error) {
	groups, err := loadContract()
	if err != nil {
		return nil, err
	}
	sheet, err := files.ReadFile("style.css")
	if err != nil {
		return nil, err
	}
	// The address holds the version of the content, so caches may have it for ever.
	style := asset.New(sheet, "text/css; charset=utf-8", "public, max-age=31536000, immutable")
	mux := http.NewServeMux()
	stylePath := "/api/style-" + style.Version() + ".css"
	mux.Handle("GET "+stylePath, style)

	// All pages are rendered once, at the start: they depend on the contract alone.
	index := view{Title: "The API of Cagnotte", Style: stylePath, Groups: groups, Failure: exampleOfAnError()}
	if err := handlePage(mux, "/api", "index.html", index); err != nil {
		return nil, err
	}
	for _, g := range groups {
		page := view{Title: g.Name + " in the API of Cagnotte", Style: stylePath, Groups: groups, Group: g}
		if err := handlePage(mux, "/api/"+g.Name, "group.html", page); err != nil {
			return nil, err
		}
	}
	mux.Handle("/", missing)
	return withPolicy(mux), nil
}

// exampleOfAnError is the body of an error.
func exampleOfAnError() string {
	// The code, the reason and the text are those of the program, so the example does not age.
	const reason = errorsv1.ErrorReason_CAMPAIGN_NOT_OPEN
	text, language := reason.Text("fr")
	return fmt.Sprintf(`{
  "code": %d,
  "message": "collectives/vallon/campaigns/cameras takes no donations.",
  "details": [
    {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": %q, "domain": %q},
    {"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": %q, "message": %q},
    {"@type": "type.googleapis.com/google.rpc.RequestInfo", "request_id": "0198c2a4-7d5e-7c3b-9a41-5d2f6b8e1c07"}
  ]
}`, reason.Code(), reason.String(), errorsv1.Domain, language, text)
}

// handlePage renders a page and routes its address, which may end in a slash.
func handlePage(mux *http.ServeMux, path, name string, v view) error {
	t, err := template.ParseFS(files, "templates/layout.html", "templates/"+name)
	if err != nil {
		return err
	}
	var body bytes.Buffer
	if err := t.ExecuteTemplate(&body, "layout", v); err != nil {
		return fmt.Errorf("reference: render %s: %w", path, err)
	}
	page := asset.New(body.Bytes(), "text/html; charset=utf-8", "public, max-age=300")
	mux.Handle("GET "+path, page)
	mux.Handle("GET "+path+"/{$}", http.RedirectHandler(path, http.StatusMovedPermanently))
	return nil
}

func withPolicy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", contentPolicy)
		next.ServeHTTP(w, r)
	})
}

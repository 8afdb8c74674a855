package main

import (
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
)

var (
	//go:embed site.html
	siteHTML string
	//go:embed site.css
	siteCSS []byte
)

// newSite returns the collectives' own site. It is another origin than the service, and its Content Security Policy allows
// no more than the README tells sites to allow.
func newSite(serviceURL string, demos []demo) (http.Handler, error) {
	page, err := template.New("site").Parse(siteHTML)
	if err != nil {
		return nil, fmt.Errorf("parse site.html: %w", err)
	}
	// Scripts come from the service alone, and only the service may be called. The stylesheet is the site's own.
	policy := fmt.Sprintf("default-src 'none'; style-src 'self'; script-src %[1]s; connect-src %[1]s; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", serviceURL)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /site.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		w.Write(siteCSS)
	})
	for i, d := range demos {
		pattern := "GET " + sitePath(i, d)
		// Without the end marker, the pattern of the front page would match every path.
		if i == 0 {
			pattern += "{$}"
		}
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			type link struct {
				Path, Name string
				Current    bool
			}
			data := struct {
				Lang, Collective, Campaign, Page, Service string
				Others                                    []link
			}{Lang: "fr", Collective: d.Collective.DisplayName, Campaign: d.campaignName(), Page: d.page(serviceURL), Service: serviceURL}
			if r.URL.Query().Get("lang") == "en" {
				data.Lang = "en"
			}
			// Each page links to all collectives, itself included.
			for j, other := range demos {
				data.Others = append(data.Others, link{sitePath(j, other), other.Collective.DisplayName, i == j})
			}
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", policy)
			w.Header().Set("Referrer-Policy", "no-referrer")
			// The template always succeeds, so an error means that the reader has closed the connection.
			_ = page.Execute(w, data)
		})
	}
	return mux, nil
}

// sitePath returns the path of a collective's page. The first collective has the front page.
func sitePath(i int, d demo) string {
	if i == 0 {
		return "/"
	}
	return "/" + d.CollectiveID
}

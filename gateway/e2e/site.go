package e2e

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"
)

var hostTemplate = template.Must(template.New("host").Parse(`<!doctype html>
<html lang="{{.Lang}}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Vallon contre caméras</title>
<link rel="stylesheet" href="/site.css">
<script src="{{.Service}}/widget.js" defer></script>
</head>
<body>
<h1>Notre village, sans caméras</h1>
<cagnotte-widget campaign="{{.Campaign}}"><a href="{{.Page}}">Donner</a></cagnotte-widget>
<p>Prochaine réunion jeudi, sur la place.</p>
</body>
</html>
`))

var frameTemplate = template.Must(template.New("frame").Parse(`<!doctype html>
<html lang="fr">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Vallon contre caméras</title>
</head>
<body>
<h1>Notre village, sans caméras</h1>
<iframe src="{{.Page}}/embed?lang=fr&amp;origin={{.Origin}}" title="Une avocate contre les caméras" width="320" height="800"></iframe>
</body>
</html>
`))

// hostPage is the collective's own page: strict enough that the widget must not need inline
// style, inline script, HTML parsing, images or fonts.
func hostPage(p Program) http.Handler {
	policy := fmt.Sprintf("default-src 'none'; style-src 'self'; script-src %[1]s; connect-src %[1]s; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'", p.URL)
	path := strings.NewReplacer("collectives/", "/c/", "/campaigns/", "/").Replace(p.Campaign)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /site.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css")
		// Habits of host pages that must not reach into the widget.
		_, _ = fmt.Fprint(w, "body { font-family: sans-serif; text-align: center; letter-spacing: 1px } button, input { display: none } h2 { color: red } cagnotte-widget { display: block; min-height: 48em }")
	})
	// What a donor would find in a mailbox.
	mux.HandleFunc("GET /mails", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(p.Mails())
	})
	// What specs have done behind the pages.
	mux.HandleFunc("POST /do/{name}", func(w http.ResponseWriter, r *http.Request) {
		do := p.Do[r.PathValue("name")]
		if do == nil {
			http.Error(w, "nothing does this", http.StatusNotFound)
			return
		}
		answer, err := do(r.URL.Query())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	})
	mux.HandleFunc("GET /soutenir", func(w http.ResponseWriter, r *http.Request) {
		lang := "fr"
		if r.URL.Query().Get("lang") == "en" {
			lang = "en"
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		_ = hostTemplate.Execute(w, map[string]string{"Lang": lang, "Service": p.URL, "Campaign": p.Campaign, "Page": p.URL + path})
	})
	// A page that has a frame and no script.
	mux.HandleFunc("GET /cadre", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-src "+p.URL)
		w.Header().Set("Referrer-Policy", "no-referrer")
		_ = frameTemplate.Execute(w, map[string]string{"Page": p.URL + path, "Origin": "http://" + r.Host})
	})
	return mux
}

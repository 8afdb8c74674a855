package guide

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"golang.org/x/image/webp"

	"github.com/cagnotte/cagnotte/gateway/design"
	"github.com/cagnotte/cagnotte/gateway/markdown"
	"github.com/cagnotte/cagnotte/gateway/text"
)

//go:embed pages templates strings
var files embed.FS

//go:embed guide.css
var ownStyle []byte

// order lists the pages as the guide does.
var order = []string{"start", "campaign", "spread", "team", "treasury", "refunds", "discretion", "operator"}

// Config is what the guide needs.
type Config struct {
	// Assets takes the guide's files; required.
	Assets *design.Assets
}

// guide is the handler of all its pages.
type guide struct {
	catalogues  text.Catalogues
	templates   map[string]*template.Template
	pages       map[string]map[string]article
	style, icon string
}

// article is a page in one language.
type article struct {
	Path, Title string
	Body        template.HTML
}

// New returns the guide, or an error when a page lacks a language or a title.
func New(c Config) (http.Handler, error) {
	if c.Assets == nil {
		return nil, errors.New("guide: Assets is required")
	}
	g := &guide{
		pages:     map[string]map[string]article{},
		templates: map[string]*template.Template{},
		style:     c.Assets.Add("guide.css", "text/css; charset=utf-8", design.Sheet(ownStyle)),
		icon:      c.Assets.Add("icon.svg", "image/svg+xml", design.Icon()),
	}
	var err error
	if g.catalogues, err = text.Load(files, "strings/*.json", text.MemberLanguages); err != nil {
		return nil, err
	}
	for _, name := range []string{"list", "article", "missing"} {
		if g.templates[name], err = template.ParseFS(files, "templates/layout.html", "templates/"+name+".html"); err != nil {
			return nil, err
		}
	}
	pictures, err := addPictures(c.Assets)
	if err != nil {
		return nil, err
	}
	read := markdown.NewForGuide()
	for _, lang := range text.MemberLanguages {
		g.pages[lang] = map[string]article{}
		for _, name := range order {
			source, err := files.ReadFile("pages/" + lang + "/" + name + ".md")
			if err != nil {
				return nil, fmt.Errorf("guide: %w", err)
			}
			first, _, _ := strings.Cut(string(source), "\n")
			title, ok := strings.CutPrefix(first, "# ")
			if !ok {
				return nil, fmt.Errorf("guide: %s in %s does not begin with its title", name, lang)
			}
			g.pages[lang][name] = article{"/guide/" + name, text.Typeset(lang, title), showPictures(read.Render(lang, string(source)), pictures)}
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /guide", g.list)
	mux.HandleFunc("GET /guide/{$}", g.list)
	mux.HandleFunc("GET /guide/{page}", g.page)
	mux.HandleFunc("/", g.missing)
	return mux, nil
}

// picture is a screen that a page shows: where it is served, and how large it is.
type picture struct {
	path          string
	width, height int
}

// addPictures serves the pictures of all languages, at addresses that may be cached for ever. The pictures are keyed by how
// pages name them, such as "/guide/pictures/fr/campaign-texts.webp".
func addPictures(assets *design.Assets) (map[string]picture, error) {
	all := map[string]picture{}
	names, err := fs.Glob(files, "pages/pictures/*/*.webp")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		body, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		size, err := webp.DecodeConfig(bytes.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("guide: %s: %w", name, err)
		}
		all["/guide/"+strings.TrimPrefix(name, "pages/")] = picture{assets.Add(path.Base(name), "image/webp", body), size.Width, size.Height}
	}
	return all, nil
}

// showPictures puts in where the pictures of a page are served. The text hardly moves when they arrive, since their sizes are
// known, and who reads the beginning does not load the last.
func showPictures(body template.HTML, pictures map[string]picture) template.HTML {
	text := string(body)
	for name, p := range pictures {
		text = strings.ReplaceAll(text, `src="`+name+`"`, fmt.Sprintf(`src="%s" width="%d" height="%d" loading="lazy"`, p.path, p.width, p.height))
	}
	return template.HTML(text) // sanitised before; what is put in is ours
}

// page is what the layout gets.
type page struct {
	*text.Words
	Title, Style, Icon, Query, OtherLanguage string
	Content                                  any
}

func (g *guide) list(w http.ResponseWriter, r *http.Request) {
	p := g.begin(w, r)
	all := []article{}
	for _, name := range order {
		all = append(all, g.pages[p.Lang][name])
	}
	p.Title, p.Content = p.T("title"), all
	g.answer(w, http.StatusOK, "list", p)
}

func (g *guide) page(w http.ResponseWriter, r *http.Request) {
	p := g.begin(w, r)
	a, ok := g.pages[p.Lang][r.PathValue("page")]
	if !ok {
		g.missing(w, r)
		return
	}
	p.Title, p.Content = a.Title, a
	g.answer(w, http.StatusOK, "article", p)
}

func (g *guide) missing(w http.ResponseWriter, r *http.Request) {
	p := g.begin(w, r)
	p.Title = p.T("missing")
	g.answer(w, http.StatusNotFound, "missing", p)
}

// begin chooses the language: ?lang=, else the browser's.
func (g *guide) begin(w http.ResponseWriter, r *http.Request) *page {
	p := &page{Style: g.style, Icon: g.icon}
	lang := text.ExplicitLanguage(r, text.MemberLanguages)
	if lang != "" {
		p.Query = "?lang=" + lang
	} else {
		w.Header().Add("Vary", "Accept-Language")
		lang = text.PreferredLanguage(r.Header.Get("Accept-Language"), text.MemberLanguages)
	}
	p.Words = g.catalogues[lang]
	p.OtherLanguage = "?lang=" + p.T("otherLanguageCode")
	return p
}

// answer writes a page whole, or nothing of it.
func (g *guide) answer(w http.ResponseWriter, code int, name string, p *page) {
	var body bytes.Buffer
	if err := g.templates[name].ExecuteTemplate(&body, "layout", p); err != nil {
		http.Error(w, p.T("title"), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", p.Lang)
	h.Set("Cache-Control", "public, max-age=0, s-maxage=60")
	if code != http.StatusOK {
		h.Set("Cache-Control", "no-store")
	}
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Del("X-Request-Id")
	w.WriteHeader(code)
	_, _ = w.Write(body.Bytes())
}

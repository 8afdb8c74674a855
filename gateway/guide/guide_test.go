package guide

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cagnotte/cagnotte/gateway/design"
	"github.com/cagnotte/cagnotte/gateway/text"
	"github.com/cagnotte/cagnotte/gateway/text/texttest"
)

func TestCatalogues(t *testing.T) {
	all, err := text.Load(files, "strings/*.json", text.MemberLanguages)
	if err != nil {
		t.Fatal(err)
	}
	texttest.Check(t, all, files)
}

// Every page that there is stands in the list, and what it links to within the guide is there.
func TestPages(t *testing.T) {
	assets := design.NewAssets()
	pages, err := New(Config{Assets: assets})
	if err != nil {
		t.Fatal(err)
	}
	handler := assets.Or(pages)
	get := func(address string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, address, nil))
		return w
	}
	paths, err := fs.Glob(files, "pages/*/*.md")
	if err != nil || len(paths) != len(order)*len(text.MemberLanguages) {
		t.Errorf("%d files of pages, %v, and %d pages in the list", len(paths), err, len(order))
	}
	link := regexp.MustCompile(`(?:href|src)="(/(?:guide|assets)[^"]*)"`)
	for _, file := range paths {
		name := strings.TrimSuffix(path.Base(file), ".md")
		if !slices.Contains(order, name) {
			t.Errorf("%s is not in the list", file)
		}
		lang := path.Base(path.Dir(file))
		answer := get("/guide/" + name + "?lang=" + lang)
		if answer.Code != http.StatusOK || strings.Count(answer.Body.String(), "<h1") != 1 || !strings.Contains(answer.Body.String(), `<html lang="`+lang) {
			t.Errorf("%s: %d\n%s", file, answer.Code, answer.Body)
		}
		for _, m := range link.FindAllStringSubmatch(answer.Body.String(), -1) {
			if to := get(m[1]); to.Code != http.StatusOK {
				t.Errorf("%s links to %s: %d", file, m[1], to.Code)
			}
		}
	}
	if title := get("/guide?lang=fr").Body.String(); !strings.Contains(title, "<title>Guide</title>") {
		t.Errorf("the list's title is not the guide's: %s", title)
	}
	if missing := get("/guide/nothing"); missing.Code != http.StatusNotFound {
		t.Errorf("a page that is not there: %d", missing.Code)
	}
}

// Each page shows real screens in its language, each told in words and loaded when it is near; no picture is left unused, and
// all together they are small.
func TestPictures(t *testing.T) {
	assets := design.NewAssets()
	pages, err := New(Config{Assets: assets})
	if err != nil {
		t.Fatal(err)
	}
	image := regexp.MustCompile(`<img src="(/assets/[^"]+)" width="(\d+)" height="(\d+)" loading="lazy" alt="([^"]*)"`)
	written := regexp.MustCompile(`!\[([^\]]*)\]\((/guide/[^)]*)\)`)
	shown := map[string]bool{}
	for _, lang := range text.MemberLanguages {
		for _, name := range order {
			source, err := files.ReadFile("pages/" + lang + "/" + name + ".md")
			if err != nil {
				t.Fatal(err)
			}
			names := written.FindAllStringSubmatch(string(source), -1)
			for _, m := range names {
				if !strings.HasPrefix(m[2], "/guide/pictures/"+lang+"/"+name+"-") {
					t.Errorf("%s in %s shows %s, the picture of another page or language", name, lang, m[2])
				}
				shown["pages"+strings.TrimPrefix(m[2], "/guide")] = true
			}
			w := httptest.NewRecorder()
			pages.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/guide/"+name+"?lang="+lang, nil))
			images := image.FindAllStringSubmatch(w.Body.String(), -1)
			if len(images) == 0 || len(images) != len(names) || strings.Count(w.Body.String(), "<img") != len(images)+1 { // and the icon
				t.Errorf("%s in %s: %d pictures of %d", name, lang, len(images), len(names))
			}
			for _, m := range images {
				if len(strings.Fields(m[4])) < 5 {
					t.Errorf("%s in %s: %q does not tell what %s shows", name, lang, m[4], m[1])
				}
				served := httptest.NewRecorder()
				assets.Or(http.NotFoundHandler()).ServeHTTP(served, httptest.NewRequest(http.MethodGet, m[1], nil))
				if served.Code != http.StatusOK || served.Header().Get("Content-Type") != "image/webp" || !strings.Contains(served.Header().Get("Cache-Control"), "immutable") {
					t.Errorf("%s: %d %v", m[1], served.Code, served.Header())
				}
			}
		}
	}
	stored, err := fs.Glob(files, "pages/pictures/*/*")
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	for _, name := range stored {
		if !shown[name] {
			t.Errorf("no page shows %s", name)
		}
		info, err := fs.Stat(files, name)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > 1_500_000 {
		t.Errorf("the pictures have %d bytes in total", size)
	}
}

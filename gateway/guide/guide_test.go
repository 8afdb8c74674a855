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
	all, err := text.Load(files, "strings/*.json")
	if err != nil {
		t.Fatal(err)
	}
	texttest.Check(t, all, files)
}

// Every page that there is stands in the list, and what it links to within the guide is there.
func TestPages(t *testing.T) {
	handler, err := New(Config{Assets: design.NewAssets()})
	if err != nil {
		t.Fatal(err)
	}
	get := func(address string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, address, nil))
		return w
	}
	paths, err := fs.Glob(files, "pages/*/*.md")
	if err != nil || len(paths) != len(order)*len(text.Languages) {
		t.Errorf("%d files of pages, %v, and %d pages in the list", len(paths), err, len(order))
	}
	link := regexp.MustCompile(`(?:href|src)="(/guide[^"]*)"`)
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
	if missing := get("/guide/nothing"); missing.Code != http.StatusNotFound {
		t.Errorf("a page that is not there: %d", missing.Code)
	}
}

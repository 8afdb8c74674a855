package console

import (
	"testing"

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

func TestTemplates(t *testing.T) {
	all, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	if all["shell/message"] == nil || all["signin/signin"] == nil {
		t.Errorf("templates: %v", all)
	}
}

func TestOwnPath(t *testing.T) {
	for next, want := range map[string]string{
		"/console/c/vallon/books?page=a%26b": "/console/c/vallon/books?page=a%26b",
		"/console":                           "/console",
		"/guide/treasurer":                   "/guide/treasurer",
		"":                                   "/console",
		"https://evil.example/console":       "/console",
		"//evil.example/console":             "/console",
		"/\\evil.example":                    "/console",
		"/console/../c/vallon":               "/console",
		"/console/../../evil":                "/console",
		"/console//evil.example":             "/console/evil.example",
		"javascript:alert(1)":                "/console",
		"/console/sign-out":                  "/console",
		"/console\r\nSet-Cookie: a=b":        "/console",
		"/consolation":                       "/console",
	} {
		if got := ownPath(next); got != want {
			t.Errorf("%q: %q, want %q", next, got, want)
		}
	}
}

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/app"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestExport(t *testing.T) {
	url := pgtest.NewURL(t)
	pool, err := postgres.Open(t.Context(), postgres.Config{URL: url, DefaultScope: postgres.AllScope()})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	groups := collectives.New(collectives.Config{Pool: pool})
	if _, err := groups.Create(t.Context(), collectives.Collective{ID: "vallon", DisplayName: "Vallon contre caméras"}); err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string { return map[string]string{"DATABASE_URL": url}[name] }
	try := func(args ...string) (stdout, stderr string, err error) {
		var out, errOut bytes.Buffer
		err = run(t.Context(), append([]string{"export", "-collective", "vallon"}, args...), getenv, &out, &errOut)
		return out.String(), errOut.String(), err
	}
	t.Run("writes every format to standard output, and no picture to what is no terminal", func(t *testing.T) {
		for _, format := range app.ExportFormats() {
			args := []string{"-format", format}
			if format != "PROOF" { // which is always of the whole share
				args = append(args, "-end-date", "2026-12-31")
			}
			out, errOut, err := try(args...)
			if err != nil || errOut != "" || (out == "") != (format == "JSONL") {
				t.Errorf("%s: %q, %q, err = %v", format, out, errOut, err)
			}
		}
	})
	t.Run("writes into a folder under the name that the law gives", func(t *testing.T) {
		folder := t.TempDir()
		if _, _, err := try("-format", "FEC", "-end-date", "2026-12-31", "-siren", "732829320", "-o", folder); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(folder, "732829320FEC20261231.txt")); err != nil {
			t.Error(err)
		}
	})
	t.Run("overwrites no file, and leaves none of what is refused", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "books.csv")
		if _, _, err := try("-o", path, "-start-date", "2026-02-30"); err == nil {
			t.Error("a wrong day passes")
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("there is a file")
		}
		for _, want := range []bool{true, false} {
			if _, _, err := try("-o", path); (err == nil) != want {
				t.Errorf("err = %v", err)
			}
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("the first file is gone: %v", err)
		}
	})
}

func TestBar(t *testing.T) {
	var out strings.Builder
	now := time.Unix(0, 0)
	b := &bar{out: &out, now: func() time.Time { return now }}
	for _, step := range []struct {
		after       time.Duration
		done, total int64
		want        string
	}{
		{time.Second, 0, 4, "\r\x1b[K[                              ]   0 %  0 of 4 entries"},
		{time.Millisecond, 1, 4, ""},
		{2 * time.Second, 2, 4, "\r\x1b[K[===============               ]  50 %  2 of 4 entries, 2s left"},
		{time.Millisecond, 4, 4, "\r\x1b[K[==============================] 100 %  4 of 4 entries"},
		{time.Second, 0, 0, "\r\x1b[K[==============================] 100 %  0 of 0 entries"},
	} {
		out.Reset()
		now = now.Add(step.after)
		if b.show(step.done, step.total); out.String() != step.want {
			t.Errorf("%d of %d: %q, want %q", step.done, step.total, out.String(), step.want)
		}
	}
	out.Reset()
	if b.end(); out.String() != "\n" {
		t.Errorf("it ends with %q", out.String())
	}
	if isTerminal(&out) {
		t.Error("a text is a terminal")
	}
}

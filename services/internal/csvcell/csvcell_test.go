package csvcell

import (
	"encoding/csv"
	"strings"
	"testing"
)

func TestDefuse(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "",
		"txn_1":                "txn_1",
		"a=b":                  "a=b",
		"Dons manuels":         "Dons manuels",
		"=1+1":                 "'=1+1",
		"+33":                  "'+33",
		"-2":                   "'-2",
		"@SUM(A1)":             "'@SUM(A1)",
		"\t=1":                 "'\t=1",
		"\tplain":              "'\tplain",
		"\rplain":              "'\rplain",
		"  =1":                 "'  =1",
		"\u00a0\u200b\ufeff=1": "'\u00a0\u200b\ufeff=1",
		"＝1":                   "'＝1",
		"＠x":                   "'＠x",
		"'quoted'":             "''quoted'",
		"  plain":              "  plain",
	} {
		if got := defuse(text); got != want {
			t.Errorf("defuse(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestQuote(t *testing.T) {
	for text, want := range map[string]string{
		"plain":       "plain",
		"a,b":         `"a,b"`,
		"a;b":         `"a;b"`,
		`say "no"`:    `"say ""no"""`,
		"two\r\nrows": "\"two\r\nrows\"",
		" edge":       `" edge"`,
		"=a,b":        `"'=a,b"`,
		"l'été":       "l'été",
	} {
		if got := string(Append(nil, text)); got != want {
			t.Errorf("%q is written %s, want %s", text, got, want)
		}
	}
}

// FuzzCell writes a cell between two others and reads the line back: it is still one line of three
// cells, the cell is no formula, and one apostrophe less gives the text.
func FuzzCell(f *testing.F) {
	for _, seed := range []string{"", "plain", "=cmd|' /C calc'!A0", " \t\r\n=1", "'=1", `"`, `",=1`, "a\r\n-1", "\ufeff＝1", "\xff=", ";+1", "''", "\x00@"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		line := append(Append([]byte("before,"), text), ",after\r\n"...)
		records, err := csv.NewReader(strings.NewReader(string(line))).ReadAll()
		if err != nil || len(records) != 1 || len(records[0]) != 3 || records[0][0] != "before" || records[0][2] != "after" {
			t.Fatalf("%q is read as %q: %v", line, records, err)
		}
		cell := records[0][1]
		if strings.HasPrefix(cell, "\t") || strings.HasPrefix(cell, "\r") {
			t.Errorf("%q begins with a control", cell)
		}
		if visible := strings.TrimLeft(cell, " \t\r\n\v\f\u00a0\u200b\ufeff\u3000"); strings.ContainsAny(firstRune(visible), "=+-@＝＋－＠") {
			t.Errorf("%q is a formula", cell)
		}
		// Go's reader turns CRLF inside a cell into LF.
		if got, want := strings.TrimPrefix(cell, "'"), strings.ReplaceAll(text, "\r\n", "\n"); got != want {
			t.Errorf("%q comes back as %q", want, got)
		}
	})
}

func firstRune(text string) string {
	for _, r := range text {
		return string(r)
	}
	return ""
}

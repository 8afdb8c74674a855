package widget

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cagnotte/cagnotte/gateway/text"
	"github.com/cagnotte/cagnotte/gateway/text/texttest"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/money"
)

// maxWireBytes is the bar of the project: everything that the widget loads before the click.
const maxWireBytes = 12_000

func script() ([]byte, error) {
	catalogues, err := read()
	if err != nil {
		return nil, err
	}
	return assemble(catalogues)
}

func get(t *testing.T, header ...string) *http.Response {
	t.Helper()
	return getPath(t, StablePath, header...)
}

func getPath(t *testing.T, path string, header ...string) *http.Response {
	t.Helper()
	handler, err := New()
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Result()
}

func TestScript(t *testing.T) {
	t.Run("stays below 12 kB on the wire", func(t *testing.T) {
		response := get(t, "Accept-Encoding", "gzip, br")
		if got := response.Header.Get("Content-Encoding"); got != "gzip" {
			t.Fatalf("Content-Encoding is %q", got)
		}
		// A page shows the words of one language.
		for _, lang := range money.Languages() {
			said := getPath(t, SentencesPath(string(lang)), "Accept-Encoding", "gzip, br")
			weight := response.ContentLength + said.ContentLength
			t.Logf("%d bytes compressed, %d of them in %s", weight, said.ContentLength, lang)
			if response.ContentLength <= 0 || said.ContentLength <= 0 || weight > maxWireBytes {
				t.Errorf("it weighs %d bytes in %s, %d at most", weight, lang, maxWireBytes)
			}
		}
	})
	t.Run("is plain to whoever takes no gzip", func(t *testing.T) {
		for _, accepted := range []string{"", "br", "gzip;q=0", "gzip; q=0.0"} {
			if got := get(t, "Accept-Encoding", accepted).Header.Get("Content-Encoding"); got != "" {
				t.Errorf("%q got %q", accepted, got)
			}
		}
	})
	t.Run("any site may load it, and check its integrity", func(t *testing.T) {
		script, err := New()
		if err != nil {
			t.Fatal(err)
		}
		for path, policy := range map[string]string{StablePath: "max-age=300", script.VersionPath: "max-age=31536000, immutable"} {
			w := httptest.NewRecorder()
			script.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
			sum := sha512.Sum384(w.Body.Bytes())
			if got := "sha384-" + base64.StdEncoding.EncodeToString(sum[:]); got != script.Integrity {
				t.Errorf("%s: the integrity is %s, not %s", path, got, script.Integrity)
			}
			if h := w.Header(); !strings.Contains(h.Get("Cache-Control"), policy) || h.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s: %v", path, h)
			}
			if !script.Has(path) {
				t.Errorf("%s is not there", path)
			}
		}
		if script.Has(VersionPrefix + "AAAAAAAAAAAAAAAA.js") {
			t.Error("another version is there")
		}
	})
	t.Run("is not sent again when it has not changed", func(t *testing.T) {
		first := get(t, "Accept-Encoding", "gzip")
		again := get(t, "Accept-Encoding", "gzip", "If-None-Match", first.Header.Get("ETag"))
		if again.StatusCode != http.StatusNotModified {
			t.Errorf("got %d", again.StatusCode)
		}
	})
	t.Run("names no other server", func(t *testing.T) {
		script, err := script()
		if err != nil {
			t.Fatal(err)
		}
		if found := regexp.MustCompile(`https?://[a-z0-9]`).Find(script); found != nil {
			t.Errorf("it holds an address: %s", found)
		}
		for _, forbidden := range []string{"innerHTML", "localStorage", "sessionStorage", "cookie =", "eval("} {
			if bytes.Contains(script, []byte(forbidden)) {
				t.Errorf("it holds %s", forbidden)
			}
		}
	})
}

func TestDecimals(t *testing.T) {
	script, err := script()
	if err != nil {
		t.Fatal(err)
	}
	for name, decimals := range map[string]int{"NO_DECIMALS": 0, "THREE_DECIMALS": 3} {
		list := regexp.MustCompile(name + ` ?= ?"([A-Z ]+)"`).FindSubmatch(script)
		if list == nil {
			t.Fatalf("%s is not in the script", name)
		}
		listed := strings.Fields(string(list[1]))
		for a := 'A'; a <= 'Z'; a++ {
			for b := 'A'; b <= 'Z'; b++ {
				for c := 'A'; c <= 'Z'; c++ {
					code := money.Currency([]rune{a, b, c})
					want := code.Valid() && code.Exponent() == decimals
					if got := slices.Contains(listed, string(code)); got != want {
						t.Errorf("%s in %s: %v, package money says %v", code, name, got, want)
					}
				}
			}
		}
	}
}

func TestCatalogues(t *testing.T) {
	french := catalogue(t, "fr")
	used := regexp.MustCompile(`\{\w+\}`)
	for _, lang := range text.Languages {
		other := catalogue(t, lang)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(french)), slices.Sorted(maps.Keys(other))); diff != "" {
			t.Errorf("fr and %s have other keys:\n%s", lang, diff)
		}
		for key, said := range french {
			mine, theirs := used.FindAllString(said, -1), used.FindAllString(other[key], -1)
			slices.Sort(mine)
			slices.Sort(theirs)
			if !slices.Equal(mine, theirs) {
				t.Errorf("%s: fr has %v, %s has %v", key, mine, lang, theirs)
			}
			for _, wrong := range texttest.Punctuation(lang, other[key]) {
				t.Errorf("%s in %s has %s: %q", key, lang, wrong, other[key])
			}
		}
	}
	t.Run("each language is sent whole, with its locale", func(t *testing.T) {
		for _, lang := range text.Languages {
			response := getPath(t, SentencesPath(lang))
			var said map[string]any
			if err := json.NewDecoder(response.Body).Decode(&said); err != nil {
				t.Fatal(err)
			}
			if said["lang"] != lang || said["locale"] == "" || said["locale"] == nil || said["give"] != catalogue(t, lang)["give"] {
				t.Errorf("%s: %v", lang, said)
			}
			if _, own := said["months"]; own != slices.Contains([]string{"oc", "br"}, lang) {
				t.Errorf("%s has months: %v", lang, own)
			}
			if h := response.Header; h.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(h.Get("Cache-Control"), "max-age=300") {
				t.Errorf("%s: %v", lang, h)
			}
		}
	})
	t.Run("every sentence is used", func(t *testing.T) {
		script, err := script()
		if err != nil {
			t.Fatal(err)
		}
		for key := range french {
			// The ways to give without a card are said by the names that the API has for them.
			if _, way := treasuryv1.OfflineMethod_value[key]; way {
				continue
			}
			// Two are read without being said: the direction, and what the script has of each language.
			if key != "direction" && key != away && !bytes.Contains(script, []byte(`"`+key+`"`)) {
				t.Errorf("%s is said nowhere", key)
			}
		}
	})
}

func catalogue(t *testing.T, lang string) map[string]string {
	t.Helper()
	raw, err := files.ReadFile("strings." + lang + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var words map[string]string
	if err := json.Unmarshal(raw, &words); err != nil {
		t.Fatal(err)
	}
	return words
}

// A page can be in Arabic or Hebrew around the widget, and the public pages in any language: no rule may name a side.
func TestStylesNameNoSide(t *testing.T) {
	physical := regexp.MustCompile(`(^|[^-\w])(left|right|top|bottom|(min-|max-)?(width|height)|(margin|padding|border)-(left|right|top|bottom)[\w-]*|border-(top|bottom)-(left|right)-radius)\s*:|\b(text-align|float|clear)\s*:\s*(left|right)\b`)
	// Four values go round the clock: those of the two sides must be alike.
	round := regexp.MustCompile(`(?:^|[^-\w])(margin|padding|inset|border-width)\s*:\s*([^;}]+)`)
	media := regexp.MustCompile(`@[^{]*`)
	for _, path := range []string{"widget.css", "../pages/style.css", "../design/base.css", "../design/last.css"} {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		css := media.ReplaceAllString(regexp.MustCompile(`(?s)/\*.*?\*/`).ReplaceAllString(string(raw), ""), "")
		for _, found := range physical.FindAllString(css, -1) {
			if logical := regexp.MustCompile(`(min-|max-)?(width|height)`).MatchString(found); !logical || path == "widget.css" {
				t.Errorf("%s: %q", path, found)
			}
		}
		for _, found := range round.FindAllStringSubmatch(css, -1) {
			if sides := strings.Fields(found[2]); len(sides) == 4 && sides[1] != sides[3] && !strings.Contains(found[2], "(") {
				t.Errorf("%s: %q", path, found[0])
			}
		}
	}
}

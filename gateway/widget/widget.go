package widget

import (
	"bytes"
	"crypto/sha512"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/cagnotte/cagnotte/gateway/asset"
	"github.com/cagnotte/cagnotte/gateway/text"
	"github.com/cagnotte/cagnotte/services/money"
)

//go:embed widget.js words.js widget.css strings.*.json
var files embed.FS

// locales are those of browsers in which amounts and days of a language are written. Not all browsers know Occitan and Breton,
// whose amounts have the form of French: see package money.
var locales = map[money.Language]string{
	money.French:  "fr-FR",
	money.English: "en-GB",
	money.Occitan: "fr-FR",
	money.Breton:  "fr-FR",
	money.Spanish: "es-ES",
	money.German:  "de-DE",
}

// away is what the script itself says in each language.
const away = "errorLoad"

// StablePath is the address that always serves the current script.
const StablePath = "/widget.js"

// VersionPrefix begins the address of one version.
const VersionPrefix = "/widget/"

// Script is what other sites embed, at two addresses, and the sentences that it loads for the language of the page. It is an
// http.Handler of all, for GET and HEAD.
//
//	address                browsers keep it   after an upgrade of the service
//	/widget.js             five minutes       the new script
//	/widget/VERSION.js     a year             404, unless the script is the same
//	/widget/LANGUAGE.json  five minutes       the new sentences; a key keeps its meaning, for scripts that are kept
//
// A site that wants the integrity of the script checked can use the second only: the first changes under it. There, an
// older version is missing rather than redirected: its hash would refuse whatever else came, and the link inside the element
// shows either way.
type Script struct {
	// VersionPath is the address of this version.
	VersionPath string
	// Integrity is the value of the attribute, https://www.w3.org/TR/SRI/.
	Integrity         string
	stable, versioned *asset.Asset
	sentences         map[string]*asset.Asset
}

// New assembles the script, or returns an error when one of the embedded files is broken.
func New() (*Script, error) {
	catalogues, err := read()
	if err != nil {
		return nil, err
	}
	body, err := assemble(catalogues)
	if err != nil {
		return nil, err
	}
	const (
		contentType = "text/javascript; charset=utf-8"
		short       = "public, max-age=300, stale-while-revalidate=86400"
	)
	sum := sha512.Sum384(body)
	s := &Script{
		Integrity: "sha384-" + base64.StdEncoding.EncodeToString(sum[:]),
		stable:    asset.New(body, contentType, short),
		sentences: map[string]*asset.Asset{},
		versioned: asset.New(body, contentType, "public, max-age=31536000, immutable"),
	}
	for lang, said := range catalogues {
		raw, err := encode(sent(lang, said))
		if err != nil {
			return nil, err
		}
		s.sentences[SentencesPath(string(lang))] = asset.New(raw, "application/json; charset=utf-8", short)
	}
	s.VersionPath = VersionPrefix + s.versioned.Version() + ".js"
	return s, nil
}

// SentencesPath is the address of the sentences of a language.
func SentencesPath(lang string) string { return VersionPrefix + lang + ".json" }

// Has reports whether there is something at this path.
func (s *Script) Has(path string) bool {
	return path == StablePath || path == s.VersionPath || s.sentences[path] != nil
}

// ServeHTTP answers what is at each path that it has.
func (s *Script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Any site may load it, also one that isolates itself (Cross-Origin-Embedder-Policy). A browser checks the integrity of
	// what a page may read, and the script looks whether the service can be reached by reading itself.
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	if said := s.sentences[r.URL.Path]; said != nil {
		said.ServeHTTP(w, r)
		return
	}
	if r.URL.Path == s.VersionPath {
		s.versioned.ServeHTTP(w, r)
		return
	}
	s.stable.ServeHTTP(w, r)
}

// read returns the sentences of all languages.
func read() (map[money.Language]map[string]string, error) {
	all := map[money.Language]map[string]string{}
	for _, lang := range money.Languages() {
		raw, err := files.ReadFile("strings." + string(lang) + ".json")
		if err != nil {
			return nil, err
		}
		var sentences map[string]string
		if err := json.Unmarshal(raw, &sentences); err != nil {
			return nil, fmt.Errorf("widget: the catalogue %s: %w", lang, err)
		}
		all[lang] = sentences
	}
	return all, nil
}

// sent is what the script gets of a language: its sentences, but for the one that it has, and how days and amounts are written.
func sent(lang money.Language, sentences map[string]string) map[string]any {
	all := map[string]any{"lang": lang, "locale": locales[lang]}
	for key, said := range sentences {
		if key != away {
			all[key] = said
		}
	}
	// Where browsers have another language's months: the first of a month, then the months as they stand before a year.
	if !strings.HasPrefix(locales[lang], string(lang)+"-") {
		all["months"] = append([]string{text.FirstOfMonth(string(lang))}, text.Months(string(lang))...)
	}
	return all
}

// encode writes JSON. Escapes of characters that are safe in a script would weigh.
func encode(value any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("widget: %w", err)
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// assemble puts the other files into the script, in place of string literals, so that each source stays a valid file of its
// own kind.
func assemble(catalogues map[money.Language]map[string]string) ([]byte, error) {
	script, err := files.ReadFile("widget.js")
	if err != nil {
		return nil, err
	}
	words, err := files.ReadFile("words.js")
	if err != nil {
		return nil, err
	}
	style, err := files.ReadFile("widget.css")
	if err != nil {
		return nil, err
	}
	unread := map[money.Language]string{}
	for lang, sentences := range catalogues {
		unread[lang] = sentences[away]
	}
	sentences, err := encode(unread)
	if err != nil {
		return nil, err
	}
	// What a browser does not need is left out: see plain.
	css, err := encode(dense(plain(string(style))))
	if err != nil {
		return nil, err
	}
	script = []byte(tight(plain(string(script))))
	for _, part := range []struct {
		placeholder string
		value       []byte
	}{
		{`"{{css}}"`, css},
		{`"{{away}}"`, sentences},
		{`"{{words.js}}";`, []byte(tight(plain(string(words))))},
	} {
		if bytes.Count(script, []byte(part.placeholder)) != 1 {
			return nil, fmt.Errorf("widget: the script must hold %s once", part.placeholder)
		}
		script = bytes.Replace(script, []byte(part.placeholder), part.value, 1)
	}
	return script, nil
}

// plain leaves out indentation, empty lines, and comments that have lines of their own. No string of the sources spans lines.
func plain(source string) string {
	var b strings.Builder
	inside := false
	for line := range strings.Lines(source) {
		line = strings.TrimSpace(line)
		switch {
		case inside:
			inside = !strings.HasSuffix(line, "*/")
		case strings.HasPrefix(line, "/*"):
			inside = !strings.HasSuffix(line, "*/")
		case line != "" && !strings.HasPrefix(line, "//"):
			b.WriteString(line)
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// tight leaves out the spaces around the signs of a script. No string or expression of the sources has one of these in it.
func tight(script string) string {
	var pairs []string
	for _, sign := range []string{"=>", "=", "===", "!==", "&&", "||", "??", "?", ":", "+", "-", "*", "/", "<", ">", "<=", ">="} {
		pairs = append(pairs, " "+sign+" ", sign)
	}
	return strings.NewReplacer(append(pairs, ", ", ",", ": ", ":", "{ ", "{", " }", "}", ") {", "){", "if (", "if(", "for (", "for(")...).Replace(script)
}

var (
	cssSpace = regexp.MustCompile(`\s+`)
	cssSigns = regexp.MustCompile(` ?([{};,]) ?|(:) `)
)

// dense leaves out the spaces of a style sheet without strings.
func dense(css string) string {
	return strings.ReplaceAll(cssSigns.ReplaceAllString(cssSpace.ReplaceAllString(css, " "), "$1$2"), ";}", "}")
}

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
)

//go:embed widget.js words.js widget.css strings.*.json
var files embed.FS

// languages are the catalogues, French first: it is what an unknown language falls back to.
var languages = []string{"fr", "en"}

// StablePath is the address that always serves the current script.
const StablePath = "/widget.js"

// VersionPrefix begins the address of one version.
const VersionPrefix = "/widget/"

// Script is what other sites embed, at two addresses. It is an http.Handler of both, for GET and HEAD.
//
//	address              browsers keep it   after an upgrade of the service
//	/widget.js           five minutes       the new script
//	/widget/VERSION.js   a year             404, unless the script is the same
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
}

// New assembles the script, or returns an error when one of the embedded files is broken.
func New() (*Script, error) {
	body, err := assemble()
	if err != nil {
		return nil, err
	}
	const contentType = "text/javascript; charset=utf-8"
	sum := sha512.Sum384(body)
	s := &Script{
		Integrity: "sha384-" + base64.StdEncoding.EncodeToString(sum[:]),
		stable:    asset.New(body, contentType, "public, max-age=300, stale-while-revalidate=86400"),
		versioned: asset.New(body, contentType, "public, max-age=31536000, immutable"),
	}
	s.VersionPath = VersionPrefix + s.versioned.Version() + ".js"
	return s, nil
}

// Has reports whether the script is at this path.
func (s *Script) Has(path string) bool { return path == StablePath || path == s.VersionPath }

// ServeHTTP answers the script at each path that it has.
func (s *Script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Any site may load it, also one that isolates itself (Cross-Origin-Embedder-Policy). A browser checks the integrity of
	// what a page may read, and the script looks whether the service can be reached by reading itself.
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	if r.URL.Path == s.VersionPath {
		s.versioned.ServeHTTP(w, r)
		return
	}
	s.stable.ServeHTTP(w, r)
}

// assemble puts the other files into the script, in place of string literals, so that each source stays a valid file of its own kind.
func assemble() ([]byte, error) {
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
	catalogues := map[string]map[string]string{}
	for _, lang := range languages {
		raw, err := files.ReadFile("strings." + lang + ".json")
		if err != nil {
			return nil, err
		}
		var sentences map[string]string
		if err := json.Unmarshal(raw, &sentences); err != nil {
			return nil, fmt.Errorf("widget: the catalogue %s: %w", lang, err)
		}
		catalogues[lang] = sentences
	}
	// What a browser does not need is left out: see plain. Escapes of characters that are safe in a script would weigh, too.
	var sentences, css bytes.Buffer
	for buffer, value := range map[*bytes.Buffer]any{&sentences: catalogues, &css: dense(plain(string(style)))} {
		encoder := json.NewEncoder(buffer)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(value); err != nil {
			return nil, fmt.Errorf("widget: the catalogues or the style sheet: %w", err)
		}
	}
	script = []byte(tight(plain(string(script))))
	for _, part := range []struct {
		placeholder string
		value       []byte
	}{
		{`"{{css}}"`, bytes.TrimSpace(css.Bytes())},
		{`"{{strings}}"`, bytes.TrimSpace(sentences.Bytes())},
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

package widget

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/cagnotte/cagnotte/gateway/asset"
)

//go:embed widget.js words.js widget.css strings.*.json
var files embed.FS

// languages are the catalogues, French first: it is what an unknown language falls back to.
var languages = []string{"fr", "en"}

// Handler serves the script. Any site may load it; browsers ask again after five
// minutes, so that a new release of the service reaches every embedding page soon.
func Handler() (http.Handler, error) {
	script, err := assemble()
	if err != nil {
		return nil, err
	}
	file := asset.New(script, "text/javascript; charset=utf-8", "public, max-age=300, stale-while-revalidate=86400")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Host pages that isolate themselves (Cross-Origin-Embedder-Policy) may load it too.
		w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
		file.ServeHTTP(w, r)
	}), nil
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
	catalogues := map[string]json.RawMessage{}
	for _, lang := range languages {
		if catalogues[lang], err = files.ReadFile("strings." + lang + ".json"); err != nil {
			return nil, err
		}
	}
	sentences, err := json.Marshal(catalogues)
	if err != nil {
		return nil, fmt.Errorf("widget: the catalogues: %w", err)
	}
	css, err := json.Marshal(string(style))
	if err != nil {
		return nil, fmt.Errorf("widget: the style sheet: %w", err)
	}
	for _, part := range []struct {
		placeholder string
		value       []byte
	}{{`"{{css}}"`, css}, {`"{{strings}}"`, sentences}, {`"{{words.js}}";`, words}} {
		if bytes.Count(script, []byte(part.placeholder)) != 1 {
			return nil, fmt.Errorf("widget: the script must hold %s once", part.placeholder)
		}
		script = bytes.Replace(script, []byte(part.placeholder), part.value, 1)
	}
	return script, nil
}

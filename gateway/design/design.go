// Package design is the one look of all pages: variables of colour, light and dark, base elements, forced colours and print.
//
// A room with pages writes only what it has of its own, and serves it as one sheet with the base: [Sheet]. Colours are
// variables of base.css, so a room has none of its own. What the rooms share stands here once.
package design

import (
	_ "embed"
	"net/http"
	"slices"
	"strings"

	"github.com/cagnotte/cagnotte/gateway/asset"
)

//go:embed base.css
var base []byte

//go:embed last.css
var last []byte

//go:embed icon.svg
var icon []byte

// cacheForever is for addresses that name their content.
const cacheForever = "public, max-age=31536000, immutable"

// Sheet joins the base and a room's own rules. What forced colours and paper need comes last, so that it wins.
func Sheet(own []byte) []byte { return slices.Concat(base, own, last) }

// Icon returns the icon of the site, an SVG.
func Icon() []byte { return icon }

// Assets serves embedded files of all rooms at addresses that name their content. It is filled before it serves.
type Assets struct{ files map[string]http.Handler }

// NewAssets returns assets without a file.
func NewAssets() *Assets { return &Assets{files: map[string]http.Handler{}} }

// Add takes a file and returns its address: "console.js" is at /assets/console-HASH.js. A file that is there already keeps
// its address.
func (a *Assets) Add(name, contentType string, body []byte) (path string) {
	file := asset.New(body, contentType, cacheForever)
	stem, extension, _ := strings.Cut(name, ".")
	path = "/assets/" + stem + "-" + file.Version() + "." + extension
	a.files[path] = file
	return path
}

// Or returns the handler of /assets/, which passes what it does not have to another one.
func (a *Assets) Or(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file := a.files[r.URL.Path]
		if file == nil || r.Method != http.MethodGet && r.Method != http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		file.ServeHTTP(w, r)
	})
}

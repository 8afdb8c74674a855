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

// Serve routes a file at an address below /assets/ that names its content, and returns the address: "console.js" at
// /assets/console-HASH.js. Two rooms may serve one file on two muxes.
func Serve(mux *http.ServeMux, name, contentType string, body []byte) string {
	file := asset.New(body, contentType, cacheForever)
	stem, extension, _ := strings.Cut(name, ".")
	path := "/assets/" + stem + "-" + file.Version() + "." + extension
	mux.Handle("GET "+path, file)
	return path
}

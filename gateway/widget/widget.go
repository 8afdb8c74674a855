package widget

import (
	_ "embed"
	"net/http"

	"github.com/cagnotte/cagnotte/gateway/asset"
)

//go:embed widget.js
var script []byte

// Handler serves the script. Any site may load it; browsers ask again after five
// minutes, so that a new release of the service reaches every embedding page soon.
func Handler() http.Handler {
	file := asset.New(script, "text/javascript; charset=utf-8", "public, max-age=300, stale-while-revalidate=86400")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
		file.ServeHTTP(w, r)
	})
}

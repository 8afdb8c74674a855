package pages

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"

	"github.com/cagnotte/cagnotte/gateway/design"
)

//go:embed proof.js
var proofScript []byte

// proofPage is the page that checks a proof code in the browser. It is one file: a saved copy works without this service.
type proofPage struct {
	// Path is the page itself, in its language.
	Path   string
	Script template.JS
}

// whole is what a page carries in itself instead of loading it.
type whole struct {
	Style template.CSS
	// Policy goes with a saved copy, which has no headers. It names the style and the script by their hashes.
	Policy string
}

// proofSheet is the style of the page, as it stands in it.
var proofSheet = design.Sheet(ownStyle)

// proofPolicy lets the page do nothing but check: no request can leave it, the icon's apart.
var proofPolicy = "default-src 'none'; script-src " + hashSource(proofScript) + "; style-src " + hashSource(proofSheet) +
	"; img-src 'self'; form-action 'none'; base-uri 'none'"

// hashSource names content in a Content-Security-Policy.
func hashSource(content []byte) string {
	sum := sha256.Sum256(content)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// proofCheck serves the page. Nothing in it depends on who asks or on what is checked.
func (s *site) proofCheck(w http.ResponseWriter, r *http.Request) {
	p := s.begin(w, r)
	p.Title, p.Description = p.T("proof.title"), p.T("proof.lead")
	// Both are embedded files of ours.
	p.Whole = &whole{Style: template.CSS(proofSheet), Policy: proofPolicy}
	p.Content = proofPage{Path: "/proof?lang=" + p.Lang, Script: template.JS(proofScript)}
	s.share(p, "/proof")
	s.answer(w, r, http.StatusOK, "proof", p, cachePublic)
}

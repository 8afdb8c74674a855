package pages

import (
	"net/http"
	"strings"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
)

// locate leads from an address that names a donation alone to its page, or to that of the monthly donation that it began. The
// payment page and the mails of a collective that asks for discretion have such addresses, since whoever reads along in a
// mailbox must not learn the cause from them. The query, which holds the language or a link's token, goes on.
func (s *site) locate(w http.ResponseWriter, r *http.Request) {
	if !donationPattern.MatchString(r.PathValue("donation")) {
		s.missing(w, r)
		return
	}
	found, err := s.donations.LocateDonation(r.Context(), &donationsv1.LocateDonationRequest{Name: "instance/donations/" + r.PathValue("donation")})
	if err != nil {
		s.failed(w, r, err)
		return
	}
	name, _, _ := strings.Cut(found.GetName(), "/donations/")
	collective, campaign := slugs(name)
	to := "/c/" + collective + "/" + campaign + r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	w.Header().Set("Cache-Control", cacheNever)
	http.Redirect(w, r, to, http.StatusSeeOther)
}

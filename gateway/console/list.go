package console

import (
	"maps"
	"net/url"
	"slices"

	"github.com/cagnotte/cagnotte/gateway/text"
)

// pager leads through the pages of a list; the template "pages" shows it. All is in the address: the filters, and as
// `page`, once for each, the tokens of the pages that were passed since the first. The last one is this page's, so the one
// before it leads back. Services have no token of the page before.
type pager struct {
	*text.Words
	First, Previous, Next string
}

// maxTrail is how many tokens an address carries: one has some 100 characters. Of a longer way the oldest are left out,
// which an empty one in front says; from the oldest that is left only the first page is in reach.
const maxTrail = 10

// pager makes the links from the token of the next page. Give the token of this page with pageToken to the call.
func (v *visit) pager(next string) pager {
	p := pager{Words: v.Words}
	query := v.r.URL.Query()
	trail := query["page"]
	switch n := len(trail); {
	case n == 0 || trail[n-1] == "":
		trail = nil // this is the first page
	case n == 1:
		p.Previous = "?" + withPages(query, nil)
	default:
		p.First = "?" + withPages(query, nil)
		if trail[n-2] != "" {
			p.Previous = "?" + withPages(query, trail[:n-1])
		}
	}
	if next != "" {
		trail = append(slices.Clone(trail), next)
		if over := len(trail) - maxTrail; over > 0 {
			trail = append([]string{""}, trail[over+1:]...)
		}
		p.Next = "?" + withPages(query, trail)
	}
	return p
}

// pageToken is the page_token of a list's call.
func (v *visit) pageToken() string {
	if trail := v.r.URL.Query()["page"]; len(trail) > 0 {
		return trail[len(trail)-1]
	}
	return ""
}

// withPages encodes a query with another trail of pages.
func withPages(query url.Values, trail []string) string {
	query = maps.Clone(query)
	query.Del("done")
	query.Del("page")
	if len(trail) > 0 {
		query["page"] = trail
	}
	return query.Encode()
}

// confirmation is a page of its own before something that cannot be undone: it says what will happen.
type confirmation struct {
	// Lead says what is about to be done, Points what it does.
	Lead   string
	Points []string
	// Form is sent to its action; it can have fields, and carries the request's id.
	Form *form
	// Button is the label of the one that does it, and Danger colours it.
	Button string
	Danger bool
	// Back leads to where nothing was done.
	Back string
}

// confirm renders a confirmation; with status 422 when its form was refused.
func (v *visit) confirm(title string, c confirmation) error {
	if c.Form.failed() {
		return v.refuse("shell/confirmation", title, c)
	}
	return v.show("shell/confirmation", title, c)
}

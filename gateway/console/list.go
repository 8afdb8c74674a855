package console

import "github.com/cagnotte/cagnotte/gateway/text"

// pager leads through the pages of a list, whose filters stay in the address; the template "pages" shows it.
type pager struct {
	*text.Words
	First, Next string
}

// pager makes the links from the token of the next page. Give the token of this page with pageToken to the call.
func (v *visit) pager(next string) pager {
	p := pager{Words: v.Words}
	query := v.r.URL.Query()
	if query.Get("page") != "" {
		p.First = "?" + withQuery(query, "page", "")
	}
	if next != "" {
		p.Next = "?" + withQuery(query, "page", next)
	}
	return p
}

// pageToken is the page_token of a list's call.
func (v *visit) pageToken() string { return v.r.URL.Query().Get("page") }

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

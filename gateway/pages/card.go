package pages

import "github.com/cagnotte/cagnotte/gateway/text"

// cardField is what the template of a campaign in a list gets. Whose says that the list has campaigns of many collectives.
type cardField struct {
	*text.Words
	Campaign campaignView
	Whose    bool
	Query    string
}

// Card joins the page's words and a campaign.
func (p *page) Card(c campaignView, whose bool) cardField {
	return cardField{p.Words, c, whose, p.Query}
}

// followField is what the template of the feed's address gets.
type followField struct {
	*text.Words
	Feed string
}

// Following joins the page's words and the address of a feed.
func (p *page) Following(feed string) followField { return followField{p.Words, feed} }

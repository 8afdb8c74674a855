package pages

import (
	"github.com/cagnotte/cagnotte/gateway/text"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

// eventView is when and where a campaign takes place.
type eventView struct {
	// Start is the day for programs, with the time where it is known; When is the same for people.
	Start, When string
	Place       string
}

// newEventView is nil for a campaign that is no event.
func newEventView(w *text.Words, c *campaignsv1.Campaign) *eventView {
	e := c.GetEvent()
	if e == nil {
		return nil
	}
	v := &eventView{Start: e.GetDate(), When: w.Day(e.GetDate()), Place: e.GetPlace()}
	if e.GetTime() != "" {
		v.Start, v.When = v.Start+"T"+e.GetTime(), w.T("event.at", "day", v.When, "time", e.GetTime())
	}
	return v
}

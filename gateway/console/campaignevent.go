package console

import (
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

// eventFields say when and where a campaign takes place. All empty: the campaign is no event.
func eventFields() []field {
	return []field{
		{Name: "etag", Kind: "hidden"},
		{Name: "date", Label: "campaigns.event.date", Kind: "day", Path: "campaign.event.date"},
		{Name: "time", Label: "campaigns.event.time", Hint: "campaigns.event.timeHint", Max: 5, Path: "campaign.event.time"},
		{Name: "place", Label: "campaigns.event.place", Hint: "campaigns.event.placeHint", Max: 200, Spellcheck: true, Path: "campaign.event.place"},
	}
}

func campaignsEventForm(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	e := c.GetEvent()
	return campaignsShowEvent(v, c, v.newForm(eventFields(), "etag", c.GetEtag(), "date", e.GetDate(), "time", e.GetTime(), "place", e.GetPlace()), nil)
}

func campaignsShowEvent(v *visit, c *campaignsv1.Campaign, f *form, refusal error) error {
	p := newCampaignPage(v, c, "event", f)
	p.Lead = v.T("campaigns.event.lead")
	return showChange(v, "campaigns/form", c.GetEtag(), p, refusal)
}

func campaignsEvent(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(eventFields())
	if err != nil {
		return err
	}
	var event *campaignsv1.Event
	if f.Filled() {
		event = &campaignsv1.Event{Date: f.Value("date"), Time: f.Value("time"), Place: f.Value("place")}
		for name, message := range map[string]string{"date": "campaigns.event.dateMissing", "place": "campaigns.event.placeMissing"} {
			if f.Value(name) == "" {
				f.fail(name, v.T(message))
			}
		}
	}
	if f.failed() {
		return campaignsShowEvent(v, c, f, nil)
	}
	// The mask names the event, so none takes the stored one away.
	err = updateCampaign(v, &campaignsv1.Campaign{Name: c.GetName(), Etag: etagOf(f), Event: event}, "event")
	if err == nil {
		return v.done("campaigns.saved", campaignPath(v, c)+"/event")
	}
	if !f.refused(v, err) {
		return err
	}
	return campaignsShowEvent(v, c, f, err)
}

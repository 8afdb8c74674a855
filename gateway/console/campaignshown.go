package console

import (
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

// shownFields are what a member may show of a campaign. Whether expenses are shown is the owner's to say, since editors do not
// read the books.
func shownFields(v *visit) []field {
	fields := []field{
		{Name: "etag", Kind: "hidden"},
		{Name: "listed", Label: "campaigns.shown.listed", Hint: "campaigns.shown.listedHint", Kind: "checkbox", Path: "campaign.listed"},
		{Name: "donations", Label: "campaigns.shown.donations", Hint: "campaigns.shown.donationsHint", Kind: "checkbox", Path: "campaign.donations_shown"},
	}
	if v.can(owner) {
		fields = append(fields, field{
			Name: "expenses", Label: "campaigns.shown.expenses", Hint: "campaigns.shown.expensesHint", Kind: "checkbox", Path: "campaign.expenses_shown",
		})
	}
	return fields
}

func campaignsShownForm(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	f := v.newForm(shownFields(v), "etag", c.GetEtag())
	for name, on := range map[string]bool{"listed": c.GetListed(), "expenses": c.GetExpensesShown(), "donations": c.GetDonationsShown()} {
		if on {
			f.set(name, "yes")
		}
	}
	return campaignsShowShown(v, c, f, nil)
}

func campaignsShowShown(v *visit, c *campaignsv1.Campaign, f *form, refusal error) error {
	p := newCampaignPage(v, c, "shown", f)
	p.Lead = v.T("campaigns.shown.lead")
	return showChange(v, "campaigns/form", c.GetEtag(), p, refusal)
}

func campaignsShown(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(shownFields(v))
	if err != nil {
		return err
	}
	paths := []string{"listed", "donations_shown"}
	if v.can(owner) {
		paths = append(paths, "expenses_shown")
	}
	err = updateCampaign(v, &campaignsv1.Campaign{
		Name: c.GetName(), Etag: etagOf(f), Listed: f.Checked("listed"), DonationsShown: f.Checked("donations"), ExpensesShown: f.Checked("expenses"),
	}, paths...)
	if err == nil {
		return v.done("campaigns.saved", campaignPath(v, c)+"/shown")
	}
	if !f.refused(v, err) {
		return err
	}
	return campaignsShowShown(v, c, f, err)
}

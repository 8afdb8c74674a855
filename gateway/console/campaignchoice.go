package console

import (
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

// The collective's campaigns as other pages need them: to choose from, by their titles, and for their currency.

// allCampaigns are the collective's campaigns, at most 200. They are asked for once a visit.
func (v *visit) allCampaigns() ([]*campaignsv1.Campaign, error) {
	if v.listed == nil {
		list, err := v.campaigns().ListCampaigns(v.ctx(), &campaignsv1.ListCampaignsRequest{Parent: v.collective, PageSize: 200})
		if err != nil {
			return nil, err
		}
		v.listed = list
	}
	return v.listed.GetCampaigns(), nil
}

// campaignOptions are the collective's campaigns for a field; none is the text for no campaign.
func campaignOptions(v *visit, none string) ([]option, error) {
	all, err := v.allCampaigns()
	if err != nil {
		return nil, err
	}
	options := []option{{Value: "", Label: none}}
	for _, c := range all {
		options = append(options, option{Value: c.GetName(), Label: campaignTitle(v, c)})
	}
	return options, nil
}

// campaignTitles are the titles of the collective's campaigns, by their names.
func campaignTitles(v *visit) (map[string]string, error) {
	all, err := v.allCampaigns()
	if err != nil {
		return nil, err
	}
	titles := map[string]string{}
	for _, c := range all {
		titles[c.GetName()] = campaignTitle(v, c)
	}
	return titles, nil
}

// titleOf is a campaign's title, or the last part of its name.
func titleOf(titles map[string]string, campaign string) string {
	if title := titles[campaign]; title != "" {
		return title
	}
	return lastOf(campaign)
}

// campaignTitle is a campaign's title in the reader's language, else in French, else the last part of its name.
func campaignTitle(v *visit, c *campaignsv1.Campaign) string {
	for _, lang := range []string{v.Lang, "fr", "en"} {
		if title := c.GetTexts()[lang].GetTitle(); title != "" {
			return title
		}
	}
	return lastOf(c.GetName())
}

// currencyOf is the currency in which an amount is typed: that of the campaign which is named, else the one of the
// collective's campaigns, of which the newest comes first; euros before there is one.
func currencyOf(v *visit, campaign string) string {
	all, _ := v.allCampaigns() // without an answer the service refuses another currency
	for _, c := range all {
		if c.GetName() == campaign {
			return c.GetGoal().GetCurrencyCode()
		}
	}
	if len(all) > 0 {
		return all[0].GetGoal().GetCurrencyCode()
	}
	return "EUR"
}

// currencySymbol is the symbol that stands behind an amount; empty while the campaigns have several currencies.
func currencySymbol(v *visit) string {
	all, _ := v.allCampaigns()
	for _, c := range all {
		if c.GetGoal().GetCurrencyCode() != currencyOf(v, "") {
			return ""
		}
	}
	return v.CurrencySymbol(currencyOf(v, ""))
}

package console

import (
	"net/url"
	"slices"
	"strings"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

var siteFields = []field{
	{Name: "etag", Kind: "hidden"},
	{Name: "sites", Label: "campaigns.sites.label", Hint: "campaigns.sites.hint", Kind: "textarea", Max: 15_000, Rows: 6, Path: "campaign.allowed_origins"},
}

func campaignsSitesForm(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	return campaignsShowSites(v, c, v.newForm(siteFields, "etag", c.GetEtag(), "sites", strings.Join(c.GetAllowedOrigins(), "\n")), nil)
}

func campaignsShowSites(v *visit, c *campaignsv1.Campaign, f *form, refusal error) error {
	p := newCampaignPage(v, c, "sites", f)
	p.Lead = v.T("campaigns.sites.lead")
	return showChange(v, "campaigns/form", c.GetEtag(), p, refusal)
}

// originOf is the origin of an address that was pasted whole, or the text as it is.
func originOf(typed string) string {
	u, err := url.Parse(typed)
	if err != nil || u.Host == "" {
		return typed
	}
	return u.Scheme + "://" + u.Host
}

func campaignsSites(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(siteFields)
	if err != nil {
		return err
	}
	var origins []string
	for _, typed := range strings.Fields(f.Value("sites")) {
		if origin := originOf(typed); !slices.Contains(origins, origin) {
			origins = append(origins, origin)
		}
	}
	err = updateCampaign(v, &campaignsv1.Campaign{Name: c.GetName(), Etag: etagOf(f), AllowedOrigins: origins}, "allowed_origins")
	switch {
	case err == nil:
		return v.done("campaigns.saved", campaignPath(v, c)+"/sites")
	case reasonOf(err) == "INVALID_FIELD":
		f.fail("sites", v.T("campaigns.sites.wrong"))
	case !f.refused(v, err):
		return err
	}
	return campaignsShowSites(v, c, f, err)
}

package console

import (
	"strconv"
	"strings"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

var idFields = []field{
	{Name: "etag", Kind: "hidden"},
	{Name: "id", Label: "campaigns.id", Hint: "campaigns.idHint", Required: true, Max: 40, Mono: true, Path: "campaign_id"},
}

// campaignsShowID shows the form that copies or renames.
func campaignsShowID(v *visit, c *campaignsv1.Campaign, f *form, verb string) error {
	p := newCampaignPage(v, c, "none", f)
	p.Heading, p.Cancel = v.T("campaigns.title."+verb), p.Path
	p.Lead, p.Button = v.T("campaigns.lead."+verb, "title", p.Title), v.T("campaigns.action."+verb)
	if f.failed() {
		return v.refuse("campaigns/form", p.Title, p)
	}
	return v.show("campaigns/form", p.Title, p)
}

func campaignsIDForm(v *visit, verb, id string) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	return campaignsShowID(v, c, v.newForm(idFields, "etag", c.GetEtag(), "id", id), verb)
}

// campaignsSendID does what the form of an id asks for.
func campaignsSendID(v *visit, verb, done string, call func(c *campaignsv1.Campaign, f *form) (*campaignsv1.Campaign, error)) error {
	f, err := v.readForm(idFields)
	if err != nil {
		return err
	}
	c, err := campaignOf(v)
	if isNotFound(err) && verb == "rename" {
		// Sent twice, the second finds the campaign at its new name.
		if c, err := v.campaigns().GetCampaign(v.ctx(), &campaignsv1.GetCampaignRequest{Name: v.collective + "/campaigns/" + f.Value("id")}); err == nil {
			return v.done("campaigns."+done, campaignPath(v, c))
		}
	}
	if err != nil {
		return err
	}
	if f.failed() {
		return campaignsShowID(v, c, f, verb)
	}
	changed, err := call(c, f)
	switch {
	case err == nil:
		return v.done("campaigns."+done, campaignPath(v, changed))
	case reasonOf(err) == "CAMPAIGN_EXISTS":
		f.fail("id", v.T("campaigns.idTaken"))
	case !f.refused(v, err):
		return err
	}
	return campaignsShowID(v, c, f, verb)
}

func campaignsCopyForm(v *visit) error {
	return campaignsIDForm(v, "copy", nextID(v.r.PathValue("campaign")))
}

// nextID proposes the id of a copy: "avocate-2" for "avocate", and "avocate-3" for that.
func nextID(id string) string {
	base, n := id, 1
	if at := strings.LastIndexByte(id, '-'); at > 0 {
		if had, err := strconv.Atoi(id[at+1:]); err == nil && had > 0 && had < 999 {
			base, n = id[:at], had
		}
	}
	end := "-" + strconv.Itoa(n+1)
	return strings.TrimRight(base[:min(len(base), 40-len(end))], "-") + end
}

func campaignsCopy(v *visit) error {
	return campaignsSendID(v, "copy", "copied", func(c *campaignsv1.Campaign, f *form) (*campaignsv1.Campaign, error) {
		return v.campaigns().CopyCampaign(v.ctx(), &campaignsv1.CopyCampaignRequest{Name: c.GetName(), CampaignId: f.Value("id")})
	})
}

func campaignsRenameForm(v *visit) error {
	return campaignsIDForm(v, "rename", v.r.PathValue("campaign"))
}

func campaignsRename(v *visit) error {
	return campaignsSendID(v, "rename", "renamed", func(c *campaignsv1.Campaign, f *form) (*campaignsv1.Campaign, error) {
		return v.campaigns().RenameCampaign(v.ctx(), &campaignsv1.RenameCampaignRequest{Name: c.GetName(), CampaignId: f.Value("id"), Etag: etagOf(f)})
	})
}

var deleteFields = []field{{Name: "etag", Kind: "hidden"}}

func campaignsDeleteForm(v *visit) error { return confirmDelete(v, v.newForm(deleteFields)) }

// confirmDelete asks before the draft that it names is deleted, as it is then.
func confirmDelete(v *visit, f *form) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	f.set("etag", c.GetEtag())
	return confirmVerb(v, f, "delete", true, v.T("campaigns.point.delete"), v.T("campaigns.point.deleteForever"))
}

func campaignsDelete(v *visit) error {
	f, err := v.readForm(deleteFields)
	if err != nil {
		return err
	}
	_, err = v.campaigns().DeleteCampaign(v.ctx(), &campaignsv1.DeleteCampaignRequest{Name: campaignName(v), Etag: f.Value("etag")})
	// It is gone when the form is sent twice.
	if err == nil || isNotFound(err) {
		return v.done("campaigns.deleted", v.path("/campaigns"))
	}
	if !f.refused(v, err) {
		return err
	}
	return confirmDelete(v, f)
}

package console

import (
	"slices"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
)

// campaignVerb does one of the verbs, which have the same form, and leads back to the campaign.
func campaignVerb(v *visit, done string, confirm func(*visit, *form) error, verb func(name string) error) error {
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	err = verb(campaignName(v))
	if err == nil {
		return v.done("campaigns."+done, v.path("/campaigns/"+v.r.PathValue("campaign")))
	}
	if !f.refused(v, err) {
		return err
	}
	return confirm(v, f)
}

// campaignsPublish publishes what the checklist showed. Whatever is refused, the checklist says why as it is now.
func campaignsPublish(v *visit) error {
	f, err := v.readForm(publishFields)
	if err != nil {
		return err
	}
	if _, err = v.campaigns().PublishCampaign(v.ctx(), &campaignsv1.PublishCampaignRequest{Name: campaignName(v), Etag: f.Value("etag")}); err == nil {
		return v.done("campaigns.published", v.path("/campaigns/"+v.r.PathValue("campaign")))
	}
	if !f.refused(v, err) {
		return err
	}
	if changed(err) {
		f.Message = v.T("campaigns.changedPublish")
	}
	return campaignsShowChecklist(v, f)
}

// monthlyOf says how many monthly donations of a campaign go on; empty when that is not known.
func monthlyOf(v *visit, campaign string) string {
	list, err := recurringv1.NewRecurringServiceClient(v.Conn).ListRecurringDonations(v.ctx(), &recurringv1.ListRecurringDonationsRequest{
		Parent: campaign, PageSize: 200,
		States: []recurringv1.RecurringDonationState{
			recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_ACTIVE, recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_PAST_DUE,
		},
	})
	switch {
	case err != nil:
		return ""
	case list.GetNextPageToken() != "":
		return v.T("campaigns.monthlyMany")
	}
	return v.N("campaigns.monthlyN", int64(len(list.GetRecurringDonations())))
}

// confirmVerb is the page before a verb: points say what it does.
func confirmVerb(v *visit, f *form, verb string, danger bool, points ...string) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	points = slices.DeleteFunc(points, func(p string) bool { return p == "" })
	return v.confirm(v.T("campaigns.title."+verb), confirmation{
		Lead: v.T("campaigns.lead."+verb, "title", campaignTitle(v, c)), Points: points, Form: f, Danger: danger,
		Button: v.T("campaigns.action." + verb), Back: campaignPath(v, c),
	})
}

func campaignsPauseForm(v *visit) error { return confirmPause(v, v.newForm(nil)) }

func confirmPause(v *visit, f *form) error {
	return confirmVerb(v, f, "pause", false, v.T("campaigns.point.pauseStops"), v.T("campaigns.point.pausePage"), v.T("campaigns.point.pauseMonthly"), monthlyOf(v, campaignName(v)))
}

func campaignsPause(v *visit) error {
	return campaignVerb(v, "paused", confirmPause, func(name string) error {
		_, err := v.campaigns().PauseCampaign(v.ctx(), &campaignsv1.PauseCampaignRequest{Name: name})
		return err
	})
}

func campaignsResumeForm(v *visit) error { return confirmResume(v, v.newForm(nil)) }

func confirmResume(v *visit, f *form) error {
	return confirmVerb(v, f, "resume", false, v.T("campaigns.point.resume"))
}

func campaignsResume(v *visit) error {
	return campaignVerb(v, "resumed", confirmResume, func(name string) error {
		_, err := v.campaigns().ResumeCampaign(v.ctx(), &campaignsv1.ResumeCampaignRequest{Name: name})
		return err
	})
}

func campaignsCloseForm(v *visit) error { return confirmClose(v, v.newForm(nil)) }

func confirmClose(v *visit, f *form) error {
	return confirmVerb(v, f, "close", true, v.T("campaigns.point.closeEnds"), v.T("campaigns.point.closePage"), v.T("campaigns.point.closeMonthly"), monthlyOf(v, campaignName(v)))
}

func campaignsClose(v *visit) error {
	return campaignVerb(v, "closed", confirmClose, func(name string) error {
		_, err := v.campaigns().CloseCampaign(v.ctx(), &campaignsv1.CloseCampaignRequest{Name: name})
		return err
	})
}

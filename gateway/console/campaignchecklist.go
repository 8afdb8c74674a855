package console

import (
	"strings"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

// checklistPage is what is ready and what is missing.
type checklistPage struct {
	Items []checklistItem
	// Publish is empty when it cannot be published now.
	Publish string
	Draft   bool
}

type checklistItem struct {
	Label, Text, Tone, Badge, Path, Fix string
}

// fixes are where each subject is put right, below the collective's pages; {campaign} is the campaign's.
var fixes = map[campaignsv1.ChecklistSubject]string{
	campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_STRIPE:       "/settings/stripe",
	campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_GOAL:         "{campaign}/amounts",
	campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_STORY:        "{campaign}/texts",
	campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_IMAGE:        "{campaign}/image",
	campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_LEGAL_NOTICE: "/settings/identity",
	campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_CONTACT:      "/settings/identity",
	campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_DEADLINE:     "{campaign}/amounts",
	campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_THANK_YOU:    "{campaign}/texts",
	campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_TAX_RECEIPT:  "{campaign}/texts",
	campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_PENALTIES:    "{campaign}/texts",
}

// publishFields have the version of a draft that was looked at.
var publishFields = []field{{Name: "etag", Kind: "hidden"}}

func campaignsChecklist(v *visit) error { return campaignsShowChecklist(v, v.newForm(publishFields)) }

// campaignsShowChecklist shows the campaign as it is now; the form publishes just that.
func campaignsShowChecklist(v *visit, f *form) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	list, err := v.campaigns().GetPublishChecklist(v.ctx(), &campaignsv1.GetPublishChecklistRequest{Name: c.GetName() + "/publishChecklist"})
	if err != nil {
		return err
	}
	f.set("etag", c.GetEtag())
	p := newCampaignPage(v, c, "checklist", f)
	content := checklistPage{Draft: isDraft(c)}
	for _, item := range list.GetItems() {
		key := "campaigns.check." + strings.TrimPrefix(item.GetSubject().String(), "CHECKLIST_SUBJECT_")
		shown := checklistItem{Label: v.T(key), Tone: "good", Badge: v.T("campaigns.check.ready")}
		switch item.GetState() {
		case campaignsv1.ChecklistState_CHECKLIST_STATE_MISSING:
			shown.Tone, shown.Badge, shown.Text = "warn", v.T("campaigns.check.missing"), v.T(key+".missing")
			if item.GetBlocking() {
				shown.Tone, shown.Badge = "bad", v.T("campaigns.check.blocking")
				if item.GetSubject() == campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_STRIPE {
					shown.Text = v.T(key + ".blocking")
				}
			}
		case campaignsv1.ChecklistState_CHECKLIST_STATE_WARNING:
			shown.Tone, shown.Badge, shown.Text = "warn", v.T("campaigns.check.warning"), v.T(key+".missing", "words", item.GetExcerpt())
		}
		if item.GetLanguage() != "" {
			shown.Label += " (" + v.T("campaigns.language."+item.GetLanguage()) + ")"
		}
		if fix := fixes[item.GetSubject()]; fix != "" && item.GetState() != campaignsv1.ChecklistState_CHECKLIST_STATE_READY && v.can(writers...) {
			shown.Path, shown.Fix = v.path(fix), v.T("campaigns.check.fix")
			if below, ok := strings.CutPrefix(fix, "{campaign}"); ok {
				shown.Path = p.Path + below
			}
		}
		content.Items = append(content.Items, shown)
	}
	if list.GetPublishable() && v.can(writers...) {
		content.Publish = p.Path + "/publish"
	}
	p.Content = content
	if f.failed() {
		return v.refuse("campaigns/checklist", p.Title, p)
	}
	return v.show("campaigns/checklist", p.Title, p)
}

package campaigns

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

func (s *server) CopyCampaign(ctx context.Context, req *campaignsv1.CopyCampaignRequest) (*campaignsv1.Campaign, error) {
	name, err := ParseName(req.GetName())
	if err != nil {
		return nil, err
	}
	c, err := s.service.Copy(ctx, name, Name{Collective: name.Collective, Campaign: req.GetCampaignId()})
	return s.answer(ctx, c, err)
}

func (s *server) RenameCampaign(ctx context.Context, req *campaignsv1.RenameCampaignRequest) (*campaignsv1.Campaign, error) {
	name, err := ParseName(req.GetName())
	if err != nil {
		return nil, err
	}
	c, err := s.service.Rename(ctx, name, req.GetCampaignId(), req.GetEtag())
	return s.answer(ctx, c, err)
}

func (s *server) DeleteCampaign(ctx context.Context, req *campaignsv1.DeleteCampaignRequest) (*emptypb.Empty, error) {
	name, err := ParseName(req.GetName())
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, s.service.Delete(ctx, name, req.GetEtag())
}

// checklistSuffix ends the name of a campaign's checklist.
const checklistSuffix = "/publishChecklist"

func (s *server) GetPublishChecklist(ctx context.Context, req *campaignsv1.GetPublishChecklistRequest) (*campaignsv1.PublishChecklist, error) {
	parent, ok := strings.CutSuffix(req.GetName(), checklistSuffix)
	name, err := ParseName(parent)
	if !ok || err != nil {
		return nil, errs.NotFound(req.GetName())
	}
	items, publishable, err := s.service.Checklist(ctx, name)
	if err != nil {
		return nil, err
	}
	p := &campaignsv1.PublishChecklist{Name: req.GetName(), Publishable: publishable}
	for _, item := range items {
		p.Items = append(p.Items, &campaignsv1.ChecklistItem{
			Subject: subjectToProto[item.Subject], State: itemStateToProto[item.State], Blocking: item.Blocking,
			Language: item.Language, Excerpt: item.Excerpt,
		})
	}
	return p, nil
}

var subjectToProto = map[Subject]campaignsv1.ChecklistSubject{
	SubjectStripe:      campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_STRIPE,
	SubjectGoal:        campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_GOAL,
	SubjectStory:       campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_STORY,
	SubjectImage:       campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_IMAGE,
	SubjectDeadline:    campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_DEADLINE,
	SubjectLegalNotice: campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_LEGAL_NOTICE,
	SubjectContact:     campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_CONTACT,
	SubjectThankYou:    campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_THANK_YOU,
	SubjectTaxReceipt:  campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_TAX_RECEIPT,
	SubjectPenalties:   campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_PENALTIES,
	SubjectDeclaration: campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_DECLARATION,
}

var itemStateToProto = map[ItemState]campaignsv1.ChecklistState{
	ItemReady:   campaignsv1.ChecklistState_CHECKLIST_STATE_READY,
	ItemMissing: campaignsv1.ChecklistState_CHECKLIST_STATE_MISSING,
	ItemWarning: campaignsv1.ChecklistState_CHECKLIST_STATE_WARNING,
}

func (s *server) ListRefusedOrigins(ctx context.Context, req *campaignsv1.ListRefusedOriginsRequest) (*campaignsv1.ListRefusedOriginsResponse, error) {
	campaign, err := ParseName(req.GetParent())
	if err != nil {
		return nil, err
	}
	first := refusedPosition{LastTime: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
	found, next, err := page.List(req, req.GetParent()+"/refusedOrigins", first, func(before refusedPosition, count int) ([]RefusedOrigin, error) {
		return s.service.listRefused(ctx, campaign, before, count)
	}, func(o RefusedOrigin) refusedPosition { return refusedPosition{o.LastTime, o.Origin} })
	if err != nil {
		return nil, err
	}
	resp := &campaignsv1.ListRefusedOriginsResponse{NextPageToken: next}
	for _, o := range found {
		resp.RefusedOrigins = append(resp.RefusedOrigins, &campaignsv1.RefusedOrigin{
			Origin: o.Origin, Count: o.Count, FirstTime: wire.Time(o.FirstTime), LastTime: wire.Time(o.LastTime), Allowable: o.Allowable(),
		})
	}
	return resp, nil
}

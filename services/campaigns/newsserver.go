package campaigns

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/emptypb"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fieldmask"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

type newsServer struct {
	campaignsv1.UnimplementedNewsServiceServer
	service *Service
}

// NewNewsServer returns the service of news as gRPC.
func NewNewsServer(s *Service) campaignsv1.NewsServiceServer { return &newsServer{service: s} }

// CreateNewsItem ignores the output-only fields of the item that is sent.
func (s *newsServer) CreateNewsItem(ctx context.Context, req *campaignsv1.CreateNewsItemRequest) (*campaignsv1.NewsItem, error) {
	campaign, err := ParseName(req.GetParent())
	if err != nil {
		return nil, err
	}
	requestID, err := uuid.Parse(req.GetRequestId())
	if err != nil {
		return nil, errs.Invalid("request_id", "must be a UUID")
	}
	return answerNews(s.service.CreateNewsItem(ctx, campaign, newsFromProto(req.GetNewsItem()), requestID))
}

// GetNewsItem answers NOT_FOUND for what is not public and of whose collective the caller is no member.
func (s *newsServer) GetNewsItem(ctx context.Context, req *campaignsv1.GetNewsItemRequest) (*campaignsv1.NewsItem, error) {
	campaign, id, err := parseNewsName(req.GetName())
	if err != nil {
		return nil, err
	}
	return answerNews(s.service.NewsItem(ctx, campaign, id, isMember(ctx, campaign.Collective)))
}

// ListNewsItems lists drafts and withdrawn items for members only. A member's page token does not continue a public list.
func (s *newsServer) ListNewsItems(ctx context.Context, req *campaignsv1.ListNewsItemsRequest) (*campaignsv1.ListNewsItemsResponse, error) {
	campaign, err := ParseName(req.GetParent())
	if err != nil {
		return nil, err
	}
	member := isMember(ctx, campaign.Collective)
	first := newsPosition{Time: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
	found, next, err := page.List(req, listFilter{Parent: req.GetParent() + "/news", Drafts: member}, first,
		func(before newsPosition, count int) ([]NewsItem, error) {
			return s.service.listNews(ctx, campaign, member, before, count)
		}, func(n NewsItem) newsPosition { return newsPosition{n.time(), n.ID} })
	if err != nil {
		return nil, err
	}
	resp := &campaignsv1.ListNewsItemsResponse{NextPageToken: next}
	for _, n := range found {
		resp.NewsItems = append(resp.NewsItems, newsToProto(n))
	}
	return resp, nil
}

// UpdateNewsItem applies the mask to the stored texts under the row's lock.
func (s *newsServer) UpdateNewsItem(ctx context.Context, req *campaignsv1.UpdateNewsItemRequest) (*campaignsv1.NewsItem, error) {
	sent := req.GetNewsItem()
	campaign, id, err := parseNewsName(sent.GetName())
	if err != nil {
		return nil, err
	}
	return answerNews(s.service.UpdateNewsItem(ctx, campaign, id, sent.GetEtag(), func(texts map[string]NewsText) (map[string]NewsText, error) {
		merged := newsToProto(NewsItem{Texts: texts})
		if err := fieldmask.Apply(merged, sent, req.GetUpdateMask(), "texts"); err != nil {
			return nil, err
		}
		return newsFromProto(merged), nil
	}))
}

func (s *newsServer) PublishNewsItem(ctx context.Context, req *campaignsv1.PublishNewsItemRequest) (*campaignsv1.NewsItem, error) {
	campaign, id, err := parseNewsName(req.GetName())
	if err != nil {
		return nil, err
	}
	return answerNews(s.service.PublishNewsItem(ctx, campaign, id, req.GetEtag()))
}

func (s *newsServer) WithdrawNewsItem(ctx context.Context, req *campaignsv1.WithdrawNewsItemRequest) (*campaignsv1.NewsItem, error) {
	campaign, id, err := parseNewsName(req.GetName())
	if err != nil {
		return nil, err
	}
	return answerNews(s.service.WithdrawNewsItem(ctx, campaign, id))
}

func (s *newsServer) DeleteNewsItem(ctx context.Context, req *campaignsv1.DeleteNewsItemRequest) (*emptypb.Empty, error) {
	campaign, id, err := parseNewsName(req.GetName())
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, s.service.DeleteNewsItem(ctx, campaign, id, req.GetEtag())
}

// parseNewsName reads `collectives/{collective}/campaigns/{campaign}/news/{news_item}`.
func parseNewsName(name string) (Name, uuid.UUID, error) {
	parent, last, ok := strings.Cut(name, "/news/")
	campaign, err := ParseName(parent)
	id, parseErr := uuid.Parse(last)
	if !ok || err != nil || parseErr != nil {
		return Name{}, uuid.Nil, errs.NotFound(name)
	}
	return campaign, id, nil
}

func answerNews(n NewsItem, err error) (*campaignsv1.NewsItem, error) {
	if err != nil {
		return nil, err
	}
	return newsToProto(n), nil
}

// newsFromProto reads the texts, unchecked: checkNews checks them.
func newsFromProto(p *campaignsv1.NewsItem) map[string]NewsText {
	texts := map[string]NewsText{}
	for lang, text := range p.GetTexts() {
		texts[lang] = NewsText{Title: text.GetTitle(), Text: text.GetText()}
	}
	return texts
}

func newsToProto(n NewsItem) *campaignsv1.NewsItem {
	p := &campaignsv1.NewsItem{
		Name:        n.Name(),
		Texts:       map[string]*campaignsv1.NewsText{},
		State:       newsStateToProto[n.State],
		PublishTime: wire.Time(n.PublishTime),
		CreateTime:  wire.Time(n.CreateTime),
		UpdateTime:  wire.Time(n.UpdateTime),
		Etag:        n.etag(),
	}
	for lang, text := range n.Texts {
		p.Texts[lang] = &campaignsv1.NewsText{Title: text.Title, Text: text.Text}
	}
	return p
}

var newsStateToProto = map[NewsState]campaignsv1.NewsState{
	NewsDraft:     campaignsv1.NewsState_NEWS_STATE_DRAFT,
	NewsPublished: campaignsv1.NewsState_NEWS_STATE_PUBLISHED,
	NewsWithdrawn: campaignsv1.NewsState_NEWS_STATE_WITHDRAWN,
}

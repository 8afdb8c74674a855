package campaigns

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fieldmask"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
	"github.com/cagnotte/cagnotte/services/internal/wire"
	"github.com/cagnotte/cagnotte/services/money"
)

type server struct {
	campaignsv1.UnimplementedCampaignsServiceServer
	service  *Service
	progress ProgressFunc
}

// NewServer returns the service as gRPC. It calls progress once for each answer.
func NewServer(s *Service, progress ProgressFunc) campaignsv1.CampaignsServiceServer {
	return &server{service: s, progress: progress}
}

// CreateCampaign ignores the output-only fields of the request's campaign.
func (s *server) CreateCampaign(ctx context.Context, req *campaignsv1.CreateCampaignRequest) (*campaignsv1.Campaign, error) {
	name := Name{Collective: collectiveOf(req.GetParent()), Campaign: req.GetCampaignId()}
	if req.GetCampaign().GetExpensesShown() && !mayShowExpenses(ctx, name.Collective) {
		return nil, errs.NotFound(name.String())
	}
	c, err := s.service.Create(ctx, name, contentFromProto(name.Collective, req.GetCampaign()))
	return s.answer(ctx, c, err)
}

// GetCampaign answers NOT_FOUND for a draft of which the caller is no member, as for one that does not exist.
func (s *server) GetCampaign(ctx context.Context, req *campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
	name, err := ParseName(req.GetName())
	if err != nil {
		return nil, err
	}
	c, err := s.service.Get(ctx, name)
	if err == nil && c.State == StateDraft && !isMember(ctx, name.Collective) {
		err = errs.NotFound(name.String())
	}
	return s.answer(ctx, c, err)
}

// listFilter is what a page token is bound to. A member's token does not continue a public list, because its position could
// be a draft's.
type listFilter struct {
	Parent string
	Drafts bool
	// Running: what runs comes first.
	Running bool
}

// ListCampaigns lists drafts for members only.
func (s *server) ListCampaigns(ctx context.Context, req *campaignsv1.ListCampaignsRequest) (*campaignsv1.ListCampaignsResponse, error) {
	q := query{collective: collectiveOf(req.GetParent())}
	q.drafts = isMember(ctx, q.collective)
	if req.GetRunningFirst() {
		return s.listRunning(ctx, req, q)
	}
	filter := listFilter{Parent: req.GetParent(), Drafts: q.drafts}
	found, next, err := page.List(req, filter, newest, func(before position, count int) ([]Campaign, error) {
		q.before, q.count = before, count
		return s.service.list(ctx, q)
	}, func(c Campaign) position { return position{c.CreateTime, c.Name.Campaign} })
	if err != nil {
		return nil, err
	}
	resp := &campaignsv1.ListCampaignsResponse{NextPageToken: next}
	resp.Campaigns, err = s.present(ctx, found)
	return resp, err
}

// UpdateCampaign applies the mask to the stored content under the row's lock, so that fields which the mask leaves out
// cannot be overwritten by an older reading. The result is checked as a whole.
func (s *server) UpdateCampaign(ctx context.Context, req *campaignsv1.UpdateCampaignRequest) (*campaignsv1.Campaign, error) {
	sent := req.GetCampaign()
	name, err := ParseName(sent.GetName())
	if err != nil {
		return nil, err
	}
	c, err := s.service.Update(ctx, name, sent.GetEtag(), func(content *Content) error {
		shown := content.ExpensesShown
		merged := contentToProto(name.Collective, *content)
		if err := fieldmask.Apply(merged, sent, req.GetUpdateMask(), writable...); err != nil {
			return err
		}
		*content = contentFromProto(name.Collective, merged)
		// An editor who sends back what it has read changes nothing, and may.
		if content.ExpensesShown != shown && !mayShowExpenses(ctx, name.Collective) {
			return errs.NotFound(name.String())
		}
		return nil
	})
	return s.answer(ctx, c, err)
}

func (s *server) PublishCampaign(ctx context.Context, req *campaignsv1.PublishCampaignRequest) (*campaignsv1.Campaign, error) {
	return s.apply(ctx, req.GetName(), func(ctx context.Context, name Name) (Campaign, error) {
		return s.service.Publish(ctx, name, req.GetEtag())
	})
}

func (s *server) PauseCampaign(ctx context.Context, req *campaignsv1.PauseCampaignRequest) (*campaignsv1.Campaign, error) {
	return s.apply(ctx, req.GetName(), s.service.Pause)
}

func (s *server) ResumeCampaign(ctx context.Context, req *campaignsv1.ResumeCampaignRequest) (*campaignsv1.Campaign, error) {
	return s.apply(ctx, req.GetName(), s.service.Resume)
}

func (s *server) CloseCampaign(ctx context.Context, req *campaignsv1.CloseCampaignRequest) (*campaignsv1.Campaign, error) {
	return s.apply(ctx, req.GetName(), s.service.Close)
}

// apply runs one of the verbs, which have the same form.
func (s *server) apply(ctx context.Context, rawName string, verb func(context.Context, Name) (Campaign, error)) (*campaignsv1.Campaign, error) {
	name, err := ParseName(rawName)
	if err != nil {
		return nil, err
	}
	c, err := verb(ctx, name)
	return s.answer(ctx, c, err)
}

// CheckOrigin answers false, and no error, for missing campaigns and for drafts: the gateway asks it about any path that a
// browser sends.
func (s *server) CheckOrigin(ctx context.Context, req *campaignsv1.CheckOriginRequest) (*campaignsv1.CheckOriginResponse, error) {
	name, err := ParseName(req.GetName())
	if err != nil {
		return &campaignsv1.CheckOriginResponse{}, nil
	}
	c, err := s.service.Get(ctx, name)
	switch {
	case errs.Code(err) == codes.NotFound:
		return &campaignsv1.CheckOriginResponse{}, nil
	case err != nil:
		return nil, err
	}
	if !c.AllowsOrigin(req.GetOrigin()) {
		// The answer is right even if nobody will be told of it.
		if err := s.service.refuse(ctx, name, req.GetOrigin()); err != nil {
			s.service.logger.WarnContext(ctx, "a refused origin cannot be remembered", "campaign", name, "error", err)
		}
	}
	return &campaignsv1.CheckOriginResponse{Allowed: c.State != StateDraft && c.AllowsOrigin(req.GetOrigin())}, nil
}

// answer returns one campaign as the caller may see it, or the error as it is.
func (s *server) answer(ctx context.Context, c Campaign, err error) (*campaignsv1.Campaign, error) {
	if err != nil {
		return nil, err
	}
	presented, err := s.present(ctx, []Campaign{c})
	if err != nil {
		return nil, err
	}
	return presented[0], nil
}

// present returns each campaign as the caller may see it, with its progress.
func (s *server) present(ctx context.Context, list []Campaign) ([]*campaignsv1.Campaign, error) {
	if len(list) == 0 {
		return nil, nil
	}
	now := s.service.now()
	// Progress and cards are read once for all.
	names := make([]Name, len(list))
	var open []string
	for i, c := range list {
		names[i] = c.Name
		if c.AcceptsDonations(now) == nil && !slices.Contains(open, c.Name.Collective) {
			open = append(open, c.Name.Collective)
		}
	}
	progress, err := s.progress(ctx, names)
	if err != nil {
		return nil, err
	}
	var cards map[string]bool
	if len(open) > 0 {
		if cards, err = s.service.takingCards(ctx, open); err != nil {
			return nil, err
		}
	}
	paused, err := s.service.pausedCards(ctx, names)
	if err != nil {
		return nil, err
	}
	presented := make([]*campaignsv1.Campaign, len(list))
	for i, c := range list {
		// Members of the collective and the operator see more fields than the public.
		form := publicProto
		if isMember(ctx, c.Name.Collective) {
			form = memberProto
		}
		c.fee, c.cards, c.paused = s.service.fee, cards[c.Name.Collective], paused[c.Name]
		presented[i] = form(c, progress[c.Name], now)
	}
	return presented, nil
}

// mayShowExpenses reports whether the caller may show or hide a campaign's expenses. An editor, who does not read the books, may
// not.
func mayShowExpenses(ctx context.Context, collective string) bool {
	by := rpc.CallerFrom(ctx).Principal
	return by.Role(collective) == "owner" || by.IsOperator()
}

// isMember reports whether the caller sees the fields that are not public.
func isMember(ctx context.Context, collective string) bool {
	return rpc.CallerFrom(ctx).Principal.Sees(collective)
}

// imagePrefix is what stands before the id in the name of a collective's image.
func imagePrefix(collective string) string { return "collectives/" + collective + "/images/" }

// collectiveOf is the collective's id in a parent. It does not check the form.
func collectiveOf(parent string) string { return strings.TrimPrefix(parent, "collectives/") }

// writable are the fields that an update may change: those of contentToProto.
var writable = []string{"texts", "goal", "presets", "minimum", "maximum", "deadline", "stages", "allowed_origins", "image", "listed", "expenses_shown", "donations_shown", "event"}

// publicProto has the public fields alone. A field is here because it was decided to be public.
func publicProto(c Campaign, p Progress, now time.Time) *campaignsv1.Campaign {
	content := contentToProto(c.Name.Collective, c.Content)
	for i, stage := range c.Stages {
		// A stage without expenses is missing in the map, and has spent zero.
		content.Stages[i].Spent = wire.Money(money.Amount{Minor: p.PublicSpentByStage[stage.ID].Minor, Currency: c.Currency})
	}
	public := &campaignsv1.Campaign{
		Name:                  c.Name.String(),
		Texts:                 content.Texts,
		Goal:                  content.Goal,
		Presets:               content.Presets,
		Minimum:               content.Minimum,
		Maximum:               content.Maximum,
		Deadline:              content.Deadline,
		DeadlineDate:          c.deadlineDate(),
		Stages:                content.Stages,
		State:                 stateToProto[c.State],
		Spent:                 wire.Money(money.Amount{Minor: p.PublicSpent.Minor, Currency: c.Currency}),
		AcceptingDonations:    c.AcceptsDonations(now) == nil,
		AcceptingCards:        c.AcceptsDonations(now) == nil && c.cards && !c.paused,
		CardsPaused:           c.AcceptsDonations(now) == nil && c.cards && c.paused,
		CollectiveDisplayName: c.CollectiveDisplayName,
		CollectiveSuspended:   c.CollectiveSuspended,
		CollectiveDiscreet:    c.CollectiveDiscreet,
		CollectiveTimeZone:    c.timeZone,
		PublishTime:           wire.Time(c.PublishTime),
		CloseTime:             wire.Time(c.CloseTime),
		FeeEstimate:           feeToProto(c.fee, c.Currency),
		Image:                 content.Image,
		Listed:                content.Listed,
		ExpensesShown:         content.ExpensesShown,
		DonationsShown:        content.DonationsShown,
		Event:                 content.Event,
	}
	public.Revision = revisionOf(public)
	public.Progress = progressToProto(p, c.Currency)
	return public
}

// feeToProto returns nil for an estimate that is not for the campaign's currency.
func feeToProto(f FeeEstimate, currency money.Currency) *campaignsv1.FeeEstimate {
	if !f.Holds(currency) {
		return nil
	}
	return &campaignsv1.FeeEstimate{BasisPoints: int32(f.BasisPoints), Fixed: wire.Money(f.Fixed)}
}

// memberProto has all fields, for members of the collective and the operator.
func memberProto(c Campaign, p Progress, now time.Time) *campaignsv1.Campaign {
	m := publicProto(c, p, now)
	m.Spent = wire.Money(money.Amount{Minor: p.Spent.Minor, Currency: c.Currency})
	for i, stage := range c.Stages {
		m.Stages[i].Spent = wire.Money(money.Amount{Minor: p.SpentByStage[stage.ID].Minor, Currency: c.Currency})
	}
	m.AllowedOrigins = c.AllowedOrigins
	m.CreateTime = wire.Time(c.CreateTime)
	m.UpdateTime = wire.Time(c.UpdateTime)
	m.Etag = c.etag()
	return m
}

// contentToProto has the fields that members write, those of writable. Output-only fields stay empty.
func contentToProto(collective string, c Content) *campaignsv1.Campaign {
	p := &campaignsv1.Campaign{
		Texts:          map[string]*campaignsv1.CampaignText{},
		Goal:           wire.Money(c.Goal),
		Minimum:        wire.Money(c.Minimum),
		Maximum:        wire.Money(c.Maximum),
		Deadline:       wire.Time(c.Deadline),
		AllowedOrigins: c.AllowedOrigins,
		Listed:         c.Listed,
		ExpensesShown:  c.ExpensesShown,
		DonationsShown: c.DonationsShown,
	}
	if c.Event != (Event{}) {
		p.Event = &campaignsv1.Event{Date: c.Event.Date, Time: c.Event.Time, Place: c.Event.Place}
	}
	if c.Image != "" {
		p.Image = imagePrefix(collective) + c.Image
	}
	for lang, text := range c.Texts {
		p.Texts[lang] = &campaignsv1.CampaignText{Title: text.Title, Story: text.Story, ThankYou: text.ThankYou, ImageAlt: text.ImageAlt}
	}
	for _, preset := range c.Presets {
		p.Presets = append(p.Presets, wire.Money(preset))
	}
	for _, stage := range c.Stages {
		p.Stages = append(p.Stages, &campaignsv1.Stage{Id: stage.ID, Titles: stage.Titles, Amount: wire.Money(stage.Amount)})
	}
	return p
}

// contentFromProto reads the fields that members write, unchecked: [Content.normalise] checks them. It ignores the fields
// that the service writes.
func contentFromProto(collective string, p *campaignsv1.Campaign) Content {
	c := Content{
		// The name of another collective's image stays whole, and so is no id: normalise refuses it.
		Image:          strings.TrimPrefix(p.GetImage(), imagePrefix(collective)),
		Texts:          map[string]Text{},
		Goal:           wire.Amount(p.GetGoal()),
		Minimum:        wire.Amount(p.GetMinimum()),
		Maximum:        wire.Amount(p.GetMaximum()),
		AllowedOrigins: p.GetAllowedOrigins(),
		Shown:          Shown{Listed: p.GetListed(), ExpensesShown: p.GetExpensesShown(), DonationsShown: p.GetDonationsShown()},
		Event:          Event{Date: p.GetEvent().GetDate(), Time: p.GetEvent().GetTime(), Place: p.GetEvent().GetPlace()},
	}
	if p.GetDeadline() != nil {
		c.Deadline = p.GetDeadline().AsTime()
	}
	for lang, text := range p.GetTexts() {
		c.Texts[lang] = Text{
			Title: text.GetTitle(), Story: text.GetStory(), ThankYou: text.GetThankYou(), ImageAlt: text.GetImageAlt(),
		}
	}
	for _, preset := range p.GetPresets() {
		c.Presets = append(c.Presets, wire.Amount(preset))
	}
	for _, stage := range p.GetStages() {
		c.Stages = append(c.Stages, Stage{ID: stage.GetId(), Titles: stage.GetTitles(), Amount: wire.Amount(stage.GetAmount())})
	}
	return c
}

// progressToProto is the progress in the campaign's currency.
func progressToProto(p Progress, currency money.Currency) *campaignsv1.Progress {
	// A campaign without donations has a progress of zero in its currency.
	p.Settled.Currency, p.Pending.Currency = currency, currency
	return &campaignsv1.Progress{Settled: wire.Money(p.Settled), Pending: wire.Money(p.Pending)}
}

// stateToProto has every state of a campaign.
var stateToProto = map[State]campaignsv1.CampaignState{
	StateDraft:     campaignsv1.CampaignState_CAMPAIGN_STATE_DRAFT,
	StatePublished: campaignsv1.CampaignState_CAMPAIGN_STATE_PUBLISHED,
	StatePaused:    campaignsv1.CampaignState_CAMPAIGN_STATE_PAUSED,
	StateClosed:    campaignsv1.CampaignState_CAMPAIGN_STATE_CLOSED,
}

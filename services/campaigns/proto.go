package campaigns

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	"github.com/cagnotte/cagnotte/services/money"
)

// writable are the fields that an update may change: those of contentToProto.
var writable = []string{"texts", "goal", "presets", "minimum", "maximum", "deadline", "stages", "allowed_origins"}

// publicProto is what everybody may see, and nothing else: a field is here because
// somebody decided that it is public.
func publicProto(c Campaign, p Progress, now time.Time) *campaignsv1.Campaign {
	content := contentToProto(c.Content)
	for i, stage := range c.Stages {
		content.Stages[i].Spent = &moneyv1.Money{CurrencyCode: string(c.Currency), AmountMinor: p.SpentByStage[stage.ID].Minor}
	}
	return &campaignsv1.Campaign{
		Name:                  c.Name.String(),
		Texts:                 content.Texts,
		Goal:                  content.Goal,
		Presets:               content.Presets,
		Minimum:               content.Minimum,
		Maximum:               content.Maximum,
		Deadline:              content.Deadline,
		Stages:                content.Stages,
		State:                 stateToProto[c.State],
		Progress:              progressToProto(p, c.Currency),
		Spent:                 &moneyv1.Money{CurrencyCode: string(c.Currency), AmountMinor: p.Spent.Minor},
		AcceptingDonations:    c.AcceptsDonations(now) == nil,
		CollectiveDisplayName: c.CollectiveDisplayName,
		PublishTime:           timestamp(c.PublishTime),
		CloseTime:             timestamp(c.CloseTime),
		FeeEstimate:           feeToProto(c.fee, c.Currency),
	}
}

// feeToProto leaves out an estimate that is not for the campaign's currency.
func feeToProto(f FeeEstimate, currency money.Currency) *campaignsv1.FeeEstimate {
	if !f.Holds(currency) {
		return nil
	}
	return &campaignsv1.FeeEstimate{BasisPoints: int32(f.BasisPoints), Fixed: moneyToProto(f.Fixed)}
}

// memberProto is what members of the collective and the operator see: everything.
func memberProto(c Campaign, p Progress, now time.Time) *campaignsv1.Campaign {
	m := publicProto(c, p, now)
	m.AllowedOrigins = c.AllowedOrigins
	m.CreateTime = timestamp(c.CreateTime)
	m.UpdateTime = timestamp(c.UpdateTime)
	m.Etag = c.etag()
	return m
}

func contentToProto(c Content) *campaignsv1.Campaign {
	p := &campaignsv1.Campaign{
		Texts:          map[string]*campaignsv1.CampaignText{},
		Goal:           moneyToProto(c.Goal),
		Minimum:        moneyToProto(c.Minimum),
		Maximum:        moneyToProto(c.Maximum),
		Deadline:       timestamp(c.Deadline),
		AllowedOrigins: c.AllowedOrigins,
	}
	for lang, text := range c.Texts {
		p.Texts[lang] = &campaignsv1.CampaignText{Title: text.Title, Story: text.Story}
	}
	for _, preset := range c.Presets {
		p.Presets = append(p.Presets, moneyToProto(preset))
	}
	for _, stage := range c.Stages {
		p.Stages = append(p.Stages, &campaignsv1.Stage{Id: stage.ID, Titles: stage.Titles, Amount: moneyToProto(stage.Amount)})
	}
	return p
}

// contentFromProto takes over what was written; whether it is right is for
// [Content.normalise] to say. Fields that only the service writes are ignored.
func contentFromProto(p *campaignsv1.Campaign) Content {
	c := Content{
		Texts:          map[string]Text{},
		Goal:           moneyFromProto(p.GetGoal()),
		Minimum:        moneyFromProto(p.GetMinimum()),
		Maximum:        moneyFromProto(p.GetMaximum()),
		AllowedOrigins: p.GetAllowedOrigins(),
	}
	if p.GetDeadline() != nil {
		c.Deadline = p.GetDeadline().AsTime()
	}
	for lang, text := range p.GetTexts() {
		c.Texts[lang] = Text{Title: text.GetTitle(), Story: text.GetStory()}
	}
	for _, preset := range p.GetPresets() {
		c.Presets = append(c.Presets, moneyFromProto(preset))
	}
	for _, stage := range p.GetStages() {
		c.Stages = append(c.Stages, Stage{ID: stage.GetId(), Titles: stage.GetTitles(), Amount: moneyFromProto(stage.GetAmount())})
	}
	return c
}

func progressToProto(p Progress, currency money.Currency) *campaignsv1.Progress {
	// A campaign without donations has a progress of zero in its currency.
	p.Settled.Currency, p.Pending.Currency = currency, currency
	return &campaignsv1.Progress{Settled: moneyToProto(p.Settled), Pending: moneyToProto(p.Pending)}
}

func moneyToProto(a money.Amount) *moneyv1.Money {
	return &moneyv1.Money{CurrencyCode: string(a.Currency), AmountMinor: a.Minor}
}

// moneyFromProto returns the zero Amount for an absent one.
func moneyFromProto(m *moneyv1.Money) money.Amount {
	return money.Amount{Minor: m.GetAmountMinor(), Currency: money.Currency(m.GetCurrencyCode())}
}

func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

var stateToProto = map[State]campaignsv1.CampaignState{
	StateDraft:     campaignsv1.CampaignState_CAMPAIGN_STATE_DRAFT,
	StatePublished: campaignsv1.CampaignState_CAMPAIGN_STATE_PUBLISHED,
	StatePaused:    campaignsv1.CampaignState_CAMPAIGN_STATE_PAUSED,
	StateClosed:    campaignsv1.CampaignState_CAMPAIGN_STATE_CLOSED,
}

package campaigns

import (
	"time"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	"github.com/cagnotte/cagnotte/services/internal/wire"
	"github.com/cagnotte/cagnotte/services/money"
)

// writable are the fields that an update may change: those of contentToProto.
var writable = []string{"texts", "goal", "presets", "minimum", "maximum", "deadline", "stages", "allowed_origins"}

// publicProto has the public fields alone. A field is here because it was decided to be public.
func publicProto(c Campaign, p Progress, now time.Time) *campaignsv1.Campaign {
	content := contentToProto(c.Content)
	for i, stage := range c.Stages {
		content.Stages[i].Spent = wire.Money(money.Amount{Minor: p.SpentByStage[stage.ID].Minor, Currency: c.Currency})
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
		Spent:                 wire.Money(money.Amount{Minor: p.Spent.Minor, Currency: c.Currency}),
		AcceptingDonations:    c.AcceptsDonations(now) == nil,
		CollectiveDisplayName: c.CollectiveDisplayName,
		PublishTime:           wire.Time(c.PublishTime),
		CloseTime:             wire.Time(c.CloseTime),
		FeeEstimate:           feeToProto(c.fee, c.Currency),
	}
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
	m.AllowedOrigins = c.AllowedOrigins
	m.CreateTime = wire.Time(c.CreateTime)
	m.UpdateTime = wire.Time(c.UpdateTime)
	m.Etag = c.etag()
	return m
}

func contentToProto(c Content) *campaignsv1.Campaign {
	p := &campaignsv1.Campaign{
		Texts:          map[string]*campaignsv1.CampaignText{},
		Goal:           wire.Money(c.Goal),
		Minimum:        wire.Money(c.Minimum),
		Maximum:        wire.Money(c.Maximum),
		Deadline:       wire.Time(c.Deadline),
		AllowedOrigins: c.AllowedOrigins,
	}
	for lang, text := range c.Texts {
		p.Texts[lang] = &campaignsv1.CampaignText{Title: text.Title, Story: text.Story}
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
func contentFromProto(p *campaignsv1.Campaign) Content {
	c := Content{
		Texts:          map[string]Text{},
		Goal:           wire.Amount(p.GetGoal()),
		Minimum:        wire.Amount(p.GetMinimum()),
		Maximum:        wire.Amount(p.GetMaximum()),
		AllowedOrigins: p.GetAllowedOrigins(),
	}
	if p.GetDeadline() != nil {
		c.Deadline = p.GetDeadline().AsTime()
	}
	for lang, text := range p.GetTexts() {
		c.Texts[lang] = Text{Title: text.GetTitle(), Story: text.GetStory()}
	}
	for _, preset := range p.GetPresets() {
		c.Presets = append(c.Presets, wire.Amount(preset))
	}
	for _, stage := range p.GetStages() {
		c.Stages = append(c.Stages, Stage{ID: stage.GetId(), Titles: stage.GetTitles(), Amount: wire.Amount(stage.GetAmount())})
	}
	return c
}

func progressToProto(p Progress, currency money.Currency) *campaignsv1.Progress {
	// A campaign without donations has a progress of zero in its currency.
	p.Settled.Currency, p.Pending.Currency = currency, currency
	return &campaignsv1.Progress{Settled: wire.Money(p.Settled), Pending: wire.Money(p.Pending)}
}

var stateToProto = map[State]campaignsv1.CampaignState{
	StateDraft:     campaignsv1.CampaignState_CAMPAIGN_STATE_DRAFT,
	StatePublished: campaignsv1.CampaignState_CAMPAIGN_STATE_PUBLISHED,
	StatePaused:    campaignsv1.CampaignState_CAMPAIGN_STATE_PAUSED,
	StateClosed:    campaignsv1.CampaignState_CAMPAIGN_STATE_CLOSED,
}

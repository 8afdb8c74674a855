package console

import (
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
)

// expensesStagesPage tells what each stage of each campaign needs, and what was spent on it.
type expensesStagesPage struct {
	expensesPage
	Campaigns []expensesCampaign
}

type expensesCampaign struct {
	Title, Goal, Spent, Path string
	Stages                   []expensesStage
	// Rest is what was spent on no stage; empty for nothing.
	Rest string
}

type expensesStage struct{ Title, Planned, Spent, Left, Share, Tone string }

func expensesStages(v *visit) error {
	campaigns, err := v.allCampaigns()
	if err != nil {
		return err
	}
	p := expensesStagesPage{expensesPage: expensesTabs(v, "/stages")}
	for _, c := range campaigns {
		shown := expensesCampaign{
			Title: campaignTitle(v, c), Goal: v.Money(c.GetGoal()), Spent: v.Money(zeroOr(c.GetSpent(), c.GetGoal())),
			Path: v.path("/expenses?campaign=") + c.GetName(),
		}
		staged := int64(0)
		for _, s := range c.GetStages() {
			need, spent := s.GetAmount().GetAmountMinor(), s.GetSpent().GetAmountMinor()
			staged += spent
			currency := c.GetGoal().GetCurrencyCode()
			row := expensesStage{
				Title: stageTitle(v, s), Planned: v.Money(&moneyv1.Money{CurrencyCode: currency, AmountMinor: need}),
				Spent: v.Money(&moneyv1.Money{CurrencyCode: currency, AmountMinor: spent}),
				Left:  v.Money(&moneyv1.Money{CurrencyCode: currency, AmountMinor: need - spent}), Share: v.Percent(spent, need),
			}
			if spent > need {
				row.Tone = "warn"
			}
			shown.Stages = append(shown.Stages, row)
		}
		if rest := c.GetSpent().GetAmountMinor() - staged; rest != 0 && len(shown.Stages) > 0 {
			shown.Rest = v.Money(&moneyv1.Money{CurrencyCode: c.GetGoal().GetCurrencyCode(), AmountMinor: rest})
		}
		p.Campaigns = append(p.Campaigns, shown)
	}
	return v.show("expenses/stages", v.T("expenses.stagesTitle"), p)
}

// zeroOr is an amount, or zero of another's currency when it is absent.
func zeroOr(m, like *moneyv1.Money) *moneyv1.Money {
	if m == nil {
		return &moneyv1.Money{CurrencyCode: like.GetCurrencyCode()}
	}
	return m
}

// stageTitle is a stage's title in the reader's language, else in French.
func stageTitle(v *visit, s *campaignsv1.Stage) string {
	for _, lang := range []string{v.Lang, "fr", "en"} {
		if title := s.GetTitles()[lang]; title != "" {
			return title
		}
	}
	return s.GetId()
}

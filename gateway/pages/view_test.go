package pages

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cagnotte/cagnotte/gateway/text"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
)

// A deadline is the first instant after the last day on which donations are accepted, which is that of the collective.
func TestTheDeadlineIsTheLastDayOfDonations(t *testing.T) {
	all, err := text.Load(files, "strings/*.json", text.Languages)
	if err != nil {
		t.Fatal(err)
	}
	// In Martinique the deadline is in the morning of the next day, by UTC.
	v := newCampaignView(all["fr"], &campaignsv1.Campaign{
		Name: "collectives/vallon/campaigns/avocate", Deadline: timestamppb.New(time.Date(2027, 1, 1, 4, 0, 0, 0, time.UTC)), DeadlineDate: "2026-12-31",
		AcceptingDonations: true, State: campaignsv1.CampaignState_CAMPAIGN_STATE_PUBLISHED,
	})
	if !strings.Contains(v.Deadline, "31\u00a0décembre 2026") {
		t.Errorf("until %q", v.Deadline)
	}
}

func TestTheProgressSaysWhatIsLeft(t *testing.T) {
	all, err := text.Load(files, "strings/*.json", text.Languages)
	if err != nil {
		t.Fatal(err)
	}
	euros := func(minor int64) *moneyv1.Money { return &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: minor} }
	for _, c := range []struct {
		settled   int64
		accepting bool
		want      string
	}{
		{31250, true, "Il manque 487,50\u00a0€."},
		{-500, true, "Il manque 800\u00a0€."},
		{80000, true, "Objectif atteint, merci\u202f! Vous pouvez encore donner."},
		{90000, false, "Objectif atteint. Merci\u202f!"},
		{31250, false, ""},
	} {
		v := newProgressView(all["fr"], &campaignsv1.Campaign{
			Goal: euros(80000), AcceptingDonations: c.accepting, Progress: &campaignsv1.Progress{Settled: euros(c.settled)},
		})
		if v.Left != c.want {
			t.Errorf("%+v: %q", c, v.Left)
		}
	}
}

func TestAFieldHasOneProblem(t *testing.T) {
	var p page
	p.wrong("", "away")
	if p.AtFields() {
		t.Error("a field is at fault")
	}
	p.wrong("amount", "first")
	p.wrong("amount", "second")
	if len(p.Problems) != 2 || p.ProblemAt("amount").Text != "first" || !p.AtFields() {
		t.Errorf("%+v", p.Problems)
	}
}

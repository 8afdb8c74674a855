package pages

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cagnotte/cagnotte/gateway/text"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

// A deadline is the first instant after the last day on which donations are accepted.
func TestTheDeadlineIsTheLastDayOfDonations(t *testing.T) {
	all, err := text.Load(files, "strings/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for zone, end := range map[string]time.Time{
		"Paris": time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC), "London": time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		v := newCampaignView(all["fr"], &campaignsv1.Campaign{
			Name: "collectives/vallon/campaigns/avocate", Deadline: timestamppb.New(end), AcceptingDonations: true,
			State: campaignsv1.CampaignState_CAMPAIGN_STATE_PUBLISHED,
		})
		if !strings.Contains(v.Deadline, "31\u00a0décembre 2026") {
			t.Errorf("a collective in %s: %q", zone, v.Deadline)
		}
	}
}

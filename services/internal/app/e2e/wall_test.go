package e2e_test

import (
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/gateway/e2e"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/wall"
)

// TestWall has donors meet a challenge: each payment of an address after the first one asks for it.
func TestWall(t *testing.T) {
	site := e2e.NewSite(t)
	program := apptest.Start(t, apptest.Config{Wall: wall.Limits{
		Challenges: true, Bits: 10, Address: wall.Network{Soft: 1, Hard: 100, Interval: time.Hour},
	}})
	campaign, _ := program.Campaign("vallon-contre-cameras", site.URL)
	e2e.Run(t, e2e.Walled, e2e.Program{
		URL: program.URL, StripeURL: program.SimURL, Campaign: campaign, Mails: func() []string { return []string{} },
	}, site)
}

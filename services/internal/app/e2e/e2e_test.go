// Package e2e_test runs gateway/e2e, people in a real browser, against the whole program.
package e2e_test

import (
	"testing"

	"github.com/cagnotte/cagnotte/gateway/e2e"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

func TestMain(m *testing.M) { apptest.Main(m) }

func TestBrowser(t *testing.T) {
	site := e2e.NewSite(t)
	program := apptest.Start(t, apptest.Config{})
	campaign, _ := program.Campaign("vallon-contre-cameras", site.URL)
	e2e.Run(t, e2e.Program{URL: program.URL, StripeURL: program.SimURL, Campaign: campaign}, site)
}

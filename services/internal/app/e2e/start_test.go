package e2e_test

import (
	"net/url"
	"testing"

	"github.com/cagnotte/cagnotte/gateway/e2e"
	"github.com/cagnotte/cagnotte/services/internal/app"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
)

// TestStart has an operator begin with an empty database, and a Stripe account without an endpoint.
func TestStart(t *testing.T) {
	site := e2e.NewSite(t)
	mailbox := mailtest.Start(t)
	program := apptest.Start(t, apptest.Config{SMTPURL: mailbox.URL()})
	program.StopApp()
	program.Sim.SetEndpoints(nil)
	program.SetSecrets("", "")
	program.StartApp()
	e2e.Run(t, e2e.Starters, e2e.Program{
		URL: program.URL, StripeURL: program.SimURL,
		// What the spec makes.
		Campaign: "collectives/moulin/campaigns/toit",
		Mails: func() []string {
			texts := []string{}
			for _, m := range mailbox.Mails() {
				texts = append(texts, m.Text)
			}
			return texts
		},
		Do: map[string]func(url.Values) (any, error){
			// What `cagnotte operator -email` prints.
			"operator": func(values url.Values) (any, error) {
				return app.CreateMember(t.Context(), program.DatabaseURL, program.URL, app.Person{
					Email: values.Get("email"), Name: "Alix", Language: "fr", Role: "operator",
				}, program.Clock.Now)
			},
		},
	}, site)
}

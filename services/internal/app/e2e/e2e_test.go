// Package e2e_test runs gateway/e2e, people in a real browser, against the whole program.
package e2e_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/cagnotte/cagnotte/gateway/e2e"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
)

func TestMain(m *testing.M) { apptest.Main(m) }

func TestBrowser(t *testing.T) {
	site := e2e.NewSite(t)
	mailbox := mailtest.Start(t)
	program := apptest.Start(t, apptest.Config{SMTPURL: mailbox.URL()})
	campaign, owner := program.Campaign("vallon-contre-cameras", site.URL)
	if err := program.Sim.OfferDebits("", true); err != nil {
		t.Fatal(err)
	}
	_, err := collectivesv1.NewCollectivesServiceClient(program.Conn).UpdateCollective(apptest.WithKey(t.Context(), owner),
		&collectivesv1.UpdateCollectiveRequest{
			Collective: &collectivesv1.Collective{
				Name:          "collectives/vallon-contre-cameras",
				DisplayName:   "Vallon contre caméras",
				BankAccount:   &collectivesv1.BankAccount{Holder: "Vallon contre caméras", Iban: "FR76 3000 6000 0112 3456 7890 189"},
				ChequePayee:   "Maître Camille Roche",
				PostalAddress: []string{"Vallon contre caméras", "1 place de la Mairie", "12330 Salles-la-Source"},
			},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"bank_account", "cheque_payee", "postal_address"}},
		})
	if err != nil {
		t.Fatalf("say where transfers and cheques go: %v", err)
	}
	festival(t, program, owner)
	mails := func() []string {
		texts := []string{}
		for _, m := range mailbox.Mails() {
			texts = append(texts, m.Text)
		}
		return texts
	}
	e2e.Run(t, e2e.Visitors, e2e.Program{URL: program.URL, StripeURL: program.SimURL, Campaign: campaign, Mails: mails}, site)
}

// festival is the campaign "bal": an event at free price, today.
func festival(t *testing.T, program *apptest.Env, owner string) {
	t.Helper()
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	ctx, client := apptest.WithKey(t.Context(), owner), campaignsv1.NewCampaignsServiceClient(program.Conn)
	created, err := client.CreateCampaign(ctx, &campaignsv1.CreateCampaignRequest{
		Parent: "collectives/vallon-contre-cameras", CampaignId: "bal", Campaign: &campaignsv1.Campaign{
			Texts: map[string]*campaignsv1.CampaignText{
				"fr": {Title: "Le bal du village", Story: "On danse, et chacun donne ce qu’il peut.", ThankYou: "À tout de suite **sur la piste** !"},
				"en": {Title: "The village dance", Story: "We dance, and all give what they can.", ThankYou: "See you **on the floor**!"},
			},
			Goal:    apptest.Euros(2000_00),
			Presets: []*apptest.Money{apptest.Euros(5_00), apptest.Euros(10_00), apptest.Euros(15_00), apptest.Euros(20_00)},
			Minimum: apptest.Euros(1_00), Maximum: apptest.Euros(200_00),
			Event: &campaignsv1.Event{Date: program.Clock.Now().In(paris).Format(time.DateOnly), Time: "19:30", Place: "Salle des fêtes, Vallon"},
		},
	})
	if err == nil {
		_, err = client.PublishCampaign(ctx, &campaignsv1.PublishCampaignRequest{Name: created.GetName()})
	}
	if err != nil {
		t.Fatalf("an event: %v", err)
	}
}

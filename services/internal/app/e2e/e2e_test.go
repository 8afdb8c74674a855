// Package e2e_test runs gateway/e2e, people in a real browser, against the whole program.
package e2e_test

import (
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/cagnotte/cagnotte/gateway/e2e"
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
	mails := func() []string {
		texts := []string{}
		for _, m := range mailbox.Mails() {
			texts = append(texts, m.Text)
		}
		return texts
	}
	e2e.Run(t, e2e.Visitors, e2e.Program{URL: program.URL, StripeURL: program.SimURL, Campaign: campaign, Mails: mails}, site)
}

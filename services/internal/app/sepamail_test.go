package app_test

import (
	"testing"

	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// Named after a bug that others shipped: two thank-you mails for each cycle of a debit, one when the page was completed
// and one when the bank had paid. Stripe sends receipts, and we send none: neither word mails anybody.
func TestTwoThankYouMailsPerSEPACycle(t *testing.T) {
	box := mailtest.Start(t)
	e := apptest.Start(t, apptest.Config{SMTPURL: box.URL()})
	campaign, owner := e.Campaign("vallon")
	if err := e.Sim.OfferDebits("", true); err != nil {
		t.Fatal(err)
	}
	change(t, e.Conn, owner, &collectivesv1.Collective{Name: "collectives/vallon", BankAccount: bankAccounts[0]}, "bank_account")
	change(t, e.Conn, owner, &collectivesv1.Collective{Name: "collectives/vallon", AlertEmails: []string{"une@example.org"}}, "alert_emails")
	e.Eventually("its reader is told", func() bool { return len(box.Mails()) == 1 })
	debit(t, e, owner, campaign, stripesim.IBANPaid)
	e.Clock.Advance(aWeek)
	e.Eventually("it is booked", func() bool { settled, _ := progress(t, e.Conn, campaign); return settled == 20_00 })
	for _, event := range e.Sim.Events("") {
		if err := e.Sim.Redeliver(event.ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Sim.WaitDelivered(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A mail that does go out shows that nothing was waiting before it.
	change(t, e.Conn, owner, &collectivesv1.Collective{Name: "collectives/vallon", BankAccount: bankAccounts[1]}, "bank_account")
	e.Eventually("the notice is mailed", func() bool { return len(box.Mails()) > 1 })
	if mails := box.Mails(); len(mails) != 2 {
		t.Errorf("%d mails", len(mails))
	}
}

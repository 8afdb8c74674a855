package app_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
)

// A donor of a discreet collective reads of it in no mail, and the mails' addresses still lead to the monthly donation.
func TestADiscreetCollectiveIsNamedInNoMail(t *testing.T) {
	box := mailtest.Start(t)
	e := apptest.Start(t, apptest.Config{SMTPURL: box.URL()})
	m := startMonthly(t, e, "vallon")
	_, err := collectivesv1.NewCollectivesServiceClient(e.Conn).UpdateCollective(apptest.WithKey(t.Context(), m.owner), &collectivesv1.UpdateCollectiveRequest{
		Collective: &collectivesv1.Collective{Name: "collectives/vallon", Discreet: true},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"discreet"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	m.pay()
	m.wantBooked(1, 20_00)
	m.becomes("its next debit is known", func(r *recurringv1.RecurringDonation) bool { return r.GetNextDebitTime() != nil })
	if _, err := m.client.RequestManageLink(t.Context(), &recurringv1.RequestManageLinkRequest{Name: m.name()}); err != nil {
		t.Fatal(err)
	}
	var told []mailtest.Mail
	e.Eventually("both mails are sent", func() bool {
		told = nil
		for _, mail := range box.Mails() {
			if mail.To == "donor@example.org" {
				told = append(told, mail)
			}
		}
		return len(told) == 2
	})
	for _, mail := range told {
		all := strings.ToLower(mail.Subject() + "\n" + mail.Text)
		for _, name := range []string{"vallon", "caméras", "avocate"} {
			if strings.Contains(all, name) {
				t.Errorf("the mail says %q:\n%s", name, all)
			}
		}
		link := regexp.MustCompile(`http\S+`).FindString(mail.Text)
		if u, err := url.Parse(link); err != nil || !strings.HasPrefix(u.Path, "/monthly/") {
			t.Fatalf("the mail leads to %q", link)
		}
		_, to := browse(t, link, nil)
		page, _ := browse(t, e.URL+to, nil)
		if !strings.Contains(page, "Une avocate") {
			t.Errorf("%s leads to %s: %s", link, to, page)
		}
		if title := regexp.MustCompile(`<title>(.*?)</title>`).FindStringSubmatch(page)[1]; strings.Contains(title, "avocate") {
			t.Errorf("the tab says %q", title)
		}
	}
}

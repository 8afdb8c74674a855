package app_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
)

// openLink asks for a link and returns the token in the mail.
func openLink(t *testing.T, m *months, box *mailtest.Server) string {
	t.Helper()
	before := len(box.Mails())
	if _, err := m.client.RequestManageLink(t.Context(), &recurringv1.RequestManageLinkRequest{Name: m.name()}); err != nil {
		t.Fatal(err)
	}
	m.e.Eventually("the link is mailed", func() bool { return len(box.Mails()) > before })
	got := box.Mails()[before]
	if got.To != "donor@example.org" || !strings.Contains(got.Text, m.e.URL+"/c/"+m.slug+"/avocate/monthly/") {
		t.Fatalf("the mail is %+v", got)
	}
	if said := got.Subject() + got.Text; strings.Contains(said, "caméras") {
		t.Errorf("the mail tells who reads over a shoulder what is given to: %q", said)
	}
	link, err := url.Parse(regexp.MustCompile(`http\S+`).FindString(got.Text))
	if err != nil {
		t.Fatal(err)
	}
	return link.Query().Get("token")
}

func TestADonorManagesAMonthlyDonationByALink(t *testing.T) {
	box := mailtest.Start(t)
	e := apptest.Start(t, apptest.Config{SMTPURL: box.URL()})
	m := payMonthly(t, e, "vallon")
	m.wantBooked(1, 20_00)
	ctx := t.Context()

	token := openLink(t, m, box)
	opened, err := m.client.RedeemManageLink(ctx, &recurringv1.RedeemManageLinkRequest{Name: m.name(), Token: token})
	if err != nil || opened.GetRecurringDonation().GetName() != m.name() || opened.GetManageToken() == token {
		t.Fatalf("the link opens %v, %v", opened, err)
	}
	page := opened.GetManageToken()
	refused := func(what, reason string, err error) {
		t.Helper()
		t.Run(what, func(t *testing.T) { wantError(t, err, codes.FailedPrecondition, reason, "") })
	}
	_, err = m.client.RedeemManageLink(ctx, &recurringv1.RedeemManageLinkRequest{Name: m.name(), Token: token})
	refused("a link is good once", "LINK_INVALID", err)
	_, err = m.client.StopRecurringDonation(ctx, &recurringv1.StopRecurringDonationRequest{Name: m.name(), ManageToken: token})
	refused("a link's token is no page's", "MANAGE_TOKEN_INVALID", err)
	other := payMonthly(t, e, "other")
	_, err = m.client.StopRecurringDonation(ctx, &recurringv1.StopRecurringDonationRequest{Name: other.name(), ManageToken: page})
	refused("a page's token is of one donation", "MANAGE_TOKEN_INVALID", err)

	t.Run("changes what is given from the next month on", func(t *testing.T) {
		change := func(minor int64) (*recurringv1.RecurringDonation, error) {
			return m.client.ChangeRecurringDonation(ctx, &recurringv1.ChangeRecurringDonationRequest{
				Name: m.name(), ManageToken: page, Amount: apptest.Euros(minor),
			})
		}
		_, err := change(801_00)
		wantError(t, err, codes.InvalidArgument, "AMOUNT_TOO_LARGE", "amount.amount_minor")
		// There and back again, and twice: each is a change of its own.
		for _, minor := range []int64{30_00, 20_00, 35_00, 35_00} {
			r, err := change(minor)
			if err != nil || r.GetAmount().GetAmountMinor() != minor || r.GetChangePending() || m.atStripe().AmountMinor != minor {
				t.Fatalf("changed to %d: %v, %v; at Stripe %d", minor, r, err, m.atStripe().AmountMinor)
			}
		}
		m.wantBooked(1, 20_00)
	})
	t.Run("leads to Stripe's page for the card", func(t *testing.T) {
		portal, err := m.client.CreatePortalSession(ctx, &recurringv1.CreatePortalSessionRequest{Name: m.name(), ManageToken: page})
		if err != nil || !strings.HasPrefix(portal.GetUrl(), e.SimURL+"/portal/") {
			t.Fatalf("the portal is at %q, %v", portal.GetUrl(), err)
		}
	})
	m.nextMonth()
	m.wantBooked(2, 55_00)
	_, err = m.client.StopRecurringDonation(ctx, &recurringv1.StopRecurringDonationRequest{Name: m.name(), ManageToken: page})
	refused("a page is over after half an hour", "MANAGE_TOKEN_INVALID", err)

	opened, err = m.client.RedeemManageLink(ctx, &recurringv1.RedeemManageLinkRequest{Name: m.name(), Token: openLink(t, m, box)})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r, err := m.client.StopRecurringDonation(ctx, &recurringv1.StopRecurringDonationRequest{Name: m.name(), ManageToken: opened.GetManageToken()})
		if err != nil || r.GetState() != recurringCanceled ||
			r.GetEndReason() != recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_DONOR {
			t.Fatalf("stopped: %v, %v", r, err)
		}
	}
	wantBooksOfStripe(t, e, "vallon", "other")

	t.Run("nobody learns whether there is a donation", func(t *testing.T) {
		before := len(box.Mails())
		missing := m.name()[:len(m.name())-36] + uuid.NewString()
		if _, err := m.client.RequestManageLink(ctx, &recurringv1.RequestManageLinkRequest{Name: missing}); err != nil {
			t.Error(err)
		}
		if len(box.Mails()) != before {
			t.Error("a mail was sent")
		}
	})
}

func TestWithoutMailThereAreNoLinks(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	m := startMonthly(t, e, "vallon")
	_, err := m.client.RequestManageLink(t.Context(), &recurringv1.RequestManageLinkRequest{Name: m.name()})
	wantError(t, err, codes.FailedPrecondition, "MAIL_NOT_CONFIGURED", "")
}

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
	before := len(linkMails(box))
	if _, err := m.client.RequestManageLink(t.Context(), &recurringv1.RequestManageLinkRequest{Name: m.name()}); err != nil {
		t.Fatal(err)
	}
	m.e.Eventually("the link is mailed", func() bool { return len(linkMails(box)) > before })
	got := linkMails(box)[before]
	if got.To != "donor@example.org" || !strings.Contains(got.Text, m.e.URL+"/c/"+m.slug+"/avocate/monthly/") {
		t.Fatalf("the mail is %+v", got)
	}
	// The names stand after the link alone.
	first, last, _ := strings.Cut(got.Text, "?")
	if said := got.Subject() + first; strings.Contains(said, "caméras") || strings.Contains(said, "Une avocate") {
		t.Errorf("the mail tells who reads over a shoulder what is given to: %q", said)
	}
	if !strings.Contains(last, "Une avocate") || !strings.Contains(last, "caméras") {
		t.Errorf("the mail does not say which donation it is about: %q", last)
	}
	return tokenIn(t, got)
}

// linkMails are the mails with a link that has a token.
func linkMails(box *mailtest.Server) (links []mailtest.Mail) {
	for _, m := range box.Mails() {
		if strings.Contains(m.Text, "token=") {
			links = append(links, m)
		}
	}
	return links
}

func tokenIn(t *testing.T, m mailtest.Mail) string {
	t.Helper()
	link, err := url.Parse(regexp.MustCompile(`http\S+`).FindString(m.Text))
	if err != nil {
		t.Fatal(err)
	}
	return link.Query().Get("token")
}

// The mail at the start is sent once, whichever of Stripe's facts come how often, and leads to the page without a token.
func TestADonorIsToldAtTheStartHowToManageAMonthlyDonation(t *testing.T) {
	box := mailtest.Start(t)
	e := apptest.Start(t, apptest.Config{SMTPURL: box.URL()})
	m := payMonthly(t, e, "vallon")
	m.wantBooked(1, 20_00)
	e.Eventually("the mail comes", func() bool { return len(box.Mails()) > 0 })
	m.nextMonth()
	m.wantBooked(2, 40_00)
	mails := box.Mails()
	if len(mails) != 1 {
		t.Fatalf("%d mails, want 1", len(mails))
	}
	got := mails[0]
	page := e.URL + "/c/vallon/avocate/monthly/" + m.name()[len(m.name())-36:] + "?lang=fr\n"
	if got.To != "donor@example.org" || got.Subject() != "Votre don mensuel est en place" || !strings.Contains(got.Text, page) ||
		!strings.Contains(got.Text, "20,00\u00a0€ par mois pour la collecte") {
		t.Errorf("the mail is %+v", got)
	}
	if first, _, _ := strings.Cut(got.Text, "http"); strings.Contains(first, "avocate") {
		t.Errorf("a locked screen tells what is given to: %q", first)
	}
}

func TestADonorFindsMonthlyDonationsByAnAddress(t *testing.T) {
	box := mailtest.Start(t)
	e := apptest.Start(t, apptest.Config{SMTPURL: box.URL()})
	m := payMonthly(t, e, "vallon")
	other := payMonthly(t, e, "other")
	m.wantBooked(1, 20_00)
	other.wantBooked(1, 20_00)
	m.becomes("it runs", func(r *recurringv1.RecurringDonation) bool { return r.GetState() == recurringActive })
	ask := func(collective, email string) error {
		_, err := m.client.RequestManageLinks(t.Context(), &recurringv1.RequestManageLinksRequest{Parent: collective, Email: email})
		return err
	}
	t.Run("capitals do not matter, and only the collective's are mailed", func(t *testing.T) {
		if err := ask("collectives/vallon", "Donor@Example.org"); err != nil {
			t.Fatal(err)
		}
		e.Eventually("the link is mailed", func() bool { return len(linkMails(box)) == 1 })
		opened, err := m.client.RedeemManageLink(t.Context(), &recurringv1.RedeemManageLinkRequest{Name: m.name(), Token: tokenIn(t, linkMails(box)[0])})
		if err != nil || opened.GetRecurringDonation().GetName() != m.name() {
			t.Errorf("the link opens %v, %v", opened, err)
		}
	})
	t.Run("the answer is the same for an address that nobody gave", func(t *testing.T) {
		for _, collective := range []string{"collectives/vallon", "collectives/nowhere"} {
			if err := ask(collective, "nobody@example.org"); err != nil {
				t.Errorf("%s: %v", collective, err)
			}
		}
		if n := len(linkMails(box)); n != 1 {
			t.Errorf("%d links were mailed", n)
		}
	})
	t.Run("an address that is none is refused, and not repeated", func(t *testing.T) {
		err := ask("collectives/vallon", "somebody at example")
		wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "email")
		if strings.Contains(err.Error(), "somebody") {
			t.Errorf("the error repeats the address: %v", err)
		}
	})
	t.Run("one address is limited, known or not", func(t *testing.T) {
		for _, email := range []string{"donor@example.org", "nobody@example.org"} {
			let := 0
			for range 5 {
				err := ask("collectives/vallon", email)
				if !allowed(t, err) {
					wantError(t, err, codes.ResourceExhausted, "TOO_MANY_LINKS", "")
					break
				}
				let++
			}
			if let != 2 { // one was let through above
				t.Errorf("%s was let through %d times more", email, let)
			}
		}
	})
}

func TestADonorManagesAMonthlyDonationByALink(t *testing.T) {
	box := mailtest.Start(t)
	e := apptest.Start(t, apptest.Config{SMTPURL: box.URL()})
	m := payMonthly(t, e, "vallon")
	m.wantBooked(1, 20_00)
	ctx := t.Context()

	token := openLink(t, m, box)
	show := func(token string) error {
		_, err := m.client.ShowRecurringDonation(ctx, &recurringv1.ShowRecurringDonationRequest{Name: m.name(), ManageToken: token})
		return err
	}
	wantError(t, show(token), codes.FailedPrecondition, "LINK_UNOPENED", "")
	_, err := m.client.StopRecurringDonation(ctx, &recurringv1.StopRecurringDonationRequest{Name: m.name(), ManageToken: token})
	wantError(t, err, codes.FailedPrecondition, "MANAGE_TOKEN_INVALID", "")
	wantError(t, show("another"), codes.FailedPrecondition, "MANAGE_TOKEN_INVALID", "")
	// Twice, since a browser may lose the first answer.
	for range 2 {
		opened, err := m.client.RedeemManageLink(ctx, &recurringv1.RedeemManageLinkRequest{Name: m.name(), Token: token})
		if err != nil || opened.GetRecurringDonation().GetName() != m.name() || opened.GetManageToken() != token {
			t.Fatalf("the link opens %v, %v", opened, err)
		}
	}
	if err := show(token); err != nil {
		t.Errorf("an open link shows %v", err)
	}
	page := token
	refused := func(what, reason string, err error) {
		t.Helper()
		t.Run(what, func(t *testing.T) { wantError(t, err, codes.FailedPrecondition, reason, "") })
	}
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
	_, err = m.client.RedeemManageLink(ctx, &recurringv1.RedeemManageLinkRequest{Name: m.name(), Token: token})
	refused("and its link is spent", "LINK_INVALID", err)

	opened, err := m.client.RedeemManageLink(ctx, &recurringv1.RedeemManageLinkRequest{Name: m.name(), Token: openLink(t, m, box)})
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
		before := len(linkMails(box))
		missing := m.name()[:len(m.name())-36] + uuid.NewString()
		if _, err := m.client.RequestManageLink(ctx, &recurringv1.RequestManageLinkRequest{Name: missing}); err != nil {
			t.Error(err)
		}
		if len(linkMails(box)) != before {
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

package app_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

const endedAtStripe = recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_AT_STRIPE

// endings are the kinds of the collective's notices of monthly donations that ended.
func endings(t *testing.T, e *apptest.Env, key, collective string) (kinds []string) {
	t.Helper()
	told, err := noticesv1.NewNoticesServiceClient(e.Conn).ListNotices(apptest.WithKey(t.Context(), key),
		&noticesv1.ListNoticesRequest{Parent: collective})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range told.GetNotices() {
		if strings.HasPrefix(n.GetKind(), "recurring_ended") {
			if n.GetStartTime() == nil || n.GetAmount().GetAmountMinor() != 20_00 || n.GetSubject() == "" {
				t.Errorf("the notice says %v", n)
			}
			kinds = append(kinds, n.GetKind())
		}
	}
	return kinds
}

// A donor's stop is pending while the collective's account is disconnected, said to be, and done once it is connected
// again: at Stripe once, however often it was asked for.
func TestAStopIsKeptWhileTheAccountIsDisconnected(t *testing.T) {
	box := mailtest.Start(t)
	e := apptest.Start(t, apptest.Config{SMTPURL: box.URL()})
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		g := givenTo(t, e, conn)
		name := g.month.GetRecurringDonation()
		slug := strings.TrimPrefix(g.collective, "collectives/")
		client := recurringv1.NewRecurringServiceClient(conn)
		opened, err := client.RedeemManageLink(t.Context(), &recurringv1.RedeemManageLinkRequest{
			Name: name, Token: openLink(t, &months{t: t, e: e, slug: slug, client: client, first: g.month}, box),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Sim.Deauthorize(g.account); err != nil {
			t.Fatal(err)
		}
		e.Eventually("it is known", func() bool { return !connection(t, conn, g.owner, g.collective).GetConnected() })
		_, err = client.RequestManageLink(t.Context(), &recurringv1.RequestManageLinkRequest{Name: name})
		wantError(t, err, codes.FailedPrecondition, "STRIPE_ACCOUNT_DISCONNECTED", "")
		for range 2 {
			r, err := client.StopRecurringDonation(t.Context(), &recurringv1.StopRecurringDonationRequest{Name: name, ManageToken: opened.GetManageToken()})
			if err != nil || r.GetState() != recurringActive || !r.GetChangePending() || !r.GetAccountDisconnected() || r.GetNextDebitTime() != nil {
				t.Fatalf("stopped: %v, %v", r, err)
			}
		}
		page := e.URL + "/c/" + slug + "/avocate/monthly/" + name[len(name)-36:]
		_, to := browse(t, page+"/stop?lang=en", url.Values{"token": {opened.GetManageToken()}})
		text, _ := browse(t, e.URL+to, nil)
		for _, want := range []string{"Your request to stop has been saved", "as soon as it is connected again"} {
			if !strings.Contains(text, want) {
				t.Errorf("the page does not say %q: %s", want, text)
			}
		}
		if n := deletions(e, g.account); n != 0 {
			t.Errorf("Stripe was told %d times", n)
		}
		if err := e.Sim.Authorize(g.account); err != nil {
			t.Fatal(err)
		}
		e.Eventually("it is connected again", func() bool { return connection(t, conn, g.owner, g.collective).GetConnected() })
		e.StopApp() // the timer of upkeep begins with the program
		startAsLeader(t, e)
		e.Eventually("it ended", func() bool {
			r, err := recurringv1.NewRecurringServiceClient(e.Conn).GetRecurringDonation(apptest.WithKey(t.Context(), g.owner),
				&recurringv1.GetRecurringDonationRequest{Name: name})
			return err == nil && r.GetState() == recurringCanceled && !r.GetChangePending() &&
				r.GetEndReason() == recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_DONOR
		})
		if n := deletions(e, g.account); n != 1 {
			t.Errorf("Stripe was told %d times", n)
		}
		if told := endings(t, e, g.owner, g.collective); len(told) != 1 || told[0] != "recurring_ended_by_donor" {
			t.Errorf("members are told %v", told)
		}
	})
}

func deletions(e *apptest.Env, account string) (n int) {
	for _, r := range e.Sim.Requests() {
		if r.Method == http.MethodDelete && strings.HasPrefix(r.Path, "/v1/subscriptions/") && r.Account == account {
			n++
		}
	}
	return n
}

// What members set in Stripe's dashboard is told, however its events come.
func TestWhatIsSetInTheDashboardIsTold(t *testing.T) {
	box := mailtest.Start(t)
	e := apptest.Start(t, apptest.Config{SMTPURL: box.URL()})
	for name, delivery := range map[string]stripesim.Delivery{
		"at once": {}, "twice": {Twice: true}, "in any order": {Shuffle: true, Twice: true, Seed: 7},
	} {
		t.Run(name, func(t *testing.T) {
			slug := "vallon-" + strings.ReplaceAll(name, " ", "-")
			m := payMonthly(t, e, slug)
			m.wantBooked(1, 20_00)
			e.Sim.SetDelivery(delivery)
			t.Cleanup(func() { e.Sim.SetDelivery(stripesim.Delivery{}) })
			end := m.atStripe().PeriodEnd
			resumes, cancels := end.AddDate(0, 0, -3), end.AddDate(0, 1, 3)
			for _, err := range []error{
				e.Sim.PauseCollection(m.subscription, stripesim.PauseVoidsInvoices, time.Time{}),
				e.Sim.CancelAt(m.subscription, cancels),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			m.becomes("it is paused, and ends on a day", func(r *recurringv1.RecurringDonation) bool {
				return r.GetPaused() && r.GetResumeTime() == nil && r.GetNextDebitTime() == nil && !r.GetCancelAtPeriodEnd() &&
					r.GetCancelTime().AsTime().Equal(cancels) && r.GetEndReason() == endedAtStripe && r.GetState() == recurringActive
			})
			if err := e.Sim.PauseCollection(m.subscription, stripesim.PauseVoidsInvoices, resumes); err != nil {
				t.Fatal(err)
			}
			m.becomes("the pause has an end", func(r *recurringv1.RecurringDonation) bool {
				return r.GetPaused() && r.GetResumeTime().AsTime().Equal(resumes) && r.GetNextDebitTime().AsTime().Equal(end)
			})
			page := e.URL + "/c/" + slug + "/avocate/monthly/" + m.name()[len(m.name())-36:]
			_, to := browse(t, page+"/open?lang=en", url.Values{"token": {openLink(t, m, box)}})
			text, _ := browse(t, e.URL+to, nil)
			for _, want := range []string{"It is paused until", "Next donation:", "It ends on", "This end was requested from Stripe.", "Stop my monthly donation", "Change the amount"} {
				if !strings.Contains(text, want) {
					t.Errorf("the page does not say %q: %s", want, text)
				}
			}
			e.Clock.Set(resumes.Add(time.Minute))
			m.becomes("the pause is over", func(r *recurringv1.RecurringDonation) bool { return !r.GetPaused() && r.GetResumeTime() == nil })
			m.nextMonth()
			m.wantBooked(2, 40_00)
			m.nextMonth()
			m.wantBooked(3, 60_00)
			m.becomes("no other month is taken", func(r *recurringv1.RecurringDonation) bool {
				return r.GetNextDebitTime() == nil && r.GetCancelAtPeriodEnd() && r.GetState() == recurringActive
			})
			e.Clock.Set(cancels.Add(time.Minute))
			m.becomes("it ended", func(r *recurringv1.RecurringDonation) bool {
				return r.GetState() == recurringCanceled && r.GetEndReason() == endedAtStripe && r.GetEndTime().AsTime().Equal(cancels)
			})
			if told := endings(t, e, m.owner, "collectives/"+slug); len(told) != 1 || told[0] != "recurring_ended_at_stripe" {
				t.Errorf("members are told %v", told)
			}
			m.wantBooked(3, 60_00)
		})
	}
}

// A link opens its monthly donation once, and a read that fails is no opening.
func TestALinkIsNotSpentByAFailingRead(t *testing.T) {
	box := mailtest.Start(t)
	e := apptest.Start(t, apptest.Config{SMTPURL: box.URL()})
	m := payMonthly(t, e, "vallon")
	m.wantBooked(1, 20_00)
	m.becomes("its next debit is known", func(r *recurringv1.RecurringDonation) bool { return r.GetNextDebitTime() != nil })
	page := e.URL + "/c/vallon/avocate/monthly/" + m.name()[len(m.name())-36:]
	token := openLink(t, m, box)
	owner, err := pgx.Connect(t.Context(), e.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.WithoutCancel(t.Context()))
	rename := func(from, to string) {
		t.Helper()
		if _, err := owner.Exec(t.Context(), "ALTER TABLE campaigns."+from+" RENAME TO "+to); err != nil {
			t.Fatal(err)
		}
	}
	rename("campaigns", "gone")
	for range 2 {
		_, err := m.client.RedeemManageLink(t.Context(), &recurringv1.RedeemManageLinkRequest{Name: m.name(), Token: token})
		if code := status.Code(err); err == nil || code == codes.FailedPrecondition {
			t.Fatalf("the link answers %v", err)
		}
	}
	rename("gone", "campaigns")
	_, to := browse(t, page+"/open", url.Values{"token": {token}})
	text, _ := browse(t, e.URL+to, nil)
	if !strings.Contains(text, "/change") {
		t.Errorf("the link opens %s", text)
	}
}

package app_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	connectv1 "github.com/cagnotte/cagnotte/proto/cagnotte/connect/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

func onboard(t *testing.T, conn grpc.ClientConnInterface, key, collective, requestID string) (*connectv1.OnboardingLink, error) {
	t.Helper()
	return connectv1.NewConnectServiceClient(conn).StartOnboarding(apptest.WithKey(t.Context(), key),
		&connectv1.StartOnboardingRequest{Name: collective + "/connection", RequestId: requestID})
}

func connection(t *testing.T, conn grpc.ClientConnInterface, key, collective string) *connectv1.Connection {
	t.Helper()
	k, err := connectv1.NewConnectServiceClient(conn).GetConnection(apptest.WithKey(t.Context(), key),
		&connectv1.GetConnectionRequest{Name: collective + "/connection"})
	if err != nil {
		t.Fatalf("connection of %s: %v", collective, err)
	}
	return k
}

// connected gives a collective an account that takes payments, and returns its id.
func connected(t *testing.T, e *apptest.Env, owner, collective string) string {
	t.Helper()
	if _, err := onboard(t, e.Conn, owner, collective, uuid.NewString()); err != nil {
		t.Fatalf("open an account for %s: %v", collective, err)
	}
	account := connection(t, e.Conn, owner, collective).GetStripeAccount()
	if err := e.Sim.CompleteOnboarding(account); err != nil {
		t.Fatal(err)
	}
	e.Eventually("the account takes payments", func() bool { return connection(t, e.Conn, owner, collective).GetChargesEnabled() })
	return account
}

// refusedDonation wants a donation to be refused for a reason.
func refusedDonation(t *testing.T, conn grpc.ClientConnInterface, campaign, reason string) {
	t.Helper()
	_, err := donationsv1.NewDonationsServiceClient(conn).CreateDonation(t.Context(), donationTo(campaign))
	wantError(t, err, codes.FailedPrecondition, reason, "")
}

// follow opens an address as a browser does, and answers where it leads to next.
func follow(t *testing.T, method, url string) (status int, location, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(text)
}

// Stripe remembers a failure of its own under an idempotency key, for a day.
func TestAFailureOfStripesDoesNotKeepALinkFromItsRequest(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	_, owner := e.Campaign("vallon")
	requestID := uuid.NewString()
	e.Sim.AddFault(stripesim.Fault{Method: http.MethodPost, PathPrefix: "/v1/account_links", Times: 1, Status: http.StatusInternalServerError})
	if _, err := onboard(t, e.Conn, owner, "collectives/vallon", requestID); status.Code(err) != codes.Unavailable {
		t.Fatalf("Stripe fails, and the answer is %v", err)
	}
	link, err := onboard(t, e.Conn, owner, "collectives/vallon", requestID)
	if err != nil {
		t.Fatal(err)
	}
	again, err := onboard(t, e.Conn, owner, "collectives/vallon", requestID)
	if err != nil || !proto.Equal(link, again) {
		t.Errorf("the same request: %v, %v; want %v", again, err, link)
	}
}

func TestFromNoAccountToTheFirstDonation(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		slug := "hosted-" + strings.ToLower(strings.TrimPrefix(t.Name(), "TestFromNoAccountToTheFirstDonation/"))
		collective := "collectives/" + slug
		campaign, owner := e.Campaign(slug)
		_, err := collectivesv1.NewCollectivesServiceClient(conn).UpdateCollective(apptest.WithKey(t.Context(), e.OperatorKey),
			&collectivesv1.UpdateCollectiveRequest{
				Collective: &collectivesv1.Collective{Name: collective, DisplayName: "Vallon", OwnAccountRequired: true},
				UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"own_account_required"}},
			})
		if err != nil {
			t.Fatal(err)
		}
		refusedDonation(t, conn, campaign, "STRIPE_ACCOUNT_NOT_READY")
		if k := connection(t, conn, owner, collective); k.GetStripeAccount() != "" || k.GetChargesEnabled() || k.GetReadTime() != nil {
			t.Errorf("before: %v", k)
		}
		_, err = onboard(t, conn, e.Key(collective, accessv1.Role_ROLE_TREASURER), collective, uuid.NewString())
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")

		requestID := uuid.NewString()
		link, err := onboard(t, conn, owner, collective, requestID)
		if err != nil {
			t.Fatal(err)
		}
		again, err := onboard(t, conn, owner, collective, requestID)
		if err != nil || !proto.Equal(link, again) {
			t.Errorf("the same request: %v, %v; want %v", again, err, link)
		}
		other, err := onboard(t, conn, e.OperatorKey, collective, uuid.NewString())
		if err != nil || other.GetUrl() == link.GetUrl() {
			t.Errorf("another request: %v, %v", other, err)
		}
		k := connection(t, conn, owner, collective)
		account := k.GetStripeAccount()
		if account == "" || k.GetChargesEnabled() || k.GetPayoutsEnabled() || k.GetDetailsSubmitted() || !k.GetConnected() ||
			len(k.GetRequirementsDue()) == 0 || k.GetDisabledReason() != "requirements.past_due" || k.GetReadTime() == nil || k.GetLivemode() {
			t.Errorf("while it is filled in: %v", k)
		}
		refusedDonation(t, conn, campaign, "STRIPE_ACCOUNT_NOT_READY")

		// A person follows the link, twice, and finishes.
		if status, _, _ := follow(t, http.MethodGet, link.GetUrl()); status != http.StatusOK {
			t.Fatalf("the link answers %d", status)
		}
		_, expired, _ := follow(t, http.MethodGet, link.GetUrl())
		_, back, _ := follow(t, http.MethodPost, link.GetUrl())
		for path, url := range map[string]string{"/stripe/expired": expired, "/stripe/back": back} {
			if url != e.URL+path {
				t.Errorf("Stripe leads to %q, want %s", url, path)
			}
			if status, _, body := follow(t, http.MethodGet, url); status != http.StatusOK || strings.Contains(body, account) {
				t.Errorf("%s answers %d", path, status)
			}
		}
		e.Eventually("the account takes payments", func() bool {
			k = connection(t, conn, owner, collective)
			return k.GetChargesEnabled() && k.GetPayoutsEnabled() && k.GetDetailsSubmitted() && len(k.GetRequirementsDue()) == 0
		})

		d := give(t, conn, donationTo(campaign))
		sessions := e.Sim.Sessions(account)
		if len(sessions) != 1 || sessions[0].URL != d.GetCheckoutUrl() {
			t.Fatalf("sessions of the account: %v", sessions)
		}
		if err := e.Sim.Pay(sessions[0].ID, stripesim.CardOK); err != nil {
			t.Fatal(err)
		}
		e.Eventually("the donation is booked", func() bool {
			settled, _ := progress(t, e.Conn, campaign)
			return settled == 20_00
		})
		_, err = collectivesv1.NewCollectivesServiceClient(conn).UpdateCollective(apptest.WithKey(t.Context(), e.OperatorKey),
			&collectivesv1.UpdateCollectiveRequest{
				Collective: &collectivesv1.Collective{Name: collective, DisplayName: "Vallon"},
				UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"stripe_account"}},
			})
		wantError(t, err, codes.FailedPrecondition, "STRIPE_ACCOUNT_IN_USE", "")
		if _, err := onboard(t, conn, owner, collective, uuid.NewString()); err != nil {
			t.Errorf("a link to an account in use: %v", err)
		}
	})
	t.Run("each account is made once, under one key", func(t *testing.T) {
		made := map[string]int{}
		for _, r := range e.Sim.Requests() {
			if r.Method == http.MethodPost && r.Path == "/v1/accounts" {
				made[r.IdempotencyKey]++
			}
		}
		if len(made) != 2 {
			t.Errorf("keys of %v", made)
		}
	})
	t.Run("whose donations went to the platform keeps its account", func(t *testing.T) {
		campaign, owner := e.Campaign("plateforme")
		give(t, e.Conn, donationTo(campaign))
		_, err := onboard(t, e.Conn, owner, "collectives/plateforme", uuid.NewString())
		wantError(t, err, codes.FailedPrecondition, "STRIPE_ACCOUNT_IN_USE", "")
	})
	t.Run("a lost answer of Stripe's makes no second account", func(t *testing.T) {
		_, owner := e.Campaign("perdue")
		e.Sim.AddFault(stripesim.Fault{Method: http.MethodPost, PathPrefix: "/v1/accounts", Times: 1, LoseReply: true})
		request := uuid.NewString()
		_, first := onboard(t, e.Conn, owner, "collectives/perdue", request)
		if _, err := onboard(t, e.Conn, owner, "collectives/perdue", request); err != nil {
			t.Errorf("after %v: %v", first, err)
		}
		keys := map[string]bool{}
		for _, r := range e.Sim.Requests() {
			if r.Method == http.MethodPost && r.Path == "/v1/accounts" && strings.Contains(string(r.Body), "perdue") {
				keys[r.IdempotencyKey] = true
			}
		}
		if len(keys) != 1 {
			t.Errorf("keys: %v", keys)
		}
	})
}

func TestWhatAConnectedAccountMayDo(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, owner := e.Campaign("vallon")
	account := connected(t, e, owner, "collectives/vallon")
	kinds := func() (open []string) {
		resp, err := noticesv1.NewNoticesServiceClient(e.Conn).ListNotices(apptest.WithKey(t.Context(), owner),
			&noticesv1.ListNoticesRequest{Parent: "collectives/vallon", Unacknowledged: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range resp.GetNotices() {
			// Not what members did, who are told of that as well.
			if n.GetKind() == "onboarding_needed" || n.GetKind() == "stripe_disconnected" {
				open = append(open, n.GetKind())
			}
		}
		return open
	}
	set := func(state stripesim.AccountState) {
		t.Helper()
		if err := e.Sim.SetAccountState(account, state); err != nil {
			t.Fatal(err)
		}
	}
	good := stripesim.AccountState{ChargesEnabled: true, PayoutsEnabled: true, DetailsSubmitted: true}
	stopped := stripesim.AccountState{
		DetailsSubmitted: true, CurrentlyDue: []string{"external_account"}, DisabledReason: "requirements.past_due",
		Deadline: e.Clock.Now().Add(48 * time.Hour),
	}

	t.Run("what Stripe wants to know is told once", func(t *testing.T) {
		set(stopped)
		e.Eventually("donations are refused", func() bool { return !connection(t, e.Conn, owner, "collectives/vallon").GetChargesEnabled() })
		refusedDonation(t, e.Conn, campaign, "STRIPE_ACCOUNT_NOT_READY")
		k := connection(t, e.Conn, owner, "collectives/vallon")
		if diff := cmp.Diff([]string{"external_account"}, k.GetRequirementsDue()); diff != "" ||
			k.GetRequirementsDeadline().AsTime().Unix() != stopped.Deadline.Unix() {
			t.Errorf("got %v", k)
		}
		set(stopped)
		set(good)
		set(stopped)
		set(good)
		e.Eventually("donations are taken again", func() bool { return connection(t, e.Conn, owner, "collectives/vallon").GetChargesEnabled() })
		if diff := cmp.Diff([]string{"onboarding_needed"}, kinds()); diff != "" {
			t.Errorf("notices (-want +got)\n%s", diff)
		}
	})
	t.Run("in whatever order the events come, the state is Stripe's", func(t *testing.T) {
		e.Sim.SetDelivery(stripesim.Delivery{Hold: true})
		set(stopped)
		set(good)
		e.Sim.SetDelivery(stripesim.Delivery{Shuffle: true, Twice: true})
		events := e.Sim.Events(account)
		for _, event := range events {
			if event.Type == "account.updated" {
				if err := e.Sim.Redeliver(event.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := e.Sim.WaitDelivered(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.Sim.SetDelivery(stripesim.Delivery{})
		e.Eventually("donations are taken", func() bool { return connection(t, e.Conn, owner, "collectives/vallon").GetChargesEnabled() })
		give(t, e.Conn, donationTo(campaign))
	})
	t.Run("one that is disconnected takes nothing, and its books stay", func(t *testing.T) {
		d := give(t, e.Conn, donationTo(campaign))
		for _, s := range e.Sim.Sessions(account) {
			if s.URL == d.GetCheckoutUrl() {
				if err := e.Sim.Pay(s.ID, stripesim.CardOK); err != nil {
					t.Fatal(err)
				}
			}
		}
		e.Eventually("the donation is booked", func() bool {
			settled, _ := progress(t, e.Conn, campaign)
			return settled == 20_00
		})
		before := balances(t, e.Conn, owner, "collectives/vallon")
		if err := e.Sim.Deauthorize(account); err != nil {
			t.Fatal(err)
		}
		e.Eventually("it is known", func() bool { return !connection(t, e.Conn, owner, "collectives/vallon").GetConnected() })
		refusedDonation(t, e.Conn, campaign, "STRIPE_ACCOUNT_DISCONNECTED")
		_, err := onboard(t, e.Conn, owner, "collectives/vallon", uuid.NewString())
		wantError(t, err, codes.FailedPrecondition, "STRIPE_ACCOUNT_DISCONNECTED", "")
		if diff := cmp.Diff(before, balances(t, e.Conn, owner, "collectives/vallon")); diff != "" || len(before) == 0 {
			t.Errorf("the books (-before +after)\n%s", diff)
		}
		if diff := cmp.Diff([]string{"stripe_disconnected", "onboarding_needed"}, kinds()); diff != "" {
			t.Errorf("notices (-want +got)\n%s", diff)
		}
	})
	t.Run("what no event told is found by the daily look", func(t *testing.T) {
		e.Sim.SetDelivery(stripesim.Delivery{Drop: true})
		if err := e.Sim.Authorize(account); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(25 * time.Hour)
		// The look comes with the start of the program too.
		e.StopApp()
		e.StartApp()
		e.Eventually("it is connected again", func() bool { return connection(t, e.Conn, owner, "collectives/vallon").GetConnected() })
		give(t, e.Conn, donationTo(campaign))

		if err := e.Sim.Deauthorize(account); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(25 * time.Hour)
		e.StopApp()
		e.StartApp()
		e.Eventually("it is known to be disconnected", func() bool { return !connection(t, e.Conn, owner, "collectives/vallon").GetConnected() })
	})
}

func TestTwoAccountsDoNotSeeEachOther(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaigns, accounts, owners := map[string]string{}, map[string]string{}, map[string]string{}
	for _, slug := range []string{"vallon", "marseille"} {
		campaigns[slug], owners[slug] = e.Campaign(slug)
		accounts[slug] = connected(t, e, owners[slug], "collectives/"+slug)
	}
	own, _ := e.Campaign("plateforme")
	platform := give(t, e.Conn, donationTo(own))
	pay(t, e, platform)
	from := len(e.Sim.Requests())
	for slug, amount := range map[string]int64{"vallon": 20_00, "marseille": 50_00} {
		req := donationTo(campaigns[slug])
		req.Donation.Amount = apptest.Euros(amount)
		give(t, e.Conn, req)
		sessions := e.Sim.Sessions(accounts[slug])
		if len(sessions) != 1 {
			t.Fatalf("%s has %d sessions", slug, len(sessions))
		}
		if err := e.Sim.Pay(sessions[0].ID, stripesim.CardOK); err != nil {
			t.Fatal(err)
		}
	}
	for slug, amount := range map[string]int64{"vallon": 20_00, "marseille": 50_00} {
		e.Eventually("the donation of "+slug+" is booked", func() bool {
			settled, _ := progress(t, e.Conn, campaigns[slug])
			return settled == amount
		})
		// The donation and nothing of the other's: 1.5 % + 0.25 € is the fee.
		books := balances(t, e.Conn, owners[slug], "collectives/"+slug)
		if books["75411"] != -amount || books["627"] != amount*15/1000+25 {
			t.Errorf("the books of %s: %v", slug, books)
		}
	}
	// Every call about a donation of a connected account carries its header, and none about another's.
	sessions := map[string]string{}
	for slug := range campaigns {
		for _, s := range e.Sim.Sessions(accounts[slug]) {
			sessions[s.ID] = accounts[slug]
		}
	}
	seen := map[string]bool{}
	for _, r := range e.Sim.Requests()[from:] {
		seen[r.Account] = true
		for id, account := range sessions {
			if strings.Contains(r.Path, id) && r.Account != account {
				t.Errorf("%s %s of account %q", r.Method, r.Path, r.Account)
			}
		}
		if r.Status >= 400 {
			t.Errorf("%s %s of account %q was answered %d", r.Method, r.Path, r.Account, r.Status)
		}
	}
	if !seen[accounts["vallon"]] || !seen[accounts["marseille"]] {
		t.Errorf("calls for %v", seen)
	}
}

// TestASharedAccountIsTheOperatorsToOpen: whoever follows a link sets where donations are paid out, those of others too.
func TestASharedAccountIsTheOperatorsToOpen(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	_, owner := e.Campaign("vallon")
	_, guest := e.Campaign("guest")
	account := connected(t, e, owner, "collectives/vallon")
	_, err := collectivesv1.NewCollectivesServiceClient(e.Conn).UpdateCollective(apptest.WithKey(t.Context(), e.OperatorKey),
		&collectivesv1.UpdateCollectiveRequest{
			Collective: &collectivesv1.Collective{Name: "collectives/guest", DisplayName: "Guest", StripeAccount: account},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"stripe_account"}},
		})
	if err != nil {
		t.Fatal(err)
	}
	for key, collective := range map[string]string{owner: "collectives/vallon", guest: "collectives/guest"} {
		_, err := onboard(t, e.Conn, key, collective, uuid.NewString())
		wantError(t, err, codes.FailedPrecondition, "ACCOUNT_SHARED", "")
		if _, err := onboard(t, e.Conn, e.OperatorKey, collective, uuid.NewString()); err != nil {
			t.Errorf("the operator: %v", err)
		}
	}
}

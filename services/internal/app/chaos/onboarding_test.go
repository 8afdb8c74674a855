package chaos_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	connectv1 "github.com/cagnotte/cagnotte/proto/cagnotte/connect/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// accountSteps are the events of the collective's account at Stripe.
func (h *history) accountSteps() []step {
	return []step{
		{"the owner asks for a link into Stripe's form", 1, func() { h.startOnboarding(uuid.NewString()) }},
		{"the owner fills in Stripe's form", 2, h.fillInForm},
		{"Stripe wants to know something", 1, h.wantToKnow},
		{"Stripe has learned what it wanted", 2, func() { h.setAccount(accountComplete) }},
		{"the account is disconnected, or connected again", 2, h.turnConnection},
	}
}

// accountComplete is the state of an account of which Stripe requires nothing.
var accountComplete = stripesim.AccountState{ChargesEnabled: true, PayoutsEnabled: true, DetailsSubmitted: true}

// setAccount changes the account's state at Stripe. The event may get lost.
func (h *history) setAccount(state stripesim.AccountState) {
	h.must(h.Sim.SetAccountState(h.account, state))
	h.accountState = state
	h.wasUnready = h.wasUnready || !state.ChargesEnabled
}

// wantToKnow makes Stripe require information. For some of it Stripe accepts no payments meanwhile.
func (h *history) wantToKnow() {
	h.setAccount(stripesim.AccountState{
		ChargesEnabled: h.dice.IntN(2) == 0, PayoutsEnabled: h.dice.IntN(2) == 0, DetailsSubmitted: h.accountState.DetailsSubmitted,
		CurrentlyDue:   [][]string{{"external_account"}, {"representative.first_name", "business_profile.url"}}[h.dice.IntN(2)],
		DisabledReason: "requirements.past_due", Deadline: h.Clock.Now().Add(240 * time.Hour).Truncate(time.Second),
	})
}

// openAccount lets the program create the collective's account despite faults. One account must be created.
func (h *history) openAccount() {
	h.t.Helper()
	for range h.dice.IntN(3) {
		h.fault()
	}
	request := uuid.NewString()
	if h.dice.IntN(2) == 0 {
		h.killDuring(func() { h.startOnboarding(request) }, 30)
	}
	for deadline := time.Now().Add(settleTime); h.link == ""; {
		h.startOnboarding(request)
		if time.Now().After(deadline) {
			h.t.Fatal("the owner is not answered")
		}
	}
	h.account = strings.Split(strings.TrimPrefix(h.link, h.SimURL), "/")[2]
	h.accountState = stripesim.AccountState{}
	h.wasUnready = true
	if made := h.Sim.AccountsMade("collective", h.slug); !slices.Equal(made, []string{h.account}) {
		h.t.Errorf("the collective's account is %s; made for it were %v", h.account, made)
	}
}

// startOnboarding asks for a link. The same request must return the same link.
func (h *history) startOnboarding(request string) {
	ctx, cancel := context.WithTimeout(apptest.WithKey(h.t.Context(), h.owner), 12*time.Second)
	defer cancel()
	req := &connectv1.StartOnboardingRequest{Name: "collectives/" + h.slug + "/connection", RequestId: request}
	link, err := connectv1.NewConnectServiceClient(h.rest).StartOnboarding(ctx, req)
	switch {
	case err == nil:
		h.link = link.GetUrl()
		again, err := connectv1.NewConnectServiceClient(h.rest).StartOnboarding(ctx, req)
		if err == nil && again.GetUrl() != h.link {
			h.t.Errorf("one request has two links, %s and %s", h.link, again.GetUrl())
		}
	// The program's state of the connection may be older.
	case h.unanswered(err), h.wasDisconnected && status.Code(err) == codes.FailedPrecondition:
		h.note("  … %s", reasonOf(err))
	default:
		h.t.Fatalf("a link was refused: %v", err)
	}
}

// fillInForm opens the last link, which works once and for some minutes, and completes the form.
func (h *history) fillInForm() {
	if h.link == "" {
		return
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		req, err := http.NewRequestWithContext(h.t.Context(), method, h.link, nil)
		h.must(err)
		resp, err := http.DefaultTransport.RoundTrip(req)
		h.must(err)
		resp.Body.Close()
		if method == http.MethodGet && resp.StatusCode != http.StatusOK {
			h.note("  … too late")
			return
		}
	}
	if !h.accountState.DetailsSubmitted {
		h.accountState = accountComplete
	}
}

// compareConnection checks that the program has the account's state.
func (h *history) compareConnection(ctx context.Context) string {
	k, err := connectv1.NewConnectServiceClient(h.rest).GetConnection(ctx, &connectv1.GetConnectionRequest{
		Name: "collectives/" + h.slug + "/connection",
	})
	if err != nil {
		return fmt.Sprintf("the connection cannot be read: %v", err)
	}
	type connection struct {
		Account   string
		Connected bool
		State     stripesim.AccountState
	}
	want := connection{h.account, true, h.accountState}
	want.State.CurrentlyDue = slices.Sorted(slices.Values(h.accountState.CurrentlyDue))
	got := connection{k.GetStripeAccount(), k.GetConnected(), stripesim.AccountState{
		ChargesEnabled: k.GetChargesEnabled(), PayoutsEnabled: k.GetPayoutsEnabled(), DetailsSubmitted: k.GetDetailsSubmitted(),
		CurrentlyDue: k.GetRequirementsDue(), DisabledReason: k.GetDisabledReason(),
	}}
	if k.GetRequirementsDeadline() != nil {
		got.State.Deadline = k.GetRequirementsDeadline().AsTime()
	}
	want.State.Deadline = want.State.Deadline.UTC()
	if diff := cmp.Diff(want, got); diff != "" {
		return "the account (-Stripe +ours):\n" + diff
	}
	return ""
}

package donations

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/money"
)

// connectedMonthly is a paid monthly donation on an account of the collective's own, with its subscription's id.
func (e *env) connectedMonthly() (first Donation, subscription string) {
	e.t.Helper()
	if _, err := e.groups.Update(e.t.Context(), "vallon", "", func(c *collectives.Collective) error {
		c.StripeAccount = "acct_1"
		return nil
	}); err != nil {
		e.t.Fatal(err)
	}
	e.sim.AddAccount("acct_1")
	first = e.monthly()
	if err := e.sim.Pay(first.CheckoutSession, stripesim.CardOK); err != nil {
		e.t.Fatal(err)
	}
	if err := e.donations.Refresh(e.t.Context(), first.ID); err != nil {
		e.t.Fatal(err)
	}
	e.refreshRecurring(first)
	if r := e.recurring(first); r.State != RecurringActive || r.StripeAccount != "acct_1" {
		e.t.Fatalf("%+v", r)
	}
	return first, e.sim.Subscriptions("acct_1")[0].ID
}

func (e *env) setConnected(is bool) {
	e.t.Helper()
	e.clock.Advance(time.Second)
	if err := postgres.InTx(e.t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
		return e.connect.SetConnectedTx(ctx, tx, "acct_1", is, e.clock.Now())
	}); err != nil {
		e.t.Fatal(err)
	}
}

func (e *env) answer(first Donation) *recurringv1.RecurringDonation {
	e.t.Helper()
	answer, err := NewRecurringServer(e.donations).GetRecurringDonation(e.t.Context(), &recurringv1.GetRecurringDonationRequest{Name: e.recurring(first).Name()})
	if err != nil {
		e.t.Fatal(err)
	}
	return answer
}

// A change that a donor or a member asks for while the account is disconnected stays pending, and the first round of
// upkeep after the reconnection applies it, in whatever order the changes came and however often each.
func TestAPendingChangeWaitsForTheAccount(t *testing.T) {
	stop := func(e *env, first Donation) (Recurring, error) {
		return e.donations.EndRecurring(t.Context(), vallon, first.ID, false, EndedByDonor)
	}
	endWithMonth := func(e *env, first Donation) (Recurring, error) {
		return e.donations.EndRecurring(t.Context(), vallon, first.ID, true, EndedByCollective)
	}
	change := func(e *env, first Donation) (Recurring, error) {
		return e.donations.ChangeRecurring(t.Context(), vallon, first.ID, money.Amount{Minor: 30_00, Currency: money.EUR}, Visit{})
	}
	for name, c := range map[string]struct {
		changes []func(*env, Donation) (Recurring, error)
		want    func(Recurring, stripesim.Subscription) bool
	}{
		"a stop": {
			[]func(*env, Donation) (Recurring, error){stop},
			func(r Recurring, sub stripesim.Subscription) bool {
				return r.State == RecurringCanceled && r.EndReason == EndedByDonor && sub.Status == "canceled"
			},
		},
		"an end with the month": {
			[]func(*env, Donation) (Recurring, error){endWithMonth},
			func(r Recurring, sub stripesim.Subscription) bool {
				return r.CancelAtPeriodEnd && r.EndReason == EndedByCollective && sub.CancelAtPeriodEnd && r.NextDebit.IsZero()
			},
		},
		"another amount": {
			[]func(*env, Donation) (Recurring, error){change},
			func(r Recurring, sub stripesim.Subscription) bool {
				return r.State == RecurringActive && r.Amount.Minor == 30_00 && sub.AmountMinor == 30_00
			},
		},
		"another amount, then a stop": {
			[]func(*env, Donation) (Recurring, error){change, stop},
			func(r Recurring, sub stripesim.Subscription) bool {
				return r.State == RecurringCanceled && sub.Status == "canceled"
			},
		},
		"a member's end, then the donor's": {
			[]func(*env, Donation) (Recurring, error){endWithMonth, stop},
			func(r Recurring, sub stripesim.Subscription) bool {
				return r.State == RecurringCanceled && r.EndReason == EndedByDonor && sub.Status == "canceled"
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			first, _ := e.connectedMonthly()
			e.setConnected(false)
			before := len(e.sim.Requests())
			for _, change := range c.changes {
				for range 2 {
					r, err := change(e, first)
					if err != nil || !r.Pending() {
						t.Fatalf("%+v, %v", r, err)
					}
				}
			}
			if a := e.answer(first); !a.GetChangePending() || !a.GetAccountDisconnected() {
				t.Errorf("it is told as %v", a)
			}
			for range 3 {
				e.clock.Advance(2 * time.Hour)
				e.keep()
			}
			if n := len(e.sim.Requests()) - before; n != 0 {
				t.Errorf("Stripe was called %d times", n)
			}
			e.setConnected(true)
			e.keep()
			if r, sub := e.recurring(first), e.sim.Subscriptions("acct_1")[0]; !c.want(r, sub) || r.Pending() {
				t.Errorf("%+v, and at Stripe %+v", r, sub)
			}
		})
	}
}

// Stripe's "no access" may be the first sign of a disconnected account. It is no failure of the change, after which the next
// attempts would be further and further apart.
func TestAPendingChangeFindsTheAccountDisconnected(t *testing.T) {
	e := newEnv(t)
	first, _ := e.connectedMonthly()
	e.sim.AddFault(stripesim.Fault{PathPrefix: "/v1/subscriptions", Status: http.StatusForbidden, Code: "account_invalid"})
	e.clock.Advance(time.Second)
	if r, err := e.donations.EndRecurring(t.Context(), vallon, first.ID, false, EndedByDonor); err != nil || !r.Pending() {
		t.Fatalf("%+v, %v", r, err)
	}
	if a := e.answer(first); !a.GetAccountDisconnected() {
		t.Errorf("it is told as %v", a)
	}
	e.sim.ClearFaults()
	e.setConnected(true)
	e.keep()
	if r := e.recurring(first); r.State != RecurringCanceled || r.EndReason != EndedByDonor {
		t.Errorf("%+v", r)
	}
}

// A change whose attempt failed before the account was disconnected is due with the reconnection, as any other.
func TestMonthlyDonationsOfADisconnectedAccountAreLeftAlone(t *testing.T) {
	e := newEnv(t)
	first, _ := e.connectedMonthly()
	e.sim.AddFault(stripesim.Fault{PathPrefix: "/v1/subscriptions", Status: http.StatusInternalServerError, Times: 1})
	if r, err := e.donations.EndRecurring(t.Context(), vallon, first.ID, true, EndedByDonor); err != nil || !r.Pending() {
		t.Fatalf("%+v, %v", r, err)
	}
	e.setConnected(false)
	e.clock.Advance(40 * 24 * time.Hour)
	before := len(e.sim.Requests())
	e.keep()
	e.refreshRecurring(first)
	if n := len(e.sim.Requests()) - before; n != 0 {
		t.Errorf("Stripe was called %d times", n)
	}
	t.Run("and no link can be mailed, whatever is asked for", func(t *testing.T) {
		e.donations.cfg.Mail = e.sender()
		for _, id := range []Donation{first, {ID: uuid.Must(uuid.NewV7())}} {
			wantReason(t, e.donations.RequestLink(t.Context(), vallon, id.ID, network), errorsv1.ErrorReason_STRIPE_ACCOUNT_DISCONNECTED)
		}
		if _, err := e.campaigns.Create(t.Context(), campaigns.Name{Collective: "vallon", Campaign: "secret"}, campaigns.Content{
			Texts: map[string]campaigns.Text{"fr": {Title: "Un brouillon"}}, Currency: money.EUR,
			Goal: money.Amount{Minor: 800_00, Currency: money.EUR}, Minimum: money.Amount{Minor: 1_00, Currency: money.EUR},
			Maximum: money.Amount{Minor: 500_00, Currency: money.EUR},
		}); err != nil {
			t.Fatal(err)
		}
		for _, hidden := range []string{"secret", "nowhere"} { // nor does anybody learn which campaigns there are
			if err := e.donations.RequestLink(t.Context(), campaigns.Name{Collective: "vallon", Campaign: hidden}, first.ID, network); err != nil {
				t.Errorf("%s: %v", hidden, err)
			}
		}
	})
	e.setConnected(true)
	e.keep()
	if r := e.recurring(first); r.Pending() || r.EndReason != EndedByDonor {
		t.Errorf("%+v", r)
	}
}

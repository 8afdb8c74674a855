package donations

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/wall"
)

// Several facts at once have the same effect as one after the other. Each history is applied to two equal sets of donations, once
// in each way.
func TestManySessionFactsAreAppliedLikeEach(t *testing.T) {
	const made, histories, longest = 3, 25, 8
	e := newEnv(t, wall.Limits{Off: true})
	type told struct {
		State, Ours string
		Intent      string
		Paid        bool
	}
	for seed := range uint64(histories) {
		random := rand.New(rand.NewPCG(seed, 0))
		at := e.donations.now()
		var history []SessionFact
		var places []int
		for range 1 + random.IntN(longest) {
			place := random.IntN(made)
			f := SessionFact{At: at.Add(-time.Duration(random.IntN(100)) * time.Second), Failed: random.IntN(4) == 0}
			f.Session.Status = []stripe.SessionStatus{stripe.SessionExpired, stripe.SessionComplete, stripe.SessionComplete}[random.IntN(3)]
			f.Session.PaymentStatus = []stripe.PaymentStatus{stripe.Paid, stripe.Unpaid}[random.IntN(2)]
			f.Session.PaymentIntent = []string{"", "pi_a", "pi_b"}[random.IntN(3)]
			history, places = append(history, f), append(places, place)
		}
		kinds := make([]int, len(history))
		for i := range kinds {
			kinds[i] = random.IntN(4)
		}
		tell := func(together bool) []told {
			t.Helper()
			donations := make([]Donation, made)
			for i := range donations {
				donations[i] = e.create(intent())
				// Every other one has had another page before.
				if i%2 == 1 {
					e.say(donations[i], stripe.Session{ID: donations[i].CheckoutSession, Status: stripe.SessionExpired}, false)
					donations[i] = e.reopen(donations[i])
				}
			}
			facts := make([]SessionFact, len(history))
			for i, f := range history {
				d := donations[places[i]]
				f.Session.ID, f.Session.Donation = d.CheckoutSession, d.ID
				f.Session.AmountMinor, f.Session.Currency = d.Amount.Minor, string(d.Amount.Currency)
				if f.Session.PaymentIntent != "" {
					f.Session.PaymentIntent += d.ID.String()
				}
				switch kinds[i] {
				case 0: // the session before its page was opened again
					f.Session.ID = append(d.earlier, "cs_nobodys")[0]
				case 1: // another's, by its currency
					f.Session.Currency = "CHF"
				}
				facts[i] = f
			}
			var ours []bool
			err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) (err error) {
				if together {
					ours, err = e.donations.ApplySessionsTx(ctx, tx, facts)
					return err
				}
				ours = make([]bool, len(facts))
				for i, f := range facts {
					if ours[i], err = e.donations.ApplySessionTx(ctx, tx, f); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			after := make([]told, made)
			for i, d := range donations {
				got, err := e.donations.byID(t.Context(), d.ID)
				if err != nil {
					t.Fatal(err)
				}
				after[i] = told{
					State: string(got.State), Paid: !got.PayTime.IsZero(),
				}
				if len(got.PaymentIntent) > 4 {
					after[i].Intent = got.PaymentIntent[:4]
				}
				for place, is := range ours {
					if places[place] == i && is {
						after[i].Ours += "+"
					} else if places[place] == i {
						after[i].Ours += "-"
					}
				}
			}
			return after
		}
		if diff := cmp.Diff(tell(false), tell(true)); diff != "" {
			t.Fatalf("history %d: (-one by one +together):\n%s", seed, diff)
		}
	}
}

// Other programs took unpaid for failed, and donors paid twice. A donation whose debit is at the bank has no page, and a repeat of
// its request opens none.
func TestADebitUnderWayIsNotPaidTwice(t *testing.T) {
	e := newEnv(t)
	if err := e.sim.OfferDebits("", true); err != nil {
		t.Fatal(err)
	}
	in := intent()
	d := e.create(in)
	if err := e.sim.PayByDebit(d.CheckoutSession, stripesim.IBANPaid); err != nil {
		t.Fatal(err)
	}
	if err := e.donations.Refresh(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	again := e.create(in)
	if again.ID != d.ID || again.State != StatePending || again.CheckoutSession != d.CheckoutSession {
		t.Errorf("repeated it is %+v", again)
	}
	if page := again.PayableURL(e.donations.now()); page != "" {
		t.Errorf("it can be paid again, on %s", page)
	}
	var refused *stripesim.SessionError
	if err := e.sim.Pay(d.CheckoutSession, stripesim.CardOK); !errors.As(err, &refused) {
		t.Errorf("its page took a card too: %v", err)
	}
	if n := len(e.sim.Sessions("")); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

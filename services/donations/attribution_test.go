package donations

import (
	"testing"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// A live Connect endpoint gets test events too, and metadata can name any donation.
func TestTheOtherLivemodeMovesNoDonation(t *testing.T) {
	e := newEnv(t)
	d := e.create(intent())
	page := stripe.Session{ID: d.CheckoutSession, Donation: d.ID, Status: stripe.SessionComplete, PaymentStatus: stripe.Paid, PaymentIntent: "pi_1"}
	page.Livemode = true
	if after, ours := e.say(d, page, false); ours || after.State != StateCreated {
		t.Errorf("a live session is ours: %v, and the donation %s", ours, after.State)
	}
	live := e.donations.cfg
	live.Metrics = nil
	var err error
	if live.Stripe, err = stripe.New(stripe.Config{APIKey: "sk_live_simulated", BaseURL: "http://127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	matches, err := New(live).Find(t.Context(), "", []Clue{{PaymentIntent: "pi_1"}})
	if err != nil || matches[0].Donation != uuid.Nil {
		t.Errorf("live money finds %v, %v", matches, err)
	}
	page.Livemode = false
	if after, ours := e.say(d, page, false); !ours || after.State != StateSucceeded {
		t.Errorf("its own session is ours: %v, and the donation %s", ours, after.State)
	}
}

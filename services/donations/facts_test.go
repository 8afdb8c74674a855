package donations

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/money"
)

// Named after a bug that others shipped: unpaid was taken for failed, and donors paid twice. A debit that is under
// way has no page to be paid on, and the same request opens none.
func TestADebitUnderWayIsNotPaidTwice(t *testing.T) {
	e := newEnv(t, Limit{})
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
	if page := e.donations.whereToPay(t.Context(), again); page != "" {
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

// https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts: eight digits, also with the fee.
func TestAWholeThatIsTooLargeForStripe(t *testing.T) {
	e := newEnv(t, Limit{})
	e.donations.cfg.Campaigns = campaigns.New(campaigns.Config{Pool: e.pool, FeeEstimate: campaigns.DefaultFeeEstimate})
	in := intent()
	in.CoverFee, in.Amount.Minor = true, maxWholeMinor
	_, _, err := e.donations.whole(in)
	wantReason(t, err, errorsv1.ErrorReason_AMOUNT_TOO_LARGE)
	in.Amount.Minor = maxWholeMinor / 2
	whole, cover, err := e.donations.whole(in)
	if err != nil || whole.Minor > maxWholeMinor || whole.Minor-cover.Minor != in.Amount.Minor || whole.Currency != money.EUR {
		t.Errorf("%v, of it %v: %v", whole, cover, err)
	}
}

// A live Connect endpoint gets test events too, and metadata can name any donation.
func TestTheOtherLivemodeMovesNoDonation(t *testing.T) {
	e := newEnv(t, Limit{})
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

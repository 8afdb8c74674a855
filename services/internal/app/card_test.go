package app_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

func TestADeclinedCardAndAnother(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, owner := e.Campaign("vallon")
	d := give(t, e.Conn, donationTo(campaign))
	page := session(t, e, d).ID
	// Each decline is told twice and counts once: five are not enough to close the page.
	e.Sim.SetDelivery(stripesim.Delivery{Twice: true})
	for _, card := range []stripesim.Card{
		stripesim.CardDeclined, stripesim.CardInsufficientFunds, stripesim.CardExpired, stripesim.CardDeclined, stripesim.CardChallengedDeclined,
	} {
		var declined *stripesim.DeclinedError
		if err := e.Sim.Pay(page, card); !errors.As(err, &declined) {
			t.Fatalf("%s: %v", card, err)
		}
	}
	if err := e.Sim.WaitDelivered(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := outcome(t, e.Conn, d); got != donationsv1.DonationOutcome_DONATION_OUTCOME_OPEN {
		t.Errorf("after declines the donor is told %v", got)
	}
	if err := e.Sim.Pay(page, stripesim.CardChallenged); err != nil {
		t.Fatal(err)
	}
	e.Eventually("it is booked", func() bool { settled, _ := progress(t, e.Conn, campaign); return settled == 20_00 })
	if got := stateOf(t, e, owner, d).GetState(); got != donationsv1.DonationState_DONATION_STATE_SUCCEEDED {
		t.Errorf("the donation is %v", got)
	}
}

// recovered lets a donation's page expire and opens it again as its donor does, by the address in the donation's status.
func recovered(t *testing.T, e *apptest.Env, d *donationsv1.Donation) (again string) {
	t.Helper()
	if err := e.Sim.Expire(session(t, e, d).ID); err != nil {
		t.Fatal(err)
	}
	var address string
	e.Eventually("the donation can be paid again", func() bool {
		s, err := donationsv1.NewDonationsServiceClient(e.Conn).GetDonationStatus(t.Context(),
			&donationsv1.GetDonationStatusRequest{Name: d.GetName() + "/status"})
		if err != nil {
			t.Fatal(err)
		}
		address = s.GetCheckoutUrl()
		return s.GetOutcome() == donationsv1.DonationOutcome_DONATION_OUTCOME_NOT_PAID && address != ""
	})
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	all := e.Sim.Sessions("")
	again = all[len(all)-1].ID
	if !strings.HasSuffix(resp.Request.URL.Path, again) {
		t.Fatalf("%s leads to %s, the newest session is %s", address, resp.Request.URL, again)
	}
	return again
}

func TestAnExpiredPageIsOpenedAgain(t *testing.T) {
	e, campaign, owner := withDebits(t)
	t.Run("and paid by card", func(t *testing.T) {
		d := give(t, e.Conn, donationTo(campaign))
		if err := e.Sim.Pay(recovered(t, e, d), stripesim.CardOK); err != nil {
			t.Fatal(err)
		}
		e.Eventually("it is booked", func() bool { settled, _ := progress(t, e.Conn, campaign); return settled == 20_00 })
		if got := stateOf(t, e, owner, d).GetState(); got != donationsv1.DonationState_DONATION_STATE_SUCCEEDED {
			t.Errorf("the donation is %v", got)
		}
	})
	t.Run("twice, and both are paid", func(t *testing.T) {
		before, _ := progress(t, e.Conn, campaign)
		settles := func(more int64) {
			t.Helper()
			e.Eventually("the books have it", func() bool { settled, _ := progress(t, e.Conn, campaign); return settled == before+more })
		}
		d := give(t, e.Conn, donationTo(campaign))
		closed := session(t, e, d).ID
		first := recovered(t, e, d)
		second, err := e.Sim.Recover(closed)
		if err != nil {
			t.Fatal(err)
		}
		for i, page := range []string{first, second} {
			if err := e.Sim.Pay(page, stripesim.CardOK); err != nil {
				t.Fatal(err)
			}
			settles(int64(i+1) * 20_00)
		}
		told, err := noticesv1.NewNoticesServiceClient(e.Conn).ListNotices(apptest.WithKey(t.Context(), owner),
			&noticesv1.ListNoticesRequest{Parent: "collectives/vallon"})
		notices := besidesKeys(told)
		if err != nil || len(notices) != 1 || notices[0].GetKind() != "paid_twice" ||
			notices[0].GetSubject() != d.GetName() || notices[0].GetAmount().GetAmountMinor() != 20_00 {
			t.Errorf("members are told %v, %v", told, err)
		}
		all := e.Sim.BalanceTransactions("")
		if _, err := e.Sim.Refund(all[len(all)-1].SourceID, 0); err != nil {
			t.Fatal(err)
		}
		settles(20_00)
		if got := outcome(t, e.Conn, d); got != donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED {
			t.Errorf("its donor, who has one of two payments back, is told %v", got)
		}
		if got := stateOf(t, e, owner, d); got.GetState() != donationsv1.DonationState_DONATION_STATE_SUCCEEDED || got.GetAmountRefunded() != nil {
			t.Errorf("members see %v", got)
		}
	})
	t.Run("and paid by a debit, of which it is told that it is under way", func(t *testing.T) {
		d := give(t, e.Conn, donationTo(campaign))
		if err := e.Sim.PayByDebit(recovered(t, e, d), stripesim.IBANRefused); err != nil {
			t.Fatal(err)
		}
		e.Eventually("it is under way", func() bool {
			return outcome(t, e.Conn, d) == donationsv1.DonationOutcome_DONATION_OUTCOME_CONFIRMING
		})
		// The bank's no is found out by asking, of the session that was opened again and not of the first.
		e.Sim.SetDelivery(stripesim.Delivery{Drop: true})
		e.Clock.Advance(aWeek)
		e.Eventually("it has failed", func() bool {
			e.Clock.Advance(time.Minute)
			return outcome(t, e.Conn, d) == donationsv1.DonationOutcome_DONATION_OUTCOME_NOT_PAID
		})
		e.Sim.SetDelivery(stripesim.Delivery{})
	})
	t.Run("and expires again, which says nothing new", func(t *testing.T) {
		d := give(t, e.Conn, donationTo(campaign))
		if err := e.Sim.Expire(recovered(t, e, d)); err != nil {
			t.Fatal(err)
		}
		if err := e.Sim.WaitDelivered(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := stateOf(t, e, owner, d).GetState(); got != donationsv1.DonationState_DONATION_STATE_EXPIRED {
			t.Errorf("the donation is %v", got)
		}
	})
}

func TestADonorWhoIsShownAnotherCurrency(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, owner := e.Campaign("vallon")
	d := give(t, e.Conn, donationTo(campaign))
	page := session(t, e, d).ID
	if err := e.Sim.Localize(page, "usd", 1.09); err != nil {
		t.Fatal(err)
	}
	if err := e.Sim.Pay(page, stripesim.CardInternational); err != nil {
		t.Fatal(err)
	}
	e.Eventually("the donation has succeeded", func() bool {
		return stateOf(t, e, owner, d).GetState() == donationsv1.DonationState_DONATION_STATE_SUCCEEDED
	})
	e.Eventually("the campaign has its own amount", func() bool { settled, _ := progress(t, e.Conn, campaign); return settled == 20_00 })
}

// Named after a bug that others shipped: 18,000 card-testing attempts from one address. It gets few pages, and of each
// few tries.
func TestCardTestingFromOneAddress(t *testing.T) {
	const burst = 4
	e := apptest.Start(t, apptest.Config{Limit: donations.Limit{Burst: burst, Interval: time.Hour}})
	campaign, owner := e.Campaign("vallon")

	t.Run("opens few pages", func(t *testing.T) {
		opened := 0
		for range 10 * burst {
			_, err := donationsv1.NewDonationsServiceClient(e.Conn).CreateDonation(t.Context(), donationTo(campaign))
			if err == nil {
				opened++
				continue
			}
			wantError(t, err, codes.ResourceExhausted, "TOO_MANY_DONATIONS", "")
		}
		if opened != burst || len(e.Sim.Sessions("")) != burst {
			t.Errorf("%d pages were opened, %d at Stripe", opened, len(e.Sim.Sessions("")))
		}
	})
	t.Run("the page of a monthly donation closes too", func(t *testing.T) {
		e.Clock.Advance(24 * time.Hour)
		req := donationTo(campaign)
		req.Recurrence = donationsv1.Recurrence_RECURRENCE_MONTHLY
		page := session(t, e, give(t, e.Conn, req)).ID
		tried := 0
		e.Eventually("it is closed", func() bool {
			var gone *stripesim.SessionError
			if err := e.Sim.Pay(page, stripesim.CardDeclined); errors.As(err, &gone) {
				return true
			}
			tried++
			return false
		})
		// Somebody very fast has some tries more, until the page is closed.
		if tried < 8 {
			t.Errorf("closed after %d declines", tried)
		}
	})
	t.Run("each page closes after some declined cards, and so does each copy of it", func(t *testing.T) {
		e.Clock.Advance(24 * time.Hour)
		d := give(t, e.Conn, donationTo(campaign))
		page := session(t, e, d).ID
		tried := 0
		try := func(page string) (closed bool) {
			var gone *stripesim.SessionError
			if err := e.Sim.Pay(page, stripesim.CardDeclined); errors.As(err, &gone) {
				return true
			}
			tried++
			return false
		}
		const enough = 8
		for range enough {
			if try(page) {
				t.Fatalf("closed after %d declines", tried)
			}
		}
		e.Eventually("the page is closed", func() bool {
			for _, s := range e.Sim.Sessions("") {
				if s.ID == page {
					return s.Status == "expired"
				}
			}
			return false
		})
		e.Eventually("the donation has expired", func() bool {
			return stateOf(t, e, owner, d).GetState() == donationsv1.DonationState_DONATION_STATE_EXPIRED
		})
		s, err := donationsv1.NewDonationsServiceClient(e.Conn).GetDonationStatus(t.Context(),
			&donationsv1.GetDonationStatusRequest{Name: d.GetName() + "/status"})
		if err != nil || s.GetCheckoutUrl() != "" {
			t.Errorf("whoever tried cards is led back to %q (%v)", s.GetCheckoutUrl(), err)
		}
		// Somebody who has the recovery URL all the same gets one try out of each copy.
		for range 3 {
			again, err := e.Sim.Recover(page)
			if err != nil {
				t.Fatal(err)
			}
			if try(again) {
				t.Fatal("a fresh copy is closed")
			}
			e.Eventually("the copy is closed after one decline", func() bool {
				all := e.Sim.Sessions("")
				return all[len(all)-1].Status == "expired"
			})
		}
		if tried != enough+3 {
			t.Errorf("%d cards were tried", tried)
		}
	})
}

package app_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// TestKilled kills the real program, as its own process and with its production settings, at
// random moments while donors give and Stripe's events come in. Nothing may be lost or double.
func TestKilled(t *testing.T) {
	const (
		donors    = 6
		donations = 8 // of each
		kills     = 6
	)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	e := apptest.Start(t, apptest.Config{FeeDelay: 300 * time.Millisecond, TrustedProxies: loopback})
	campaign, _ := e.Campaign("vallon")
	e.StopApp()
	e.Sim.SetDelivery(stripesim.Delivery{TwiceRate: 0.3, DropRate: 0.1, Seed: seed})

	program := e.NewProcess()
	program.Start()
	paid := make([]int64, donors)
	var giving sync.WaitGroup
	for i := range donors {
		mine := rand.New(rand.NewPCG(seed, uint64(i)+2))
		giving.Go(func() {
			conn := &apptest.RESTConn{URL: e.URL, Header: http.Header{"X-Forwarded-For": {fmt.Sprintf("203.0.%d.1", i)}}}
			for range donations {
				paid[i] += giveUntilTaken(t, e, conn, campaign, 100+mine.Int64N(9900))
			}
		})
	}
	for range kills {
		time.Sleep(time.Duration(150+random.IntN(400)) * time.Millisecond)
		program.Kill()
		program.Start()
	}
	giving.Wait()
	e.Sim.SetDelivery(stripesim.Delivery{})
	program.Stop()

	e.StartApp()
	wantBooked(t, e, campaign, paid)
}

// wantBooked waits until the campaign has all that was paid, and wants the books to be Stripe's.
func wantBooked(t *testing.T, e *apptest.Env, campaign string, paid []int64) {
	t.Helper()
	var want int64
	for _, p := range paid {
		want += p
	}
	e.Eventually("what was paid is booked", func() bool {
		settled, pending := progress(t, e.Conn, campaign)
		return settled == want && pending == 0
	})
	wantBooksOfStripe(t, e, "vallon")
}

// giveUntilTaken gives as a stubborn browser does: the same request until it is answered, then the
// payment. It answers what was paid.
func giveUntilTaken(t *testing.T, e *apptest.Env, conn *apptest.RESTConn, campaign string, amountMinor int64) int64 {
	req := &donationsv1.CreateDonationRequest{Parent: campaign, Donation: &donationsv1.Donation{Amount: apptest.Euros(amountMinor)}, RequestId: uuid.NewString()}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(30 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		d, err := donationsv1.NewDonationsServiceClient(conn).CreateDonation(ctx, req)
		cancel()
		if err == nil {
			for _, s := range e.Sim.Sessions("") {
				if s.URL == d.GetCheckoutUrl() {
					if err := e.Sim.Pay(s.ID, stripesim.CardOK); err != nil {
						t.Errorf("pay: %v", err)
						return 0
					}
					return amountMinor
				}
			}
			t.Errorf("%s has no session at Stripe", d.GetName())
			return 0
		}
		// A donation whose copy was killed waits until that copy's turn at Stripe is over, which may be longer than the call.
		if code := status.Code(err); code != codes.Unavailable && code != codes.Unknown && code != codes.Internal && code != codes.DeadlineExceeded {
			t.Errorf("a donation was refused: %v", err)
			return 0
		}
	}
	t.Error("a donation was never taken")
	return 0
}

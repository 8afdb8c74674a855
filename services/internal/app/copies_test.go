package app_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"

	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// TestTwoCopies runs two copies of the program on one database. Donors reach either, Stripe tells both of
// everything, and one is killed twice in the middle: what was paid is booked, once.
func TestTwoCopies(t *testing.T) {
	const (
		donors    = 6
		donations = 8 // of each
	)
	e := apptest.Start(t, apptest.Config{TrustedProxies: loopback})
	campaign, _ := e.Campaign("vallon")
	other := e.NewProcess()
	other.Listen()
	other.Start()
	other.Ready()
	var endpoints []stripesim.Endpoint
	for _, url := range []string{e.URL, other.URL} {
		endpoints = append(endpoints, stripesim.Endpoint{URL: url + "/v1/webhooks/stripe", Secret: apptest.WebhookSecret})
	}
	e.Sim.SetEndpoints(endpoints)

	paid := make([]int64, donors)
	var giving sync.WaitGroup
	for i := range donors {
		random := rand.New(rand.NewPCG(1, uint64(i)))
		giving.Go(func() {
			for n := range donations {
				url := e.URL
				if (i+n)%2 == 1 {
					url = other.URL
				}
				conn := &apptest.RESTConn{URL: url, Header: http.Header{"X-Forwarded-For": {fmt.Sprintf("203.0.%d.1", i)}}}
				paid[i] += giveUntilTaken(t, e, conn, campaign, 100+random.Int64N(9900))
			}
		})
	}
	for _, count := range []int{donors * donations / 4, donors * donations / 2} {
		e.Eventually("enough is paid to kill a copy", func() bool { return len(e.Sim.BalanceTransactions("")) >= count })
		other.Kill()
		other.Start()
	}
	giving.Wait()
	other.Stop()

	wantBooked(t, e, campaign, paid)
}

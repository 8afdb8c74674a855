package connect_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// Two members ask at once. One is done, and the first donation is made, before the other has Stripe's answer.
func TestOfTwoWhoOpenAnAccountAtOnceBothGetALink(t *testing.T) {
	sim, err := stripesim.New(stripesim.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close(t.Context()) })
	var meanwhile func()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		sim.Handler().ServeHTTP(answer, r)
		if happens := meanwhile; happens != nil && r.Method == http.MethodPost && r.URL.Path == "/v1/accounts" {
			meanwhile = nil
			happens()
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}))
	t.Cleanup(api.Close)
	client, err := stripe.New(stripe.Config{APIKey: "sk_test_simulated", BaseURL: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	s, groups, pool := fresh(t, client, time.Now)
	create(t, groups, collectives.Collective{ID: "hosted", DisplayName: "Hosted"})

	meanwhile = func() {
		if link, err := s.StartOnboarding(t.Context(), "hosted", uuid.New()); err != nil || link.URL == "" {
			t.Errorf("the one who is faster: %v, %v", link, err)
		}
		if _, err := pool.Exec(t.Context(), "UPDATE collectives.collectives SET account_in_use = true"); err != nil {
			t.Error(err)
		}
	}
	if link, err := s.StartOnboarding(t.Context(), "hosted", uuid.New()); err != nil || link.URL == "" {
		t.Errorf("the one who is slower: %v, %v", link, err)
	}
	var accounts int
	if err := pool.QueryRow(t.Context(), "SELECT count(DISTINCT stripe_account) FROM connect.onboardings WHERE stripe_account <> ''").Scan(&accounts); err != nil || accounts != 1 {
		t.Errorf("%d accounts, %v", accounts, err)
	}
}

package stripesim_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"
)

// inside lists what a payout holds, by type, its own transaction included, and the sum of the others.
func inside(t *testing.T, api *client.API, payout *stripe.Payout) (types []string, sum int64) {
	t.Helper()
	list := api.BalanceTransactions.List(&stripe.BalanceTransactionListParams{Payout: stripe.String(payout.ID)})
	for list.Next() {
		b := list.BalanceTransaction()
		types = append(types, string(b.Type))
		if b.ID != payout.BalanceTransaction.ID {
			sum += b.Net
		}
	}
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(types)
	return types, sum
}

func TestPayouts(t *testing.T) {
	clock := stripesim.NewClockAt(time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC))
	clock.Freeze()
	sim, api := start(t, stripesim.Config{Clock: clock})
	day := 24 * time.Hour
	get := func(id string) *stripe.Payout {
		t.Helper()
		p, err := api.Payouts.Get(id, nil)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	payTwice := func() {
		for range 2 {
			pay(t, sim, create(t, api, donation(2000)).ID)
		}
	}
	payTwice()

	t.Run("are off until asked for", func(t *testing.T) {
		clock.Advance(8 * day)
		if got := sim.Payouts(""); len(got) != 0 {
			t.Errorf("got %v", got)
		}
	})
	if err := sim.SchedulePayouts("", true); err != nil {
		t.Fatal(err)
	}
	clock.Advance(day)
	first := get(sim.Payouts("")[0].ID)
	t.Run("take what is available, go, and arrive", func(t *testing.T) {
		if first.Status != stripe.PayoutStatusPending || !first.Automatic || first.Amount != 2*1945 || first.ReconciliationStatus != "in_progress" {
			t.Errorf("begins as %+v", first)
		}
		if types, _ := inside(t, api, first); !slices.Equal(types, []string{"payout"}) {
			t.Errorf("before it is reconciled it shows %v", types)
		}
		clock.Advance(day)
		if p := get(first.ID); p.Status != stripe.PayoutStatusInTransit || p.ReconciliationStatus != "completed" {
			t.Errorf("goes on as %+v", p)
		}
		clock.Advance(day)
		if p := get(first.ID); p.Status != stripe.PayoutStatusPaid {
			t.Errorf("arrives as %+v", p)
		}
		if types, sum := inside(t, api, first); sum != first.Amount || !slices.Equal(types, []string{"charge", "charge", "payout"}) {
			t.Errorf("holds %v with a sum of %d", types, sum)
		}
		if n := len(sim.Payouts("")); n != 1 {
			t.Errorf("nothing was left, and there are %d payouts", n)
		}
	})
	t.Run("fail days later, and the next one has the money", func(t *testing.T) {
		clock.Advance(3 * day)
		if err := sim.FailPayout(first.ID, "account_closed"); err != nil {
			t.Fatal(err)
		}
		p := get(first.ID)
		if p.Status != stripe.PayoutStatusFailed || p.FailureCode != stripe.PayoutFailureCodeAccountClosed || p.FailureBalanceTransaction == nil {
			t.Errorf("failed as %+v", p)
		}
		if err := sim.FailPayout(first.ID, "account_closed"); err == nil {
			t.Error("it fails twice")
		}
		clock.Advance(day + 9*time.Hour)
		second := get(sim.Payouts("")[1].ID)
		if types, sum := inside(t, api, second); sum != first.Amount || !slices.Equal(types, []string{"payout", "payout_failure"}) {
			t.Errorf("the next one holds %v with a sum of %d", types, sum)
		}
	})
	t.Run("by hand have no content that can be listed", func(t *testing.T) {
		payTwice()
		if err := sim.SchedulePayouts("", false); err != nil {
			t.Fatal(err)
		}
		clock.Advance(8 * day)
		if _, err := sim.CreatePayout("", 1_000_000, "eur"); err == nil {
			t.Error("more than there is was paid out")
		}
		id, err := sim.CreatePayout("", 1000, "eur")
		if err != nil {
			t.Fatal(err)
		}
		list := api.BalanceTransactions.List(&stripe.BalanceTransactionListParams{Payout: stripe.String(id)})
		for list.Next() {
			t.Error("it has content")
		}
		if e := stripeError(t, list.Err()); e.HTTPStatusCode != http.StatusBadRequest || !strings.Contains(e.Msg, "manual") {
			t.Errorf("refused with %v", e)
		}
		if err := sim.CancelPayout(id); err != nil {
			t.Fatal(err)
		}
		if p := get(id); p.Status != stripe.PayoutStatusCanceled || p.FailureBalanceTransaction == nil || p.FailureCode != "" {
			t.Errorf("canceled as %+v", p)
		}
		if err := sim.CancelPayout(id); err == nil {
			t.Error("it is canceled twice")
		}
	})
	t.Run("are announced", func(t *testing.T) {
		var types []string
		for _, e := range sim.Events("") {
			if e.ObjectID == first.ID {
				types = append(types, e.Type)
			}
		}
		want := []string{"payout.created", "payout.updated", "payout.reconciliation_completed", "payout.paid", "payout.failed"}
		if !slices.Equal(types, want) {
			t.Errorf("got %v", types)
		}
	})
}

func TestPayoutsFitTheClient(t *testing.T) {
	clock := stripesim.NewClock()
	sim, url := serve(t, stripesim.Config{Clock: clock})
	pay(t, sim, create(t, newClient(url, testKey, 0), donation(2000)).ID)
	clock.Advance(8 * 24 * time.Hour)
	id, err := sim.CreatePayout("", 1000, "eur")
	if err != nil {
		t.Fatal(err)
	}
	for path, typ := range map[string]reflect.Type{
		"/v1/payouts": reflect.TypeFor[stripe.PayoutList](),
		"/v1/payouts/" + id + "?expand[]=balance_transaction":           reflect.TypeFor[stripe.Payout](),
		"/v1/payouts?status=pending&arrival_date[gte]=1&created[gte]=1": reflect.TypeFor[stripe.PayoutList](),
	} {
		resp, body := raw(t, http.MethodGet, url+path, "")
		var v any
		if err := json.Unmarshal([]byte(body), &v); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", path, resp.StatusCode, body)
		}
		checkShape(t, path, v, typ)
	}
}

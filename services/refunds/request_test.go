package refunds

import (
	"maps"
	"sync"
	"testing"

	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/money"
)

// Many small concurrent refunds need a second member as one large refund does.
func TestConcurrentRefundsCountTogether(t *testing.T) {
	e := newEnv(t)
	if _, err := e.groups.Update(t.Context(), "vallon", "", func(c *collectives.Collective) error {
		c.RefundApproval = money.Amount{Minor: 10_00, Currency: money.EUR}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	d, _ := e.paid()
	var asking sync.WaitGroup
	for range 5 {
		asking.Go(func() {
			if _, err := e.refunds.Create(t.Context(), requestFor(d, 4_00)); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	states := map[State]int{}
	for _, r := range e.refundsOf(d) {
		states[r.State]++
	}
	if want := map[State]int{StateApproved: 2, StateAwaitingApproval: 3}; !maps.Equal(states, want) {
		t.Errorf("%v, want %v", states, want)
	}
}

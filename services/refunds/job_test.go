package refunds

import (
	"testing"
	"time"
)

func TestUpkeepSendsUnfinishedRefundsAgain(t *testing.T) {
	e := newEnv(t)
	d, _ := e.paid()
	e.refund(requestFor(d, 5_00))
	jobs := func(kind string) (n int) {
		if err := e.pool.QueryRow(t.Context(), "SELECT count(*) FROM river.river_job WHERE kind = $1", kind).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {followSoonest, 2}, {time.Minute, 2}, {followSoonest, 3}} {
		e.clock.Advance(c.after)
		if err := e.refunds.follow(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := jobs(submitRefundArgs{}.Kind()); got != c.want {
			t.Errorf("after %s more: %d jobs, want %d", c.after, got, c.want)
		}
	}
}

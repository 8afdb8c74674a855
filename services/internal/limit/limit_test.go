package limit_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/limit"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestLimiter(t *testing.T) {
	pool := pgtest.New(t)
	rate := limit.Rate{Burst: 3, Interval: 20 * time.Minute}
	start := time.Date(2026, 5, 1, 23, 0, 0, 0, time.UTC)
	for _, table := range []string{"access.attempts", "collectives.application_limits", "donations.limits"} {
		t.Run(table, func(t *testing.T) {
			daily := limit.Limiter{Table: table, Secret: []byte("secret"), Daily: true}
			lasting := limit.Limiter{Table: table, Secret: []byte("secret")}
			take := func(l limit.Limiter, what, whom string, after time.Duration) (wait time.Duration) {
				t.Helper()
				if err := postgres.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) (err error) {
					wait, err = l.TakeTx(ctx, tx, what, whom, rate, start.Add(after))
					return err
				}); err != nil {
					t.Fatal(err)
				}
				return wait
			}
			for _, c := range []struct {
				rule       string
				limiter    limit.Limiter
				what, whom string
				after      time.Duration
				want       time.Duration
			}{
				{"allows the first", daily, "links", "a", 0, 0},
				{"allows a burst", daily, "links", "a", 0, 0},
				{"allows all of the burst", daily, "links", "a", 0, 0},
				{"refuses more, with the time to wait", daily, "links", "a", time.Minute, 19 * time.Minute},
				{"is not moved on by what it refused", daily, "links", "a", 5 * time.Minute, 15 * time.Minute},
				{"allows another thing", daily, "pages", "a", 5 * time.Minute, 0},
				{"allows somebody else", daily, "links", "b", 5 * time.Minute, 0},
				{"waits a second at least", daily, "links", "a", 20*time.Minute - time.Millisecond, time.Second},
				{"allows one after the interval", daily, "links", "a", 20 * time.Minute, 0},
				{"but not two", daily, "links", "a", 20 * time.Minute, 20 * time.Minute},
				{"forgives when a day begins", daily, "links", "a", time.Hour, 0},
				{"counts without days too", lasting, "links", "a", 59 * time.Minute, 0},
				{"counts on", lasting, "links", "a", 59 * time.Minute, 0},
				{"counts on across midnight", lasting, "links", "a", 60 * time.Minute, 0},
				{"and refuses there", lasting, "links", "a", 60 * time.Minute, 19 * time.Minute},
			} {
				if got := take(c.limiter, c.what, c.whom, c.after); got != c.want {
					t.Errorf("%s: wait %v, want %v", c.rule, got, c.want)
				}
			}
			count := func() (n int) {
				t.Helper()
				if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
					t.Fatal(err)
				}
				return n
			}
			if err := daily.Forget(t.Context(), pool, start.Add(70*time.Minute)); err != nil || count() != 3 {
				t.Errorf("%v, %d rows are left; those that limit still are 3", err, count())
			}
			if err := daily.Forget(t.Context(), pool, start.Add(24*time.Hour)); err != nil || count() != 0 {
				t.Errorf("%v, %d rows are left", err, count())
			}
		})
	}
}

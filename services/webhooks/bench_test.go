package webhooks

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// BenchmarkReceive stores events beside a live job, as in a burst, and prints the ratio to inserting the
// same row, one a commit, without signature, lock or job.
func BenchmarkReceive(b *testing.B) {
	e := newEnv(b, stripesim.Config{})
	e.deliver(EndpointPlatform, chargeEvent("evt_first"))
	var n atomic.Int64
	rate := map[string]float64{}
	for _, c := range []struct {
		name string
		one  func(id string) error
	}{
		{"insert", func(id string) error {
			args := e.webhooks.eventArgs(stripe.Event{ID: id, Type: "charge.succeeded", Created: time.Unix(1, 0)}, stepHint, "")
			args["heard"] = false
			var stored string
			return e.pool.QueryRow(b.Context(), storeEventSQL, args).Scan(&stored)
		}},
		{"receive", func(id string) error {
			body := []byte(chargeEvent(id))
			return e.webhooks.Receive(b.Context(), body, sign(body, platformSecret, time.Now()), EndpointPlatform)
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := c.one(fmt.Sprintf("evt_bench_%d", n.Add(1))); err != nil && err != pgx.ErrNoRows {
						b.Error(err)
						return
					}
				}
			})
			rate[c.name] = float64(b.N) / b.Elapsed().Seconds()
			if rate["insert"] > 0 && rate["receive"] > 0 {
				b.ReportMetric(rate["receive"]/rate["insert"], "ratio")
			}
		})
	}
}

package webhooks

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// BenchmarkReceive stores events beside a live job, as in a burst, and prints the ratio to inserting the
// same row, one a commit, without signature, lock or job. What comes at once shares a commit, so it may pass 1.
func BenchmarkReceive(b *testing.B) {
	e := newEnv(b, stripesim.Config{})
	e.deliver(EndpointPlatform, chargeEvent("evt_first"))
	object := stripe.Resource{ID: "ch_x", Kind: "charge", PaymentIntent: "pi_x"}
	at := time.Unix(1_700_000_000, 0)
	var n atomic.Int64
	rate := map[string]float64{}
	for _, c := range []struct {
		name string
		one  func(id string) error
	}{
		{"insert", func(id string) error {
			_, err := e.pool.Exec(b.Context(), `
				INSERT INTO webhooks.events (account, id, type, step, livemode, resource, state, next_attempt_at, created_at, received_at)
				VALUES ('', $1, 'charge.succeeded', 'hint', false, $2, 'received', '-infinity', $3, $3)`, id, object, at)
			return err
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
					if err := c.one(fmt.Sprintf("evt_bench_%d", n.Add(1))); err != nil {
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

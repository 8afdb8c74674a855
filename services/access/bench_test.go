package access_test

import (
	"context"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
)

// BenchmarkAuthenticate checks one busy key. Its limit is one round trip to the
// database, measured in the same run.
func BenchmarkAuthenticate(b *testing.B) {
	pool := pgtest.New(b)
	ctx := context.Background()
	s := access.New(access.Config{Pool: pool})
	key, err := s.CreateOperatorKey(ctx, "Busy")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Authenticate(ctx, key); err != nil {
			b.Fatal(err)
		}
	}
	perCall := b.Elapsed() / time.Duration(b.N)

	begin, trips := time.Now(), max(b.N, 1000)
	for range trips {
		if _, err := pool.Exec(ctx, "SELECT 1"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(perCall)/float64(time.Since(begin)/time.Duration(trips)), "round-trips")
}

package campaigns

import (
	"context"
	"testing"
	"time"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
)

// BenchmarkGet reads a published campaign as the public does, without progress. Its
// limit is one round trip to the database, measured in the same run.
func BenchmarkGet(b *testing.B) {
	pool := pgtest.New(b)
	ctx := context.Background()
	if _, err := pool.Exec(ctx, `
		INSERT INTO collectives.collectives (id, display_name, stripe_account, time_zone, created_at, updated_at)
		VALUES ('vallon', 'Vallon', '', 'Europe/Paris', now(), now())`); err != nil {
		b.Fatal(err)
	}
	s := New(Config{Pool: pool})
	server := NewServer(s, (&progressOf{}).get)
	mustCreate(b, s, avocat, lawyer())
	must(b, publishes(s), avocat)
	req := &campaignsv1.GetCampaignRequest{Name: avocat.String()}

	for b.Loop() {
		if _, err := server.GetCampaign(ctx, req); err != nil {
			b.Fatal(err)
		}
	}
	perRead := b.Elapsed() / time.Duration(b.N)

	begin, trips := time.Now(), max(b.N, 1000)
	for range trips {
		if _, err := pool.Exec(ctx, "SELECT 1"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(perRead)/float64(time.Since(begin)/time.Duration(trips)), "round-trips")
}

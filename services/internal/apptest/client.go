package apptest

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
)

// Money is the proto's Money.
type Money = moneyv1.Money

// Euros returns an amount of euros, given in cents.
func Euros(minor int64) *Money { return &Money{CurrencyCode: "EUR", AmountMinor: minor} }

// WithKey returns a context for calls with a key, over gRPC and over REST.
func WithKey(ctx context.Context, key string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key)
}

// OverBoth runs test twice: over gRPC, and over REST.
func (e *Env) OverBoth(t *testing.T, run func(t *testing.T, conn grpc.ClientConnInterface)) {
	t.Helper()
	t.Run("gRPC", func(t *testing.T) { run(t, e.Conn) })
	t.Run("REST", func(t *testing.T) { run(t, &RESTConn{URL: e.URL}) })
}

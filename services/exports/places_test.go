package exports_test

import (
	"context"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/exports"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// Slow readers hold connections: they must not hold all that gifts need.
func TestThreeExportsAtOnce(t *testing.T) {
	service, _, _ := open(t, "Europe/Paris")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	request := exports.Request{Collective: vallon}
	begun, release, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	const places = 3
	for range places {
		go func() {
			ended <- service.Export(ctx, request, func(exports.Header) (io.Writer, error) {
				begun <- struct{}{}
				<-release
				return io.Discard, nil
			})
		}()
	}
	for range places {
		select {
		case <-begun:
		case err := <-ended:
			t.Fatalf("an export ended early: %v", err)
		}
	}
	for range 2 {
		err := service.Write(ctx, io.Discard, request)
		if e := errs.As(err); e == nil || e.Code != codes.ResourceExhausted || e.Reason != "TOO_MANY_EXPORTS" || e.RetryAfter <= 0 {
			t.Errorf("err = %v, want TOO_MANY_EXPORTS", err)
		}
	}
	close(release)
	for range places {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if err := service.Write(ctx, io.Discard, request); err != nil {
		t.Errorf("after they ended: %v", err)
	}
}

package exports_test

import (
	"context"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/exports"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// stuck is a reader that has begun and takes nothing until it is let go.
type stuck struct{ begun, release chan struct{} }

func newStuck() stuck { return stuck{make(chan struct{}, 100), make(chan struct{})} }

func (s stuck) begin(exports.Header) (io.Writer, error) { return s, nil }

func (s stuck) Write(b []byte) (int, error) {
	if s.begun != nil {
		s.begun <- struct{}{}
	}
	<-s.release
	return len(b), nil
}

// Slow readers hold connections: they must hold neither all that donations need, nor all places of the other collectives.
func TestOneCollectiveCannotTakeAllPlacesOfExports(t *testing.T) {
	service, _, pool := open(t, "Europe/Paris")
	groups := collectives.New(collectives.Config{Pool: pool})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan error)
	reader := newStuck()
	start := func(collective string, n int) {
		t.Helper()
		for range n {
			go func() { ended <- service.Export(ctx, exports.Request{Collective: collective}, reader.begin) }()
			select {
			case <-reader.begun:
			case err := <-ended:
				t.Fatalf("an export of %s ended early: %v", collective, err)
			}
		}
	}
	full := func(collective string) {
		t.Helper()
		err := service.Write(ctx, io.Discard, exports.Request{Collective: collective})
		if e := errs.As(err); e == nil || e.Code != codes.ResourceExhausted || e.Reason != errorsv1.ErrorReason_TOO_MANY_EXPORTS || e.RetryAfter <= 0 {
			t.Errorf("%s: err = %v, want TOO_MANY_EXPORTS", collective, err)
		}
	}
	for _, id := range []string{"second", "third", "fourth"} {
		if _, err := groups.Create(ctx, collectives.Collective{ID: id, DisplayName: id}); err != nil {
			t.Fatal(err)
		}
	}
	start(vallon, 2)
	full(vallon)
	for _, other := range []string{"second", "third"} {
		if err := service.Write(ctx, io.Discard, exports.Request{Collective: other}); err != nil {
			t.Errorf("%s: %v", other, err)
		}
		start(other, 2)
	}
	full("fourth")
	close(reader.release)
	for range 6 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if err := service.Write(ctx, io.Discard, exports.Request{Collective: vallon}); err != nil {
		t.Errorf("after they ended: %v", err)
	}
}

func TestAReaderWhoStopsIsCutOff(t *testing.T) {
	service, _, _ := openPaced(t, "Europe/Paris", exports.Pace{Bytes: 1 << 20, Window: 50 * time.Millisecond})
	reader := stuck{release: make(chan struct{})}
	defer close(reader.release)
	for range 2 * 6 { // more than there are places: each is given back
		err := service.Export(t.Context(), exports.Request{Collective: vallon}, reader.begin)
		if e := errs.As(err); e == nil || e.Reason != errorsv1.ErrorReason_EXPORT_READ_TOO_SLOWLY {
			t.Fatalf("err = %v, want EXPORT_READ_TOO_SLOWLY", err)
		}
	}
	if err := service.Write(t.Context(), io.Discard, exports.Request{Collective: vallon}); err != nil {
		t.Errorf("a reader who reads: %v", err)
	}
}

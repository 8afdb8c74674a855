package exports

import (
	"bytes"
	"context"
	"io"
	"time"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// Pace is the slowest that a reader may be: Bytes within each Window. Only the time counts in which the program waits
// for the reader, not that in which it waits for the database.
type Pace struct {
	Bytes  int64
	Window time.Duration
}

// DefaultPace is for readers over the network: 1 MiB a minute, which is less than a poor telephone line has.
var DefaultPace = Pace{Bytes: 1 << 20, Window: time.Minute}

// paced writes to out, and gives up when out takes the bytes too slowly.
type paced struct {
	ctx  context.Context
	out  io.Writer
	pace Pace
	// written and waited are those of the current window.
	written int64
	waited  time.Duration
}

// Write implements io.Writer. A write that does not return is left behind: it ends with the call that it belongs to.
func (p *paced) Write(b []byte) (int, error) {
	began := time.Now()
	type result struct {
		n   int
		err error
	}
	// The channel has room for the result, so the goroutine ends also when nobody waits for it any more.
	done := make(chan result, 1)
	// It is a copy, since the caller continues with b when this write is given up.
	b = bytes.Clone(b)
	go func() {
		n, err := p.out.Write(b)
		done <- result{n, err}
	}()
	// What is left of the window is the longest that this write may take.
	timer := time.NewTimer(p.pace.Window - p.waited)
	defer timer.Stop()
	select {
	case r := <-done:
		p.waited += time.Since(began)
		// Enough bytes within the window begin a new one.
		if p.written += int64(r.n); p.written >= p.pace.Bytes {
			p.written, p.waited = 0, 0
		}
		if r.err == nil && p.waited >= p.pace.Window {
			return r.n, errReadTooSlowly
		}
		return r.n, r.err
	case <-timer.C:
		return 0, errReadTooSlowly
	case <-p.ctx.Done():
		return 0, p.ctx.Err()
	}
}

var errReadTooSlowly = errs.New(errorsv1.ErrorReason_EXPORT_READ_TOO_SLOWLY,
	"The file is read too slowly while others wait. Continue where it broke off, with its version and an offset.")

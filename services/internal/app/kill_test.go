package app_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// TestKilled kills the real program, as its own process and with its production settings, at
// random moments while donors give and Stripe's events come in. Nothing may be lost or double.
func TestKilled(t *testing.T) {
	const (
		donors = 6
		gifts  = 8 // of each
		kills  = 6
	)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	e := apptest.Start(t, apptest.Config{FeeDelay: 300 * time.Millisecond, TrustedProxies: loopback})
	campaign, _ := e.Campaign("vallon")
	e.StopApp()
	e.Sim.SetDelivery(stripesim.Delivery{TwiceRate: 0.3, DropRate: 0.1, Seed: seed})

	program := &program{t: t, e: e}
	program.start()
	paid := make([]int64, donors)
	var giving sync.WaitGroup
	for i := range donors {
		mine := rand.New(rand.NewPCG(seed, uint64(i)+2))
		giving.Go(func() {
			conn := &apptest.RESTConn{URL: e.URL, Header: http.Header{"X-Forwarded-For": {fmt.Sprintf("203.0.%d.1", i)}}}
			for range gifts {
				paid[i] += giveUntilTaken(t, e, conn, campaign, 100+mine.Int64N(9900))
			}
		})
	}
	for range kills {
		time.Sleep(time.Duration(150+random.IntN(400)) * time.Millisecond)
		program.kill()
		program.start()
	}
	giving.Wait()
	e.Sim.SetDelivery(stripesim.Delivery{})
	program.stop()

	e.StartApp()
	var want int64
	for _, p := range paid {
		want += p
	}
	e.Eventually("what was paid is booked", func() bool {
		settled, pending := progress(t, e.Conn, campaign)
		return settled == want && pending == 0
	})
	wantBooksOfStripe(t, e, "vallon")
}

// giveUntilTaken gives as a stubborn browser does: the same request until it is answered, then the
// payment. It answers what was paid.
func giveUntilTaken(t *testing.T, e *apptest.Env, conn *apptest.RESTConn, campaign string, amountMinor int64) int64 {
	req := &donationsv1.CreateDonationRequest{Parent: campaign, Amount: apptest.Euros(amountMinor), RequestId: uuid.NewString()}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(30 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		d, err := donationsv1.NewDonationsServiceClient(conn).CreateDonation(ctx, req)
		cancel()
		if err == nil {
			for _, s := range e.Sim.Sessions("") {
				if s.URL == d.GetCheckoutUrl() {
					if err := e.Sim.Pay(s.ID, stripesim.CardOK); err != nil {
						t.Errorf("pay: %v", err)
						return 0
					}
					return amountMinor
				}
			}
			t.Errorf("%s has no session at Stripe", d.GetName())
			return 0
		}
		if code := status.Code(err); code != codes.Unavailable && code != codes.Unknown && code != codes.Internal {
			t.Errorf("a gift was refused: %v", err)
			return 0
		}
	}
	t.Error("a gift was never taken")
	return 0
}

// program is the service as a process: this test binary, run again as `cagnotte serve` would be.
type program struct {
	t      *testing.T
	e      *apptest.Env
	cmd    *exec.Cmd
	output bytes.Buffer
}

func (p *program) start() {
	p.t.Helper()
	p.cmd = exec.Command(os.Args[0], "-test.run=^$")
	p.cmd.Env = append(os.Environ(), append(p.e.Environ(), childVariable+"=1", "TMPDIR="+p.t.TempDir())...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		if p.t.Failed() {
			p.t.Logf("the program said:\n%s", p.output.String())
		}
	})
}

// kill ends it as the kernel does when memory runs out.
func (p *program) kill() {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	_ = p.cmd.Wait()
}

// stop ends it as an operator does, once it is up.
func (p *program) stop() {
	p.t.Helper()
	p.e.Eventually("the program is ready", func() bool {
		resp, err := http.Get(p.e.URL + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("the program did not stop cleanly: %v", err)
	}
}

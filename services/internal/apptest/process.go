package apptest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/app"
)

// childVariable makes a test binary run the program instead of the tests.
const childVariable = "CAGNOTTE_TEST_SERVE"

// child is what the program as a process of its own is told beside its settings, as JSON in childVariable.
type child struct {
	// ClockFile holds how far the simulator's clock is ahead of wall time, in nanoseconds.
	ClockFile string
	SyncEvery time.Duration
	Limit     donations.Limit
	// StripeRate is how many calls a second it makes to the simulator; any when zero.
	StripeRate float64
}

// Process is the service as a process of its own that can be killed: the test binary, run again with the
// settings that `cagnotte serve` would read. It shares database, address and clock with its Env, whose own App
// must be stopped, unless the process is a second copy beside it, with an address of its own.
type Process struct {
	// URL is where its HTTP is reached: the Env's own, until Listen.
	URL string

	env   *Env
	t     testing.TB
	dir   string
	child string
	cmd   *exec.Cmd
	// output is what all of its lives said.
	output bytes.Buffer
}

// NewProcess returns a Process that is not started. It is killed when the test ends.
func (e *Env) NewProcess() *Process {
	e.t.Helper()
	p := &Process{URL: e.URL, env: e, t: e.t, dir: e.t.TempDir()}
	settings, err := json.Marshal(child{
		ClockFile: filepath.Join(p.dir, "clock"), SyncEvery: e.settings.SyncEvery, Limit: e.settings.DonationLimit,
		StripeRate: e.settings.StripeRate,
	})
	if err != nil {
		e.t.Fatal(err)
	}
	p.child = string(settings)
	p.writeClock(0)
	e.t.Cleanup(func() {
		p.Kill()
		if e.t.Failed() {
			e.t.Logf("the program said:\n%s", p.output.String())
		}
	})
	return p
}

// Listen gives it an address of its own, from its next start on: it is then a second copy beside the Env's App.
func (p *Process) Listen() {
	p.t.Helper()
	p.URL = "http://" + freeAddr(p.t)
}

// Start starts it. It does not wait until it is ready: Ready does.
func (p *Process) Start() {
	p.t.Helper()
	p.cmd = exec.Command(os.Args[0], "-test.run=^$")
	p.cmd.Env = append(os.Environ(), append(p.env.Environ(), childVariable+"="+p.child, "TMPDIR="+p.dir,
		"CAGNOTTE_HTTP_ADDR="+strings.TrimPrefix(p.URL, "http://"))...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		p.t.Fatalf("apptest: start the program: %v", err)
	}
}

// Ready waits until it says so.
func (p *Process) Ready() {
	p.t.Helper()
	p.env.Eventually("the program is ready", func() bool {
		resp, err := http.Get(p.URL + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// Kill ends it as the kernel does when memory runs out. It does nothing to one that does not run.
func (p *Process) Kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	_ = p.cmd.Wait()
	p.cmd = nil
}

// Stop ends it as an operator does, once it is ready.
func (p *Process) Stop() {
	p.t.Helper()
	p.Ready()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("apptest: the program did not stop cleanly: %v", err)
	}
	p.cmd = nil
}

// Advance moves the clock that it shares with the simulator.
func (p *Process) Advance(d time.Duration) {
	p.t.Helper()
	p.writeClock(d)
	p.env.Clock.Advance(d)
}

func (p *Process) writeClock(ahead time.Duration) {
	p.t.Helper()
	offset := time.Until(p.env.Clock.Now().Add(ahead))
	name := filepath.Join(p.dir, "clock")
	err := os.WriteFile(name+".new", []byte(strconv.FormatInt(int64(offset), 10)), 0o600)
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		p.t.Fatalf("apptest: tell the program the time: %v", err)
	}
}

// serveIfChild runs the program if this process is to be one, and does not return then.
func serveIfChild() {
	told := os.Getenv(childVariable)
	if told == "" {
		return
	}
	if err := serve(told); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serve(told string) error {
	var c child
	if err := json.Unmarshal([]byte(told), &c); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg, err := app.FromEnv(os.Getenv)
	if err != nil {
		return err
	}
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	cfg.SyncEvery, cfg.DonationLimit, cfg.StripeRate = c.SyncEvery, c.Limit, c.StripeRate
	cfg.Now = func() time.Time {
		text, _ := os.ReadFile(c.ClockFile)
		offset, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		return time.Now().Add(time.Duration(offset))
	}
	return app.Run(ctx, cfg, func(*app.App) {})
}

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

	"github.com/cagnotte/cagnotte/services/internal/app"
	"github.com/cagnotte/cagnotte/services/wall"
)

// childVariable is the environment variable that makes a test binary run the program instead of its tests.
const childVariable = "CAGNOTTE_TEST_SERVE"

// child is what the program in a process of its own gets beside its settings, as JSON in childVariable.
type child struct {
	// ClockFile has the nanoseconds by which the simulator's clock is ahead of wall time.
	ClockFile string
	SyncEvery time.Duration
	Wall      wall.Limits
	// StripeRate limits its calls a second to the simulator. Zero: no limit.
	StripeRate float64
}

// Process is the service in a process of its own, which can be killed: the test binary, run again with the settings that
// `cagnotte serve` reads. It has the database, address and clock of its Env, whose App must be stopped, unless Listen
// gives the process another address.
type Process struct {
	// URL is the address of its HTTP: the Env's, until Listen.
	URL string

	env   *Env
	t     testing.TB
	dir   string
	child string
	cmd   *exec.Cmd
	// output is what it wrote since its first start.
	output bytes.Buffer
}

// NewProcess returns a Process that does not run yet. It is killed when the test ends.
func (e *Env) NewProcess() *Process {
	e.t.Helper()
	p := &Process{URL: e.URL, env: e, t: e.t, dir: e.t.TempDir()}
	settings, err := json.Marshal(child{
		ClockFile: filepath.Join(p.dir, "clock"), SyncEvery: e.settings.SyncEvery, Wall: e.settings.Wall,
		StripeRate: e.settings.StripeRate,
	})
	if err != nil {
		e.t.Fatal(err)
	}
	p.child = string(settings)
	// The child reads the clock before anything is advanced.
	p.writeClock(0)
	e.t.Cleanup(func() {
		p.Kill()
		if e.t.Failed() {
			e.t.Logf("the program wrote:\n%s", p.output.String())
		}
	})
	return p
}

// Listen gives the process an address of its own from its next start on, so that it can run beside the Env's App.
func (p *Process) Listen() {
	p.t.Helper()
	p.URL = "http://" + freeAddr(p.t)
}

// Start starts the process. Ready waits until it can serve.
func (p *Process) Start() {
	p.t.Helper()
	p.cmd = exec.Command(os.Args[0], "-test.run=^$")
	// Of a variable that is there twice the last one counts, so the process has its own address.
	p.cmd.Env = append(os.Environ(), append(p.env.Environ(), childVariable+"="+p.child, "TMPDIR="+p.dir,
		"CAGNOTTE_HTTP_ADDR="+strings.TrimPrefix(p.URL, "http://"))...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		p.t.Fatalf("apptest: start the program: %v", err)
	}
}

// Ready waits until the process reports that it is ready.
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

// Kill ends the process with SIGKILL, if it runs.
func (p *Process) Kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	_ = p.cmd.Wait()
	p.cmd = nil
}

// Stop waits until the process is ready, ends it with SIGTERM, and fails the test if its exit status is not 0.
func (p *Process) Stop() {
	p.t.Helper()
	p.Ready()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("apptest: the program did not stop cleanly: %v", err)
	}
	p.cmd = nil
}

// Advance moves the clock that the process shares with the simulator. The process may see the new time a moment before
// the simulator does, never after it.
func (p *Process) Advance(d time.Duration) {
	p.t.Helper()
	p.writeClock(d)
	p.env.Clock.Advance(d)
}

// writeClock writes the offset that the clock will have after moving by ahead. A rename replaces the file as a whole,
// since the process reads it at any time.
func (p *Process) writeClock(ahead time.Duration) {
	p.t.Helper()
	offset := time.Until(p.env.Clock.Now().Add(ahead))
	name := filepath.Join(p.dir, "clock")
	err := os.WriteFile(name+".new", []byte(strconv.FormatInt(int64(offset), 10)), 0o600)
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		p.t.Fatalf("apptest: write the clock's file: %v", err)
	}
}

// serveIfChild runs the program and exits if childVariable is set.
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

// serve is `cagnotte serve` with a few settings that the environment does not have, until SIGTERM.
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
	cfg.SyncEvery, cfg.Wall, cfg.StripeRate = c.SyncEvery, c.Wall, c.StripeRate
	// The file is read at each call, so the process follows each move of the clock.
	cfg.Now = func() time.Time {
		text, _ := os.ReadFile(c.ClockFile)
		offset, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		return time.Now().Add(time.Duration(offset))
	}
	return app.Run(ctx, cfg, func(*app.App) {})
}

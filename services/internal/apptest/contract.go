package apptest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// contract is stripe-mock, the second opinion on what we send: one process for a test binary, the
// version whose API description is 2023-10-16 (.tools/go.mod pins it). It is the one global of the
// package, for the reason that pgtest's harness is: TestMain cannot hand it to the tests.
var contract struct {
	once sync.Once
	url  string
	stop func()
	err  error
}

// checkContract sends every request that the simulator got to stripe-mock as well, and fails the
// test when one is refused: a parameter that Stripe does not know, or of the wrong shape.
// One that the simulator refused fails it too, if that was the request's own fault: it knows the documented limits,
// of which stripe-mock knows nothing. What it refused for the state that things were in may happen.
func checkContract(t testing.TB, requests []stripesim.Request) {
	t.Helper()
	if len(requests) == 0 {
		return
	}
	contract.once.Do(startStripeMock)
	if contract.err != nil {
		t.Errorf("apptest: %v", contract.err)
		return
	}
	seen := map[string]bool{}
	for _, r := range requests {
		if r.Malformed != "" {
			t.Errorf("apptest: the simulator refuses %s %s: %s\n%s", r.Method, r.Path, r.Malformed, r.Body)
		}
		if r.Status >= 400 && r.Status < 500 {
			continue
		}
		// Ids and amounts differ; shapes repeat. One of each body is enough.
		id := fmt.Sprintf("%s %s %s", r.Method, r.Path, r.Body)
		if seen[id] {
			continue
		}
		seen[id] = true
		if err := replay(r); err != nil {
			t.Errorf("apptest: stripe-mock refuses %s %s: %v", r.Method, r.Path, err)
		}
	}
}

func replay(r stripesim.Request) error {
	req, err := http.NewRequest(r.Method, contract.url+r.Path, bytes.NewReader(r.Body))
	if err != nil {
		return err
	}
	for _, name := range []string{"Authorization", "Content-Type", "Stripe-Version", "Stripe-Account"} {
		if v := r.Header.Get(name); v != "" {
			req.Header.Set(name, v)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %d: %s", resp.StatusCode, body)
	}
	return nil
}

// Main runs the tests of a binary that uses this package, and ends what they share.
func Main(m *testing.M) {
	serveIfChild()
	pgtest.Main(m, stopStripeMock)
}

func stopStripeMock() {
	if contract.stop != nil {
		contract.stop()
	}
}

func startStripeMock() {
	binary, err := buildStripeMock()
	if err != nil {
		contract.err = err
		return
	}
	// Somebody else may take the ports between the look and the start.
	for range 5 {
		if contract.err = runStripeMock(binary, loopbackPort(), loopbackPort()); contract.err == nil {
			return
		}
	}
}

// runStripeMock needs both addresses, or it opens a port to the world for the one that is not said.
func runStripeMock(binary, plain, secure string) error {
	cmd := exec.Command(binary, "-http-addr", plain, "-https-addr", secure)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start stripe-mock: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	contract.stop = func() {
		_ = cmd.Process.Kill()
		<-ended
	}
	contract.url = "http://" + plain
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		select {
		case <-ended:
			return fmt.Errorf("stripe-mock ended: %s", output.String())
		case <-time.After(20 * time.Millisecond):
		}
		// Whoever answers is it, or it would end.
		resp, err := http.Get(contract.url)
		if err != nil {
			continue
		}
		resp.Body.Close()
		select {
		case <-ended:
		case <-time.After(100 * time.Millisecond):
			return nil
		}
	}
	contract.stop()
	return fmt.Errorf("stripe-mock does not answer: %s", output.String())
}

// buildStripeMock answers the pinned version's binary, which Go builds once into its cache.
func buildStripeMock() (string, error) {
	_, file, _, _ := runtime.Caller(0)
	cmd := exec.Command("go", "tool", "-modfile=.tools/go.mod", "-n", "stripe-mock")
	cmd.Dir = filepath.Join(filepath.Dir(file), "..", "..", "..")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("build stripe-mock: %w: %s", err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

func loopbackPort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}

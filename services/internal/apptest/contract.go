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

// contract is stripe-mock, which checks what the service sends: one process for a test binary, in the version whose API
// description is 2023-10-16 (.tools/go.mod pins it). It is a global because TestMain cannot pass a value to tests.
var contract struct {
	once sync.Once
	url  string
	stop func()
	err  error
}

// checkContract sends every request that the simulator got to stripe-mock too, and fails the test if stripe-mock refuses
// one: a parameter that Stripe does not know, or one of a wrong shape. It also fails the test for a request that the
// simulator found malformed, since the simulator knows documented limits that stripe-mock does not. A request that the
// simulator refused because of the state of an object is no failure.
func checkContract(t testing.TB, requests []stripesim.Request) {
	t.Helper()
	if len(requests) == 0 {
		return
	}
	// The first test with a request starts stripe-mock for all.
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
		// stripe-mock has no state: it would accept what the simulator refused, and that proves nothing.
		if r.Status >= 400 && r.Status < 500 {
			continue
		}
		// The same request again proves nothing more.
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

// replay sends a request as the service sent it, with the headers that stripe-mock reads. The idempotency key is left
// out.
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

// Main runs the tests of a binary that uses this package, stops what they share, and exits.
func Main(m *testing.M) {
	serveIfChild()
	pgtest.Main(m, stopStripeMock)
}

// stopStripeMock does nothing if no test has started stripe-mock.
func stopStripeMock() {
	if contract.stop != nil {
		contract.stop()
	}
}

// startStripeMock leaves its result in contract. It runs once for a test binary.
func startStripeMock() {
	binary, err := buildStripeMock()
	if err != nil {
		contract.err = err
		return
	}
	// Another program may take the ports before stripe-mock does.
	for range 5 {
		if contract.err = runStripeMock(binary, loopbackPort(), loopbackPort()); contract.err == nil {
			return
		}
	}
}

// runStripeMock starts stripe-mock. It sets both addresses, since stripe-mock would open a public port for one that is not
// set.
func runStripeMock(binary, plain, secure string) error {
	cmd := exec.Command(binary, "-http-addr", plain, "-https-addr", secure)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start stripe-mock: %w", err)
	}
	// Wait has one caller. Others learn from ended that the process is over, and may read output only then.
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
		// Only stripe-mock can answer: without the port it would have ended.
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

// buildStripeMock returns the path of the pinned version's binary, which Go builds once into its cache.
func buildStripeMock() (string, error) {
	// Tests run in the folders of their packages, so the path of this file leads to the root of the repository.
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

// loopbackPort is an address that was free a moment ago.
func loopbackPort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}

package pgembed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const testTimeout = 60 * time.Second

// TestMain doubles as the program that TestServerDiesWithItsProgram kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("PGEMBED_TEST_CHILD_DIR"); dir != "" {
		server, err := Start(context.Background(), Config{Dir: dir})
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println(server.process.cmd.Process.Pid)
		<-server.Done()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// testDir is a folder that the server's user can reach; t.TempDir is closed to it under root.
func testDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgembed-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

func mustStart(t *testing.T, cfg Config) *Server {
	t.Helper()
	ctx := testContext(t)
	server, err := Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Stop(ctx) })
	return server
}

func query(t *testing.T, server *Server, sql string) string {
	t.Helper()
	ctx := testContext(t)
	conn, err := pgx.Connect(ctx, server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		t.Fatal(err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(values, ",")
}

func TestTemporaryServer(t *testing.T) {
	ctx := testContext(t)
	began := time.Now()
	server := mustStart(t, Config{Settings: map[string]string{"max_connections": "17"}})
	t.Logf("first start took %v", time.Since(began).Round(time.Millisecond))

	t.Run("applies settings", func(t *testing.T) {
		if got := query(t, server, "SHOW max_connections"); got != "17" {
			t.Errorf("max_connections = %s, want 17", got)
		}
	})
	t.Run("listens on loopback only, without a socket", func(t *testing.T) {
		if got := query(t, server, "SELECT current_setting('listen_addresses') || ' ' || current_setting('unix_socket_directories')"); got != "127.0.0.1 " {
			t.Errorf("listens on %q", got)
		}
	})
	t.Run("wants the password", func(t *testing.T) {
		wrong := strings.Replace(server.URL("postgres"), server.password, "wrong", 1)
		if err := ping(ctx, wrong); err == nil {
			t.Error("a wrong password opened the database")
		}
	})
	t.Run("keeps the password to its owner", func(t *testing.T) {
		info, err := os.Stat(filepath.Join(server.dir, "password"))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("password has mode %o", info.Mode().Perm())
		}
		if _, err := os.Stat(filepath.Join(server.dir, "password.init")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("initdb's copy of the password is still there: %v", err)
		}
	})
	t.Run("leaves nothing after Stop, which may be called twice", func(t *testing.T) {
		for range 2 {
			if err := server.Stop(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := os.Stat(server.dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the temporary folder is still there: %v", err)
		}
	})
}

func TestRestart(t *testing.T) {
	for _, durable := range []bool{false, true} {
		t.Run(fmt.Sprintf("durable=%t", durable), func(t *testing.T) {
			ctx := testContext(t)
			cfg := Config{Dir: filepath.Join(testDir(t), "server"), Durable: durable}
			first := mustStart(t, cfg)
			conn, err := pgx.Connect(ctx, first.URL("postgres"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(ctx)
			if _, err := conn.Exec(ctx, "CREATE TABLE donations AS SELECT 'kept'::text AS word"); err != nil {
				t.Fatal(err)
			}
			if !durable {
				// The last commits of such a server may be lost in a crash; these are older.
				if _, err := conn.Exec(ctx, "CHECKPOINT"); err != nil {
					t.Fatal(err)
				}
			}
			if err := first.Kill(); err != nil {
				t.Fatal(err)
			}

			began := time.Now()
			second := mustStart(t, cfg)
			t.Logf("start after a crash took %v", time.Since(began).Round(time.Millisecond))
			if got := query(t, second, "SELECT word FROM donations"); got != "kept" {
				t.Errorf("after a crash: %q", got)
			}
			if err := second.Stop(ctx); err != nil {
				t.Fatal(err)
			}

			began = time.Now()
			third := mustStart(t, cfg)
			t.Logf("start after a stop took %v", time.Since(began).Round(time.Millisecond))
			if got := query(t, third, "SELECT word FROM donations"); got != "kept" {
				t.Errorf("after a stop: %q", got)
			}
		})
	}
}

func TestSecondServerOnTheSameFolderIsRefused(t *testing.T) {
	ctx := testContext(t)
	cfg := Config{Dir: filepath.Join(testDir(t), "server")}
	first := mustStart(t, cfg)
	began := time.Now()
	_, err := Start(ctx, cfg)
	if !errors.Is(err, ErrInUse) {
		t.Fatalf("err = %v, want ErrInUse", err)
	}
	if !strings.Contains(err.Error(), cfg.Dir) {
		t.Errorf("the error does not name the folder: %v", err)
	}
	if waited := time.Since(began); waited > 5*time.Second {
		t.Errorf("the answer took %v", waited)
	}
	if got := query(t, first, "SELECT 'alive'"); got != "alive" {
		t.Errorf("the first server says %q", got)
	}
}

func TestServerThatGivesUpTellsWhy(t *testing.T) {
	_, err := Start(testContext(t), Config{Settings: map[string]string{"max_connections": "none"}})
	if err == nil || !strings.Contains(err.Error(), "max_connections") {
		t.Errorf("err = %v, want the server's own words", err)
	}
}

func TestServerDiesWithItsProgram(t *testing.T) {
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Log("outside Linux a killed program leaves its server behind; see dieWithParent")
		return
	}
	dir := filepath.Join(testDir(t), "server")
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "PGEMBED_TEST_CHILD_DIR="+dir)
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var postmaster int
	if _, err := fmt.Sscan(line, &postmaster); err != nil {
		t.Fatalf("the program says %q", line)
	}
	if !processLives(postmaster) {
		t.Fatal("there is no server to begin with")
	}
	if err := child.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(testTimeout); processLives(child.Process.Pid); {
		if time.Now().After(deadline) {
			t.Fatal("the program survives SIGKILL")
		}
		runtime.Gosched()
	}
	// At once, while the orphaned server is still shutting down and the program is a zombie.
	server := mustStart(t, Config{Dir: dir})
	if processLives(postmaster) && postmaster != server.process.cmd.Process.Pid {
		t.Error("the old server outlived its program")
	}
	if err := child.Wait(); err == nil {
		t.Error("the program was not killed")
	}
}

func TestStalePidFileDoesNotBlock(t *testing.T) {
	cfg := Config{Dir: filepath.Join(testDir(t), "server")}
	account, err := serverUser()
	if err != nil {
		t.Fatal(err)
	}
	first := mustStart(t, cfg)
	pidFile := filepath.Join(first.dataDir(), "postmaster.pid")
	left, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	first.process.signal(syscall.SIGKILL)
	<-first.Done()
	if err := first.lock.release(); err != nil {
		t.Fatal(err)
	}

	// The number in the file now belongs to another program of the same user.
	other := binaries{dir: "/bin"}.command(testContext(t), "sleep", account, "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		other.Process.Kill()
		other.Wait()
	}()
	_, rest, _ := strings.Cut(string(left), "\n")
	if err := os.WriteFile(pidFile, fmt.Appendf(nil, "%d\n%s", other.Process.Pid, rest), 0o600); err != nil {
		t.Fatal(err)
	}
	second := mustStart(t, cfg)
	if got := query(t, second, "SELECT 'alive'"); got != "alive" {
		t.Errorf("the server says %q", got)
	}
}

func TestUnfinishedClusterIsMadeAgain(t *testing.T) {
	dir := filepath.Join(testDir(t), "server")
	if err := os.MkdirAll(filepath.Join(dir, "data.unfinished", "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	server := mustStart(t, Config{Dir: dir})
	if got := query(t, server, "SELECT 'alive'"); got != "alive" {
		t.Errorf("the server says %q", got)
	}
}

func TestClosedParentIsNamed(t *testing.T) {
	closed := filepath.Join(testDir(t), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	account := serverAccount{name: "postgres", uid: 12345, gid: 12345, drop: true}
	_, err := prepareDir(filepath.Join(closed, "server"), account)
	if err == nil || !strings.Contains(err.Error(), "cannot enter "+closed) {
		t.Errorf("err = %v, want one that names %s", err, closed)
	}
}

func TestDefaultDirIsStable(t *testing.T) {
	one, err := DefaultDir("demo")
	if err != nil {
		t.Fatal(err)
	}
	two, err := DefaultDir("demo")
	if err != nil {
		t.Fatal(err)
	}
	if one != two || filepath.Base(one) != "demo" {
		t.Errorf("DefaultDir gives %q, then %q", one, two)
	}
	t.Chdir(t.TempDir())
	elsewhere, err := DefaultDir("demo")
	if err != nil {
		t.Fatal(err)
	}
	if elsewhere == one {
		t.Errorf("two checkouts share %q", one)
	}
	if os.Geteuid() == 0 {
		os.Remove(filepath.Dir(one))
		os.Remove(filepath.Dir(elsewhere))
	}
}

package pgembed

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// Signals of https://www.postgresql.org/docs/current/server-shutdown.html
const (
	fastShutdown      = syscall.SIGINT
	immediateShutdown = syscall.SIGQUIT
)

// process is the postmaster. One goroutine starts it, waits for it and closes done.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// startProcess starts cmd and returns once it runs.
//
// The goroutine keeps its OS thread. On Linux the parent death signal (see dieWithParent) is sent when the thread that
// forked ends, and the Go runtime may end an idle thread at any time: on a shared thread the server would shut down at
// random.
func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// It is never unlocked, so the thread ends with the goroutine, after the server.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			// The server's log says why it ended. The exit status adds nothing.
			_ = cmd.Wait()
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	return p, nil
}

// signal sends sig. An error means that the process has ended already, as the caller wanted.
func (p *process) signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }

// launch starts the postmaster. It inherits the lock, so the folder stays locked until the last process of the server has
// ended, even if this program is killed first.
func (s *Server) launch(bin binaries, user serverAccount, settings map[string]string) (*process, error) {
	log, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the server's log: %w", err)
	}
	defer log.Close()
	args := []string{"-D", s.dataDir()}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	// Not the caller's context, which limits the start: the server runs longer.
	cmd := bin.command(context.Background(), "postgres", user, args...)
	cmd.Dir = s.dataDir()
	dieWithParent(cmd.SysProcAttr)
	cmd.Stdout = log
	cmd.Stderr = log
	cmd.ExtraFiles = []*os.File{s.lock.file}
	return startProcess(cmd)
}

// initCluster creates data/. The last step is one rename, so an unfinished cluster never has that name.
func (s *Server) initCluster(ctx context.Context, bin binaries, user serverAccount, durable bool) error {
	unfinished := filepath.Join(s.dir, "data.unfinished")
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("remove an unfinished database: %w", err)
	}
	if err := os.Mkdir(unfinished, 0o700); err != nil {
		return fmt.Errorf("make the database folder: %w", err)
	}
	if err := user.own(unfinished); err != nil {
		return err
	}
	password := rand.Text()
	passwordFile := filepath.Join(s.dir, "password")
	if err := os.WriteFile(passwordFile, []byte(password), 0o600); err != nil {
		return fmt.Errorf("write the password: %w", err)
	}
	// initdb runs as the server's user, who may not read the password file, so it gets a file of its own.
	initFile := filepath.Join(s.dir, "password.init")
	defer os.Remove(initFile)
	if err := os.WriteFile(initFile, []byte(password), 0o600); err != nil {
		return fmt.Errorf("write the password: %w", err)
	}
	if err := user.own(initFile); err != nil {
		return err
	}
	args := []string{
		"--pgdata", unfinished, "--username", superuser, "--pwfile", initFile,
		"--auth=scram-sha-256", "--no-locale", "--encoding=UTF8", "--no-instructions",
	}
	if durable {
		args = append(args, "--data-checksums")
	} else {
		args = append(args, "--no-sync")
	}
	cmd := bin.command(ctx, "initdb", user, args...)
	cmd.Dir = unfinished
	cmd.ExtraFiles = []*os.File{s.lock.file}
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb in %s: %w: %s", s.dir, err, strings.TrimSpace(string(output)))
	}
	if err := os.Rename(unfinished, s.dataDir()); err != nil {
		return fmt.Errorf("finish the database folder: %w", err)
	}
	return nil
}

func readPassword(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "password"))
	if err != nil {
		return "", fmt.Errorf("the database in %s has no password file: %w", dir, err)
	}
	return string(text), nil
}

// removeStalePidFile removes the postmaster.pid that a crash left. Every process that launch started has the lock, and
// this program has taken it, so none of them lives. Postgres would still refuse to start if another process has the same
// id by now, as happens in containers. The file stays if that process is a Postgres: somebody started one without this
// package, and Postgres then reports it.
func removeStalePidFile(dataDir string) error {
	path := filepath.Join(dataDir, "postmaster.pid")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read a leftover of the last run: %w", err)
	}
	pid, _, _ := strings.Cut(string(text), "\n")
	if isPostgres(strings.TrimSpace(pid)) {
		return nil
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove a leftover of the last run: %w", err)
	}
	return nil
}

// isPostgres reports whether a process is named postgres, by /proc or else by ps.
func isPostgres(pid string) bool {
	name, err := os.ReadFile(filepath.Join("/proc", pid, "comm"))
	if err != nil {
		name, err = exec.Command("ps", "-o", "comm=", "-p", pid).Output()
	}
	return err == nil && strings.Contains(string(name), "postgres")
}

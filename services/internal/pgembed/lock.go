package pgembed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// lockTimeout bounds the wait for a server whose program is gone to finish its shutdown.
	lockTimeout = 30 * time.Second
	lockPoll    = 20 * time.Millisecond
)

// dirLock is the flock(2) of a server's folder. It belongs to the open file, which the server's
// processes inherit: it ends with the last of them, not with us. Hence it is only ever closed;
// an explicit LOCK_UN would take it from them as well.
type dirLock struct {
	file *os.File
	once sync.Once
	err  error
}

// lockDir takes the lock. The file names the program that holds it, and decides what a taken
// lock means: a living program is a second instance, so the answer is ErrInUse at once; a dead
// one has left a server that is shutting down, so it is worth waiting.
func lockDir(ctx context.Context, dir string) (*dirLock, error) {
	path := filepath.Join(dir, "lock")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the database folder: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	ticker := time.NewTicker(lockPoll)
	defer ticker.Stop()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			l := &dirLock{file: file}
			if err := l.writeOwner(strconv.Itoa(os.Getpid())); err != nil {
				return nil, errors.Join(err, file.Close())
			}
			return l, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock the database folder: %w", err), file.Close())
		}
		if pid := lockOwner(file); processLives(pid) {
			return nil, errors.Join(fmt.Errorf("%w: process %d runs a server in %s", ErrInUse, pid, dir), file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf(
				"%w: a server whose program is gone still runs in %s (its number is the first line of data/postmaster.pid)",
				ErrInUse, dir), file.Close())
		case <-ticker.C:
		}
	}
}

// release names nobody as the owner, so that who comes next waits for the last processes of the
// server instead of taking us for a living one, and closes the file.
func (l *dirLock) release() error {
	if l == nil {
		return nil
	}
	l.once.Do(func() { l.err = errors.Join(l.writeOwner(""), l.file.Close()) })
	return l.err
}

func (l *dirLock) writeOwner(pid string) error {
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("write the lock: %w", err)
	}
	if _, err := l.file.WriteAt([]byte(pid), 0); err != nil {
		return fmt.Errorf("write the lock: %w", err)
	}
	return nil
}

// lockOwner is the process named in the lock file, 0 for none.
func lockOwner(file *os.File) int {
	text, err := io.ReadAll(io.NewSectionReader(file, 0, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}

// processLives reports whether pid runs; one of another user does too (EPERM). A zombie does not:
// in a container nobody may ever reap it.
func processLives(pid int) bool {
	if pid <= 0 || isZombie(pid) {
		return false
	}
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// isZombie reads the state from /proc, as in "42 (name) Z …"; where there is no /proc, it is false.
func isZombie(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	// The name may itself contain a parenthesis, so the last one counts.
	_, state, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	return strings.HasPrefix(state, "Z")
}

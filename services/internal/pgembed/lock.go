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
	// lockTimeout limits the wait for the shutdown of a server whose program has ended.
	lockTimeout = 30 * time.Second
	lockPoll    = 20 * time.Millisecond
)

// dirLock is the flock(2) of a server's folder. The lock belongs to the open file, which the server's processes inherit,
// and ends with the last of these processes. This program therefore only closes the file: LOCK_UN would end the lock of
// the other processes too.
type dirLock struct {
	file *os.File
	once sync.Once
	err  error
}

// lockDir takes the lock. If it is taken, the process id in the file decides: while that process lives, the folder is in
// use, and lockDir returns ErrInUse at once. If it has ended, its server is shutting down, and lockDir waits.
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
				"%w: the server of a program that has ended still runs in %s (its process id is the first line of data/postmaster.pid)",
				ErrInUse, dir), file.Close())
		case <-ticker.C:
		}
	}
}

// release removes this program's process id and closes the file. The next program then waits for the last processes of
// the server, instead of finding a living owner.
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

// lockOwner returns the process id in the lock file, or 0.
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

// processLives reports whether a process runs, also one of another user (EPERM). A zombie does not count, since in a
// container it may stay for ever.
func processLives(pid int) bool {
	if pid <= 0 || isZombie(pid) {
		return false
	}
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// isZombie reads the state in /proc, as in "42 (name) Z …". Without /proc it returns false.
func isZombie(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	// The name can contain parentheses, so the last one ends it.
	_, state, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	return strings.HasPrefix(state, "Z")
}

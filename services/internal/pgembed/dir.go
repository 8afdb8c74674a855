package pgembed

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// serverAccount is the user that the server runs as. The zero value is the caller.
type serverAccount struct {
	name     string
	uid, gid uint32
	drop     bool // the caller is root, and the server must run as another user
}

// serverUser returns the caller; for root, the first of the users postgres and nobody that exists.
func serverUser() (serverAccount, error) {
	if os.Geteuid() != 0 {
		return serverAccount{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return serverAccount{}, fmt.Errorf("user %s: %w", name, err)
		}
		return serverAccount{name: name, uid: uint32(uid), gid: uint32(gid), drop: true}, nil
	}
	return serverAccount{}, errors.New("as root there must be a user postgres or nobody, because Postgres refuses to run as root")
}

// own makes the server's user the owner of a file.
func (a serverAccount) own(path string) error {
	if !a.drop {
		return nil
	}
	if err := os.Chown(path, int(a.uid), int(a.gid)); err != nil {
		return fmt.Errorf("give %s to the user %s: %w", path, a.name, err)
	}
	return nil
}

// canEnter reports whether the account may enter a folder, by the folder's mode.
func (a serverAccount) canEnter(info fs.FileInfo) bool {
	mode := info.Mode().Perm()
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		switch {
		case stat.Uid == a.uid:
			return mode&0o100 != 0
		case stat.Gid == a.gid:
			return mode&0o010 != 0
		}
	}
	return mode&0o001 != 0
}

// prepareDir creates the folder and returns its path without links. It checks that the server's user can enter it.
func prepareDir(dir string, account serverAccount) (string, error) {
	var err error
	if dir == "" {
		dir, err = os.MkdirTemp("", "cagnotte-postgres-")
	} else {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return "", fmt.Errorf("make the database folder: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", fmt.Errorf("find the database folder: %w", err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", fmt.Errorf("find the database folder: %w", err)
	}
	if !account.drop {
		return dir, nil
	}
	// Other users may enter but not list it. data/ itself is closed to them.
	if err := os.Chmod(dir, 0o711); err != nil {
		return "", fmt.Errorf("open the database folder to the user %s: %w", account.name, err)
	}
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		if err != nil {
			return "", fmt.Errorf("look at the folders above the database: %w", err)
		}
		if !account.canEnter(info) {
			return "", fmt.Errorf("the server runs as the user %s, who cannot enter %s (mode %o): "+
				"choose a database folder elsewhere, such as under /var/tmp, or run: chmod o+x %s",
				account.name, parent, info.Mode().Perm(), parent)
		}
		if parent == filepath.Dir(parent) {
			return dir, nil
		}
	}
}

// DefaultDir returns a folder that is always the same for one working directory, and so for one checkout.
//
// It is .dev/<name> in the working directory. For root it is /var/tmp/cagnotte-<hash>/<name>, with a hash of the working
// directory, because root's own folders are usually closed to the user that the server runs as. Everybody can write to
// /var/tmp, so a parent folder that does not belong to root alone is an error. DefaultDir creates the parent of the
// folder, and not the folder.
func DefaultDir(name string) (string, error) {
	workDir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the working directory: %w", err)
	}
	if os.Geteuid() != 0 {
		return filepath.Join(workDir, ".dev", name), nil
	}
	sum := sha256.Sum256([]byte(workDir))
	parent := filepath.Join("/var/tmp", "cagnotte-"+hex.EncodeToString(sum[:8]))
	if err := os.Mkdir(parent, 0o711); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("make the folder for databases: %w", err)
	}
	info, err := os.Lstat(parent)
	if err != nil {
		return "", fmt.Errorf("look at the folder for databases: %w", err)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || stat.Uid != 0 || info.Mode().Perm()&0o022 != 0 {
		return "", fmt.Errorf("%s is not a folder that root alone can write to: another user may have created it; remove it", parent)
	}
	return filepath.Join(parent, name), nil
}

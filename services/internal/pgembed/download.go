package pgembed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

const (
	mavenCentral = "https://repo1.maven.org/maven2"
	// defaultMajor is what a machine without Postgres gets.
	defaultMajor = 17
)

// releases are the versions that the library knows how to fetch, by major.
func release(major int) (embeddedpostgres.PostgresVersion, error) {
	switch major {
	case 15:
		return embeddedpostgres.V15, nil
	case 16:
		return embeddedpostgres.V16, nil
	case 17:
		return embeddedpostgres.V17, nil
	case 18:
		return embeddedpostgres.V18, nil
	}
	return "", fmt.Errorf("there is no download of version %d", major)
}

// downloadDir is shared by all checkouts. Root's cache is closed to the server's user, so root
// keeps downloads in /var/cache.
func downloadDir() string {
	if os.Geteuid() == 0 {
		return "/var/cache/cagnotte/postgres"
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return filepath.Join(os.TempDir(), "cagnotte-postgres-cache-"+strconv.Itoa(os.Getuid()))
	}
	return filepath.Join(dir, "cagnotte", "postgres")
}

// download returns the cached release of a major version, fetching it first when needed.
func (f finder) download(ctx context.Context, major int, account serverAccount) (binaries, error) {
	version, err := release(major)
	if err != nil {
		return binaries{}, err
	}
	home := filepath.Join(f.cacheDir, string(version))
	if !isFile(filepath.Join(home, "bin", "postgres")) {
		if err := f.fetch(ctx, version, home); err != nil {
			return binaries{}, err
		}
	}
	return inspect(ctx, filepath.Join(home, "bin"), account)
}

// fetch puts a release into home, in one rename, so that a broken download leaves nothing.
func (f finder) fetch(ctx context.Context, version embeddedpostgres.PostgresVersion, home string) error {
	if err := os.MkdirAll(f.cacheDir, 0o755); err != nil {
		return fmt.Errorf("make the cache: %w", err)
	}
	work, err := os.MkdirTemp(f.cacheDir, "fetch-")
	if err != nil {
		return fmt.Errorf("make the cache: %w", err)
	}
	f.logger.Info("downloading postgres", "version", string(version), "from", f.repository)

	// The library takes no context. When ours ends first, its goroutine runs on until its
	// download does, and removes what it fetched.
	fetched := make(chan error, 1)
	go func() {
		err := extract(version, f.repository, work)
		if err == nil && ctx.Err() == nil {
			err = os.Rename(filepath.Join(work, "release"), home)
			if isFile(filepath.Join(home, "bin", "postgres")) {
				err = nil // another program fetched it meanwhile
			}
		}
		fetched <- errors.Join(err, os.RemoveAll(work))
	}()
	select {
	case err := <-fetched:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// extract has the library fetch, check and unpack a release into work/release.
//
// The library does that only on the way to starting a server of its own, as the current user. So
// it gets a data folder that no server can start from, and what counts is not its error but
// whether the programs are there afterwards.
func extract(version embeddedpostgres.PostgresVersion, repository, work string) error {
	noCluster := filepath.Join(work, "no-cluster")
	if err := os.Mkdir(noCluster, 0o700); err != nil {
		return fmt.Errorf("unpack postgres: %w", err)
	}
	// The library takes a folder with the right version for initialised, and runs no initdb.
	if err := os.WriteFile(filepath.Join(noCluster, "PG_VERSION"), []byte(version[:2]), 0o600); err != nil {
		return fmt.Errorf("unpack postgres: %w", err)
	}
	port, err := choosePort(0)
	if err != nil {
		return err
	}
	home := filepath.Join(work, "release")
	library := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(version).
		Port(uint32(port)).
		BinaryRepositoryURL(repository).
		CachePath(filepath.Join(work, "archive")).
		RuntimePath(home).
		DataPath(noCluster).
		Logger(io.Discard))
	startErr := library.Start()
	if startErr == nil {
		return errors.Join(errors.New("postgres started from a folder without a database"), library.Stop())
	}
	for _, program := range []string{"postgres", "initdb"} {
		if !isFile(filepath.Join(home, "bin", program)) {
			return fmt.Errorf("fetch postgres %s: %w", version, startErr)
		}
	}
	return nil
}

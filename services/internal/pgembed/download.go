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
	// defaultMajor is the version that is downloaded for a new cluster.
	defaultMajor = 17
)

// release returns the version that the library downloads for a major version.
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

// downloadDir returns the folder of downloads, which all checkouts share. It is in /var/cache for root, whose own cache
// is closed to the server's user.
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

// download returns the release of a major version from the cache. It downloads the release first if it is not there.
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

// fetch downloads a release into home. The last step is one rename, so a failed download leaves nothing there.
func (f finder) fetch(ctx context.Context, version embeddedpostgres.PostgresVersion, home string) error {
	if err := os.MkdirAll(f.cacheDir, 0o755); err != nil {
		return fmt.Errorf("make the cache: %w", err)
	}
	work, err := os.MkdirTemp(f.cacheDir, "fetch-")
	if err != nil {
		return fmt.Errorf("make the cache: %w", err)
	}

	// The library takes no context. When ctx ends first, this goroutine continues until the download ends, and then
	// removes the files.
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

// extract lets the library download, check and unpack a release into work/release.
//
// The library does this only as a part of starting a server, as the current user. So it gets a data folder from which no
// server can start. Its error says nothing then: what counts is whether the programs are there.
func extract(version embeddedpostgres.PostgresVersion, repository, work string) error {
	noCluster := filepath.Join(work, "no-cluster")
	if err := os.Mkdir(noCluster, 0o700); err != nil {
		return fmt.Errorf("unpack postgres: %w", err)
	}
	// The library considers a folder with the right version initialised, and does not run initdb.
	if err := os.WriteFile(filepath.Join(noCluster, "PG_VERSION"), []byte(version[:2]), 0o600); err != nil {
		return fmt.Errorf("unpack postgres: %w", err)
	}
	port, err := freePort()
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

package pgembed

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// installed finds this machine's Postgres; without one no test here can run.
func installed(t *testing.T) binaries {
	t.Helper()
	account, err := serverUser()
	if err != nil {
		t.Fatal(err)
	}
	bin, err := defaultFinder().binaries(testContext(t), 0, account)
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// script makes a folder with a postgres that tells a version, and an initdb.
func script(t *testing.T, dir, version string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"postgres", "initdb"} {
		text := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + " (Test)'\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFinder(t *testing.T) {
	root := testDir(t)
	account, err := serverUser()
	if err != nil {
		t.Fatal(err)
	}
	old := script(t, filepath.Join(root, "lib/postgresql/9/bin"), "9.6.24")
	v15 := script(t, filepath.Join(root, "lib/postgresql/15/bin"), "15.14")
	v18 := script(t, filepath.Join(root, "lib/postgresql/18/bin"), "18.1")
	cellar := script(t, filepath.Join(root, "cellar/17.2/bin"), "17.2")
	links := filepath.Join(root, "links")
	configs := filepath.Join(root, "configs")
	for _, dir := range []string{links, configs} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(cellar, "postgres"), filepath.Join(links, "postgres")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(configs, "pg_config"), []byte("#!/bin/sh\necho "+v15+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	glob := filepath.Join(root, "lib/postgresql/*/bin")
	closed := httptest.NewServer(http.NotFoundHandler())
	defer closed.Close()

	for _, test := range []struct {
		rule  string
		find  finder
		major int
		want  string // a folder, or else a part of the error
	}{
		{"follows a link on the PATH to the folder that has initdb too", finder{path: links}, 0, cellar},
		{"asks pg_config", finder{path: configs, globs: []string{glob}}, 0, v15},
		{"takes the highest installed version, by number and not by letters", finder{globs: []string{glob}}, 0, v18},
		{"takes the version that made the database", finder{path: links, globs: []string{glob}}, 15, v15},
		{"refuses an old version, and says which", finder{path: old}, 0, "is version 9.6.24"},
		{"says how to install it", finder{}, 0, InstallHint},
		{"says which version the database needs", finder{path: v15}, 17, "the database is of version 17"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			test.find.repository = closed.URL
			test.find.cacheDir = filepath.Join(root, "cache")
			bin, err := test.find.binaries(testContext(t), test.major, account)
			if err != nil {
				if !strings.Contains(err.Error(), test.want) {
					t.Errorf("err = %v, want %q in it", err, test.want)
				}
				return
			}
			if bin.dir != test.want {
				t.Errorf("found %s, want %s", bin.dir, test.want)
			}
		})
	}
}

// The repository is played by a local server whose archive links to this machine's binaries:
// fetching, checking, unpacking and starting are the real thing.
func TestDownload(t *testing.T) {
	local := installed(t)
	root := testDir(t)
	archive := mavenArchive(t, local.dir)
	var requests int
	checksum := sha256.Sum256(archive)
	repository := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		switch {
		case !strings.HasPrefix(r.URL.Path, "/io/zonky/test/postgres/embedded-postgres-binaries-"):
			http.NotFound(w, r)
		case strings.HasSuffix(r.URL.Path, ".sha256"):
			w.Write([]byte(hex.EncodeToString(checksum[:])))
		default:
			w.Write(archive)
		}
	}))
	defer repository.Close()
	find := finder{cacheDir: filepath.Join(root, "cache"), repository: repository.URL}

	t.Run("starts a server from a downloaded release", func(t *testing.T) {
		ctx := testContext(t)
		server, err := start(ctx, Config{Dir: filepath.Join(root, "server")}, find)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Stop(ctx)
		if got := server.process.cmd.Path; !strings.HasPrefix(got, find.cacheDir) {
			t.Errorf("the server runs %s", got)
		}
		if got := query(t, server, "SELECT 'alive'"); got != "alive" {
			t.Errorf("the server says %q", got)
		}
	})
	t.Run("keeps the release and nothing else", func(t *testing.T) {
		entries, err := os.ReadDir(find.cacheDir)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) != 1 || strings.HasPrefix(entries[0].Name(), "fetch-") {
			t.Errorf("the cache holds %v", entries)
		}
	})
	t.Run("downloads once", func(t *testing.T) {
		before := requests
		if _, err := find.download(testContext(t), defaultMajor, serverAccount{}); err != nil {
			t.Fatal(err)
		}
		if requests != before {
			t.Errorf("%d requests for a cached release", requests-before)
		}
	})
	t.Run("refuses a release that does not match its checksum", func(t *testing.T) {
		checksum[0]++
		find.cacheDir = filepath.Join(root, "other-cache")
		_, err := find.download(testContext(t), defaultMajor, serverAccount{})
		if err == nil || !strings.Contains(err.Error(), "checksum") {
			t.Errorf("err = %v", err)
		}
	})
}

// mavenArchive is a jar as the repository serves it: a zip with a .txz of the release in it.
func mavenArchive(t *testing.T, bin string) []byte {
	t.Helper()
	var tarball bytes.Buffer
	files := tar.NewWriter(&tarball)
	for _, name := range []string{"initdb", "pg_ctl", "postgres"} {
		header := &tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + name, Linkname: filepath.Join(bin, name)}
		if err := files.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	var jar bytes.Buffer
	entries := zip.NewWriter(&jar)
	entry, err := entries.Create("postgres.txz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := entry.Write(storeXZ(tarball.Bytes())); err != nil {
		t.Fatal(err)
	}
	if err := entries.Close(); err != nil {
		t.Fatal(err)
	}
	return jar.Bytes()
}

// storeXZ wraps less than 64 KiB as one uncompressed LZMA2 chunk, so that the test needs no xz
// program. The layout is that of https://tukaani.org/xz/xz-file-format.txt
func storeXZ(data []byte) []byte {
	little := binary.LittleEndian
	checksum := func(b []byte) []byte { return little.AppendUint32(nil, crc32.ChecksumIEEE(b)) }
	pad := func(b []byte) []byte { return append(b, make([]byte, (4-len(b)%4)%4)...) }

	flags := []byte{0, 1} // checked by CRC32
	stream := append([]byte("\xfd7zXZ\x00"), flags...)
	stream = append(stream, checksum(flags)...)

	header := []byte{2, 0, 0x21, 1, 16, 0, 0, 0} // LZMA2 with a dictionary of 1 MiB
	block := append(header, checksum(header)...)
	block = append(block, 1)
	block = binary.BigEndian.AppendUint16(block, uint16(len(data)-1))
	block = append(append(block, data...), 0)
	const checkSize = 4
	unpadded := len(block) + checkSize
	block = append(pad(block), checksum(data)...)

	index := binary.AppendUvarint([]byte{0, 1}, uint64(unpadded))
	index = pad(binary.AppendUvarint(index, uint64(len(data))))
	index = append(index, checksum(index)...)

	footer := append(little.AppendUint32(nil, uint32(len(index)/4-1)), flags...)
	stream = append(append(stream, block...), index...)
	stream = append(append(stream, checksum(footer)...), footer...)
	return append(stream, "YZ"...)
}

package pgembed

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// minMajor is the oldest major version that Cagnotte's schema and queries run on.
const minMajor = 15

// InstallHint tells how to install Postgres, for error messages.
const InstallHint = "apt-get install postgresql (Debian, Ubuntu), or brew install postgresql@17 (macOS)"

// binaries is a folder that has initdb and postgres.
type binaries struct {
	dir     string
	version string // as in "15.14"
	major   int
}

// command returns a command that runs one of the binaries as the server's user. It has its own process group: Ctrl-C in
// the terminal reaches this program alone, which then stops the server in order. Its environment has only what it needs,
// since PG* variables change what the tools do, and the service's secrets must not reach them. With TZ set, initdb does
// not search through all time zones.
func (b binaries) command(ctx context.Context, name string, account serverAccount, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(b.dir, name), args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if account.drop {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: account.uid, Gid: account.gid}
	}
	return cmd
}

// finder has the places where binaries are looked for. Tests use other places.
type finder struct {
	path       string   // like $PATH
	globs      []string // patterns of folders, one folder a version; the highest version is preferred
	fixed      []string
	cacheDir   string // downloads, one folder a version
	repository string // base URL of a Maven repository
}

func defaultFinder() finder {
	return finder{
		path: os.Getenv("PATH"),
		globs: []string{
			"/usr/lib/postgresql/*/bin",
			"/opt/homebrew/opt/postgresql@*/bin",
			"/usr/local/opt/postgresql@*/bin",
		},
		fixed:      []string{"/usr/local/bin"},
		cacheDir:   downloadDir(),
		repository: mavenCentral,
	}
}

// binaries returns the first usable binaries, installed or downloaded. A major of 0 accepts any version from minMajor on.
// An existing cluster needs its own major version.
func (f finder) binaries(ctx context.Context, major int, account serverAccount) (binaries, error) {
	var refused []string
	for _, dir := range f.candidates(ctx) {
		bin, err := inspect(ctx, dir, account)
		switch {
		case err != nil:
			refused = append(refused, err.Error())
		case bin.major < minMajor:
			refused = append(refused, dir+" is version "+bin.version)
		case major != 0 && bin.major != major:
			refused = append(refused, fmt.Sprintf("%s is version %s, the database is of version %d", dir, bin.version, major))
		default:
			return bin, nil
		}
	}
	bin, err := f.download(ctx, cmp.Or(major, defaultMajor), account)
	if err != nil {
		return binaries{}, fmt.Errorf("no Postgres %d or later is installed (%s) and none can be downloaded: %w; install it: %s",
			minMajor, cmp.Or(strings.Join(refused, "; "), "looked in PATH and the usual folders"), err, InstallHint)
	}
	return bin, nil
}

// candidates returns the folders that have both programs, in order of preference. A program on the PATH may be a link
// into the folder that has the others, so both ends of a link are candidates.
func (f finder) candidates(ctx context.Context) []string {
	var dirs []string
	for _, dir := range filepath.SplitList(f.path) {
		if target, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres")); err == nil {
			dirs = append(dirs, dir, filepath.Dir(target))
		}
		config := filepath.Join(dir, "pg_config")
		if output, err := exec.CommandContext(ctx, config, "--bindir").Output(); err == nil {
			dirs = append(dirs, strings.TrimSpace(string(output)))
		}
	}
	var versioned []string
	for _, glob := range f.globs {
		// Glob fails only for a malformed pattern, and these are constants.
		found, _ := filepath.Glob(glob)
		versioned = append(versioned, found...)
	}
	slices.SortStableFunc(versioned, func(a, b string) int { return cmp.Compare(majorIn(b), majorIn(a)) })
	dirs = append(dirs, versioned...)
	dirs = append(dirs, f.fixed...)

	var complete []string
	for _, dir := range dirs {
		if !slices.Contains(complete, dir) && isFile(filepath.Join(dir, "postgres")) && isFile(filepath.Join(dir, "initdb")) {
			complete = append(complete, dir)
		}
	}
	return complete
}

var (
	versionPattern = regexp.MustCompile(`\(PostgreSQL\) ((\d+)\S*)`)
	dirPattern     = regexp.MustCompile(`postgresql[@/](\d+)`)
)

// majorIn returns the version in a folder's name, or 0. It only orders the folders.
func majorIn(dir string) int {
	match := dirPattern.FindStringSubmatch(dir)
	if match == nil {
		return 0
	}
	major, err := strconv.Atoi(match[1])
	if err != nil {
		return 0
	}
	return major
}

// inspect asks the program for its version. It runs as the server's user, which proves that this user can run it.
func inspect(ctx context.Context, dir string, account serverAccount) (binaries, error) {
	bin := binaries{dir: dir}
	output, err := bin.command(ctx, "postgres", account, "--version").CombinedOutput()
	if err != nil {
		return bin, fmt.Errorf("%s/postgres does not run: %w", dir, err)
	}
	match := versionPattern.FindStringSubmatch(string(output))
	if match == nil {
		return bin, fmt.Errorf("%s/postgres does not print its version", dir)
	}
	bin.version = match[1]
	bin.major, err = strconv.Atoi(match[2])
	return bin, err
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

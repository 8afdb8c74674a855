package pgembed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// superuser is the role that owns the cluster. [Server.URL] logs in as it.
const superuser = "cagnotte"

const (
	// readyTimeout limits the wait for the first answer, crash recovery included.
	readyTimeout = 60 * time.Second
	readyPoll    = 10 * time.Millisecond
	// portAttempts limits the retries when another program takes the free port before Postgres does.
	portAttempts = 5
)

// ErrInUse means that another server, of this program or of another one, uses the folder.
var ErrInUse = errors.New("the database folder is in use")

// Config of [Start]. The zero value starts a temporary server on a free port.
type Config struct {
	// Dir is the server's folder; Start creates it if it is missing. When root starts the server, the user that it runs
	// as must be able to enter each parent (o+x). Empty: a temporary folder, which Stop removes.
	Dir string
	// Durable keeps committed data after any crash. False: nothing waits for the disk, so a crash of the server loses the
	// last commits, and a crash of the machine can lose the cluster.
	Durable bool
	// Settings are parameters of the server; they override those of this package. Nil: none.
	Settings map[string]string
}

// Server is a running Postgres. Its methods are safe for concurrent use.
type Server struct {
	dir       string
	temporary bool
	port      int
	password  string
	lock      *dirLock
	process   *process
}

// Start creates the cluster if the folder has none, starts the server and returns once it answers queries. The binaries
// are of the major version that created the cluster, 15 or later. The caller must call Stop.
//
// Start returns [ErrInUse] when another server uses the folder, an error with the folder's name when the server's user
// cannot enter it, and one with the end of the server's log when the server does not start.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	return start(ctx, cfg, defaultFinder())
}

func start(ctx context.Context, cfg Config, find finder) (_ *Server, err error) {
	s := &Server{dir: cfg.Dir, temporary: cfg.Dir == ""}
	user, err := serverUser()
	if err != nil {
		return nil, err
	}
	if s.dir, err = prepareDir(cfg.Dir, user); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.cleanUp())
		}
	}()
	if s.lock, err = lockDir(ctx, s.dir); err != nil {
		s.temporary = false // the files belong to the holder of the lock
		return nil, err
	}

	major, err := clusterMajor(s.dataDir())
	if err != nil {
		return nil, err
	}
	bin, err := find.binaries(ctx, major, user)
	if err != nil {
		return nil, err
	}
	if major == 0 {
		if err := s.initCluster(ctx, bin, user, cfg.Durable); err != nil {
			return nil, err
		}
	}
	if s.password, err = readPassword(s.dir); err != nil {
		return nil, err
	}
	if err := removeStalePidFile(s.dataDir()); err != nil {
		return nil, err
	}
	if err := s.run(ctx, bin, user, cfg); err != nil {
		return nil, err
	}
	return s, nil
}

// URL returns the address of a database, for the superuser. It contains the password, so it must not be logged.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Done returns a channel that is closed when the server has ended for any reason.
func (s *Server) Done() <-chan struct{} { return s.process.done }

// Stop shuts the server down: it ends sessions and writes a checkpoint. If ctx ends first, Stop kills the server; a
// durable server loses nothing by that. Stop waits until the server has ended, releases the folder, and removes it if it
// is temporary. It may be called twice.
func (s *Server) Stop(ctx context.Context) error {
	s.process.signal(fastShutdown)
	select {
	case <-s.process.done:
	case <-ctx.Done():
		s.process.signal(immediateShutdown)
		<-s.process.done
	}
	return s.cleanUp()
}

// Kill ends the server at once, as a crash does, and waits until it has ended. The folder stays, and the next Start on it
// recovers. Stop removes a temporary one.
func (s *Server) Kill() error {
	s.process.signal(immediateShutdown)
	<-s.process.done
	return s.lock.release()
}

// cleanUp releases what start took. The server must have ended.
func (s *Server) cleanUp() error {
	err := s.lock.release()
	if s.temporary {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

// run starts the server process and waits until it answers. Another program can take the free port before the server
// does; then run tries another port.
func (s *Server) run(ctx context.Context, bin binaries, user serverAccount, cfg Config) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		port, err := freePort()
		if err != nil {
			return err
		}
		s.port = port
		if s.process, err = s.launch(bin, user, settings(cfg, port)); err != nil {
			return err
		}
		err = s.awaitReady(ctx)
		if err == nil {
			return nil
		}
		s.process.signal(immediateShutdown)
		<-s.process.done
		if attempt == portAttempts || portIsFree(port) {
			return err
		}
	}
}

// awaitReady polls with real logins, since only an answered query proves that recovery is over and the password is right.
func (s *Server) awaitReady(ctx context.Context) error {
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		err := ping(ctx, s.URL("postgres"))
		if err == nil {
			return nil
		}
		var pgErr *pgconn.PgError
		if errors.As(err, &pgErr) && strings.HasPrefix(pgErr.Code, "28") {
			return fmt.Errorf("the password in %s does not open the database there: %w", s.dir, err)
		}
		select {
		case <-s.process.done:
			return fmt.Errorf("postgres did not start in %s: %s", s.dir, logTail(s.logPath()))
		case <-ctx.Done():
			return fmt.Errorf("postgres in %s did not answer: %w", s.dir, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

func ping(ctx context.Context, databaseURL string) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	return errors.Join(conn.Ping(ctx), conn.Close(ctx))
}

// freePort returns a port on 127.0.0.1 that is free now.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("pick a free port: %w", err)
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

func portIsFree(port int) bool {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	return err == nil && listener.Close() == nil
}

// settings returns the server's parameters. Log messages have no statements and no details, since these would bring
// donors' data into the log.
func settings(cfg Config, port int) map[string]string {
	all := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    strconv.Itoa(port),
		"unix_socket_directories": "",
		"max_connections":         "200",
		"timezone":                "UTC",
		"log_error_verbosity":     "terse",
		"log_min_error_statement": "panic",
		"logging_collector":       "off",
	}
	if !cfg.Durable {
		all["fsync"] = "off"
		all["synchronous_commit"] = "off"
		all["full_page_writes"] = "off"
		// A temporary server has no replicas, so it writes less.
		all["wal_level"] = "minimal"
		all["max_wal_senders"] = "0"
		all["max_wal_size"] = "4GB"
	}
	for name, value := range cfg.Settings {
		all[name] = value
	}
	return all
}

// clusterMajor returns the major version that created the cluster, or 0 if there is no cluster.
func clusterMajor(dataDir string) (int, error) {
	text, err := os.ReadFile(filepath.Join(dataDir, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the version of the database: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%s has a database of an unknown version: %w", dataDir, err)
	}
	return major, nil
}

func (s *Server) dataDir() string { return filepath.Join(s.dir, "data") }

func (s *Server) logPath() string { return filepath.Join(s.dir, "server.log") }

// logTail returns the end of the server's log in one line, for an error message.
func logTail(path string) string {
	const lines = 5
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], " | ")
}

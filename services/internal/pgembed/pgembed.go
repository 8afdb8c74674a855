package pgembed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
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

// Superuser is the role that owns the cluster and that [Server.URL] logs in as.
const Superuser = "cagnotte"

const (
	// readyTimeout bounds the wait for the first answer; crash recovery is part of it.
	readyTimeout = 60 * time.Second
	readyPoll    = 10 * time.Millisecond
	// portAttempts bounds the retries when somebody takes the free port before Postgres does.
	portAttempts = 5
)

// ErrInUse says that another server, of this process or of another one, holds the folder.
var ErrInUse = errors.New("the database folder is in use")

// Config says what to start. The zero value starts a throw-away server on a free port.
type Config struct {
	// Dir is the server's folder, made when missing. Empty: a temporary one, removed by Stop.
	// As root, each of its parents must be open (o+x) to the user that the server runs as.
	Dir string
	// Port on 127.0.0.1. Zero picks a free one.
	Port int
	// Durable keeps what was committed, whatever crashes. When false, nothing waits for the disk:
	// a crash of the server loses the last commits, a crash of the machine can lose the cluster.
	Durable bool
	// Logger gets one line for a start, a stop and a download. Nil discards them.
	Logger *slog.Logger
	// Settings are server parameters that override the ones chosen here.
	Settings map[string]string
}

// Server is a running Postgres. Its methods are safe for concurrent use.
type Server struct {
	dir       string
	temporary bool
	port      int
	password  string
	logger    *slog.Logger
	lock      *dirLock
	process   *process
}

// Start makes the cluster when the folder has none, starts the server and returns once it
// answers. It finds binaries of the major version that made the cluster, 15 or later.
//
// Errors: [ErrInUse] when the folder is held; one that names the folder when the server's user
// could not reach it; one that carries the end of the server's log when the server gave up.
// Whoever gets a Server calls Stop.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	return start(ctx, cfg, defaultFinder())
}

func start(ctx context.Context, cfg Config, find finder) (_ *Server, err error) {
	s := &Server{dir: cfg.Dir, temporary: cfg.Dir == "", logger: cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))}
	find.logger = s.logger
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
		s.temporary = false // whoever holds the lock owns the files
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
	began := time.Now()
	if major == 0 {
		if err := s.initCluster(ctx, bin, user, cfg.Durable); err != nil {
			return nil, err
		}
	}
	if s.password, err = readPassword(s.dir); err != nil {
		return nil, err
	}
	made := time.Now()
	if err := removeStalePidFile(s.dataDir()); err != nil {
		return nil, err
	}
	if err := s.run(ctx, bin, user, cfg); err != nil {
		return nil, err
	}
	s.logger.Info("postgres started", "version", bin.version, "dir", s.dir, "port", s.port,
		"init", made.Sub(began).Round(time.Millisecond), "start", time.Since(made).Round(time.Millisecond))
	return s, nil
}

// URL is the connection string of a database, as the superuser. It holds the password: do not
// log it.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(Superuser, s.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Done is closed when the server has ended, for whatever reason.
func (s *Server) Done() <-chan struct{} { return s.process.done }

// Stop shuts the server down in order: sessions are cut, a checkpoint is written. When ctx ends
// before that, the server is killed, which a durable one survives whole. It waits for the end, frees
// the folder, and removes it when it is a temporary one. Stopping twice is safe.
func (s *Server) Stop(ctx context.Context) error {
	s.process.signal(fastShutdown)
	select {
	case <-s.process.done:
	case <-ctx.Done():
		s.process.signal(immediateShutdown)
		<-s.process.done
	}
	s.logger.Info("postgres stopped", "dir", s.dir)
	return s.cleanUp()
}

// Kill ends the server at once, as a crash would, and waits for the end. The folder stays, also a
// temporary one until Stop, and the next Start on it recovers.
func (s *Server) Kill() error {
	s.process.signal(immediateShutdown)
	<-s.process.done
	return s.lock.release()
}

// cleanUp frees what start took. The server must have ended.
func (s *Server) cleanUp() error {
	err := s.lock.release()
	if s.temporary {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

// run starts the server process and waits until it answers. A free port can be lost to somebody
// else between choosing it and binding it; then another one is tried.
func (s *Server) run(ctx context.Context, bin binaries, user serverAccount, cfg Config) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		port, err := choosePort(cfg.Port)
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
		if cfg.Port != 0 || attempt == portAttempts || portIsFree(port) == nil {
			return err
		}
	}
}

// awaitReady polls with real logins: only an answered query proves that recovery is over and
// that the password fits.
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
			return fmt.Errorf("postgres gave up starting in %s: %s", s.dir, logTail(s.logPath()))
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

// choosePort returns the wanted port when it is free, or any free one when none is wanted.
func choosePort(wanted int) (int, error) {
	if wanted != 0 {
		if err := portIsFree(wanted); err != nil {
			return 0, fmt.Errorf("port %d on 127.0.0.1 is taken by another program: %w", wanted, err)
		}
		return wanted, nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("pick a free port: %w", err)
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

func portIsFree(port int) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return listener.Close()
}

// settings are the server's parameters. Messages carry no statements and no details, because
// those would write donors' data into the log.
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
		// Less to write, and nobody replicates a throw-away server.
		all["wal_level"] = "minimal"
		all["max_wal_senders"] = "0"
		all["max_wal_size"] = "4GB"
	}
	for name, value := range cfg.Settings {
		all[name] = value
	}
	return all
}

// clusterMajor is the major version that made the cluster, or 0 when there is no cluster yet.
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
		return 0, fmt.Errorf("%s holds no database of a version that we know: %w", dataDir, err)
	}
	return major, nil
}

func (s *Server) dataDir() string { return filepath.Join(s.dir, "data") }

func (s *Server) logPath() string { return filepath.Join(s.dir, "server.log") }

// logTail is the end of the server's log, on one line for an error message.
func logTail(path string) string {
	const lines = 5
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], " | ")
}

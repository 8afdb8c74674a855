package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ServiceRole is the role that the services work as. The first migration creates it.
const ServiceRole = "cagnotte_service"

const (
	connectTimeout = 5 * time.Second
	// healthCheckPeriod is how long an idle connection that the server closed can stay in the pool.
	healthCheckPeriod = 30 * time.Second
	// defaultMaxConns is enough for calls beside eight jobs and six exports, which can keep a connection for long. Four
	// copies of the program can share a Postgres with 100 connections.
	defaultMaxConns = 23
	// poolSizeParameter is pgxpool's parameter of the address.
	poolSizeParameter = "pool_max_conns"
)

// Config of [Open]. URL is required.
type Config struct {
	// URL is DATABASE_URL, in either of libpq's forms. Its parameters override those of this package.
	URL string
	// MaxConns is the size of the pool, unless the URL has pool_max_conns. Zero: 23.
	MaxConns int32
	// Role is the role that connections work as. Empty: ServiceRole.
	Role string
	// DefaultScope is the scope of queries whose context has none. Zero: they see nothing. Only tests set it.
	DefaultScope Scope
}

// Open returns a pool of connections that work as the role, with the scope of the context that acquires them. The pool connects at the first query, so an unavailable
// database is an error of that query, not of Open. The caller closes the pool.
//
// A statement may take 30 s, a wait for a lock 5 s, and an idle transaction 60 s. What needs longer, such as an export,
// uses SET LOCAL in its own transaction.
func Open(ctx context.Context, cfg Config) (*pgxpool.Pool, error) {
	config, err := parseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	if !sizesPool(cfg.URL) {
		config.MaxConns = cmp.Or(cfg.MaxConns, defaultMaxConns)
	}
	config.HealthCheckPeriod = healthCheckPeriod
	setDefault(config, "statement_timeout", "30s")
	setDefault(config, "lock_timeout", "5s")
	setDefault(config, "idle_in_transaction_session_timeout", "60s")
	// Postgres estimates that queries of a large ledger are expensive and compiles them, which takes 200 ms before a
	// look-up of one row.
	setDefault(config, "jit", "off")
	setRole := "SET ROLE " + pgx.Identifier{cmp.Or(cfg.Role, ServiceRole)}.Sanitize()
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, setRole); err != nil {
			// Before the first migration there is no role. For a caller that is an unavailable database.
			return unavailable(fmt.Errorf("work as the service's role: %w", err))
		}
		return nil
	}
	config.PrepareConn = prepareScope(cfg.DefaultScope)
	return newPool(ctx, config)
}

// parseURL reads DATABASE_URL. It hides the parser's error, which can repeat parts of the URL, and so of the password.
func parseURL(databaseURL string) (*pgxpool.Config, error) {
	if databaseURL == "" {
		return nil, errors.New("DATABASE_URL is empty: set it to postgres://user:password@host:5432/database")
	}
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return nil, errors.New("DATABASE_URL is not a Postgres address: write postgres://user:password@host:5432/database, " +
			"with special characters of the password percent-encoded")
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	setDefault(config, "application_name", "cagnotte")
	setDefault(config, "timezone", "UTC")
	return config, nil
}

// sizesPool reports whether an address has the size of the pool.
func sizesPool(databaseURL string) bool {
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return false
	}
	_, given := config.RuntimeParams[poolSizeParameter]
	return given
}

func setDefault(config *pgxpool.Config, parameter, value string) {
	if _, given := config.ConnConfig.RuntimeParams[parameter]; !given {
		config.ConnConfig.RuntimeParams[parameter] = value
	}
}

func newPool(ctx context.Context, config *pgxpool.Config) (*pgxpool.Pool, error) {
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the database pool: %w", err)
	}
	return pool, nil
}

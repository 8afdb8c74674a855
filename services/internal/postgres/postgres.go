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
	// healthCheckPeriod is how long an idle connection that the server cut can stay in the pool.
	healthCheckPeriod = 30 * time.Second
	// defaultMaxConns leaves room for calls beside eight jobs and six exports, each of which can hold a
	// connection for long, and lets four copies of the program share a Postgres of 100 connections.
	defaultMaxConns = 23
	// poolSizeParameter is pgxpool's own, in the address.
	poolSizeParameter = "pool_max_conns"
)

// Config of [Open].
type Config struct {
	// URL is DATABASE_URL, in either of libpq's forms. Parameters in it win over ours.
	URL string
	// MaxConns is the size of the pool, unless the URL says pool_max_conns. Zero: 23.
	MaxConns int32
	// Role to work as. Empty: ServiceRole.
	Role string
}

// Open returns a pool of connections that work as the role. It connects on first use: a database
// that is away is an error of the first query, not of Open. The caller closes the pool.
//
// A statement may take 30 s, the wait for a lock 5 s, a transaction that does nothing 60 s. What
// needs longer, such as an export, says SET LOCAL in its own transaction.
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
	// Estimates of a large ledger cross the threshold at which Postgres compiles a plan: 200 ms before
	// a look-up of one.
	setDefault(config, "jit", "off")
	setRole := "SET ROLE " + pgx.Identifier{cmp.Or(cfg.Role, ServiceRole)}.Sanitize()
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, setRole); err != nil {
			// Before the first migration there is no role; to a caller that is a database away.
			return unavailable(fmt.Errorf("work as the service's role: %w", err))
		}
		return nil
	}
	return newPool(ctx, config)
}

// parseURL reads DATABASE_URL. The parser's own error can repeat parts of the URL, and so of the
// password, which is why it is not passed on.
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

// sizesPool reports whether an address that parses has the size of the pool in it.
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

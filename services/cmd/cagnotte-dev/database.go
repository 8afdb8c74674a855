package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cagnotte/cagnotte/services/internal/pgembed"
)

// recreate replaces the demo's database with an empty one. FORCE ends the connections of an interrupted run. The roles
// stay, since they belong to the server and not to the database.
func recreate(ctx context.Context, db *pgembed.Server) error {
	conn, err := pgx.Connect(ctx, db.URL("postgres"))
	if err != nil {
		return fmt.Errorf("connect to the private Postgres: %w", err)
	}
	defer conn.Close(ctx)
	for _, statement := range []string{`DROP DATABASE IF EXISTS cagnotte WITH (FORCE)`, `CREATE DATABASE cagnotte`} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("create the demo's database: %w", err)
		}
	}
	return nil
}

// serviceLogin creates the role that the service logs in as. As in an installation, it owns nothing. serviceLogin returns
// the role's address; its password is the superuser's.
func serviceLogin(ctx context.Context, db *pgembed.Server) (string, error) {
	const role = "cagnotte_demo"
	address, err := url.Parse(db.URL("cagnotte"))
	if err != nil {
		return "", errors.New("the address of the private Postgres does not parse")
	}
	conn, err := pgx.Connect(ctx, address.String())
	if err != nil {
		return "", fmt.Errorf("connect to the private Postgres: %w", err)
	}
	defer conn.Close(ctx)
	// The password comes out of the address, and becomes part of the statement because CREATE ROLE takes no parameters.
	password, _ := address.User.Password()
	address.User = url.UserPassword(role, password)
	_, err = conn.Exec(ctx, `CREATE ROLE `+role+` LOGIN IN ROLE cagnotte_service PASSWORD '`+password+`'`)
	// 42710 is duplicate_object: the role is there since an earlier run, which makes a repeat harmless.
	if exists := new(pgconn.PgError); err != nil && !(errors.As(err, &exists) && exists.Code == "42710") {
		return "", fmt.Errorf("create the role of the service: %w", err)
	}
	return address.String(), nil
}

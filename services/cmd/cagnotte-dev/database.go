package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/pgembed"
)

// recreate gives the demo an empty database.
func recreate(ctx context.Context, db *pgembed.Server) error {
	conn, err := pgx.Connect(ctx, db.URL("postgres"))
	if err != nil {
		return fmt.Errorf("reach the private Postgres: %w", err)
	}
	defer conn.Close(ctx)
	for _, statement := range []string{`DROP DATABASE IF EXISTS cagnotte WITH (FORCE)`, `CREATE DATABASE cagnotte`} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("make the demo's database: %w", err)
		}
	}
	return nil
}

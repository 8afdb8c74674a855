package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"
)

const loginOwnsSQL = `
SELECT
	r.rolsuper
	OR r.rolcreaterole
	OR EXISTS (
		SELECT
		FROM pg_catalog.pg_database AS d
		WHERE d.datname = current_database()
			AND pg_has_role(session_user, d.datdba, 'MEMBER')
	)
	OR EXISTS (
		SELECT
		FROM pg_catalog.pg_namespace AS n
		WHERE n.nspname NOT LIKE 'pg\_%'
			AND n.nspname <> 'information_schema'
			AND pg_has_role(session_user, n.nspowner, 'MEMBER')
	)
	OR EXISTS (
		SELECT
		FROM pg_catalog.pg_class AS c
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		WHERE n.nspname NOT LIKE 'pg\_%'
			AND n.nspname <> 'information_schema'
			AND pg_has_role(session_user, c.relowner, 'MEMBER')
	)
FROM pg_catalog.pg_roles AS r
WHERE r.rolname = session_user`

// LoginOwns reports whether the role that DATABASE_URL logs in as can change the tables themselves: it is a superuser, may
// create roles, owns the database or a schema or a table in it, or is a member of such an owner. SET ROLE to [ServiceRole]
// does not prevent that, since a session can RESET ROLE. Errors are those of [Error].
func LoginOwns(ctx context.Context, pool *pgxpool.Pool) (owns bool, err error) {
	err = pool.QueryRow(ctx, loginOwnsSQL).Scan(&owns)
	return owns, Error(err)
}

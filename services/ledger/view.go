package ledger

import (
	"context"
	"errors"
	"regexp"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Watermark names for ever what the books held at a moment: a snapshot of Postgres, as "xmin:xmax:running". A
// transaction belongs to it when the database transaction that wrote it had ended then. So it has everything that could
// be read at that moment, and nothing that was still under way can be added later; a time or an id cannot promise that.
// Empty: now.
// https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
type Watermark string

// maxWatermarkBytes is room for some hundreds of running transactions, as many as a server has connections.
const maxWatermarkBytes = 16 << 10

var watermarkPattern = regexp.MustCompile(`^[0-9]+:[0-9]+:([0-9]+(,[0-9]+)*)?$`)

// View is a snapshot of the books, for reads that must agree with one another. It is not safe for concurrent use.
type View struct {
	tx        pgx.Tx
	watermark Watermark
}

// Watermark names what the view shows. A later view of it shows the same.
func (v *View) Watermark() Watermark { return v.watermark }

// An export takes as long as its reader; the pool's limit is for questions with short answers.
const noTimeoutSQL = `
SET LOCAL statement_timeout = 0`

// A workbook is packed when everything is read, and then perhaps read again. Compiling a plan costs more than it gains
// here, and a plan for a collective of average size does not fit the largest.
const viewSettingsSQL = `
SELECT
	set_config('idle_in_transaction_session_timeout', '0', true),
	set_config('jit', 'off', true),
	set_config('plan_cache_mode', 'force_custom_plan', true),
	set_config('work_mem', '32MB', true)`

// watermarkSQL returns the current snapshot, and whether the database has come to the watermark that was asked for: its
// xmax must not be beyond the current one. An empty watermark is the current snapshot, which the database has come to.
const watermarkSQL = `
SELECT
	pg_current_snapshot()::text,
	pg_snapshot_xmax(coalesce(nullif(@watermark::text, '')::pg_snapshot, pg_current_snapshot()))
		<= pg_snapshot_xmax(pg_current_snapshot())`

// View calls read with the books as they are, or as they were at a watermark. While read runs, the view holds a
// connection and keeps Postgres from removing old versions of rows.
//
// Errors: INVALID_ARGUMENT on watermark for text that is not a watermark, or one that this database has not come to;
// those of read as they are.
func (s *Service) View(ctx context.Context, watermark Watermark, read func(*View) error) error {
	if watermark != "" && (len(watermark) > maxWatermarkBytes || !watermarkPattern.MatchString(string(watermark))) {
		return invalidWatermark()
	}
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return postgres.Error(err)
	}
	// There is nothing to commit; a reader that went away must not keep the connection.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	for _, statement := range []string{noTimeoutSQL, viewSettingsSQL} {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return postgres.Error(err)
		}
	}
	v := &View{tx: tx}
	var reached bool
	if err := tx.QueryRow(ctx, watermarkSQL, pgx.NamedArgs{"watermark": watermark}).Scan(&v.watermark, &reached); err != nil {
		// The form is right, the numbers are not: xmin above xmax, or not in order.
		if err = postgres.Error(err); watermark != "" && errs.Code(err) == codes.InvalidArgument {
			return invalidWatermark()
		}
		return err
	}
	if !reached {
		return invalidWatermark()
	}
	if watermark != "" {
		v.watermark = watermark
	}
	return read(v)
}

func invalidWatermark() error {
	return errs.Invalid("watermark", "must be the version of an export of this database")
}

const roleSQL = `
SELECT
	a.code,
	a.display_name,
	a.type
FROM ledger.roles AS r
JOIN ledger.accounts AS a ON a.id = r.account_id
WHERE r.book = @book
	AND r.role = @role`

// Role returns the account that has a role in a book, without balances; the zero Account when there is no such book.
func (v *View) Role(ctx context.Context, book string, role AccountRole) (a Account, err error) {
	err = v.tx.QueryRow(ctx, roleSQL, pgx.NamedArgs{"book": book, "role": role}).Scan(&a.Code, &a.DisplayName, &a.Type)
	if errors.Is(err, pgx.ErrNoRows) {
		return Account{}, nil
	}
	return a, postgres.Error(err)
}

const chartSQL = `
SELECT
	a.code,
	a.display_name,
	a.type
FROM ledger.accounts AS a
WHERE a.book = @book
ORDER BY a.code`

// Chart returns all accounts of a book, without balances, sorted by code.
func (v *View) Chart(ctx context.Context, book string) ([]Account, error) {
	rows, err := v.tx.Query(ctx, chartSQL, pgx.NamedArgs{"book": book})
	if err != nil {
		return nil, postgres.Error(err)
	}
	accounts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a Account, err error) {
		err = row.Scan(&a.Code, &a.DisplayName, &a.Type)
		return a, err
	})
	return accounts, postgres.Error(err)
}

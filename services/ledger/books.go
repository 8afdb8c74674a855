package ledger

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// booksPrefix begins the name of a book.
const booksPrefix = "instance/books/"

// platformBook is the platform's own book in names, where other books have the id of a Stripe account.
const platformBook = "platform"

const bookExistsSQL = `
SELECT EXISTS (
	SELECT
	FROM ledger.books AS b
	WHERE b.id = @book
)`

// FindBook returns the book of a resource name such as `instance/books/platform` or `instance/books/acct_…`. NOT_FOUND
// when there is none. What is read of a book without a collective is what belongs to none.
func (s *Service) FindBook(ctx context.Context, name string) (book string, err error) {
	// The empty name is refused before platform becomes empty, so the platform's book has one name only.
	book, ok := strings.CutPrefix(name, booksPrefix)
	if !ok || book == "" {
		return "", errs.NotFound(name)
	}
	// The platform's own book has an empty id in the database.
	if book == platformBook {
		book = ""
	}
	var exists bool
	if err := s.pool.QueryRow(ctx, bookExistsSQL, pgx.NamedArgs{"book": book}).Scan(&exists); err != nil {
		return "", postgres.Error(err)
	}
	if !exists {
		return "", errs.NotFound(name)
	}
	return book, nil
}

// ledgerName is the name of a collective's share or, when the collective is empty, of a book.
func ledgerName(book, collective string) string {
	if collective != "" {
		return "collectives/" + collective + "/ledger"
	}
	return booksPrefix + cmp.Or(book, platformBook) + "/ledger"
}

// booksSQL has the platform's own book first, since its id is empty.
const booksSQL = `
SELECT id
FROM ledger.books
ORDER BY id`

// Books returns the names of all books, sorted. The name of the platform's own book is empty.
func (s *Service) Books(ctx context.Context) ([]string, error) {
	rows, err := s.pool.Query(ctx, booksSQL)
	if err != nil {
		return nil, postgres.Error(err)
	}
	books, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return books, postgres.Error(err)
}

// A second insert of the same book waits for the end of the first, and then does nothing.
const insertBookSQL = `
INSERT INTO ledger.books (id, chart, currency)
VALUES (@book, @chart, @currency)
ON CONFLICT (id) DO NOTHING`

const bookChartSQL = `
SELECT chart
FROM ledger.books
WHERE id = @book`

// Accounts that the book has stay as they are. NOT EXISTS spares the identities that a conflict would use up.
const insertAccountsSQL = `
INSERT INTO ledger.accounts (book, code, display_name, type)
SELECT
	@book,
	c.code,
	c.display_name,
	c.type
FROM unnest(
	@codes::text[],
	@display_names::text[],
	@types::text[]
) AS c (code, display_name, type)
WHERE NOT EXISTS (
	SELECT
	FROM ledger.accounts AS a
	WHERE a.book = @book
		AND a.code = c.code
)
ON CONFLICT (book, code) DO NOTHING`

// A role that the book has stays with its account, since ChangeAccountTx may have moved it.
const insertRolesSQL = `
INSERT INTO ledger.roles (book, role, account_id)
SELECT
	@book,
	c.role,
	a.id
FROM unnest(
	@roles::text[],
	@codes::text[]
) AS c (role, code)
JOIN ledger.accounts AS a ON a.book = @book AND a.code = c.code
ON CONFLICT (book, role) DO NOTHING`

// EnsureBookTx makes the book with the configured chart and in euros, if it does not exist. If it does, it adds the
// accounts and roles that the chart has gained since, and changes nothing else. It is idempotent, and safe to run twice
// at once: the second waits for the first.
//
// The book is the id of a Stripe account, or empty for the platform's own.
func (s *Service) EnsureBookTx(ctx context.Context, tx pgx.Tx, book string) error {
	if _, err := tx.Exec(ctx, insertBookSQL, pgx.NamedArgs{
		"book": book, "chart": s.chart, "currency": string(money.EUR),
	}); err != nil {
		return postgres.Error(err)
	}
	var chartName string
	// The chart is the one that the book was made with: the configured one counts for new books only.
	if err := tx.QueryRow(ctx, bookChartSQL, pgx.NamedArgs{"book": book}).Scan(&chartName); err != nil {
		return postgres.Error(err)
	}
	// A chart that the program no longer ships is an error here.
	chart, err := readChart(chartName)
	if err != nil {
		return err
	}
	// roles and roleCodes have a place for each role, the others one for each account.
	var codes, displayNames, types, roles, roleCodes []string
	for _, account := range chart {
		codes = append(codes, account.code)
		displayNames = append(displayNames, account.displayName)
		types = append(types, string(account.accountType))
		for _, role := range account.roles {
			roles = append(roles, string(role))
			roleCodes = append(roleCodes, account.code)
		}
	}
	if _, err := tx.Exec(ctx, insertAccountsSQL, pgx.NamedArgs{
		"book": book, "codes": codes, "display_names": displayNames, "types": types,
	}); err != nil {
		return postgres.Error(err)
	}
	_, err = tx.Exec(ctx, insertRolesSQL, pgx.NamedArgs{"book": book, "roles": roles, "codes": roleCodes})
	return postgres.Error(err)
}

// newestXIDSQL returns the newest xid of all books and the next one that this cluster will give out. For each book it
// reads one row from the end of transactions_seal_idx. Without a transaction in any book there is no row.
const newestXIDSQL = `
SELECT
	newest.xid,
	pg_snapshot_xmax(pg_current_snapshot())
FROM ledger.books AS b
CROSS JOIN LATERAL (
	SELECT t.xid
	FROM ledger.transactions AS t
	WHERE t.book = b.id
	ORDER BY
		t.xid DESC,
		t.id DESC
	LIMIT 1
) AS newest
ORDER BY
	newest.xid DESC,
	b.id
LIMIT 1`

// CheckCounter refuses a cluster whose transaction counter is behind what the books know, as after a dump was restored
// into another cluster. What is posted there would stand before what is sealed, and would never be numbered or counted.
// So check before the first posting.
//
// Errors: FAILED_PRECONDITION SEAL_POSITION_AHEAD.
func (s *Service) CheckCounter(ctx context.Context) error {
	var newest, next uint64
	err := s.pool.QueryRow(ctx, newestXIDSQL).Scan(&newest, &next)
	// Nothing was posted yet, so no xid can be ahead.
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	// An xid in the books that this cluster has not given out comes from another cluster.
	if err == nil && newest >= next {
		return errPositionAhead(newest, next)
	}
	return postgres.Error(err)
}

func errPositionAhead(known, next uint64) error {
	return errs.New(errorsv1.ErrorReason_SEAL_POSITION_AHEAD,
		"The books know the database transaction %d, and this cluster has only come to %d: it is not the one that they were written in. "+
			"Stop it and raise its counter with pg_resetwal (--next-transaction-id, --epoch).", known, next)
}

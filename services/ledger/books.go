package ledger

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// booksPrefix begins the name of a book.
const booksPrefix = "instance/books/"

// platformBook is how the platform's own book is called in names, where the others have a Stripe account's id.
const platformBook = "platform"

const bookExistsSQL = `
SELECT EXISTS (
    SELECT
    FROM ledger.books AS b
    WHERE b.id = @book
)`

// FindBook returns the book of a resource name such as `instance/books/platform` or `instance/books/acct_…`. NOT_FOUND when there
// is none.
//
// What is read of a book without naming a collective is what belongs to none.
func (s *Service) FindBook(ctx context.Context, name string) (book string, err error) {
	book, ok := strings.CutPrefix(name, booksPrefix)
	if !ok || book == "" {
		return "", errs.NotFound(name)
	}
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

package exports

import (
	"context"
	"fmt"
	"hash"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Document is the paper that a transaction was entered from, such as an invoice.
type Document struct {
	// Number is the number on the document; empty when it has none. It is never a person's name.
	Number string
	// Day is its date, YYYY-MM-DD.
	Day string
}

// ReadDocuments returns the documents of a collective, by the ids in the references of its book.
type ReadDocuments func(ctx context.Context, collective string) (map[uuid.UUID]Document, error)

// loadDocuments reads the documents once, if the format names them.
func (x *export) loadDocuments(ctx context.Context) (err error) {
	if x.format.documents && x.documents == nil && x.readDocuments != nil && x.filter.Collective != "" {
		x.documents, err = x.readDocuments(ctx, x.filter.Collective)
	}
	return err
}

// hashDocuments adds the documents to what the bytes depend on.
func (x *export) hashDocuments(h hash.Hash) {
	for _, id := range slices.SortedFunc(maps.Keys(x.documents), func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) }) {
		d := x.documents[id]
		fmt.Fprintf(h, "%s %q %q\n", id, d.Number, d.Day)
	}
}

var uuidPattern = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// shortNames begin the name of what has no document, or one without a number.
var shortNames = []struct{ prefix, short string }{
	{"offline-donation:", "DON"}, {"deposit:", "REM"}, {"expense:", "FAC"}, {"expense-payment:", "FAC"}, {"bank-line:", "REL"},
}

// piece returns the name of the document behind a reference in the books, and its day; an empty day is that of the
// transaction. Stripe's ids stay as they are. Our own ids mean nothing to people who have the documents, so what has no
// number gets a short name.
func (x *export) piece(reference string) (name, day string) {
	found := uuidPattern.FindString(reference)
	if found == "" {
		// payout:po_…, with what became of it behind.
		if parts := strings.Split(reference, ":"); len(parts) > 1 {
			return parts[1], ""
		}
		return reference, ""
	}
	document := x.documents[uuid.MustParse(found)]
	if document.Number != "" {
		return document.Number, document.Day
	}
	short := "OD"
	for _, n := range shortNames {
		if strings.HasPrefix(reference, n.prefix) {
			short = n.short
		}
	}
	return short + "-" + strings.ToUpper(found[len(found)-8:]), document.Day
}

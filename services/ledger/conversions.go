package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// Conversion is what a transaction was before Stripe converted it to the currency of its entries. It explains the
// amounts: nothing sums it, and it is not part of what is hashed.
type Conversion struct {
	// Reference is the transaction's.
	Reference string
	// Rate is a positive decimal number, as Stripe writes it: Original times Rate is about the gross amount.
	Rate string
	// Original is the amount in the currency that was paid; the zero Amount when it is not known.
	Original money.Amount
}

// A reference that the book does not have joins no transaction and is left out. transactions_reference_key serves the
// join.
const insertConversionsSQL = `
INSERT INTO ledger.conversions (transaction_id, rate, original_minor, original_currency)
SELECT
	t.id,
	c.rate::numeric,
	c.original_minor,
	nullif(c.original_currency, '')
FROM unnest(
	@references::text[],
	@rates::text[],
	@original_minors::bigint[],
	@original_currencies::text[]
) AS c (reference, rate, original_minor, original_currency)
JOIN ledger.transactions AS t ON t.book = @book AND t.reference = c.reference
ON CONFLICT (transaction_id) DO NOTHING`

// KeepConversionsTx stores conversions of transactions that the book has. A conversion that is stored already stays. It
// is idempotent, and does nothing when there are none.
//
// Errors: INVALID_ARGUMENT CONVERSION_INVALID for a rate that is not a positive number, or an unknown currency.
func (s *Service) KeepConversionsTx(ctx context.Context, tx pgx.Tx, book string, conversions []Conversion) error {
	if len(conversions) == 0 {
		return nil
	}
	var references, rates, currencies []string
	var minors []*int64
	for i := range conversions {
		c := &conversions[i]
		references, rates, currencies = append(references, c.Reference), append(rates, c.Rate), append(currencies, string(c.Original.Currency))
		if c.Original.Currency == "" {
			minors = append(minors, nil)
		} else {
			minors = append(minors, &c.Original.Minor)
		}
	}
	_, err := tx.Exec(ctx, insertConversionsSQL, pgx.NamedArgs{
		"book": book, "references": references, "rates": rates, "original_minors": minors, "original_currencies": currencies,
	})
	invalid := errs.New(errorsv1.ErrorReason_CONVERSION_INVALID, "A conversion must have a positive rate and a currency.")
	return postgres.ErrorFor(err, map[string]*errs.Error{
		"conversions_rate_positive": invalid, "conversions_currency_code": invalid, "conversions_original_whole": invalid,
	})
}

package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// Conversion is what a transaction was before it was converted to the currency of its entries. It is an
// explanation and no amount of the books: nothing sums it, and it is not part of what is hashed.
type Conversion struct {
	// Reference is the transaction's.
	Reference string
	// Rate is a positive decimal number, as Stripe writes it: Original times Rate is about the gross amount.
	Rate string
	// Original is the amount in the currency that it was paid in; the zero Amount when it is not known.
	Original money.Amount
}

const insertConversionsSQL = `
INSERT INTO ledger.conversions (transaction_id, rate, original_minor, original_currency)
SELECT
    t.id,
    c.rate::numeric,
    c.original_minor,
    NULLIF(c.original_currency, '')
FROM unnest(
    @references::text[],
    @rates::text[],
    @original_minors::bigint[],
    @original_currencies::text[]
) AS c (reference, rate, original_minor, original_currency)
JOIN ledger.transactions AS t ON t.book = @book AND t.reference = c.reference
ON CONFLICT (transaction_id) DO NOTHING`

// KeepConversionsTx keeps conversions of transactions that the book has; what stands there already stays. It
// is idempotent, and does nothing when there are none. INVALID_ARGUMENT CONVERSION_INVALID for a rate that is
// no positive number, or a currency that is none.
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
	invalid := errs.New(codes.InvalidArgument, "CONVERSION_INVALID", "A conversion has a positive rate and a currency.")
	return postgres.ErrorFor(err, map[string]*errs.Error{
		"conversions_rate_positive": invalid, "conversions_currency_code": invalid, "conversions_original_whole": invalid,
	})
}

const paidInSQL = `
SELECT c.original_minor
FROM ledger.entries AS e
JOIN ledger.conversions AS c ON c.transaction_id = e.transaction_id
WHERE e.collective = @collective
    AND e.effective_at >= @at
    AND e.donation = @donation
    AND c.original_currency = @currency
    AND c.original_minor > 0
ORDER BY
    e.effective_at,
    e.transaction_id
LIMIT 1`

// PaidInTx returns what a gift that was paid at that time, and booked then or after its period was closed, was in
// another currency, before it was converted; 0 when that is not known.
func (s *Service) PaidInTx(ctx context.Context, tx pgx.Tx, collective string, donation uuid.UUID, at time.Time, in money.Currency) (minor int64, err error) {
	err = tx.QueryRow(ctx, paidInSQL, pgx.NamedArgs{
		"collective": collective, "at": at, "donation": donation, "currency": string(in),
	}).Scan(&minor)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return minor, postgres.Error(err)
}

// Refunded is a refund as it is booked, and as it was before it was converted; negative for one that came back.
type Refunded struct {
	Booked, Original money.Amount
}

const refundedBeforeSQL = `
SELECT
    e.amount,
    e.currency,
    -c.original_minor,
    c.original_currency
FROM ledger.entries AS e
JOIN ledger.conversions AS c ON c.transaction_id = e.transaction_id
JOIN ledger.transactions AS t ON t.id = e.transaction_id
WHERE e.collective = @collective
    AND e.effective_at >= @at
    AND e.donation = @donation
    AND e.account_id = (
        SELECT r.account_id
        FROM ledger.roles AS r
        WHERE r.book = @book
            AND r.role = @role
    )
    AND t.kind = @kind
    AND t.xid <> pg_current_xact_id()
    AND c.original_currency = @currency
ORDER BY
    e.effective_at,
    e.transaction_id,
    e.line`

// RefundedBeforeTx returns the refunds of a gift that was paid at that time in another currency, without those that
// the transaction of the database itself posts.
func (s *Service) RefundedBeforeTx(
	ctx context.Context, tx pgx.Tx, book, collective string, donation uuid.UUID, at time.Time, in money.Currency,
) ([]Refunded, error) {
	rows, err := tx.Query(ctx, refundedBeforeSQL, pgx.NamedArgs{
		"book": book, "collective": collective, "donation": donation, "at": at, "currency": string(in),
		"role": RoleRefunds, "kind": KindRefund,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Refunded, err error) {
		err = row.Scan(&r.Booked.Minor, &r.Booked.Currency, &r.Original.Minor, &r.Original.Currency)
		return r, err
	})
	return found, postgres.Error(err)
}

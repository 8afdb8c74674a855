package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// reclassificationRefusals says what each refusal of the database means to a caller that reclassifies.
var reclassificationRefusals = map[string]*errs.Error{
	"reclassifications_of_original": errs.New(errorsv1.ErrorReason_NO_ORIGINAL, "A correction is not corrected: reclassify the original again, or reverse the correction."),
	"reclassifications_no_money": errs.New(errorsv1.ErrorReason_MONEY_ACCOUNT,
		"Only amounts on accounts of income and expense and unclassified receipts are reclassified: where money is, Stripe and the bank say."),
}

// Reclassification is what [Service.ReclassifyTx] posts.
type Reclassification struct {
	// Original is the reference of the transaction to correct, in the same book.
	Original string
	// Reference is the reclassification's own; see [Transaction].
	Reference string
	// Effective is when the correction counts; it is refused in a closed period. Zero: now, or the first instant after the
	// closed periods of the collective if that is later.
	Effective  time.Time
	Collective string
	// Amount is what to move, with the sign that the original's entry has.
	Amount money.Amount
	// FromCode and FromCampaign say where the amount is, ToCode and ToCampaign where it belongs. A campaign may be empty.
	FromCode, FromCampaign, ToCode, ToCampaign string
}

// familyPart is a transaction with its reversals, its reclassifications and their reversals. reversals_original_idx and
// reclassifications_original_idx serve it. Reversals of reversals do not exist, and a reclassification links to the
// first original, so two steps reach everything.
const familyPart = `
WITH family AS (
	SELECT @id::bigint AS id
	UNION
	SELECT r.transaction_id
	FROM ledger.reversals AS r
	WHERE r.original_id = @id
	UNION
	SELECT c.transaction_id
	FROM ledger.reclassifications AS c
	WHERE c.original_id = @id
	UNION
	SELECT r.transaction_id
	FROM ledger.reclassifications AS c
	JOIN ledger.reversals AS r ON r.original_id = c.transaction_id
	WHERE c.original_id = @id
)`

// reclassifiableSQL sums what these have in one place together, without what belongs to donations. A later correction
// counts as soon as it is committed, since the caller holds the lock of the original and reads at READ COMMITTED.
const reclassifiableSQL = familyPart + `
SELECT coalesce(sum(e.amount), 0)::bigint
FROM family AS f
JOIN ledger.entries AS e ON e.transaction_id = f.id
JOIN ledger.accounts AS a ON a.id = e.account_id
WHERE a.code = @code
	AND e.collective = @collective
	AND e.campaign = @campaign
	AND e.currency = @currency
	AND e.donation IS NULL`

// correctedSQL returns the id of the transaction that a reclassification corrects. Here @original is the reference of
// the reclassification.
const correctedSQL = `
SELECT r.original_id
FROM ledger.reclassifications AS r
JOIN ledger.transactions AS t ON t.id = r.transaction_id
WHERE t.book = @book
	AND t.reference = @original`

// spentOnSQL tells whether less than nothing is left where a reclassification had moved its amount to. Its second line
// says where. The sign of that line tells in which direction the amount was moved.
const spentOnSQL = familyPart + `
SELECT EXISTS (
	SELECT
	FROM ledger.transactions AS t
	JOIN ledger.entries AS m ON m.transaction_id = t.id AND m.line = 2
	WHERE t.book = @book
		AND t.reference = @original
		AND sign(m.amount) * (
			SELECT sum(e.amount)
			FROM family AS f
			JOIN ledger.entries AS e ON e.transaction_id = f.id
			WHERE e.account_id = m.account_id
				AND e.collective = m.collective
				AND e.campaign = m.campaign
				AND e.currency = m.currency
				AND e.donation IS NULL
		) < 0
)`

// reverseReclassificationTx reverses a reclassification, unless its amount was moved on since: then that must be
// reversed first.
func (s *Service) reverseReclassificationTx(ctx context.Context, tx pgx.Tx, book string, r Reversal) (fresh bool, err error) {
	args := pgx.NamedArgs{"book": book, "original": r.Original}
	// The corrected transaction is locked first, as ReclassifyTx locks it. ReverseTx then locks the reclassification.
	// lockOriginalTx puts the id of the corrected transaction into args, which spentOnSQL needs for the family.
	if _, err := lockOriginalTx(ctx, tx, correctedSQL, args); err != nil {
		return false, err
	}
	if fresh, err = s.ReverseTx(ctx, tx, book, r); err != nil {
		return false, err
	}
	var overdrawn bool
	if err := tx.QueryRow(ctx, spentOnSQL, args).Scan(&overdrawn); err != nil {
		return false, postgres.Error(err)
	}
	if overdrawn {
		return false, errs.New(errorsv1.ErrorReason_OVER_REVERSED, "The amount was moved on since: reverse that first.")
	}
	return fresh, nil
}

// reclassifiedSQL returns what stands under the reference already: its time and what it corrects, 0 when it is no
// reclassification.
const reclassifiedSQL = `
SELECT
	t.effective_at,
	coalesce(c.original_id, 0)
FROM ledger.transactions AS t
LEFT JOIN ledger.reclassifications AS c ON c.transaction_id = t.id
WHERE t.book = @book
	AND t.reference = @reference`

const insertReclassificationSQL = `
INSERT INTO ledger.reclassifications (transaction_id, original_id)
SELECT
	t.id,
	@id
FROM ledger.transactions AS t
WHERE t.book = @book
	AND t.reference = @reference`

// ReclassifyTx moves an amount of a transaction to another account or campaign of the same collective, by another
// transaction that is linked to it. It never touches an account that holds money, such as Stripe's balance, nor what
// belongs to a donation, which counts for the donation's campaign. It moves no more than is there, after everything
// that was moved and reversed before.
//
// It waits for other corrections of the same original. tx must be READ COMMITTED. After an error it can only be rolled
// back. fresh is false for a repeat, which changes nothing.
//
// Errors: NOT_FOUND when the book has no such original; FAILED_PRECONDITION OVER_RECLASSIFIED, MONEY_ACCOUNT,
// NO_ORIGINAL or PERIOD_CLOSED; ALREADY_EXISTS REFERENCE_REUSED; those of [Service.PostTx].
func (s *Service) ReclassifyTx(ctx context.Context, tx pgx.Tx, book string, r Reclassification) (fresh bool, err error) {
	args := pgx.NamedArgs{
		"book": book, "original": r.Original, "reference": r.Reference, "collective": r.Collective,
		"code": r.FromCode, "campaign": r.FromCampaign, "currency": string(r.Amount.Currency),
	}
	id, err := lockOriginalTx(ctx, tx, originalSQL, args)
	if err != nil {
		return false, err
	}
	from := Entry{
		Code: r.FromCode, Amount: money.Amount{Minor: -r.Amount.Minor, Currency: r.Amount.Currency},
		Collective: r.Collective, Campaign: r.FromCampaign,
	}
	to := Entry{Code: r.ToCode, Amount: r.Amount, Collective: r.Collective, Campaign: r.ToCampaign}
	t := Transaction{Reference: r.Reference, Kind: KindReclassification, Effective: r.Effective, Entries: []Entry{from, to}}
	var before time.Time
	var original int64
	err = tx.QueryRow(ctx, reclassifiedSQL, args).Scan(&before, &original)
	// A repeat is not compared with what is left: its own amount is gone from there. PostTx compares its content with what
	// was posted.
	known := err == nil
	switch {
	case err != nil && !errors.Is(err, pgx.ErrNoRows):
		return false, postgres.Error(err)
	case known && original != id:
		return false, refusals["transactions_reference_reused"]
	case known && t.Effective.IsZero():
		t.Effective = before
	case known:
	default:
		var stands int64
		if err := tx.QueryRow(ctx, reclassifiableSQL, args).Scan(&stands); err != nil {
			return false, postgres.Error(err)
		}
		// stands has a sign: a credit is negative. The amount must have the same sign and be no larger.
		if stands > 0 && (r.Amount.Minor < 0 || r.Amount.Minor > stands) || stands < 0 && (r.Amount.Minor > 0 || r.Amount.Minor < stands) || stands == 0 {
			return false, errs.New(errorsv1.ErrorReason_OVER_RECLASSIFIED,
				"This transaction has %s on the account %s for that campaign, without what belongs to donations: no more than that can be moved, with the same sign.",
				money.Amount{Minor: stands, Currency: r.Amount.Currency}, r.FromCode)
		}
		if t.Effective.IsZero() {
			if t.Effective, err = s.openTimeTx(ctx, tx, book, t.Entries); err != nil {
				return false, err
			}
		}
	}
	posted, err := s.PostTx(ctx, tx, book, []Transaction{t})
	if err != nil {
		return false, err
	}
	if !posted[0] {
		// Somebody else may have taken the reference meanwhile, for something that has no link.
		if !known {
			return false, refusals["transactions_reference_reused"]
		}
		return false, nil
	}
	_, err = tx.Exec(ctx, insertReclassificationSQL, args)
	return err == nil, postgres.ErrorFor(err, reclassificationRefusals)
}

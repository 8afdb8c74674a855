package ledger

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// Transaction is what [Service.PostTx] posts.
type Transaction struct {
	// Reference names the business fact that this records, such as the id of a balance transaction of Stripe's. It is unique
	// in its book, has 1 to 255 characters, and never a person's name or address.
	Reference string
	// Kind is one of the Kind constants.
	Kind string
	// Effective is when it happened, by Stripe's clock or the date of the document, to the microsecond.
	Effective time.Time
	// Entries sum to zero for each currency and collective. Their order is stored.
	Entries []Entry
}

// Entry is one signed amount on one account.
type Entry struct {
	// Role names the account. Empty: Code does.
	Role AccountRole
	// Code is the code of the account in the book's chart, used when Role is empty.
	Code string
	// Amount is positive for a debit, negative for a credit, never zero.
	Amount money.Amount
	// Collective and Campaign are slugs; empty when the entry belongs to none. A campaign needs its collective.
	Collective, Campaign string
	// Donation is uuid.Nil when the entry belongs to none. A donation needs its campaign.
	Donation uuid.UUID
}

// The kinds of transactions. Others may come: a kind is a word for people and filters, and no rule depends on it.
const (
	KindDonation = "donation"
	KindRefund   = "refund"
	KindDispute  = "dispute"
	KindPayout   = "payout"
	// KindTopUp is money on its way from the bank to Stripe's balance, or back, that no payout of Stripe's moved.
	KindTopUp = "top_up"
	KindFee   = "fee"
	KindOther = "other"
	// KindReversal is for [Service.ReverseTx] alone; each is linked to its original.
	KindReversal = "reversal"
	// KindDeposit is cheques that were banked.
	KindDeposit = "deposit"
	// KindExpense is an invoice, paid at once or owed.
	KindExpense = "expense"
	// KindExpensePayment is the payment of an invoice that was owed.
	KindExpensePayment = "expense_payment"
	// KindReceipt is money that came and is not classified yet.
	KindReceipt = "receipt"
	// KindReclassification is for [Service.ReclassifyTx] alone; each is linked to what it corrects.
	KindReclassification = "reclassification"
)

// refusals says what each refusal of the database means to a caller that posts. The rules are those of the migration;
// Go does not repeat them.
var refusals = map[string]*errs.Error{
	"transactions_reference_reused":    errs.New(errorsv1.ErrorReason_REFERENCE_REUSED, "The reference stands for another content."),
	"transactions_reference_length":    refusal(errorsv1.ErrorReason_REFERENCE_INVALID, "A reference must have 1 to 255 characters."),
	"transactions_kind_form":           refusal(errorsv1.ErrorReason_KIND_INVALID, "A kind must be a word of small letters."),
	"transactions_effective_at_finite": refusal(errorsv1.ErrorReason_EFFECTIVE_TIME_INVALID, "A transaction must have a time when it happened."),
	"transactions_period_open":         errs.New(errorsv1.ErrorReason_PERIOD_CLOSED, "The period that the transaction happened in is closed."),
	"transactions_not_empty":           refusal(errorsv1.ErrorReason_TRANSACTION_EMPTY, "A transaction must have entries."),
	"entries_amount_not_zero":          refusal(errorsv1.ErrorReason_ENTRY_ZERO, "The amount of an entry must not be zero."),
	"entries_currency_code":            refusal(errorsv1.ErrorReason_CURRENCY_INVALID, "A currency must be three capital letters."),
	"entries_balanced":                 refusal(errorsv1.ErrorReason_UNBALANCED, "The entries must sum to zero for each collective and currency."),
	"entries_account_known":            refusal(errorsv1.ErrorReason_ACCOUNT_UNKNOWN, "The book has no account for an entry."),
	"entries_campaign_of_collective":   refusal(errorsv1.ErrorReason_DIMENSIONS_INVALID, "A campaign needs its collective."),
	"entries_donation_of_campaign":     refusal(errorsv1.ErrorReason_DIMENSIONS_INVALID, "A donation needs its campaign."),
	"entries_dimensions_length":        refusal(errorsv1.ErrorReason_DIMENSIONS_INVALID, "A slug must have 64 characters at most."),
}

func refusal(reason errs.Reason, message string) *errs.Error {
	return errs.New(reason, "%s", message)
}

// The statement posts everything or, by an error, nothing. An entry names its account by the place of a role or a code,
// which never look alike, in a list of the names that occur: so a batch looks each up once. A name that the book does
// not have becomes account 0, which no book has, and is refused with the rest. Roles and codes are looked up apart: a coalesce
// of both is no condition of an index under row-level security, and Postgres planned the statement anew each time. The
// arguments have numbers, because pgx would search the text for names with every call.
const postSQL = `
WITH posted AS (
	INSERT INTO ledger.transactions (effective_at, entry_count, book, reference, kind, fingerprint)
	SELECT
		t.effective_at,
		t.entry_count,
		$1,
		t.reference,
		t.kind,
		t.fingerprint
	FROM unnest(
		$2::timestamptz[],
		$3::smallint[],
		$4::text[],
		$5::text[],
		$6::bytea[]
	) AS t (effective_at, entry_count, reference, kind, fingerprint)
	ON CONFLICT (book, reference) DO NOTHING
	RETURNING
		id,
		effective_at,
		reference
),
chart AS (
	SELECT
		n.place,
		a.id,
		a.type IN ('income', 'expense') AS nominal
	FROM unnest($7::text[]) WITH ORDINALITY AS n (name, place)
	JOIN ledger.roles AS r
		ON r.book = $1
		AND r.role = n.name
	JOIN ledger.accounts AS a ON a.id = r.account_id
	UNION ALL
	SELECT
		n.place,
		a.id,
		a.type IN ('income', 'expense') AS nominal
	FROM unnest($7::text[]) WITH ORDINALITY AS n (name, place)
	JOIN ledger.accounts AS a
		ON a.book = $1
		AND a.code = n.name
),
written AS (
	INSERT INTO ledger.entries (
		transaction_id, amount, effective_at, account_id, line, nominal, donation, currency, collective, campaign
	)
	SELECT
		p.id,
		e.amount,
		p.effective_at,
		coalesce(c.id, 0),
		e.line,
		coalesce(c.nominal, false),
		e.donation,
		e.currency,
		e.collective,
		e.campaign
	FROM unnest(
		$8::text[],
		$9::smallint[],
		$10::bigint[],
		$11::bigint[],
		$12::text[],
		$13::text[],
		$14::text[],
		$15::uuid[]
	) AS e (reference, line, name, amount, currency, collective, campaign, donation)
	JOIN posted AS p ON p.reference = e.reference
	LEFT JOIN chart AS c ON c.place = e.name
)
SELECT reference
FROM posted`

// requireSameContentSQL raises transactions_reference_reused when a reference stands for another content, or for none.
// The error ends the database transaction, so a caller that ignores it cannot commit a part of a batch.
const requireSameContentSQL = `
SELECT ledger.require_same_content(@book, @reference::text[], @fingerprint::bytea[])`

// PostTx posts transactions to a book, which [Service.EnsureBookTx] made, in one round trip; a second one follows only
// when some references were known already. It tells for each transaction, in the order given, whether it is new. False
// means that the same content stands under its reference, in the book or earlier in txs. So posting twice is safe.
//
// Errors: ALREADY_EXISTS REFERENCE_REUSED when another content stands under a reference; FAILED_PRECONDITION
// PERIOD_CLOSED; INVALID_ARGUMENT with a reason of its own for everything else that the books refuse (UNBALANCED,
// ACCOUNT_UNKNOWN, ENTRY_ZERO, TRANSACTION_EMPTY …). After an error nothing is posted: the database transaction can
// only be rolled back, or back to a savepoint of the caller's.
//
// The only lock is on a reference that another database transaction is posting at this moment: PostTx waits for its
// end. References are taken in one order, so two batches cannot wait for each other. Several calls in one database
// transaction can, and then Postgres ends one of them (ABORTED).
func (s *Service) PostTx(ctx context.Context, tx pgx.Tx, book string, txs []Transaction) (posted []bool, err error) {
	b, err := newBatch(txs)
	if err != nil || len(b.items) == 0 {
		return nil, err
	}
	rows, err := tx.Query(ctx, postSQL, b.arguments(book)...)
	if err != nil {
		return nil, postgres.ErrorFor(err, refusals)
	}
	posted = make([]bool, len(txs))
	var reference string
	var fresh int
	if _, err := pgx.ForEachRow(rows, []any{&reference}, func() error {
		posted[b.index[reference]] = true
		fresh++
		return nil
	}); err != nil {
		return nil, postgres.ErrorFor(err, refusals)
	}
	if fresh == len(b.items) {
		return posted, nil
	}
	// A new statement, because it must see what other database transactions committed while the
	// posting waited for them.
	var references []string
	var fingerprints [][]byte
	for _, item := range b.items {
		if !posted[b.index[item.Reference]] {
			references = append(references, item.Reference)
			fingerprints = append(fingerprints, item.fingerprint[:])
		}
	}
	if _, err := tx.Exec(ctx, requireSameContentSQL, pgx.NamedArgs{
		"book": book, "reference": references, "fingerprint": fingerprints,
	}); err != nil {
		return nil, postgres.ErrorFor(err, refusals)
	}
	return posted, nil
}

// batch is what one call posts: each reference once.
type batch struct {
	items []batchItem
	// index leads from a reference to its first place in the caller's list.
	index map[string]int
}

type batchItem struct {
	*Transaction
	fingerprint [sha256.Size]byte
}

// maxEntries is what entry_count and line can hold.
const maxEntries = 1<<15 - 1

// newBatch drops what stands in the list twice, and orders the rest by time and reference. So every batch meets common
// references in the same order, and the ids of one batch follow time.
func newBatch(txs []Transaction) (*batch, error) {
	b := &batch{items: make([]batchItem, 0, len(txs)), index: make(map[string]int, len(txs))}
	seen := make(map[string][sha256.Size]byte, len(txs))
	for i := range txs {
		t := &txs[i]
		if len(t.Entries) > maxEntries {
			return nil, refusal(errorsv1.ErrorReason_TRANSACTION_TOO_LARGE, fmt.Sprintf("A transaction must have %d entries at most.", maxEntries))
		}
		sum := t.fingerprint()
		first, again := seen[t.Reference]
		switch {
		case !again:
			seen[t.Reference] = sum
			b.index[t.Reference] = i
			b.items = append(b.items, batchItem{t, sum})
		case !bytes.Equal(first[:], sum[:]):
			return nil, refusals["transactions_reference_reused"]
		}
	}
	slices.SortFunc(b.items, func(x, y batchItem) int {
		return cmp.Or(x.Effective.Compare(y.Effective), cmp.Compare(x.Reference, y.Reference))
	})
	return b, nil
}

// arguments turns the batch into the columns that postSQL takes.
func (b *batch) arguments(book string) []any {
	var (
		n            = len(b.items)
		effectives   = make([]time.Time, 0, n)
		counts       = make([]int16, 0, n)
		references   = make([]string, 0, n)
		kinds        = make([]string, 0, n)
		fingerprints = make([][]byte, 0, n)
	)
	var (
		// A donation has four entries.
		size            = 4 * n
		entryReferences = make([]string, 0, size)
		lines           = make([]int16, 0, size)
		accounts        = make([]int64, 0, size)
		amounts         = make([]int64, 0, size)
		currencies      = make([]string, 0, size)
		collectives     = make([]string, 0, size)
		campaigns       = make([]string, 0, size)
		donations       = make([]pgtype.UUID, 0, size)
	)
	// The names of accounts, and their places, counted from 1 as Postgres does. Roles and codes share one list: a role has
	// small letters and a code has none.
	var names []string
	places := make(map[string]int64)
	for i := range b.items {
		t := &b.items[i]
		effectives = append(effectives, t.Effective)
		counts = append(counts, int16(len(t.Entries)))
		references = append(references, t.Reference)
		kinds = append(kinds, t.Kind)
		fingerprints = append(fingerprints, t.fingerprint[:])
		for line, e := range t.Entries {
			name := cmp.Or(string(e.Role), e.Code)
			if places[name] == 0 {
				names = append(names, name)
				places[name] = int64(len(names))
			}
			entryReferences = append(entryReferences, t.Reference)
			lines = append(lines, int16(line+1))
			accounts = append(accounts, places[name])
			amounts = append(amounts, e.Amount.Minor)
			currencies = append(currencies, string(e.Amount.Currency))
			collectives = append(collectives, e.Collective)
			campaigns = append(campaigns, e.Campaign)
			donations = append(donations, pgtype.UUID{Bytes: e.Donation, Valid: e.Donation != uuid.Nil})
		}
	}
	return []any{
		book, effectives, counts, references, kinds, fingerprints, names,
		entryReferences, lines, accounts, amounts, currencies, collectives, campaigns, donations,
	}
}

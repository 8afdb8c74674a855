package bank

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/bank/statement"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/treasury"
)

// Line is one movement of the bank account.
type Line struct {
	ID         uuid.UUID
	Collective string
	Account    string
	BookedOn   calendar.Day
	// Amount is positive for money that arrived.
	Amount        money.Amount
	BankReference string
	// Pledge is the pledge that its text names, and PledgeCampaign the slug of the pledge's campaign.
	Pledge         uuid.UUID
	PledgeCampaign string
	State          LineState
	Target         TargetKind
	// Donation, with its campaign's slug and its pledge, Expense and Transaction are what it is matched with. Transaction
	// may also be a suggestion.
	Donation         uuid.UUID
	DonationCampaign string
	DonationPledge   uuid.UUID
	Expense          uuid.UUID
	Transaction      int64
	IgnoreReason     string
	// SplitFrom is the line that it is a part of; uuid.Nil for a line as the bank reported it. Parts are those of a line that
	// is split.
	SplitFrom uuid.UUID
	Parts     []uuid.UUID
	// Named are the expenses that its text named on import.
	Named treasury.NamedExpenses
	// Statement is the first that had the line.
	Statement  uuid.UUID
	CreateTime time.Time
	UpdateTime time.Time

	// attempt grows whenever a receipt is booked and whenever the line is unmatched. So each booking has a reference of its
	// own, and a line that a member unmatched is only suggested from then on.
	// The database refuses to count it down (trigger lines_check_change).
	attempt int
}

// LineState is the state of a line.
type LineState string

// The states; doc.go tells the steps between them.
const (
	// LineUnmatched is open, and nothing is known that it may show.
	LineUnmatched LineState = "unmatched"
	// LineSuggested is open, and its target is what it may show.
	LineSuggested LineState = "suggested"
	// LineMatched has a target that is in the books.
	LineMatched LineState = "matched"
	// LineIgnored was left out of the books by a member.
	LineIgnored LineState = "ignored"
	// LineSplit is replaced by its parts.
	LineSplit LineState = "split"
	// LineWithdrawn is a part of a split that was undone.
	LineWithdrawn LineState = "withdrawn"
)

// TargetKind is the kind of what a line shows.
type TargetKind string

// The kinds of targets.
const (
	// TargetPledge and TargetCampaign become a donation.
	TargetPledge   TargetKind = "pledge"
	TargetCampaign TargetKind = "campaign"
	// TargetExpense becomes a payment.
	TargetExpense TargetKind = "expense"
	// TargetTransaction is in the books already, or is a top-up whose side at the bank is booked.
	TargetTransaction TargetKind = "transaction"
	// TargetUnknownReceipt is booked until its origin is known.
	TargetUnknownReceipt TargetKind = "unknown_receipt"
)

// Name returns the resource name.
func (l Line) Name() string { return lineName(l.Collective, l.ID) }

func lineName(collective string, id uuid.UUID) string {
	return "collectives/" + collective + "/bankLines/" + id.String()
}

// open reports whether the line is neither matched nor ignored.
func (l Line) open() bool { return l.State == LineUnmatched || l.State == LineSuggested }

// receiptReference is that of the unknown receipt that the line's latest match booked.
func (l Line) receiptReference() string {
	return fmt.Sprintf("%s%s:%d", receiptReferencePrefix, l.ID, l.attempt)
}

const receiptReferencePrefix = "bank-line:"

// insertLinesSQL stores the lines of a statement in one go: the arrays have one element for each line. A line that an
// earlier file had stays as it is, by the unique constraint lines_key, and belongs to the earlier statement. New lines
// are unmatched.
const insertLinesSQL = `
INSERT INTO bank.lines (
	id,
	collective,
	account,
	line_key,
	statement,
	booked_on,
	amount_minor,
	currency,
	bank_reference,
	pledge,
	payee_named,
	document_named,
	created_at,
	updated_at
)
SELECT
	l.id,
	@collective,
	@account,
	l.line_key,
	@statement,
	l.booked_on,
	l.amount_minor,
	@currency,
	l.bank_reference,
	l.pledge,
	-- A list of lists would have to have lists of one length, so each is written as a text.
	l.payee_named::uuid[],
	l.document_named::uuid[],
	@now,
	@now
FROM unnest(
	@ids::uuid[],
	@line_keys::bytea[],
	@booked_on::text[]::date[],
	@amounts::bigint[],
	@bank_references::text[],
	@pledges::uuid[],
	@payee_named::text[],
	@document_named::text[]
) AS l (id, line_key, booked_on, amount_minor, bank_reference, pledge, payee_named, document_named)
ON CONFLICT (collective, account, line_key) DO NOTHING`

// insertLinesTx stores the lines that are new and returns how many they were.
func insertLinesTx(
	ctx context.Context, tx pgx.Tx, statement uuid.UUID, f fileStatement, pledges []uuid.UUID, expenses []treasury.NamedExpenses, now time.Time,
) (int64, error) {
	var (
		ids        []uuid.UUID
		days       []string
		amounts    []int64
		references []string
		named      []*uuid.UUID
		payees     []string
		documents  []string
	)
	for i, m := range f.Movements {
		ids = append(ids, newID())
		days = append(days, string(m.BookedOn))
		amounts = append(amounts, m.Amount.Minor)
		// Only the part of the reference that cannot be a name is stored, and the text not at all.
		references = append(references, m.StoredReference())
		named = append(named, nullID(pledges[i]))
		payees = append(payees, arrayText(expenses[i].ByPayee))
		documents = append(documents, arrayText(expenses[i].ByDocument))
	}
	tag, err := tx.Exec(ctx, insertLinesSQL, pgx.NamedArgs{
		"collective": f.collective, "account": f.Account, "statement": statement, "currency": string(f.Currency), "now": now,
		"ids": ids, "line_keys": f.keys, "booked_on": days, "amounts": amounts, "bank_references": references, "pledges": named,
		"payee_named": payees, "document_named": documents,
	})
	return tag.RowsAffected(), postgres.Error(err)
}

// arrayText writes ids as the text of an array of Postgres.
func arrayText(ids []uuid.UUID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return "{" + strings.Join(texts, ",") + "}"
}

// lineColumns is what scanLine reads. NULL is read as a zero id, number or text. The slugs of the campaigns are there
// because the names of a pledge and of a donation contain them; the primary keys serve these queries. The index
// lines_split_idx serves that of the parts.
const lineColumns = `
	l.id,
	l.collective,
	l.account,
	to_char(l.booked_on, 'YYYY-MM-DD'),
	l.amount_minor,
	l.currency,
	l.bank_reference,
	coalesce(l.pledge, '00000000-0000-0000-0000-000000000000'),
	coalesce((
		SELECT p.campaign
		FROM treasury.pledges AS p
		WHERE p.id = l.pledge
	), ''),
	l.state,
	l.target,
	coalesce(l.offline_donation, '00000000-0000-0000-0000-000000000000'),
	coalesce((
		SELECT d.campaign
		FROM treasury.offline_donations AS d
		WHERE d.id = l.offline_donation
	), ''),
	coalesce((
		SELECT d.pledge
		FROM treasury.offline_donations AS d
		WHERE d.id = l.offline_donation
	), '00000000-0000-0000-0000-000000000000'),
	coalesce(l.expense, '00000000-0000-0000-0000-000000000000'),
	coalesce(l.ledger_transaction, 0),
	l.ignore_reason,
	coalesce(l.split_from, '00000000-0000-0000-0000-000000000000'),
	CASE l.state
		WHEN 'split' THEN ARRAY(
			SELECT p.id
			FROM bank.lines AS p
			WHERE p.split_from = l.id
				AND p.state <> 'withdrawn'
			ORDER BY p.id
		)
		ELSE '{}'
	END,
	l.payee_named,
	l.document_named,
	l.statement,
	l.attempt,
	l.created_at,
	l.updated_at`

func scanLine(r pgx.CollectableRow) (l Line, err error) {
	err = r.Scan(&l.ID, &l.Collective, &l.Account, &l.BookedOn, &l.Amount.Minor, &l.Amount.Currency, &l.BankReference, &l.Pledge,
		&l.PledgeCampaign, &l.State, &l.Target, &l.Donation, &l.DonationCampaign, &l.DonationPledge, &l.Expense, &l.Transaction, &l.IgnoreReason,
		&l.SplitFrom, &l.Parts, &l.Named.ByPayee, &l.Named.ByDocument, &l.Statement, &l.attempt, &l.CreateTime, &l.UpdateTime)
	l.CreateTime, l.UpdateTime = l.CreateTime.UTC(), l.UpdateTime.UTC()
	return l, err
}

// lineSQL returns a line by its primary key, when it is the collective's.
const lineSQL = `
SELECT` + lineColumns + `
FROM bank.lines AS l
WHERE l.id = @id
	AND l.collective = @collective`

// Line returns one line of a collective; NOT_FOUND when there is none.
func (s *Service) Line(ctx context.Context, collective string, id uuid.UUID) (Line, error) {
	return oneLine(ctx, s.cfg.Pool, lineSQL, collective, id)
}

func oneLine(ctx context.Context, db postgres.Querier, sql, collective string, id uuid.UUID) (Line, error) {
	l, err := postgres.One(ctx, db, scanLine, sql, pgx.NamedArgs{"id": id, "collective": collective})
	if errors.Is(err, pgx.ErrNoRows) {
		return Line{}, errs.NotFound(lineName(collective, id))
	}
	return l, postgres.Error(err)
}

// listLinesSQL returns a page of a collective's lines. An empty filter leaves all but the parts that were withdrawn. An empty text is no date, and
// Postgres may convert it before it looks at the other side of OR: so it becomes NULL first. The index lines_list_idx
// has the order.
const listLinesSQL = `
SELECT` + lineColumns + `
FROM bank.lines AS l
WHERE l.collective = @collective
	AND (@state = '' AND l.state <> 'withdrawn' OR l.state = @state)
	AND (@account = '' OR l.account = @account)
	AND (@start_date = '' OR l.booked_on >= nullif(@start_date, '')::date)
	AND (@end_date = '' OR l.booked_on <= nullif(@end_date, '')::date)
	AND (l.booked_on, l.id) < (@before_day::date, @before_id)
ORDER BY
	l.booked_on DESC,
	l.id DESC
LIMIT @count`

// LineFilter leaves only some lines of a list; the zero value leaves all.
type LineFilter struct {
	State   LineState
	Account string
	// StartDate and EndDate are the first and the last day.
	StartDate, EndDate calendar.Day
}

// Lines returns up to count lines of a collective, newest first, before the given place.
func (s *Service) Lines(ctx context.Context, collective string, f LineFilter, before Position, count int) ([]Line, error) {
	return postgres.All(ctx, s.cfg.Pool, scanLine, listLinesSQL, pgx.NamedArgs{
		"collective": collective, "state": string(f.State), "account": statement.CompactAccount(f.Account),
		"start_date": string(f.StartDate), "end_date": string(f.EndDate),
		// A line's place in the list is its day, as a time in UTC, and its id.
		"before_day": before.Time, "before_id": before.ID, "count": count,
	})
}

// countOpenLinesSQL counts the lines that are to be matched; the index lines_open_idx has no others.
const countOpenLinesSQL = `
SELECT count(*)
FROM bank.lines AS l
WHERE l.collective = @collective
	AND l.state IN ('unmatched', 'suggested')`

func (s *Service) countOpenLines(ctx context.Context, collective string) (n int, err error) {
	err = s.cfg.Pool.QueryRow(ctx, countOpenLinesSQL, pgx.NamedArgs{"collective": collective}).Scan(&n)
	return n, postgres.Error(err)
}

// openLineCountsSQL counts the open lines, and those of them that have a suggestion, up to a bound. The index
// lines_open_idx has no other lines.
const openLineCountsSQL = `
SELECT
	count(*),
	count(*) FILTER (WHERE o.state = 'suggested')
FROM (
	SELECT l.state
	FROM bank.lines AS l
	WHERE l.collective = @collective
		AND l.state IN ('unmatched', 'suggested')
	ORDER BY
		l.booked_on,
		l.id
	LIMIT @count
) AS o`

// maxCounted is how many open lines [Service.OpenLines] counts. The contract says so too.
const maxCounted = 1000

// OpenLineCount is how many lines of a collective are open, and how many of those have a suggestion. More reports that
// there are more than were counted.
type OpenLineCount struct {
	Open, Suggested int
	More            bool
}

// OpenLines counts the open lines of a collective, at most 1,000.
func (s *Service) OpenLines(ctx context.Context, collective string) (n OpenLineCount, err error) {
	err = s.cfg.Pool.QueryRow(ctx, openLineCountsSQL, pgx.NamedArgs{"collective": collective, "count": maxCounted + 1}).
		Scan(&n.Open, &n.Suggested)
	if n.Open > maxCounted {
		n.Open, n.More = maxCounted, true
		n.Suggested = min(n.Suggested, maxCounted)
	}
	return n, postgres.Error(err)
}

// updateLineSQL changes what may change of a line. The trigger lines_check_change refuses to change what the bank
// reported, and to take a line that is matched or ignored anywhere but back to unmatched.
const updateLineSQL = `
UPDATE bank.lines
SET
	state = @state,
	target = @target,
	offline_donation = @offline_donation,
	expense = @expense,
	ledger_transaction = @ledger_transaction,
	ignore_reason = @ignore_reason,
	attempt = @attempt,
	updated_at = @now
WHERE id = @id`

// lineRefusals are the errors for the caller, by the unique index that refuses. The first has matched lines alone, so
// two lines may have one transaction as their suggestion.
var lineRefusals = map[string]*errs.Error{
	"lines_transaction_key": errs.New(errorsv1.ErrorReason_TRANSACTION_MATCHED, "Another bank line shows this transaction already."),
	"lines_donation_key":    errs.New(errorsv1.ErrorReason_TRANSACTION_MATCHED, "Another bank line shows this donation already."),
}

// updateLineTx stores the state of a line that is locked.
func updateLineTx(ctx context.Context, tx pgx.Tx, l Line, now time.Time) error {
	// Ids of transactions begin at one; zero is stored as NULL.
	var transaction *int64
	if l.Transaction != 0 {
		transaction = &l.Transaction
	}
	_, err := tx.Exec(ctx, updateLineSQL, pgx.NamedArgs{
		"id": l.ID, "state": string(l.State), "target": string(l.Target), "offline_donation": nullID(l.Donation), "expense": nullID(l.Expense),
		"ledger_transaction": transaction, "ignore_reason": l.IgnoreReason, "attempt": l.attempt, "now": now,
	})
	return postgres.ErrorFor(err, lineRefusals)
}

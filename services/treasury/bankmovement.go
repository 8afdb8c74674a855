package treasury

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// BankMovement is what one transaction in the books moved on a collective's bank account, as the bank saw it. Its amount
// leaves out the cheques that were taken off a deposit because they were entered wrongly.
type BankMovement struct {
	ledger.RoleMovement
	// Donation and Expense are what the transaction books; uuid.Nil when it is no booking of theirs.
	Donation, Expense uuid.UUID
	// Pledged reports a donation that fulfils a pledge.
	Pledged bool
	// Undone reports a movement that the bank never saw: it was entered wrongly and reversed, or is that reversal. A
	// payout that came back the bank did see, and a deposit whose cheques bounced.
	Undone bool
	// Shown reports that a line of a bank statement shows the movement.
	Shown bool
}

// BankMovementsTx returns what moved the bank account in a span of effective time, the end excluded, for one collective.
func (s *Service) BankMovementsTx(
	ctx context.Context, tx pgx.Tx, book, collective string, start, end time.Time,
) ([]BankMovement, error) {
	moved, err := s.cfg.Ledger.RoleMovementsTx(ctx, tx, book, collective, ledger.RoleBank, start, end)
	if err != nil {
		return nil, err
	}
	return bankMovementsTx(ctx, tx, moved)
}

// BankMovementTx returns what one transaction moved on the bank account for one collective. The transaction is named by its
// id or, when that is zero, by its reference.
//
// Errors: NOT_FOUND when it moved nothing there.
func (s *Service) BankMovementTx(
	ctx context.Context, tx pgx.Tx, book, collective string, id int64, reference string,
) (BankMovement, error) {
	moved, err := s.cfg.Ledger.RoleMovementTx(ctx, tx, book, collective, ledger.RoleBank, id, reference)
	if err != nil {
		return BankMovement{}, err
	}
	found, err := bankMovementsTx(ctx, tx, []ledger.RoleMovement{moved})
	if err != nil {
		return BankMovement{}, err
	}
	return found[0], nil
}

// shownTransactionsSQL returns which of the transactions a line of a bank statement shows. A line that only suggests a
// transaction does not show it. The unique index lines_transaction_key serves it: it has the matched lines alone.
const shownTransactionsSQL = `
SELECT l.ledger_transaction
FROM bank.lines AS l
WHERE l.ledger_transaction = ANY(@transactions::bigint[])
	AND l.state = 'matched'`

// pledgedDonationsSQL returns which of the donations fulfil a pledge, by their primary key.
const pledgedDonationsSQL = `
SELECT d.id
FROM treasury.offline_donations AS d
WHERE d.id = ANY(@donations::uuid[])
	AND d.pledge IS NOT NULL`

// bankMovementsTx adds what the treasury knows about movements.
func bankMovementsTx(ctx context.Context, tx pgx.Tx, moved []ledger.RoleMovement) ([]BankMovement, error) {
	movements := make([]BankMovement, len(moved))
	transactions := make([]int64, len(moved))
	var donations []uuid.UUID
	for i, r := range moved {
		m := BankMovement{RoleMovement: r}
		transactions[i] = r.TransactionID
		// What a transaction books is told by its reference, which begins with the kind and holds the id of the row.
		if id, ok := idAfter(r.Reference, donationReferencePrefix); ok {
			m.Donation = id
			donations = append(donations, id)
		}
		// An expense that was paid at once is booked under the first prefix, a later payment under the second. An
		// expense that is owed moves nothing at the bank and is not among the movements.
		for _, prefix := range []string{expenseReferencePrefix, paymentReferencePrefix} {
			if id, ok := idAfter(r.Reference, prefix); ok {
				m.Expense = id
			}
		}
		movements[i] = m
	}
	if err := takeOffChequesTx(ctx, tx, movements); err != nil {
		return nil, err
	}
	shown, err := postgres.All(ctx, tx, pgx.RowTo[int64], shownTransactionsSQL, pgx.NamedArgs{"transactions": transactions})
	if err != nil {
		return nil, err
	}
	pledged, err := postgres.All(ctx, tx, pgx.RowTo[uuid.UUID], pledgedDonationsSQL, pgx.NamedArgs{"donations": donations})
	if err != nil {
		return nil, err
	}
	for i := range movements {
		m := &movements[i]
		// The ledger reports a transaction as reversed, wholly or in part. For a payout and a deposit that does not
		// mean that the bank never saw it: the money of a payout can come back, and one cheque of a deposit can bounce.
		reversed := m.Reversed && m.Kind != ledger.KindPayout && m.Kind != ledger.KindDeposit
		// Zero is left of a deposit, and of the reversal of a cheque, when takeOffChequesTx took all of it off.
		m.Undone = reversed || strings.HasSuffix(m.Reference, reversedSuffix) || m.Amount.Minor == 0
		m.Shown = slices.Contains(shown, m.TransactionID)
		m.Pledged = m.Donation != uuid.Nil && slices.Contains(pledged, m.Donation)
	}
	return movements, nil
}

// wrongChequesSQL returns the cheques of the deposits that a member reversed. A cheque that bounced is not among them:
// the bank saw it arrive and go back. The index offline_donations_deposit_idx serves it.
const wrongChequesSQL = `
SELECT
	d.deposit,
	d.id,
	d.amount_minor
FROM treasury.offline_donations AS d
WHERE d.deposit = ANY(@deposits::uuid[])
	AND d.state = 'reversed'
ORDER BY d.id`

// takeOffChequesTx takes cheques that were entered wrongly, and then reversed, off their deposit and off the reversal: the
// bank saw neither.
func takeOffChequesTx(ctx context.Context, tx pgx.Tx, movements []BankMovement) error {
	// The reversal of one cheque begins with its deposit's reference, so both are found here under the deposit's id,
	// and are told apart by the whole reference below.
	at := map[string]int{}
	var deposits []uuid.UUID
	for i, m := range movements {
		if id, ok := idAfter(m.Reference, depositReferencePrefix); ok {
			at[m.Reference] = i
			deposits = append(deposits, id)
		}
	}
	if len(deposits) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, wrongChequesSQL, pgx.NamedArgs{"deposits": deposits})
	if err != nil {
		return postgres.Error(err)
	}
	var deposit, donation uuid.UUID
	var minor int64
	_, err = pgx.ForEachRow(rows, []any{&deposit, &donation, &minor}, func() error {
		// The deposit moved the bank account up by its total, and the reversal down by this cheque. Taken off, the
		// first leaves what the bank credited, and the second nothing. Either may be outside of the span that was read.
		if i, ok := at[depositReference(deposit)]; ok {
			movements[i].Amount.Minor -= minor
		}
		if i, ok := at[chequeReference(deposit, donation)]; ok {
			movements[i].Amount.Minor += minor
		}
		return nil
	})
	return postgres.Error(err)
}

// idAfter reads the id in a reference of the treasury's. The reference of a reversal has none: it is not the booking.
func idAfter(reference, prefix string) (uuid.UUID, bool) {
	rest, ok := strings.CutPrefix(reference, prefix)
	if !ok || strings.HasSuffix(rest, reversedSuffix) {
		return uuid.Nil, false
	}
	// A payment has a number after the id, and the reversal of a cheque the id of its donation.
	rest, _, _ = strings.Cut(rest, ":")
	id, err := uuid.Parse(rest)
	return id, err == nil
}

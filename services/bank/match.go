package bank

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fingerprint"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/treasury"
)

// Target is what a member says that a line shows.
// Nothing but the kind is set for an unknown receipt.
type Target struct {
	Kind TargetKind
	// Campaign is of a campaign or a pledge.
	Campaign campaigns.Name
	// ID is of a pledge or an expense.
	ID uuid.UUID
	// Transaction is of a transaction in the books.
	Transaction int64

	// currency is that of the campaign, once the target is prepared.
	currency money.Currency
}

// String names the target for the audit log.
func (t Target) String() string {
	switch t.Kind {
	case TargetCampaign:
		return t.Campaign.String()
	case TargetTransaction:
		return "transaction " + strconv.FormatInt(t.Transaction, 10)
	case TargetPledge, TargetExpense:
		return string(t.Kind) + " " + t.ID.String()
	}
	return string(t.Kind)
}

// fields are the target's, for the fingerprint of a request.
func (t Target) fields() fingerprint.Fields {
	fields := fingerprint.Fields{"kind": string(t.Kind)}
	if t.Campaign != (campaigns.Name{}) {
		fields["campaign"] = t.Campaign.String()
	}
	if t.ID != uuid.Nil {
		fields["id"] = t.ID.String()
	}
	if t.Transaction != 0 {
		fields["transaction"] = strconv.FormatInt(t.Transaction, 10)
	}
	return fields
}

// MatchLine matches a line with its target, and books what is not booked. Sent twice, it does so once. Errors: those of
// the proto's method.
func (s *Service) MatchLine(ctx context.Context, r treasury.Request, collective string, id uuid.UUID, t Target) (Line, error) {
	at, err := s.openPlace(ctx, collective)
	if err != nil {
		return Line{}, err
	}
	if err := s.prepare(ctx, &t); err != nil {
		return Line{}, err
	}
	fields := t.fields()
	fields["line"] = id.String()
	if _, err := s.cfg.Treasury.Once(ctx, r, collective, "match_line", id, fields, func(ctx context.Context, tx pgx.Tx, now time.Time) error {
		// The lock of the bank and that of the line come before those of the pledge, the expense or the donation.
		l, err := s.lockOpenLineTx(ctx, tx, collective, id)
		if err != nil {
			return err
		}
		if err := s.matchTargetTx(ctx, tx, l, t, r.By, at, now); err != nil {
			return err
		}
		before := l.auditFields()
		l.State, l.Target = LineMatched, t.Kind
		return audit.WriteTx(ctx, tx, audit.Change{Collective: collective, Resource: l.Name(), Before: before, After: l.auditFields()})
	}); err != nil {
		return Line{}, err
	}
	// Other lines may have been suggested for what this one shows.
	if err := s.Recognise(ctx, collective); err != nil {
		return Line{}, err
	}
	return s.Line(ctx, collective, id)
}

// openPlace is the place at which a member's match books: what the bank shows of a closed period is booked when the books
// are open again.
func (s *Service) openPlace(ctx context.Context, collective string) (place, error) {
	at, err := s.place(ctx, collective)
	if err == nil {
		at.open, err = s.cfg.Ledger.ClosedUntil(ctx, at.book, collective)
	}
	return at, err
}

// prepare reads what a target needs that cannot be read in a transaction. A pledge is read there; a campaign is read
// here, because its package reads outside of transactions.
func (s *Service) prepare(ctx context.Context, t *Target) error {
	if t.Kind != TargetCampaign {
		return nil
	}
	campaign, err := s.cfg.Treasury.BookableCampaign(ctx, t.Campaign)
	t.currency = campaign.Currency
	return err
}

// matchTargetTx matches a line that is locked and open with a target that was prepared. by is the key that says so.
func (s *Service) matchTargetTx(ctx context.Context, tx pgx.Tx, l Line, t Target, by string, at place, now time.Time) error {
	switch t.Kind {
	case TargetPledge:
		p, err := s.cfg.Treasury.PledgeTx(ctx, tx, l.Collective, t.ID)
		// The name of a pledge contains its campaign, and must be right as a whole.
		if err != nil || p.Campaign != t.Campaign {
			return errs.Invalid("target.pledge", "must be a pledge of the collective")
		}
		return s.bookDonationTx(ctx, tx, l, newDonation{p.Campaign, p.ID, p.Amount.Currency, by}, at, now)
	case TargetCampaign:
		return s.bookDonationTx(ctx, tx, l, newDonation{campaign: t.Campaign, currency: t.currency, by: by}, at, now)
	case TargetExpense:
		return s.payExpenseTx(ctx, tx, l, t.ID, at, now)
	case TargetTransaction:
		return s.matchTransactionTx(ctx, tx, l, t.Transaction, at, now)
	}
	// What remains is an unknown receipt.
	return s.bookReceiptTx(ctx, tx, l, at, now)
}

// lockLineSQL locks the line against other changes of its state. The lock of the bank, which comes before it, already
// lets imports and matches of the collective come one after the other.
const lockLineSQL = lineSQL + `
FOR NO KEY UPDATE OF l`

// lockLineTx locks a line, after the collective's imports and matches.
func (s *Service) lockLineTx(ctx context.Context, tx pgx.Tx, collective string, id uuid.UUID) (Line, error) {
	if err := treasury.LockBankTx(ctx, tx, collective); err != nil {
		return Line{}, err
	}
	return oneLine(ctx, tx, lockLineSQL, collective, id)
}

// lockOpenLineTx is lockLineTx for a line that must be open.
func (s *Service) lockOpenLineTx(ctx context.Context, tx pgx.Tx, collective string, id uuid.UUID) (Line, error) {
	l, err := s.lockLineTx(ctx, tx, collective, id)
	if err == nil && !l.open() {
		err = errs.New(errorsv1.ErrorReason_BANK_LINE_NOT_OPEN, "%s is %s. Unmatch it first.", l.Name(), l.State)
	}
	return l, err
}

// errDiffers is about a target that a line cannot show.
func errDiffers(format string, args ...any) error {
	return errs.New(errorsv1.ErrorReason_BANK_LINE_DIFFERS, format, args...)
}

// newDonation is a donation to make of a line.
type newDonation struct {
	campaign campaigns.Name
	// pledge is uuid.Nil for none.
	pledge   uuid.UUID
	currency money.Currency
	// by is the key that says so; empty for an import.
	by string
}

// bookDonationTx makes a donation of a line that is locked: of the amount that arrived, whatever was pledged.
// The line's own campaign and pledge are not read: a member may choose others than its text names.
func (s *Service) bookDonationTx(ctx context.Context, tx pgx.Tx, l Line, n newDonation, at place, now time.Time) error {
	if l.Amount.Minor < 0 || l.Amount.Currency != n.currency {
		return errDiffers("A donation is money that arrived, in %s.", n.currency)
	}
	d, err := s.cfg.Treasury.BookTransferTx(ctx, tx, treasury.OfflineDonation{
		// The day of receipt is the line's, also when the line is booked later, since its period is closed.
		Campaign: n.campaign, Amount: l.Amount, ReceivedOn: l.BookedOn, Document: l.BankReference, Pledge: n.pledge, CreatedBy: n.by, CreateTime: now,
	}, at.start(l.BookedOn))
	if err != nil {
		return err
	}
	l.Donation = d.ID
	kind := TargetCampaign
	if n.pledge != uuid.Nil {
		kind = TargetPledge
	}
	return s.matchBookedTx(ctx, tx, l, kind, d.Reference(), now)
}

// matchBookedTx matches a line that is locked with what was booked for it under a reference.
func (s *Service) matchBookedTx(ctx context.Context, tx pgx.Tx, l Line, kind TargetKind, reference string, now time.Time) error {
	// Bookings return no id of their transaction. It is found by the reference, under which one transaction is posted.
	m, err := s.movementTx(ctx, tx, l.Collective, 0, reference)
	if err != nil {
		return err
	}
	l.State, l.Target, l.Transaction = LineMatched, kind, m.TransactionID
	return updateLineTx(ctx, tx, l, now)
}

// payExpenseTx makes a line that is locked a payment of an expense: of all that remains to pay, or an instalment.
func (s *Service) payExpenseTx(ctx context.Context, tx pgx.Tx, l Line, expense uuid.UUID, at place, now time.Time) error {
	// A line that left the account has a negative amount. A line that arrived becomes a negative payment, which the
	// treasury refuses.
	paid := money.Amount{Minor: -l.Amount.Minor, Currency: l.Amount.Currency}
	reference, err := s.cfg.Treasury.PayExpenseTx(ctx, tx, l.Collective, expense, paid, l.BookedOn, at.start(l.BookedOn), now)
	if errors.Is(err, errs.NotFound("")) {
		return errs.Invalid("target.expense", "must be an expense of the collective")
	}
	if err != nil {
		return err
	}
	l.Expense = expense
	return s.matchBookedTx(ctx, tx, l, TargetExpense, reference, now)
}

// bookReceiptTx books a line that is locked as an unknown receipt.
func (s *Service) bookReceiptTx(ctx context.Context, tx pgx.Tx, l Line, at place, now time.Time) error {
	if l.Amount.Minor < 0 {
		return errDiffers("A receipt is money that arrived.")
	}
	// A receipt that was unmatched and is booked again needs another reference than the one that was reversed.
	l.attempt++
	if err := s.postTx(ctx, tx, l, l.receiptReference(), ledger.KindReceipt, ledger.RoleUnknownReceipts, at.start(l.BookedOn)); err != nil {
		return err
	}
	return s.matchBookedTx(ctx, tx, l, TargetUnknownReceipt, l.receiptReference(), now)
}

// matchTransactionTx matches a line that is locked with a transaction in the books. It books nothing but the bank side of
// a top-up.
func (s *Service) matchTransactionTx(ctx context.Context, tx pgx.Tx, l Line, transaction int64, at place, now time.Time) error {
	// A transaction that moved nothing at the bank may still be the side of a top-up that Stripe reported.
	m, err := s.movementTx(ctx, tx, l.Collective, transaction, "")
	if errs.Code(err) == codes.NotFound {
		return s.bookTopUpTx(ctx, tx, l, transaction, at, now)
	}
	if err != nil {
		return err
	}
	if m.Amount != l.Amount {
		return errDiffers("The transaction moved the bank account by %s.", m.Amount)
	}
	// That another line shows the transaction is refused by the index lines_transaction_key.
	if m.Undone {
		return errDiffers("What the transaction booked was reversed.")
	}
	return matchMovementTx(ctx, tx, l, m, now)
}

// matchMovementTx matches a line that is locked with a movement of its amount. When the movement books a donation or an
// expense, the line is linked to that, so that it is not reversed while the bank shows it.
func matchMovementTx(ctx context.Context, tx pgx.Tx, l Line, m treasury.BankMovement, now time.Time) error {
	l.Donation, l.Expense = m.Donation, m.Expense
	l.State, l.Target, l.Transaction = LineMatched, TargetTransaction, m.TransactionID
	return updateLineTx(ctx, tx, l, now)
}

// UnmatchLine opens a line that was matched or ignored, and reverses what the match booked. The line must be as it was at
// expected, unless that is zero. Sent twice, it does so once.
// Errors: those of the proto's method.
// Lines are not compared again here. The next import, booking or hour does so, and may only suggest what was matched.
func (s *Service) UnmatchLine(ctx context.Context, r treasury.Request, collective string, id uuid.UUID, reason string, expected time.Time) (Line, error) {
	fields := fingerprint.Fields{"line": id.String(), "reason": reason}
	if !expected.IsZero() {
		fields["expected_update_time"] = expected.UTC().Format(time.RFC3339Nano)
	}
	if _, err := s.cfg.Treasury.Once(ctx, r, collective, "unmatch_line", id, fields, func(ctx context.Context, tx pgx.Tx, now time.Time) error {
		l, err := s.lockLineTx(ctx, tx, collective, id)
		if err != nil {
			return err
		}
		switch {
		case l.open():
			return errs.New(errorsv1.ErrorReason_BANK_LINE_OPEN, "%s is neither matched nor ignored.", l.Name())
		case !expected.IsZero() && !l.UpdateTime.Equal(expected):
			return errs.New(errorsv1.ErrorReason_ETAG_MISMATCH, "%s was changed since it was read; read it again.", l.Name())
		case l.State == LineWithdrawn:
			return errs.New(errorsv1.ErrorReason_BANK_LINE_SPLIT, "%s is a part of a split that was undone.", l.Name())
		case l.State == LineSplit:
			if err := s.withdrawPartsTx(ctx, tx, l, reason, now); err != nil {
				return err
			}
		}
		opened, err := s.openLineTx(ctx, tx, l, reason, now)
		if err != nil {
			return err
		}
		return audit.WriteTx(ctx, tx, audit.Change{Collective: collective, Resource: l.Name(), Before: l.auditFields(), After: opened.auditFields()})
	}); err != nil {
		return Line{}, err
	}
	return s.Line(ctx, collective, id)
}

// openLineTx opens a line that is locked, and reverses what its match booked.
func (s *Service) openLineTx(ctx context.Context, tx pgx.Tx, l Line, reason string, now time.Time) (Line, error) {
	// What the match booked is reversed first, since the line still names it.
	if err := s.unbookTx(ctx, tx, l, reason, now); err != nil {
		return l, err
	}
	// From now on no import matches the line by itself.
	l.attempt++
	l.State, l.Target, l.Donation, l.Expense, l.Transaction, l.IgnoreReason = LineUnmatched, "", uuid.Nil, uuid.Nil, 0, ""
	return l, updateLineTx(ctx, tx, l, now)
}

// unbookTx reverses what the match of a line booked. What was in the books before stays.
func (s *Service) unbookTx(ctx context.Context, tx pgx.Tx, l Line, reason string, now time.Time) error {
	// A line that was ignored has no target.
	switch l.Target {
	case TargetPledge, TargetCampaign:
		// The donation's own campaign may be another one than that of the pledge in the text.
		campaign := campaigns.Name{Collective: l.Collective, Campaign: l.DonationCampaign}
		return s.cfg.Treasury.ReverseTransferTx(ctx, tx, campaign, l.Donation, reason, now)
	case TargetExpense:
		paid := money.Amount{Minor: -l.Amount.Minor, Currency: l.Amount.Currency}
		return s.cfg.Treasury.UnpayExpenseTx(ctx, tx, l.Collective, l.Expense, l.Transaction, paid, now)
	// The transaction was in the books before the match, but for the bank's side of a top-up.
	case TargetTransaction:
		return s.unbookTopUpTx(ctx, tx, l)
	case TargetUnknownReceipt:
		return s.reverseTx(ctx, tx, l.Collective, l.receiptReference())
	}
	return nil
}

// IgnoreLine leaves a line out of the books. Sent twice, it does so once. Errors: those of the proto's method.
func (s *Service) IgnoreLine(ctx context.Context, r treasury.Request, collective string, id uuid.UUID, reason string) (Line, error) {
	fields := fingerprint.Fields{"line": id.String(), "reason": reason}
	if _, err := s.cfg.Treasury.Once(ctx, r, collective, "ignore_line", id, fields, func(ctx context.Context, tx pgx.Tx, now time.Time) error {
		l, err := s.lockOpenLineTx(ctx, tx, collective, id)
		if err != nil {
			return err
		}
		// A suggestion is given up. Donation and expense are empty while a line is open.
		before := l.auditFields()
		l.State, l.Target, l.Transaction, l.IgnoreReason = LineIgnored, "", 0, reason
		if err := updateLineTx(ctx, tx, l, now); err != nil {
			return err
		}
		return audit.WriteTx(ctx, tx, audit.Change{Collective: collective, Resource: l.Name(), Before: before, After: l.auditFields()})
	}); err != nil {
		return Line{}, err
	}
	return s.Line(ctx, collective, id)
}

// auditFields are the line as the audit log tells it. The bank's text names people, and so may a reason: both are left out.
func (l Line) auditFields() audit.Fields {
	return audit.Fields{"state": string(l.State), "target": string(l.Target)}
}

package treasury

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// Target is what a member says that a line is.
type Target struct {
	Kind TargetKind
	// Campaign is of a campaign or a pledge.
	Campaign campaigns.Name
	// ID is of a pledge or an expense.
	ID uuid.UUID
	// Transaction is of a transaction in the books.
	Transaction int64
	// name is as the request wrote it.
	name string
}

// MatchLine says what a bank line is, and books what is not booked, safely sent twice. Errors: those of the proto's
// method.
func (s *Service) MatchLine(ctx context.Context, r Request, collective string, id uuid.UUID, t Target) (Line, error) {
	days, err := s.calendar(ctx, collective)
	if err != nil {
		return Line{}, err
	}
	// What the bank shows of a closed period was never booked, or was a receipt that is explained only now.
	if days.open, err = s.cfg.Ledger.ClosedUntil(ctx, days.book, collective); err != nil {
		return Line{}, err
	}
	currency := money.Currency("")
	if t.Kind == TargetCampaign {
		campaign, err := s.booked(ctx, t.Campaign)
		if err != nil {
			return Line{}, err
		}
		currency = campaign.Currency
	}
	parts := []string{id.String(), string(t.Kind), t.name}
	if _, err := s.once(ctx, r, collective, "match_line", id, parts, func(ctx context.Context, tx pgx.Tx, now time.Time) error {
		l, err := s.lockLineTx(ctx, tx, collective, id)
		if err != nil {
			return err
		}
		if !l.open() {
			return errs.New(errorsv1.ErrorReason_BANK_LINE_NOT_OPEN, "%s was matched or ignored already; unmatch it first.", l.Name())
		}
		switch t.Kind {
		case TargetPledge:
			p, err := pledgeByID(ctx, tx, t.ID)
			if err != nil || p.Campaign != t.Campaign {
				return errs.Invalid("target.pledge", "must be a pledge of the collective's")
			}
			return s.bookLineTx(ctx, tx, l, TargetPledge, p.Campaign, p.ID, p.Amount.Currency, days, r.By, now)
		case TargetCampaign:
			return s.bookLineTx(ctx, tx, l, TargetCampaign, t.Campaign, uuid.Nil, currency, days, r.By, now)
		case TargetExpense:
			return s.payByLineTx(ctx, tx, l, t.ID, days, now)
		case TargetTransaction:
			return s.markLineTx(ctx, tx, l, t.Transaction, days, now)
		}
		return s.bookReceiptTx(ctx, tx, l, days, now)
	}); err != nil {
		return Line{}, err
	}
	// Other lines were thought to be what this one is.
	if err := s.Recognise(ctx, collective); err != nil {
		return Line{}, err
	}
	return s.Line(ctx, collective, id)
}

// lockLineTx locks a line, after the collective's imports and matches.
func (s *Service) lockLineTx(ctx context.Context, tx pgx.Tx, collective string, id uuid.UUID) (Line, error) {
	if err := lockBankTx(ctx, tx, collective); err != nil {
		return Line{}, err
	}
	return oneLine(ctx, tx, lockLineSQL, collective, id)
}

// errDiffers is about a target that a line cannot be.
func errDiffers(format string, args ...any) error {
	return errs.New(errorsv1.ErrorReason_BANK_LINE_DIFFERS, format, args...)
}

// bookLineTx makes a donation of a line that is locked: what came, whatever was pledged.
func (s *Service) bookLineTx(
	ctx context.Context, tx pgx.Tx, l Line, kind TargetKind, campaign campaigns.Name, pledge uuid.UUID, currency money.Currency,
	days calendar, by string, now time.Time,
) error {
	if l.Amount.Minor < 0 || l.Amount.Currency != currency {
		return errDiffers("A donation is money that came, in %s.", currency)
	}
	g := Donation{
		ID: s.cfg.NewID(), Campaign: campaign, Amount: l.Amount, Method: MethodTransfer, ReceivedOn: l.BookedOn,
		Document: l.BankReference, Pledge: pledge, CreatedBy: by, CreateTime: now,
	}
	if err := s.bookDonationTx(ctx, tx, g, days.start(l.BookedOn), "name"); err != nil {
		return err
	}
	l.Donation = g.ID
	return s.matchedTx(ctx, tx, l, kind, g.reference(), now)
}

// matchedTx writes that a line which is locked was booked under a reference.
func (s *Service) matchedTx(ctx context.Context, tx pgx.Tx, l Line, kind TargetKind, reference string, now time.Time) error {
	m, err := s.movementTx(ctx, tx, l.Collective, 0, reference)
	if err != nil {
		return err
	}
	l.State, l.Target, l.Transaction = LineMatched, kind, m.TransactionID
	return moveLineTx(ctx, tx, l, now)
}

// movementTx is what a transaction, named by id or reference, moved on the bank account.
func (s *Service) movementTx(ctx context.Context, tx pgx.Tx, collective string, id int64, reference string) (ledger.RoleMovement, error) {
	book, err := s.cfg.Collectives.MarkInUseTx(ctx, tx, collective)
	if err != nil {
		return ledger.RoleMovement{}, err
	}
	return s.cfg.Ledger.RoleMovementTx(ctx, tx, book, collective, ledger.RoleBank, id, reference)
}

// payByLineTx makes a line that is locked a payment of an expense that is owed: of all that is left of it, or an instalment.
func (s *Service) payByLineTx(ctx context.Context, tx pgx.Tx, l Line, expense uuid.UUID, days calendar, now time.Time) error {
	e, err := lockExpenseTx(ctx, tx, l.Collective, expense)
	if err != nil {
		return errs.Invalid("target.expense", "must be an expense of the collective's")
	}
	went := money.Amount{Minor: -l.Amount.Minor, Currency: l.Amount.Currency}
	reference, err := s.payTx(ctx, tx, e, went, l.BookedOn, SourceBank, days, "name", now)
	if err != nil {
		return err
	}
	l.Expense = e.ID
	return s.matchedTx(ctx, tx, l, TargetExpense, reference, now)
}

// bookReceiptTx books a line that is locked as a receipt that nobody can explain yet.
func (s *Service) bookReceiptTx(ctx context.Context, tx pgx.Tx, l Line, days calendar, now time.Time) error {
	if l.Amount.Minor < 0 {
		return errDiffers("A receipt is money that came.")
	}
	book, err := s.openBookTx(ctx, tx, l.Collective)
	if err != nil {
		return err
	}
	l.attempt++
	received := ledger.Entry{Role: ledger.RoleBank, Amount: l.Amount, Collective: l.Collective}
	if err := s.postTx(ctx, tx, book, "name", pair(l.receiptReference(), ledger.KindReceipt, days.start(l.BookedOn),
		received, ledger.Entry{Role: ledger.RoleUnknownReceipts})); err != nil {
		return err
	}
	return s.matchedTx(ctx, tx, l, TargetUnknownReceipt, l.receiptReference(), now)
}

// markLineTx says that a transaction in the books is what a line that is locked shows. Nothing is booked, but the bank's
// side of a top-up.
func (s *Service) markLineTx(ctx context.Context, tx pgx.Tx, l Line, transaction int64, days calendar, now time.Time) error {
	m, err := s.movementTx(ctx, tx, l.Collective, transaction, "")
	if errs.Code(err) == codes.NotFound {
		return s.bookTopUpTx(ctx, tx, l, transaction, days, now)
	}
	if err != nil {
		return err
	}
	seen := []ledger.RoleMovement{m}
	if err := chequesTx(ctx, tx, seen); err != nil {
		return err
	}
	if m = seen[0]; m.Amount != l.Amount {
		return errDiffers("The transaction moved the bank account by %s.", m.Amount)
	}
	if undone(m) {
		return errDiffers("What the transaction booked was reversed.")
	}
	return s.markTx(ctx, tx, l, m, now)
}

// markTx is markLineTx for a movement of the line's amount. A donation or an expense that it is the booking of learns of
// its line, so that it is not reversed while the bank shows it.
func (s *Service) markTx(ctx context.Context, tx pgx.Tx, l Line, m ledger.RoleMovement, now time.Time) error {
	if id, ok := idAfter(m.Reference, donationReferencePrefix); ok {
		l.Donation = id
	}
	for _, prefix := range []string{expenseReferencePrefix, paymentReferencePrefix} {
		if id, ok := idAfter(m.Reference, prefix); ok {
			l.Expense = id
		}
	}
	l.State, l.Target, l.Transaction = LineMatched, TargetTransaction, m.TransactionID
	return moveLineTx(ctx, tx, l, now)
}

// idAfter reads the id in a reference of ours. That of a reversal is none: it is not the booking.
func idAfter(reference, prefix string) (uuid.UUID, bool) {
	rest, ok := strings.CutPrefix(reference, prefix)
	if !ok || strings.HasSuffix(rest, reversedSuffix) {
		return uuid.Nil, false
	}
	rest, _, _ = strings.Cut(rest, ":")
	id, err := uuid.Parse(rest)
	return id, err == nil
}

// UnmatchLine takes back what was said of a line, and what was booked for it, safely sent twice. Errors: those of the
// proto's method.
func (s *Service) UnmatchLine(ctx context.Context, r Request, collective string, id uuid.UUID, reason string) (Line, error) {
	if _, err := s.once(ctx, r, collective, "unmatch_line", id, []string{id.String(), reason},
		func(ctx context.Context, tx pgx.Tx, now time.Time) error {
			l, err := s.lockLineTx(ctx, tx, collective, id)
			if err != nil {
				return err
			}
			if l.open() {
				return errs.New(errorsv1.ErrorReason_BANK_LINE_OPEN, "%s is neither matched nor ignored.", l.Name())
			}
			if err := s.unbookLineTx(ctx, tx, l, reason, now); err != nil {
				return err
			}
			// What a member took back, no later file books again.
			l.attempt++
			l.State, l.Target, l.Donation, l.Expense, l.Transaction, l.IgnoreReason = LineUnmatched, "", uuid.Nil, uuid.Nil, 0, ""
			return moveLineTx(ctx, tx, l, now)
		}); err != nil {
		return Line{}, err
	}
	return s.Line(ctx, collective, id)
}

// unbookLineTx reverses what a match booked; what it only marked stays in the books.
func (s *Service) unbookLineTx(ctx context.Context, tx pgx.Tx, l Line, reason string, now time.Time) error {
	switch l.Target {
	case TargetPledge, TargetCampaign:
		g, err := lockDonationTx(ctx, tx, campaigns.Name{Collective: l.Collective, Campaign: l.DonationCampaign}, l.Donation)
		if err != nil {
			return err
		}
		return s.takeBackTx(ctx, tx, g, reason, now)
	case TargetExpense:
		e, err := lockExpenseTx(ctx, tx, l.Collective, l.Expense)
		if err != nil {
			return err
		}
		return s.unpayTx(ctx, tx, e, l, now)
	case TargetTransaction:
		return s.unbookTopUpTx(ctx, tx, l)
	case TargetUnknownReceipt:
		book, err := s.openBookTx(ctx, tx, l.Collective)
		if err != nil {
			return err
		}
		return s.reverseTx(ctx, tx, book, "", ledger.Reversal{
			Original: l.receiptReference(), Reference: l.receiptReference() + reversedSuffix,
		})
	}
	return nil
}

// IgnoreLine sets a line aside, safely sent twice. Errors: those of the proto's method.
func (s *Service) IgnoreLine(ctx context.Context, r Request, collective string, id uuid.UUID, reason string) (Line, error) {
	if _, err := s.once(ctx, r, collective, "ignore_line", id, []string{id.String(), reason},
		func(ctx context.Context, tx pgx.Tx, now time.Time) error {
			l, err := s.lockLineTx(ctx, tx, collective, id)
			if err != nil {
				return err
			}
			if !l.open() {
				return errs.New(errorsv1.ErrorReason_BANK_LINE_NOT_OPEN, "%s was matched or ignored already; unmatch it first.", l.Name())
			}
			l.State, l.Target, l.Transaction, l.IgnoreReason = LineIgnored, "", 0, reason
			return moveLineTx(ctx, tx, l, now)
		}); err != nil {
		return Line{}, err
	}
	return s.Line(ctx, collective, id)
}

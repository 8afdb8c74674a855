package treasury

import (
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// Method is how a donation comes without Stripe.
type Method string

// The methods.
const (
	MethodCash     Method = "cash"
	MethodTransfer Method = "transfer"
	// MethodCheque is a cheque that the collective banks.
	MethodCheque Method = "cheque"
	// MethodPayeeCheque is a cheque written to the lawyer, which never reaches the collective's account.
	MethodPayeeCheque Method = "payee_cheque"
)

// debited is the account where what came by a method is first.
var debited = map[Method]ledger.AccountRole{
	MethodCash:        ledger.RoleCash,
	MethodTransfer:    ledger.RoleBank,
	MethodCheque:      ledger.RoleChequesToBank,
	MethodPayeeCheque: ledger.RoleLawyerFees,
}

// DonationState is how far an offline donation has come.
type DonationState string

// The states; doc.go draws the ways between them.
const (
	DonationReceived DonationState = "received"
	DonationBanked   DonationState = "banked"
	DonationBounced  DonationState = "bounced"
	DonationReversed DonationState = "reversed"
)

// Donation is a donation that did not come through Stripe.
type Donation struct {
	ID         uuid.UUID
	Campaign   campaigns.Name
	Amount     money.Amount
	Method     Method
	ReceivedOn Day
	// Document is the number of the paper; never a name.
	Document string
	// Pledge is uuid.Nil for none.
	Pledge uuid.UUID
	// OutsideBooks and Stage are for cheques to the lawyer.
	OutsideBooks bool
	Stage        string
	State        DonationState
	// Deposit and BankedOn are of a cheque that was banked; BouncedOn of one that came back.
	Deposit       uuid.UUID
	BankedOn      Day
	BouncedOn     Day
	ReverseReason string
	// Another says of a transfer that is recorded that it is none that a line of the bank's shows already.
	Another bool
	// BankLine is the line of the bank's that shows it; uuid.Nil for none.
	BankLine uuid.UUID
	// CreatedBy is a key's name; empty when an import entered it.
	CreatedBy  string
	CreateTime time.Time
	UpdateTime time.Time

	book string
}

// Name returns the resource name.
func (g Donation) Name() string { return donationName(g.Campaign, g.ID) }

func donationName(c campaigns.Name, id uuid.UUID) string {
	return c.String() + "/offlineDonations/" + id.String()
}

// reference is the donation's in its book.
func (g Donation) reference() string { return donationReferencePrefix + g.ID.String() }

const donationReferencePrefix = "offline-donation:"

// CreateDonation records a donation and books it, safely sent twice. What becomes of it later the caller does not set.
// Errors: those of the proto's method.
func (s *Service) CreateDonation(ctx context.Context, r Request, g Donation) (Donation, error) {
	campaign, err := s.booked(ctx, g.Campaign)
	if err != nil {
		return Donation{}, err
	}
	days, err := s.calendar(ctx, g.Campaign.Collective)
	if err != nil {
		return Donation{}, err
	}
	if err := s.checkDonation(ctx, g, campaign, days); err != nil {
		return Donation{}, err
	}
	parts := []string{
		g.Campaign.Campaign, string(g.Amount.Currency), strconv.FormatInt(g.Amount.Minor, 10), string(g.Method), string(g.ReceivedOn),
		g.Document, g.Pledge.String(), strconv.FormatBool(g.OutsideBooks), g.Stage,
	}
	if g.Another {
		parts = append(parts, "another")
	}
	g.ID, g.CreatedBy = s.cfg.NewID(), r.By
	made, err := s.once(ctx, r, g.Campaign.Collective, "create_donation", g.ID, parts,
		func(ctx context.Context, tx pgx.Tx, now time.Time) error {
			if g.Method == MethodTransfer && !g.Another {
				if err := lockBankTx(ctx, tx, g.Campaign.Collective); err != nil {
					return err
				}
				if err := s.checkUnbookedTx(ctx, tx, g.Campaign.Collective, g.Amount, g.ReceivedOn, days); err != nil {
					return err
				}
			}
			g.CreateTime = now
			return s.bookDonationTx(ctx, tx, g, days.start(g.ReceivedOn), "receive_date")
		})
	if err == nil && g.Method == MethodTransfer {
		err = s.Recognise(ctx, g.Campaign.Collective)
	}
	if err != nil {
		return Donation{}, err
	}
	return s.Donation(ctx, g.Campaign, made)
}

func (s *Service) checkDonation(ctx context.Context, g Donation, campaign campaigns.Campaign, days calendar) error {
	if err := checkAmount("amount", g.Amount, campaign.Currency); err != nil {
		return err
	}
	if err := days.check("receive_date", g.ReceivedOn); err != nil {
		return err
	}
	if g.Method != MethodPayeeCheque && (g.OutsideBooks || g.Stage != "") {
		return errs.Invalid("method", "must be a cheque written to the lawyer for a donation outside the books or of a stage")
	}
	if err := checkStage(campaign, "stage", g.Stage); err != nil {
		return err
	}
	if g.Pledge == uuid.Nil {
		return nil
	}
	if _, err := s.Pledge(ctx, g.Campaign, g.Pledge); err != nil {
		return errs.Invalid("pledge", "must be a pledge of the campaign")
	}
	return nil
}

// checkUnbookedTx refuses a transfer or a slip that a line of the bank's seems to show and that is booked by it: of its
// amount, about its day, and no other line of them is open for it. What else was entered and is shown by no line takes one
// each. The collective's bank is locked.
func (s *Service) checkUnbookedTx(ctx context.Context, tx pgx.Tx, collective string, amount money.Amount, on Day, days calendar) error {
	lines, err := all(ctx, tx, scanLine, alikeLinesSQL, pgx.NamedArgs{
		"collective": collective, "amount_minor": amount.Minor, "currency": string(amount.Currency),
		"day": string(on), "days": daysLater,
	})
	if err != nil {
		return err
	}
	var booked *Line
	left := 0
	for _, l := range lines {
		switch {
		case l.open():
			left++
		case l.Donation != uuid.Nil, l.Target == TargetUnknownReceipt:
			booked = &l
		}
	}
	if booked == nil {
		return nil
	}
	day := days.start(on)
	movements, err := s.cfg.Ledger.RoleMovementsTx(ctx, tx, days.book, collective, ledger.RoleBank,
		day.AddDate(0, 0, -daysLater), day.AddDate(0, 0, daysLater+1))
	if err != nil {
		return err
	}
	taken, err := takenTx(ctx, tx, movements)
	if err != nil {
		return err
	}
	for _, m := range movements {
		if m.Amount == amount && !taken[m.TransactionID] {
			left--
		}
	}
	if left > 0 {
		return nil
	}
	return errs.New(errorsv1.ErrorReason_BANK_LINE_BOOKED,
		"%s of %s shows %s and is booked already; unmatch it, or say that this is another.", booked.Name(), booked.BookedOn, booked.Amount)
}

// bookDonationTx stores a donation that was checked and posts it. field says its day.
func (s *Service) bookDonationTx(ctx context.Context, tx pgx.Tx, g Donation, effective time.Time, field string) (err error) {
	if g.book, err = s.openBookTx(ctx, tx, g.Campaign.Collective); err != nil {
		return err
	}
	if err := insertDonationTx(ctx, tx, g); err != nil {
		return err
	}
	if g.OutsideBooks {
		return nil
	}
	return s.postTx(ctx, tx, g.book, field, pair(g.reference(), ledger.KindDonation, effective, ledger.Entry{
		Role: debited[g.Method], Amount: g.Amount,
		Collective: g.Campaign.Collective, Campaign: g.Campaign.Campaign, Donation: g.ID,
	}, ledger.Entry{Role: ledger.RoleDonations}))
}

// ReverseDonation takes back a donation that was entered wrongly, safely sent twice. Errors: those of the proto's method.
func (s *Service) ReverseDonation(ctx context.Context, r Request, campaign campaigns.Name, id uuid.UUID, reason string) (Donation, error) {
	if _, err := s.once(ctx, r, campaign.Collective, "reverse_donation", id, []string{id.String(), reason},
		func(ctx context.Context, tx pgx.Tx, now time.Time) error {
			if err := lockBankTx(ctx, tx, campaign.Collective); err != nil {
				return err
			}
			g, err := lockDonationTx(ctx, tx, campaign, id)
			if err != nil {
				return err
			}
			shown, err := s.shownTx(ctx, tx, g)
			if err != nil {
				return err
			}
			if shown {
				return errMatched(g.Name())
			}
			return s.takeBackTx(ctx, tx, g, reason, now)
		}); err != nil {
		return Donation{}, err
	}
	// A slip may be what the bank shows only now.
	if err := s.Recognise(ctx, campaign.Collective); err != nil {
		return Donation{}, err
	}
	return s.Donation(ctx, campaign, id)
}

// shownTx reports whether a line of the bank's shows the donation, or the deposit that it was banked with: then the money
// is there, and what is wrong is something else.
func (s *Service) shownTx(ctx context.Context, tx pgx.Tx, g Donation) (bool, error) {
	if g.BankLine != uuid.Nil || g.Deposit == uuid.Nil {
		return g.BankLine != uuid.Nil, nil
	}
	m, err := s.movementTx(ctx, tx, g.Campaign.Collective, 0, depositReference(g.Deposit))
	if err != nil {
		return false, err
	}
	taken, err := takenTx(ctx, tx, []ledger.RoleMovement{m})
	return taken[m.TransactionID], err
}

// takeBackTx reverses a donation that is locked, in its state and in the books.
func (s *Service) takeBackTx(ctx context.Context, tx pgx.Tx, g Donation, reason string, now time.Time) error {
	switch g.State {
	case DonationReversed:
		return errs.New(errorsv1.ErrorReason_DONATION_REVERSED, "%s was reversed already.", g.Name())
	case DonationBounced:
		return errs.New(errorsv1.ErrorReason_CHEQUE_BOUNCED, "%s bounced: it is out of the books already.", g.Name())
	}
	if !g.OutsideBooks {
		if err := s.unbookDonationTx(ctx, tx, g, time.Time{}, ""); err != nil {
			return err
		}
	}
	g.State, g.ReverseReason = DonationReversed, reason
	return moveDonationTx(ctx, tx, g, now)
}

// unbookDonationTx reverses the donation and, when it was banked, its place in the deposit. A zero time is now.
func (s *Service) unbookDonationTx(ctx context.Context, tx pgx.Tx, g Donation, effective time.Time, field string) error {
	if g.Deposit != uuid.Nil {
		share := func(role ledger.AccountRole, minor int64) ledger.Entry {
			return ledger.Entry{
				Role: role, Amount: money.Amount{Minor: minor, Currency: g.Amount.Currency},
				Collective: g.Campaign.Collective, Campaign: g.Campaign.Campaign, Donation: g.ID,
			}
		}
		if err := s.reverseTx(ctx, tx, g.book, field, ledger.Reversal{
			Original:  depositReference(g.Deposit),
			Reference: chequeReference(g.Deposit, g.ID),
			Effective: effective,
			Entries:   []ledger.Entry{share(ledger.RoleChequesToBank, g.Amount.Minor), share(ledger.RoleBank, -g.Amount.Minor)},
		}); err != nil {
			return err
		}
	}
	return s.reverseTx(ctx, tx, g.book, field, ledger.Reversal{
		Original: g.reference(), Reference: g.reference() + reversedSuffix, Effective: effective,
	})
}

// reversedSuffix makes the reference of what takes all of a transaction back.
const reversedSuffix = ":reversed"

func errMatched(name string) error {
	return errs.New(errorsv1.ErrorReason_BANK_LINE_MATCHED, "A line of the bank statement shows %s; unmatch the line.", name)
}

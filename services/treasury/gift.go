package treasury

import (
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// Method is how a gift comes without Stripe.
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

// GiftState is how far an offline gift has come.
type GiftState string

// The states; doc.go draws the ways between them.
const (
	GiftReceived GiftState = "received"
	GiftBanked   GiftState = "banked"
	GiftBounced  GiftState = "bounced"
	GiftReversed GiftState = "reversed"
)

// Gift is a gift that did not come through Stripe.
type Gift struct {
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
	State        GiftState
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
func (g Gift) Name() string { return giftName(g.Campaign, g.ID) }

func giftName(c campaigns.Name, id uuid.UUID) string {
	return c.String() + "/offlineGifts/" + id.String()
}

// reference is the gift's in its book.
func (g Gift) reference() string { return giftReferencePrefix + g.ID.String() }

const giftReferencePrefix = "offline-gift:"

// CreateGift records a gift and books it, safely sent twice. What becomes of it later the caller does not set.
// Errors: those of the proto's method.
func (s *Service) CreateGift(ctx context.Context, r Request, g Gift) (Gift, error) {
	campaign, err := s.booked(ctx, g.Campaign)
	if err != nil {
		return Gift{}, err
	}
	days, err := s.calendar(ctx, g.Campaign.Collective)
	if err != nil {
		return Gift{}, err
	}
	if err := s.checkGift(ctx, g, campaign, days); err != nil {
		return Gift{}, err
	}
	parts := []string{
		g.Campaign.Campaign, string(g.Amount.Currency), strconv.FormatInt(g.Amount.Minor, 10), string(g.Method), string(g.ReceivedOn),
		g.Document, g.Pledge.String(), strconv.FormatBool(g.OutsideBooks), g.Stage,
	}
	if g.Another {
		parts = append(parts, "another")
	}
	g.ID, g.CreatedBy = s.cfg.NewID(), r.By
	made, err := s.once(ctx, r, g.Campaign.Collective, "create_gift", g.ID, parts,
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
			return s.bookGiftTx(ctx, tx, g, days.start(g.ReceivedOn), "receive_date")
		})
	if err == nil && g.Method == MethodTransfer {
		err = s.Recognise(ctx, g.Campaign.Collective)
	}
	if err != nil {
		return Gift{}, err
	}
	return s.Gift(ctx, g.Campaign, made)
}

func (s *Service) checkGift(ctx context.Context, g Gift, campaign campaigns.Campaign, days calendar) error {
	if err := checkAmount("amount", g.Amount, campaign.Currency); err != nil {
		return err
	}
	if err := days.check("receive_date", g.ReceivedOn); err != nil {
		return err
	}
	if g.Method != MethodPayeeCheque && (g.OutsideBooks || g.Stage != "") {
		return errs.Invalid("method", "must be a cheque written to the lawyer for a gift outside the books or of a stage")
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
		case l.Gift != uuid.Nil, l.Target == TargetUnknownReceipt:
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
	return errs.Precondition("BANK_LINE_BOOKED",
		"%s of %s shows %s and is booked already; unmatch it, or say that this is another.", booked.Name(), booked.BookedOn, booked.Amount)
}

// bookGiftTx stores a gift that was checked and posts it. field says its day.
func (s *Service) bookGiftTx(ctx context.Context, tx pgx.Tx, g Gift, effective time.Time, field string) (err error) {
	if g.book, err = s.openBookTx(ctx, tx, g.Campaign.Collective); err != nil {
		return err
	}
	if err := insertGiftTx(ctx, tx, g); err != nil {
		return err
	}
	if g.OutsideBooks {
		return nil
	}
	return s.postTx(ctx, tx, g.book, field, pair(g.reference(), ledger.KindGift, effective, ledger.Entry{
		Role: debited[g.Method], Amount: g.Amount,
		Collective: g.Campaign.Collective, Campaign: g.Campaign.Campaign, Donation: g.ID,
	}, ledger.Entry{Role: ledger.RoleGifts}))
}

// ReverseGift takes back a gift that was entered wrongly, safely sent twice. Errors: those of the proto's method.
func (s *Service) ReverseGift(ctx context.Context, r Request, campaign campaigns.Name, id uuid.UUID, reason string) (Gift, error) {
	if _, err := s.once(ctx, r, campaign.Collective, "reverse_gift", id, []string{id.String(), reason},
		func(ctx context.Context, tx pgx.Tx, now time.Time) error {
			if err := lockBankTx(ctx, tx, campaign.Collective); err != nil {
				return err
			}
			g, err := lockGiftTx(ctx, tx, campaign, id)
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
		return Gift{}, err
	}
	// A slip may be what the bank shows only now.
	if err := s.Recognise(ctx, campaign.Collective); err != nil {
		return Gift{}, err
	}
	return s.Gift(ctx, campaign, id)
}

// shownTx reports whether a line of the bank's shows the gift, or the deposit that it was banked with: then the money
// is there, and what is wrong is something else.
func (s *Service) shownTx(ctx context.Context, tx pgx.Tx, g Gift) (bool, error) {
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

// takeBackTx reverses a gift that is locked, in its state and in the books.
func (s *Service) takeBackTx(ctx context.Context, tx pgx.Tx, g Gift, reason string, now time.Time) error {
	switch g.State {
	case GiftReversed:
		return errs.Precondition("GIFT_REVERSED", "%s was reversed already.", g.Name())
	case GiftBounced:
		return errs.Precondition("CHEQUE_BOUNCED", "%s bounced: it is out of the books already.", g.Name())
	}
	if !g.OutsideBooks {
		if err := s.unbookGiftTx(ctx, tx, g, time.Time{}, ""); err != nil {
			return err
		}
	}
	g.State, g.ReverseReason = GiftReversed, reason
	return moveGiftTx(ctx, tx, g, now)
}

// unbookGiftTx reverses the gift and, when it was banked, its place in the deposit. A zero time is now.
func (s *Service) unbookGiftTx(ctx context.Context, tx pgx.Tx, g Gift, effective time.Time, field string) error {
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
	return errs.Precondition("BANK_LINE_MATCHED", "A line of the bank statement shows %s; unmatch the line.", name)
}

package donations

import (
	"context"
	"log/slog"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// MaxAsks bounds the payments that one step asks for, one after the other, and maxInvoiceAsks the invoices: of
// monthly gifts many are renewed on one day, and each has one.
const (
	MaxAsks        = 20
	maxInvoiceAsks = 100
)

// Payment is what is known of a payment whose gift is looked for.
type Payment struct {
	// Intent and Invoice are Stripe's ids; Invoice is what it paid, if that is known.
	Intent, Invoice string
	// Money is what it brought; nil when somebody else speaks of the payment, such as a refund, which names its
	// Intent only.
	Money *stripe.BalanceTransaction
}

// Lookup asks Stripe whose gifts payments are that nothing known leads from. It is for one step: of each payment and
// invoice it asks once, and no more often than one step may. It is for one goroutine.
type Lookup struct {
	service           *Service
	account           string
	asks, invoiceAsks int
	gifts             map[string]uuid.UUID
	months            map[string]bool
	// refused: of a payment it was told that it is none of ours, because it may not be read.
	refused bool
}

// NewLookup begins a step that looks up payments of the account.
func (s *Service) NewLookup(account string) *Lookup {
	return &Lookup{
		service: s, account: account, asks: MaxAsks, invoiceAsks: maxInvoiceAsks,
		gifts: map[string]uuid.UUID{}, months: map[string]bool{},
	}
}

// Gift returns the gift that a payment's metadata names. The charge of an invoice has none: its invoice leads to its
// monthly gift, whose month is made then, and found by the payment's id; the answer is Nil. So it is for a payment
// that is none of ours, also one that may not be read. told is false when Stripe cannot tell now, or may not be asked
// for more in this step: ask again in another. It must not be called in a transaction. An error is nobody's refusal:
// the database is away, or time is up.
func (l *Lookup) Gift(ctx context.Context, p Payment) (donation uuid.UUID, told bool, err error) {
	if p.Money != nil {
		if p.Invoice != "" {
			told, err = l.makeMonth(ctx, p)
			return uuid.Nil, told, err
		}
		return uuid.Nil, true, nil
	}
	if donation, known := l.gifts[p.Intent]; known || p.Intent == "" {
		return donation, true, nil
	}
	if l.asks == 0 {
		return uuid.Nil, false, nil
	}
	l.asks--
	found, err := l.service.cfg.Stripe.GetPaymentIntent(ctx, l.account, p.Intent)
	if ctx.Err() != nil {
		return uuid.Nil, false, err
	}
	switch stripe.KindOf(err) {
	case 0, stripe.Missing:
	case stripe.Refused:
		l.refused = true
	case stripe.Failed:
		return uuid.Nil, false, nil
	default: // nor will Stripe tell of the others now
		l.asks, l.invoiceAsks = 0, 0
		return uuid.Nil, false, nil
	}
	if found.Donation == uuid.Nil && found.Invoice != "" {
		p.Invoice, p.Money = found.Invoice, found.Balance
		if told, err := l.makeMonth(ctx, p); err != nil || !told {
			return uuid.Nil, false, err
		}
	}
	l.gifts[p.Intent] = found.Donation
	return found.Donation, true, nil
}

// makeMonth makes what a payment paid a gift, when its invoice is one of a monthly gift. An invoice that may not be
// read is told of later: a key without that permission must not turn monthly gifts into unknown receipts.
func (l *Lookup) makeMonth(ctx context.Context, p Payment) (told bool, err error) {
	if l.months[p.Invoice] {
		return true, nil
	}
	if l.invoiceAsks == 0 {
		return false, nil
	}
	l.invoiceAsks--
	inv, err := l.service.cfg.Stripe.GetInvoice(ctx, l.account, p.Invoice)
	if ctx.Err() != nil {
		return false, err
	}
	switch stripe.KindOf(err) {
	case 0:
	case stripe.Missing:
		l.months[p.Invoice] = true
		return true, nil
	case stripe.Failed, stripe.Refused:
		return false, nil
	default:
		l.asks, l.invoiceAsks = 0, 0
		return false, nil
	}
	ours, err := l.service.applyPaidInvoice(ctx, l.account, inv, p.Money)
	if err != nil {
		if ctx.Err() != nil || postgres.Away(err) {
			return false, err
		}
		l.service.cfg.Logger.WarnContext(ctx, "an invoice could not be applied",
			slog.String("account", l.account), slog.String("invoice", p.Invoice), slog.Any("error", err))
		return false, nil
	}
	if ours && !inv.Paid && p.Money == nil { // a debit is under way, or the fee is not known
		return false, nil
	}
	l.months[p.Invoice] = true
	return true, nil
}

// giftOf finds whose gift a payment is; a zero Match for none. What is new here is asked for at Stripe. When Stripe
// cannot tell now, or the payment may not be read, it is an error, UNAVAILABLE (PAYMENT_UNREAD): money can be booked to
// unknown receipts, but a refund or a dispute that is taken for nobody's is forgotten.
func (s *Service) giftOf(ctx context.Context, account, intent, charge string) (Match, error) {
	clue := Clue{PaymentIntent: intent, Charge: charge}
	matches, err := s.Find(ctx, account, []Clue{clue})
	if err != nil || matches[0].Donation != uuid.Nil || intent == "" {
		return first(matches), err
	}
	lookup := s.NewLookup(account)
	donation, told, err := lookup.Gift(ctx, Payment{Intent: intent})
	if err != nil {
		return Match{}, err
	}
	if !told || lookup.refused {
		return Match{}, errs.Unavailable("PAYMENT_UNREAD", firstRetry, nil, "Stripe does not tell now whose payment it is.")
	}
	clue.Donation = donation
	matches, err = s.Find(ctx, account, []Clue{clue})
	return first(matches), err
}

func first(matches []Match) Match {
	if len(matches) == 0 {
		return Match{}
	}
	return matches[0]
}

package stripesim

import (
	"fmt"
	"time"
)

// SEPA debits of subscriptions. What is documented, or was told by others who met it:
//
//   - The session completes with payment_status unpaid, and checkout.session.async_payment_succeeded or _failed comes
//     with the bank's answer, in subscription mode too: https://github.com/Sylius/PayumStripe/pull/23. A session whose
//     debit failed shows nothing of that.
//   - Meanwhile the invoice is open and its payment intent is processing. Of the subscription Stripe's documentation
//     says both: it becomes active when the first payment intent is confirmed, which a debit's is at once
//     (https://docs.stripe.com/api/subscriptions/create, payment_behavior), and it can be incomplete while that is
//     processing (https://docs.stripe.com/billing/subscriptions/overview). So both are here: [Sim.HoldFirstDebits].
//   - Canceling stops the collection of all its invoices (auto_advance), not a debit that is at the bank.
//   - An invoice of a subscription cannot be deleted, not even while it is a draft: it is finalized, then voided,
//     https://docs.stripe.com/api/invoices/delete.
//
// Taken to be so, without a source: failed debits are tried again as often as cards; the session tells only of the
// first attempt; a debit that arrives for an invoice that was voided meanwhile stays, and pays nothing.

// HoldFirstDebits sets whether subscriptions of the account ("" for the platform's) stay incomplete while their first
// debit is in progress, instead of becoming active. An unknown account is an error.
func (s *Sim) HoldFirstDebits(account string, hold bool) error {
	s.lock()
	defer s.unlock()
	w := s.world(account)
	if w == nil {
		return fmt.Errorf("stripesim: no account %s", account)
	}
	w.HoldFirst, s.changed = hold, true
	return nil
}

// debitFirst begins the debit of a session's first invoice.
func (s *Sim) debitFirst(w *world, se *session, m *paymentMethod, by request, now time.Time) {
	sub, inv := w.Subscriptions.byID[se.SubscriptionID], w.Invoices.byID[se.InvoiceID]
	w.Customers.byID[se.CustomerID].Donor = m.Donor
	s.debitInvoice(w, inv, m, by, now)
	se.DebitID, sub.MethodID = inv.ChargeID, m.ID
	if !w.HoldFirst {
		s.activate(w, sub, m, by, now)
	}
}

// debitInvoice begins the debit of an open invoice, which stays open until the bank answers.
func (s *Sim) debitInvoice(w *world, inv *invoice, m *paymentMethod, by request, now time.Time) {
	inv.Attempts++
	inv.ChargeID = s.beginDebit(w, w.Intents.byID[inv.IntentID], m, by, now).ID
}

// endInvoiceDebit is the bank's answer on an invoice's debit.
func (s *Sim) endInvoiceDebit(w *world, inv *invoice, paid bool, now time.Time) {
	sub := w.Subscriptions.byID[inv.SubscriptionID]
	switch {
	case inv.Status == invoiceVoid:
	case paid:
		w.Customers.byID[inv.CustomerID].Delinquent = false
		inv.Status, inv.PaidAt, inv.AutoAdvance, inv.NextAttempt = invoicePaid, now.Unix(), false, 0
		if sub.Status == subIncomplete {
			s.activate(w, sub, w.PaymentMethods.byID[sub.MethodID], request{}, now)
		}
		s.emitPaid(w, inv, request{}, now)
		if !sub.ended() {
			s.setStatus(w, sub, subActive, now)
		}
	case sub.Status == subIncomplete:
		s.emit(w, "invoice.payment_failed", inv.render(w), nil, request{}, now)
		s.expireSubscription(w, sub, now)
	case sub.ended(), inv.Status == invoiceGivenUp:
		s.emit(w, "invoice.payment_failed", inv.render(w), nil, request{}, now)
	default:
		s.invoiceFailed(w, sub, inv, now)
	}
}

// SettleInvoice answers an invoice's debit now, whatever its IBAN stands for. It is an error when no debit is in
// progress.
func (s *Sim) SettleInvoice(invoiceID string, paid bool) error {
	now := s.lock()
	defer s.unlock()
	w, inv, err := s.findInvoice(invoiceID)
	if err != nil {
		return err
	}
	in, ok := w.Intents.get(inv.IntentID)
	if !ok || in.Status != intentProcessing {
		return fmt.Errorf("stripesim: invoice %s has no debit under way", invoiceID)
	}
	s.settleDebit(w, in, paid, now)
	return nil
}

// SetIBAN changes the bank account of a subscription's renewals. An unknown or ended subscription, one in another
// currency, and a number that is no test account's are errors.
func (s *Sim) SetIBAN(subscriptionID string, iban IBAN) error {
	now := s.lock()
	defer s.unlock()
	w, sub, err := s.findRunning(subscriptionID)
	if err != nil {
		return err
	}
	if sub.Presented != nil {
		return fmt.Errorf("stripesim: subscription %s is paid in %s", subscriptionID, sub.Presented.To)
	}
	number, _, err := iban.lookup()
	if err != nil {
		return err
	}
	s.setMethod(w, sub, &paymentMethod{
		IBAN: number, MandateID: newID("mandate_1", 23), Donor: w.Customers.byID[sub.CustomerID].Donor,
	}, now)
	return nil
}

// VoidInvoice voids an open invoice, as members do in Stripe's dashboard. It is never paid; a debit that is at the bank
// continues. An invoice that is not open is an error.
func (s *Sim) VoidInvoice(id string) error {
	return s.closeInvoice(id, func(inv *invoice, now time.Time) string {
		inv.Status, inv.VoidedAt = invoiceVoid, now.Unix()
		return "invoice.voided"
	})
}

// GiveInvoiceUp marks an open invoice as uncollectible; it can still be paid. An invoice that is not open is an error.
func (s *Sim) GiveInvoiceUp(id string) error {
	return s.closeInvoice(id, func(inv *invoice, now time.Time) string {
		inv.Status, inv.GivenUpAt = invoiceGivenUp, now.Unix()
		return "invoice.marked_uncollectible"
	})
}

func (s *Sim) closeInvoice(id string, end func(*invoice, time.Time) (event string)) error {
	now := s.lock()
	defer s.unlock()
	w, inv, err := s.findInvoice(id)
	if err != nil {
		return err
	}
	if inv.Status != invoiceOpen {
		return fmt.Errorf("stripesim: invoice %s is %s", id, inv.Status)
	}
	inv.AutoAdvance, inv.NextAttempt = false, 0
	event := end(inv, now)
	s.emit(w, event, inv.render(w), nil, pageRequest(), now)
	return nil
}

// findInvoice looks in every account.
func (s *Sim) findInvoice(id string) (*world, *invoice, error) {
	for _, w := range s.worlds {
		if inv, ok := w.Invoices.get(id); ok {
			return w, inv, nil
		}
	}
	return nil, nil, fmt.Errorf("stripesim: no invoice %s", id)
}

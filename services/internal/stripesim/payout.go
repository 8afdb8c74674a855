package stripesim

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// States of a payout, https://docs.stripe.com/api/payouts/object#payout_object-status.
const (
	payoutPending   = "pending"
	payoutInTransit = "in_transit"
	payoutPaid      = "paid"
	payoutFailed    = "failed"
	payoutCanceled  = "canceled"
)

// Whether the balance transactions inside a payout can be listed.
const (
	reconciliationNone       = "not_applicable" // of a manual payout
	reconciliationInProgress = "in_progress"
	reconciliationCompleted  = "completed"
)

const (
	// submitAfter is how long a payout is pending, and can be canceled.
	submitAfter = 8 * time.Hour
	// arrivalDays is when it is at the bank, in days after its creation.
	arrivalDays = 2
)

// payout is a payout from an account's balance to its bank account; a negative one debits the bank. It is pending for
// submitAfter, then in transit, then paid; it can fail in each of these states, and be canceled while pending. Amount
// is in minor units. BalanceID names its own balance transaction, FailureBalanceID the one that returned the money.
type payout struct {
	ID                string `json:"id"`
	Created           int64  `json:"created"`
	ArrivalDate       int64  `json:"arrival_date"`
	Amount            int64  `json:"amount"`
	Currency          string `json:"currency"`
	Automatic         bool   `json:"automatic"`
	Status            string `json:"status"`
	Reconciliation    string `json:"reconciliation_status"`
	BalanceID         string `json:"balance_id"`
	FailureBalanceID  string `json:"failure_balance_id,omitempty"`
	FailureCode       string `json:"failure_code,omitempty"`
	BankAccountSuffix string `json:"bank_account_suffix"`
}

func (p *payout) key() (string, int64) { return p.ID, p.Created }

// render shows every member of a payout.
func (p *payout) render() document {
	o := document{
		"id":                          p.ID,
		"object":                      "payout",
		"amount":                      p.Amount,
		"arrival_date":                p.ArrivalDate,
		"automatic":                   p.Automatic,
		"balance_transaction":         p.BalanceID,
		"created":                     p.Created,
		"currency":                    p.Currency,
		"description":                 nil,
		"destination":                 "ba_1" + p.BankAccountSuffix,
		"failure_balance_transaction": orNull(p.FailureBalanceID),
		"failure_code":                orNull(p.FailureCode),
		"failure_message":             nil,
		"livemode":                    false,
		"metadata":                    document{},
		"method":                      "standard",
		"original_payout":             nil,
		"reconciliation_status":       p.Reconciliation,
		"reversed_by":                 nil,
		"source_type":                 "card",
		"statement_descriptor":        nil,
		"status":                      p.Status,
		"type":                        "bank_account",
	}
	// A manual payout has no description here.
	if p.Automatic {
		o["description"] = "STRIPE PAYOUT"
	}
	if p.FailureCode != "" {
		o["failure_message"] = "The bank account could not take the payout: " + p.FailureCode + "."
	}
	return o
}

// addPayout creates a payout with its balance transaction, and schedules its next states. An automatic payout takes
// held. It is the balance transactions of the automatic payout that are given its id, its own included. A manual payout
// leaves them free: Stripe does not tell what is in it.
func (s *Sim) addPayout(w *world, amount int64, currency string, held []*balanceTxn, automatic bool, now time.Time) *payout {
	// Payouts arrive at midnight UTC, two days after the day on which they are made.
	day := now.UTC().Truncate(24 * time.Hour)
	p := &payout{
		ID: newID("po_1", 23), Created: now.Unix(), ArrivalDate: day.AddDate(0, 0, arrivalDays).Unix(),
		Amount: amount, Currency: currency, Automatic: automatic, Status: payoutPending, Reconciliation: reconciliationNone,
		BankAccountSuffix: w.ID[len("acct_"):],
	}
	// Its own transaction takes the amount from the balance; the fee on it is taken in addition.
	own := w.addPayoutTransaction(p, "payout", "payout", -amount, now)
	p.BalanceID = own.ID
	if automatic && w.PayoutFee > 0 {
		own.Fees = []feeDetail{{Amount: w.PayoutFee, Type: "stripe_fee", Description: "Payout fee"}}
	}
	if automatic {
		p.Reconciliation = reconciliationInProgress
		for _, b := range append(held, own) {
			b.PayoutID = p.ID
		}
	}
	w.Payouts.add(p)
	s.emit(w, "payout.created", p.render(), nil, request{}, now)
	// The agenda orders them by time, so the order of the map does not matter.
	for kind, at := range map[string]time.Time{
		duePayoutSubmitted: now.Add(submitAfter), duePayoutPaid: time.Unix(p.ArrivalDate, 0).UTC(),
	} {
		s.agenda.add(due{At: at, Kind: kind, Account: w.ID, ID: p.ID})
	}
	return p
}

// addPayoutTransaction adds a balance transaction of a payout, which is available at once.
func (w *world) addPayoutTransaction(p *payout, kind, category string, amount int64, now time.Time) *balanceTxn {
	b := &balanceTxn{
		ID: newID("txn_1", 23), Created: now.Unix(), AvailableOn: now.Unix(), Type: kind, Category: category,
		Amount: amount, Currency: p.Currency, Description: "STRIPE PAYOUT", SourceID: p.ID,
	}
	w.Balance.add(b)
	return b
}

// advancePayout changes a payout's state, if its present state allows it. An entry of the agenda for a payout that has
// failed or was canceled meanwhile does nothing.
func (s *Sim) advancePayout(w *world, p *payout, kind string, now time.Time) {
	before := document{"status": p.Status}
	// The states only advance one by one: a payout that is not in transit cannot be paid.
	switch {
	case kind == duePayoutSubmitted && p.Status == payoutPending:
		p.Status = payoutInTransit
		s.emit(w, "payout.updated", p.render(), before, request{}, now)
		// From now on the list of its balance transactions is complete, see insideOf.
		if p.Automatic {
			p.Reconciliation = reconciliationCompleted
			s.emit(w, "payout.reconciliation_completed", p.render(), nil, request{}, now)
		}
	case kind == duePayoutPaid && p.Status == payoutInTransit:
		p.Status = payoutPaid
		s.emit(w, "payout.paid", p.render(), nil, request{}, now)
	}
}

// endPayout returns a payout's money to the balance, where the next automatic payout finds it. The return has no
// PayoutID, so the next automatic payout includes it, and the transactions of the failed payout stay in that one.
func (s *Sim) endPayout(w *world, p *payout, status, kind, code string, now time.Time) {
	p.Status, p.FailureCode = status, code
	p.FailureBalanceID = w.addPayoutTransaction(p, kind, "payout_reversal", p.Amount, now).ID
	// An automatic payout that fails while it is pending can be listed in full too.
	if p.Automatic {
		p.Reconciliation = reconciliationCompleted
	}
	s.emit(w, "payout."+status, p.render(), nil, request{}, now)
}

func (s *Sim) getPayout(c *call) (document, *apiError) {
	id := c.http.PathValue("id")
	p, ok := c.world.Payouts.get(id)
	if !ok {
		return nil, noSuch(http.StatusNotFound, "payout", id, "id")
	}
	return p.render(), nil
}

var payoutListParams = listParams(schema{
	"arrival_date": opt(timeRange),
	"status":       opt(oneOf(payoutPending, payoutPaid, payoutFailed, payoutCanceled, payoutInTransit)),
	"destination":  elsewhere,
})

// listPayouts filters by state and by the day of arrival, which is a midnight UTC.
func (s *Sim) listPayouts(c *call) (document, *apiError) {
	status, arrival := c.params.str("status"), everything
	if a, ok := c.params["arrival_date"].(span); ok {
		arrival = a
	}
	return listPage(&c.world.Payouts, c.params, "/v1/payouts", "payout", func(p *payout) bool {
		return (status == "" || p.Status == status) && p.ArrivalDate >= arrival.from && p.ArrivalDate <= arrival.to
	}, (*payout).render)
}

// insideOf returns which balance transactions the list of a payout has: until it is reconciled, only its own.
func (w *world) insideOf(id string) (inside func(*balanceTxn) bool, refused *apiError) {
	p, ok := w.Payouts.get(id)
	switch {
	case !ok:
		return nil, noSuch(http.StatusBadRequest, "payout", id, "payout")
	case !p.Automatic:
		return nil, invalid("", "payout", "Balance transaction history can only be filtered on automatic transfers, not manual.")
	}
	// The closure reads the payout's state when a row is compared, which is in the same locked section.
	return func(b *balanceTxn) bool {
		return b.PayoutID == id && (p.Reconciliation == reconciliationCompleted || b.ID == p.BalanceID)
	}, nil
}

// findPayout looks in all accounts.
func (s *Sim) findPayout(id string) (*world, *payout, error) {
	for _, w := range s.worlds {
		if p, ok := w.Payouts.get(id); ok {
			return w, p, nil
		}
	}
	return nil, nil, fmt.Errorf("stripesim: no payout %s", id)
}

// CreatePayout creates a manual payout, as in the dashboard: an amount in minor units of the available balance in the
// currency (lower case) of the account, "" for the platform's. Stripe does not tell the contents of such a payout.
func (s *Sim) CreatePayout(account string, amountMinor int64, currency string) (id string, err error) {
	now := s.lock()
	defer s.unlock()
	w := s.world(account)
	if w == nil {
		return "", fmt.Errorf("stripesim: no account %s", account)
	}
	// The pending part of the balance cannot be paid out.
	var available int64
	for _, b := range w.Balance.rows {
		if b.Currency == currency && b.status(now) == "available" {
			available += b.Amount - b.fee()
		}
	}
	if amountMinor <= 0 || amountMinor > available {
		return "", fmt.Errorf("stripesim: %d is not between 1 and the %d that are available", amountMinor, available)
	}
	return s.addPayout(w, amountMinor, currency, nil, false, now).ID, nil
}

// FailPayout makes the bank refuse a payout, also days after it was paid. code is Stripe's, such as account_closed.
func (s *Sim) FailPayout(id, code string) error {
	now := s.lock()
	defer s.unlock()
	w, p, err := s.findPayout(id)
	if err != nil {
		return err
	}
	// A payout fails once: a repeat finds it failed and is an error.
	if !slices.Contains([]string{payoutPending, payoutInTransit, payoutPaid}, p.Status) || code == "" {
		return fmt.Errorf("stripesim: a payout that is %s cannot fail with code %q", p.Status, code)
	}
	s.endPayout(w, p, payoutFailed, "payout_failure", code, now)
	return nil
}

// CancelPayout cancels a payout that is pending.
func (s *Sim) CancelPayout(id string) error {
	now := s.lock()
	defer s.unlock()
	w, p, err := s.findPayout(id)
	if err != nil {
		return err
	}
	if p.Status != payoutPending {
		return errors.New("stripesim: only a pending payout can be canceled")
	}
	s.endPayout(w, p, payoutCanceled, "payout_cancel", "", now)
	return nil
}

// Payout is a read-only copy of a payout; the amount is in minor units, negative when the bank is debited.
type Payout struct {
	ID                   string    `json:"id"`
	AmountMinor          int64     `json:"amount_minor"`
	Currency             string    `json:"currency"`
	Automatic            bool      `json:"automatic"`
	Status               string    `json:"status"`
	BalanceTransactionID string    `json:"balance_transaction_id"`
	ArrivalDate          time.Time `json:"arrival_date"`
}

// Payouts returns the account's payouts, oldest first; nil for an unknown account.
func (s *Sim) Payouts(account string) []Payout {
	s.lock()
	defer s.unlock()
	w := s.world(account)
	if w == nil {
		return nil
	}
	out := make([]Payout, 0, len(w.Payouts.rows))
	for _, p := range w.Payouts.rows {
		out = append(out, Payout{
			ID: p.ID, AmountMinor: p.Amount, Currency: p.Currency, Automatic: p.Automatic, Status: p.Status,
			BalanceTransactionID: p.BalanceID, ArrivalDate: time.Unix(p.ArrivalDate, 0).UTC(),
		})
	}
	return out
}

package stripesim

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// feeDetail is one part of a balance transaction's fee.
type feeDetail struct {
	Amount      int64  `json:"amount"`
	Type        string `json:"type"`
	Description string `json:"description"`
}

// balanceTxn is one movement of an account's balance. Only its payout changes. Amounts and fees are in minor units of
// Currency, which is the balance's, and Rate is what the charge's currency was converted at. A positive Amount adds to
// the balance. Fees are subtracted from it, so a returned fee is negative. SourceID names what moved the money: a
// charge, refund, dispute or payout, as showSource finds it.
type balanceTxn struct {
	ID          string      `json:"id"`
	Created     int64       `json:"created"`
	AvailableOn int64       `json:"available_on"`
	Type        string      `json:"type"`
	Category    string      `json:"category"` // reporting_category
	Amount      int64       `json:"amount"`
	Currency    string      `json:"currency"`
	Description string      `json:"description,omitempty"`
	Fees        []feeDetail `json:"fees,omitempty"`
	SourceID    string      `json:"source_id"`
	PayoutID    string      `json:"payout_id,omitempty"` // the automatic payout that it is in
	Rate        float64     `json:"rate,omitempty"`      // of exchange; zero: nothing was converted
}

func (b *balanceTxn) key() (string, int64) { return b.ID, b.Created }

// fee is the sum of the parts, in minor units.
func (b *balanceTxn) fee() (total int64) {
	for _, f := range b.Fees {
		total += f.Amount
	}
	return total
}

// settle creates a charge's balance transaction. It has the time of the charge, even when it is created later: the
// money moved when the card was charged, and only the fee was unknown.
//
// A debit's money moves when the bank has answered; its balance transaction is a payment.
func (w *world) settle(ch *charge) {
	settlementDays, created, kind := 7, ch.Created, "charge" // of a new French account
	if ch.Method.IBAN != "" {
		settlementDays, created, kind = debitSettlementDays, ch.Settled, "payment"
	}
	// The fee is taken in the currency of the balance, on what was converted.
	amount, currency, rate := w.settledAmount(ch)
	// The money is available at midnight UTC, so many days after the day of the payment.
	b := &balanceTxn{
		ID:          newID("txn_3", 23),
		Created:     created,
		AvailableOn: time.Unix(created, 0).UTC().Truncate(24*time.Hour).AddDate(0, 0, settlementDays).Unix(),
		Type:        kind,
		Category:    "charge",
		Amount:      amount,
		Currency:    currency,
		Description: ch.Data.Description,
		Fees: []feeDetail{{
			Amount:      ch.Method.fee(amount, currency),
			Type:        "stripe_fee",
			Description: "Stripe processing fees",
		}},
		SourceID: ch.ID,
		Rate:     rate,
	}
	w.Balance.add(b)
	ch.BalanceID = b.ID
}

// fee is Stripe's fee for a payment by this method.
func (m *paymentMethod) fee(amount int64, currency string) int64 {
	if m.IBAN != "" {
		return debitFeeMinor
	}
	return cards[m.Number].tariff.fee(amount, currency)
}

// render shows every member of a balance transaction.
func (b *balanceTxn) render(now time.Time) document {
	fees := make([]any, len(b.Fees))
	for i, f := range b.Fees {
		fees[i] = document{
			"amount": f.Amount, "application": nil, "currency": b.Currency, "description": f.Description, "type": f.Type,
		}
	}
	// Without a conversion the rate is null, not zero.
	var rate any
	if b.Rate != 0 {
		rate = b.Rate
	}
	return document{
		"id":                 b.ID,
		"object":             "balance_transaction",
		"amount":             b.Amount,
		"available_on":       b.AvailableOn,
		"created":            b.Created,
		"currency":           b.Currency,
		"description":        orNull(b.Description),
		"exchange_rate":      rate,
		"fee":                b.fee(),
		"fee_details":        fees,
		"net":                b.Amount - b.fee(),
		"reporting_category": b.Category,
		"source":             b.SourceID,
		"status":             b.status(now),
		"type":               b.Type,
	}
}

// status depends on the clock alone, so no row and no event changes when the money becomes available.
func (b *balanceTxn) status(now time.Time) string {
	if now.Unix() >= b.AvailableOn {
		return "available"
	}
	return "pending"
}

func (s *Sim) getBalanceTransaction(c *call) (document, *apiError) {
	id := c.http.PathValue("id")
	b, ok := c.world.Balance.get(id)
	if !ok {
		return nil, noSuch(http.StatusNotFound, "balance transaction", id, "id")
	}
	return b.render(c.now), nil
}

var balanceListParams = listParams(schema{
	"currency": opt(text(3)),
	"payout":   opt(text(0)),
	"source":   opt(text(0)),
	"type":     opt(text(0)),
})

// listBalanceTransactions filters by payout for automatic payouts only; insideOf tells which rows such a list has.
func (s *Sim) listBalanceTransactions(c *call) (document, *apiError) {
	p := c.params
	// Without the parameter every row is inside.
	inside := func(*balanceTxn) bool { return true }
	if p.has("payout") {
		var err *apiError
		if inside, err = c.world.insideOf(p.str("payout")); err != nil {
			return nil, err
		}
	}
	currency, source, kind := strings.ToLower(p.str("currency")), p.str("source"), p.str("type")
	return listPage(&c.world.Balance, p, "/v1/balance_transactions", "balance transaction", func(b *balanceTxn) bool {
		return (currency == "" || b.Currency == currency) && (source == "" || b.SourceID == source) && (kind == "" || b.Type == kind) &&
			inside(b)
	}, func(b *balanceTxn) document { return b.render(c.now) })
}

// getBalance sums the balance transactions. Euros are listed even when nothing moved. Only the platform has
// connect_reserved, which is always zero here. All money counts as card, also that of debits.
func (s *Sim) getBalance(c *call) (document, *apiError) {
	sums := map[string]map[string]int64{"available": {"eur": 0}, "pending": {"eur": 0}}
	for _, b := range c.world.Balance.rows {
		sums[b.status(c.now)][b.Currency] += b.Amount - b.fee()
	}
	o := document{"object": "balance", "livemode": false}
	// Currencies come in the order of their codes.
	for status, amounts := range sums {
		list := []any{}
		for _, currency := range slices.Sorted(maps.Keys(amounts)) {
			list = append(list, document{
				"amount": amounts[currency], "currency": currency, "source_types": document{"card": amounts[currency]},
			})
		}
		o[status] = list
	}
	if !c.world.Connected {
		o["connect_reserved"] = []any{document{"amount": 0, "currency": "eur"}}
	}
	return o, nil
}

// BalanceTransaction is a read-only copy of a balance transaction; amounts are minor units.
type BalanceTransaction struct {
	ID          string    `json:"id"`
	Type        string    `json:"type"`
	AmountMinor int64     `json:"amount_minor"`
	FeeMinor    int64     `json:"fee_minor"`
	NetMinor    int64     `json:"net_minor"` // always amount - fee
	Currency    string    `json:"currency"`  // lower case, as Stripe writes it
	SourceID    string    `json:"source_id"`
	Created     time.Time `json:"created"`
}

// BalanceTransactions returns the account's visible balance transactions ("" for the platform), oldest first; nil for
// an unknown account. A ledger must agree with them.
func (s *Sim) BalanceTransactions(account string) []BalanceTransaction {
	s.lock()
	defer s.unlock()
	// A fee that has not arrived yet has no balance transaction, and is not in the list.
	w := s.world(account)
	if w == nil {
		return nil
	}
	out := make([]BalanceTransaction, 0, len(w.Balance.rows))
	for _, b := range w.Balance.rows {
		out = append(out, BalanceTransaction{
			ID: b.ID, Type: b.Type, AmountMinor: b.Amount, FeeMinor: b.fee(), NetMinor: b.Amount - b.fee(),
			Currency: b.Currency, SourceID: b.SourceID, Created: time.Unix(b.Created, 0).UTC(),
		})
	}
	return out
}

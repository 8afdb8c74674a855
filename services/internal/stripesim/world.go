package stripesim

import (
	"crypto/rand"
	"encoding/json"
	"slices"
	"time"
)

// document is a Stripe object as JSON.
type document = map[string]any

// request identifies the API request that caused an event; zero when there was none.
type request struct {
	ID  string `json:"id,omitempty"`
	Key string `json:"key,omitempty"`
}

// world is everything that belongs to one account. No account sees another's.
type world struct {
	ID             string                  `json:"id"`
	Connected      bool                    `json:"connected"`
	Created        int64                   `json:"created"`
	Onboarding     *onboarding             `json:"onboarding,omitempty"` // nil: complete since it was connected
	Revoked        bool                    `json:"revoked,omitempty"`    // the platform has no access any more
	Debits         bool                    `json:"debits,omitempty"`     // the account offers SEPA debits
	HoldFirst      bool                    `json:"hold_first,omitempty"` // see HoldFirstDebits
	Exchange       map[string]exchange     `json:"exchange,omitempty"`   // by the charge's currency
	Sessions       table[*session]         `json:"sessions"`
	Intents        table[*intent]          `json:"intents"`
	PaymentMethods table[*paymentMethod]   `json:"payment_methods"`
	Charges        table[*charge]          `json:"charges"`
	Balance        table[*balanceTxn]      `json:"balance_transactions"`
	Payouts        table[*payout]          `json:"payouts"`
	Refunds        table[*refund]          `json:"refunds"`
	Disputes       table[*dispute]         `json:"disputes"`
	Warnings       table[*warning]         `json:"warnings"`
	Customers      table[*customer]        `json:"customers"`
	Subscriptions  table[*subscription]    `json:"subscriptions"`
	Invoices       table[*invoice]         `json:"invoices"`
	PortalSessions table[*portalSession]   `json:"portal_sessions"`
	Hooks          table[*webhookEndpoint] `json:"webhook_endpoints"`
	Events         table[*event]           `json:"events"`
	DailyPayouts   bool                    `json:"daily_payouts,omitempty"`
	// PayoutFee is in minor units, see SetPayoutFee.
	PayoutFee int64 `json:"payout_fee,omitempty"`
	// LowBalance and RefundedFeePercent say how refunds go, see SetLowBalance and SetRefundedFee.
	LowBalance         bool  `json:"low_balance,omitempty"`
	RefundedFeePercent int64 `json:"refunded_fee_percent,omitempty"`
}

func newWorld(id string, connected bool, now time.Time) *world {
	return &world{ID: id, Connected: connected, Created: now.Unix()}
}

// record is a row of a table. Its id and creation time never change.
type record interface {
	key() (id string, created int64)
}

// table keeps rows by id and ordered by creation. A row that is added late takes the place of its creation time, which
// a cursor may have passed already: Stripe's lists behave like that.
type table[T record] struct {
	rows []T
	byID map[string]T
}

// add inserts a row behind those of the same second, so rows of one second keep the order in which they were added.
func (t *table[T]) add(row T) {
	id, created := row.key()
	if t.byID == nil {
		t.byID = map[string]T{}
	}
	t.byID[id] = row
	at, _ := slices.BinarySearchFunc(t.rows, created, func(e T, c int64) int {
		if _, ec := e.key(); ec > c {
			return 1
		}
		return -1
	})
	t.rows = slices.Insert(t.rows, at, row)
}

func (t *table[T]) get(id string) (T, bool) {
	row, ok := t.byID[id]
	return row, ok
}

// remove takes a row out.
func (t *table[T]) remove(row T) {
	id, _ := row.key()
	i := t.index(id)
	t.rows = slices.Delete(t.rows, i, i+1)
	delete(t.byID, id)
}

// dropBefore deletes the rows created before the time. They stand at the front, because the rows are ordered by
// creation.
func (t *table[T]) dropBefore(created int64) (dropped int) {
	for dropped < len(t.rows) {
		id, c := t.rows[dropped].key()
		if c >= created {
			break
		}
		delete(t.byID, id)
		dropped++
	}
	t.rows = slices.Delete(t.rows, 0, dropped)
	return dropped
}

// MarshalJSON writes the rows in order.
func (t *table[T]) MarshalJSON() ([]byte, error) {
	if t.rows == nil {
		return []byte("[]"), nil
	}
	return json.Marshal(t.rows)
}

// UnmarshalJSON reads what MarshalJSON wrote. The rows are in order already; only the index by id is made again.
func (t *table[T]) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, &t.rows); err != nil {
		return err
	}
	t.byID = make(map[string]T, len(t.rows))
	for _, row := range t.rows {
		id, _ := row.key()
		t.byID[id] = row
	}
	return nil
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// newID returns the prefix followed by n random characters. The small bias of the remainder does not matter:
// nobody gains by guessing a simulated id.
func newID(prefix string, n int) string {
	b := make([]byte, n)
	rand.Read(b)
	for i := range b {
		b[i] = base62[int(b[i])%len(base62)]
	}
	return prefix + string(b)
}

// orNull shows an empty string as Stripe does.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// orEmpty shows a missing map as an empty one.
func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

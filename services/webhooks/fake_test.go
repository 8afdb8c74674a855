package webhooks

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/donations"
)

// fakeBalance answers lists of balance transactions, newest first, and payment intents.
type fakeBalance struct {
	mu   sync.Mutex
	rows []fakeRow // newest first
	// intents are payments on copies of donations' pages.
	intents map[string]donations.Donation
	// refuse is the status that asking for a payment intent answers.
	refuse map[string]int
	// bare are the rows whose source a list does not expand.
	bare map[string]bool
	// asked counts the payment intents that were asked for, byID the balance transactions.
	asked, byID int
	// lists counts the pages that were asked for; after failAfter of them Stripe is down, unless zero.
	lists, failAfter int
}

type fakeRow struct {
	id, kind, category string
	amount, fee        int64
	created            time.Time
	source             string // JSON
	currency           string // eur when empty
	raw                string // the whole answer, instead of all that
	// of is the donation on whose page it was paid.
	of donations.Donation
}

func (f *fakeBalance) answer(w http.ResponseWriter, r *http.Request) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id, ok := strings.CutPrefix(r.URL.Path, "/v1/payment_intents/"); ok {
		f.asked++
		if status := f.refuse[id]; status != 0 {
			w.WriteHeader(status)
			return true
		}
		fmt.Fprintf(w, `{"id":%q,"status":"succeeded","metadata":{"donation":%q},"latest_charge":null}`, id, f.intents[id].ID)
		return true
	}
	if id := r.URL.Query().Get("payment_intent"); id != "" && r.URL.Path == "/v1/checkout/sessions" {
		f.answerSessions(w, id)
		return true
	}
	if id, ok := strings.CutPrefix(r.URL.Path, "/v1/balance_transactions/"); ok {
		f.byID++
		if i := slices.IndexFunc(f.rows, func(row fakeRow) bool { return row.id == id }); i >= 0 {
			_, _ = w.Write(f.rows[i].json(false))
		} else {
			w.WriteHeader(http.StatusNotFound)
		}
		return true
	}
	if r.URL.Path != "/v1/balance_transactions" {
		return false
	}
	if f.lists++; f.failAfter != 0 && f.lists > f.failAfter {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	since, _ := strconv.ParseInt(r.FormValue("created[gte]"), 10, 64)
	rows := slices.Clone(f.rows)
	if after := r.FormValue("starting_after"); after != "" {
		rows = rows[1+slices.IndexFunc(rows, func(row fakeRow) bool { return row.id == after }):]
	}
	rows = slices.DeleteFunc(rows, func(row fakeRow) bool { return row.created.Unix() < since })
	more := len(rows) > fullPage
	rows = rows[:min(len(rows), fullPage)]
	data := []json.RawMessage{}
	for _, row := range rows {
		data = append(data, row.json(f.bare[row.id]))
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"object": "list", "has_more": more, "data": data})
	return true
}

// answerSessions answers with the page that a payment was made on.
func (f *fakeBalance) answerSessions(w http.ResponseWriter, intent string) {
	d := f.intents[intent]
	for _, row := range f.rows {
		if row.of.ID != uuid.Nil && strings.Contains(row.source, fmt.Sprintf(`"payment_intent":%q`, intent)) {
			d = row.of
		}
	}
	if d.ID == uuid.Nil {
		fmt.Fprint(w, `{"object":"list","data":[]}`)
		return
	}
	fmt.Fprintf(w, `{"object":"list","data":[{"id":%q,"object":"checkout.session","status":"complete","payment_status":"paid",
		"payment_intent":%q,"amount_total":%d,"currency":%q,"livemode":false}]}`,
		d.CheckoutSession, intent, d.Amount.Minor, strings.ToLower(string(d.Amount.Currency)))
}

// json is the row as Stripe answers it; bare: with its source's id alone.
func (row fakeRow) json(bare bool) json.RawMessage {
	if row.raw != "" {
		return json.RawMessage(row.raw)
	}
	source := cmp.Or(row.source, "null")
	if bare {
		source = `"bare_1"`
	}
	return json.RawMessage(fmt.Sprintf(
		`{"id":%q,"type":%q,"reporting_category":%q,"amount":%d,"fee":%d,"net":%d,"currency":%q,"created":%d,"source":%s,
		"fee_details":[{"type":"stripe_fee","amount":%d,"currency":"eur"}]}`,
		row.id, row.kind, row.category, row.amount, row.fee, row.amount-row.fee, cmp.Or(row.currency, "eur"), row.created.Unix(), source, row.fee))
}

// charge is the payment of a donation.
func charge(n int, d donations.Donation, at time.Time) fakeRow {
	return fakeRow{
		id: fmt.Sprintf("txn_%d", n), kind: "charge", amount: 20_00, fee: 55, created: at, of: d,
		source: fmt.Sprintf(`{"id":"ch_%d","object":"charge","payment_intent":"pi_%d","metadata":{"donation":%q}}`, n, n, d.ID),
	}
}

// foreign is a refund of a payment that nobody here knows.
func foreign(n int, at time.Time) fakeRow {
	return fakeRow{
		id: fmt.Sprintf("txn_foreign_%d", n), kind: "refund", category: "refund", amount: -5, created: at,
		source: fmt.Sprintf(`{"id":"re_%d","object":"refund","charge":"ch_foreign_%d","payment_intent":"pi_foreign_%d"}`, n, n, n),
	}
}

// old are movements of the account itself, one a minute, up to a time.
func old(name string, count int, until time.Time) (rows []fakeRow) {
	for i := range count {
		rows = append(rows, fakeRow{id: fmt.Sprintf("txn_%s_%d", name, i), kind: "stripe_fee", amount: -1, created: until.Add(-time.Duration(i) * time.Minute)})
	}
	return rows
}

const fullPage = 100

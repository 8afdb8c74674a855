package payouts

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// A status that Stripe has invented since holds up neither the other payouts nor the account's books, which are read
// behind them.
func TestPayoutOfAnUnknownStatusDelaysNothing(t *testing.T) {
	e := newEnv(t)
	payout := func(id, status string) string {
		return `{"id":"` + id + `","object":"payout","amount":1000,"currency":"eur","status":"` + status + `","automatic":true,
			"reconciliation_status":"in_progress","arrival_date":1700000000,"created":1700000000,
			"balance_transaction":"txn_` + id + `","failure_balance_transaction":null}`
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/v1/payouts") {
			_, _ = w.Write([]byte(`{"object":"list","has_more":false,"data":[` + payout("po_new", "returned") + `,` + payout("po_old", "paid") + `]}`))
			return
		}
		_, _ = w.Write([]byte(payout("po_old", "paid")))
	}))
	t.Cleanup(api.Close)
	var err error
	if e.cfg.Stripe, err = stripe.New(stripe.Config{APIKey: "sk_test_simulated", BaseURL: api.URL}); err != nil {
		t.Fatal(err)
	}
	if err := e.Sync(t.Context(), "", time.Time{}, true, false); err != nil {
		t.Fatal(err)
	}
	if got := e.state("po_old"); got != stripe.PayoutPaid {
		t.Errorf("the other payout is %s", got)
	}
	if err := e.Read(t.Context(), "", "po_old"); err != nil {
		t.Error(err)
	}
}

// Without the balance transaction by which it came back its line at the bank could never be taken back.
func TestAFailureWhoseBalanceTransactionComesLater(t *testing.T) {
	for _, state := range []stripe.PayoutStatus{stripe.PayoutFailed, stripe.PayoutCanceled} {
		t.Run(string(state), func(t *testing.T) {
			e := newEnv(t)
			failed := e.said("po_1", state)
			failed.Automatic = false                                                            // nothing inside is waited for
			failed.Created, failed.Arrival = e.now().Add(-2*watchFor), e.now().Add(-2*watchFor) // too old to be listed
			if err := e.storePayout(t.Context(), "", failed); err != nil {
				t.Fatal(err)
			}
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(`{"id":"po_1","object":"payout","amount":1000,"currency":"eur","status":"` + string(state) + `","automatic":false,
					"reconciliation_status":"not_applicable","arrival_date":1700000000,"created":1700000000,
					"balance_transaction":"txn_po_1","failure_balance_transaction":{"id":"txn_back","object":"balance_transaction"}}`))
			}))
			t.Cleanup(api.Close)
			var err error
			if e.cfg.Stripe, err = stripe.New(stripe.Config{APIKey: "sk_test_simulated", BaseURL: api.URL}); err != nil {
				t.Fatal(err)
			}
			if err := e.Sync(t.Context(), "", time.Time{}, false, false); err != nil {
				t.Fatal(err)
			}
			if p, err := e.get(t.Context(), "", "po_1"); err != nil || p.FailureTransaction != "txn_back" {
				t.Errorf("it came back by %q, %v", p.FailureTransaction, err)
			}
		})
	}
}

// paid is a payout that Stripe says is paid.
func (e *env) paid(t *testing.T, id string) Payout {
	t.Helper()
	if err := e.storePayout(t.Context(), "", e.said(id, stripe.PayoutPaid)); err != nil {
		t.Fatal(err)
	}
	p, err := e.get(t.Context(), "", id)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Of two jobs, one has read that it was paid, the other that it failed since: a line that was posted behind the second
// would stand for ever, once nobody looks at the payout any more.
func TestAPayoutThatFailedMeanwhileReachesNoBank(t *testing.T) {
	e := newEnv(t)
	paid := e.paid(t, "po_1")
	if err := e.storePayout(t.Context(), "", e.said("po_1", stripe.PayoutFailed)); err != nil {
		t.Fatal(err)
	}
	own := ledger.MoneyMovement{Reference: paid.Transaction, Collective: "vallon", Currency: "EUR", Balance: -1000, Transit: 1000}
	if err := e.postBankLine(t.Context(), &paid, own, []share{{"vallon", 1000}}); err != nil {
		t.Fatal(err)
	}
	moves, err := e.cfg.Ledger.MoneyMovements(t.Context(), "", []string{BankReference("po_1")}, "")
	if err != nil || len(moves) != 0 {
		t.Errorf("at the bank: %+v, %v", moves, err)
	}
	if due, err := e.due(t.Context(), "", false); err != nil || len(due) != 1 {
		t.Errorf("due are %q, %v", due, err)
	}
}

// Of two jobs that divide a payout at once, one may know more. Its line at the bank is the one that stays.
func TestBankLineUsesTheStoredShares(t *testing.T) {
	e := newEnv(t)
	paid := e.paid(t, "po_1")
	if err := e.saveShares(t.Context(), paid, []share{{"", 400}, {"vallon", 600}}); err != nil {
		t.Fatal(err)
	}
	own := ledger.MoneyMovement{Reference: paid.Transaction, Currency: "EUR", Balance: -1000, Transit: 1000}
	if err := e.postBankLine(t.Context(), &paid, own, []share{{"", 1000}}); err != nil {
		t.Fatal(err)
	}
	moves, err := e.cfg.Ledger.MoneyMovements(t.Context(), "", []string{BankReference("po_1")}, "")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, m := range moves {
		got[m.Collective] = m.Bank
	}
	if diff := cmp.Diff(map[string]int64{"": 400, "vallon": 600}, got); diff != "" {
		t.Errorf("at the bank: %s", diff)
	}
}

// Of a payout that costs something Stripe's list may sum to its amount or to that and the fee. Anything else differs.
func TestTheFeeOfAPayoutIsNoDifference(t *testing.T) {
	for inside, want := range map[int64]int{1000: 0, 1025: 0, 1010: 1, 975: 1} {
		e := newEnv(t)
		p := e.paid(t, "po_1")
		post := func(reference string, entries ...ledger.Entry) {
			t.Helper()
			if err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
				_, err := e.cfg.Ledger.PostTx(ctx, tx, "", []ledger.Transaction{{Reference: reference, Kind: ledger.KindOther, Effective: e.now(), Entries: entries}})
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		post(p.Transaction, ledger.Entry{Role: ledger.RoleStripeBalance, Amount: eur(-1025)},
			ledger.Entry{Role: ledger.RoleStripeFees, Amount: eur(25)}, ledger.Entry{Role: ledger.RoleTransit, Amount: eur(1000)})
		post("txn_in", ledger.Entry{Role: ledger.RoleStripeBalance, Amount: eur(inside)}, ledger.Entry{Role: ledger.RoleUnknownReceipts, Amount: eur(-inside)})
		if err := e.saveContents(t.Context(), p, []stripe.BalanceTransaction{
			{ID: p.Transaction, Type: "payout", Net: -1025, Fee: 25}, {ID: "txn_in", Type: "charge", Net: inside},
		}, true); err != nil {
			t.Fatal(err)
		}
		c, err := e.compare(t.Context(), p)
		if err != nil || len(c.findings) != want || c.waiting {
			t.Errorf("%d inside: %+v, %v", inside, c, err)
		}
	}
}

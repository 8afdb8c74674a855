package app_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// interleavings is how many random histories TestBooksEqualStripe plays.
const interleavings = 40

// money is what one balance transaction of Stripe's moved, and what a ledger transaction must say.
type money struct{ Gross, Fee int64 }

// wantBooksOfStripe compares every transaction in the books of these collectives with Stripe's
// balance transactions, one to one and to the cent.
func wantBooksOfStripe(t rapid.TB, e *apptest.Env, collectives ...string) {
	t.Helper()
	if diff := booksAgainstStripe(t, e, collectives...); diff != "" {
		t.Fatalf("the books differ from Stripe's balance transactions (-Stripe +books):\n%s", diff)
	}
}

// booksAgainstStripe tells what differs; empty when nothing does.
func booksAgainstStripe(t rapid.TB, e *apptest.Env, collectives ...string) string {
	t.Helper()
	want := map[string]money{}
	for _, bt := range e.Sim.BalanceTransactions("") {
		want[bt.ID] = money{Gross: bt.AmountMinor, Fee: bt.FeeMinor}
	}
	got := map[string]money{}
	ctx := apptest.WithKey(e.Context(), e.OperatorKey)
	for _, slug := range collectives {
		req := &ledgerv1.ListTransactionsRequest{Parent: "collectives/" + slug + "/ledger", PageSize: 200}
		for {
			page, err := ledgerv1.NewLedgerServiceClient(e.Conn).ListTransactions(ctx, req)
			if err != nil {
				t.Fatalf("transactions of %s: %v", slug, err)
			}
			for _, tx := range page.GetTransactions() {
				if _, twice := got[tx.GetReference()]; twice {
					t.Errorf("%s stands in the books twice", tx.GetReference())
				}
				got[tx.GetReference()] = moved(t, tx)
			}
			if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
	}
	return cmp.Diff(want, got)
}

// moved reads a donation's transaction back, and checks that it balances.
func moved(t rapid.TB, tx *ledgerv1.Transaction) (m money) {
	t.Helper()
	var sum int64
	for _, entry := range tx.GetEntries() {
		sum += entry.GetAmount().GetAmountMinor()
		switch entry.GetAccount() {
		case "75411":
			m.Gross -= entry.GetAmount().GetAmountMinor()
		case "627":
			m.Fee += entry.GetAmount().GetAmountMinor()
		}
	}
	if sum != 0 {
		t.Errorf("%s sums to %d", tx.GetReference(), sum)
	}
	return m
}

// TestBooksEqualStripe plays random histories of donations, duplicates, reorderings, losses and
// restarts. Each must end with books that equal Stripe's balance transactions, to the cent, and
// with the progress that follows from them.
func TestBooksEqualStripe(t *testing.T) {
	e := apptest.Start(t, apptest.Config{FeeDelay: 30 * time.Second, SyncEvery: 300 * time.Millisecond})
	var collectives []string
	rapid.Check(t, func(t *rapid.T) {
		slug := fmt.Sprintf("group-%d", len(collectives))
		collectives = append(collectives, slug)
		campaign, _ := e.Campaign(slug)
		h := &history{e: e, campaign: campaign}
		t.Repeat(map[string]func(*rapid.T){
			"give":    h.give,
			"pay":     h.pay,
			"decline": h.decline,
			"expire":  h.expire,
			"deliver": h.deliver,
			"wait":    h.wait,
			"restart": h.restart,
			"replay":  h.replay,
		})
		h.settle(t)
		wantBooksOfStripe(t, e, collectives...)
		h.wantDonations(t)
	})
}

// history is one run's view of what should be.
type history struct {
	e        *apptest.Env
	campaign string
	open     []string // sessions that can still be paid
	started  int
	paid     int64
	restarts int
}

func (h *history) give(t *rapid.T) {
	req := donationTo(h.campaign)
	req.Donation.Amount = apptest.Euros(rapid.Int64Range(1_00, 800_00).Draw(t, "amount"))
	client := donationsv1.NewDonationsServiceClient(h.e.Conn)
	for range rapid.IntRange(1, 2).Draw(t, "times") {
		d, err := client.CreateDonation(h.e.Context(), req)
		if err != nil {
			t.Fatalf("start a donation: %v", err)
		}
		for _, s := range h.e.Sim.Sessions("") {
			if s.URL == d.GetCheckoutUrl() && (len(h.open) == 0 || h.open[len(h.open)-1] != s.ID) {
				h.open = append(h.open, s.ID)
			}
		}
	}
	h.started++
}

// take draws one of the sessions that are open; ok is false when there is none.
func (h *history) take(t *rapid.T) (id string, ok bool) {
	if len(h.open) == 0 {
		return "", false
	}
	i := rapid.IntRange(0, len(h.open)-1).Draw(t, "session")
	id = h.open[i]
	h.open = append(h.open[:i], h.open[i+1:]...)
	return id, true
}

func (h *history) pay(t *rapid.T) {
	id, ok := h.take(t)
	if !ok {
		return
	}
	if err := h.e.Sim.Pay(id, stripesim.CardOK); err != nil {
		t.Fatalf("pay: %v", err)
	}
	for _, s := range h.e.Sim.Sessions("") {
		if s.ID == id {
			h.paid += s.AmountMinor
		}
	}
}

func (h *history) decline(*rapid.T) {
	if len(h.open) > 0 {
		// Declined is an error by design; the session stays open.
		_ = h.e.Sim.Pay(h.open[0], stripesim.CardDeclined)
	}
}

func (h *history) expire(t *rapid.T) {
	if id, ok := h.take(t); ok {
		if err := h.e.Sim.Expire(id); err != nil {
			t.Fatalf("expire: %v", err)
		}
	}
}

func (h *history) deliver(t *rapid.T) {
	h.e.Sim.SetDelivery(stripesim.Delivery{
		Drop:    rapid.Bool().Draw(t, "drop"),
		Twice:   rapid.Bool().Draw(t, "twice"),
		Shuffle: rapid.Bool().Draw(t, "shuffle"),
		Hold:    rapid.IntRange(0, 4).Draw(t, "hold") == 0,
		Seed:    rapid.Uint64().Draw(t, "seed"),
	})
}

func (h *history) wait(t *rapid.T) {
	h.e.Clock.Advance(time.Duration(rapid.IntRange(1, 40).Draw(t, "seconds")) * time.Second)
}

func (h *history) restart(*rapid.T) {
	// A restart costs most of the time that this test takes.
	if h.restarts < 1 {
		h.restarts++
		h.e.StopApp()
		h.e.StartApp()
	}
}

func (h *history) replay(t *rapid.T) {
	if events := h.e.Sim.Events(""); len(events) > 0 {
		id := rapid.SampledFrom(events).Draw(t, "event").ID
		if err := h.e.Sim.Redeliver(id); err != nil {
			t.Fatalf("redeliver: %v", err)
		}
	}
}

// settle lets time pass, the webhooks that are left come, and the program finish its work.
func (h *history) settle(t *rapid.T) {
	h.e.Sim.SettleFees()
	h.e.Sim.SetDelivery(stripesim.Delivery{})
	if err := h.e.Sim.WaitDelivered(h.e.Context()); err != nil {
		t.Fatalf("webhooks: %v", err)
	}
	h.e.Eventually("what was paid is booked, and no event waits", func() bool {
		settled, pending := h.progress(t)
		waiting, err := webhooksv1.NewWebhooksServiceClient(h.e.Conn).ListWebhookEvents(apptest.WithKey(h.e.Context(), h.e.OperatorKey),
			&webhooksv1.ListWebhookEventsRequest{Parent: "instance", State: webhooksv1.EventState_EVENT_STATE_RECEIVED})
		return err == nil && len(waiting.GetWebhookEvents()) == 0 && settled == h.paid && pending == 0
	})
}

func (h *history) progress(t rapid.TB) (settled, pending int64) {
	t.Helper()
	return progress(t, h.e.Conn, h.campaign)
}

// wantDonations checks that no donation was made of a repeated request, and that those that were paid
// say so.
func (h *history) wantDonations(t *rapid.T) {
	list, err := donationsv1.NewDonationsServiceClient(h.e.Conn).ListDonations(apptest.WithKey(h.e.Context(), h.e.OperatorKey),
		&donationsv1.ListDonationsRequest{Parent: h.campaign, PageSize: 200})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.GetDonations()) != h.started && h.started <= 200 {
		t.Errorf("%d donations, started %d", len(list.GetDonations()), h.started)
	}
	var succeeded int64
	for _, d := range list.GetDonations() {
		if d.GetState() == donationsv1.DonationState_DONATION_STATE_SUCCEEDED {
			succeeded += d.GetAmount().GetAmountMinor()
		}
	}
	if succeeded != h.paid {
		t.Errorf("donations that succeeded sum to %d, paid were %d", succeeded, h.paid)
	}
}

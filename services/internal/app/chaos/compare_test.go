package chaos_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// comparisons compare the program with Stripe, the cheapest first. Each returns the differences.
func (h *history) comparisons() []func(context.Context) string {
	return append([]func(context.Context) string{h.compareEvents, h.compareBooks, h.compareDonations}, h.flowComparisons()...)
}

// different reports whether there is a difference.
func (h *history) different() bool {
	ctx := apptest.WithKey(h.t.Context(), h.OperatorKey)
	return slices.ContainsFunc(h.comparisons(), func(compare func(context.Context) string) bool { return compare(ctx) != "" })
}

// differences returns all differences.
func (h *history) differences() string {
	ctx := apptest.WithKey(h.t.Context(), h.OperatorKey)
	var all []string
	for _, compare := range h.comparisons() {
		if d := compare(ctx); d != "" {
			all = append(all, d)
		}
	}
	return strings.Join(all, "\n")
}

// moved is the effect of a balance transaction on the account's balance.
type moved struct {
	Net, Fee int64
	Currency string
}

// compareBooks checks that each balance transaction is one ledger transaction, to the cent.
func (h *history) compareBooks(ctx context.Context) string {
	want, got := map[string]moved{}, map[string]moved{}
	for _, b := range h.Sim.BalanceTransactions(h.account) {
		want[b.ID] = moved{Net: b.NetMinor, Fee: b.FeeMinor, Currency: strings.ToUpper(b.Currency)}
	}
	transactions, err := h.transactions(ctx)
	if err != nil {
		return fmt.Sprintf("the books cannot be read: %v", err)
	}
	for _, tx := range transactions {
		if !strings.HasPrefix(tx.GetReference(), "txn_") {
			continue // it is not in Stripe's balance
		}
		m := moved{}
		for _, e := range tx.GetEntries() {
			m.Currency = e.GetAmount().GetCurrencyCode()
			switch e.GetAccount() {
			case stripeBalance:
				m.Net += e.GetAmount().GetAmountMinor()
			case stripeFees:
				m.Fee += e.GetAmount().GetAmountMinor()
			}
		}
		if _, twice := got[tx.GetReference()]; twice {
			return tx.GetReference() + " stands in the books twice"
		}
		got[tx.GetReference()] = m
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return "the books (-Stripe +books):\n" + diff
	}
	return ""
}

// The accounts of the default chart.
const (
	stripeBalance = "51212"
	stripeFees    = "627"
)

// transactions reads all ledger transactions of the collective.
func (h *history) transactions(ctx context.Context) (all []*ledgerv1.Transaction, err error) {
	req := &ledgerv1.ListTransactionsRequest{Parent: "collectives/" + h.slug + "/ledger", PageSize: 200}
	for {
		page, err := ledgerv1.NewLedgerServiceClient(h.rest).ListTransactions(ctx, req)
		if err != nil {
			return nil, err
		}
		all = append(all, page.GetTransactions()...)
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			return all, nil
		}
	}
}

// donations reads all donations of the campaign, by their ids.
func (h *history) donations(ctx context.Context) (map[string]*donationsv1.Donation, error) {
	donations := map[string]*donationsv1.Donation{}
	req := &donationsv1.ListDonationsRequest{Parent: h.campaign, PageSize: 200}
	for {
		page, err := donationsv1.NewDonationsServiceClient(h.rest).ListDonations(ctx, req)
		if err != nil {
			return nil, err
		}
		for _, d := range page.GetDonations() {
			donations[last(d.GetName())] = d
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			return donations, nil
		}
	}
}

// compareDonations checks that a donation is paid and booked if Stripe has a paid session of it or if it is a month of a
// monthly donation, and that it has ended if all its sessions have.
func (h *history) compareDonations(ctx context.Context) string {
	donations, err := h.donations(ctx)
	if err != nil {
		return fmt.Sprintf("the donations cannot be read: %v", err)
	}
	paid, tried, sessions, collected := map[string]bool{}, map[string]bool{}, map[string]int{}, h.firstMonthsUnderWay()
	for _, s := range h.Sim.Sessions(h.account) {
		sessions[s.ClientReferenceID]++
		tried[s.ClientReferenceID] = tried[s.ClientReferenceID] || s.Status == "complete"
		if s.PaymentStatus == "paid" {
			if paid[s.ClientReferenceID] {
				return "a donation was paid twice: " + s.ClientReferenceID
			}
			paid[s.ClientReferenceID] = true
			if donations[s.ClientReferenceID] == nil {
				return "a paid session has no donation: " + s.ClientReferenceID
			}
		}
	}
	for id, d := range donations {
		switch d.GetState() {
		case donationsv1.DonationState_DONATION_STATE_CREATED:
			if sessions[id] > 0 {
				return fmt.Sprintf("donation %s is still open, and Stripe knows its end", id)
			}
		case donationsv1.DonationState_DONATION_STATE_EXPIRED, donationsv1.DonationState_DONATION_STATE_FAILED,
			donationsv1.DonationState_DONATION_STATE_CANCELED:
			if paid[id] || collected[id] {
				return fmt.Sprintf("donation %s is %s, and paid at Stripe or still collected", id, d.GetState())
			}
			if d.GetState() == donationsv1.DonationState_DONATION_STATE_FAILED && !tried[id] {
				return fmt.Sprintf("donation %s failed, and its page closed", id)
			}
		case donationsv1.DonationState_DONATION_STATE_PENDING:
			if !collected[id] {
				return fmt.Sprintf("donation %s is under way, after weeks", id)
			}
		default:
			if !paid[id] && d.GetRecurringDonation() == "" {
				return fmt.Sprintf("donation %s is %s, and not paid at Stripe", id, d.GetState())
			}
			if d.GetBookTime() == nil {
				return fmt.Sprintf("donation %s is %s and not booked", id, d.GetState())
			}
		}
	}
	return ""
}

const waitingSQL = `
SELECT
	(
		SELECT coalesce(string_agg(e.type || ' ' || e.failure_reason, ', ' ORDER BY e.id), '')
		FROM webhooks.events AS e
		WHERE e.account = @account
			AND (e.next_attempt_at IS NOT NULL OR e.state = 'failed')
	),
	(
		SELECT coalesce(string_agg(p.id || ' ' || p.reason, ', ' ORDER BY p.id), '')
		FROM webhooks.parked AS p
		WHERE p.account = @account
	)`

// compareEvents checks that no event waits or has failed.
func (h *history) compareEvents(ctx context.Context) string {
	var events, parked string
	if err := h.db.QueryRow(ctx, waitingSQL, pgx.NamedArgs{"account": h.account}).Scan(&events, &parked); err != nil {
		return fmt.Sprintf("the events cannot be read: %v", err)
	}
	if events != "" || parked != "" {
		return fmt.Sprintf("events wait: %s; balance transactions are parked: %s", events, parked)
	}
	return ""
}

// The database's clock cannot be moved, so everything that waits by it is made due.
const passTimeSQL = `
WITH accounts AS (
	UPDATE webhooks.accounts AS a
	SET
		next_sync_at = '-infinity',
		last_regular_at = '-infinity',
		last_back_at = '-infinity',
		next_backfill_at = '-infinity'
	WHERE a.account = @account
), events AS (
	UPDATE webhooks.events AS e
	SET next_attempt_at = '-infinity'
	WHERE e.account = @account
		AND e.next_attempt_at IS NOT NULL
), parked AS (
	UPDATE webhooks.parked AS p
	SET next_attempt_at = '-infinity'
	WHERE p.account = @account
), payouts AS (
	UPDATE payouts.payouts AS p
	SET next_attempt_at = '-infinity'
	WHERE p.account = @account
		AND p.next_attempt_at IS NOT NULL
), lists AS (
	UPDATE payouts.accounts AS a
	SET next_list_at = '-infinity'
	WHERE a.account = @account
)
UPDATE river.river_job AS j
SET scheduled_at = now()
WHERE j.state IN ('retryable', 'scheduled')`

func (h *history) passDatabaseTime() {
	if _, err := h.db.Exec(h.t.Context(), passTimeSQL, pgx.NamedArgs{"account": h.account}); err != nil {
		h.t.Fatalf("let time pass in the database: %v", err)
	}
}

// A program that was killed stays River's leader until its term ends. This ends the term.
const endTermSQL = `
DELETE FROM river.river_leader`

func (h *history) endTerm() {
	if _, err := h.db.Exec(h.t.Context(), endTermSQL); err != nil {
		h.t.Fatalf("end the leader's term: %v", err)
	}
}

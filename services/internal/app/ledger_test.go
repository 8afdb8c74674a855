package app_test

import (
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

func TestATreasurerTakesAPostingBack(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	treasurer := e.Key("collectives/vallon", accessv1.Role_ROLE_TREASURER)
	auditor := e.Key("collectives/vallon", accessv1.Role_ROLE_AUDITOR)
	for range 2 {
		pay(t, e, give(t, e.Conn, gift(campaign)))
	}
	list := &ledgerv1.ListTransactionsRequest{Parent: "collectives/vallon", Kind: "gift"}
	var gifts []*ledgerv1.Transaction
	e.Eventually("both are booked", func() bool {
		resp, err := ledgerv1.NewLedgerServiceClient(e.Conn).ListTransactions(apptest.WithKey(e.Context(), auditor), list)
		gifts = resp.GetTransactions()
		return err == nil && len(gifts) == 2
	})
	taken := 0
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		books := ledgerv1.NewLedgerServiceClient(conn)
		req := &ledgerv1.ReverseTransactionRequest{Name: gifts[taken].GetName(), RequestId: uuid.NewString()}
		_, err := books.ReverseTransaction(apptest.WithKey(t.Context(), auditor), req)
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		_, err = books.ReverseTransaction(t.Context(), req)
		wantError(t, err, codes.Unauthenticated, "UNAUTHENTICATED", "")
		for range 2 {
			reversal, err := books.ReverseTransaction(apptest.WithKey(t.Context(), treasurer), req)
			if err != nil {
				t.Fatal(err)
			}
			if reversal.GetReverses() != req.GetName() {
				t.Errorf("it reverses %q", reversal.GetReverses())
			}
		}
		taken++
		resp, err := books.ListTransactions(apptest.WithKey(t.Context(), auditor), &ledgerv1.ListTransactionsRequest{Parent: "collectives/vallon", Kind: "reversal"})
		if err != nil || len(resp.GetTransactions()) != taken {
			t.Errorf("%d reversals, err = %v", len(resp.GetTransactions()), err)
		}
		resp, err = books.ListTransactions(apptest.WithKey(t.Context(), auditor), &ledgerv1.ListTransactionsRequest{
			Parent: "collectives/vallon", Reference: gifts[0].GetReference(), Account: "75411",
		})
		if err != nil || len(resp.GetTransactions()) != 1 {
			t.Errorf("%d with the reference, err = %v", len(resp.GetTransactions()), err)
		}
		req.RequestId = "not one"
		_, err = books.ReverseTransaction(apptest.WithKey(t.Context(), treasurer), req)
		wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "request_id")
	})
}

func TestAnAuditorReadsAStatement(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	auditor := e.Key("collectives/vallon", accessv1.Role_ROLE_AUDITOR)
	editor := e.Key("collectives/vallon", accessv1.Role_ROLE_EDITOR)
	pay(t, e, give(t, e.Conn, gift(campaign)))
	req := &ledgerv1.ListStatementLinesRequest{Parent: "collectives/vallon/ledger/accounts/75411"}
	e.Eventually("it is sealed", func() bool {
		resp, err := ledgerv1.NewLedgerServiceClient(e.Conn).ListStatementLines(apptest.WithKey(e.Context(), auditor), req)
		return err == nil && len(resp.GetLines()) == 1
	})
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		books := ledgerv1.NewLedgerServiceClient(conn)
		resp, err := books.ListStatementLines(apptest.WithKey(t.Context(), auditor), req)
		if err != nil {
			t.Fatal(err)
		}
		line := resp.GetLines()[0]
		if line.GetBalance().GetAmountMinor() != line.GetAmount().GetAmountMinor() || line.GetCampaign() != campaign || resp.GetAtNumber() != line.GetNumber() {
			t.Errorf("answered %v", resp)
		}
		accounts, err := books.ListAccounts(apptest.WithKey(t.Context(), auditor), &ledgerv1.ListAccountsRequest{
			Parent: "collectives/vallon", Campaign: campaign, AtNumber: resp.GetAtNumber(),
		})
		if err != nil || len(accounts.GetAccounts()) == 0 {
			t.Errorf("accounts %v, err = %v", accounts, err)
		}
		_, err = books.ListStatementLines(apptest.WithKey(t.Context(), editor), req)
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		_, err = books.ListStatementLines(t.Context(), req)
		wantError(t, err, codes.Unauthenticated, "UNAUTHENTICATED", "")
	})
}

func TestAChartIsItsBooks(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	e.Campaign("vallon")
	treasurer := e.Key("collectives/vallon", accessv1.Role_ROLE_TREASURER)
	auditor := e.Key("collectives/vallon", accessv1.Role_ROLE_AUDITOR)
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		books := ledgerv1.NewLedgerServiceClient(conn)
		add := &ledgerv1.CreateAccountRequest{Parent: "collectives/vallon", Account: &ledgerv1.Account{
			Code: "6228", DisplayName: "Divers honoraires", Type: ledgerv1.AccountType_ACCOUNT_TYPE_EXPENSE,
		}}
		for range 2 {
			if _, err := books.CreateAccount(apptest.WithKey(t.Context(), treasurer), add); err != nil {
				t.Fatal(err)
			}
		}
		_, err := books.CreateAccount(apptest.WithKey(t.Context(), auditor), add)
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		change := &ledgerv1.UpdateAccountRequest{Account: &ledgerv1.Account{Name: "collectives/vallon/ledger/accounts/6228", DisplayName: "Honoraires divers"}}
		_, err = books.UpdateAccount(apptest.WithKey(t.Context(), treasurer), change)
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		changed, err := books.UpdateAccount(apptest.WithKey(t.Context(), e.OperatorKey), change)
		if err != nil || changed.GetDisplayName() != "Honoraires divers" {
			t.Fatalf("changed %v, err = %v", changed, err)
		}
		change.Account.DisplayName = "Divers honoraires"
		if _, err = books.UpdateAccount(apptest.WithKey(t.Context(), e.OperatorKey), change); err != nil {
			t.Error(err)
		}
	})
}

package ledger_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
)

// TestBooks reads what belongs to no collective, under the book's own name.
func TestBooks(t *testing.T) {
	server := host(t)
	const parent = "instance/books/" + book
	t.Run("its balances", func(t *testing.T) {
		resp, err := server.ListAccounts(t.Context(), &ledgerv1.ListAccountsRequest{Parent: parent + "/ledger"})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range resp.GetAccounts() {
			if a.GetCode() == "75411" && (len(a.GetBalances()) != 1 || a.GetBalances()[0].GetAmountMinor() != -50 ||
				a.GetName() != parent+"/ledger/accounts/75411") {
				t.Errorf("got %v", a)
			}
		}
	})
	t.Run("its transactions, and no other book's", func(t *testing.T) {
		for name, want := range map[string]int{parent: 1, "instance/books/acct_other": 0} {
			for kind, some := range map[string]int{"": want, "fee": want, "donation": 0} {
				resp, err := server.ListTransactions(t.Context(), &ledgerv1.ListTransactionsRequest{Parent: name + "/ledger", Kind: kind})
				if err != nil || len(resp.GetTransactions()) != some {
					t.Errorf("%s, kind %q: %v, %v", name, kind, resp, err)
				}
			}
		}
		resp, err := server.ListTransactions(t.Context(), &ledgerv1.ListTransactionsRequest{Parent: parent + "/ledger", Reference: "txn_4"})
		if err != nil || len(resp.GetTransactions()) != 1 || len(resp.GetTransactions()[0].GetEntries()) != 4 {
			t.Fatalf("%v, %v", resp, err)
		}
		want := resp.GetTransactions()[0]
		got, err := server.GetTransaction(t.Context(), &ledgerv1.GetTransactionRequest{Name: want.GetName()})
		if err != nil || !proto.Equal(got, want) {
			t.Errorf("got %v, want %v, err = %v", got, want, err)
		}
	})
	t.Run("one account", func(t *testing.T) {
		got, err := server.GetAccount(t.Context(), &ledgerv1.GetAccountRequest{Name: parent + "/ledger/accounts/75411"})
		if err != nil || got.GetName() != parent+"/ledger/accounts/75411" || got.GetBalances()[0].GetAmountMinor() != -50 {
			t.Errorf("got %v, err = %v", got, err)
		}
	})
	t.Run("its statement", func(t *testing.T) {
		resp, err := server.ListStatementLines(t.Context(), &ledgerv1.ListStatementLinesRequest{Parent: parent + "/ledger/accounts/75411"})
		if err != nil || resp.GetAccount().GetName() != parent+"/ledger/accounts/75411" {
			t.Errorf("%v, %v", resp, err)
		}
	})
	t.Run("is not found where there is no book", func(t *testing.T) {
		for _, name := range []string{"instance/books/acct_nobody", "instance/books/platform", "instance/books/"} {
			if _, err := server.ListAccounts(t.Context(), &ledgerv1.ListAccountsRequest{Parent: name + "/ledger"}); codeOf(err) != codes.NotFound {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

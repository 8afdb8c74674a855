package ledger_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// host is a server over a book that two collectives share.
func host(t *testing.T) ledgerv1.LedgerServiceServer {
	t.Helper()
	s, pool := open(t)
	mine, other := donation("txn_1", day(1), 2000), donation("txn_2", day(2), 700)
	for i := range other.Entries {
		other.Entries[i].Collective, other.Entries[i].Campaign = marseille, "recours"
	}
	// One transaction for both, and one for none: what a host's account sees too.
	both := donation("txn_3", day(3), 100)
	both.Kind = ledger.KindOther
	both.Entries = append(both.Entries, other.Entries...)
	none := donation("txn_4", day(4), 50)
	none.Kind = ledger.KindFee
	for i := range none.Entries {
		e := &none.Entries[i]
		*e = ledger.Entry{Role: e.Role, Amount: e.Amount}
	}
	ensure(t, s, pool, "acct_other")
	mustPost(t, s, pool, mine, other, both, none)
	return serverFor(s, func(_ context.Context, collective string) (string, error) {
		if collective != vallon && collective != marseille {
			return "", errs.NotFound("collectives/" + collective)
		}
		return book, nil
	})
}

func TestListAccounts(t *testing.T) {
	server := host(t)
	accounts := func(t *testing.T, asOf *timestamppb.Timestamp) map[string]*ledgerv1.Account {
		t.Helper()
		resp, err := server.ListAccounts(t.Context(), &ledgerv1.ListAccountsRequest{Parent: "collectives/" + vallon + "/ledger", EndTime: asOf})
		if err != nil {
			t.Fatal(err)
		}
		byCode := map[string]*ledgerv1.Account{}
		for _, a := range resp.GetAccounts() {
			byCode[a.GetCode()] = a
		}
		return byCode
	}
	t.Run("shows the collective's share and no more", func(t *testing.T) {
		want := &ledgerv1.Account{
			Name:        "collectives/vallon-contre-cameras/ledger/accounts/75411",
			Code:        "75411",
			DisplayName: "Dons manuels",
			Type:        ledgerv1.AccountType_ACCOUNT_TYPE_INCOME,
			Balances:    []*moneyv1.Money{{CurrencyCode: "EUR", AmountMinor: -2100}},
		}
		if diff := cmp.Diff(want, accounts(t, nil)["75411"], protocmp.Transform()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("gets one account with its roles, and no other chart's", func(t *testing.T) {
		want := proto.CloneOf(accounts(t, nil)["75411"])
		want.Roles = []string{"disputes", "donations", "refunds"}
		got, err := server.GetAccount(t.Context(), &ledgerv1.GetAccountRequest{Name: want.GetName()})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for _, name := range []string{"collectives/" + vallon + "/ledger/accounts/1", "collectives/nobody/ledger/accounts/75411", "instance/books/acct_nobody/ledger/accounts/75411"} {
			if _, err := server.GetAccount(t.Context(), &ledgerv1.GetAccountRequest{Name: name}); errs.Code(err) != codes.NotFound {
				t.Errorf("%s: err = %v", name, err)
			}
		}
	})
	t.Run("before a time, that time excluded", func(t *testing.T) {
		for at, want := range map[time.Time]int64{day(3): -2000, day(3).Add(time.Microsecond): -2100} {
			if got := accounts(t, timestamppb.New(at))["75411"].GetBalances(); len(got) != 1 || got[0].GetAmountMinor() != want {
				t.Errorf("as of %v: %v, want %d", at, got, want)
			}
		}
	})
	t.Run("has every account of the chart, with or without entries", func(t *testing.T) {
		for _, asOf := range []*timestamppb.Timestamp{nil, {Seconds: -62135596800}} {
			account := accounts(t, asOf)["6226"]
			if account.GetType() != ledgerv1.AccountType_ACCOUNT_TYPE_EXPENSE || len(account.GetBalances()) != 0 {
				t.Errorf("as of %v: %v", asOf, account)
			}
		}
		if got := accounts(t, &timestamppb.Timestamp{Seconds: -62135596800})["75411"].GetBalances(); len(got) != 0 {
			t.Errorf("in the year 1 there was %v", got)
		}
	})
	t.Run("refuses an invalid time, and a collective that does not exist", func(t *testing.T) {
		_, err := server.ListAccounts(t.Context(), &ledgerv1.ListAccountsRequest{Parent: "collectives/" + vallon + "/ledger", EndTime: &timestamppb.Timestamp{Nanos: -1}})
		if e := errs.As(err); e == nil || e.Code != codes.InvalidArgument || e.Fields[0].Field != "end_time" {
			t.Errorf("err = %v", err)
		}
		_, err = server.ListAccounts(t.Context(), &ledgerv1.ListAccountsRequest{Parent: "collectives/nobody/ledger"})
		if errs.Code(err) != codes.NotFound {
			t.Errorf("err = %v", err)
		}
	})
}

func TestGetTransaction(t *testing.T) {
	server := host(t)
	resp, err := server.ListTransactions(t.Context(), &ledgerv1.ListTransactionsRequest{Parent: "collectives/" + vallon + "/ledger"})
	if err != nil || len(resp.GetTransactions()) == 0 {
		t.Fatalf("listed %v, err = %v", resp, err)
	}
	for _, want := range resp.GetTransactions() {
		got, err := server.GetTransaction(t.Context(), &ledgerv1.GetTransactionRequest{Name: want.GetName()})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("(-listed +got):\n%s", diff)
		}
	}
	t.Run("does not find one that the collective has no entry in", func(t *testing.T) {
		theirs, err := server.ListTransactions(t.Context(), &ledgerv1.ListTransactionsRequest{Parent: "instance/books/" + book + "/ledger", Reference: "txn_4"})
		if err != nil || len(theirs.GetTransactions()) != 1 {
			t.Fatalf("listed %v, err = %v", theirs, err)
		}
		id := strings.TrimPrefix(theirs.GetTransactions()[0].GetName(), "instance/books/"+book)
		for _, name := range []string{"collectives/" + vallon + id, "collectives/" + vallon + "/ledger/transactions/999999"} {
			if _, err := server.GetTransaction(t.Context(), &ledgerv1.GetTransactionRequest{Name: name}); errs.Code(err) != codes.NotFound {
				t.Errorf("%s: err = %v", name, err)
			}
		}
	})
}

func TestListTransactions(t *testing.T) {
	server := host(t)
	list := func(req *ledgerv1.ListTransactionsRequest) (string, error) {
		var references []string
		for {
			resp, err := server.ListTransactions(t.Context(), req)
			if err != nil {
				return "", err
			}
			for _, tx := range resp.GetTransactions() {
				references = append(references, fmt.Sprintf("%s:%d", tx.GetReference(), len(tx.GetEntries())))
			}
			if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
				return strings.Join(references, " "), nil
			}
		}
	}
	parent := "collectives/" + vallon
	for _, c := range []struct {
		rule string
		req  *ledgerv1.ListTransactionsRequest
		want string
	}{
		{"shows the share, newest first", &ledgerv1.ListTransactionsRequest{Parent: parent + "/ledger"}, "txn_3:4 txn_1:4"},
		{"the other's share too", &ledgerv1.ListTransactionsRequest{Parent: "collectives/" + marseille + "/ledger"}, "txn_3:4 txn_2:4"},
		{"in pages", &ledgerv1.ListTransactionsRequest{Parent: parent + "/ledger", PageSize: 1}, "txn_3:4 txn_1:4"},
		{"from a time on, included", &ledgerv1.ListTransactionsRequest{Parent: parent + "/ledger", StartTime: timestamppb.New(day(3))}, "txn_3:4"},
		{"to a time, excluded", &ledgerv1.ListTransactionsRequest{Parent: parent + "/ledger", EndTime: timestamppb.New(day(3))}, "txn_1:4"},
		{"of a campaign", &ledgerv1.ListTransactionsRequest{Parent: parent + "/ledger", Campaign: parent + "/campaigns/" + lawyer}, "txn_3:4 txn_1:4"},
		{"on an account", &ledgerv1.ListTransactionsRequest{Parent: parent + "/ledger", Account: "627"}, "txn_3:4 txn_1:4"},
		{"on an account without any", &ledgerv1.ListTransactionsRequest{Parent: parent + "/ledger", Account: "530"}, ""},
		{"of a kind, in pages", &ledgerv1.ListTransactionsRequest{Parent: parent + "/ledger", Kind: "donation", PageSize: 1}, "txn_1:4"},
		{"of a rarer kind", &ledgerv1.ListTransactionsRequest{Parent: parent + "/ledger", Kind: "other"}, "txn_3:4"},
		{"of a kind that only others have", &ledgerv1.ListTransactionsRequest{Parent: parent + "/ledger", Kind: "fee"}, ""},
		{"with a reference", &ledgerv1.ListTransactionsRequest{Parent: parent + "/ledger", Reference: "txn_3"}, "txn_3:4"},
		{"with a reference and another kind", &ledgerv1.ListTransactionsRequest{Parent: parent + "/ledger", Reference: "txn_3", Kind: "donation"}, ""},
		{"not another's reference", &ledgerv1.ListTransactionsRequest{Parent: parent + "/ledger", Reference: "txn_2"}, ""},
		{"of all at once", &ledgerv1.ListTransactionsRequest{
			Parent: parent + "/ledger", Campaign: parent + "/campaigns/" + lawyer, Account: "75411", Kind: "other", StartTime: timestamppb.New(day(3)),
		}, "txn_3:4"},
		{"of a campaign without any", &ledgerv1.ListTransactionsRequest{Parent: parent + "/ledger", Campaign: parent + "/campaigns/recours"}, ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			got, err := list(c.req)
			if err != nil || got != c.want {
				t.Errorf("got %q, want %q, err = %v", got, c.want, err)
			}
		})
	}
	t.Run("names everything", func(t *testing.T) {
		resp, err := server.ListTransactions(t.Context(), &ledgerv1.ListTransactionsRequest{Parent: parent + "/ledger", EndTime: timestamppb.New(day(2))})
		if err != nil {
			t.Fatal(err)
		}
		tx := resp.GetTransactions()[0]
		if !strings.HasPrefix(tx.GetName(), parent+"/ledger/transactions/") || tx.GetKind() != "donation" ||
			!tx.GetEffectiveTime().AsTime().Equal(day(1)) || time.Since(tx.GetRecordTime().AsTime()) > time.Hour {
			t.Errorf("transaction %v", tx)
		}
		want := &ledgerv1.Entry{
			Account:            "51212",
			AccountDisplayName: "Stripe",
			Amount:             &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 2000},
			Campaign:           parent + "/campaigns/" + lawyer,
			Donation:           parent + "/campaigns/" + lawyer + "/donations/" + donation("txn_1", day(1), 1).Entries[0].Donation.String(),
		}
		if diff := cmp.Diff(want, tx.GetEntries()[0], protocmp.Transform()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	for field, req := range map[string]*ledgerv1.ListTransactionsRequest{
		"campaign":   {Parent: parent + "/ledger", Campaign: "collectives/" + marseille + "/campaigns/recours"},
		"start_time": {Parent: parent + "/ledger", StartTime: &timestamppb.Timestamp{Nanos: -1}},
		"end_time":   {Parent: parent + "/ledger", EndTime: &timestamppb.Timestamp{Nanos: -1}},
		"page_token": {Parent: parent + "/ledger", PageToken: "forged"},
	} {
		t.Run("refuses a wrong "+field, func(t *testing.T) {
			_, err := list(req)
			if e := errs.As(err); e == nil || e.Code != codes.InvalidArgument || e.Fields[0].Field != field {
				t.Errorf("err = %v", err)
			}
		})
	}
	t.Run("refuses the token of another request, and a collective that does not exist", func(t *testing.T) {
		resp, err := server.ListTransactions(t.Context(), &ledgerv1.ListTransactionsRequest{Parent: parent + "/ledger", PageSize: 1})
		if err != nil {
			t.Fatal(err)
		}
		token := resp.GetNextPageToken()
		for _, other := range []*ledgerv1.ListTransactionsRequest{
			{Parent: "collectives/" + marseille + "/ledger"},
			{Parent: parent + "/ledger", Kind: "donation"},
			{Parent: parent + "/ledger", Account: "627"},
			{Parent: parent + "/ledger", Reference: "txn_1"},
			{Parent: parent + "/ledger", EndTime: timestamppb.New(day(9))},
		} {
			other.PageToken = token
			if _, err = list(other); errs.Code(err) != codes.InvalidArgument {
				t.Errorf("%v: err = %v", other, err)
			}
		}
		if _, err := list(&ledgerv1.ListTransactionsRequest{Parent: "collectives/nobody/ledger"}); errs.Code(err) != codes.NotFound {
			t.Errorf("err = %v", err)
		}
	})
}

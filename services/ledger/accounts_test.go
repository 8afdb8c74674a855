package ledger_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

func TestChartOfABook(t *testing.T) {
	s, pool := open(t)
	server := serverOf(s)
	parent := "collectives/" + vallon
	add := &ledgerv1.CreateAccountRequest{Parent: parent + "/ledger", AccountId: "754111", Account: &ledgerv1.Account{
		DisplayName: "Dons en ligne", Type: ledgerv1.AccountType_ACCOUNT_TYPE_INCOME,
	}}
	update := func(code, name string, roles []string, paths ...string) (*ledgerv1.Account, error) {
		return server.UpdateAccount(t.Context(), &ledgerv1.UpdateAccountRequest{
			Account:    &ledgerv1.Account{Name: vallonLedger + "/accounts/" + code, DisplayName: name, Roles: roles},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
		})
	}
	t.Run("takes another account, twice the same", func(t *testing.T) {
		for range 2 {
			got, err := server.CreateAccount(t.Context(), add)
			if err != nil || got.GetName() != vallonLedger+"/accounts/754111" || got.GetDisplayName() != "Dons en ligne" {
				t.Errorf("made %v, err = %v", got, err)
			}
		}
	})
	t.Run("before anything is posted too", func(t *testing.T) {
		if _, err := server.CreateAccount(t.Context(), &ledgerv1.CreateAccountRequest{Parent: "collectives/empty/ledger", AccountId: "754111", Account: add.GetAccount()}); err != nil {
			t.Error(err)
		}
	})
	for _, c := range []struct {
		rule   string
		change func(*ledgerv1.CreateAccountRequest)
		code   codes.Code
	}{
		{"refuses a code for another name", func(r *ledgerv1.CreateAccountRequest) { r.Account.DisplayName = "Autres" }, codes.AlreadyExists},
		{"refuses a code for another type", func(r *ledgerv1.CreateAccountRequest) {
			r.Account.Type = ledgerv1.AccountType_ACCOUNT_TYPE_ASSET
		}, codes.AlreadyExists},
		{"refuses a code that is a role", func(r *ledgerv1.CreateAccountRequest) { r.AccountId = "donations" }, codes.InvalidArgument},
		{"refuses an account without name", func(r *ledgerv1.CreateAccountRequest) { r.AccountId, r.Account.DisplayName = "1", "" }, codes.InvalidArgument},
		{"refuses an account without type", func(r *ledgerv1.CreateAccountRequest) { r.AccountId, r.Account.Type = "1", 0 }, codes.InvalidArgument},
		{"does not find nobody's chart", func(r *ledgerv1.CreateAccountRequest) { r.Parent = "collectives/nobody/ledger" }, codes.NotFound},
	} {
		t.Run(c.rule, func(t *testing.T) {
			req := proto.CloneOf(add)
			c.change(req)
			if _, err := server.CreateAccount(t.Context(), req); errs.Code(err) != c.code {
				t.Errorf("err = %v", err)
			}
		})
	}
	t.Run("moves a role while the book is unused, twice the same", func(t *testing.T) {
		for range 2 {
			got, err := update("754111", "", []string{"donations"}, "roles")
			if err != nil || len(got.GetRoles()) != 1 || got.GetDisplayName() != "Dons en ligne" {
				t.Errorf("changed %v, err = %v", got, err)
			}
		}
		mustPost(t, s, pool, donation("txn_1", day(1), 2000))
		accounts, err := s.Accounts(t.Context(), book, vallon, day(9))
		if err != nil || balances(accounts)["754111"]["EUR"] != -2000 {
			t.Errorf("balances %v, err = %v", balances(accounts), err)
		}
		total(t, s, 2000)
	})
	t.Run("and not afterwards", func(t *testing.T) {
		if _, err := update("75411", "", []string{"donations"}, "roles"); reasonOf(err) != errorsv1.ErrorReason_BOOK_IN_USE {
			t.Errorf("err = %v", err)
		}
		// What it plays already is no move.
		if _, err := update("754111", "", []string{"donations"}, "roles"); err != nil {
			t.Error(err)
		}
	})
	t.Run("takes another name at any time", func(t *testing.T) {
		got, err := update("754111", "Dons par carte", nil, "display_name")
		if err != nil || got.GetDisplayName() != "Dons par carte" || len(got.GetRoles()) != 1 {
			t.Errorf("changed %v, err = %v", got, err)
		}
	})
	for rule, err := range map[string]error{
		"refuses donations on an asset": second(update("530", "", []string{"donations"}, "roles")),
		"refuses a role that is none":   second(update("530", "", []string{"petty_cash"}, "roles")),
		"refuses to renumber":           second(update("530", "", nil, "code")),
		"refuses to take the name away": second(update("530", "", nil, "display_name")),
	} {
		if errs.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: err = %v", rule, err)
		}
	}
	if _, err := update("999", "x", nil, "display_name"); errs.Code(err) != codes.NotFound {
		t.Errorf("err = %v", err)
	}
	t.Run("is not renumbered by the service", func(t *testing.T) {
		for _, sql := range []string{
			"UPDATE ledger.accounts SET code = '1' WHERE code = '754111'", "UPDATE ledger.accounts SET type = 'asset'",
			"UPDATE ledger.roles SET role = 'x'", "DELETE FROM ledger.roles",
		} {
			if _, err := pool.Exec(t.Context(), sql); err == nil {
				t.Errorf("%s is allowed", sql)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestConversions(t *testing.T) {
	s, pool := openSealing(t)
	mustPost(t, s, pool, donation("txn_1", day(1), 2000), donation("txn_2", day(2), 500), donation("txn_3", day(3), 500))
	keep := func(conversions ...ledger.Conversion) error {
		return postgres.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
			return s.KeepConversionsTx(ctx, tx, book, conversions)
		})
	}
	dollars := money.Amount{Minor: 2150, Currency: "USD"}
	for range 2 {
		if err := keep(ledger.Conversion{Reference: "txn_1", Rate: "0.930233", Original: dollars}, ledger.Conversion{Reference: "txn_2", Rate: "1.5"}); err != nil {
			t.Fatal(err)
		}
	}
	// What is there stays.
	if err := keep(ledger.Conversion{Reference: "txn_1", Rate: "2"}); err != nil {
		t.Fatal(err)
	}
	for _, rate := range []string{"0", "-1", "NaN", "one"} {
		if err := keep(ledger.Conversion{Reference: "txn_3", Rate: rate}); errs.Code(err) != codes.InvalidArgument {
			t.Errorf("rate %s: err = %v", rate, err)
		}
	}
	resp, err := serverOf(s).ListTransactions(t.Context(), &ledgerv1.ListTransactionsRequest{Parent: "collectives/" + vallon + "/ledger"})
	if err != nil {
		t.Fatal(err)
	}
	third, secondOne, first := resp.GetTransactions()[0], resp.GetTransactions()[1], resp.GetTransactions()[2]
	if first.GetExchangeRate() != "0.930233" || first.GetOriginalAmount().GetAmountMinor() != 2150 || first.GetOriginalAmount().GetCurrencyCode() != "USD" {
		t.Errorf("first %v", first)
	}
	if secondOne.GetExchangeRate() != "1.5" || secondOne.GetOriginalAmount() != nil || third.GetExchangeRate() != "" {
		t.Errorf("second %v, third %v", secondOne, third)
	}
	// It is no amount of the books, and changes no seal.
	total(t, s, 3000)
	mustSeal(t, s, 3)
	sound(t, s, book)
}

func TestAChartHasAnEnd(t *testing.T) {
	s, pool := open(t)
	add := func(code string) error {
		return postgres.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
			_, err := s.AddAccountTx(ctx, tx, book, ledger.Account{Code: code, DisplayName: "Divers", Type: ledger.TypeExpense})
			return err
		})
	}
	accounts, err := s.Accounts(t.Context(), book, vallon, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	left := 300 - len(accounts)
	for n := range left - 1 {
		if err := add(fmt.Sprintf("62280%03d", n)); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	var added atomic.Int64
	for n := range 6 {
		all.Go(func() {
			switch err := add(fmt.Sprintf("62281%03d", n)); {
			case err == nil:
				added.Add(1)
			case reasonOf(err) != errorsv1.ErrorReason_CHART_FULL:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if added.Load() != 1 {
		t.Errorf("%d were added in the last place", added.Load())
	}
	if err := add("62280000"); err != nil {
		t.Errorf("the same again: %v", err)
	}
}

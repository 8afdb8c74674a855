package ledger

import (
	"context"
	"maps"
	"strings"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fieldmask"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

// GetAccount answers with the roles of the account and the balances of the collective's share, which ListAccounts gives
// without roles.
func (s *server) GetAccount(ctx context.Context, req *ledgerv1.GetAccountRequest) (*ledgerv1.Account, error) {
	parent, collective, book, code, err := s.findAccount(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	account, err := s.service.Account(ctx, book, collective, code)
	if errs.Code(err) == codes.NotFound {
		return nil, errs.NotFound(req.GetName())
	}
	if err != nil {
		return nil, err
	}
	return accountToProto(parent, account), nil
}

// findAccount returns what an account's name says, without looking the account up.
func (s *server) findAccount(ctx context.Context, name string) (parent, collective, book, code string, err error) {
	ledger, code, ok := strings.Cut(name, "/accounts/")
	if !ok {
		return "", "", "", "", errs.NotFound(name)
	}
	parent, collective, book, err = s.find(ctx, ledger)
	return parent, collective, book, code, err
}

func (s *server) ListAccounts(ctx context.Context, req *ledgerv1.ListAccountsRequest) (*ledgerv1.ListAccountsResponse, error) {
	parent, collective, book, err := s.find(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	end, err := wire.Instant("end_time", req.GetEndTime())
	if err != nil {
		return nil, err
	}
	campaign, err := campaignOf("campaign", parent, req.GetCampaign())
	if err != nil {
		return nil, err
	}
	accounts, err := s.service.AccountsAt(ctx, AccountsFilter{
		Book: book, Collective: collective, Campaign: campaign, End: end, Number: req.GetAtNumber(),
	})
	if err != nil {
		return nil, err
	}
	resp := &ledgerv1.ListAccountsResponse{}
	for _, a := range accounts {
		resp.Accounts = append(resp.Accounts, accountToProto(parent, a))
	}
	return resp, nil
}

// CreateAccount makes the book when it does not exist yet. A repeat of the same request answers with the account that
// is there.
func (s *server) CreateAccount(ctx context.Context, req *ledgerv1.CreateAccountRequest) (*ledgerv1.Account, error) {
	parent, collective, book, err := s.find(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	if err := s.cfg.MayAddAccount(ctx, collective); err != nil {
		return nil, err
	}
	asked := req.GetAccount()
	account := Account{Code: req.GetAccountId(), DisplayName: asked.GetDisplayName(), Type: typeFromProto(asked.GetType())}
	var made Account
	if err := postgres.InTx(ctx, s.service.pool, func(ctx context.Context, tx pgx.Tx) error {
		// A collective may set its chart up before anything is posted.
		if err := s.service.EnsureBookTx(ctx, tx, book); err != nil {
			return err
		}
		added, err := s.service.AddAccountTx(ctx, tx, book, account)
		if err != nil {
			return err
		}
		if made, err = readAccount(ctx, tx, book, account.Code); err != nil || !added {
			return err
		}
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: collective, Resource: accountName(parent, account.Code), After: made.auditFields(),
		})
	}); err != nil {
		return nil, err
	}
	return accountToProto(parent, made), nil
}

// UpdateAccount reads the account and writes it in one database transaction. Only display_name and roles can change. A
// role is taken from the account that has it; a role that is left out of the list stays where it is, since every role
// needs an account.
func (s *server) UpdateAccount(ctx context.Context, req *ledgerv1.UpdateAccountRequest) (*ledgerv1.Account, error) {
	sent := req.GetAccount()
	parent, collective, book, code, err := s.findAccount(ctx, sent.GetName())
	if err != nil {
		return nil, err
	}
	var changed *ledgerv1.Account
	if err := postgres.InTx(ctx, s.service.pool, func(ctx context.Context, tx pgx.Tx) error {
		if err := s.service.EnsureBookTx(ctx, tx, book); err != nil {
			return err
		}
		there, err := readAccount(ctx, tx, book, code)
		if err != nil {
			return err
		}
		// The account as it is, with the fields of the mask from the request.
		merged := accountToProto(parent, there)
		if err := fieldmask.Apply(merged, sent, req.GetUpdateMask(), "display_name", "roles"); err != nil {
			return err
		}
		roles := make([]AccountRole, len(merged.GetRoles()))
		for i, role := range merged.GetRoles() {
			roles[i] = AccountRole(role)
		}
		if err := s.service.ChangeAccountTx(ctx, tx, book, code, merged.GetDisplayName(), roles); err != nil {
			return err
		}
		before := there.auditFields()
		there, err = readAccount(ctx, tx, book, code)
		changed = accountToProto(parent, there)
		after := there.auditFields()
		if err != nil || maps.Equal(before, after) {
			return err
		}
		return audit.WriteTx(ctx, tx, audit.Change{Collective: collective, Resource: accountName(parent, code), Before: before, After: after})
	}); err != nil {
		return nil, err
	}
	return changed, nil
}

// typeFromProto returns no type for one that is not specified, which the database refuses.
func typeFromProto(t ledgerv1.AccountType) AccountType {
	for _, known := range []AccountType{TypeAsset, TypeLiability, TypeEquity, TypeIncome, TypeExpense} {
		if typeToProto(known) == t {
			return known
		}
	}
	return ""
}

// accountToProto has roles and balances as far as they were read.
func accountToProto(parent string, a Account) *ledgerv1.Account {
	account := &ledgerv1.Account{
		Name: accountName(parent, a.Code), Code: a.Code, DisplayName: a.DisplayName, Type: typeToProto(a.Type),
	}
	for _, role := range a.Roles {
		account.Roles = append(account.Roles, string(role))
	}
	for _, balance := range a.Balances {
		account.Balances = append(account.Balances, wire.Money(balance))
	}
	return account
}

func accountName(parent, code string) string { return parent + "/ledger/accounts/" + code }

func typeToProto(t AccountType) ledgerv1.AccountType {
	switch t {
	case TypeAsset:
		return ledgerv1.AccountType_ACCOUNT_TYPE_ASSET
	case TypeLiability:
		return ledgerv1.AccountType_ACCOUNT_TYPE_LIABILITY
	case TypeEquity:
		return ledgerv1.AccountType_ACCOUNT_TYPE_EQUITY
	case TypeIncome:
		return ledgerv1.AccountType_ACCOUNT_TYPE_INCOME
	case TypeExpense:
		return ledgerv1.AccountType_ACCOUNT_TYPE_EXPENSE
	}
	return ledgerv1.AccountType_ACCOUNT_TYPE_UNSPECIFIED
}

// auditFields are the account as the audit log tells it.
func (a Account) auditFields() audit.Fields {
	roles := make([]string, len(a.Roles))
	for i, role := range a.Roles {
		roles[i] = string(role)
	}
	return audit.Fields{"display_name": a.DisplayName, "type": string(a.Type), "roles": strings.Join(roles, ", ")}
}

package ledger

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// AccountRole is the name that code has for an account. The chart of a book says which account has it.
type AccountRole string

// The roles of accounts. Every shipped chart gives each of them to one account; an account may have several.
const (
	// RoleStripeBalance is the money at Stripe.
	RoleStripeBalance AccountRole = "stripe_balance"
	// RoleStripeFees is what Stripe keeps: fees of payments, of disputes, of the account.
	RoleStripeFees AccountRole = "stripe_fees"
	// RoleDonations is the income from donations.
	RoleDonations AccountRole = "donations"
	// RoleRefunds is what was refunded to donors. It counts against donations.
	RoleRefunds AccountRole = "refunds"
	// RoleDisputes is what banks took for disputes, less what came back with those that were won. It counts against
	// donations.
	RoleDisputes AccountRole = "disputes"
	// RoleTransit is money on its way between two accounts of the organisation; it returns to zero.
	RoleTransit AccountRole = "transit"
	// RoleBank is the bank account that payouts arrive on.
	RoleBank AccountRole = "bank"
	// RoleUnknownReceipts is money that came and is not classified yet.
	RoleUnknownReceipts AccountRole = "unknown_receipts"
	// RoleSurplus is where an opening balance has the surplus of earlier years that is not allocated yet.
	RoleSurplus AccountRole = "surplus"
	// RoleDeficit is the same for a deficit.
	RoleDeficit AccountRole = "deficit"
	// RoleCash is the cash box.
	RoleCash AccountRole = "cash"
	// RoleChequesToBank is cheques that were received and are not banked yet; it returns to zero.
	RoleChequesToBank AccountRole = "cheques_to_bank"
	// RoleSuppliers is what is owed on invoices.
	RoleSuppliers AccountRole = "suppliers"
	// RoleLawyerFees is lawyers' fees.
	RoleLawyerFees AccountRole = "lawyer_fees"
	// RoleLitigationCosts is bailiffs, deeds and other costs of a case.
	RoleLitigationCosts AccountRole = "litigation_costs"
)

// AccountType is the type of an account, in the words of the chart files.
type AccountType string

// The types of accounts.
const (
	TypeAsset     AccountType = "asset"
	TypeLiability AccountType = "liability"
	TypeEquity    AccountType = "equity"
	TypeIncome    AccountType = "income"
	TypeExpense   AccountType = "expense"
)

// Account is an account of a book, with the balances of one collective's share.
type Account struct {
	Code        string
	DisplayName string
	Type        AccountType
	// Roles are those that it has, sorted. Only [Service.Account], [Service.AccountTx] and changes of a chart read them.
	Roles []AccountRole
	// Balances are the sums of the entries in each currency that there are entries in, sorted by currency.
	Balances []money.Amount
}

// accountRefusals says what each refusal of the database means to a caller that changes a chart.
var accountRefusals = map[string]*errs.Error{
	"accounts_code_form":           errs.Invalid("account_id", "must be 1 to 32 digits, capital letters and hyphens, and not begin with a hyphen"),
	"accounts_display_name_length": errs.Invalid("account.display_name", "must have 1 to 255 characters"),
	"accounts_type_known":          errs.Invalid("account.type", "is required"),
	"roles_nominal":                errs.Invalid("account.roles", "must fit the type of the account: donations, refunds and disputes need one of income or expense"),
	"roles_book_unused":            errs.New(errorsv1.ErrorReason_BOOK_IN_USE, "Roles stay with their accounts once a book has transactions: what was received is read from there."),
}

// maxAccounts is how many accounts a chart may have. None is ever removed, and every list of balances has all of them.
const maxAccounts = 300

// Accounts are added one after the other, so that two at once do not exceed the maximum.
const lockChartSQL = `
SELECT pg_advisory_xact_lock(hashtextextended('cagnotte ledger chart ' || @book, 0))`

// insertAccountSQL inserts nothing when the chart is full and nothing when the code is taken. AddAccountTx tells the
// two apart: it reads the account afterwards.
const insertAccountSQL = `
INSERT INTO ledger.accounts (book, code, display_name, type)
SELECT
	@book,
	@code,
	@display_name,
	@type
WHERE (
	SELECT count(*)
	FROM ledger.accounts AS a
	WHERE a.book = @book
) < @max_accounts
ON CONFLICT (book, code) DO NOTHING`

// accountSQL returns one account with its roles. accounts_code_key finds the account, roles_pkey the roles of the book.
const accountSQL = `
SELECT
	a.code,
	a.display_name,
	a.type,
	ARRAY(
		SELECT r.role
		FROM ledger.roles AS r
		WHERE r.book = a.book
			AND r.account_id = a.id
		ORDER BY r.role
	)
FROM ledger.accounts AS a
WHERE a.book = @book
	AND a.code = @code`

// AddAccountTx adds an account to the chart of a book, which [Service.EnsureBookTx] made. Its code and its type can
// never be changed. added is false for a repeat, which changes nothing.
//
// Errors: ALREADY_EXISTS ACCOUNT_EXISTS when the code belongs to an account with another name or type; INVALID_ARGUMENT
// for a code, name or type that no account can have; FAILED_PRECONDITION CHART_FULL.
func (s *Service) AddAccountTx(ctx context.Context, tx pgx.Tx, book string, a Account) (added bool, err error) {
	args := pgx.NamedArgs{
		"book": book, "code": a.Code, "display_name": a.DisplayName, "type": string(a.Type), "max_accounts": maxAccounts,
	}
	for _, statement := range []string{lockChartSQL, insertAccountSQL} {
		tag, err := tx.Exec(ctx, statement, args)
		if err != nil {
			return false, postgres.ErrorFor(err, accountRefusals)
		}
		// What counts is the second statement's.
		added = tag.RowsAffected() == 1
	}
	there, err := readAccount(ctx, tx, book, a.Code)
	if errs.Code(err) == codes.NotFound {
		return false, errs.New(errorsv1.ErrorReason_CHART_FULL, "The chart has %d accounts, and no more can be added.", maxAccounts)
	}
	if err != nil {
		return false, err
	}
	if there.DisplayName != a.DisplayName || there.Type != a.Type {
		return false, errs.New(errorsv1.ErrorReason_ACCOUNT_EXISTS, "The chart has another account with this code.")
	}
	return added, nil
}

// readAccount reads an account with its roles and without balances. NOT_FOUND when there is none.
func readAccount(ctx context.Context, db querier, book, code string) (Account, error) {
	rows, err := db.Query(ctx, accountSQL, pgx.NamedArgs{"book": book, "code": code})
	if err != nil {
		return Account{}, postgres.Error(err)
	}
	account, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (a Account, err error) {
		err = row.Scan(&a.Code, &a.DisplayName, &a.Type, &a.Roles)
		return a, err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return Account{}, errs.NotFound("accounts/" + code)
	}
	return account, postgres.Error(err)
}

// Account returns an account of a book with its roles, and with the balances of one collective's share. NOT_FOUND when
// the book has no such account.
func (s *Service) Account(ctx context.Context, book, collective, code string) (Account, error) {
	account, err := readAccount(ctx, s.pool, book, code)
	if err != nil {
		return Account{}, err
	}
	all, err := s.AccountsAt(ctx, AccountsFilter{Book: book, Collective: collective})
	if err != nil {
		return Account{}, err
	}
	for i := range all {
		if all[i].Code == code {
			account.Balances = all[i].Balances
		}
	}
	return account, nil
}

const renameAccountSQL = `
UPDATE ledger.accounts
SET display_name = @display_name
WHERE book = @book
	AND code = @code`

// moveRolesSQL leaves out the roles that the account has already, so a repeat updates no row. For each row that moves,
// the trigger roles_check locks ledger.transactions in SHARE mode, which waits for postings under way, and refuses when
// the book has a transaction.
const moveRolesSQL = `
UPDATE ledger.roles
SET account_id = a.id
FROM ledger.accounts AS a
WHERE a.book = @book
	AND a.code = @code
	AND roles.book = a.book
	AND roles.role = ANY(@roles::text[])
	AND roles.account_id <> a.id`

// ChangeAccountTx renames an account, and moves roles to it from the accounts that have them, until the book has its
// first transaction. So a chart can be adapted for one book. It is idempotent.
//
// Errors: NOT_FOUND for the account; INVALID_ARGUMENT for a name that no account can have or an unknown role;
// FAILED_PRECONDITION BOOK_IN_USE.
func (s *Service) ChangeAccountTx(ctx context.Context, tx pgx.Tx, book, code, displayName string, roles []AccountRole) error {
	for _, role := range roles {
		if !slices.Contains(allRoles, role) {
			return errs.Invalid("account.roles", "%q is not a role", role)
		}
	}
	if _, err := readAccount(ctx, tx, book, code); err != nil {
		return err
	}
	args := pgx.NamedArgs{"book": book, "code": code, "display_name": displayName, "roles": roles}
	for _, statement := range []string{renameAccountSQL, moveRolesSQL} {
		if _, err := tx.Exec(ctx, statement, args); err != nil {
			return postgres.ErrorFor(err, accountRefusals)
		}
	}
	return nil
}

// AccountTx returns an account of a book with its roles, without balances. NOT_FOUND when there is none.
func (s *Service) AccountTx(ctx context.Context, tx pgx.Tx, book, code string) (Account, error) {
	return readAccount(ctx, tx, book, code)
}

const roleCodeSQL = `
SELECT a.code
FROM ledger.roles AS r
JOIN ledger.accounts AS a ON a.book = r.book AND a.id = r.account_id
WHERE r.book = @book
	AND r.role = @role`

// RoleCodeTx returns the code of the account that has a role in a book. NOT_FOUND when there is no such book.
func (s *Service) RoleCodeTx(ctx context.Context, tx pgx.Tx, book string, role AccountRole) (code string, err error) {
	err = tx.QueryRow(ctx, roleCodeSQL, pgx.NamedArgs{"book": book, "role": string(role)}).Scan(&code)
	if errors.Is(err, pgx.ErrNoRows) {
		err = errs.NotFound("ledger/accounts")
	}
	return code, postgres.Error(err)
}

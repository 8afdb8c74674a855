package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// The roles of accounts that a treasurer's own entries use. Every shipped chart fills them too, and a book
// that was made before they existed gets them from [Service.EnsureBookTx].
const (
	// RoleCash is the cash box.
	RoleCash AccountRole = "cash"
	// RoleChequesToBank is cheques that were received and are not banked; it returns to zero.
	RoleChequesToBank AccountRole = "cheques_to_bank"
	// RoleSuppliers is what is owed on invoices.
	RoleSuppliers AccountRole = "suppliers"
	// RoleLawyerFees is lawyers' fees.
	RoleLawyerFees AccountRole = "lawyer_fees"
	// RoleLitigationCosts is acts, bailiffs and other costs of a case.
	RoleLitigationCosts AccountRole = "litigation_costs"
)

// The kinds of transactions that a treasurer enters. A gift by hand is of [KindGift], as any other.
const (
	// KindDeposit is cheques that were banked.
	KindDeposit = "deposit"
	// KindExpense is an invoice, paid at once or owed.
	KindExpense = "expense"
	// KindExpensePayment is what was paid for one that was owed.
	KindExpensePayment = "expense_payment"
	// KindReceipt is money that came and that nobody has explained.
	KindReceipt = "receipt"
)

// AccountTx returns an account of a book's chart with its roles, without balances; NOT_FOUND when there is none.
func (s *Service) AccountTx(ctx context.Context, tx pgx.Tx, book, code string) (Account, error) {
	return readAccount(ctx, tx, book, code)
}

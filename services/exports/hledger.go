package exports

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// FormatHledger is a journal for hledger that declares everything it uses, so that `hledger check --strict` accepts it.
// https://hledger.org/hledger.html
const FormatHledger = "HLEDGER"

// hledgerRoots are the names by which hledger knows types of accounts.
var hledgerRoots = map[ledger.AccountType]string{
	ledger.TypeAsset:     "assets:",
	ledger.TypeLiability: "liabilities:",
	ledger.TypeEquity:    "equity:",
	ledger.TypeIncome:    "income:",
	ledger.TypeExpense:   "expenses:",
}

// hledger is the dialect of hledger; see [journal] for the order in which its methods are called.
type hledger struct{}

func openHledger(_ context.Context, x *export, c *chunks) (writer, error) {
	c.b = append(c.b, "decimal-mark .\n\n"...)
	return newJournal(hledger{}, x, c), nil
}

// The code and the words of the name have one space between, since two end a name.
func (hledger) accountName(row *ledger.EntryRow) string {
	return hledgerRoots[row.Type] + strings.TrimSpace(row.Code+" "+words(row.DisplayName, " "))
}

func (hledger) declareAccount(b []byte, name string) []byte {
	b = append(b, "account "...)
	b = append(b, name...)
	return append(b, '\n')
}

// declareCurrency shows an amount, from which hledger takes the number of decimals. The decimal mark stays when there are
// none.
func (hledger) declareCurrency(b []byte, currency money.Currency) []byte {
	b = append(b, "commodity 1000."...)
	b = append(b, strings.Repeat("0", currency.Exponent())...)
	b = append(b, ' ')
	b = append(b, currency...)
	return append(b, '\n')
}

// The reference is the code in parentheses, so parentheses in it are escaped, and so is a semicolon, which would begin
// a comment. The exact time is a tag in the comment.
func (hledger) transaction(b []byte, row *ledger.EntryRow, day time.Time) []byte {
	b = day.AppendFormat(b, time.DateOnly)
	b = append(b, " * ("...)
	b = appendEscaped(b, row.Reference, "();")
	b = append(b, ") "...)
	b = append(b, row.Kind...)
	b = append(b, "  ; time:"...)
	b = row.Effective.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '\n')
}

// Campaign and donation are tags in one comment, with a comma between.
func (hledger) posting(b []byte, row *ledger.EntryRow, account string) []byte {
	b = append(b, "    "...)
	b = append(b, account...)
	// Two spaces end the name.
	b = append(b, "  "...)
	b = append(b, row.Amount.Decimal()...)
	b = append(b, ' ')
	b = append(b, row.Amount.Currency...)
	if row.Campaign != "" {
		b = append(b, "  ; campaign:"...)
		b = append(b, row.Campaign...)
	}
	// A donation always has its campaign.
	if row.Donation != uuid.Nil {
		b = append(b, ", donation:"...)
		b = append(b, row.Donation.String()...)
	}
	return append(b, '\n')
}

package exports

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// FormatBeancount is a file for Beancount, which `bean-check` accepts.
// https://beancount.github.io/docs/beancount_language_syntax.html
const FormatBeancount = "BEANCOUNT"

// beancountRoots are the five names that Beancount requires.
var beancountRoots = map[ledger.AccountType]string{
	ledger.TypeAsset:     "Assets:",
	ledger.TypeLiability: "Liabilities:",
	ledger.TypeEquity:    "Equity:",
	ledger.TypeIncome:    "Income:",
	ledger.TypeExpense:   "Expenses:",
}

// beancountOpening is the day on which accounts are opened: before everything, as the books do not tell the day.
const beancountOpening = "1900-01-01"

// beancount is the dialect of Beancount; see [journal] for the order in which its methods are called.
type beancount struct{}

// openBeancount begins the file with the title. In a quoted text of Beancount the quote and the backslash are special.
func openBeancount(_ context.Context, x *export, c *chunks) (writer, error) {
	c.b = append(c.b, `option "title" "`...)
	c.b = appendEscaped(c.b, x.title, `"\`)
	c.b = append(c.b, "\"\n\n"...)
	return newJournal(beancount{}, x, c), nil
}

// An account's name is made of parts with a colon between; each part may have letters, digits and hyphens. A name that
// has no letter or digit leaves the code alone, without a hyphen behind it.
func (beancount) accountName(row *ledger.EntryRow) string {
	return beancountRoots[row.Type] + strings.TrimSuffix(row.Code+"-"+words(row.DisplayName, "-"), "-")
}

// Every account must be opened before the first transaction that has it.
func (beancount) declareAccount(b []byte, name string) []byte {
	b = append(b, beancountOpening+" open "...)
	b = append(b, name...)
	return append(b, '\n')
}

func (beancount) declareCurrency(b []byte, currency money.Currency) []byte {
	b = append(b, beancountOpening+" commodity "...)
	b = append(b, currency...)
	return append(b, '\n')
}

// The reference and the exact time are metadata of the transaction. The asterisk says that it is complete.
func (beancount) transaction(b []byte, row *ledger.EntryRow, day time.Time) []byte {
	b = day.AppendFormat(b, time.DateOnly)
	b = append(b, ` * "`...)
	b = append(b, row.Kind...)
	b = append(b, "\"\n  reference: \""...)
	b = appendEscaped(b, row.Reference, `"\`)
	b = append(b, "\"\n  time: \""...)
	b = row.Effective.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, "\"\n"...)
}

// The amount has the decimals of its currency, and a minus for a credit.
func (beancount) posting(b []byte, row *ledger.EntryRow, account string) []byte {
	b = append(b, "  "...)
	b = append(b, account...)
	b = append(b, "  "...)
	b = append(b, row.Amount.Decimal()...)
	b = append(b, ' ')
	b = append(b, row.Amount.Currency...)
	b = append(b, '\n')
	// Metadata of a posting stands below it.
	if row.Campaign != "" {
		b = append(b, `    campaign: "`...)
		b = append(b, row.Campaign...)
		b = append(b, "\"\n"...)
	}
	if row.Donation != uuid.Nil {
		b = append(b, `    donation: "`...)
		b = append(b, row.Donation.String()...)
		b = append(b, "\"\n"...)
	}
	return b
}

package exports

import (
	"strings"
	"time"
	"unicode"

	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// dialect is what differs between the journals of plain text accounting, https://plaintextaccounting.org.
// Its methods append to a text.
type dialect interface {
	// accountName is unique for the account's type, code and name, as far as the dialect can spell them.
	accountName(*ledger.EntryRow) string
	declareAccount(b []byte, name string) []byte
	declareCurrency([]byte, money.Currency) []byte
	// transaction begins one; its day is the collective's.
	transaction(b []byte, row *ledger.EntryRow, day time.Time) []byte
	posting(b []byte, row *ledger.EntryRow, account string) []byte
}

// journal writes transactions, and declares each account and currency before the transaction that has it first.
// accounts has the name of each account that came up, declared the names that were declared: two accounts may have one
// name.
type journal struct {
	*chunks
	dialect
	zone       *time.Location
	accounts   map[accountKey]string
	declared   map[string]bool
	currencies map[money.Currency]bool
	// pending is the transaction that is being written, begun its id.
	pending []byte
	begun   int64
	// declares is true when declarations were written for it.
	declares bool
}

// accountKey tells accounts apart: two books may give one code different names or types.
type accountKey struct {
	kind       ledger.AccountType
	code, name string
}

func newJournal(d dialect, x *export, c *chunks) writer {
	return &journal{
		chunks: c, dialect: d, zone: x.zone,
		accounts: map[accountKey]string{}, declared: map[string]bool{}, currencies: map[money.Currency]bool{},
	}
}

// The entries of one transaction follow one another. Its text waits in pending, since each of its entries may need a
// declaration before the transaction.
func (j *journal) entry(row *ledger.EntryRow) error {
	if row.TransactionID != j.begun {
		if err := j.finish(); err != nil {
			return err
		}
		j.begun = row.TransactionID
		j.pending = j.transaction(j.pending, row, row.Effective.In(j.zone))
	}
	j.pending = j.posting(j.pending, row, j.account(row))
	return nil
}

func (j *journal) end() error { return j.finish() }

// finish writes the pending transaction behind the declarations that it needs.
func (j *journal) finish() error {
	if len(j.pending) == 0 {
		return nil
	}
	// Empty lines stand between declarations and transactions.
	if j.declares {
		j.b = append(j.b, '\n')
	}
	j.b = append(j.b, j.pending...)
	j.b = append(j.b, '\n')
	j.pending, j.declares = j.pending[:0], false
	return j.spill()
}

// account declares what is new in the row and returns the name of the account. Declarations go to the file at once and
// so stand before the pending transaction.
func (j *journal) account(row *ledger.EntryRow) string {
	if currency := row.Amount.Currency; !j.currencies[currency] {
		j.currencies[currency], j.declares = true, true
		j.b = j.declareCurrency(j.b, currency)
	}
	key := accountKey{row.Type, row.Code, row.DisplayName}
	name, known := j.accounts[key]
	if !known {
		name = j.accountName(row)
		j.accounts[key] = name
		if !j.declared[name] {
			j.declared[name], j.declares = true, true
			j.b = j.declareAccount(j.b, name)
		}
	}
	return name
}

// words returns the letters and digits of a text with a separator between: names of accounts have a narrow grammar
// here, and people write anything.
func words(text, separator string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}), separator)
}

// appendEscaped percent-encodes the percent sign, controls, and the given special characters. So two texts never become
// one.
func appendEscaped(b []byte, text, special string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(text) {
		c := text[i]
		if c < ' ' || c == '%' || c == 0x7f || strings.IndexByte(special, c) >= 0 {
			b = append(b, '%', digits[c>>4], digits[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}

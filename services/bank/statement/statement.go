package statement

import (
	"cmp"
	"fmt"
	"strings"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/money"
)

// maxMovements is how many movements one file may have.
const maxMovements = 10_000

// File is a file to read, and what the caller knows about it.
type File struct {
	Content []byte
	// Format is how it is written; empty for CAMT053, or for CSV when there is a CSVFormat.
	Format Format
	// CSV tells how to read a CSV file; nil for the other formats.
	CSV *CSVFormat
	// Currency is that of the amounts in a CSV or QIF file, and in an OFX file that names none.
	Currency money.Currency
	// Opening and Closing are the balances around a CSV or QIF file; nil when they are unknown.
	Opening, Closing *money.Amount
	// Account is the account that is meant; empty for OwnAccount.
	Account string
	// OwnAccount is the only account that the reader accepts; empty for any.
	OwnAccount string
	// Today is the last day that a movement may have.
	Today calendar.Day
}

// Contents is what a file says of the account that is meant.
type Contents struct {
	// Statements are in the order of the file. A CSV or QIF file has exactly one.
	Statements []Statement
	// OtherAccounts are the accounts in the file that were not read.
	OtherAccounts []string
	// NotBooked is how many lines are no money and were left out: not booked yet, declined, or of zero.
	NotBooked int
}

// Statement is what a file says of one account and one period.
type Statement struct {
	Account string
	// Currency is that of the balances and of all movements.
	Currency money.Currency
	// Opening and Closing are nil when the file does not tell them.
	Opening, Closing *money.Amount
	// ClosingOn is the day of the closing balance, or of the last movement.
	ClosingOn calendar.Day
	Movements []Movement
	// notBooked is how many lines were left out: see Contents.
	notBooked int
}

// Continues reports whether a statement begins where another one ends, so that no movement is in both.
func (s *Statement) Continues(before *Statement) bool {
	return s.Account == before.Account && s.Opening != nil && before.Closing != nil && *s.Opening == *before.Closing
}

// Movement is one movement of an account.
type Movement struct {
	BookedOn calendar.Day
	// Amount is positive for money that arrived.
	Amount money.Amount
	// Reference is the bank's own and tells the movement from others; it may be empty. It may hold a name: store
	// [Movement.StoredReference] instead.
	Reference string
	// Text is everything that was written to the movement. It must not be stored.
	Text string
	// Payee is who was paid, when the file tells it beside the text; empty for money that arrived. It must not be stored.
	Payee string
	// Reversal marks a movement that takes back another one, and a fee. It is never a donation.
	Reversal bool
	// signOpen marks a movement that the file says takes back another one. Programs disagree on whose sign it has.
	signOpen bool
}

// Read returns the movements of the account that is meant.
//
// Errors, all INVALID_ARGUMENT: STATEMENT_UNREADABLE; STATEMENT_UNBALANCED when the movements do not add up to the
// balances; STATEMENT_ACCOUNTS when the file has several accounts and the one that is meant is unknown;
// BANK_ACCOUNT_MISMATCH when the file, or Account, is about another account than OwnAccount.
func Read(f File) (Contents, error) {
	own, account := CompactAccount(f.OwnAccount), CompactAccount(cmp.Or(f.Account, f.OwnAccount))
	// The caller asked for another account than the collective's.
	if own != "" && account != own {
		return Contents{}, errOtherAccount()
	}
	var contents Contents
	var err error
	switch f.format() {
	case CSV:
		contents, err = f.readCSV(account)
	case OFX:
		contents, err = readOFX(f.Content, account, f.Currency)
	case CFONB120:
		contents, err = readCFONB(f.Content, account)
	case MT940:
		contents, err = readMT940(f.Content, account)
	case QIF:
		contents, err = f.readQIF(account)
	default:
		contents, err = readCAMT(f.Content, account)
	}
	if err != nil {
		return Contents{}, err
	}
	for _, s := range contents.Statements {
		if s.ClosingOn > f.Today {
			return Contents{}, with(unreadable("it is about days to come: the days may be written in another way"), Problem{Kind: ProblemFuture})
		}
	}
	return contents, nil
}

// format is the file's own, or what its CSVFormat says.
func (f File) format() Format {
	switch {
	case f.CSV != nil:
		return CSV
	case f.Format == "":
		return CAMT053
	}
	return f.Format
}

// TakesBalances reports whether the format has no balances, which can be told beside the file then.
func (f File) TakesBalances() bool { return f.format() == CSV || f.format() == QIF }

// readCSV reads the file as the one statement that a CSV file is.
func (f File) readCSV(account string) (Contents, error) {
	if account == "" {
		return Contents{}, with(errs.Invalid("account", "is required, since the collective's settings have no IBAN"), Problem{Kind: ProblemNoAccount})
	}
	text, err := unpack(f.Content)
	if err != nil {
		return Contents{}, err
	}
	content, err := readCSV(text, *f.CSV, f.Currency)
	if err != nil {
		return Contents{}, err
	}
	s := Statement{Account: account, Currency: f.Currency, Opening: f.Opening, Closing: f.Closing, Movements: content.lines}
	if err := s.check(); err != nil {
		return Contents{}, err
	}
	return Contents{Statements: []Statement{s}, OtherAccounts: content.others, NotBooked: content.notBooked}, nil
}

// Form names the format, and of a CSV file the columns that make one movement the same in another file. Files of two
// forms cannot recognise each other's movements.
func (f File) Form() string {
	switch format := f.format(); format {
	case CSV:
	// Its amounts have no currency of their own.
	case QIF:
		return string(format) + " " + string(f.Currency)
	default:
		return string(format)
	}
	return fmt.Sprintf("csv %s %d %d %v", f.Currency, f.CSV.Date, f.CSV.Reference, f.CSV.Text)
}

// check completes a statement and compares its movements with its balances.
func (s *Statement) check() error {
	sum := money.Amount{Currency: s.Currency}
	for i, m := range s.Movements {
		if m.Amount.Currency != s.Currency {
			return with(unreadable("a movement is in another currency than the account (movement %d)", i+1), Problem{Kind: ProblemAmount, Line: i + 1})
		}
		var err error
		if sum, err = sum.Add(m.Amount); err != nil {
			return unreadable("the movements are too large to add up")
		}
		s.ClosingOn = max(s.ClosingOn, m.BookedOn)
	}
	if s.ClosingOn == "" {
		return with(unreadable("it has neither a movement nor the day of a balance"), Problem{Kind: ProblemEmpty})
	}
	for _, balance := range []*money.Amount{s.Opening, s.Closing} {
		if balance != nil && balance.Currency != s.Currency {
			return unreadable("the balances are not in the account's currency")
		}
	}
	if s.Opening == nil || s.Closing == nil {
		return nil
	}
	end, err := s.Opening.Add(sum)
	if err != nil {
		return unreadable("the movements are too large to add up")
	}
	// A file that was cut, or whose amounts were read in another way, ends elsewhere.
	if end != *s.Closing {
		return with(refused(errorsv1.ErrorReason_STATEMENT_UNBALANCED, "content", fmt.Sprintf(
			"must add up: its movements end at %s and its closing balance is %s; a part is missing or was read in another way", end, s.Closing)),
			Problem{Kind: ProblemUnbalanced, Computed: &end, Closing: s.Closing})
	}
	return nil
}

// unreadable is INVALID_ARGUMENT (STATEMENT_UNREADABLE). It names a place in the file and quotes nothing, since the text
// may be about a payer.
// The problem is that the file is broken, unless the caller tells another one.
func unreadable(format string, args ...any) *errs.Error {
	e := errs.New(errorsv1.ErrorReason_STATEMENT_UNREADABLE, "The bank statement cannot be read: "+format+".", args...)
	e.Fields = []errs.Field{{Field: "content", Description: fmt.Sprintf(format, args...)}}
	return with(e, Problem{Kind: ProblemBroken})
}

// refused is INVALID_ARGUMENT with a reason of its own.
func refused(reason errs.Reason, field, description string) *errs.Error {
	e := errs.New(reason, "The bank statement is refused: %s %s.", field, description)
	e.Fields = []errs.Field{{Field: field, Description: description}}
	return with(e, Problem{Kind: ProblemBroken})
}

// errOtherAccount is INVALID_ARGUMENT (BANK_ACCOUNT_MISMATCH).
func errOtherAccount(accounts ...string) error {
	return with(refused(errorsv1.ErrorReason_BANK_ACCOUNT_MISMATCH, "content", "must be about the account in the collective's settings"),
		Problem{Kind: ProblemOtherAccount, Accounts: accounts})
}

// CompactAccount returns the number of an account in the form in which accounts are compared: without blanks, in
// capitals.
func CompactAccount(text string) string {
	return strings.ToUpper(strings.Join(strings.Fields(text), ""))
}

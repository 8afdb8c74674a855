package treasury

import (
	"fmt"
	"regexp"
	"strings"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/money"
)

// maxStatementLines bounds what one file makes us do.
const maxStatementLines = 10_000

// parsedStatement is what a file says of one account. It lives in memory only: its lines hold what payers wrote.
type parsedStatement struct {
	account string
	// form is that of the file; see [StatementFile].
	form string
	// currency is that of the balances.
	currency         money.Currency
	opening, closing *money.Amount
	// closingOn is empty when the file does not say.
	closingOn Day
	lines     []parsedLine
	// keys are those of the lines; see [Service.setKeys].
	keys [][]byte
}

// follows reports whether a statement goes on where another one ends, so that no movement is in both.
func (p *parsedStatement) follows(other *parsedStatement) bool {
	return p.account == other.account && p.opening != nil && other.closing != nil && *p.opening == *other.closing
}

// parsedLine is one movement.
type parsedLine struct {
	bookedOn Day
	// amount is positive for what came.
	amount money.Amount
	// reference is the bank's own; may be empty.
	reference string
	// text is all that was written to it, for finding references; it is never stored.
	text string
	// reversal: it takes back another movement. What comes back of what we paid is no donation.
	reversal bool
	// reverses: the file says of it by a mark that it takes back another, and so leaves open whose sign it has.
	reverses bool
}

// check completes a statement and holds its lines against its balances.
func (p *parsedStatement) check() error {
	sum := money.Amount{Currency: p.currency}
	for i, line := range p.lines {
		if line.amount.Currency != p.currency {
			return unreadable("a movement is in another currency than the account (movement %d)", i+1)
		}
		var err error
		if sum, err = sum.Add(line.amount); err != nil {
			return unreadable("the movements are too large to add up")
		}
		p.closingOn = max(p.closingOn, line.bookedOn)
	}
	if p.closingOn == "" {
		return unreadable("there is neither a movement nor the day of a balance")
	}
	for _, balance := range []*money.Amount{p.opening, p.closing} {
		if balance != nil && balance.Currency != p.currency {
			return unreadable("the balances are not in the account's currency")
		}
	}
	if p.opening == nil || p.closing == nil {
		return nil
	}
	end, err := p.opening.Add(sum)
	if err != nil {
		return unreadable("the movements are too large to add up")
	}
	if end != *p.closing {
		return wrong(errorsv1.ErrorReason_STATEMENT_UNBALANCED, "content", fmt.Sprintf(
			"must add up: its lines end at %s, and it says %s; a part is missing, or was read wrongly", end, p.closing))
	}
	return nil
}

// unreadable is INVALID_ARGUMENT (STATEMENT_UNREADABLE). It says where and never what, which may be about a payer.
func unreadable(format string, args ...any) error {
	e := errs.New(errorsv1.ErrorReason_STATEMENT_UNREADABLE, "The bank statement cannot be read: "+format+".", args...)
	e.Fields = []errs.Field{{Field: "content", Description: fmt.Sprintf(format, args...)}}
	return e
}

// compactAccount writes an account's number as it is compared: without blanks, in capitals.
func compactAccount(text string) string {
	return strings.ToUpper(strings.Join(strings.Fields(text), ""))
}

// errOtherAccount is INVALID_ARGUMENT (BANK_ACCOUNT_MISMATCH).
func errOtherAccount() error {
	return wrong(errorsv1.ErrorReason_BANK_ACCOUNT_MISMATCH, "content", "must be about the account of the collective's settings")
}

// namelessForm is a reference that can be no name: digits, with two letters at most that do not stand together, or a
// UUID. The table treasury.bank_lines has the same rule.
var namelessForm = regexp.MustCompile(
	`^([0-9./:_-]*[A-Za-z]?[0-9./:_-]*[0-9][0-9./:_-]*[A-Za-z]?[0-9./:_-]*|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$`)

// nameless is what of the bank's reference is stored: nothing, unless it can be no name. Banks and wrong columns put
// payers' names there. What names a pledge, a payout or an invoice is kept as a link to that.
func nameless(reference string) string {
	if !namelessForm.MatchString(reference) {
		return ""
	}
	return reference
}

// windows1252 are the characters that Windows-1252 has where ISO 8859-1 has controls.
const windows1252 = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ"

// fromWindows1252 decodes Windows-1252, and with it ISO 8859-1 and US-ASCII, which many files say and are not.
func fromWindows1252(content []byte) string {
	upper := []rune(windows1252)
	var b strings.Builder
	b.Grow(len(content))
	for _, c := range content {
		if c >= 0x80 && c < 0xA0 {
			b.WriteRune(upper[c-0x80])
		} else {
			b.WriteRune(rune(c))
		}
	}
	return b.String()
}

// latin9 are the characters in which ISO 8859-15 differs from ISO 8859-1, whose bytes are Unicode's; and, where both
// have none, the euro of Windows-1252, since amounts are written with it and many files say that they are the one
// and are the other.
var latin9 = map[byte]rune{
	0x80: '€', 0xA4: '€', 0xA6: 'Š', 0xA8: 'š', 0xB4: 'Ž', 0xB8: 'ž', 0xBC: 'Œ', 0xBD: 'œ', 0xBE: 'Ÿ',
}

// fromLatin9 decodes ISO 8859-15.
func fromLatin9(content []byte) string {
	var b strings.Builder
	b.Grow(len(content))
	for _, c := range content {
		if r, ok := latin9[c]; ok {
			b.WriteRune(r)
		} else {
			b.WriteRune(rune(c))
		}
	}
	return b.String()
}

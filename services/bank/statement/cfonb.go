package statement

import (
	"bytes"
	"regexp"
	"strings"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/money"
)

// CFONB 120, the statement of French banks: records of 120 characters, of which 01 is the balance before, 04 a movement,
// 05 what else is known of it, and 07 the balance after. Places are counted from 0 here, and from 1 in the text:
// https://www.cfonb.org, "Relevé de compte sur support informatique", brochure of July 2004.

// cfonbLength is the length of a record.
const cfonbLength = 120

// cfonbRecord is one record; its line is for errors.
type cfonbRecord struct {
	line int
	text string
}

func (r cfonbRecord) code() string { return r.text[:2] }
func (r cfonbRecord) at(from, to int) string {
	return strings.TrimSpace(r.text[from:to])
}

// account is the IBAN of the record's bank, branch and account.
func (r cfonbRecord) account() string {
	iban, ok := frenchIBAN(r.at(2, 7), r.at(11, 16), r.at(21, 32))
	if !ok {
		return CompactAccount(r.at(21, 32))
	}
	return iban
}

func (r cfonbRecord) day() (calendar.Day, error) {
	on, err := time.Parse("020106", r.text[34:40])
	if err != nil {
		return "", errLineDay
	}
	return calendar.Day(on.Format(time.DateOnly)), nil
}

// amount reads the fourteen digits of a record, whose last one tells the sign too: { and A to I are 0 to 9 of a credit, } and
// J to R those of a debit.
func (r cfonbRecord) amount() (money.Amount, error) {
	amount := money.Amount{Currency: money.Currency(r.at(16, 19))}
	if !amount.Currency.Valid() || r.text[19] != byte('0'+amount.Currency.Exponent()) {
		return amount, errLineAmount
	}
	digits, last := r.text[90:103], r.text[103]
	negative := false
	switch {
	case last == '{':
		last = '0'
	case last >= 'A' && last <= 'I':
		last = last - 'A' + '1'
	case last == '}':
		last, negative = '0', true
	case last >= 'J' && last <= 'R':
		last, negative = last-'J'+'1', true
	default:
		return amount, errLineAmount
	}
	for _, c := range []byte(digits + string(last)) {
		if c < '0' || c > '9' {
			return amount, errLineAmount
		}
		amount.Minor = 10*amount.Minor + int64(c-'0')
	}
	if negative {
		amount.Minor = -amount.Minor
	}
	return amount, nil
}

// readCFONB reads the statements of one account. Each pair of balances is a statement.
func readCFONB(content []byte, account string) (Contents, error) {
	records, err := cfonbRecords(content)
	if err != nil {
		return Contents{}, err
	}
	var parts []part
	for len(records) > 0 {
		// A statement is all from one record of the balance before to the next.
		end := 1
		for end < len(records) && records[end].code() != "01" {
			end++
		}
		of := records[:end]
		parts = append(parts, part{account: of[0].account(), parse: func(int) (*Statement, error) { return parseCFONB(of) }})
		records = records[end:]
	}
	return choose(parts, account)
}

// cfonbRecords cuts the file into records, which stand on lines or one behind the other.
func cfonbRecords(content []byte) (records []cfonbRecord, err error) {
	text, err := CSVFormat{}.decode(content)
	if err != nil {
		return nil, err
	}
	for i, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		letters := []rune(strings.TrimRight(line, "\r\x1a"))
		if strings.TrimSpace(string(letters)) == "" {
			continue
		}
		for len(letters) > 0 {
			// Some programs cut the blanks at the end of a line.
			one := letters[:min(cfonbLength, len(letters))]
			letters = letters[len(one):]
			// Places are places of characters, and what is read of them beside texts is ASCII: other letters are one byte here.
			ascii := strings.Map(func(c rune) rune {
				if c > 0x7e || c < 0x20 {
					return '?'
				}
				return c
			}, string(one)) + strings.Repeat(" ", cfonbLength-len(one))
			r := cfonbRecord{i + 1, ascii}
			switch r.code() {
			case "01", "04", "05", "07":
			default:
				return nil, with(unreadable("line %d is no record of CFONB 120", i+1), Problem{Kind: ProblemBroken, Line: i + 1})
			}
			if records = append(records, r); len(records) > 8*maxMovements {
				return nil, with(unreadable("it has more than %d movements", maxMovements), Problem{Kind: ProblemTooLarge})
			}
		}
	}
	return records, nil
}

// parseCFONB reads the records of one statement. All must be about one account, and the last is the balance after.
func parseCFONB(records []cfonbRecord) (*Statement, error) {
	first, last := records[0], records[len(records)-1]
	if first.code() != "01" || last.code() != "07" {
		return nil, with(unreadable("the statement at line %d has no balance at its beginning or end: a part is missing", first.line),
			Problem{Kind: ProblemBroken, Line: first.line})
	}
	s := &Statement{}
	for _, r := range records {
		wrong := func(kind ProblemKind, what string) error {
			return with(unreadable("line %d %s", r.line, what), Problem{Kind: kind, Line: r.line})
		}
		if r.account() != first.account() {
			return nil, wrong(ProblemBroken, "is about another account than the statement")
		}
		if r.code() == "05" {
			if len(s.Movements) == 0 {
				return nil, wrong(ProblemBroken, "belongs to no movement")
			}
			s.Movements[len(s.Movements)-1].complete(r.at(45, 48), r.at(48, 118))
			continue
		}
		on, err := r.day()
		if err != nil {
			return nil, wrong(ProblemDay, "has no day")
		}
		amount, err := r.amount()
		if err != nil {
			return nil, wrong(ProblemAmount, "has no amount")
		}
		switch r.code() {
		case "01":
			if r.line != first.line && s.Opening != nil {
				return nil, wrong(ProblemBroken, "begins another statement")
			}
			s.Currency, s.Opening = amount.Currency, &amount
		case "07":
			if s.Closing != nil {
				return nil, wrong(ProblemBroken, "is a second balance at the end")
			}
			s.Closing, s.ClosingOn = &amount, on
		case "04":
			m := Movement{BookedOn: on, Amount: amount, Reference: provided(r.at(81, 88)), Text: words(r.at(48, 79), r.at(104, 120))}
			// A code of rejection says that the movement takes back another one.
			m.Reversal = r.at(40, 42) != ""
			s.Movements = append(s.Movements, m)
		}
	}
	// The number of an entry is the same for all movements with some banks, and tells nothing then.
	numbers := map[string]bool{}
	for _, m := range s.Movements {
		if m.Reference != "" && numbers[m.Reference] {
			for i := range s.Movements {
				s.Movements[i].Reference = ""
			}
			break
		}
		numbers[m.Reference] = true
	}
	zero := 0
	s.Movements = withoutZero(s.Movements, &zero)
	s.notBooked = zero
	return s, s.check()
}

// complete adds a record 05 by its qualifier: NBE is the name of who was paid, and the others are texts.
func (m *Movement) complete(qualifier, text string) {
	if qualifier == "NBE" && m.Amount.Minor < 0 && m.Payee == "" {
		m.Payee = words(text)
	}
	m.Text = words(m.Text, text)
}

// withoutZero leaves out movements of no money, and counts them.
func withoutZero(movements []Movement, left *int) []Movement {
	kept := movements[:0]
	for _, m := range movements {
		if m.Amount.Minor == 0 {
			*left++
			continue
		}
		kept = append(kept, m)
	}
	return kept
}

var cfonbHead = regexp.MustCompile(`^01[0-9]{5}.{4}[0-9]{5}[A-Z]{3}[0-9]`)

// isCFONB recognises the first record, which is a balance.
func isCFONB(content []byte) bool {
	begins := trimmed(content)
	line, _, _ := bytes.Cut(begins[:min(len(begins), 2*cfonbLength)], []byte("\n"))
	return cfonbHead.Match(line) && len(bytes.TrimRight(line, "\r ")) >= 104
}

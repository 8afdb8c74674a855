package statement

import (
	"bytes"
	"regexp"
	"strings"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// QIF, the format of Quicken: records of lines that begin with a letter, each closed by ^. It names neither account nor
// currency nor balance, and does not say how its days and amounts are written. Where that can be read in two ways the file is
// refused: a bank that offers QIF offers OFX, too.

// qifRecord is one movement, by the texts in the file.
type qifRecord struct {
	line                             int
	day, amount, number, payee, text string
	category                         string
}

// readQIF reads the file as movements of the account that is meant.
func (f File) readQIF(account string) (Contents, error) {
	if account == "" {
		return Contents{}, with(errs.Invalid("account", "is required, since the collective's settings have no IBAN"), Problem{Kind: ProblemNoAccount})
	}
	text, err := CSVFormat{}.decode(f.Content)
	if err != nil {
		return Contents{}, err
	}
	records, err := qifRecords(text)
	if err != nil {
		return Contents{}, err
	}
	layout, err := qifLayout(records, f.Today)
	if err != nil {
		return Contents{}, err
	}
	s := &Statement{Account: account, Currency: f.Currency, Opening: f.Opening, Closing: f.Closing}
	mark, err := qifMark(records)
	if err != nil {
		return Contents{}, err
	}
	for _, r := range records {
		on, err := time.Parse(layout, qifDay(r.day))
		if err != nil {
			return Contents{}, with(unreadable("line %d has no day, or its day is written in another way", r.line), Problem{Kind: ProblemDay, Line: r.line})
		}
		amount, err := parseDecimal(r.amount, f.Currency, mark)
		if err != nil {
			return Contents{}, with(unreadable("line %d has no amount, or its amount is written in another way", r.line), Problem{Kind: ProblemAmount, Line: r.line})
		}
		if amount.Minor == 0 {
			s.notBooked++
			continue
		}
		s.Movements = append(s.Movements, Movement{
			BookedOn: calendar.Day(on.Format(time.DateOnly)), Amount: amount, Text: words(r.payee, r.text, r.number, r.category),
		})
	}
	if err := s.check(); err != nil {
		return Contents{}, err
	}
	return Contents{Statements: []Statement{*s}, NotBooked: s.notBooked}, nil
}

// qifRecords reads the movements of a bank account. A file of several accounts does not tell which is meant.
func qifRecords(text string) (records []qifRecord, err error) {
	var r *qifRecord
	accounts, inAccount, known := 0, false, false
	for i, line := range strings.Split(strings.ReplaceAll(text, "\r", ""), "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		value := strings.TrimSpace(line[1:])
		switch line[0] {
		case '!':
			kind := strings.ToLower(line)
			inAccount, r = strings.HasPrefix(kind, "!account"), nil
			if known = known || strings.HasPrefix(kind, "!type:"); strings.HasPrefix(kind, "!type:") {
				switch strings.TrimSpace(strings.TrimPrefix(kind, "!type:")) {
				case "bank", "cash", "ccard", "oth a", "oth l":
					accounts++
				default:
					return nil, with(unreadable("line %d begins a list that is no account of a bank", i+1), Problem{Kind: ProblemNotAStatement, Line: i + 1})
				}
			}
			if accounts > 1 {
				return nil, with(unreadable("line %d begins a second account, and the file does not tell which is meant", i+1), Problem{Kind: ProblemAccounts, Line: i + 1})
			}
			continue
		case '^':
			r, inAccount = nil, false
			continue
		}
		// What describes the account is no movement.
		if inAccount {
			continue
		}
		if r == nil {
			if !known {
				return nil, with(unreadable("line %d stands before the kind of the account", i+1), Problem{Kind: ProblemBroken, Line: i + 1})
			}
			if records = append(records, qifRecord{line: i + 1}); len(records) > maxMovements {
				return nil, with(unreadable("it has more than %d movements", maxMovements), Problem{Kind: ProblemTooLarge})
			}
			r = &records[len(records)-1]
		}
		switch line[0] {
		case 'D':
			r.day = value
		case 'T':
			r.amount = value
		// The same amount again, for larger numbers.
		case 'U':
			if r.amount == "" {
				r.amount = value
			}
		case 'N':
			r.number = value
		case 'P':
			r.payee = value
		case 'M':
			r.text = value
		case 'L':
			r.category = value
		}
	}
	return records, nil
}

var qifSplit = regexp.MustCompile(`[/.' -]+`)

// qifDay writes a day with slashes: Quicken puts an apostrophe before years from 2000 on, and blanks in the place of zeros.
func qifDay(text string) string {
	parts := qifSplit.Split(strings.TrimSpace(text), -1)
	for i, p := range parts {
		if len(p) == 1 {
			parts[i] = "0" + p
		}
	}
	return strings.Join(parts, "/")
}

// qifLayout finds out how days are written: the one way in which all can be read, are not to come, and do not jump to and fro
// in time. Two ways are refused.
func qifLayout(records []qifRecord, today calendar.Day) (string, error) {
	var fits []string
	for _, layout := range []string{"02/01/2006", "01/02/2006", "02/01/06", "01/02/06", "2006/01/02"} {
		days := make([]string, 0, len(records))
		for _, r := range records {
			on, err := time.Parse(layout, qifDay(r.day))
			if err != nil {
				break
			}
			days = append(days, on.Format(time.DateOnly))
		}
		if len(days) < len(records) || len(days) == 0 {
			continue
		}
		up, down, past := true, true, true
		for i, day := range days {
			past = past && calendar.Day(day) <= today
			if i > 0 {
				up, down = up && day >= days[i-1], down && day <= days[i-1]
			}
		}
		if past && (up || down) {
			fits = append(fits, layout)
		}
	}
	switch len(fits) {
	case 1:
		return fits[0], nil
	case 0:
		if len(records) == 0 {
			return "", with(unreadable("it has no movement"), Problem{Kind: ProblemEmpty})
		}
		return "", with(unreadable("its days are written in no way that is known, or not in their order"), Problem{Kind: ProblemDay})
	}
	// Two ways are one where they read the same days.
	same := true
	for _, r := range records {
		a, _ := time.Parse(fits[0], qifDay(r.day))
		for _, other := range fits[1:] {
			b, _ := time.Parse(other, qifDay(r.day))
			same = same && a.Equal(b)
		}
	}
	if same {
		return fits[0], nil
	}
	return "", with(unreadable("its days can be read in two ways"), Problem{Kind: ProblemAmbiguous})
}

// qifMark is the decimal mark of all amounts: the last mark of those that have one or two digits behind it.
func qifMark(records []qifRecord) (string, error) {
	mark := ""
	for _, r := range records {
		at := strings.LastIndexAny(r.amount, ",.")
		// Three digits may be thousands.
		if at < 0 || len(r.amount)-at-1 > 2 {
			continue
		}
		if mark != "" && mark != r.amount[at:at+1] {
			return "", with(unreadable("line %d has another decimal mark than the lines before", r.line), Problem{Kind: ProblemAmount, Line: r.line})
		}
		mark = r.amount[at : at+1]
	}
	if mark != "" {
		return mark, nil
	}
	for _, r := range records {
		if strings.ContainsAny(r.amount, ",.") {
			return "", with(unreadable("its amounts can be read in two ways"), Problem{Kind: ProblemAmbiguous})
		}
	}
	return ".", nil
}

// isQIF recognises the head of a file.
func isQIF(content []byte) bool {
	begins := bytes.ToLower(trimmed(content[:min(len(content), 256)]))
	return bytes.HasPrefix(begins, []byte("!type:")) || bytes.HasPrefix(begins, []byte("!account")) || bytes.HasPrefix(begins, []byte("!option"))
}

package statement

import (
	"bytes"
	"regexp"
	"strings"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/money"
)

// MT940, the statement of SWIFT: fields that begin with :number:, in messages that end with a line of one dash. Its day of
// booking has no year; it is the one next to the day of value.
// https://www2.swift.com/knowledgecentre/publications/us9m_20230720/2.0?topic=mt940.htm

// mtField is a field with its lines.
type mtField struct {
	line      int
	tag, text string
}

var (
	mtTag     = regexp.MustCompile(`^:([0-9]{2}[A-Z]?):(.*)$`)
	mtBalance = regexp.MustCompile(`^([CD])([0-9]{6})([A-Z]{3})([0-9]+,[0-9]*)$`)
	// mtEntry is the day of value, the day of booking, the direction, a letter of the currency, the amount, the kind, and the
	// references of the customer and of the bank.
	mtEntry = regexp.MustCompile(`^([0-9]{6})([0-9]{4})?(R?[CD])[A-Z]?([0-9]+,[0-9]*)([A-Z][A-Z0-9]{3})([^/\n]*(?:/[^/\n]+)*?)(?://([^\n]*))?(?:\n(.*))?$`)
	// mtCode stands before each part of a structured text, such as ?20 or /REMI/.
	mtCode = regexp.MustCompile(`\?[0-9]{2}|/[A-Z]{4}/|\n`)
	mtIBAN = regexp.MustCompile(`[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}`)
)

// readMT940 reads the statements of one account.
func readMT940(content []byte, account string) (Contents, error) {
	text, err := CSVFormat{}.decode(content)
	if err != nil {
		return Contents{}, err
	}
	messages, err := mtMessages(text)
	if err != nil {
		return Contents{}, err
	}
	var parts []part
	for _, fields := range messages {
		of := ""
		for _, f := range fields {
			if f.tag == "25" || f.tag == "25P" {
				of = mtAccount(f.text)
			}
		}
		parts = append(parts, part{account: of, parse: func(int) (*Statement, error) { return parseMT940(fields) }})
	}
	return choose(parts, account)
}

// mtAccount is the IBAN in the field of the account, or else the number behind the bank's.
func mtAccount(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	text = CompactAccount(text)
	for _, iban := range mtIBAN.FindAllString(text, -1) {
		// The currency may stand behind it.
		for _, candidate := range []string{iban, iban[:len(iban)-3]} {
			if validIBAN(candidate) {
				return candidate
			}
		}
	}
	if at := strings.LastIndexByte(text, '/'); at >= 0 {
		text = text[at+1:]
	}
	return text
}

// mtMessages cuts the text into messages of fields. Each begins with field 20.
func mtMessages(text string) (messages [][]mtField, err error) {
	total := 0
	for i, line := range strings.Split(strings.ReplaceAll(text, "\r", ""), "\n") {
		// The blocks around a message are of the network.
		if at := strings.Index(line, "{4:"); at >= 0 {
			line = line[at+3:]
		}
		line = strings.TrimRight(line, " ")
		if line == "" || line == "-" || strings.HasPrefix(line, "-}") || strings.HasPrefix(line, "{") {
			continue
		}
		tag := mtTag.FindStringSubmatch(line)
		last := len(messages) - 1
		switch {
		case tag != nil && tag[1] == "20":
			messages = append(messages, []mtField{{i + 1, tag[1], tag[2]}})
		case last < 0:
			return nil, with(unreadable("line %d stands before the first field", i+1), Problem{Kind: ProblemBroken, Line: i + 1})
		case tag != nil:
			if tag[1] == "61" {
				total++
			}
			messages[last] = append(messages[last], mtField{i + 1, tag[1], tag[2]})
		default:
			f := &messages[last][len(messages[last])-1]
			if len(f.text)+len(line) > maxRecordBytes {
				return nil, with(unreadable("the field at line %d is too long", f.line), Problem{Kind: ProblemBroken, Line: f.line})
			}
			f.text += "\n" + line
		}
		if total > maxMovements || len(messages) > maxMovements {
			return nil, with(unreadable("it has more than %d movements", maxMovements), Problem{Kind: ProblemTooLarge})
		}
	}
	return messages, nil
}

// parseMT940 reads one message.
func parseMT940(fields []mtField) (*Statement, error) {
	s := &Statement{}
	// Open is the movement to which a field 86 belongs; behind the balance at the end it is of the whole statement.
	open := false
	for _, f := range fields {
		wrong := func(kind ProblemKind, what string) error {
			return with(unreadable("the field at line %d %s", f.line, what), Problem{Kind: kind, Line: f.line})
		}
		switch f.tag {
		case "60F", "60M", "62F", "62M":
			balance, on, err := mtBalanceOf(f.text)
			if err != nil {
				return nil, wrong(ProblemAmount, "is no balance")
			}
			if s.Currency == "" {
				s.Currency = balance.Currency
			}
			if f.tag[1] == '0' {
				s.Opening = &balance
			} else {
				s.Closing, s.ClosingOn = &balance, on
			}
			open = false
		case "61":
			if s.Currency == "" {
				return nil, wrong(ProblemBroken, "stands before the balance that tells the currency")
			}
			m, err := mtMovement(f.text, s.Currency)
			if err != nil {
				return nil, wrong(lineProblem(err), err.Error())
			}
			if open = m.Amount.Minor != 0; !open {
				s.notBooked++
				continue
			}
			s.Movements = append(s.Movements, m)
		case "86":
			if open {
				m := &s.Movements[len(s.Movements)-1]
				m.Text = words(m.Text, mtText(f.text))
			}
		}
	}
	if s.Opening == nil || s.Closing == nil {
		return nil, with(unreadable("the statement at line %d has no balance at its beginning or end: a part is missing", fields[0].line),
			Problem{Kind: ProblemBroken, Line: fields[0].line})
	}
	return s, s.check()
}

func mtBalanceOf(text string) (money.Amount, calendar.Day, error) {
	found := mtBalance.FindStringSubmatch(strings.TrimSpace(text))
	if found == nil {
		return money.Amount{}, "", errLineAmount
	}
	on, err := mtDay(found[2])
	if err != nil {
		return money.Amount{}, "", err
	}
	amount, err := parseDecimal(found[4], money.Currency(found[3]), ",")
	if found[1] == "D" {
		amount.Minor = -amount.Minor
	}
	return amount, on, err
}

func mtDay(text string) (calendar.Day, error) {
	on, err := time.Parse("060102", text)
	if err != nil {
		return "", errLineDay
	}
	return calendar.Day(on.Format(time.DateOnly)), nil
}

// mtMovement reads field 61.
func mtMovement(text string, currency money.Currency) (m Movement, err error) {
	found := mtEntry.FindStringSubmatch(text)
	if found == nil {
		return m, errLineAmount
	}
	if m.BookedOn, err = mtBookedOn(found[1], found[2]); err != nil {
		return m, err
	}
	if m.Amount, err = parseDecimal(found[4], currency, ","); err != nil {
		return m, errLineAmount
	}
	// RC takes back a credit, so the money leaves; RD takes back a debit.
	if found[3] == "D" || found[3] == "RC" {
		m.Amount.Minor = -m.Amount.Minor
	}
	m.Reversal = found[3][0] == 'R'
	// The bank's reference is behind the customer's; NONREF says that there is none.
	if m.Reference = provided(found[7]); strings.EqualFold(m.Reference, "NONREF") {
		m.Reference = ""
	}
	customer := strings.TrimSpace(found[6])
	if customer == "NONREF" {
		customer = ""
	}
	m.Text = words(customer, found[8])
	return m, nil
}

// mtBookedOn is the day of booking, which has no year: the one that is next to the day of value.
func mtBookedOn(value, entry string) (calendar.Day, error) {
	valued, err := time.Parse("060102", value)
	if err != nil {
		return "", errLineDay
	}
	if entry == "" {
		return calendar.Day(valued.Format(time.DateOnly)), nil
	}
	var best time.Time
	for _, year := range []int{valued.Year() - 1, valued.Year(), valued.Year() + 1} {
		on, err := time.Parse("20060102", time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Format("2006")+entry)
		if err == nil && (best.IsZero() || on.Sub(valued).Abs() < best.Sub(valued).Abs()) {
			best = on
		}
	}
	if best.IsZero() {
		return "", errLineDay
	}
	return calendar.Day(best.Format(time.DateOnly)), nil
}

// mtText is the text of field 86 without the codes of its parts. A code may begin in the middle of a word that was cut at the
// end of a line, so parts of one kind are joined as they are.
func mtText(text string) string {
	// A structured text begins with the number of the kind of business.
	if len(text) > 4 && text[3] == '?' {
		text = text[3:]
	}
	return mtCode.ReplaceAllString(text, " ")
}

var mtHead = regexp.MustCompile(`(?m)^:20:`)

// isMT940 recognises the field that begins a message, and the balance.
func isMT940(content []byte) bool {
	begins := content[:min(len(content), 4<<10)]
	first := trimmed(begins)
	return (bytes.HasPrefix(first, []byte(":20:")) || bytes.HasPrefix(first, []byte("{1:")) || mtHead.Match(begins)) &&
		(bytes.Contains(begins, []byte(":60F:")) || bytes.Contains(begins, []byte(":60M:")))
}

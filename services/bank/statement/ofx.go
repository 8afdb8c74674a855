package statement

import (
	"bytes"
	"html"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/money"
)

// OFX, versions 1 (SGML, where elements with a value have no end) and 2 (XML). Both are read as a row of elements, since
// banks close elements, or do not, as they like. What French banks do beside the standard is read too: decimal commas, and
// accounts in the parts of a RIB.
// https://financialdataexchange.org/common/Uploaded%20files/OFX%20files/OFX%20Banking%20Specification%20v2.3.pdf

// ofxAccount is what a file says of one account: STMTRS, or CCSTMTRS of a card.
type ofxAccount struct {
	bank, branch, number string
	currency             string
	movements            []ofxMovement
	// pending is how many movements are announced only.
	pending            int
	balance, balanceOn string
}

// ofxMovement is STMTTRN, by the texts in the file.
type ofxMovement struct {
	line                             int
	kind, posted, amount, id, number string
	name, payee, memo, reference     string
}

// maxOFXValue is far above what a bank writes into an element; a longer one is cut.
const maxOFXValue = 1 << 10

var ofxElement = regexp.MustCompile(`<(/?)([A-Za-z][A-Za-z0-9.]*)[^<>]*>([^<]*)`)

// readOFX reads the statements of one account.
func readOFX(content []byte, account string, fallback money.Currency) (Contents, error) {
	accounts, err := ofxAccounts(content)
	if err != nil {
		return Contents{}, err
	}
	if len(accounts) == 0 {
		return Contents{}, with(unreadable("it is OFX without a statement of an account"), Problem{Kind: ProblemNotAStatement})
	}
	parts := make([]part, len(accounts))
	for i, a := range accounts {
		parts[i] = part{account: a.iban(), parse: func(number int) (*Statement, error) { return a.parse(number, fallback) }}
	}
	return choose(parts, account)
}

// iban is the account's IBAN when it is French, and its number otherwise.
func (a *ofxAccount) iban() string {
	if iban, ok := frenchIBAN(a.bank, a.branch, a.number); ok {
		return iban
	}
	return CompactAccount(a.number)
}

// ofxText decodes the file as its head says. Some banks say another encoding than they write.
func ofxText(content []byte) (string, error) {
	head := strings.ToUpper(string(content[:min(len(content), 1<<10)]))
	if strings.Contains(head, "CHARSET:1252") || strings.Contains(head, "WINDOWS-1252") {
		if !utf8.Valid(content) {
			return CSVFormat{Encoding: Windows1252}.decode(content)
		}
	}
	return CSVFormat{}.decode(content)
}

// ofxAccounts reads the elements in their order.
func ofxAccounts(content []byte) (accounts []*ofxAccount, err error) {
	text, err := ofxText(content)
	if err != nil {
		return nil, err
	}
	var a *ofxAccount
	var m *ofxMovement
	// In is the aggregate that gives an element its meaning: a movement's account has numbers too.
	in, line, at, total := "", 1, 0, 0
	for {
		found := ofxElement.FindStringSubmatchIndex(text[at:])
		if found == nil {
			break
		}
		line += strings.Count(text[at:at+found[0]], "\n")
		closes := found[2] != found[3]
		name := strings.ToUpper(text[at+found[4] : at+found[5]])
		value := strings.TrimSpace(text[at+found[6] : at+found[7]])
		opened := line
		line += strings.Count(text[at+found[0]:at+found[1]], "\n")
		at += found[1]
		switch name {
		case "STMTRS", "CCSTMTRS":
			if !closes {
				a = &ofxAccount{}
				accounts = append(accounts, a)
			} else {
				a = nil
			}
			m, in = nil, ""
			continue
		case "STMTTRN", "STMTTRNP":
			m, in = nil, ""
			if closes || a == nil {
				continue
			}
			if total++; total > maxMovements {
				return nil, with(unreadable("it has more than %d movements", maxMovements), Problem{Kind: ProblemTooLarge})
			}
			if name == "STMTTRNP" {
				a.pending++
				continue
			}
			a.movements = append(a.movements, ofxMovement{line: opened})
			m = &a.movements[len(a.movements)-1]
			continue
		case "BANKACCTFROM", "CCACCTFROM", "LEDGERBAL", "AVAILBAL", "BANKACCTTO", "CCACCTTO", "BALLIST", "PAYEE":
			if in = name; closes {
				in = ""
			}
			continue
		}
		if closes || value == "" || a == nil {
			continue
		}
		if len(value) > maxOFXValue {
			value = strings.ToValidUTF8(value[:maxOFXValue], "")
		}
		value = html.UnescapeString(value)
		if m != nil {
			m.set(in, name, value)
		} else {
			a.set(in, name, value)
		}
	}
	return accounts, nil
}

func (a *ofxAccount) set(in, name, value string) {
	switch in + "/" + name {
	case "/CURDEF":
		a.currency = strings.ToUpper(value)
	case "BANKACCTFROM/BANKID":
		a.bank = value
	case "BANKACCTFROM/BRANCHID":
		a.branch = value
	case "BANKACCTFROM/ACCTID", "CCACCTFROM/ACCTID":
		a.number = value
	case "LEDGERBAL/BALAMT":
		a.balance = value
	case "LEDGERBAL/DTASOF":
		a.balanceOn = value
	}
}

func (m *ofxMovement) set(in, name, value string) {
	switch in + "/" + name {
	case "/TRNTYPE":
		m.kind = strings.ToUpper(value)
	case "/DTPOSTED":
		m.posted = value
	case "/TRNAMT":
		m.amount = value
	case "/FITID":
		m.id = value
	case "/CHECKNUM":
		m.number = value
	case "/REFNUM":
		m.reference = value
	case "/NAME":
		m.name = value
	case "PAYEE/NAME":
		m.payee = value
	case "/MEMO":
		m.memo = value
	}
}

// parse returns the movements. The balance at the end is LEDGERBAL; OFX has none at the beginning.
func (a *ofxAccount) parse(number int, fallback money.Currency) (*Statement, error) {
	s := &Statement{Currency: money.Currency(a.currency), notBooked: a.pending}
	if a.currency == "" {
		s.Currency = fallback
	}
	if !s.Currency.Valid() {
		return nil, unreadable("statement %d names no currency", number)
	}
	unique := a.uniqueIDs()
	for _, m := range a.movements {
		wrong := func(kind ProblemKind, what string) error {
			return with(unreadable("the movement at line %d %s", m.line, what), Problem{Kind: kind, Line: m.line})
		}
		day, err := compactDay(m.posted)
		if err != nil {
			return nil, wrong(ProblemDay, "has no day, or its day is written in another way")
		}
		amount, err := parseDecimal(m.amount, s.Currency, lastMark(m.amount))
		if err != nil {
			return nil, wrong(ProblemAmount, "has no amount, or its amount is written in another way")
		}
		if amount.Minor == 0 {
			s.notBooked++ // no money moved
			continue
		}
		// The amount has the sign, by the standard. A file that says otherwise with a word has two readings.
		if m.kind == "DEBIT" && amount.Minor > 0 || m.kind == "CREDIT" && amount.Minor < 0 {
			return nil, wrong(ProblemDirection, "has a sign that its kind contradicts")
		}
		movement := Movement{BookedOn: day, Amount: amount, Text: words(m.name, m.payee, m.memo, m.number, m.reference)}
		if unique {
			movement.Reference = provided(m.id)
		}
		s.Movements = append(s.Movements, movement)
	}
	if a.balance != "" {
		closing, err := parseDecimal(a.balance, s.Currency, lastMark(a.balance))
		if err != nil {
			return nil, unreadable("the balance of statement %d is no amount", number)
		}
		on, err := compactDay(a.balanceOn)
		if err != nil {
			return nil, unreadable("the balance of statement %d has no day", number)
		}
		s.Closing, s.ClosingOn = &closing, on
	}
	return s, s.check()
}

// minOFXID is how long the ids of a bank are at least. Shorter ones count the movements of one file, so the same movement has
// another one in the next file.
const minOFXID = 6

// uniqueIDs reports whether the ids tell the movements of the account from one another, as they should.
func (a *ofxAccount) uniqueIDs() bool {
	seen := map[string]bool{}
	for _, m := range a.movements {
		if len(m.id) < minOFXID || seen[m.id] {
			return false
		}
		seen[m.id] = true
	}
	return true
}

// compactDay reads the first eight digits, YYYYMMDD. A time and its zone may follow: the day is the bank's own.
func compactDay(text string) (calendar.Day, error) {
	if len(text) > 8 && text[8] >= '0' && text[8] <= '9' && len(text) < 12 {
		return "", errLineDay
	}
	on, err := time.Parse("20060102", text[:min(8, len(text))])
	if err != nil {
		return "", errLineDay
	}
	return calendar.Day(on.Format(time.DateOnly)), nil
}

// lastMark is the decimal mark of an amount in a format that has no groups of thousands, or groups with the other mark.
func lastMark(text string) string {
	if strings.LastIndexByte(text, ',') > strings.LastIndexByte(text, '.') {
		return ","
	}
	return "."
}

// words joins the texts that are there, without those that repeat another one.
func words(texts ...string) string {
	var all []string
	for _, text := range texts {
		text = strings.Join(strings.Fields(text), " ")
		if text != "" && !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return strings.Join(all, " ")
}

// isOFX recognises both versions.
func isOFX(content []byte) bool {
	begins := bytes.ToUpper(content[:min(len(content), 4<<10)])
	return bytes.HasPrefix(trimmed(begins), []byte("OFXHEADER")) || bytes.Contains(begins, []byte("<OFX>")) && bytes.HasPrefix(trimmed(begins), []byte("<"))
}

// trimmed is without a byte order mark and blanks in front.
func trimmed(content []byte) []byte {
	return bytes.TrimLeft(bytes.TrimPrefix(content, []byte("\ufeff")), " \t\r\n")
}

package statement

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/money"
)

// The part of ISO 20022's camt.053 that is read. Element names are matched in any namespace, since versions 02 to 08
// differ little. The names and accounts of payers are in the files and deliberately not in these types; the names of
// payees are, since an expense tells them too.
// https://www.iso20022.org/message-set/camt
type (
	camtDocument struct {
		XMLName    xml.Name        `xml:"Document"`
		Statements []camtStatement `xml:"BkToCstmrStmt>Stmt"`
	}
	// The account has an IBAN or another number.
	camtStatement struct {
		IBAN     string        `xml:"Acct>Id>IBAN"`
		Other    string        `xml:"Acct>Id>Othr>Id"`
		Currency string        `xml:"Acct>Ccy"`
		Balances []camtBalance `xml:"Bal"`
		Entries  []camtEntry   `xml:"Ntry"`
	}
	// Code tells which balance it is, and Sign whether it is a credit.
	camtBalance struct {
		Code   string     `xml:"Tp>CdOrPrtry>Cd"`
		Amount camtAmount `xml:"Amt"`
		Sign   string     `xml:"CdtDbtInd"`
		Date   camtDate   `xml:"Dt"`
	}
	camtEntry struct {
		// Reference is the bank's, and the same in every file. NtryRef is not read: with many banks it counts the entries of
		// one file, so the same entry would have another one in the next file.
		Reference string     `xml:"AcctSvcrRef"`
		Amount    camtAmount `xml:"Amt"`
		Sign      string     `xml:"CdtDbtInd"`
		// Reversal marks an entry that takes back another one. By the standard the sign is its own; some programs write that
		// of the entry that is taken back. See [camtStatement.parse].
		Reversal bool         `xml:"RvslInd"`
		Back     camtBackCode `xml:"BkTxCd>Domn>Fmly>SubFmlyCd"`
		// Status is a text in the old versions and has a code in the new ones.
		Status camtStatus `xml:"Sts"`
		// Value is the day from which the bank counts interest. It is read only when there is no day of booking.
		Booked camtDate `xml:"BookgDt"`
		Value  camtDate `xml:"ValDt"`
		Text   string   `xml:"AddtlNtryInf"`
		// Details are the payments of a batch, or the one payment.
		Details []camtDetail `xml:"NtryDtls>TxDtls"`
	}
	camtDetail struct {
		// Returned is present for a payment that came back. Many banks tell it here and nowhere else.
		Returned  camtThere    `xml:"RtrInf"`
		Back      camtBackCode `xml:"BkTxCd>Domn>Fmly>SubFmlyCd"`
		Sign      camtSign     `xml:"CdtDbtInd"`
		Reference string       `xml:"Refs>AcctSvcrRef"`
		EndToEnd  string       `xml:"Refs>EndToEndId"`
		Amount    camtAmount   `xml:"Amt"`
		// InDetails is where the old versions have the amount.
		InDetails camtAmount `xml:"AmtDtls>TxAmt>Amt"`
		// Creditor is who was paid; nil when it is not told.
		Creditor     *camtParty `xml:"RltdPties>Cdtr"`
		Unstructured []string   `xml:"RmtInf>Ustrd"`
		Structured   []string   `xml:"RmtInf>Strd>CdtrRefInf>Ref"`
		Text         string     `xml:"AddtlTxInf"`
	}
	// The name stands in another place in the newer versions.
	camtParty struct {
		Name    string `xml:"Nm"`
		InParty string `xml:"Pty>Nm"`
	}
	camtAmount struct {
		Currency string `xml:"Ccy,attr"`
		Value    string `xml:",chardata"`
	}
	camtStatus struct {
		Text string `xml:",chardata"`
		Code string `xml:"Cd"`
	}
	// Banks write either element.
	camtDate struct {
		Date string `xml:"Dt"`
		Time string `xml:"DtTm"`
	}
)

// camtTokens bounds the memory that a file costs: an empty element of a few bytes becomes a struct of hundreds.
type camtTokens struct {
	*xml.Decoder
	depth int
	// seen counts the elements that become structs or texts, in all documents of the file together.
	seen map[string]int
}

const (
	// maxDepth is more than twice the depth of the deepest element that is read.
	maxDepth = 40
	// maxElements leaves each movement its entry, its detail and some lines of remarks.
	maxElements = 4 * maxMovements
)

var errTooMuch = errors.New("statement: the file has more elements than movements need")

// Token implements xml.TokenReader; the decoder around it matches ends with beginnings.
func (r *camtTokens) Token() (xml.Token, error) {
	token, err := r.RawToken()
	switch element := token.(type) {
	case xml.StartElement:
		r.depth++
		// These are the elements of which the types above have lists.
		switch name := element.Name.Local; name {
		case "Stmt", "Bal", "Ntry", "TxDtls", "Ustrd", "Ref":
			r.seen[name]++
			if r.seen[name] > maxElements {
				return nil, errTooMuch
			}
		}
		if r.depth > maxDepth {
			return nil, errTooMuch
		}
	case xml.EndElement:
		r.depth--
	}
	return token, err
}

// readCAMT reads the statements of one account in a CAMT.053 file. The account may be empty when the file has only one.
// Some banks put several documents into one file. Go's parser resolves no entity and no reference out of the file; the
// size is bounded by the request, and the number of elements by [camtTokens].
func readCAMT(content []byte, account string) (Contents, error) {
	all, err := camtStatements(content)
	if err != nil {
		return Contents{}, err
	}
	parts := make([]part, len(all))
	for i, statement := range all {
		parts[i] = part{account: statement.account(), parse: statement.parse}
	}
	return choose(parts, account)
}

// camtEncoding finds the encoding in the first line of a document.
var camtEncoding = regexp.MustCompile(`^\s*<\?xml[^>]*\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']`)

// camtStatements reads the statements in all documents of a file.
// at is where the next document begins, in bytes of the file. Each document has its own declaration, and so its own
// encoding.
func camtStatements(content []byte) (statements []camtStatement, err error) {
	seen := map[string]int{}
	for at := 0; ; {
		part := content[at:]
		// Only blanks and a byte order mark may stand between documents.
		if len(statements) > 0 {
			part = bytes.TrimLeft(part, " \t\r\n")
			if part = bytes.TrimPrefix(part, []byte("\ufeff")); len(bytes.TrimSpace(part)) == 0 {
				return statements, nil
			}
			at = len(content) - len(part)
		}
		label := ""
		if said := camtEncoding.FindSubmatch(part); said != nil {
			label = strings.ToLower(string(said[1]))
		}
		text, bytesOf := part, func(decoded int) int { return decoded }
		// The two encodings of Western Europe are decoded before the parser sees the text, in the same way as those of
		// CSV files. A document without a declaration is UTF-8, as XML has it.
		switch label {
		case "iso-8859-1", "latin1", "windows-1252", "us-ascii":
			text = []byte(fromWindows1252(part))
		case "iso-8859-15", "latin9":
			text = []byte(fromLatin9(part))
		}
		if len(text) != len(part) { // each byte of the file is one character
			bytesOf = func(decoded int) int { return utf8.RuneCount(text[:decoded]) }
		}
		// Lines in errors are counted from the start of the file and not of the document.
		first := 1 + bytes.Count(content[:at], []byte("\n"))
		tokens := &camtTokens{Decoder: xml.NewDecoder(bytes.NewReader(text)), seen: seen}
		tokens.CharsetReader = func(label string, input io.Reader) (io.Reader, error) {
			switch strings.ToLower(label) {
			case "iso-8859-1", "iso-8859-15", "latin1", "latin9", "windows-1252", "us-ascii":
				return input, nil // decoded already
			}
			return nil, errors.New("unknown")
		}
		// Without this check a text behind the first document would be reported as broken XML of the next.
		if len(statements) > 0 && part[0] != '<' {
			return nil, unreadable("something else than a document begins at line %d", first)
		}
		var document camtDocument
		if err := xml.NewTokenDecoder(tokens).Decode(&document); err != nil {
			line, _ := tokens.InputPos()
			if errors.Is(err, errTooMuch) {
				return nil, with(unreadable("at line %d it has more elements than %d movements need", first+line-1, maxMovements), Problem{Kind: ProblemTooLarge})
			}
			return nil, with(unreadable("it is no CAMT.053: its XML cannot be read at line %d", first+line-1),
				Problem{Kind: ProblemBroken, Line: first + line - 1})
		}
		if len(document.Statements) == 0 {
			return nil, with(unreadable("the document at line %d is no CAMT.053, or holds no statement", first), Problem{Kind: ProblemNotAStatement, Line: first})
		}
		statements = append(statements, document.Statements...)
		// The decoder counts bytes of the decoded text; the file is cut by its own.
		at += bytesOf(int(tokens.InputOffset()))
	}
}

// account is the account that the statement is about.
func (s camtStatement) account() string { return CompactAccount(s.IBAN + s.Other) }

// parse returns the movements that are booked, once they add up to the balances. The number of the statement is for
// errors.
func (s camtStatement) parse(number int) (*Statement, error) {
	p := &Statement{Account: s.account(), Currency: money.Currency(s.Currency)}
	for _, b := range s.Balances {
		amount, err := b.Amount.parse(b.Sign)
		if err != nil {
			return nil, unreadable("a balance of statement %d is no amount", number)
		}
		// The currency of the account may be left out; that of the first balance or movement stands for it.
		if p.Currency == "" {
			p.Currency = amount.Currency
		}
		switch b.Code {
		// The opening balance booked, or the closing balance of the statement before. Other codes, such as those of
		// interim and available balances, are not read.
		case "OPBD", "PRCD":
			p.Opening = &amount
		case "CLBD":
			p.Closing = &amount
			if p.ClosingOn, err = b.Date.day(); err != nil {
				return nil, unreadable("the closing balance of statement %d has no day", number)
			}
		}
	}
	for i, entry := range s.Entries {
		switch strings.TrimSpace(entry.Status.Text + entry.Status.Code) {
		case "BOOK":
		case "PDNG", "INFO", "FUTR":
			continue // announced only
		// A status that is not known is refused: whether it moves money cannot be told.
		default:
			return nil, with(unreadable("entry %d of statement %d does not tell whether it is booked", i+1, number), Problem{Kind: ProblemState, Line: i + 1})
		}
		lines, err := entry.parse()
		if err != nil {
			return nil, with(unreadable("entry %d of statement %d has no amount or no day", i+1, number), Problem{Kind: ProblemAmount, Line: i + 1})
		}
		if p.Currency == "" && len(lines) > 0 {
			p.Currency = lines[0].Amount.Currency
		}
		p.Movements = append(p.Movements, lines...)
	}
	// An entry that takes back another one has the sign of one of the two, by the program that wrote the file. The
	// balances decide: the file is read with the signs as they are, and else with the other sign on all such entries.
	err := p.check()
	if !slices.ContainsFunc(p.Movements, func(l Movement) bool { return l.signOpen }) {
		return p, err
	}
	// Without balances both readings would be possible, and they differ in money.
	if p.Opening == nil || p.Closing == nil {
		return nil, with(unreadable("statement %d reverses a movement and has no balances, which would tell the direction of its money", number),
			Problem{Kind: ProblemDirection})
	}
	if err != nil && errs.As(err).Reason == errorsv1.ErrorReason_STATEMENT_UNBALANCED {
		if other := p.reversed(); other.check() == nil {
			return other, nil
		}
	}
	return p, err
}

// reversed returns the statement with the other sign on every movement whose sign is open.
func (s *Statement) reversed() *Statement {
	other := *s
	other.Movements = slices.Clone(s.Movements)
	for i := range other.Movements {
		if l := &other.Movements[i]; l.signOpen {
			l.Amount.Minor = -l.Amount.Minor
		}
	}
	return &other
}

// parse returns one movement or, for a batch whose payments add up to it, one movement for each payment, since each may
// name another pledge.
func (e camtEntry) parse() ([]Movement, error) {
	whole, err := e.Amount.parse(e.Sign)
	if err != nil {
		return nil, err
	}
	on, err := e.Booked.day()
	if err != nil {
		if on, err = e.Value.day(); err != nil {
			return nil, err
		}
	}
	// What every payment of a batch has in common.
	line := Movement{BookedOn: on, Amount: whole, Reference: provided(e.Reference), Reversal: e.Reversal || bool(e.Back), signOpen: e.Reversal}
	texts := []string{e.Text}
	var parts []Movement
	sum := money.Amount{Currency: whole.Currency}
	for i, d := range e.Details {
		texts = append(texts, d.text())
		// A detail without an amount is no payment of its own; its text still counts for the whole.
		amount, err := d.amount(e.Sign)
		if err != nil {
			continue
		}
		if sum, err = sum.Add(amount); err != nil {
			continue
		}
		reference := provided(d.Reference)
		// The payments of a batch have one reference. The place in the batch is added, so that each has its own, and
		// the same in another file.
		if (reference == "" || reference == line.Reference) && line.Reference != "" {
			reference = line.Reference + "/" + strconv.Itoa(i+1)
		}
		part := line
		part.Amount, part.Reference, part.Text, part.Payee = amount, reference, e.Text+" "+d.text(), d.payee(amount)
		part.Reversal = line.Reversal || d.back()
		parts = append(parts, part)
	}
	// A batch is divided only when all of its payments are told and add up to it.
	if len(parts) > 1 && len(parts) == len(e.Details) && sum == whole {
		return parts, nil
	}
	// An entry of zero moves no money.
	if whole.Minor == 0 {
		return nil, nil
	}
	if len(e.Details) == 1 {
		line.Payee = e.Details[0].payee(whole)
	}
	// A batch that is not divided has the texts of all its payments, and counts as taken back when one of them is.
	line.Text = strings.Join(texts, " ")
	line.Reversal = line.Reversal || slices.ContainsFunc(e.Details, camtDetail.back)
	return []Movement{line}, nil
}

// camtSign is the first letter of a detail's sign, which keeps many details small; zero when there is none.
type camtSign byte

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *camtSign) UnmarshalText(text []byte) error {
	switch sign := strings.TrimSpace(string(text)); sign {
	case "CRDT", "DBIT":
		*s = camtSign(sign[0])
	case "":
		*s = 0
	default:
		*s = '?'
	}
	return nil
}

// camtThere tells that an element is present, whatever is in it.
type camtThere bool

// UnmarshalXML implements xml.Unmarshaler.
func (t *camtThere) UnmarshalXML(d *xml.Decoder, _ xml.StartElement) error {
	*t = true
	return d.Skip()
}

// camtBackCode tells that a transfer or a direct debit was returned or recalled.
// https://www.iso20022.org/catalogue-messages/additional-content-messages/external-code-sets
type camtBackCode bool

// UnmarshalXML implements xml.Unmarshaler.
func (c *camtBackCode) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	var code string
	err := d.DecodeElement(&code, &start)
	*c = camtBackCode(slices.Contains([]string{"RRTN", "RPCR", "PRDD", "UPDD"}, strings.TrimSpace(code)))
	return err
}

// payee is who was paid; empty for money that arrived, whose creditor is the collective.
func (d camtDetail) payee(amount money.Amount) string {
	if amount.Minor > 0 || d.Creditor == nil {
		return ""
	}
	return strings.TrimSpace(d.Creditor.Name + d.Creditor.InParty)
}

func (d camtDetail) back() bool { return bool(d.Returned) || bool(d.Back) }

// amount is positive or negative by the detail's own sign, or by that of its entry when it has none. A sign that is not
// known makes it no amount.
func (d camtDetail) amount(sign string) (money.Amount, error) {
	if d.Sign != 0 {
		sign = map[camtSign]string{'C': "CRDT", 'D': "DBIT"}[d.Sign]
	}
	amount, err := d.Amount.parse(sign)
	if err != nil {
		amount, err = d.InDetails.parse(sign)
	}
	if err == nil && amount.Minor == 0 {
		err = errNoAmount
	}
	return amount, err
}

// text is everything in which a payer may have written a reference.
func (d camtDetail) text() string {
	return strings.Join(append(append([]string{d.EndToEnd, d.Text}, d.Unstructured...), d.Structured...), " ")
}

var (
	errNoAmount = errors.New("statement: no amount")
	errNoDay    = errors.New("statement: no day")
)

// parse returns the amount with the sign of a credit or a debit. The text itself must have none.
func (a camtAmount) parse(sign string) (money.Amount, error) {
	amount, err := parseDecimal(a.Value, money.Currency(a.Currency), ".")
	// The schema has no comma: it may be meant as a decimal mark.
	if err != nil || amount.Minor < 0 || strings.Contains(a.Value, ",") {
		return money.Amount{}, errNoAmount
	}
	switch strings.TrimSpace(sign) {
	case "CRDT":
		return amount, nil
	case "DBIT":
		return amount.Neg()
	}
	return money.Amount{}, errNoAmount
}

// day is the date, or the date of the time in the zone in which the bank writes it.
func (d camtDate) day() (calendar.Day, error) {
	text := strings.TrimSpace(d.Date)
	if text == "" {
		text = strings.TrimSpace(d.Time)
	}
	if len(text) < len(time.DateOnly) {
		return "", errNoDay
	}
	text = text[:len(time.DateOnly)]
	if _, err := time.Parse(time.DateOnly, text); err != nil {
		return "", errNoDay
	}
	return calendar.Day(text), nil
}

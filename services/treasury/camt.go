package treasury

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
	"unicode"
	"unicode/utf8"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/money"
)

// The part of ISO 20022's camt.053 that we read. Names are matched in any namespace, since versions 02 to 08
// say the same with few differences. Names and accounts of payers are in the files and not in these types.
// https://www.iso20022.org/message-set/camt
type (
	camtDocument struct {
		XMLName    xml.Name        `xml:"Document"`
		Statements []camtStatement `xml:"BkToCstmrStmt>Stmt"`
	}
	camtStatement struct {
		IBAN     string        `xml:"Acct>Id>IBAN"`
		Other    string        `xml:"Acct>Id>Othr>Id"`
		Currency string        `xml:"Acct>Ccy"`
		Balances []camtBalance `xml:"Bal"`
		Entries  []camtEntry   `xml:"Ntry"`
	}
	camtBalance struct {
		Code   string     `xml:"Tp>CdOrPrtry>Cd"`
		Amount camtAmount `xml:"Amt"`
		Sign   string     `xml:"CdtDbtInd"`
		Date   camtDate   `xml:"Dt"`
	}
	camtEntry struct {
		// Reference is the bank's for ever. NtryRef is not read: with many banks it counts the entries of one file, and would
		// make a stranger of the same entry in the next.
		Reference string     `xml:"AcctSvcrRef"`
		Amount    camtAmount `xml:"Amt"`
		Sign      string     `xml:"CdtDbtInd"`
		// Reversal: it takes back another entry. Its sign is its own by the standard, and that of the entry it takes back with
		// some programs; see [camtStatement.parse].
		Reversal bool         `xml:"RvslInd"`
		Back     camtBackCode `xml:"BkTxCd>Domn>Fmly>SubFmlyCd"`
		// Status is text in the old versions, and has a code in the new ones.
		Status camtStatus `xml:"Sts"`
		Booked camtDate   `xml:"BookgDt"`
		Value  camtDate   `xml:"ValDt"`
		Text   string     `xml:"AddtlNtryInf"`
		// Details are the payments of a batch, or the one payment.
		Details []camtDetail `xml:"NtryDtls>TxDtls"`
	}
	camtDetail struct {
		// Returned is there for what came back: many banks say it here and nowhere else.
		Returned  camtThere    `xml:"RtrInf"`
		Back      camtBackCode `xml:"BkTxCd>Domn>Fmly>SubFmlyCd"`
		Reference string       `xml:"Refs>AcctSvcrRef"`
		EndToEnd  string       `xml:"Refs>EndToEndId"`
		Amount    camtAmount   `xml:"Amt"`
		Sign      camtSign     `xml:"CdtDbtInd"`
		// InDetails is where the old versions have the amount.
		InDetails    camtAmount `xml:"AmtDtls>TxAmt>Amt"`
		Unstructured []string   `xml:"RmtInf>Ustrd"`
		Structured   []string   `xml:"RmtInf>Strd>CdtrRefInf>Ref"`
		Text         string     `xml:"AddtlTxInf"`
	}
	camtAmount struct {
		Currency string `xml:"Ccy,attr"`
		Value    string `xml:",chardata"`
	}
	camtStatus struct {
		Text string `xml:",chardata"`
		Code string `xml:"Cd"`
	}
	camtDate struct {
		Date string `xml:"Dt"`
		Time string `xml:"DtTm"`
	}
)

// camtTokens bounds what a file makes us keep: empty elements of a few bytes become structs of hundreds.
type camtTokens struct {
	*xml.Decoder
	depth int
	kept  map[string]int
}

const (
	// maxCAMTDepth is more than twice that of the deepest element that we read.
	maxCAMTDepth = 40
	// maxCAMTKept lets each line have its entry, its detail and some lines of remarks.
	maxCAMTKept = 4 * maxStatementLines
)

var errTooMuch = errors.New("treasury: a file of more elements than movements need")

// Token implements xml.TokenReader; the decoder around it matches ends with beginnings.
func (r *camtTokens) Token() (xml.Token, error) {
	token, err := r.RawToken()
	switch element := token.(type) {
	case xml.StartElement:
		r.depth++
		switch name := element.Name.Local; name {
		case "Stmt", "Bal", "Ntry", "TxDtls", "Ustrd", "Ref":
			r.kept[name]++
			if r.kept[name] > maxCAMTKept {
				return nil, errTooMuch
			}
		}
		if r.depth > maxCAMTDepth {
			return nil, errTooMuch
		}
	case xml.EndElement:
		r.depth--
	}
	return token, err
}

// parseCAMT reads the statements of one account in a CAMT.053 file, and names the other accounts in it, which are left
// out. The account may be empty when the file has one only. Some banks join several documents, one behind the other.
// Go's parser follows no entity and no reference out of the file; the size is bounded by the request, the number of lines
// and of what else is kept here.
func parseCAMT(content []byte, account string) (statements []*parsedStatement, leftOut []string, err error) {
	all, err := readCAMT(content)
	if err != nil {
		return nil, nil, err
	}
	var accounts []string
	for i, s := range all {
		of := s.account()
		if of == "" || len(of) > 40 {
			return nil, nil, unreadable("statement %d names no account", i+1)
		}
		if !slices.Contains(accounts, of) {
			accounts = append(accounts, of)
		}
	}
	switch {
	case account == "" && len(accounts) > 1:
		return nil, nil, wrong(errorsv1.ErrorReason_STATEMENT_ACCOUNTS, "account", "must say which account is meant, since the file has several: "+strings.Join(accounts, ", "))
	case account == "":
		account = accounts[0]
	case !slices.Contains(accounts, account):
		return nil, nil, errOtherAccount()
	}
	lines := 0
	for i, s := range all {
		if s.account() != account {
			continue
		}
		p, err := s.parse(i + 1)
		if err != nil {
			return nil, nil, err
		}
		if lines += len(p.lines); lines > maxStatementLines {
			return nil, nil, unreadable("it has more than %d movements", maxStatementLines)
		}
		statements = append(statements, p)
	}
	return statements, slices.DeleteFunc(accounts, func(a string) bool { return a == account }), nil
}

// camtEncoding is what the first line of a document says of its encoding.
var camtEncoding = regexp.MustCompile(`^\s*<\?xml[^>]*\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']`)

// readCAMT reads all documents of a file.
func readCAMT(content []byte) (statements []camtStatement, err error) {
	kept := map[string]int{}
	for at := 0; ; {
		part := content[at:]
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
		switch label {
		case "iso-8859-1", "latin1", "windows-1252", "us-ascii":
			text = []byte(fromWindows1252(part))
		case "iso-8859-15", "latin9":
			text = []byte(fromLatin9(part))
		}
		if len(text) != len(part) { // each byte of the file is one character
			bytesOf = func(decoded int) int { return utf8.RuneCount(text[:decoded]) }
		}
		first := 1 + bytes.Count(content[:at], []byte("\n"))
		tokens := &camtTokens{Decoder: xml.NewDecoder(bytes.NewReader(text)), kept: kept}
		tokens.CharsetReader = func(label string, input io.Reader) (io.Reader, error) {
			switch strings.ToLower(label) {
			case "iso-8859-1", "iso-8859-15", "latin1", "latin9", "windows-1252", "us-ascii":
				return input, nil // decoded already
			}
			return nil, errors.New("unknown")
		}
		if len(statements) > 0 && part[0] != '<' {
			return nil, unreadable("something else than a document begins at line %d", first)
		}
		var document camtDocument
		if err := xml.NewTokenDecoder(tokens).Decode(&document); err != nil {
			line, _ := tokens.InputPos()
			if errors.Is(err, errTooMuch) {
				return nil, unreadable("it holds more at line %d than %d movements need", first+line-1, maxStatementLines)
			}
			return nil, unreadable("it is no CAMT.053: its XML ends to be understood at line %d", first+line-1)
		}
		if len(document.Statements) == 0 {
			return nil, unreadable("the document at line %d is no CAMT.053, or holds no statement", first)
		}
		statements = append(statements, document.Statements...)
		at += bytesOf(int(tokens.InputOffset()))
	}
}

// account is that which the statement is about.
func (s camtStatement) account() string { return compactAccount(s.IBAN + s.Other) }

func (s camtStatement) parse(number int) (*parsedStatement, error) {
	p := &parsedStatement{account: s.account(), currency: money.Currency(s.Currency)}
	for _, b := range s.Balances {
		amount, err := b.Amount.parse(b.Sign)
		if err != nil {
			return nil, unreadable("a balance of statement %d is no amount", number)
		}
		if p.currency == "" {
			p.currency = amount.Currency
		}
		switch b.Code {
		case "OPBD", "PRCD":
			p.opening = &amount
		case "CLBD":
			p.closing = &amount
			if p.closingOn, err = b.Date.day(); err != nil {
				return nil, unreadable("the closing balance of statement %d has no day", number)
			}
		}
	}
	for i, entry := range s.Entries {
		switch strings.TrimSpace(entry.Status.Text + entry.Status.Code) {
		case "BOOK":
		case "PDNG", "INFO", "FUTR":
			continue // announced only
		default:
			return nil, unreadable("entry %d of statement %d does not say whether it is booked", i+1, number)
		}
		lines, err := entry.parse()
		if err != nil {
			return nil, unreadable("entry %d of statement %d has no amount or no day", i+1, number)
		}
		if p.currency == "" && len(lines) > 0 {
			p.currency = lines[0].amount.Currency
		}
		p.lines = append(p.lines, lines...)
	}
	err := p.check()
	if !slices.ContainsFunc(p.lines, func(l parsedLine) bool { return l.reverses }) {
		return p, err
	}
	if p.opening == nil || p.closing == nil {
		return nil, unreadable("statement %d takes a movement back, and has no balances that tell which way its money went", number)
	}
	if err != nil && errs.As(err).Reason == errorsv1.ErrorReason_STATEMENT_UNBALANCED {
		if other := p.turned(); other.check() == nil {
			return other, nil
		}
	}
	return p, err
}

// turned is the statement with the money of what takes back another movement going the other way.
func (p *parsedStatement) turned() *parsedStatement {
	other := *p
	other.lines = slices.Clone(p.lines)
	for i := range other.lines {
		if l := &other.lines[i]; l.reverses {
			l.amount.Minor = -l.amount.Minor
		}
	}
	return &other
}

// parse returns one line or, for a batch whose payments add up to it, one for each payment: each may name
// another pledge.
func (e camtEntry) parse() ([]parsedLine, error) {
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
	line := parsedLine{bookedOn: on, amount: whole, reference: provided(e.Reference), reversal: e.Reversal || bool(e.Back), reverses: e.Reversal}
	texts := []string{e.Text}
	var parts []parsedLine
	sum := money.Amount{Currency: whole.Currency}
	for i, d := range e.Details {
		texts = append(texts, d.text())
		amount, err := d.amount(e.Sign)
		if err != nil {
			continue
		}
		if sum, err = sum.Add(amount); err != nil {
			continue
		}
		reference := provided(d.Reference)
		if (reference == "" || reference == line.reference) && line.reference != "" {
			reference = line.reference + "/" + strconv.Itoa(i+1)
		}
		part := line
		part.amount, part.reference, part.text = amount, reference, e.Text+" "+d.text()
		part.reversal = line.reversal || d.back()
		parts = append(parts, part)
	}
	if len(parts) > 1 && len(parts) == len(e.Details) && sum == whole {
		return parts, nil
	}
	if whole.Minor == 0 {
		return nil, nil
	}
	line.text = strings.Join(texts, " ")
	line.reversal = line.reversal || slices.ContainsFunc(e.Details, camtDetail.back)
	return []parsedLine{line}, nil
}

// provided is a reference that is one, and tells a movement from others; banks write NOTPROVIDED for none. What of it is
// stored is another matter: see [nameless].
func provided(reference string) string {
	reference = strings.TrimSpace(reference)
	word := !strings.ContainsAny(reference, "0123456789") || strings.ContainsFunc(reference, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	})
	if word || len(reference) > 100 {
		return ""
	}
	return reference
}

// camtSign is the first letter of a detail's sign, since a file may have many; zero when it has none.
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

// camtThere tells that there is an element, whatever is in it.
type camtThere bool

// UnmarshalXML implements xml.Unmarshaler.
func (t *camtThere) UnmarshalXML(d *xml.Decoder, _ xml.StartElement) error {
	*t = true
	return d.Skip()
}

// camtBackCode tells that a transfer or a debit came back, or was called back.
// https://www.iso20022.org/catalogue-messages/additional-content-messages/external-code-sets
type camtBackCode bool

// UnmarshalXML implements xml.Unmarshaler.
func (c *camtBackCode) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	var code string
	err := d.DecodeElement(&code, &start)
	*c = camtBackCode(slices.Contains([]string{"RRTN", "RPCR", "PRDD", "UPDD"}, strings.TrimSpace(code)))
	return err
}

func (d camtDetail) back() bool { return bool(d.Returned) || bool(d.Back) }

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

// text is where a payer may have written a reference.
func (d camtDetail) text() string {
	return strings.Join(append(append([]string{d.EndToEnd, d.Text}, d.Unstructured...), d.Structured...), " ")
}

var (
	errNoAmount = errors.New("treasury: no amount")
	errNoDay    = errors.New("treasury: no day")
)

func (a camtAmount) parse(sign string) (money.Amount, error) {
	amount, err := parseDecimal(a.Value, money.Currency(a.Currency), ".")
	// A comma is none of the schema's: it may be meant for decimals.
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

// day is the date, or that of the time in its own zone, as the bank writes it.
func (d camtDate) day() (Day, error) {
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
	return Day(text), nil
}

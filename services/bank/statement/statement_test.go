package statement

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/money"
)

func eur(minor int64) money.Amount { return money.Amount{Minor: minor, Currency: money.EUR} }

// statementsOf reads a CAMT.053 file of one account.
func statementsOf(content []byte) ([]Statement, error) {
	contents, err := readCAMT(content, "")
	return contents.Statements, err
}

// linesOf reads a CSV file.
func linesOf(content []byte, f CSVFormat, currency money.Currency) ([]Movement, error) {
	read, err := readCSV(content, f, currency)
	return read.lines, err
}

// camt is a statement with entries, in a version's namespace.
func camt(version, opening, closing string, entries ...string) []byte {
	return []byte(fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.%s"><BkToCstmrStmt><GrpHdr><MsgId>1</MsgId></GrpHdr><Stmt>
<Id>S1</Id><Acct><Id><IBAN>FR7630006000011234567890189</IBAN></Id><Ccy>EUR</Ccy></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">%s</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-03-01</Dt></Dt></Bal>
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">%s</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-03-02</Dt></Dt></Bal>
%s</Stmt></BkToCstmrStmt></Document>`, version, opening, closing, strings.Join(entries, "\n")))
}

const (
	camtCredit = `<Ntry><Amt Ccy="EUR">25.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2026-03-02</Dt></BookgDt>
<AcctSvcrRef>B-1</AcctSvcrRef><NtryDtls><TxDtls><Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs>
<RltdPties><Dbtr><Nm>Jeanne Dupont</Nm></Dbtr><DbtrAcct><Id><IBAN>FR1420041010050500013M02606</IBAN></Id></DbtrAcct></RltdPties>
<RmtInf><Ustrd>CAG-7K3M</Ustrd><Ustrd>9QXT</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>`
	camtDebit = `<Ntry><Amt Ccy="EUR">90.5</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt><DtTm>2026-03-02T09:00:00+01:00</DtTm></BookgDt>
<NtryRef>N-2</NtryRef><AddtlNtryInf>PRLV</AddtlNtryInf></Ntry>`
	camtPending = `<Ntry><Amt Ccy="EUR">1.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>PDNG</Cd></Sts><BookgDt><Dt>2026-03-02</Dt></BookgDt></Ntry>`
	camtBatch   = `<Ntry><Amt Ccy="EUR">30.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2026-03-02</Dt></BookgDt><AcctSvcrRef>B-3</AcctSvcrRef>
<NtryDtls><TxDtls><AmtDtls><TxAmt><Amt Ccy="EUR">10.00</Amt></TxAmt></AmtDtls><RmtInf><Ustrd>one</Ustrd></RmtInf></TxDtls>
<TxDtls><Refs><AcctSvcrRef>B-3b</AcctSvcrRef></Refs><Amt Ccy="EUR">20.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><RmtInf><Ustrd>two</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>`
)

func TestCAMT(t *testing.T) {
	for _, version := range []string{"02", "08"} {
		parsed, err := statementsOf(camt(version, "100.00", "64.50", camtCredit, camtDebit, camtPending, camtBatch))
		if err != nil {
			t.Fatal(err)
		}
		p := parsed[0]
		if p.Account != "FR7630006000011234567890189" || *p.Opening != eur(100_00) || *p.Closing != eur(64_50) || p.ClosingOn != "2026-03-02" {
			t.Errorf("version %s: %+v", version, p)
		}
		type line struct {
			On        calendar.Day
			Amount    money.Amount
			Reference string
		}
		var got []line
		for _, l := range p.Movements {
			got = append(got, line{l.BookedOn, l.Amount, l.Reference})
		}
		want := []line{
			{"2026-03-02", eur(25_00), "B-1"}, {"2026-03-02", eur(-90_50), ""}, {"2026-03-02", eur(10_00), "B-3/1"}, {"2026-03-02", eur(20_00), "B-3b"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("version %s (-want +got):\n%s", version, diff)
		}
		if text := p.Movements[0].Text; !strings.Contains(text, "CAG-7K3M 9QXT") || strings.Contains(text, "Dupont") || strings.Contains(text, "3M02606") {
			t.Errorf("the text is %q", text)
		}
	}
}

func TestWhatIsNoCAMT(t *testing.T) {
	entity := strings.Replace(string(camt("02", "0", "25.00", camtCredit)), "<Document", `<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]><Document`, 1)
	for rule, c := range map[string]struct {
		content []byte
		reason  errs.Reason
	}{
		"nothing":                 {nil, errorsv1.ErrorReason_STATEMENT_UNREADABLE},
		"another file":            {[]byte("Date;Montant"), errorsv1.ErrorReason_STATEMENT_UNREADABLE},
		"another document":        {[]byte("<Document><Other/></Document>"), errorsv1.ErrorReason_STATEMENT_UNREADABLE},
		"a part":                  {camt("02", "0", "25.00", camtCredit)[:900], errorsv1.ErrorReason_STATEMENT_UNREADABLE},
		"an amount that is none":  {camt("02", "0", "25.00", strings.Replace(camtCredit, "25.00", "x", 1)), errorsv1.ErrorReason_STATEMENT_UNREADABLE},
		"a line that is missing":  {camt("02", "0", "50.00", camtCredit), errorsv1.ErrorReason_STATEMENT_UNBALANCED},
		"another encoding":        {bytes.Replace(camt("02", "0", "25.00", camtCredit), []byte("UTF-8"), []byte("UTF-16"), 1), errorsv1.ErrorReason_STATEMENT_UNREADABLE},
		"an entity of its own":    {[]byte(strings.Replace(entity, "CAG-7K3M", "&e;", 1)), errorsv1.ErrorReason_STATEMENT_UNREADABLE},
		"movements of two moneys": {camt("02", "0", "25.00", strings.Replace(camtCredit, "EUR", "CHF", 1)), errorsv1.ErrorReason_STATEMENT_UNREADABLE},
		"one balance, in another money": {
			[]byte(strings.NewReplacer("OPBD", "ITBD", `<Amt Ccy="EUR">26`, `<Amt Ccy="CHF">26`).Replace(string(camt("02", "0", "26.00", camtCredit)))),
			errorsv1.ErrorReason_STATEMENT_UNREADABLE,
		},
		"a movement without a state":   {camt("02", "0", "0", strings.Replace(camtCredit, "<Sts>BOOK</Sts>", "", 1)), errorsv1.ErrorReason_STATEMENT_UNREADABLE},
		"one of a state of the bank's": {camt("02", "0", "0", strings.Replace(camtCredit, "BOOK", "<Prtry>BOOKED</Prtry>", 1)), errorsv1.ErrorReason_STATEMENT_UNREADABLE},
		"a movement without a sign":    {camt("02", "0", "25.00", strings.Replace(camtCredit, "CRDT", "", 1)), errorsv1.ErrorReason_STATEMENT_UNREADABLE},
	} {
		t.Run(rule, func(t *testing.T) {
			if _, err := statementsOf(c.content); errs.As(err) == nil || errs.As(err).Reason != c.reason {
				t.Errorf("err = %v, want %s", err, c.reason)
			}
		})
	}
}

var frenchCSV = CSVFormat{Separator: ';', DateLayout: "02/01/2006", DecimalMark: ",", SkipLines: 1, Date: 1, Debit: 3, Credit: 4, Text: []int{2}}

func TestCSV(t *testing.T) {
	content := []byte("Date;Libell\xe9;D\xe9bit;Cr\xe9dit\r\n02/03/2026;\"VIR \xa4; CAG-7K3M-9QXT\";;\"1 234,50\"\r\n03/03/2026;PRLV;-12,5;\r\n;Solde;;\r\n")
	lines, err := linesOf(content, frenchCSV, money.EUR)
	if err != nil || len(lines) != 2 {
		t.Fatalf("%v, err = %v", lines, err)
	}
	if lines[0].BookedOn != "2026-03-02" || lines[0].Amount != eur(1234_50) || lines[0].Text != "VIR €; CAG-7K3M-9QXT" || lines[1].Amount != eur(-12_50) {
		t.Errorf("got %+v", lines)
	}
	for rule, text := range map[string]string{
		"a day in another way":    "2026-03-02;x;;1,00",
		"no amount":               "02/03/2026;x;;",
		"both sides":              "02/03/2026;x;1,00;1,00",
		"an amount with a word":   "02/03/2026;x;;douze",
		"three decimals":          "02/03/2026;x;;1,005",
		"groups of another size":  "02/03/2026;x;;1.23,00",
		"an amount without bound": "02/03/2026;x;;" + strings.Repeat("9", 30),
	} {
		t.Run("refuses "+rule, func(t *testing.T) {
			if _, err := linesOf([]byte("h\n"+text), frenchCSV, money.EUR); errs.As(err) == nil || errs.As(err).Reason != errorsv1.ErrorReason_STATEMENT_UNREADABLE {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func TestCSVWithQuotesThatAreLetters(t *testing.T) {
	columns := CSVFormat{Separator: ';', DateLayout: "02/01/2006", DecimalMark: ",", Date: 1, Amount: 3, Text: []int{2}}
	for rule, c := range map[string]struct{ text, want string }{
		"quotes of the bank":          {"\ufeff\"02/03/2026\";\"VIR;\nDON \"\"x\"\"\";\"20,00\"\n", "2000 VIR;\nDON \"x\"|"},
		"quotes of payers":            {"02/03/2026;\"AMIS\" DON;20,00\n03/03/2026;\"MARTIN\";30,00\n", "2000 'AMIS' DON|3000 'MARTIN'|"},
		"one that nobody closes":      {"02/03/2026;\"AMIS DON;20,00\n03/03/2026;MARTIN;30,00\n", "2000 'AMIS DON|3000 MARTIN|"},
		"a euro of Windows-1252":      {"02/03/2026;VIR;20,00 \x80\n", "2000 VIR|"},
		"payers' in every field's":    {"\"02/03/2026\";\"LES \"AMIS\"\";\"20,00\"\r\n\"03/03/2026\";\"12\" ; x\";\"30,00\"\r\n\r\n", "2000 LES \"AMIS\"|3000 12\" ; x|"},
		"one more field of a payer's": {"\"02/03/2026\";\"A\"B\";\"20,00\"\n\"03/03/2026\";\"A\";\"5,00\";\"30,00\"\n", ""},
		"a field without":             {"\"02/03/2026\";\"A\"B\";\"20,00\"\n\"03/03/2026\";A\"B;\"30,00\"\n", ""},
		"both kinds are for nobody":   {"\"02/03/2026\";\"AMIS\" DON;20,00\n", ""},
		"nor is a separator in both":  {"02/03/2026;\"VIR; 12\";20,00\n03/03/2026;\"AMIS\" DON;30,00\n", ""},
	} {
		t.Run(rule, func(t *testing.T) {
			lines, err := linesOf([]byte(c.text), columns, money.EUR)
			var got strings.Builder
			for _, l := range lines {
				fmt.Fprintf(&got, "%d %s|", l.Amount.Minor, l.Text)
			}
			if got.String() != c.want || (err == nil) != (c.want != "") {
				t.Errorf("got %q, err = %v; want %q", got.String(), err, c.want)
			}
		})
	}
}

func TestAQuoteThatCannotBeReadIsFound(t *testing.T) {
	columns := CSVFormat{Separator: ';', DateLayout: "02/01/2006", DecimalMark: ",", Date: 1, Amount: 3, Text: []int{2}, SkipLines: 1}
	_, err := linesOf([]byte("h\n\"02/03/2026\";\"A\";\"20,00\"\n\"02/03/2026\";\"A \"B\";\"C\"\";\"30,00\"\n"), columns, money.EUR)
	if err == nil || !strings.Contains(err.Error(), "line 3, column 17") {
		t.Errorf("err = %v", err)
	}
}

// A bank that quotes every field loses no line by what payers write, and invents none: it is read as it stands, or refused.
func TestCSVWithEveryFieldQuoted(t *testing.T) {
	columns := CSVFormat{Separator: ';', DateLayout: "02/01/2006", DecimalMark: ",", Date: 1, Amount: 3, Text: []int{2}}
	rapid.Check(t, func(t *rapid.T) {
		labels := rapid.SliceOfN(rapid.StringOfN(rapid.SampledFrom([]rune(`""A; `)), 0, 6, -1), 2, 6).Draw(t, "labels")
		var file strings.Builder
		for i, label := range labels {
			fmt.Fprintf(&file, "\"02/03/2026\";\"%s\";\"%d,00\"\n", label, i+1)
		}
		lines, err := linesOf([]byte(file.String()), columns, money.EUR)
		if err != nil {
			return
		}
		if len(lines) != len(labels) {
			t.Fatalf("%d of %d lines of %q", len(lines), len(labels), file.String())
		}
		for i, line := range lines {
			if line.Amount != eur(int64(i+1)*100) {
				t.Errorf("%q is %+v", labels[i], line)
			}
		}
	})
}

// Whatever payers write, a bank that puts no quotes loses no line by them.
func TestCSVWithoutQuotes(t *testing.T) {
	columns := CSVFormat{Separator: ';', DateLayout: "02/01/2006", DecimalMark: ",", Date: 1, Quotes: QuotesInText}
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(1, 3).Draw(t, "column of the text")
		columns.Text, columns.Date, columns.Amount = []int{at}, 1+at%3, 1+(at+1)%3
		labels := rapid.SliceOfN(rapid.StringOfN(rapid.SampledFrom([]rune(`""A '`)), 0, 5, -1), 1, 6).Draw(t, "labels")
		var file strings.Builder
		for i, label := range labels {
			record := make([]string, 3)
			record[at-1], record[columns.Date-1], record[columns.Amount-1] = label, "02/03/2026", fmt.Sprintf("%d,00", i+1)
			file.WriteString(strings.Join(record, ";") + "\r\n")
		}
		lines, err := linesOf([]byte(file.String()), columns, money.EUR)
		if err != nil || len(lines) != len(labels) {
			t.Fatalf("%d of %d lines of %q, err = %v", len(lines), len(labels), file.String(), err)
		}
		for i, line := range lines {
			if line.Amount != eur(int64(i+1)*100) || lettersAndDigits(line.Text) != lettersAndDigits(labels[i]) {
				t.Errorf("%q is %+v", labels[i], line)
			}
		}
	})
}

// A payer may write line breaks, and what looks like a movement, where the bank puts its text in quotes.
func TestAPayersTextIsNoMovement(t *testing.T) {
	file := "2026-03-02,10.00,\"VIR DUPONT\n2026-03-02,1000.00,CAG-7K3M-9QXT\"\n2026-03-03,5.00,\"VIR\"\n"
	f := CSVFormat{Separator: ',', DateLayout: "2006-01-02", DecimalMark: ".", Date: 1, Amount: 2, Text: []int{3}}
	if lines, err := linesOf([]byte(file), f, money.EUR); err == nil || !strings.Contains(err.Error(), "csv.quotes") {
		t.Errorf("not said: %+v, err = %v", lines, err)
	}
	f.Quotes = QuotesAroundFields
	lines, err := linesOf([]byte(file), f, money.EUR)
	if err != nil || len(lines) != 2 || lines[0].Amount != eur(10_00) || lines[1].Amount != eur(5_00) {
		t.Errorf("around fields: %+v, err = %v", lines, err)
	}
	f.Quotes = QuotesInText
	if lines, err := linesOf([]byte(file), f, money.EUR); err != nil || len(lines) != 3 {
		t.Errorf("in the text: %+v, err = %v", lines, err)
	}
}

func TestDecimals(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1_00, "1,5": 1_50, "-1,50": -1_50, "1,50-": -1_50, "+1,50": 1_50, "1 234,56": 1234_56, "1\u202f234,56": 1234_56,
		"1.234.567,89": 1234567_89, "12,500": 12_50, "000000000000149,87": 149_87, ",50": 50, "+5,00": 5_00, "-,05": -5, "0": 0, "−3,00 €": -3_00, "EUR 7": 7_00, "- 5,00": -5_00, "€ -5,00": -5_00, "-5,00 EUR": -5_00,
	} {
		if got, err := parseDecimal(text, money.EUR, ","); err != nil || got != eur(want) {
			t.Errorf("%q is %v, err = %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "-", ",", "12€50", "12EUR50", "12 50", "10\n20", "10,00 20,00", "1 23,00", "1  234,00", "5,0 0", "--5", "+-5", "(5)", "1e3", "0x10", "1'234,00", "1.50", "1,505",
	} {
		if got, err := parseDecimal(text, money.EUR, ","); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
	if got, err := parseDecimal("1200", "JPY", "."); err != nil || got.Minor != 1200 {
		t.Errorf("yen: %v, %v", got, err)
	}
}

// FuzzStatements shows that no file does harm: it is read, and then balanced, or refused in our own words.
func FuzzStatements(f *testing.F) {
	f.Add(camt("02", "100.00", "125.00", camtCredit))
	f.Add(camt("08", "0", "30.00", camtBatch))
	f.Add([]byte("Date;Libell\xe9;D\xe9bit;Cr\xe9dit\n02/03/2026;VIR;;\"1 234,50\"\n"))
	f.Add([]byte("h\n02/03/2026;x;-;\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if statements, err := statementsOf(content); err != nil {
			wantOurs(t, err)
		} else {
			for _, s := range statements {
				wantLines(t, s.Movements)
			}
		}
		if lines, err := linesOf(content, frenchCSV, money.EUR); err != nil {
			wantOurs(t, err)
		} else {
			wantLines(t, lines)
		}
	})
}

func wantOurs(t *testing.T, err error) {
	if reason := errs.As(err).Reason; reason != errorsv1.ErrorReason_STATEMENT_UNREADABLE && reason != errorsv1.ErrorReason_STATEMENT_UNBALANCED {
		t.Errorf("err = %v", err)
	}
}

func wantLines(t *testing.T, lines []Movement) {
	for _, l := range lines {
		if l.Amount.Minor == 0 || !l.Amount.Currency.Valid() || len(l.BookedOn) != 10 || len(l.Reference) > 100 {
			t.Errorf("a line is %+v", l)
		}
	}
}

// Each payment of a batch has its own sign, and its own mark of coming back.
func TestPaymentsOfABatchAreReadEach(t *testing.T) {
	batch := strings.Replace(strings.Replace(camtBatch, "one", "CAG-7K3M-9QXT", 1), "</TxDtls>", "<RtrInf/></TxDtls>", 1)
	parsed, err := statementsOf(camt("08", "100.00", "130.00", batch))
	if err != nil || len(parsed[0].Movements) != 2 || !parsed[0].Movements[0].Reversal || parsed[0].Movements[1].Reversal {
		t.Errorf("one of a batch: %+v, err = %v", parsed, err)
	}
	mixed := strings.NewReplacer(`"EUR">30.00`, `"EUR">10.00`, "<TxDtls><AmtDtls>", "<TxDtls><CdtDbtInd> DBIT </CdtDbtInd><AmtDtls>").Replace(camtBatch)
	if parsed, err := statementsOf(camt("08", "100.00", "110.00", mixed)); err != nil || len(parsed[0].Movements) != 2 || parsed[0].Movements[0].Amount != eur(-10_00) {
		t.Errorf("a batch of both signs: %+v, err = %v", parsed, err)
	}
}

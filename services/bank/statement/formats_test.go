package statement

import (
	"archive/zip"
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/xuri/excelize/v2"

	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/money"
)

const (
	ownIBAN   = "FR7630006000011234567890189"
	savings   = "FR1420041010050500013M02606"
	formatDay = calendar.Day("2026-12-31")
)

// detected reads a file by its content alone, as an import does.
func detected(content []byte, own string) (Contents, Format, error) {
	d, err := Detect(File{Content: content, Currency: money.EUR, OwnAccount: own, Today: formatDay})
	if err != nil {
		return Contents{}, "", err
	}
	read, err := Read(d.File)
	return read, d.File.format(), err
}

// sums are the movements of all statements, as day and amount.
func sums(c Contents) (all []string) {
	for _, s := range c.Statements {
		for _, m := range s.Movements {
			all = append(all, fmt.Sprintf("%s %s", m.BookedOn, m.Amount))
		}
	}
	return all
}

// ofx1 is what a French bank offers: SGML without ends, Windows-1252, decimal commas, the account in the parts of a RIB.
const ofx1 = "OFXHEADER:100\r\nDATA:OFXSGML\r\nVERSION:102\r\nSECURITY:NONE\r\nENCODING:USASCII\r\nCHARSET:1252\r\nCOMPRESSION:NONE\r\n\r\n" +
	"<OFX>\r\n<SIGNONMSGSRSV1>\r\n<SONRS>\r\n<STATUS>\r\n<CODE>0\r\n</STATUS>\r\n<LANGUAGE>FRA\r\n</SONRS>\r\n</SIGNONMSGSRSV1>\r\n<BANKMSGSRSV1>\r\n" +
	"<STMTTRNRS>\r\n<STMTRS>\r\n<CURDEF>EUR\r\n<BANKACCTFROM>\r\n<BANKID>30006\r\n<BRANCHID>00001\r\n<ACCTID>12345678901\r\n<ACCTTYPE>CHECKING\r\n</BANKACCTFROM>\r\n" +
	"<BANKTRANLIST>\r\n<DTSTART>20261101\r\n<DTEND>20261130\r\n" +
	"<STMTTRN>\r\n<TRNTYPE>CREDIT\r\n<DTPOSTED>20261109\r\n<TRNAMT>+50,00\r\n<FITID>2026110900017\r\n<NAME>VIR SEPA D\xe9lice &amp; Fils\r\n<MEMO>CAG-7K3M-9QXT\r\n</STMTTRN>\r\n" +
	"<STMTTRN>\r\n<TRNTYPE>DEBIT\r\n<DTPOSTED>20261110120000.000[+1:CET]\r\n<TRNAMT>-1234,56\r\n<FITID>2026111000018\r\n<NAME>PRLV\r\n</STMTTRN>\r\n" +
	"<STMTTRN>\r\n<TRNTYPE>OTHER\r\n<DTPOSTED>20261110\r\n<TRNAMT>0,00\r\n<FITID>2026111000019\r\n<NAME>INFORMATION\r\n</STMTTRN>\r\n" +
	"</BANKTRANLIST>\r\n<LEDGERBAL>\r\n<BALAMT>815,44\r\n<DTASOF>20261130\r\n</LEDGERBAL>\r\n<AVAILBAL>\r\n<BALAMT>1,00\r\n<DTASOF>20261130\r\n</AVAILBAL>\r\n</STMTRS>\r\n</STMTTRNRS>\r\n</BANKMSGSRSV1>\r\n</OFX>\r\n"

func TestOFX(t *testing.T) {
	read, format, err := detected([]byte(ofx1), ownIBAN)
	if err != nil || format != OFX {
		t.Fatal(format, err)
	}
	s := read.Statements[0]
	if s.Account != ownIBAN || s.Opening != nil || *s.Closing != eur(815_44) || s.ClosingOn != "2026-11-30" || read.NotBooked != 1 {
		t.Errorf("read %+v, %d left out", s, read.NotBooked)
	}
	want := []Movement{
		{BookedOn: "2026-11-09", Amount: eur(50_00), Reference: "2026110900017", Text: "VIR SEPA Délice & Fils CAG-7K3M-9QXT"},
		{BookedOn: "2026-11-10", Amount: eur(-1234_56), Reference: "2026111000018", Text: "PRLV"},
	}
	if diff := cmp.Diff(want, s.Movements, cmpopts.IgnoreUnexported(Movement{})); diff != "" {
		t.Error(diff)
	}
	t.Run("version 2, with a card beside and what is announced only", func(t *testing.T) {
		two := `<?xml version="1.0" encoding="UTF-8"?><?OFX OFXHEADER="200" VERSION="211"?><OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>EUR</CURDEF>` +
			`<BANKACCTFROM><BANKID>X</BANKID><ACCTID>FR76 3000 6000 0112 3456 7890 189</ACCTID></BANKACCTFROM><BANKTRANLIST>` +
			`<STMTTRN><TRNTYPE>XFER</TRNTYPE><DTPOSTED>20261109</DTPOSTED><TRNAMT>12.5</TRNAMT><FITID>1</FITID><BANKACCTTO><ACCTID>999</ACCTID></BANKACCTTO><MEMO>é</MEMO></STMTTRN>` +
			`</BANKTRANLIST><BANKTRANLISTP><STMTTRNP><TRNTYPE>CREDIT</TRNTYPE><TRNAMT>99.00</TRNAMT></STMTTRNP></BANKTRANLISTP></STMTRS></STMTTRNRS></BANKMSGSRSV1>` +
			`<CREDITCARDMSGSRSV1><CCSTMTTRNRS><CCSTMTRS><CURDEF>EUR</CURDEF><CCACCTFROM><ACCTID>4970000000000000</ACCTID></CCACCTFROM><BANKTRANLIST>` +
			`<STMTTRN><TRNTYPE>DEBIT</TRNTYPE><DTPOSTED>20261109</DTPOSTED><TRNAMT>-7.00</TRNAMT><FITID>2</FITID></STMTTRN></BANKTRANLIST></CCSTMTRS></CCSTMTTRNRS></CREDITCARDMSGSRSV1></OFX>`
		read, _, err := detected([]byte(two), ownIBAN)
		if err != nil {
			t.Fatal(err)
		}
		if got := sums(read); len(got) != 1 || got[0] != "2026-11-09 12.50 EUR" || read.NotBooked != 1 || len(read.OtherAccounts) != 1 {
			t.Errorf("read %v, %d left out, others %v", got, read.NotBooked, read.OtherAccounts)
		}
		// An id of one digit counts the movements of a file, and does not recognise one in another file.
		if m := read.Statements[0].Movements[0]; m.Reference != "" || m.Text != "é" {
			t.Errorf("read %+v", m)
		}
	})
	for name, c := range map[string]struct {
		old, changed string
		want         ProblemKind
	}{
		"another account":              {"<ACCTID>12345678901", "<ACCTID>12345678902", ProblemOtherAccount},
		"a sign that the kind denies":  {"<TRNAMT>-1234,56", "<TRNAMT>1234,56", ProblemDirection},
		"a day in another way":         {"<DTPOSTED>20261109", "<DTPOSTED>09/11/2026", ProblemDay},
		"a third decimal":              {"<TRNAMT>+50,00", "<TRNAMT>+50,005", ProblemAmount},
		"a day to come":                {"<DTPOSTED>20261109", "<DTPOSTED>20270109", ProblemFuture},
		"no statement of an account":   {"<STMTRS>", "<INVSTMTRS>", ProblemNotAStatement},
		"an amount in another writing": {"<TRNAMT>+50,00", "<TRNAMT>cinquante", ProblemAmount},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := detected([]byte(strings.Replace(ofx1, c.old, c.changed, 1)), ownIBAN)
			if problem, _ := ProblemOf(err); problem.Kind != c.want {
				t.Errorf("got %q, %v", problem.Kind, err)
			}
		})
	}
}

// cfonbLine is a record of 120 characters: head, what stands from place 35 on, and the amount.
func cfonbLine(code, account, day, text, amount string) string {
	line := fmt.Sprintf("%s30006    %s%s2 %s  %s", code, "00001", "EUR", account, day)
	return fmt.Sprintf("%-90s%s%16s", line+text, amount, "")
}

func cfonbFile(amounts ...string) string {
	const account = "12345678901"
	lines := []string{
		cfonbLine("01", account, "311026", "", amounts[0]),
		cfonbLine("04", account, "091126", "  091126VIR DELICE", amounts[1]),
		fmt.Sprintf("%-120s", "0530006    00001EUR2 "+account+"  091126     LCCCAG-7K3M-9QXT"),
		cfonbLine("04", account, "101126", "  101126VIR A AVOCATE", amounts[2]),
		fmt.Sprintf("%-120s", "0530006    00001EUR2 "+account+"  101126     NBEMaitre Exemple"),
		cfonbLine("07", account, "301126", "", amounts[3]),
	}
	return strings.Join(lines, "\r\n") + "\r\n"
}

func TestCFONB120(t *testing.T) {
	// 1,000.00, +50.00, -90.51, 959.49
	file := cfonbFile("0000000010000{", "0000000000500{", "0000000000905J", "0000000009594I")
	for name, content := range map[string]string{"on lines": file, "one behind the other": strings.ReplaceAll(file, "\r\n", "")} {
		t.Run(name, func(t *testing.T) {
			read, format, err := detected([]byte(content), ownIBAN)
			if err != nil || format != CFONB120 {
				t.Fatal(format, err)
			}
			s := read.Statements[0]
			if s.Account != ownIBAN || *s.Opening != eur(1000_00) || *s.Closing != eur(959_49) || s.ClosingOn != "2026-11-30" {
				t.Errorf("read %+v", s)
			}
			want := []Movement{
				{BookedOn: "2026-11-09", Amount: eur(50_00), Text: "VIR DELICE CAG-7K3M-9QXT"},
				{BookedOn: "2026-11-10", Amount: eur(-90_51), Text: "VIR A AVOCATE Maitre Exemple", Payee: "Maitre Exemple"},
			}
			if diff := cmp.Diff(want, s.Movements, cmpopts.IgnoreUnexported(Movement{})); diff != "" {
				t.Error(diff)
			}
		})
	}
	for name, c := range map[string]struct {
		content string
		want    ProblemKind
	}{
		"a balance that is not reached": {cfonbFile("0000000010000{", "0000000000500{", "0000000000905J", "0000000009594J"), ProblemUnbalanced},
		"no balance at the end":         {strings.Join(strings.SplitAfter(file, "\r\n")[:5], ""), ProblemBroken},
		"another account":               {strings.ReplaceAll(file, "12345678901", "12345678902"), ProblemOtherAccount},
		"an amount without a sign":      {cfonbFile("0000000010000{", "00000000005000", "0000000000905J", "0000000009594I"), ProblemAmount},
		"another record":                {strings.Replace(file, "\r\n05", "\r\n09", 1), ProblemBroken},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := detected([]byte(c.content), ownIBAN)
			if problem, _ := ProblemOf(err); problem.Kind != c.want {
				t.Errorf("got %q, %v", problem.Kind, err)
			}
		})
	}
}

const mt940File = "{1:F01AGRIFRPPXXXX0000000000}{2:I940X}{4:\r\n:20:STARTUMS\r\n:25:AGRIFRPP/" + ownIBAN + "\r\n:28C:1/1\r\n:60F:C261231EUR1000,\r\n" +
	":61:2701021231CR50,NTRFNONREF//B-17\r\nSUPPLEMENT\r\n:86:166?00GUTSCHRIFT?20CAG-7K3M-?219QXT?32JEANNE\r\n:61:270102D90,51NCHGKREF\r\n:86:FEE\r\n" +
	":61:2701020102RC10,00NTRFX//B-18\r\n:62F:C270102EUR949,49\r\n:86:of the whole\r\n-}"

func TestMT940(t *testing.T) {
	d, err := Detect(File{Content: []byte(mt940File), OwnAccount: ownIBAN, Today: "2027-01-31"})
	if err != nil {
		t.Fatal(err)
	}
	read, err := Read(d.File)
	if err != nil {
		t.Fatal(err)
	}
	s := read.Statements[0]
	if s.Account != ownIBAN || *s.Opening != eur(1000_00) || *s.Closing != eur(949_49) || s.ClosingOn != "2027-01-02" {
		t.Errorf("read %+v", s)
	}
	want := []Movement{
		// Valued on 2 January, booked on 31 December: of the year before.
		{BookedOn: "2026-12-31", Amount: eur(50_00), Reference: "B-17", Text: "SUPPLEMENT GUTSCHRIFT CAG-7K3M- 9QXT JEANNE"},
		{BookedOn: "2027-01-02", Amount: eur(-90_51), Text: "KREF FEE"},
		{BookedOn: "2027-01-02", Amount: eur(-10_00), Reference: "B-18", Text: "X", Reversal: true},
	}
	if diff := cmp.Diff(want, s.Movements, cmpopts.IgnoreUnexported(Movement{})); diff != "" {
		t.Error(diff)
	}
	if cut := strings.Replace(mt940File, ":62F:C270102EUR949,49\r\n", "", 1); true {
		_, _, err := detected([]byte(cut), ownIBAN)
		if problem, _ := ProblemOf(err); problem.Kind != ProblemBroken {
			t.Errorf("a file that was cut: %v", err)
		}
	}
}

func TestQIF(t *testing.T) {
	file := func(days ...string) []byte {
		return []byte("!Account\nNCompte\nTBank\n^\n!Type:Bank\nD" + days[0] + "\nT1 234,56\nPVIR CAG-7K3M-9QXT\nLDons\n^\nD" + days[1] + "\nT-7,00\nN123\n^\nD" + days[1] + "\nT0,00\n^\n")
	}
	for name, days := range map[string][]string{
		"French": {"28/11/2026", "30/11/2026"}, "two digits": {"28/11/26", "30/11/26"}, "apostrophe": {"28/11'26", "30/11'26"}, "American": {"11/28/2026", "11/30/2026"},
	} {
		t.Run(name, func(t *testing.T) {
			read, format, err := detected(file(days...), ownIBAN)
			if err != nil || format != QIF {
				t.Fatal(format, err)
			}
			got := sums(read)
			if len(got) != 2 || !strings.HasSuffix(got[0], " 1234.56 EUR") || !strings.HasPrefix(got[0], "2026-11-") || !strings.HasSuffix(got[1], " -7.00 EUR") || read.NotBooked != 1 {
				t.Errorf("read %v, %d left out", got, read.NotBooked)
			}
		})
	}
	t.Run("days that jump to and fro when they are read in another way", func(t *testing.T) {
		read, _, err := detected([]byte("!Type:Bank\nD09/11/2026\nT1,00\n^\nD10/11/2026\nT1,00\n^\nD02/12/2026\nT1,00\n^\n"), ownIBAN)
		if got := sums(read); err != nil || got[0] != "2026-11-09 1.00 EUR" || got[2] != "2026-12-02 1.00 EUR" {
			t.Errorf("read %v, %v", got, err)
		}
	})
	for name, c := range map[string]struct {
		content []byte
		want    ProblemKind
	}{
		"days that can be read in two ways":    {file("02/03/2026", "03/04/2026"), ProblemAmbiguous},
		"days that are none":                   {file("hier", "demain"), ProblemDay},
		"amounts that can be read in two ways": {[]byte("!Type:Bank\nD28/11/2026\nT1.234\n^\n"), ProblemAmbiguous},
		"two accounts":                         {[]byte(string(file("28/11/2026", "30/11/2026")) + "!Type:Bank\nD28/11/2026\nT1,00\n^\n"), ProblemAccounts},
		"shares":                               {[]byte("!Type:Invst\nD28/11/2026\nT1,00\n^\n"), ProblemNotAStatement},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := detected(c.content, ownIBAN)
			if problem, _ := ProblemOf(err); problem.Kind != c.want {
				t.Errorf("got %q, %v", problem.Kind, err)
			}
		})
	}
}

func zipped(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range files {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestArchives(t *testing.T) {
	november := string(camt("08", "100.00", "125.00", camtCredit))
	t.Run("one file, and what systems add", func(t *testing.T) {
		read, format, err := detected(zipped(t, map[string]string{"a/releve.ofx": ofx1, "__MACOSX/._releve.ofx": "x", ".DS_Store": "x"}), ownIBAN)
		if err != nil || format != OFX || len(sums(read)) != 2 {
			t.Fatal(format, sums(read), err)
		}
	})
	t.Run("several files of one format", func(t *testing.T) {
		read, format, err := detected(zipped(t, map[string]string{"1.xml": november, "2.xml": november}), ownIBAN)
		if err != nil || format != CAMT053 || len(read.Statements) != 2 {
			t.Fatal(format, read, err)
		}
	})
	large := strings.Repeat("a", maxUnpacked+1)
	for name, c := range map[string]struct {
		files map[string]string
		want  ProblemKind
	}{
		"files of two formats": {map[string]string{"1.xml": november, "2.ofx": ofx1}, ProblemAmbiguous},
		"an archive in it":     {map[string]string{"a.zip": string(zipped(t, map[string]string{"1.xml": november}))}, ProblemWorkbook},
		"more than is read":    {map[string]string{"1.xml": large}, ProblemTooLarge},
		"nothing":              {map[string]string{}, ProblemEmpty},
	} {
		t.Run(name, func(t *testing.T) {
			content := zipped(t, c.files)
			if len(c.files) == 0 {
				content = zipped(t, map[string]string{".hidden": ""})
			}
			_, _, err := detected(content, ownIBAN)
			if problem, _ := ProblemOf(err); problem.Kind != c.want {
				t.Errorf("got %q, %v", problem.Kind, err)
			}
		})
	}
}

func TestWorkbook(t *testing.T) {
	book := excelize.NewFile()
	defer book.Close()
	day, err := book.NewStyle(&excelize.Style{NumFmt: 14})
	if err != nil {
		t.Fatal(err)
	}
	for at, value := range map[string]any{
		"A1": "Date", "B1": "Libellé", "C1": "Montant",
		"A2": 46335, "B2": "VIR CAG-7K3M-9QXT", "C2": 50.0,
		"A3": 46336, "B3": "0600012", "C3": -0.1 - 0.2,
	} {
		if err := book.SetCellValue("Sheet1", at, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := book.SetCellStyle("Sheet1", "A2", "A3", day); err != nil {
		t.Fatal(err)
	}
	content, err := book.WriteToBuffer()
	if err != nil {
		t.Fatal(err)
	}
	read, format, err := detected(content.Bytes(), ownIBAN)
	if err != nil || format != CSV {
		t.Fatal(format, err)
	}
	if got := sums(read); len(got) != 2 || got[0] != "2026-11-09 50.00 EUR" || got[1] != "2026-11-10 -0.30 EUR" {
		t.Errorf("read %v", got)
	}
	if text := read.Statements[0].Movements[1].Text; text != "0600012" {
		t.Errorf("a text of digits became %q", text)
	}
}

func TestOtherReportsAreNamed(t *testing.T) {
	for element, want := range map[string]ProblemKind{"BkToCstmrAcctRpt": ProblemIntraday, "BkToCstmrDbtCdtNtfctn": ProblemNotification} {
		_, _, err := detected([]byte(`<?xml version="1.0"?><Document xmlns="urn:iso"><`+element+`></`+element+`></Document>`), ownIBAN)
		if problem, _ := ProblemOf(err); problem.Kind != want {
			t.Errorf("%s: %q, %v", element, problem.Kind, err)
		}
	}
}

func TestAccounts(t *testing.T) {
	if iban, ok := frenchIBAN("30006", "00001", "12345678901"); !ok || iban != ownIBAN {
		t.Errorf("got %s", iban)
	}
	if iban, ok := frenchIBAN("20041", "01005", "0500013M026"); !ok || iban != savings {
		t.Errorf("got %s", iban)
	}
	for in, want := range map[string]bool{ownIBAN: true, savings: false, "12345678901": true, "0012345678901": true, "8901": false, "1234567890": false, "": false} {
		if sameAccount(in, ownIBAN) != want {
			t.Errorf("%q is the same account: %v", in, !want)
		}
	}
}

// Any bytes are read or refused: nothing panics, and what is read has days, amounts and one currency.
func FuzzFormats(f *testing.F) {
	for _, seed := range []string{
		ofx1, mt940File, cfonbFile("0000000010000{", "0000000000500{", "0000000000905J", "0000000009594I"),
		"!Type:Bank\nD28/11/2026\nT1,00\n^\n", string(camt("08", "100.00", "125.00", camtCredit)), "Date;Montant\n28/11/2026;1,00\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		read, _, err := detected(content, "")
		if err != nil {
			return
		}
		for _, s := range read.Statements {
			for _, m := range s.Movements {
				if m.BookedOn == "" || m.Amount.Minor == 0 || m.Amount.Currency != s.Currency {
					t.Errorf("read %+v of %+v", m, s)
				}
			}
		}
	})
}

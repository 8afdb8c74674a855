package treasury

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/money"
)

const (
	ourIBAN   = "FR7630006000011234567890189"
	otherIBAN = "FR7610011000201234567890188"
)

// camtOf is a CAMT.053 document about an account, with a debit or a credit for each amount, in its order: "+50.00", "-25.00",
// and "r-25.00" for one that is marked as taking back another.
func camtOf(iban, id, opening, closing string, amounts ...string) string {
	var entries strings.Builder
	for i, a := range amounts {
		a, reversal := strings.CutPrefix(a, "r")
		mark := map[bool]string{true: "<RvslInd>true</RvslInd>"}[reversal]
		sign := map[string]string{"+": "CRDT", "-": "DBIT"}[a[:1]]
		fmt.Fprintf(&entries, `<Ntry><Amt Ccy="EUR">%s</Amt><CdtDbtInd>%s</CdtDbtInd>%s<Sts>BOOK</Sts><BookgDt><Dt>2026-03-02</Dt></BookgDt>`+
			`<AcctSvcrRef>%s%04d</AcctSvcrRef></Ntry>`, a[1:], sign, mark, id, i+1)
	}
	balance := func(code, amount string) string {
		if amount == "" {
			return ""
		}
		return fmt.Sprintf(`<Bal><Tp><CdOrPrtry><Cd>%s</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">%s</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-03-02</Dt></Dt></Bal>`, code, amount)
	}
	return `<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt><GrpHdr><MsgId>` + id + `</MsgId></GrpHdr>
<Stmt><Id>` + id + `</Id><Acct><Id><IBAN>` + iban + `</IBAN></Id><Ccy>EUR</Ccy></Acct>` +
		balance("OPBD", opening) + balance("CLBD", closing) + entries.String() + `</Stmt></BkToCstmrStmt></Document>`
}

// inOne puts the statements of two documents into the first.
func inOne(first, second string) string {
	const tail = "</BkToCstmrStmt></Document>"
	return strings.TrimSuffix(first, tail) + second[strings.Index(second, "<Stmt>"):]
}

func TestCAMTFilesThatBanksSend(t *testing.T) {
	one := camtOf(ourIBAN, "R1", "1000.00", "1050.00", "+50.00")
	two := camtOf(ourIBAN, "R2", "1050.00", "1125.00", "+100.00", "-25.00")
	savings := camtOf(otherIBAN, "L1", "5000.00", "5000.00")
	latin := func(s string) string {
		return strings.ReplaceAll(strings.Replace(s, "UTF-8", "ISO-8859-1", 1), "R1", "R1\xe9\x80")
	}
	for name, c := range map[string]struct {
		content, account, iban string
		// want are the movements in cents and the closing balance, or the reason and the field of a refusal.
		want    []int64
		closing int64
		leftOut []string
		refused string
	}{
		"two documents, one behind the other":           {content: one + "\n" + two, iban: ourIBAN, want: []int64{50_00, 100_00, -25_00}, closing: 1125_00},
		"with a byte order mark between":                {content: one + "\r\n\ufeff" + two + "\n\n", iban: ourIBAN, want: []int64{50_00, 100_00, -25_00}, closing: 1125_00},
		"without anything between":                      {content: one + two, iban: ourIBAN, want: []int64{50_00, 100_00, -25_00}, closing: 1125_00},
		"the first in another encoding":                 {content: latin(one) + two, iban: ourIBAN, want: []int64{50_00, 100_00, -25_00}, closing: 1125_00},
		"both in another encoding":                      {content: latin(one) + latin(two), iban: ourIBAN, want: []int64{50_00, 100_00, -25_00}, closing: 1125_00},
		"the second cut off":                            {content: one + two[:len(two)-200], iban: ourIBAN, refused: "STATEMENT_UNREADABLE content"},
		"the second unbalanced":                         {content: one + strings.Replace(two, "1125.00", "1126.00", 1), iban: ourIBAN, refused: "STATEMENT_UNBALANCED content"},
		"words behind the document":                     {content: one + "total 50.00", iban: ourIBAN, refused: "STATEMENT_UNREADABLE content"},
		"another document behind it":                    {content: one + `<Document><BkToCstmrAcctRpt/></Document>`, iban: ourIBAN, refused: "STATEMENT_UNREADABLE content"},
		"two accounts, ours by the settings":            {content: inOne(one, savings), iban: ourIBAN, want: []int64{50_00}, closing: 1050_00, leftOut: []string{otherIBAN}},
		"two accounts in two documents":                 {content: savings + one, iban: ourIBAN, want: []int64{50_00}, closing: 1050_00, leftOut: []string{otherIBAN}},
		"two accounts, and one is asked for":            {content: inOne(one, savings), account: ourIBAN, want: []int64{50_00}, closing: 1050_00, leftOut: []string{otherIBAN}},
		"two accounts, and nobody says which":           {content: inOne(one, savings), refused: "STATEMENT_ACCOUNTS account"},
		"two accounts, and none is ours":                {content: inOne(savings, strings.ReplaceAll(one, ourIBAN, "DE89370400440532013000")), iban: ourIBAN, refused: "BANK_ACCOUNT_MISMATCH content"},
		"another account than that of the settings":     {content: inOne(one, savings), account: otherIBAN, iban: ourIBAN, refused: "BANK_ACCOUNT_MISMATCH content"},
		"what is left out may be wrong":                 {content: inOne(one, strings.Replace(savings, "5000.00", "7", 1)), iban: ourIBAN, want: []int64{50_00}, closing: 1050_00, leftOut: []string{otherIBAN}},
		"amounts with zeros in front":                   {content: camtOf(ourIBAN, "Z", "000000000000149.87", "000000000000199.87", "+000000000000050.00"), iban: ourIBAN, want: []int64{50_00}, closing: 199_87},
		"amounts without zeros, and with a plus":        {content: camtOf(ourIBAN, "Z", ".50", "+5.50", "+ +5.00"), iban: ourIBAN, want: []int64{5_00}, closing: 5_50},
		"an amount with a comma":                        {content: camtOf(ourIBAN, "Z", "0", "1000.00", "+1,000"), iban: ourIBAN, refused: "STATEMENT_UNREADABLE content"},
		"an amount with a minus":                        {content: camtOf(ourIBAN, "Z", "5.00", "0", "+-5.00"), iban: ourIBAN, refused: "STATEMENT_UNREADABLE content"},
		"a debit that came back, by the sign it had":    {content: camtOf(ourIBAN, "S", "1000.00", "1025.00", "r-25.00"), iban: ourIBAN, want: []int64{25_00}, closing: 1025_00},
		"a debit that came back, by its own sign":       {content: camtOf(ourIBAN, "S", "1000.00", "1025.00", "r+25.00"), iban: ourIBAN, want: []int64{25_00}, closing: 1025_00},
		"a credit that was taken back, by its own sign": {content: camtOf(ourIBAN, "S", "1000.00", "985.00", "+10.00", "r-25.00"), iban: ourIBAN, want: []int64{10_00, -25_00}, closing: 985_00},
		"a reversal that adds up neither way":           {content: camtOf(ourIBAN, "S", "1000.00", "1024.00", "r-25.00"), iban: ourIBAN, refused: "STATEMENT_UNBALANCED content"},
		"a reversal without balances":                   {content: camtOf(ourIBAN, "S", "", "1025.00", "r-25.00"), iban: ourIBAN, refused: "STATEMENT_UNREADABLE content"},
	} {
		t.Run(name, func(t *testing.T) {
			parsed, aside, err := StatementFile{Content: []byte(c.content), Account: c.account}.parse(c.iban, "2026-03-10")
			if c.refused != "" {
				wantRefused(t, err, c.refused)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []int64
			for _, p := range parsed {
				for _, l := range p.lines {
					got = append(got, l.amount.Minor)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("movements (-want +got)\n%s", diff)
			}
			if last := parsed[len(parsed)-1]; *last.closing != eur(c.closing) || !slices.Equal(aside.LeftOut, c.leftOut) {
				t.Errorf("closing %v, left out %v", last.closing, aside.LeftOut)
			}
		})
	}
	_, _, err := StatementFile{Content: []byte(inOne(one, savings))}.parse("", "2026-03-10")
	if err == nil || !strings.Contains(err.Error(), ourIBAN+", "+otherIBAN) {
		t.Errorf("which accounts there are: %v", err)
	}
}

func wantRefused(t *testing.T, err error, want string) {
	t.Helper()
	e := errs.As(err)
	if err == nil || len(e.Fields) != 1 || e.Reason.String()+" "+e.Fields[0].Field != want {
		t.Errorf("err = %v, want %s", err, want)
	}
}

// inWindows1252 writes a text as programs on Windows do.
func inWindows1252(text string) []byte {
	upper := []rune(windows1252)
	var b []byte
	for _, r := range text {
		if i := slices.Index(upper, r); i >= 0 {
			b = append(b, byte(0x80+i))
		} else {
			b = append(b, byte(r))
		}
	}
	return b
}

const (
	currentAccount = `Téléchargement du 05/03/2026;
ASSOCIATION VALLON
Compte courant carte n° 00012345678;
Solde au 05/03/2026 1 234,56 €
Liste des opérations du compte entre le 01/03/2026 et le 05/03/2026;
Date;Date valeur;Libellé;Débit euros;Crédit euros;
02/03/2026;02/03/2026;"VIREMENT EN VOTRE FAVEUR
DON CAG-XXXX-XXXX

";;50,00;
03/03/2026;03/03/2026;"PRELEVEMENT
FRAIS – tenue de compte";10,50;;

`
	savingsAccount = `Livret A carte n° 00087654321;
Solde au 05/03/2026 5 000,00 €
Liste des opérations du compte entre le 01/03/2026 et le 05/03/2026;
Date;Date valeur;Libellé;Débit euros;Crédit euros;
01/03/2026;01/03/2026;"VIREMENT
EPARGNE";;200,00;
`
	afBij = `"Datum";"Naam / Omschrijving";"Rekening";"Tegenrekening";"Code";"Af Bij";"Bedrag (EUR)";"Mutatiesoort";"Mededelingen"
"20260302";"J DOE";"NL26VAYB8060476890";"NL56AGDH9619008421";"OV";"Bij";"50,00";"Overschrijving";"DON CAG-XXXX-XXXX"
"20260303";"CABINET MARTIN";"NL26VAYB8060476890";"NL56AGDH9619008421";"OV";"Af";"90,00";"Overschrijving";"FACTUUR 2026-071"
`
	debetCredit = `"02-03-2026","NL26TRIO0123456789","50,00","Credit","J DOE","NL56AGDH9619008421","OV","DON CAG-XXXX-XXXX","1.050,00"
"03-03-2026","NL26TRIO0123456789","90,00","Debet","CABINET MARTIN","NL56AGDH9619008421","OV","FACTUUR 2026-071","960,00"
`
	states = `Date started (UTC),Date completed (UTC),ID,Type,State,Description,Reference,Payer,Orig currency,Orig amount,Payment currency,Amount,Fee,Balance,Account
2026-03-02 10:00:00,2026-03-02 10:00:05,rev-1,TOPUP,COMPLETED,Money added,DON CAG-XXXX-XXXX,,EUR,50.00,EUR,50.00,0.00,1050.00,EUR Main
2026-03-02 11:00:00,,rev-2,TOPUP,PENDING,Money added,DON CAG-YYYY-YYYY,,EUR,100.00,EUR,100.00,0.00,,EUR Main
2026-03-03 09:00:00,,rev-3,TRANSFER,REVERTED,To lawyer,FACT 2026-071,,EUR,-90.00,EUR,-90.00,0.20,1050.00,EUR Main
2026-03-03 09:30:00,,rev-4,CARD_PAYMENT,DECLINED,Shop,,,EUR,-12.00,EUR,-12.00,0.00,1050.00,EUR Main
2026-03-03 10:30:00,2026-03-03 10:30:09,rev-5,TRANSFER,COMPLETED,To lawyer,FACT 2026-072,,EUR,-30.00,EUR,-30.00,0.20,1019.80,EUR Main
`
	header = "Date;Date valeur;Libellé;Débit euros;Crédit euros"
)

func TestCSVFilesThatBanksSend(t *testing.T) {
	type format = treasuryv1.CsvFormat
	sections := &format{Header: header, Section: "00012345678", DateColumn: 1, TextColumns: []int32{3}, DebitColumn: 4, CreditColumn: 5}
	with := func(f *format, change func(*format)) *format {
		f = proto.Clone(f).(*format)
		change(f)
		return f
	}
	dutch := &format{SkipLines: 1, DateFormat: "yyyymmdd", DateColumn: 1, TextColumns: []int32{9}, AmountColumn: 7, SignColumn: 6, DebitWord: "Af", CreditWord: "Bij"}
	triodos := &format{
		Separator: ",", DateFormat: "dd-mm-yyyy", DateColumn: 1, TextColumns: []int32{8}, AmountColumn: 3, SignColumn: 4, DebitWord: "Debet", CreditWord: "Credit",
	}
	revolut := &format{
		Separator: ",", SkipLines: 1, DateFormat: "yyyy-mm-dd", DecimalMark: ".", DateColumn: 2, TextColumns: []int32{7}, AmountColumn: 12, ReferenceColumn: 3,
		StateColumn: 5, BookedStates: []string{"COMPLETED"}, FeeColumn: 13,
	}
	for name, c := range map[string]struct {
		content   string
		format    *format
		want      []int64
		text      string
		leftOut   []string
		notBooked int
		refused   string
	}{
		"two accounts, the first": {
			content: currentAccount + savingsAccount, format: sections, want: []int64{50_00, -10_50}, text: "CAG-XXXX-XXXX", leftOut: []string{"00087654321"},
		},
		"two accounts, the second": {
			content: currentAccount + savingsAccount, format: with(sections, func(f *format) { f.Section = "00087654321" }),
			want: []int64{200_00}, text: "EPARGNE", leftOut: []string{"00012345678"},
		},
		"a longer preamble": {
			content: "Agence;Centre\nTitulaire;Vallon\n\n" + currentAccount + savingsAccount, format: sections,
			want: []int64{50_00, -10_50}, text: "CAG-XXXX-XXXX", leftOut: []string{"00087654321"},
		},
		"no preamble, one account": {
			content: currentAccount[strings.Index(currentAccount, "Date;"):], format: with(sections, func(f *format) { f.Section = "" }),
			want: []int64{50_00, -10_50}, text: "CAG-XXXX-XXXX",
		},
		"two accounts, and nobody says which": {
			content: currentAccount + savingsAccount, format: with(sections, func(f *format) { f.Section = "" }), refused: "STATEMENT_ACCOUNTS csv.section",
		},
		"an account that is not in it": {
			content: currentAccount + savingsAccount, format: with(sections, func(f *format) { f.Section = "999" }), refused: "STATEMENT_ACCOUNTS csv.section",
		},
		"a text above both": {
			content: currentAccount + savingsAccount, format: with(sections, func(f *format) { f.Section = "carte" }), refused: "STATEMENT_ACCOUNTS csv.section",
		},
		"a header that is not in it": {
			content: currentAccount, format: with(sections, func(f *format) { f.Header = "Datum" }), refused: "STATEMENT_UNREADABLE csv.header",
		},
		"a header again, with nothing above it": {
			content: currentAccount + header + ";\n04/03/2026;04/03/2026;VIR;;1,00;\n", format: sections, refused: "STATEMENT_UNREADABLE content",
		},
		"lines to skip, of a file that begins otherwise": {
			content: currentAccount + savingsAccount, format: with(sections, func(f *format) { f.Header, f.Section, f.SkipLines = "", "", 6 }),
			refused: "STATEMENT_UNREADABLE content",
		},
		"a movement in another form among the others": {
			content: strings.Replace(currentAccount, "03/03/2026;03/03/2026", "2026-03-03;03/03/2026", 1) + savingsAccount, format: sections,
			refused: "STATEMENT_UNREADABLE content",
		},
		"a movement among the lines of the next account": {
			content: currentAccount + "Sous-total\n04/03/2026;04/03/2026;VIR;;1,00;\n" + savingsAccount, format: sections, refused: "STATEMENT_UNREADABLE content",
		},
		"signs in a column of their own": {content: afBij, format: dutch, want: []int64{50_00, -90_00}, text: "CAG-XXXX-XXXX"},
		"and the column is not said": {
			content: afBij, format: with(dutch, func(f *format) { f.SignColumn, f.DebitWord, f.CreditWord = 0, "", "" }), refused: "STATEMENT_UNREADABLE csv.sign_column",
		},
		"and debits alone": {
			content: strings.Join(slices.Delete(strings.SplitAfter(afBij, "\n"), 1, 2), ""),
			format:  with(dutch, func(f *format) { f.SignColumn, f.DebitWord, f.CreditWord = 0, "", "" }), refused: "STATEMENT_UNREADABLE csv.sign_column",
		},
		"and its words are others": {
			content: afBij, format: with(dutch, func(f *format) { f.DebitWord, f.CreditWord = "Debet", "Credit" }), refused: "STATEMENT_UNREADABLE content",
		},
		"a sign beside the word":      {content: strings.Replace(afBij, "90,00", "-90,00", 1), format: dutch, refused: "STATEMENT_UNREADABLE content"},
		"no header, Debet and Credit": {content: debetCredit, format: triodos, want: []int64{50_00, -90_00}, text: "CAG-XXXX-XXXX"},
		"Debet and Credit that are not said": {
			content: debetCredit, format: with(triodos, func(f *format) { f.SignColumn, f.DebitWord, f.CreditWord = 0, "", "" }), refused: "STATEMENT_UNREADABLE csv.sign_column",
		},
		"what is not booked is no money, and a fee is": {
			content: states, format: revolut, want: []int64{50_00, -30_00, -20}, text: "CAG-XXXX-XXXX", notBooked: 3,
		},
		"and the states are not said": {
			content: states, format: with(revolut, func(f *format) { f.StateColumn, f.BookedStates, f.DateColumn = 0, nil, 1 }), refused: "STATEMENT_UNREADABLE csv.state_column",
		},
		"a line without a state": {content: strings.Replace(states, "PENDING", "", 1), format: revolut, refused: "STATEMENT_UNREADABLE content"},
		"a word behind the day":  {content: strings.Replace(states, "10:00:05", "noon", 1), format: revolut, refused: "STATEMENT_UNREADABLE content"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := csvFromProto(c.format)
			if err != nil {
				t.Fatal(err)
			}
			parsed, aside, err := StatementFile{Content: inWindows1252(c.content), CSV: f, Currency: money.EUR}.parse(ourIBAN, "2026-03-10")
			if c.refused != "" {
				wantRefused(t, err, c.refused)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []int64
			for _, l := range parsed[0].lines {
				got = append(got, l.amount.Minor)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("movements (-want +got)\n%s", diff)
			}
			if !strings.Contains(parsed[0].lines[0].text, c.text) || !slices.Equal(aside.LeftOut, c.leftOut) || aside.NotBooked != c.notBooked {
				t.Errorf("text %q, left out %v, not booked %d", parsed[0].lines[0].text, aside.LeftOut, aside.NotBooked)
			}
		})
	}
	for name, c := range map[string]struct {
		format *format
		field  string
	}{
		"a column of signs without its words":  {&format{DateColumn: 1, AmountColumn: 2, SignColumn: 3}, "csv.debit_word"},
		"one word for both ways":               {&format{DateColumn: 1, AmountColumn: 2, SignColumn: 3, DebitWord: "x", CreditWord: "X"}, "csv.debit_word"},
		"words the wrong way round":            {&format{DateColumn: 1, AmountColumn: 2, SignColumn: 3, DebitWord: "Bij", CreditWord: "Af"}, "csv.debit_word"},
		"words without a column":               {&format{DateColumn: 1, AmountColumn: 2, DebitWord: "Af", CreditWord: "Bij"}, "csv.sign_column"},
		"signs beside two columns of amounts":  {&format{DateColumn: 1, DebitColumn: 2, SignColumn: 3, DebitWord: "Af", CreditWord: "Bij"}, "csv.sign_column"},
		"states without those that are booked": {&format{DateColumn: 1, AmountColumn: 2, StateColumn: 3}, "csv.booked_states"},
		"a header and lines to skip":           {&format{DateColumn: 1, AmountColumn: 2, Header: "x", SkipLines: 1}, "csv.skip_lines"},
		"a section without a header":           {&format{DateColumn: 1, AmountColumn: 2, Section: "x"}, "csv.section"},
	} {
		_, err := csvFromProto(c.format)
		if err == nil || errs.As(err).Fields[0].Field != c.field {
			t.Errorf("%s: %v, want a word about %s", name, err, c.field)
		}
	}
}

// No payer's name is anywhere in the database, wherever in a file it stood.
func TestNoPayerIsKeptOfAStatement(t *testing.T) {
	s, pool := open(t)
	p := s.promise(t, 25_00)
	const canary = "CANARYPAYER"
	entry := fmt.Sprintf(`<Ntry><NtryRef>%[1]s-1</NtryRef><Amt Ccy="EUR">25.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2026-03-02</Dt></BookgDt>
<AcctSvcrRef>%[1]s-DUPONT-75</AcctSvcrRef><AddtlNtryInf>VIR %[1]s</AddtlNtryInf><NtryDtls><TxDtls><Refs><EndToEndId>%[1]s-76</EndToEndId>
<AcctSvcrRef>%[1]s-77</AcctSvcrRef></Refs><RltdPties><Dbtr><Nm>%[1]s</Nm></Dbtr></RltdPties><RmtInf><Ustrd>%[1]s %[2]s</Ustrd>
<Strd><CdtrRefInf><Ref>%[1]s78</Ref></CdtrRefInf></Strd></RmtInf><AddtlTxInf>%[1]s</AddtlTxInf></TxDtls></NtryDtls></Ntry>`, canary, p.Reference)
	batch := strings.NewReplacer("B-3b", canary+"-79", "B-3", canary+"80").Replace(camtBatch)
	if done := s.take(t, string(camt("08", "100.00", "155.00", entry, batch))); done.Booked != 1 || done.Open != 2 {
		t.Fatalf("%+v", done)
	}
	// A CSV file in which each column but that of the amount and of the day holds it.
	file := StatementFile{Collective: "vallon", Currency: money.EUR, CSV: &csvFormat{
		separator: ';', dateLayout: "02/01/2006", decimalMark: ",", header: "Date;Nom;Ref;Sens;Montant", date: 1, text: []int{2}, reference: 3, amount: 5,
	}, Content: []byte(canary + "\nDate;Nom;Ref;Sens;Montant\n03/03/2026;" + canary + ";" + canary + "-DUPONT-75;" + canary + ";7,00\n" +
		"04/03/2026;" + canary + ";2026030400017;" + canary + ";8,00\n")}
	if done, err := s.ImportStatement(t.Context(), ask(), file); err != nil || done.Open != 4 {
		t.Fatalf("%+v, %v", done, err)
	}
	// A refusal does not say it either.
	file.Content = append(file.Content, []byte("05/03/2026;"+canary+";"+canary+";x;"+canary+"\n")...)
	if _, err := s.ImportStatement(t.Context(), ask(), file); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("refused: %v", err)
	}
	lines, err := s.Lines(t.Context(), "vallon", "", "", newest, 10)
	if err != nil || len(lines) != 5 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	kept := ""
	for _, l := range lines {
		kept += l.BankReference
	}
	if kept != "2026030400017" {
		t.Errorf("kept %q", kept)
	}

	owner := pgtest.Owner(t, pool)
	rows, err := owner.Query(t.Context(), `
		SELECT format('%I.%I', n.nspname, c.relname)
		FROM pg_class AS c
		JOIN pg_namespace AS n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')`)
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, table)
	}
	if rows.Err() != nil || len(tables) < 20 {
		t.Fatalf("%d tables, %v", len(tables), rows.Err())
	}
	for _, table := range tables {
		var found int
		// Bytes are written as hexadecimal digits.
		err := owner.QueryRow(t.Context(), "SELECT count(*) FROM "+table+" AS t WHERE t::text ~* $1 OR t::text ~* encode(convert_to($1, 'UTF8'), 'hex')", canary).Scan(&found)
		if err != nil || found != 0 {
			t.Errorf("%s: %d rows name the payer, %v", table, found, err)
		}
	}
	t.Run("and the database refuses a reference that may be a name", func(t *testing.T) {
		_, err := owner.Exec(t.Context(), `
			INSERT INTO treasury.bank_lines (id, collective, account, line_key, statement, booked_on, amount_minor, currency, bank_reference, created_at, updated_at)
			SELECT gen_random_uuid(), collective, account, sha256('x'), statement, booked_on, 1, currency, 'DUPONT-75', now(), now() FROM treasury.bank_lines LIMIT 1`)
		if err == nil || !strings.Contains(err.Error(), "bank_lines_reference_nameless") {
			t.Errorf("err = %v", err)
		}
	})
}

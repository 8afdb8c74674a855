package statement

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/cagnotte/cagnotte/services/internal/errs"
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
		others  []string
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
		"two accounts, ours by the settings":            {content: inOne(one, savings), iban: ourIBAN, want: []int64{50_00}, closing: 1050_00, others: []string{otherIBAN}},
		"two accounts in two documents":                 {content: savings + one, iban: ourIBAN, want: []int64{50_00}, closing: 1050_00, others: []string{otherIBAN}},
		"two accounts, and one is asked for":            {content: inOne(one, savings), account: ourIBAN, want: []int64{50_00}, closing: 1050_00, others: []string{otherIBAN}},
		"two accounts, and nobody says which":           {content: inOne(one, savings), refused: "STATEMENT_ACCOUNTS account"},
		"two accounts, and none is ours":                {content: inOne(savings, strings.ReplaceAll(one, ourIBAN, "DE89370400440532013000")), iban: ourIBAN, refused: "BANK_ACCOUNT_MISMATCH content"},
		"another account than that of the settings":     {content: inOne(one, savings), account: otherIBAN, iban: ourIBAN, refused: "BANK_ACCOUNT_MISMATCH content"},
		"what is left out may be wrong":                 {content: inOne(one, strings.Replace(savings, "5000.00", "7", 1)), iban: ourIBAN, want: []int64{50_00}, closing: 1050_00, others: []string{otherIBAN}},
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
			read, err := Read(File{Content: []byte(c.content), Account: c.account, OwnAccount: c.iban, Today: "2026-03-10"})
			if c.refused != "" {
				wantRefused(t, err, c.refused)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []int64
			for _, s := range read.Statements {
				for _, m := range s.Movements {
					got = append(got, m.Amount.Minor)
				}
			}
			if diff := gocmp.Diff(c.want, got); diff != "" {
				t.Errorf("movements (-want +got)\n%s", diff)
			}
			if last := read.Statements[len(read.Statements)-1]; *last.Closing != eur(c.closing) || !slices.Equal(read.OtherAccounts, c.others) {
				t.Errorf("closing %v, other accounts %v", last.Closing, read.OtherAccounts)
			}
		})
	}
	_, err := Read(File{Content: []byte(inOne(one, savings)), Today: "2026-03-10"})
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
	type format = CSVFormat
	sections := &format{Header: header, Section: "00012345678", Date: 1, Text: []int{3}, Debit: 4, Credit: 5}
	with := func(f *format, change func(*format)) *format {
		other := *f
		change(&other)
		return &other
	}
	dutch := &format{SkipLines: 1, DateLayout: "20060102", Date: 1, Text: []int{9}, Amount: 7, Sign: 6, DebitWord: "Af", CreditWord: "Bij"}
	triodos := &format{
		Separator: ',', DateLayout: "02-01-2006", Date: 1, Text: []int{8}, Amount: 3, Sign: 4, DebitWord: "Debet", CreditWord: "Credit",
	}
	revolut := &format{
		Separator: ',', SkipLines: 1, DateLayout: "2006-01-02", DecimalMark: ".", Date: 2, Text: []int{7}, Amount: 12, Reference: 3,
		State: 5, Booked: []string{"COMPLETED"}, Fee: 13,
	}
	for name, c := range map[string]struct {
		content   string
		format    *format
		want      []int64
		text      string
		others    []string
		notBooked int
		refused   string
	}{
		"two accounts, the first": {
			content: currentAccount + savingsAccount, format: sections, want: []int64{50_00, -10_50}, text: "CAG-XXXX-XXXX", others: []string{"00087654321"},
		},
		"two accounts, the second": {
			content: currentAccount + savingsAccount, format: with(sections, func(f *format) { f.Section = "00087654321" }),
			want: []int64{200_00}, text: "EPARGNE", others: []string{"00012345678"},
		},
		"a longer preamble": {
			content: "Agence;Centre\nTitulaire;Vallon\n\n" + currentAccount + savingsAccount, format: sections,
			want: []int64{50_00, -10_50}, text: "CAG-XXXX-XXXX", others: []string{"00087654321"},
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
			content: afBij, format: with(dutch, func(f *format) { f.Sign, f.DebitWord, f.CreditWord = 0, "", "" }), refused: "STATEMENT_UNREADABLE csv.sign_column",
		},
		"and debits alone": {
			content: strings.Join(slices.Delete(strings.SplitAfter(afBij, "\n"), 1, 2), ""),
			format:  with(dutch, func(f *format) { f.Sign, f.DebitWord, f.CreditWord = 0, "", "" }), refused: "STATEMENT_UNREADABLE csv.sign_column",
		},
		"and its words are others": {
			content: afBij, format: with(dutch, func(f *format) { f.DebitWord, f.CreditWord = "Debet", "Credit" }), refused: "STATEMENT_UNREADABLE content",
		},
		"a sign beside the word":      {content: strings.Replace(afBij, "90,00", "-90,00", 1), format: dutch, refused: "STATEMENT_UNREADABLE content"},
		"no header, Debet and Credit": {content: debetCredit, format: triodos, want: []int64{50_00, -90_00}, text: "CAG-XXXX-XXXX"},
		"Debet and Credit that are not said": {
			content: debetCredit, format: with(triodos, func(f *format) { f.Sign, f.DebitWord, f.CreditWord = 0, "", "" }), refused: "STATEMENT_UNREADABLE csv.sign_column",
		},
		"what is not booked is no money, and a fee is": {
			content: states, format: revolut, want: []int64{50_00, -30_00, -20}, text: "CAG-XXXX-XXXX", notBooked: 3,
		},
		"and the states are not said": {
			content: states, format: with(revolut, func(f *format) { f.State, f.Booked, f.Date = 0, nil, 1 }), refused: "STATEMENT_UNREADABLE csv.state_column",
		},
		"a line without a state": {content: strings.Replace(states, "PENDING", "", 1), format: revolut, refused: "STATEMENT_UNREADABLE content"},
		"a word behind the day":  {content: strings.Replace(states, "10:00:05", "noon", 1), format: revolut, refused: "STATEMENT_UNREADABLE content"},
	} {
		t.Run(name, func(t *testing.T) {
			f := *c.format
			f.Separator, f.DateLayout, f.DecimalMark = cmp.Or(f.Separator, ';'), cmp.Or(f.DateLayout, "02/01/2006"), cmp.Or(f.DecimalMark, ",")
			if err := f.Check(); err != nil {
				t.Fatal(err)
			}
			read, err := Read(File{Content: inWindows1252(c.content), CSV: &f, Currency: money.EUR, OwnAccount: ourIBAN, Today: "2026-03-10"})
			if c.refused != "" {
				wantRefused(t, err, c.refused)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []int64
			movements := read.Statements[0].Movements
			for _, m := range movements {
				got = append(got, m.Amount.Minor)
			}
			if diff := gocmp.Diff(c.want, got); diff != "" {
				t.Errorf("movements (-want +got)\n%s", diff)
			}
			if !strings.Contains(movements[0].Text, c.text) || !slices.Equal(read.OtherAccounts, c.others) || read.NotBooked != c.notBooked {
				t.Errorf("text %q, other accounts %v, not booked %d", movements[0].Text, read.OtherAccounts, read.NotBooked)
			}
		})
	}
	for name, c := range map[string]struct {
		format *format
		field  string
	}{
		"a column of signs without its words":  {&format{Date: 1, Amount: 2, Sign: 3}, "csv.debit_word"},
		"one word for both ways":               {&format{Date: 1, Amount: 2, Sign: 3, DebitWord: "x", CreditWord: "X"}, "csv.debit_word"},
		"words the wrong way round":            {&format{Date: 1, Amount: 2, Sign: 3, DebitWord: "Bij", CreditWord: "Af"}, "csv.debit_word"},
		"words without a column":               {&format{Date: 1, Amount: 2, DebitWord: "Af", CreditWord: "Bij"}, "csv.sign_column"},
		"signs beside two columns of amounts":  {&format{Date: 1, Debit: 2, Sign: 3, DebitWord: "Af", CreditWord: "Bij"}, "csv.sign_column"},
		"states without those that are booked": {&format{Date: 1, Amount: 2, State: 3}, "csv.booked_states"},
		"a header and lines to skip":           {&format{Date: 1, Amount: 2, Header: "x", SkipLines: 1}, "csv.skip_lines"},
		"a section without a header":           {&format{Date: 1, Amount: 2, Section: "x"}, "csv.section"},
	} {
		err := c.format.Check()
		if err == nil || errs.As(err).Fields[0].Field != c.field {
			t.Errorf("%s: %v, want a word about %s", name, err, c.field)
		}
	}
}

package statement

import (
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/cagnotte/cagnotte/services/money"
)

// detectAndRead reads a file whose format is not told.
func detectAndRead(f File) (Detected, Contents, error) {
	d, err := Detect(f)
	if err != nil {
		return d, Contents{}, err
	}
	d.File.Today = "2026-11-30"
	read, err := Read(d.File)
	return d, read, err
}

const (
	threeColumns = "Date;Libellé;Montant\n"
	ingFile      = `"Datum";"Naam / Omschrijving";"Rekening";"Tegenrekening";"Code";"Af Bij";"Bedrag (EUR)";"Mutatiesoort";"Mededelingen"
"20261109";"J DOE";"NL26VAYB8060476890";"NL56AGDH9619008421";"OV";"Bij";"50,00";"Overschrijving";"DON CAG-XXXX-XXXX"
"20261110";"CABINET MARTIN";"NL26VAYB8060476890";"NL56AGDH9619008421";"OV";"Af";"90,00";"Overschrijving";"FACTUUR 2026-071"
`
	triodosFile = `"09-11-2026","NL26TRIO0123456789","50,00","Credit","J DOE","NL56AGDH9619008421","OV","DON CAG-XXXX-XXXX","1.050,00"
"10-11-2026","NL26TRIO0123456789","90,00","Debet","CABINET MARTIN","NL56AGDH9619008421","OV","FACTUUR 2026-071","960,00"
`
	revolutFile = `Date started (UTC),Date completed (UTC),ID,Type,State,Description,Reference,Payer,Orig currency,Orig amount,Payment currency,Amount,Fee,Balance,Account
2026-11-09 10:00:00,2026-11-09 10:00:05,rev-1,TOPUP,COMPLETED,Money added,DON CAG-XXXX-XXXX,,EUR,50.00,EUR,50.00,0.00,1050.00,EUR Main
2026-11-09 11:00:00,,rev-2,TOPUP,PENDING,Money added,DON CAG-YYYY-YYYY,,EUR,100.00,EUR,100.00,0.00,,EUR Main
2026-11-10 09:00:00,,rev-3,TRANSFER,REVERTED,To lawyer,FACT 2026-071,,EUR,-90.00,EUR,-90.00,0.20,1050.00,EUR Main
2026-11-10 09:30:00,2026-11-10 09:30:00,rev-4,CARD_PAYMENT,COMPLETED,Shop,,,EUR,-12.00,EUR,-12.00,0.20,1037.80,EUR Main
`
)

func TestFilesTellHowTheyAreRead(t *testing.T) {
	agricole := string(inWindows1252(currentAccount))
	for name, c := range map[string]struct {
		content, iban string
		want          []int64
		// opening and closing are in cents; zero for none.
		opening, closing int64
		// text is in the first movement.
		text    string
		account string
	}{
		"CAMT.053, with a byte order mark": {
			content: "\ufeff" + camtOf(ourIBAN, "R1", "1000.00", "1050.00", "+50.00"), iban: ourIBAN, want: []int64{50_00}, opening: 1000_00, closing: 1050_00,
		},
		"a French bank with debit and credit": {
			content: "Date;Date de valeur;Débit;Crédit;Libellé;Solde\n02/11/2026;02/11/2026;;50,00;VIR CAG-XXXX-XXXX;1 050,00\n03/11/2026;03/11/2026;-90,00;;CABINET;960,00\n",
			iban:    ourIBAN, want: []int64{50_00, -90_00}, opening: 1000_00, closing: 960_00, text: "CAG-XXXX-XXXX",
		},
		"the newest first": {
			content: "Date;Libellé;Montant;Solde\n03/11/2026;b;-90,00;960,00\n02/11/2026;a;50,00;1050,00\n",
			iban:    ourIBAN, want: []int64{-90_00, 50_00}, opening: 1000_00, closing: 960_00,
		},
		"lines of other things above the titles": {
			content: "Numéro Compte ;1234567X020\nType ;CCP\nSolde (EUROS) ;1234,56\n\nDate;Libellé;Montant(EUROS);Montant(FRANCS)\n02/11/2026;\"VIREMENT\";-12,30;-80,68\n",
			iban:    ourIBAN, want: []int64{-12_30}, text: "VIREMENT",
		},
		"titles with underscores, and a currency": {
			content: "date_comptabilisation;libellé_complet_operation;montant_operation;devise\n02/11/2026;VIR;1 234,50;EUR\n", iban: ourIBAN, want: []int64{1234_50},
		},
		"points as decimal marks":  {content: "Date,Description,Amount\n2026-11-02,a,\"1,234.50\"\n2026-11-03,b,-5.00\n", iban: ourIBAN, want: []int64{1234_50, -5_00}},
		"a word for the direction": {content: ingFile, want: []int64{50_00, -90_00}, text: "CAG-XXXX-XXXX", account: "NL26VAYB8060476890"},
		"one direction alone":      {content: strings.Join(strings.SplitAfter(ingFile, "\n")[:2], ""), want: []int64{50_00}},
		"no titles":                {content: triodosFile, want: []int64{50_00, -90_00}, opening: 1000_00, closing: 960_00, text: "CAG-XXXX-XXXX", account: "NL26TRIO0123456789"},
		"no titles and no direction, but balances": {
			content: "02/11/2026;VIR;50,00;1050,00\n03/11/2026;PRLV;-90,00;960,00\n", iban: ourIBAN, want: []int64{50_00, -90_00}, opening: 1000_00, closing: 960_00,
		},
		"what is not booked is no money, and a fee is": {
			content: revolutFile, iban: ourIBAN, want: []int64{50_00, -12_00, -20}, opening: 1000_00, closing: 1037_80, text: "CAG-XXXX-XXXX",
		},
		"two accounts, of which the number of one is in the IBAN": {
			content: agricole + strings.NewReplacer("00012345678", "00087654321", "Compte courant", "Livret A").Replace(agricole),
			iban:    "FR7613906000000001234567889", want: []int64{50_00, -10_50},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, read, err := detectAndRead(File{Content: []byte(c.content), OwnAccount: c.iban})
			if err != nil {
				t.Fatalf("%v\n%+v", err, d.File.CSV)
			}
			s := read.Statements[0]
			var got []int64
			for _, m := range s.Movements {
				got = append(got, m.Amount.Minor)
			}
			if diff := gocmp.Diff(c.want, got); diff != "" {
				t.Errorf("movements (-want +got)\n%s", diff)
			}
			if c.text != "" && !strings.Contains(s.Movements[0].Text, c.text) {
				t.Errorf("the text is %q", s.Movements[0].Text)
			}
			if c.account != "" && s.Account != c.account {
				t.Errorf("the account is %q", s.Account)
			}
			for _, b := range []struct {
				name string
				want int64
				got  *money.Amount
			}{{"opening", c.opening, s.Opening}, {"closing", c.closing, s.Closing}} {
				if (b.want != 0) != (b.got != nil) || b.got != nil && b.got.Minor != b.want {
					t.Errorf("the %s balance is %v, want %d", b.name, b.got, b.want)
				}
			}
		})
	}
}

func TestFilesThatCannotBeToldAreRefused(t *testing.T) {
	agricole := string(inWindows1252(currentAccount))
	for name, c := range map[string]struct {
		content, iban string
		want          ProblemKind
		line          int
		accounts      []string
	}{
		"a PDF":                      {content: "%PDF-1.4 ...", want: ProblemPDF},
		"a broken archive":           {content: "PK\x03\x04...", want: ProblemBroken},
		"an old workbook":            {content: "\xd0\xcf\x11\xe0...", want: ProblemWorkbook},
		"a file of Money":            {content: "OFXHEADER:100\nDATA:OFXSGML\n<OFX>", want: ProblemNotAStatement},
		"MT940 without balances":     {content: ":20:STARTUMS\n:25:1/2\n", want: ProblemColumns},
		"a photograph":               {content: "\xff\xd8\xff\xe0\x00", want: ProblemNotAStatement},
		"UTF-16":                     {content: "\xff\xfeD\x00a\x00", want: ProblemNotAStatement},
		"a letter":                   {content: "Bonjour,\nvoici le relevé.\n", want: ProblemColumns},
		"nothing":                    {content: " \n", want: ProblemColumns},
		"another XML":                {content: "<pain/>", want: ProblemBroken, line: 1},
		"titles without an amount":   {content: "Date;Libellé;Catégorie\n02/11/2026;a;b\n", want: ProblemColumns},
		"titles alone":               {content: threeColumns, want: ProblemEmpty},
		"a line without a day":       {content: threeColumns + "02/11/2026;a;5,00\nhier;b;6,00\n", iban: ourIBAN, want: ProblemDay, line: 3},
		"a line without an amount":   {content: threeColumns + "02/11/2026;a;5,00\n03/11/2026;b;beaucoup\n", iban: ourIBAN, want: ProblemAmount, line: 3},
		"days to come":               {content: threeColumns + "02/11/2027;a;5,00\n", iban: ourIBAN, want: ProblemFuture},
		"amounts that mean two":      {content: threeColumns + "02/11/2026;a;1,230\n", iban: ourIBAN, want: ProblemAmbiguous},
		"a word that is not known":   {content: strings.Replace(ingFile, `"Bij"`, `"Misschien"`, 1), want: ProblemDirection},
		"no titles and no direction": {content: "02/11/2026;VIR;x;50,00\n03/11/2026;PRLV;y;90,00\n", iban: ourIBAN, want: ProblemDirection},
		"balances that do not fit":   {content: "02/11/2026;VIR;50,00;1050,00\n03/11/2026;PRLV;90,00;960,00\n", iban: ourIBAN, want: ProblemDirection},
		"amounts without signs beside a balance that falls": {
			content: "Date;Libellé;Montant;Solde\n02/11/2026;VIR;50,00;1050,00\n03/11/2026;PRLV;90,00;960,00\n", iban: ourIBAN, want: ProblemDirection,
		},
		"amounts without signs beside a plus and a minus": {
			content: "Date;Libellé;Montant;+/-\n02/11/2026;VIR;50,00;+\n03/11/2026;PRLV;90,00;-\n", iban: ourIBAN, want: ProblemDirection,
		},
		"no titles, and the balance before the amount": {
			content: "02/11/2026;1050,00;50,00;C;VIR\n03/11/2026;960,00;90,00;D;PRLV\n", iban: ourIBAN, want: ProblemColumns,
		},
		"no titles and one line, whose balance proves nothing": {
			content: "02/11/2026;PRLV;90,00;960,00\n", iban: ourIBAN, want: ProblemDirection,
		},
		"no titles and one line with a word, either of whose amounts may be the balance": {
			content: "02/11/2026;1050,00;50,00;C;VIR\n", iban: ourIBAN, want: ProblemColumns,
		},
		"a state that is not known":  {content: strings.Replace(revolutFile, "PENDING", "PERHAPS", 1), iban: ourIBAN, want: ProblemState},
		"another account":            {content: ingFile, iban: ourIBAN, want: ProblemOtherAccount, accounts: []string{"NL26VAYB8060476890"}},
		"no account":                 {content: threeColumns + "02/11/2026;a;5,00\n", want: ProblemNoAccount},
		"two accounts in one file":   {content: agricole + strings.ReplaceAll(agricole, "00012345678", "00087654321"), iban: ourIBAN, want: ProblemAccounts, accounts: []string{"00012345678", "00087654321"}},
		"two accounts in one CAMT":   {content: inOne(camtOf(ourIBAN, "a", "0", "0"), camtOf(otherIBAN, "b", "0", "0")), want: ProblemAccounts, accounts: []string{ourIBAN, otherIBAN}},
		"movements that are missing": {content: camtOf(ourIBAN, "R1", "1000.00", "1055.00", "+50.00"), iban: ourIBAN, want: ProblemUnbalanced},
	} {
		t.Run(name, func(t *testing.T) {
			d, _, err := detectAndRead(File{Content: []byte(c.content), OwnAccount: c.iban})
			p, ok := ProblemOf(err)
			if !ok || p.Kind != c.want || p.Line != c.line || !slices.Equal(p.Accounts, c.accounts) {
				t.Errorf("%+v, err = %v, read as %+v", p, err, d.File.CSV)
			}
		})
	}
}

// TestADetectedFormatReadsTheSame: what is found out is a format, and a file that is sent with it is read in the same way.
func TestADetectedFormatReadsTheSame(t *testing.T) {
	for _, content := range []string{ingFile, triodosFile, revolutFile} {
		d, first, err := detectAndRead(File{Content: []byte(content)})
		if content == revolutFile {
			d, first, err = detectAndRead(File{Content: []byte(content), OwnAccount: ourIBAN})
		}
		if err != nil {
			t.Fatal(err)
		}
		f := d.File
		f.Opening, f.Closing = nil, nil
		again, err := Read(f)
		if err != nil || len(again.Statements[0].Movements) != len(first.Statements[0].Movements) {
			t.Errorf("%v, err = %v", again, err)
		}
	}
}

func FuzzDetect(f *testing.F) {
	for _, content := range []string{ingFile, triodosFile, revolutFile, threeColumns + "02/11/2026;a;5,00\n", "%PDF", "a;b;c;d\n1;2;3;4\n"} {
		f.Add([]byte(content))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		d, read, err := detectAndRead(File{Content: content, OwnAccount: ourIBAN})
		if err != nil {
			return
		}
		for _, s := range read.Statements {
			for _, m := range s.Movements {
				if m.Amount.Minor == 0 || m.BookedOn == "" {
					t.Errorf("%+v is a movement of %q, read as %+v", m, content, d.File.CSV)
				}
			}
		}
	})
}

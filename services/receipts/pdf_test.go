package receipts

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/carlos7ags/folio/core"
	"github.com/carlos7ags/folio/reader"
	"github.com/google/uuid"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/sfnt"

	"github.com/cagnotte/cagnotte/services/money"
)

func someReceipt() Receipt {
	return Receipt{
		ID: uuid.MustParse("0197c0de-0000-7000-8000-000000000001"), Collective: "vallon", Year: 2026, Sequence: 7,
		Kind: Individual, Amount: money.Amount{Minor: 128_071, Currency: "EUR"}, PaymentMethod: "card",
		DonationDate: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), IssueDate: time.Date(2026, 8, 14, 0, 0, 0, 0, time.UTC),
		Payments:   []Payment{{Amount: money.Amount{Minor: 128_071, Currency: "EUR"}, Method: "card", Date: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)}},
		CreateTime: time.Date(2026, 8, 14, 9, 0, 0, 0, time.UTC),
	}
}

func someDeclaration(t *testing.T) Declaration {
	t.Helper()
	picture := image.NewNRGBA(image.Rect(0, 0, 300, 90))
	for x := range 260 {
		picture.Set(20+x, 45+int(20*float64((x/20)%2))-10, color.NRGBA{B: 120, A: 255})
		picture.Set(20+x, 46+int(20*float64((x/20)%2))-10, color.NRGBA{B: 120, A: 255})
	}
	var encoded bytes.Buffer
	if err := png.Encode(&encoded, picture); err != nil {
		t.Fatal(err)
	}
	d := Declaration{
		Collective: "vallon", BodyName: "Les Amis du Vallon", PostalAddress: []string{"3 place de l’Église", "38000 Grenoble"},
		Purpose: "Défense des libertés publiques et accompagnement des personnes", Quality: "Œuvre ou organisme d’intérêt général",
		Articles: []Article{Article200, Article238Bis}, SIREN: "732829320", RNA: "W381001234", SignatoryName: "Marie Durand",
		SignatoryTitle: "présidente", SignatureImage: encoded.Bytes(),
	}
	if err := d.normalise(); err != nil {
		t.Fatal(err)
	}
	return d
}

func person() Donor {
	return Donor{
		Kind: Individual, FirstName: "Zoé", LastName: "Łukasiewicz-D’Arcy", Street: "12 bis, rue des Ormes\nBât. C", PostalCode: "69001",
		City: "Lyon", Country: "France",
	}
}

func company() Donor {
	return Donor{
		Kind: Company, CompanyName: "Ateliers & Fils (Œuvre)", LegalForm: "SARL", SIREN: "732 829 320", Street: "1 quai n° 4",
		PostalCode: "31000", City: "Toulouse", Country: "Belgique",
	}
}

var someRequest = uuid.MustParse("6e5d4c3b-2a19-4807-8f6e-5d4c3b2a1908")

// unspaced takes all space out: the reader does not give the space between words, which the printer places one by one.
func unspaced(text string) string { return strings.Join(strings.Fields(text), "") }

// printed prints a receipt and reads it back: its text, without space.
func printed(t *testing.T, r Receipt, replaces string, donor Donor) (pdf []byte, text string, read *reader.PdfReader) {
	t.Helper()
	if err := donor.normalise(); err != nil {
		t.Fatal(err)
	}
	pdf, err := print(r, someDeclaration(t), replaces, someRequest, donor)
	if err != nil {
		t.Fatal(err)
	}
	if read, err = reader.Parse(pdf); err != nil {
		t.Fatal(err)
	}
	if read.PageCount() != 1 {
		t.Errorf("%d pages, want one", read.PageCount())
	}
	page, err := read.Page(0)
	if err != nil {
		t.Fatal(err)
	}
	if text, err = page.ExtractText(); err != nil {
		t.Fatal(err)
	}
	return pdf, unspaced(text), read
}

func TestAReceiptHasEachFieldOfItsForm(t *testing.T) {
	individual := someReceipt()
	_, text, _ := printed(t, individual, "2026-00003", person())
	for _, want := range []string{
		"Reçu n° 2026-00007 · Cerfa n° 11580*05", "Articles 200, 238 bis et 978 du code général des impôts",
		"Les Amis du Vallon", "3 place de l’Église, 38000 Grenoble", "732 829 320", "W381001234", "Défense des libertés publiques",
		"Œuvre ou organisme d’intérêt général", "Łukasiewicz-D’Arcy", "Zoé", "12 bis, rue des Ormes, Bât. C, 69001 Lyon",
		"*** 1 280,71 € ***", "mille deux cent quatre-vingts euros et soixante et onze centimes", "1er juillet 2026", "14 août 2026",
		"[X] 200", "[ ] 978", "[X] déclaration de don manuel", "[X] numéraire", "[X] virement, prélèvement, carte bancaire", "[ ] chèque",
		"Marie Durand", "présidente", "annule et remplace le reçu n° 2026-00003", "Code de contrôle",
	} {
		if !strings.Contains(text, unspaced(want)) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "France") {
		t.Error("an address within France names it")
	}
	corporate := individual
	corporate.Kind = Company
	_, text, _ = printed(t, corporate, "", company())
	for _, want := range []string{
		"Cerfa n° 16216*03", "Ateliers & Fils (Œuvre)", "Forme juridique : SARL", "Numéro SIREN : 732 829 320", "31000 Toulouse, Belgique",
		"[X] 238 bis",
	} {
		if !strings.Contains(text, unspaced(want)) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "annuleetremplace") {
		t.Error("a first receipt replaces none")
	}
}

func yearReceipt() Receipt {
	r := someReceipt()
	r.Payments, r.Amount.Minor = nil, 0
	for month := time.January; month <= time.December; month++ {
		r.Payments = append(r.Payments, Payment{
			Amount: money.Amount{Minor: 10_00, Currency: "EUR"}, Method: "sepa_debit", Date: time.Date(2026, month, 5, 0, 0, 0, 0, time.UTC),
		})
		r.Amount.Minor += 10_00
	}
	r.DonationDate = r.Payments[11].Date
	return r
}

func TestAReceiptOfAYearListsItsPayments(t *testing.T) {
	_, text, _ := printed(t, yearReceipt(), "", person())
	for _, want := range []string{
		"*** 120,00 € ***", "cent vingt euros", "du 5 janvier 2026 au 5 décembre 2026 (12 versements, détaillés ci-dessous)",
		"Détail des versements : 5 janvier 2026 : 10,00 € ; 5 février 2026 : 10,00 €", "5 décembre 2026 : 10,00 €",
		"[X] virement, prélèvement, carte bancaire",
	} {
		if !strings.Contains(text, unspaced(want)) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestAReceiptIsTaggedAndHasItsFonts(t *testing.T) {
	pdf, _, read := printed(t, someReceipt(), "", person())
	tree := read.StructureTree()
	if tree == nil || tree.Root == nil {
		t.Fatal("the PDF is not tagged")
	}
	tags := map[string]int{}
	var count func(n *reader.StructNode)
	count = func(n *reader.StructNode) {
		// A node of content stands below each element, under its tag.
		if len(n.Children) > 0 {
			tags[n.Tag]++
		}
		for _, child := range n.Children {
			count(child)
		}
	}
	count(tree.Root)
	if tags["H1"] != 1 || tags["H2"] != 4 || tags["P"] < 15 || tags["Figure"] != 1 {
		t.Errorf("tags %v", tags)
	}
	page, err := read.Page(0)
	if err != nil {
		t.Fatal(err)
	}
	resources, err := page.Resources()
	if err != nil {
		t.Fatal(err)
	}
	fonts, err := read.ResolveObject(resources.Get("Font"))
	if err != nil {
		t.Fatal(err)
	}
	dictionary, ok := fonts.(*core.PdfDictionary)
	if !ok || dictionary.Len() != 2 {
		t.Fatalf("fonts: %v", fonts)
	}
	if embedded := bytes.Count(pdf, []byte("/FontFile2")); embedded != 2 {
		t.Errorf("%d fonts are embedded, want 2", embedded)
	}
	if lang := read.Catalog().Get("Lang"); lang == nil {
		t.Error("the PDF does not say its language")
	}
	if title, _, _, _, _ := read.Info(); title != "Reçu fiscal n° 2026-00007" {
		t.Errorf("title %q", title)
	}
}

func TestTheSameReceiptIsTheSameBytes(t *testing.T) {
	first, _, _ := printed(t, someReceipt(), "", person())
	again, _, _ := printed(t, someReceipt(), "", person())
	if !bytes.Equal(first, again) {
		t.Error("two prints differ")
	}
	donor := person()
	if err := donor.normalise(); err != nil {
		t.Fatal(err)
	}
	other, err := print(someReceipt(), someDeclaration(t), "", uuid.MustParse("6e5d4c3b-2a19-4807-8f6e-5d4c3b2a1909"), donor)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(first, other) {
		t.Error("the PDF of another request is the same, so its hash can be found by trying names")
	}
}

func TestBothFontsHaveTheSameCharacters(t *testing.T) {
	bold, err := sfnt.Parse(gobold.TTF)
	if err != nil {
		t.Fatal(err)
	}
	var buffer sfnt.Buffer
	for r := rune(0x20); r < 0x2600; r++ {
		index, err := bold.GlyphIndex(&buffer, r)
		if inFonts(r) && (err != nil || index == 0) {
			t.Errorf("the bold font has no %q", r)
		}
	}
	for _, r := range marks {
		if !inFonts(r) {
			t.Errorf("the mark %q cannot be printed", r)
		}
	}
}

// The longest declaration and donor there are still have a receipt that can be read.
func TestTheLongestReceiptIsWhole(t *testing.T) {
	wide := strings.Repeat("Wagnerienne ", 30)
	donor := Donor{
		Kind: Company, CompanyName: wide[:119], LegalForm: wide[:39], SIREN: "732829320", PostalCode: "123456789012", City: wide[:79],
		Country: wide[:79], Street: wide[:119] + "\n" + wide[:119] + "\n" + wide[:119],
	}
	r := someReceipt()
	r.Kind, r.Amount.Minor = Company, 99_999_999
	d := someDeclaration(t)
	d.BodyName, d.Purpose, d.Quality = wide[:119], wide[:299], wide[:199]
	d.PostalAddress = []string{wide[:79], wide[:79], wide[:79], wide[:79], wide[:79]}
	if err := donor.normalise(); err != nil {
		t.Fatal(err)
	}
	pdf, err := print(r, d, "2026-00001", someRequest, donor)
	if err != nil {
		t.Fatal(err)
	}
	read, err := reader.Parse(pdf)
	if err != nil {
		t.Fatal(err)
	}
	if read.PageCount() > 2 {
		t.Errorf("%d pages", read.PageCount())
	}
	last, err := read.Page(read.PageCount() - 1)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := last.ExtractText(); err != nil || !strings.Contains(unspaced(text), "Codedecontrôle") {
		t.Errorf("the end is missing: %q, %v", text, err)
	}
	if dir := os.Getenv("RECEIPT_DUMP"); dir != "" {
		_ = os.WriteFile(dir+"/long.pdf", pdf, 0o600)
		first, _, _ := printed(t, someReceipt(), "2026-00003", person())
		_ = os.WriteFile(dir+"/person.pdf", first, 0o600)
		year, _, _ := printed(t, yearReceipt(), "", person())
		_ = os.WriteFile(dir+"/year.pdf", year, 0o600)
	}
}

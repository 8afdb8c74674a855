package receipts

import (
	"bytes"
	"encoding/base32"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/carlos7ags/folio/document"
	"github.com/carlos7ags/folio/font"
	folioimage "github.com/carlos7ags/folio/image"
	"github.com/carlos7ags/folio/layout"
	"github.com/google/uuid"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
)

// glyphs tells which characters both fonts have. They are of one family, and a test compares them.
var glyphs = sync.OnceValue(func() *sfnt.Font {
	f, err := sfnt.Parse(goregular.TTF)
	if err != nil {
		panic("receipts: the Go font cannot be read: " + err.Error())
	}
	return f
})

// inFonts reports whether a character can be printed.
func inFonts(r rune) bool {
	var buffer sfnt.Buffer
	index, err := glyphs().GlyphIndex(&buffer, r)
	return err == nil && index != 0
}

// form is what the two forms differ in. Their words are those of the administration's models.
type form struct {
	number, title, articles string
}

var forms = map[DonorKind]form{
	Individual: {
		number: "11580*05", title: "Reçu au titre des dons à certains organismes d’intérêt général",
		articles: "Articles 200, 238 bis et 978 du code général des impôts (CGI)",
	},
	Company: {
		number: "16216*03", title: "Reçu des dons et versements effectués par les entreprises au titre de l’article 238 bis du code général des impôts",
		articles: "Article 238 bis du code général des impôts (CGI)",
	},
}

const (
	bodySize  = 9.5
	smallSize = 8
	margin    = 42
	// signatureWidth and signatureHeight bound its picture.
	signatureWidth, signatureHeight = 160, 54
)

// sheet is one receipt while it is laid out.
type sheet struct {
	doc           *document.Document
	regular, bold *font.EmbeddedFont
}

// print lays a receipt out, in French, as PDF/A-2a with embedded fonts. The same arguments give the same bytes.
func print(r Receipt, d Declaration, replaces string, request uuid.UUID, donor Donor) ([]byte, error) {
	regular, err := font.ParseTTF(goregular.TTF)
	if err != nil {
		return nil, err
	}
	bold, err := font.ParseTTF(gobold.TTF)
	if err != nil {
		return nil, err
	}
	s := &sheet{doc: document.NewDocument(document.PageSizeA4), regular: font.NewEmbeddedFont(regular), bold: font.NewEmbeddedFont(bold)}
	f := forms[r.Kind]
	s.doc.SetMargins(layout.Margins{Top: margin, Right: margin, Bottom: margin, Left: margin})
	s.doc.SetTagged(true)
	s.doc.SetPdfA(document.PdfAConfig{Level: document.PdfA2A})
	s.doc.Info = document.Info{
		Title: "Reçu fiscal n° " + r.Number(), Author: d.BodyName, Subject: f.title, Creator: "Cagnotte", Producer: "Cagnotte",
		CreationDate: r.CreateTime, ModDate: r.CreateTime, Language: "fr-FR",
	}
	// The file's id and the code follow from the request's id: without them its hash could be found by trying names.
	s.doc.SetFileID(derive(request, "file", r.ID[:])[:16])

	// No tables: the library does not tag what is in their cells.
	s.doc.Add(s.labelled("Reçu n° ", r.Number()+" · Cerfa n° "+f.number))
	s.doc.Add(s.heading(f.title, layout.H1, 14))
	s.doc.Add(s.small(f.articles))
	if replaces != "" {
		s.doc.Add(s.strong("Ce reçu annule et remplace le reçu n° " + replaces + "."))
	}

	s.section("Organisme bénéficiaire des dons et versements", s.body(d))
	s.section(map[DonorKind]string{Individual: "Donateur", Company: "Entreprise donatrice"}[r.Kind], s.donor(donor))
	s.section("Don", s.gift(r, d))
	s.sign(r, d, request)

	var out bytes.Buffer
	if _, err := s.doc.WriteToWithOptions(&out, document.WriteOptions{Deterministic: true}); err != nil {
		return nil, fmt.Errorf("receipts: print: %w", err)
	}
	return out.Bytes(), nil
}

func (s *sheet) body(d Declaration) []*layout.Paragraph {
	rows := []*layout.Paragraph{
		s.labelled("Nom ou dénomination : ", d.BodyName),
		s.labelled("Adresse : ", strings.Join(d.PostalAddress, ", ")),
	}
	if d.SIREN != "" {
		rows = append(rows, s.labelled("Numéro SIREN : ", spaced(d.SIREN)))
	}
	if d.RNA != "" {
		rows = append(rows, s.labelled("Numéro RNA : ", d.RNA))
	}
	return append(rows, s.labelled("Objet : ", d.Purpose), s.labelled("Qualité de l’organisme : ", d.Quality))
}

func (s *sheet) donor(donor Donor) []*layout.Paragraph {
	_, address := donor.lines()
	var rows []*layout.Paragraph
	if donor.Kind == Company {
		rows = append(rows, s.labelled("Dénomination : ", donor.CompanyName), s.labelled("Forme juridique : ", donor.LegalForm),
			s.labelled("Numéro SIREN : ", spaced(donor.SIREN)))
	} else {
		rows = append(rows, s.labelled("Nom : ", donor.LastName), s.labelled("Prénom : ", donor.FirstName))
	}
	return append(rows, s.labelled("Adresse : ", strings.Join(address, ", ")))
}

func (s *sheet) gift(r Receipt, d Declaration) []*layout.Paragraph {
	reduction := "la réduction d’impôt prévue à l’article du CGI coché"
	var articles []option
	if r.Kind == Company {
		articles = []option{{"238 bis", true}}
	} else {
		for _, a := range []Article{Article200, Article978} {
			articles = append(articles, option{string(a), contains(d.Articles, a)})
		}
	}
	methods := map[string]bool{}
	for _, p := range r.Payments {
		methods[paymentMode(p.Method)] = true
	}
	rows := []*layout.Paragraph{
		s.text("L’organisme bénéficiaire reconnaît avoir reçu, au titre des dons et versements ouvrant droit à réduction d’impôt, la somme de :"),
		s.labelled("Montant : ", "*** "+amountInFigures(r.Amount.Minor)+" ***"),
		s.labelled("Somme en toutes lettres : ", inWords(r.Amount.Minor)),
		s.labelled("Date du versement ou du don : ", datesInFrench(r)),
		s.text("L’organisme bénéficiaire certifie sur l’honneur que les dons et versements qu’il reçoit ouvrent droit à " + reduction + " :"),
		s.options("Article : ", articles),
		s.options("Forme du don : ", []option{{"acte authentique", false}, {"acte sous seing privé", false}, {"déclaration de don manuel", true}, {"autres", false}}),
		s.options("Nature du don : ", []option{{"numéraire", true}, {"titres de sociétés cotés", false}, {"autres", false}}),
		s.options("Mode de versement du don : ", []option{
			{"remise d’espèces", methods["cash"]}, {"chèque", methods["cheque"]}, {"virement, prélèvement, carte bancaire", methods["transfer"]},
		}),
	}
	// A receipt of a year lists what it adds up.
	if len(r.Payments) > 1 {
		var list []string
		for _, p := range r.Payments {
			list = append(list, dayInFrench(p.Date)+" : "+amountInFigures(p.Amount.Minor))
		}
		rows = append(rows, s.labelled("Détail des versements : ", strings.Join(list, " ; ")))
	}
	return rows
}

// datesInFrench is the day of a payment, or the first and the last day of several.
func datesInFrench(r Receipt) string {
	if len(r.Payments) < 2 {
		return dayInFrench(r.DonationDate)
	}
	return fmt.Sprintf("du %s au %s (%d versements, détaillés ci-dessous)", dayInFrench(r.Payments[0].Date),
		dayInFrench(r.Payments[len(r.Payments)-1].Date), len(r.Payments))
}

// paymentMode is the form's word for a method. All of Stripe's are by card, debit or transfer.
func paymentMode(method string) string {
	switch method {
	case "cash", "cheque":
		return method
	}
	return "transfer"
}

func contains(all []Article, a Article) bool {
	for _, other := range all {
		if other == a {
			return true
		}
	}
	return false
}

func (s *sheet) sign(r Receipt, d Declaration, request uuid.UUID) {
	s.doc.Add(s.heading("Date et signature", layout.H2, 11))
	s.doc.Add(s.labelled("Date : ", dayInFrench(r.IssueDate)))
	s.doc.Add(s.labelled("Signature : ", d.SignatoryName+", "+d.SignatoryTitle))
	if picture := decode(d.SignatureImage); picture != nil {
		s.doc.Add(layout.NewImageElement(picture).SetMaxSize(signatureWidth, signatureHeight).SetAltText("Signature de " + d.SignatoryName))
	}
	s.doc.Add(s.small("Code de contrôle : " + controlCode(request, r) +
		". Ce reçu est numéroté et son empreinte est conservée : l’organisme peut en confirmer l’authenticité."))
}

// decode returns nil for none, and for a picture that the printer does not know: the signatory's name stands there too.
func decode(data []byte) *folioimage.Image {
	if len(data) == 0 {
		return nil
	}
	if picture, err := folioimage.NewPNG(data); err == nil {
		return picture
	}
	picture, err := folioimage.NewJPEG(data)
	if err != nil {
		return nil
	}
	return picture
}

// section is a heading with lines in a frame.
func (s *sheet) section(title string, lines []*layout.Paragraph) {
	s.doc.Add(s.heading(title, layout.H2, 11))
	frame := layout.NewDiv().SetPadding(8).SetBorder(layout.Border{Width: 0.6, Color: layout.Gray(0.35), Style: layout.BorderSolid}).SetSpaceAfter(6)
	for _, line := range lines {
		frame.Add(line)
	}
	s.doc.Add(frame)
}

func (s *sheet) heading(text string, level layout.HeadingLevel, size float64) *layout.Heading {
	run := layout.NewRunEmbedded(text, s.bold, size)
	return layout.NewHeadingEmbedded(text, level, s.bold).SetRuns([]layout.TextRun{run})
}

func (s *sheet) text(text string) *layout.Paragraph {
	return layout.NewParagraphEmbedded(text, s.regular, bodySize).SetSpaceAfter(3)
}

func (s *sheet) strong(text string) *layout.Paragraph {
	return layout.NewParagraphEmbedded(text, s.bold, bodySize).SetSpaceAfter(3)
}

func (s *sheet) small(text string) *layout.Paragraph {
	return layout.NewParagraphEmbedded(text, s.regular, smallSize).SetSpaceAfter(2)
}

func (s *sheet) labelled(label, value string) *layout.Paragraph {
	return layout.NewStyledParagraph(layout.NewRunEmbedded(label, s.regular, bodySize), layout.NewRunEmbedded(value, s.bold, bodySize)).SetSpaceAfter(3)
}

// option is a box of the form.
type option struct {
	label  string
	ticked bool
}

// options prints boxes as signs that are read out, too.
func (s *sheet) options(label string, all []option) *layout.Paragraph {
	runs := []layout.TextRun{layout.NewRunEmbedded(label, s.regular, bodySize)}
	for _, o := range all {
		if o.ticked {
			runs = append(runs, layout.NewRunEmbedded("[X] "+o.label+"   ", s.bold, bodySize))
			continue
		}
		runs = append(runs, layout.NewRunEmbedded("[  ] "+o.label+"   ", s.regular, bodySize))
	}
	return layout.NewStyledParagraph(runs...).SetSpaceAfter(3)
}

// controlCode is on the PDF alone. It makes the PDF's hash one that nobody finds by trying names.
func controlCode(request uuid.UUID, r Receipt) string {
	code := base32.StdEncoding.EncodeToString(derive(request, "code", r.ID[:])[:10])
	return code[:4] + "-" + code[4:8] + "-" + code[8:12] + "-" + code[12:]
}

// amountInFigures writes euros as the form has them: "1 234,50 €".
func amountInFigures(minor int64) string {
	return grouped(strconv.FormatInt(minor/100, 10)) + fmt.Sprintf(",%02d €", minor%100)
}

// spaced writes a SIREN as people read it.
func spaced(digits string) string { return grouped(digits) }

func grouped(digits string) string {
	var out strings.Builder
	for i, r := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out.WriteRune(' ')
		}
		out.WriteRune(r)
	}
	return out.String()
}

var months = [...]string{
	"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre",
}

func dayInFrench(day time.Time) string {
	ordinal := strconv.Itoa(day.Day())
	if day.Day() == 1 {
		ordinal = "1er"
	}
	return ordinal + " " + months[day.Month()-1] + " " + strconv.Itoa(day.Year())
}

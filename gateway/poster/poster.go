// Package poster prints a campaign on a sheet of paper: an A4 page as PDF/A-2a, with its fonts in it, a structure, a language,
// and words for its code, so that a screen reader reads it, too. The same campaign gives the same bytes.
//
// A text that the fonts cannot print is left out (see package typeface); the console's page for printing has it, in a font of
// the browser's.
package poster

import (
	"bytes"
	"fmt"

	"github.com/carlos7ags/folio/document"
	pdffont "github.com/carlos7ags/folio/font"
	"github.com/carlos7ags/folio/layout"
	"golang.org/x/image/font"

	"github.com/cagnotte/cagnotte/gateway/qr"
	"github.com/cagnotte/cagnotte/gateway/typeface"
)

// Campaign is what is printed, each text in the language of the sheet.
type Campaign struct {
	// Lang is that language, such as "fr".
	Lang string
	// Title, Collective, Sentence and Goal say who asks for how much, and what for. Sentence may be empty.
	Title, Collective, Sentence, Goal string
	// URL is where the code leads, and Address the same as somebody types it. CodeAlt is the code in words.
	URL, Address, CodeAlt string
	// Scan says what the code is for, OrType what the address below it is for.
	Scan, OrType string
}

// Sizes are in points. The page is A4.
const (
	width, height = 595.28, 841.89
	edge          = 50
	inner         = 495
	top           = 62
	bottom        = 52
	band          = 16
	codeMost      = 380
	codeGap       = 24
)

type color struct{ r, g, b float64 }

// The colours are those of gateway/design, in light.
var (
	accent = color{0x17 / 255.0, 0x69 / 255.0, 0x4f / 255.0}
	ink    = color{0x1c / 255.0, 0x23 / 255.0, 0x20 / 255.0}
	muted  = color{0x55 / 255.0, 0x60 / 255.0, 0x5b / 255.0}
)

// PDF returns the sheet.
func PDF(c Campaign) ([]byte, error) {
	s := &sheet{}
	if err := s.plan(c); err != nil {
		return nil, err
	}
	doc := document.NewDocument(document.PageSizeA4)
	doc.SetPdfA(document.PdfAConfig{Level: document.PdfA2A})
	doc.SetMargins(layout.Margins{})
	doc.Info = document.Info{Title: typeface.First(c.Title, c.Collective, c.Address), Author: typeface.First(c.Collective), Language: c.Lang, Creator: "Cagnotte"}
	doc.SetViewerPreferences(document.ViewerPreferences{DisplayDocTitle: true})
	doc.Add(s)
	var out bytes.Buffer
	_, err := doc.WriteToWithOptions(&out, document.WriteOptions{Deterministic: true, UseXRefStream: true, UseObjectStreams: true})
	return out.Bytes(), err
}

// sheet is the page, planned. Its blocks stand in the order in which they are read.
type sheet struct{ blocks []layout.PlacedBlock }

// PlanLayout implements layout.Element.
func (s *sheet) PlanLayout(layout.LayoutArea) layout.LayoutPlan {
	return layout.LayoutPlan{Status: layout.LayoutFull, Consumed: height, Blocks: s.blocks}
}

// weight is a font, to measure with and to print with.
type weight struct {
	face    func(size float64) (font.Face, error)
	printed *pdffont.EmbeddedFont
}

func newWeight(face func(float64) (font.Face, error), ttf []byte) (weight, error) {
	parsed, err := pdffont.ParseFont(ttf)
	if err != nil {
		return weight{}, err
	}
	return weight{face, pdffont.NewEmbeddedFont(parsed)}, nil
}

// paragraph is a text in lines, in the middle of the page.
type paragraph struct {
	weight
	tag   string
	lines []string
	size  float64
	color color
}

// step is from one line to the next.
func (p paragraph) step() float64 { return p.size * 1.25 }

func (p paragraph) height() float64 { return float64(len(p.lines)) * p.step() }

// text is what becomes a paragraph.
type text struct {
	weight
	tag, says string
	color     color
	// It has at least so many lines before it has smaller letters, and at most so many.
	minLines, maxLines int
	sizes              []float64
	// after is the gap to the next paragraph.
	after float64
}

// paragraph sets a text in the largest of its sizes in which all of it is there; else in the last, shortened. It has no lines
// for a text that cannot be printed.
func (t text) paragraph() (paragraph, error) {
	p := paragraph{weight: t.weight, tag: t.tag, color: t.color}
	printable, ok := typeface.Printable(t.says)
	if !ok {
		return p, nil
	}
	for lines := t.minLines; lines <= t.maxLines; lines++ {
		for _, p.size = range t.sizes {
			f, err := t.face(p.size)
			if err != nil {
				return p, err
			}
			var all bool
			if p.lines, all = typeface.Wrap(printable, f, inner, lines); all {
				p.lines = typeface.Balance(printable, f, inner, p.lines)
				return p, nil
			}
		}
	}
	return p, nil
}

// plan sets the texts above the code from the top, those below it from the bottom, and the code in the middle of what is left.
func (s *sheet) plan(c Campaign) error {
	regular, err := newWeight(typeface.Regular, typeface.RegularTTF())
	if err != nil {
		return err
	}
	bold, err := newWeight(typeface.Bold, typeface.BoldTTF())
	if err != nil {
		return err
	}
	modules, err := qr.Modules(c.URL)
	if err != nil {
		return err
	}
	heading, above := typeface.First(c.Title, c.Collective, c.Address), typeface.First(c.Collective)
	if above == heading {
		above = ""
	}
	set := func(texts []text) (all []paragraph, gaps []float64, total float64, err error) {
		for _, t := range texts {
			p, err := t.paragraph()
			if err != nil {
				return nil, nil, 0, err
			}
			if len(p.lines) > 0 {
				all, gaps = append(all, p), append(gaps, t.after)
				total += p.height() + t.after
			}
		}
		return all, gaps, total, nil
	}
	over, overGaps, overHeight, err := set([]text{
		{bold, "P", above, accent, 2, 2, []float64{21, 17, 14}, 14},
		{bold, "H1", heading, ink, 4, 4, []float64{46, 40, 34, 29, 24}, 14},
		{regular, "P", c.Sentence, ink, 4, 4, []float64{18, 16, 14}, 12},
		{bold, "P", c.Goal, accent, 2, 2, []float64{23, 18, 14}, 0},
	})
	if err != nil {
		return err
	}
	under, underGaps, underHeight, err := set([]text{
		{bold, "P", c.Scan, ink, 2, 2, []float64{23, 18, 14}, 2},
		{regular, "P", c.OrType, muted, 2, 2, []float64{16}, 4},
		{bold, "P", c.Address, accent, 1, 2, []float64{27, 23, 19, 16, 13}, 0},
	})
	if err != nil {
		return err
	}
	s.bands()
	y := s.texts(over, overGaps, top)
	end := height - bottom - underHeight
	room := end - y
	code := min(codeMost, room-2*codeGap)
	if code < 100 || overHeight < 0 {
		return fmt.Errorf("poster: %.0f points are left for the code", code)
	}
	s.code(modules, c.CodeAlt, (width-code)/2, y+(room-code)/2, code)
	s.texts(under, underGaps, end)
	return nil
}

// bands are the colour at both ends of the page. They say nothing, so they are no part of its structure.
func (s *sheet) bands() {
	s.blocks = append(s.blocks, layout.PlacedBlock{Width: width, Height: height, Draw: func(ctx layout.DrawContext, x, topY float64) {
		ctx.Stream.BeginArtifact()
		ctx.Stream.SetFillColorRGB(accent.r, accent.g, accent.b)
		ctx.Stream.Rectangle(x, topY-band, width, band)
		ctx.Stream.Rectangle(x, topY-height, width, band)
		ctx.Stream.Fill()
		ctx.Stream.EndMarkedContent()
	}})
}

// texts prints paragraphs below each other, and returns where they end.
func (s *sheet) texts(all []paragraph, gaps []float64, y float64) float64 {
	for i, p := range all {
		s.blocks = append(s.blocks, layout.PlacedBlock{
			X: edge, Y: y, Width: inner, Height: p.height(), Tag: p.tag,
			Draw: func(ctx layout.DrawContext, x, topY float64) { p.draw(ctx, x, topY) },
		})
		y += p.height() + gaps[i]
	}
	return y
}

// draw writes whole lines: the spaces between the words are in them, also that at the end of a line, for those who do not see
// the page.
func (p paragraph) draw(ctx layout.DrawContext, x, topY float64) {
	name := fontName(ctx.Page, p.printed)
	ctx.Stream.SetFillColorRGB(p.color.r, p.color.g, p.color.b)
	for i, line := range p.lines {
		left := x + (inner-p.printed.MeasureString(line, p.size))/2
		if i < len(p.lines)-1 {
			line += " "
		}
		ctx.Stream.BeginText()
		ctx.Stream.SetFont(name, p.size)
		ctx.Stream.MoveText(left, topY-float64(i)*p.step()-p.size)
		ctx.Stream.ShowTextHex(p.printed.EncodeString(line))
		ctx.Stream.EndText()
	}
}

// fontName is a font's name on the page.
func fontName(page *layout.PageResult, f *pdffont.EmbeddedFont) string {
	for _, entry := range page.Fonts {
		if entry.Embedded == f {
			return entry.Name
		}
	}
	name := fmt.Sprintf("F%d", len(page.Fonts)+1)
	page.Fonts = append(page.Fonts, layout.FontEntry{Name: name, Embedded: f})
	return name
}

// code prints the code as squares, which are sharp in any size.
func (s *sheet) code(modules [][]bool, alt string, left, y, size float64) {
	s.blocks = append(s.blocks, layout.PlacedBlock{
		X: left, Y: y, Width: size, Height: size, Tag: "Figure", AltText: alt,
		Draw: func(ctx layout.DrawContext, x, topY float64) {
			side := size / float64(len(modules))
			ctx.Stream.SetFillColorRGB(0, 0, 0)
			for row := range modules {
				for _, run := range qr.Runs(modules[row]) {
					ctx.Stream.Rectangle(x+float64(run.Start)*side, topY-float64(row+1)*side, float64(run.Length)*side, side)
				}
			}
			ctx.Stream.Fill()
		},
	})
}

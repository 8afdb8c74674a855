// Package picture draws what messengers and social networks show beside a link to a campaign: title, collective, progress and
// address, as a PNG. It needs no browser, and the same campaign gives the same bytes.
//
// The colours are those of gateway/design, in light. A text that the fonts cannot print is left out: the link has it as text,
// too. When that is the title, the collective stands in its place, and without both the address alone.
package picture

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"

	"github.com/cagnotte/cagnotte/gateway/typeface"
)

// Width and Height are those that social networks ask for, in pixels.
const (
	Width  = 1200
	Height = 630
)

// Campaign is what is drawn, each text in the language of the reader.
type Campaign struct {
	Title, Collective string
	// Raised, Goal and Percent are the sum, what it is to become, and its share: "312,50 €", "recueillis sur 800 €", "39 %".
	Raised, Goal, Percent string
	// Settled and Waiting are the parts of the bar, from 0 to 1; together at most 1.
	Settled, Waiting float64
	// Address is where to give, without its scheme.
	Address string
}

var (
	background = color.RGBA{0xf6, 0xf7, 0xf4, 0xff}
	card       = color.RGBA{0xff, 0xff, 0xff, 0xff}
	accent     = color.RGBA{0x17, 0x69, 0x4f, 0xff}
	// waiting is the accent at 45 % on the track.
	waiting = color.RGBA{0x84, 0xaf, 0xa1, 0xff}
	track   = color.RGBA{0xdd, 0xe9, 0xe3, 0xff}
	ink     = color.RGBA{0x1c, 0x23, 0x20, 0xff}
	muted   = color.RGBA{0x55, 0x60, 0x5b, 0xff}
)

// The places of things, in pixels. Texts stand on their baselines.
const (
	edge       = 80
	inner      = Width - 2*edge
	topText    = 104
	titleTop   = 128
	titleRoom  = 230
	barTop     = 394
	barHeight  = 34
	figures    = 490
	bottomText = 556
	maxLines   = 3
)

// Bar is where the bar is drawn.
var Bar = image.Rect(edge, barTop, Width-edge, barTop+barHeight)

// Draw returns the PNG.
func Draw(c Campaign) ([]byte, error) {
	canvas := image.NewRGBA(image.Rect(0, 0, Width, Height))
	draw.Draw(canvas, canvas.Bounds(), image.NewUniform(background), image.Point{}, draw.Src)
	fill(canvas, card, 32, 32, Width-32, Height-32, 28)
	heading := typeface.First(c.Title, c.Collective, c.Address)
	w := writer{canvas: canvas}
	if collective := typeface.First(c.Collective); collective != heading {
		w.line(collective, w.face(typeface.Bold, 32), accent, edge, topText, inner)
	}
	w.title(heading)
	bar(canvas, c.Settled, c.Waiting)
	raised := w.face(typeface.Bold, 46)
	right := w.width(c.Percent, raised)
	w.line(c.Percent, raised, ink, Width-edge-right, figures, right)
	left := w.line(c.Raised, raised, ink, edge, figures, inner)
	w.line(c.Goal, w.face(typeface.Regular, 34), muted, left+18, figures, Width-edge-right-40-left-18)
	if c.Address != heading {
		w.line(c.Address, w.face(typeface.Regular, 28), accent, edge, bottomText, inner)
	}
	if w.err != nil {
		return nil, w.err
	}
	var out bytes.Buffer
	err := png.Encode(&out, canvas)
	return out.Bytes(), err
}

// bar draws the progress.
func bar(canvas *image.RGBA, settled, pending float64) {
	settled = min(max(settled, 0), 1)
	pending = min(max(pending, 0), 1-settled)
	const radius = barHeight / 2
	fill(canvas, track, edge, barTop, edge+inner, barTop+barHeight, radius)
	// What is drawn later covers the round end of what was drawn before; each part begins at the bar's own end.
	for _, part := range []struct {
		color color.RGBA
		until float64
	}{{waiting, settled + pending}, {accent, settled}} {
		if part.until > 0 {
			// A part that is shorter than its round ends would be none.
			fill(canvas, part.color, edge, barTop, edge+max(part.until*inner, barHeight), barTop+barHeight, radius)
		}
	}
}

// fill draws a rectangle with round corners.
func fill(canvas *image.RGBA, c color.RGBA, left, top, right, bottom, radius float64) {
	// k is how far the handles of a quarter of a circle reach.
	const k = 0.5523
	place := image.Rect(int(left), int(top), int(math.Ceil(right)), int(math.Ceil(bottom)))
	z := vector.NewRasterizer(place.Dx(), place.Dy())
	x0, y0, r, h := float32(left)-float32(place.Min.X), float32(top)-float32(place.Min.Y), float32(radius), float32(radius*(1-k))
	x1, y1 := x0+float32(right-left), y0+float32(bottom-top)
	z.MoveTo(x0+r, y0)
	z.LineTo(x1-r, y0)
	z.CubeTo(x1-h, y0, x1, y0+h, x1, y0+r)
	z.LineTo(x1, y1-r)
	z.CubeTo(x1, y1-h, x1-h, y1, x1-r, y1)
	z.LineTo(x0+r, y1)
	z.CubeTo(x0+h, y1, x0, y1-h, x0, y1-r)
	z.LineTo(x0, y0+r)
	z.CubeTo(x0, y0+h, x0+h, y0, x0+r, y0)
	z.ClosePath()
	z.Draw(canvas, place, image.NewUniform(c), image.Point{})
}

// writer writes texts. Its first error stays.
type writer struct {
	canvas *image.RGBA
	err    error
}

func (w *writer) face(of func(float64) (font.Face, error), size float64) font.Face {
	f, err := of(size)
	if err != nil && w.err == nil {
		w.err = err
	}
	return f
}

// width is that of a text in whole pixels.
func (w *writer) width(text string, f font.Face) int {
	printable, _ := typeface.Printable(text)
	if w.err != nil {
		return 0
	}
	return font.MeasureString(f, printable).Ceil()
}

// line writes one line, shortened to so many pixels, and returns where it ends. A text that cannot be printed is left out.
func (w *writer) line(text string, f font.Face, c color.RGBA, x, y, room int) int {
	printable, ok := typeface.Printable(text)
	if !ok || w.err != nil {
		return x
	}
	d := font.Drawer{Dst: w.canvas, Src: image.NewUniform(c), Face: f, Dot: fixed.P(x, y)}
	d.DrawString(typeface.Shorten(printable, f, room))
	return d.Dot.X.Ceil()
}

// title writes the heading in the largest size in which it fits, else in the smallest and shortened.
func (w *writer) title(text string) {
	for _, size := range []float64{76, 68, 60, 52} {
		f := w.face(typeface.Bold, size)
		if w.err != nil {
			return
		}
		lines, all := typeface.Wrap(text, f, inner, maxLines)
		step := int(size * 1.18)
		if (!all || len(lines)*step > titleRoom) && size > 52 {
			continue
		}
		if all {
			lines = typeface.Balance(text, f, inner, lines)
		}
		// The block stands in the middle of its room.
		y := titleTop + (titleRoom-len(lines)*step)/2 + int(size*0.92)
		for _, line := range lines {
			w.line(line, f, ink, edge, y, inner)
			y += step
		}
		return
	}
}

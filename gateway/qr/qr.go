// Package qr draws the code that a telephone reads to open an address.
package qr

import (
	"bytes"
	"fmt"

	"github.com/skip2/go-qrcode"
)

// pngSize is the width of the PNG in pixels: 10 cm at 254 dots an inch.
const pngSize = 1024

// newCode is the code of a text, which may have about 2,300 bytes. Medium corrects what a fold or a drop hides: 15 % of it.
func newCode(text string) (*qrcode.QRCode, error) { return qrcode.New(text, qrcode.Medium) }

// Modules returns the squares of the code, row by row, true for a dark one. The quiet zone is among them.
func Modules(text string) ([][]bool, error) {
	code, err := newCode(text)
	if err != nil {
		return nil, err
	}
	return code.Bitmap(), nil
}

// Run is dark modules side by side.
type Run struct{ Start, Length int }

// Runs returns the dark runs of a row. Drawn as one rectangle each, they leave no hairline between modules.
func Runs(row []bool) (runs []Run) {
	for x, dark := range row {
		switch {
		case !dark:
		case x > 0 && row[x-1]:
			runs[len(runs)-1].Length++
		default:
			runs = append(runs, Run{x, 1})
		}
	}
	return runs
}

// SVG returns the code as an SVG, the quiet zone included.
func SVG(text string) ([]byte, error) {
	modules, err := Modules(text)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	side := len(modules)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%dv%dH0z"/><path d="`, side, side, side, side)
	for y, row := range modules {
		for _, run := range Runs(row) {
			fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", run.Start, y, run.Length, run.Length)
		}
	}
	b.WriteString(`"/></svg>`)
	return b.Bytes(), nil
}

// PNG returns the code as a PNG of 1024 pixels.
func PNG(text string) ([]byte, error) {
	code, err := newCode(text)
	if err != nil {
		return nil, err
	}
	return code.PNG(pngSize)
}

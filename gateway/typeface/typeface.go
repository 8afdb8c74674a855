// Package typeface has the fonts of what the service draws itself, pictures and posters, and tells which texts they can
// print: Latin, Greek and Cyrillic letters. They are the Go fonts.
//
// Nothing is ever drawn with the box of a missing letter. Pages have no such limit, because browsers bring their own fonts.
package typeface

import (
	"strings"
	"sync"
	"unicode"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/text/unicode/norm"
)

// RegularTTF and BoldTTF are the files of the fonts. Nobody may change them.
func RegularTTF() []byte { return goregular.TTF }
func BoldTTF() []byte    { return gobold.TTF }

var (
	regular = sync.OnceValues(func() (*sfnt.Font, error) { return opentype.Parse(goregular.TTF) })
	bold    = sync.OnceValues(func() (*sfnt.Font, error) { return opentype.Parse(gobold.TTF) })
)

// Regular returns the font in a size in pixels. The face is for one goroutine.
func Regular(size float64) (font.Face, error) { return face(regular, size) }

// Bold is like Regular.
func Bold(size float64) (font.Face, error) { return face(bold, size) }

func face(of func() (*sfnt.Font, error), size float64) (font.Face, error) {
	f, err := of()
	if err != nil {
		return nil, err
	}
	return opentype.NewFace(f, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingNone})
}

// Printable returns a text as the fonts can print it, and false when a letter, digit or sign of it is missing. Narrow spaces
// become no-break spaces. Pictographs, such as emoji, are left out.
func Printable(text string) (string, bool) {
	f, err := bold()
	if err != nil {
		return "", false
	}
	var buffer sfnt.Buffer
	var b strings.Builder
	// Letters with their marks are one sign where there is one.
	for _, r := range norm.NFC.String(text) {
		switch {
		case r == '\u2011':
			r = '-'
		case r == '\t' || r == '\n' || r == '\r':
			r = ' '
		case r != ' ' && r != '\u3000' && unicode.Is(unicode.Zs, r):
			r = '\u00a0'
		}
		if glyph, err := f.GlyphIndex(&buffer, r); err == nil && glyph != 0 {
			b.WriteRune(r)
			continue
		}
		if !unicode.In(r, unicode.So, unicode.Sk, unicode.Cf, unicode.Variation_Selector) {
			return "", false
		}
	}
	printable := strings.Join(strings.FieldsFunc(b.String(), func(r rune) bool { return r == ' ' }), " ")
	return printable, strings.Trim(printable, " \u00a0") != ""
}

// First returns the first of the texts that can be printed, as it is printed; empty when none can.
func First(texts ...string) string {
	for _, text := range texts {
		if printable, ok := Printable(text); ok {
			return printable
		}
	}
	return ""
}

package images

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"slices"

	"golang.org/x/image/draw"

	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// widths are those that an image is stored in, as far as it has them. The largest fills a phone held upright at three pixels
// a point, and the column of the pages on a desktop at two.
var widths = []int{400, 800, 1600}

const (
	// maxShape is how many times taller than wide an image may be; a taller one is made narrower.
	maxShape = 2
	// maxPNGBytes is above what drawings need. Beyond it a picture becomes a JPEG, on white where it is transparent.
	maxPNGBytes = 1 << 20
)

// variant is an image in one width.
type variant struct {
	Width, Height int
	ContentType   string
	Body          []byte
}

// encode returns the variants of a picture, by width, and the id, which is the hash of the last one.
func encode(p picture) (id string, variants []variant, err error) {
	source := p.Bounds()
	width, height := source.Dx(), source.Dy()
	if p.turn >= 5 { // a quarter turn
		width, height = height, width
	}
	largest := min(widths[len(widths)-1], width)
	if height > maxShape*width {
		largest = min(largest, max(1, largest*maxShape*width/height))
	}
	// The largest is made of the picture, and the others of it, which has fewer pixels.
	scaled := scale(p, largest, max(1, height*largest/width))
	sizes := []int{largest}
	for _, w := range widths {
		if w < largest {
			sizes = append(sizes, w)
		}
	}
	for _, w := range sizes {
		m := scaled
		if w != largest {
			m = scale(picture{Image: scaled, turn: 1}, w, max(1, height*w/width))
		}
		v, err := encodeOne(m, p.lossless)
		if err != nil {
			return "", nil, errs.Internal(err)
		}
		variants = append(variants, v)
	}
	slices.SortFunc(variants, func(a, b variant) int { return cmp.Compare(a.Width, b.Width) })
	sum := sha256.Sum256(variants[len(variants)-1].Body)
	return hex.EncodeToString(sum[:]), variants, nil
}

// scale returns the picture upright, in a size, which is that after the turn.
func scale(p picture, width, height int) *image.NRGBA {
	w, h := width, height
	if p.turn >= 5 {
		w, h = h, w
	}
	scaled := image.NewNRGBA(image.Rect(0, 0, w, h))
	draw.CatmullRom.Scale(scaled, scaled.Bounds(), p.Image, p.Bounds(), draw.Src, nil)
	return turn(scaled, p.turn)
}

// encodeOne encodes as PNG what is transparent, and what is smaller so, and as JPEG the rest.
func encodeOne(m *image.NRGBA, lossless bool) (variant, error) {
	v := variant{Width: m.Rect.Dx(), Height: m.Rect.Dy()}
	opaque := m.Opaque()
	var asPNG bytes.Buffer
	if !opaque || lossless {
		if err := png.Encode(&asPNG, m); err != nil {
			return v, err
		}
	}
	if !opaque && asPNG.Len() <= maxPNGBytes {
		v.ContentType, v.Body = "image/png", asPNG.Bytes()
		return v, nil
	}
	var asJPEG bytes.Buffer
	if err := jpeg.Encode(&asJPEG, onWhite(m), &jpeg.Options{Quality: 82}); err != nil {
		return v, err
	}
	v.ContentType, v.Body = "image/jpeg", asJPEG.Bytes()
	if opaque && lossless && asPNG.Len() <= min(maxPNGBytes, asJPEG.Len()) {
		v.ContentType, v.Body = "image/png", asPNG.Bytes()
	}
	return v, nil
}

func onWhite(m *image.NRGBA) image.Image {
	if m.Opaque() {
		return m
	}
	flat := image.NewNRGBA(m.Bounds())
	draw.Draw(flat, flat.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.Draw(flat, flat.Bounds(), m, m.Bounds().Min, draw.Over)
	return flat
}

// turn applies an orientation of Exif, so that the picture is upright without it.
func turn(m *image.NRGBA, orientation int) *image.NRGBA {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	// from returns where the pixel at (x, y) of the turned picture comes from.
	var from func(x, y int) (int, int)
	switch orientation {
	case 2:
		from = func(x, y int) (int, int) { return w - 1 - x, y }
	case 3:
		from = func(x, y int) (int, int) { return w - 1 - x, h - 1 - y }
	case 4:
		from = func(x, y int) (int, int) { return x, h - 1 - y }
	case 5:
		from = func(x, y int) (int, int) { return y, x }
	case 6:
		from = func(x, y int) (int, int) { return y, h - 1 - x }
	case 7:
		from = func(x, y int) (int, int) { return w - 1 - y, h - 1 - x }
	case 8:
		from = func(x, y int) (int, int) { return w - 1 - y, x }
	default:
		return m
	}
	size := image.Rect(0, 0, w, h)
	if slices.Contains([]int{5, 6, 7, 8}, orientation) {
		size = image.Rect(0, 0, h, w)
	}
	turned := image.NewNRGBA(size)
	for y := range size.Dy() {
		for x := range size.Dx() {
			fx, fy := from(x, y)
			turned.SetNRGBA(x, y, m.NRGBAAt(fx, fy))
		}
	}
	return turned
}

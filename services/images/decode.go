package images

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/webp"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

const (
	maxBytes = 8 << 20
	// maxPixels holds what phones take, 24 million; 100 MB of memory in four bytes a pixel.
	maxPixels = 25_000_000
	// maxCostlyPixels is for files that are decoded with eight or more bytes a pixel: 16-bit PNGs, and progressive JPEGs,
	// whose coefficients are kept until the end.
	maxCostlyPixels = 10_000_000
	// maxSide bounds a line of a picture: scaling takes memory for each of them, however few pixels they have.
	maxSide = 30_000
)

// format is a kind of file that can be read.
type format struct {
	// is tells the kind by the first bytes.
	is     func(file []byte) bool
	config func(file []byte) (image.Config, error)
	decode func(file []byte) (image.Image, error)
	// costly reports whether decoding takes more than four bytes a pixel.
	costly func(file []byte, config image.Config) bool
	// lossless files, such as drawings, stay so when that is smaller.
	lossless bool
}

// formats are all kinds. Each has its own decoder, so that no other package can add one.
var formats = []format{
	{
		is:     func(file []byte) bool { return bytes.HasPrefix(file, []byte("\xff\xd8\xff")) },
		config: func(file []byte) (image.Config, error) { return jpeg.DecodeConfig(bytes.NewReader(file)) },
		decode: func(file []byte) (image.Image, error) { return jpeg.Decode(bytes.NewReader(file)) },
		costly: func(file []byte, _ image.Config) bool { return !scanJPEG(file).sequential },
	},
	{
		is:     func(file []byte) bool { return bytes.HasPrefix(file, []byte("\x89PNG\r\n\x1a\n")) },
		config: func(file []byte) (image.Config, error) { return png.DecodeConfig(bytes.NewReader(file)) },
		decode: func(file []byte) (image.Image, error) { return png.Decode(bytes.NewReader(file)) },
		costly: func(_ []byte, config image.Config) bool {
			switch config.ColorModel {
			case color.RGBA64Model, color.NRGBA64Model, color.Gray16Model:
				return true
			}
			return false
		},
		lossless: true,
	},
	{
		is: func(file []byte) bool {
			return len(file) > 12 && bytes.HasPrefix(file, []byte("RIFF")) && bytes.Equal(file[8:12], []byte("WEBP"))
		},
		config: func(file []byte) (image.Config, error) { return webp.DecodeConfig(bytes.NewReader(file)) },
		decode: func(file []byte) (image.Image, error) { return webp.Decode(bytes.NewReader(file)) },
	},
	{
		is:       func(file []byte) bool { return bytes.HasPrefix(file, []byte("GIF8")) },
		config:   func(file []byte) (image.Config, error) { return gif.DecodeConfig(bytes.NewReader(file)) },
		decode:   func(file []byte) (image.Image, error) { return gif.Decode(bytes.NewReader(file)) },
		lossless: true,
	},
}

// picture is what a file shows.
type picture struct {
	image.Image
	// turn is how a viewer turns it: the orientation of Exif, 1 to 8, and 1 for none.
	turn     int
	lossless bool
}

// decode reads a file. Its size is read first, and checked before any pixel is. Errors: INVALID_ARGUMENT: IMAGE_UNREADABLE,
// IMAGE_TOO_LARGE.
func decode(file []byte) (picture, error) {
	if len(file) > maxBytes {
		return picture{}, tooLarge("must be at most %d bytes", maxBytes)
	}
	for _, f := range formats {
		if !f.is(file) {
			continue
		}
		config, err := f.config(file)
		if err != nil || config.Width <= 0 || config.Height <= 0 {
			return picture{}, unreadable()
		}
		limit := int64(maxPixels)
		if f.costly != nil && f.costly(file, config) {
			limit = maxCostlyPixels
		}
		if config.Width > maxSide || config.Height > maxSide {
			return picture{}, tooLarge("must be at most %d pixels wide and high", maxSide)
		}
		if int64(config.Width)*int64(config.Height) > limit {
			return picture{}, tooLarge("must have at most %d pixels", limit)
		}
		decoded, err := f.decode(file)
		if err != nil || decoded.Bounds().Empty() {
			return picture{}, unreadable()
		}
		return picture{Image: decoded, turn: scanJPEG(file).turn, lossless: f.lossless}, nil
	}
	return picture{}, unreadable()
}

func unreadable() error {
	e := errs.New(errorsv1.ErrorReason_IMAGE_UNREADABLE, "The file is no picture that can be read.")
	e.Fields = []errs.Field{{Field: "image.content", Description: "must be a PNG, JPEG, WebP or GIF picture"}}
	return e
}

func tooLarge(format string, limit any) error {
	e := errs.New(errorsv1.ErrorReason_IMAGE_TOO_LARGE, "The picture is too large.")
	e.Fields = errs.As(errs.Invalid("image.content", format, limit)).Fields
	return e
}

// scanned is what the segments before the pixels of a JPEG say.
type scanned struct {
	// sequential: its frame is read as one that keeps no coefficients. False when that cannot be told.
	sequential bool
	turn       int
}

// scanJPEG reads the segments of a JPEG (ITU T.81, annex B) as long as they follow each other as they must. It ends where a
// decoder that is more liberal would go on, such as at bytes between two segments. Any other file has turn 1.
func scanJPEG(file []byte) scanned {
	result := scanned{turn: 1}
	if !bytes.HasPrefix(file, []byte("\xff\xd8")) {
		return result
	}
	for rest := file[2:]; len(rest) >= 4 && rest[0] == 0xff; {
		marker, length := rest[1], int(binary.BigEndian.Uint16(rest[2:]))
		// Bytes of 0xff may fill the space before a marker.
		if marker == 0xff {
			rest = rest[1:]
			continue
		}
		// Markers below SOF0, and those that restart, begin or end, have no segment.
		if marker < 0xc0 || marker >= 0xd0 && marker <= 0xd9 || length < 2 || len(rest) < 2+length {
			return result
		}
		segment := rest[4 : 2+length]
		switch {
		case marker == 0xda: // the pixels begin
			return result
		case marker == 0xc0, marker == 0xc1:
			result.sequential = true
		case marker == 0xe1 && bytes.HasPrefix(segment, []byte("Exif\x00\x00")):
			result.turn = orientation(segment[6:])
		}
		rest = rest[2+length:]
	}
	return result
}

// orientation reads tag 0x0112 of the first directory of a TIFF (Exif 2.3, 4.6.4); 1 when there is none.
func orientation(tiff []byte) int {
	var order binary.ByteOrder = binary.BigEndian
	switch {
	case len(tiff) < 8:
		return 1
	case bytes.HasPrefix(tiff, []byte("II*\x00")):
		order = binary.LittleEndian
	case !bytes.HasPrefix(tiff, []byte("MM\x00*")):
		return 1
	}
	at := int64(order.Uint32(tiff[4:]))
	if at+2 > int64(len(tiff)) {
		return 1
	}
	count := int64(order.Uint16(tiff[at:]))
	for i := range count {
		entry := at + 2 + 12*i
		if entry+12 > int64(len(tiff)) {
			return 1
		}
		if order.Uint16(tiff[entry:]) == 0x0112 {
			if turn := int(order.Uint16(tiff[entry+8:])); turn >= 1 && turn <= 8 {
				return turn
			}
			return 1
		}
	}
	return 1
}

package qr

import (
	"bytes"
	"fmt"
	"image/png"
	"strings"
	"testing"
)

const address = "https://dons.example/c/vallon/cameras"

func TestPicturesShowTheModules(t *testing.T) {
	modules, err := Modules(address)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := PNG(address)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if picture.Bounds().Dx() != pngSize || picture.Bounds().Dy() != pngSize {
		t.Errorf("the PNG is %v", picture.Bounds())
	}
	drawing, err := SVG(address)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(drawing), fmt.Sprintf(`viewBox="0 0 %d %d"`, len(modules), len(modules))) {
		t.Errorf("the SVG is %s", drawing)
	}
	for y, row := range modules {
		var again []bool
		for range row {
			again = append(again, false)
		}
		for _, run := range Runs(row) {
			for x := run.Start; x < run.Start+run.Length; x++ {
				again[x] = true
			}
			if !strings.Contains(string(drawing), fmt.Sprintf("M%d %dh%dv1h-%dz", run.Start, y, run.Length, run.Length)) {
				t.Errorf("the SVG lacks %v of row %d", run, y)
			}
		}
		for x := range row {
			if row[x] != again[x] {
				t.Fatalf("row %d: %v is %v", y, row, again)
			}
		}
	}
	// The middle of each corner of the code is dark, and the quiet zone of four modules is light.
	for _, corner := range [][2]int{{7, 7}, {len(modules) - 8, 7}, {7, len(modules) - 8}} {
		if !modules[corner[1]][corner[0]] {
			t.Errorf("%v is light", corner)
		}
	}
	for i := range modules {
		if modules[3][i] || modules[i][3] {
			t.Error("the quiet zone is too small")
		}
	}
	for y, row := range modules {
		for x, dark := range row {
			middle := func(i int) int { return (2*i + 1) * pngSize / (2 * len(modules)) }
			if r, _, _, _ := picture.At(middle(x), middle(y)).RGBA(); (r == 0) != dark {
				t.Fatalf("the PNG shows another module at %d, %d", x, y)
			}
		}
	}
}

func TestAnAddressThatIsTooLong(t *testing.T) {
	if _, err := SVG(strings.Repeat("a", 4000)); err == nil {
		t.Error("it is drawn")
	}
}

package picture

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"strings"
	"testing"
)

func vallon() Campaign {
	return Campaign{
		Title: "Contre les caméras, au tribunal", Collective: "Vallon contre caméras", Raised: "312,50\u00a0€", Goal: "recueillis sur 800\u00a0€", Percent: "39\u00a0%",
		Settled: 0.39, Waiting: 0.05, Address: "dons.example/c/vallon/cameras",
	}
}

func drawn(t *testing.T, name string, c Campaign) image.Image {
	t.Helper()
	raw, err := Draw(c)
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("CAGNOTTE_PICTURES"); dir != "" {
		if err := os.WriteFile(dir+"/"+name+".png", raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if len(raw) > 200<<10 {
		t.Errorf("%s has %d bytes", name, len(raw))
	}
	picture, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if picture.Bounds() != image.Rect(0, 0, Width, Height) {
		t.Errorf("%s is %v", name, picture.Bounds())
	}
	return picture
}

// dark counts the pixels of the colour of texts in a part of a picture.
func dark(picture image.Image, part image.Rectangle) (n int) {
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			if r, _, _, _ := picture.At(x, y).RGBA(); r>>8 < 0x60 {
				n++
			}
		}
	}
	return n
}

var (
	titlePart   = image.Rect(edge, titleTop, Width-edge, titleTop+titleRoom)
	headPart    = image.Rect(edge, topText-38, Width-edge, topText+10)
	figuresPart = image.Rect(edge, figures-46, Width-edge, figures+14)
	bottomPart  = image.Rect(edge, bottomText-25, Width-edge, bottomText+10)
	border      = []image.Rectangle{image.Rect(0, 0, edge-2, Height), image.Rect(Width-edge+2, 0, Width, Height)}
)

func TestDrawIsDeterministic(t *testing.T) {
	first, err := Draw(vallon())
	second, again := Draw(vallon())
	if err != nil || again != nil || !bytes.Equal(first, second) {
		t.Errorf("two pictures of one campaign differ: %v, %v", err, again)
	}
}

func TestEachTextIsDrawn(t *testing.T) {
	whole := drawn(t, "whole", vallon())
	for _, c := range []struct {
		name    string
		without func(*Campaign)
		part    image.Rectangle
	}{
		{"title", func(c *Campaign) { c.Title = "Contre" }, titlePart},
		{"collective", func(c *Campaign) { c.Collective = "Vallon" }, headPart},
		{"raised", func(c *Campaign) { c.Raised = "3\u00a0€" }, figuresPart},
		{"address", func(c *Campaign) { c.Address = "dons.example" }, bottomPart},
	} {
		changed := vallon()
		c.without(&changed)
		less := drawn(t, "other-"+c.name, changed)
		if before, after := dark(whole, c.part), dark(less, c.part); after == 0 || before <= after {
			t.Errorf("%s: %d dark pixels, and %d of a shorter one", c.name, before, after)
		}
		for _, part := range []image.Rectangle{titlePart, headPart, bottomPart} {
			if part != c.part && dark(whole, part) != dark(less, part) {
				t.Errorf("%s: %v changed, too", c.name, part)
			}
		}
	}
}

func TestTheBarIsAsLongAsTheProgress(t *testing.T) {
	y := Bar.Min.Y + Bar.Dy()/2
	for _, c := range []struct{ settled, waiting float64 }{{0, 0}, {0, 0.5}, {0.25, 0.25}, {0.5, 0}, {0.9, 0.1}, {1, 0}, {1.7, 2}} {
		campaign := vallon()
		campaign.Settled, campaign.Waiting = c.settled, c.waiting
		picture := drawn(t, "bar", campaign)
		var settled, pending int
		for x := Bar.Min.X; x < Bar.Max.X; x++ {
			switch picture.At(x, y) {
			case accent:
				settled++
			case waiting:
				pending++
			}
		}
		near := func(got int, want float64) bool { return got > int(want*inner)-20 && got < int(want*inner)+20 }
		wantSettled := min(c.settled, 1)
		if !near(settled, wantSettled) || !near(pending, min(c.waiting, 1-wantSettled)) {
			t.Errorf("%+v: %d and %d of %d pixels", c, settled, pending, inner)
		}
	}
}

func TestAnyTitleFits(t *testing.T) {
	for name, title := range map[string]string{
		"long":      "Une collecte dont le titre est si long qu’il ne tient pas, même sur trois lignes, parce que ses mots sont nombreux et longs",
		"one-word":  strings.Repeat("Donaudampfschifffahrts", 5),
		"wide":      strings.Repeat("W", 120),
		"short":     "Oui",
		"two-lines": "Pour un procès juste et rapide à Salles-la-Source",
	} {
		c := vallon()
		c.Title, c.Collective, c.Address = title, title, strings.Repeat("a", 200)
		c.Raised, c.Goal = "999\u00a0999\u00a0999,99\u00a0€", "recueillis sur 999\u00a0999\u00a0999\u00a0€"
		picture := drawn(t, name, c)
		for _, part := range border {
			if n := dark(picture, part); n > 0 {
				t.Errorf("%s: %d dark pixels beside the texts", name, n)
			}
		}
		if dark(picture, titlePart) == 0 {
			t.Errorf("%s: no title", name)
		}
		if between := image.Rect(edge, titleTop+titleRoom+8, Width-edge, barTop); dark(picture, between) > 0 {
			t.Errorf("%s: the title reaches the bar", name)
		}
	}
}

func TestATitleThatCannotBePrintedLeavesNoBoxes(t *testing.T) {
	hebrew := vallon()
	hebrew.Title = "נגד המצלמות"
	instead := vallon()
	instead.Title, instead.Collective = instead.Collective, ""
	if a, b := drawn(t, "hebrew", hebrew), drawn(t, "instead", instead); dark(a, titlePart) != dark(b, titlePart) || dark(a, headPart) != 0 {
		t.Error("the collective does not stand in the title's place alone")
	}
	hebrew.Collective = "反对摄像头"
	address := vallon()
	address.Title, address.Collective = address.Address, ""
	if a, b := drawn(t, "address", hebrew), drawn(t, "address-title", address); dark(a, titlePart) != dark(b, titlePart) || dark(a, titlePart) == 0 {
		t.Error("the address does not stand in the title's place")
	}
}

func BenchmarkDraw(b *testing.B) {
	for b.Loop() {
		if _, err := Draw(vallon()); err != nil {
			b.Fatal(err)
		}
	}
}

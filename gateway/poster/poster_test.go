package poster

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/carlos7ags/folio/core"
	"github.com/carlos7ags/folio/reader"
)

func vallon() Campaign {
	return Campaign{
		Lang: "fr", Title: "Contre les caméras, au tribunal", Collective: "Vallon contre caméras",
		Sentence: "La mairie veut 23 caméras dans un village de 400 habitants\u202f: nous allons au tribunal.", Goal: "Objectif\u202f: 800\u00a0€",
		URL: "https://dons.example/c/vallon/cameras", Address: "dons.example/c/vallon/cameras", CodeAlt: "Code QR de https://dons.example/c/vallon/cameras",
		Scan: "Scannez ce code pour donner", OrType: "ou allez sur",
	}
}

func printed(t *testing.T, name string, c Campaign) (*reader.PdfReader, string, []byte) {
	t.Helper()
	raw, err := PDF(c)
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("CAGNOTTE_PICTURES"); dir != "" {
		if err := os.WriteFile(dir+"/"+name+".pdf", raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read, err := reader.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if read.PageCount() != 1 {
		t.Fatalf("%s has %d pages", name, read.PageCount())
	}
	page, err := read.Page(0)
	if err != nil {
		t.Fatal(err)
	}
	text, err := page.ExtractText()
	if err != nil {
		t.Fatal(err)
	}
	return read, strings.Join(strings.Fields(strings.ReplaceAll(text, "\u00a0", " ")), " "), raw
}

func TestPoster(t *testing.T) {
	c := vallon()
	read, text, raw := printed(t, "poster", c)
	t.Run("says everything", func(t *testing.T) {
		for _, want := range []string{c.Title, c.Collective, "La mairie veut 23 caméras", "Objectif : 800 €", c.Scan, c.OrType, c.Address} {
			if !strings.Contains(text, want) {
				t.Errorf("it does not say %q: %q", want, text)
			}
		}
		if title, author, _, _, _ := read.Info(); title != c.Title || author != c.Collective {
			t.Errorf("its properties are %q, %q", title, author)
		}
	})
	fonts, embedded, alt := 0, 0, ""
	for n := 1; n <= read.MaxObjectNumber(); n++ {
		object, err := read.ResolveObject(core.NewPdfIndirectReference(n, 0))
		if err != nil {
			continue
		}
		dictionary, ok := object.(*core.PdfDictionary)
		if !ok {
			continue
		}
		switch {
		case is(dictionary, "Type", "FontDescriptor"):
			fonts++
			if dictionary.Get("FontFile2") != nil {
				embedded++
			}
		case is(dictionary, "Type", "Font") && is(dictionary, "Subtype", "Type1"):
			t.Error("a font is not in it")
		case is(dictionary, "S", "Figure"):
			if said, ok := dictionary.Get("Alt").(*core.PdfString); ok {
				alt = said.Text()
			}
		}
	}
	t.Run("has a language, a structure, and words for its code", func(t *testing.T) {
		if lang, ok := read.Catalog().Get("Lang").(*core.PdfString); !ok || lang.Text() != "fr" {
			t.Errorf("its language is %v", lang)
		}
		tags := map[string]int{}
		var walk func(n *reader.StructNode)
		walk = func(n *reader.StructNode) {
			if n.MCID >= 0 {
				tags[n.Tag]++
			}
			for _, child := range n.Children {
				walk(child)
			}
		}
		tree := read.StructureTree()
		if tree == nil {
			t.Fatal("it has no structure")
		}
		walk(tree.Root)
		if tags["H1"] == 0 || tags["P"] < 5 || tags["Figure"] != 1 || alt != c.CodeAlt {
			t.Errorf("its structure is %v, and the code is called %q", tags, alt)
		}
	})
	t.Run("has its fonts in it", func(t *testing.T) {
		if fonts != 2 || embedded != 2 {
			t.Errorf("%d of %d fonts are in it", embedded, fonts)
		}
	})
	t.Run("is the same each time", func(t *testing.T) {
		if _, _, again := printed(t, "poster", c); !bytes.Equal(raw, again) {
			t.Error("two sheets of one campaign differ")
		}
	})
}

func is(d *core.PdfDictionary, key, value string) bool {
	name, ok := d.Get(key).(*core.PdfName)
	return ok && name.Value == value
}

func TestAnyPosterIsOnePage(t *testing.T) {
	for name, title := range map[string]string{
		"poster-long":  "Une collecte dont le titre est si long qu’il ne tient pas, même sur trois lignes, parce que ses mots sont nombreux et longs",
		"poster-word":  strings.Repeat("Donaudampfschifffahrts", 5),
		"poster-short": "Oui",
	} {
		c := vallon()
		c.Title, c.Collective, c.Goal = title, title, "Objectif\u202f: 999\u202f999\u202f999,99\u00a0€"
		c.Sentence = strings.Repeat("Une phrase assez longue. ", 6)
		c.Address = "dons.exemple-tres-long.example/c/" + strings.Repeat("a", 40) + "/" + strings.Repeat("b", 40)
		c.URL = "https://" + c.Address
		printed(t, name, c)
	}
	c := vallon()
	c.Title, c.Sentence = "נגד המצלמות", "反对摄像头"
	if _, text, _ := printed(t, "poster-hebrew", c); !strings.Contains(text, c.Collective) || strings.Contains(text, "נ") || strings.Contains(text, "反") {
		t.Errorf("it says %q", text)
	}
}

func BenchmarkPDF(b *testing.B) {
	for b.Loop() {
		if _, err := PDF(vallon()); err != nil {
			b.Fatal(err)
		}
	}
}

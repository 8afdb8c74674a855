package typeface

import (
	"strings"
	"testing"

	"golang.org/x/image/font"
)

func TestPrintable(t *testing.T) {
	for _, c := range []struct {
		text, want string
		ok         bool
	}{
		{"Contre les caméras", "Contre les caméras", true},
		{"312,50\u202f€ sur 1\u202f000\u00a0€", "312,50\u00a0€ sur 1\u00a0000\u00a0€", true},
		{"e\u0301te\u0301", "été", true},
		{"Брэст ça, ΑΘΗΝΑ, ñ ß Œ", "Брэст ça, ΑΘΗΝΑ, ñ ß Œ", true},
		{"Sauvons la forêt 🌳\ufe0f !", "Sauvons la forêt !", true},
		{"mot\u2011clé\n", "mot-clé", true},
		{"ضد الكاميرات", "", false},
		{"נגד המצלמות", "", false},
		{"反对摄像头", "", false},
		{"कैमरों के विरुद्ध", "", false},
		{"Caméras 反对", "", false},
		{"🌳", "", false},
		{"", "", false},
	} {
		got, ok := Printable(c.text)
		if got != c.want || ok != c.ok {
			t.Errorf("%q: got %q, %v", c.text, got, ok)
		}
	}
	if got := First("反对", "Vallon"); got != "Vallon" {
		t.Errorf("got %q", got)
	}
}

func TestWrapLosesNothing(t *testing.T) {
	f, err := Bold(52)
	if err != nil {
		t.Fatal(err)
	}
	const room = 1040
	text := "Pour un procès juste et rapide à Salles-la-Source " + strings.Repeat("Donau", 6)
	lines, all := Wrap(text, f, room, 3)
	if got := strings.ReplaceAll(strings.Join(lines, ""), " ", ""); !all || got != strings.ReplaceAll(text, " ", "") {
		t.Errorf("got %q", lines)
	}
	for _, line := range lines {
		if font.MeasureString(f, line).Ceil() > room {
			t.Errorf("%q is too long", line)
		}
	}
}

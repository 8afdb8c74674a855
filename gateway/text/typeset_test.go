package text

import (
	"strings"
	"testing"
)

// In these texts ~ is a thin no-break space, and | is a Break.
func TestTypeset(t *testing.T) {
	plain := strings.NewReplacer("~", "\u202f", "|", Break, "_", "\u00a0").Replace
	for typed, want := range map[string]string{
		"« Non ! » : 1 700 gens ; 12 000 000 €": "«~Non~!~»~: 1~700 gens~; 12~000~000_€",
		"Quoi?! Merci!":                      "Quoi~?! Merci~!",
		"Rendez-vous: 14:02, place 3:4.":     "Rendez-vous~: 14:02, place 3:4.",
		"L'eau, c'est 20 % d'ici":            "L’eau, c’est 20_% d’ici",
		`Il dit "non", puis "oui".`:          "Il dit «~non~», puis «~oui~».",
		`un écran de 5" et un de 6" !`:       `un écran de 5" et un de 6"~!`,
		"le maire - enfin -- signe":          "le maire – enfin – signe",
		"vice-maire, 10-15":                  "vice-maire, 10-15",
		"Et après...":                        "Et après…",
		"AT&amp; T, A &lt; B; C":             "AT&amp; T, A &lt; B~; C",
		"|Attention| ! l'|eau| et \"|non|\"": "|Attention|~! l’|eau| et «~|non|~»",
		"|Merci|!":                           "|Merci|~!",
		"voir https://a.fr/?b=c":             "voir https://a.fr/?b=c",
	} {
		got := Typeset("fr", plain(typed))
		if got != plain(want) {
			t.Errorf("%q: got %q, want %q", typed, got, plain(want))
		}
		if again := Typeset("fr", got); again != got {
			t.Errorf("%q, set again, becomes %q", got, again)
		}
		if Typeset("en", typed) != typed {
			t.Errorf("%q changes in English", typed)
		}
	}
}

func TestApostrophesOfNames(t *testing.T) {
	for name, want := range map[string]string{
		"Frais d'actes et de contentieux": "Frais d’actes et de contentieux", "5' nets": "5' nets", "donor's": "donor’s",
	} {
		if got := Apostrophes(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

package treasury

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawReference draws one.
func drawReference(t *rapid.T) string {
	seven := rapid.StringOfN(rapid.SampledFrom([]rune(alphabet)), referenceChars-1, referenceChars-1, -1).Draw(t, "seven")
	return seven + string(checkCharacter(seven))
}

func TestOneMistakeInAReferenceIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		code := []byte(drawReference(t))
		if !validReference(string(code)) {
			t.Fatalf("%s is not valid itself", code)
		}
		i := rapid.IntRange(0, referenceChars-1).Draw(t, "place")
		wrong := slices.Clone(code)
		wrong[i] = rapid.SampledFrom([]byte(alphabet)).Draw(t, "character")
		if wrong[i] != code[i] && validReference(string(wrong)) {
			t.Errorf("%s passes for %s: a wrong character", wrong, code)
		}
		j := rapid.IntRange(0, referenceChars-1).Draw(t, "other place")
		swapped := slices.Clone(code)
		swapped[i], swapped[j] = swapped[j], swapped[i]
		if code[i] != code[j] && validReference(string(swapped)) {
			t.Errorf("%s passes for %s: two characters that changed places", swapped, code)
		}
	})
}

func TestAReferenceIsReadHoweverItIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		code := drawReference(t)
		written := formatReference(code)
		if rapid.Bool().Draw(t, "without prefix") {
			written = strings.TrimPrefix(written, referencePrefix+"-")
		}
		if rapid.Bool().Draw(t, "small") {
			written = strings.ToLower(written)
		}
		written = strings.ReplaceAll(written, "-", rapid.SampledFrom([]string{"-", "", " ", " - ", "."}).Draw(t, "between"))
		written = strings.NewReplacer("5", rapid.SampledFrom([]string{"5", "S", "s"}).Draw(t, "five")).Replace(written)
		written = strings.NewReplacer("2", rapid.SampledFrom([]string{"2", "Z", "z"}).Draw(t, "two")).Replace(written)
		if got, ok := parseReference(written); !ok || got != code {
			t.Errorf("%q is read as %q, %v; want %q", written, got, ok, code)
		}
		text := "VIR SEPA/MOTIF " + formatReference(code)[:6] + "\n " + formatReference(code)[6:] + " MERCI"
		if found := findReferences(text); !slices.Contains(found, code) {
			t.Errorf("%q is not found in %q: %v", code, text, found)
		}
	})
}

func TestNewReferences(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		code, err := newReference(rand.Reader)
		if err != nil || !validReference(code) || seen[code] {
			t.Fatalf("%q, err = %v, seen before: %v", code, err, seen[code])
		}
		seen[code] = true
	}
	for _, never := range "01OILSZ" {
		if strings.ContainsRune(alphabet, never) {
			t.Errorf("%c can be taken for another", never)
		}
	}
}

func TestTextsWithoutAReferenceNameNone(t *testing.T) {
	for _, text := range []string{"", "CAG", "CAG-7K3M", "CAGNOTTE VALLON", "don pour la cagnotte 12345678", "CAG-0000-0000"} {
		if found := findReferences(text); len(found) != 0 {
			t.Errorf("%q names %v", text, found)
		}
	}
}

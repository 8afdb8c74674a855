package access_test

import (
	"strings"
	"testing"

	"github.com/cagnotte/cagnotte/services/access"
)

func TestPrintable(t *testing.T) {
	for text, want := range map[string]struct{ line, text bool }{
		"Vallon contre les caméras": {true, true},
		"Šárka 東京 שלום 👩":           {true, true},
		"two\nlines":                {false, true},
		"a\ttab":                    {false, true},
		"":                          {false, false},
		" \n ":                      {false, false},
		"a\x00b":                    {false, false},
		"a\u202eb":                  {false, false},
		"a\u2066b":                  {false, false},
		"a\u200bb":                  {false, false},
		"a\u200db":                  {false, false},
		"a\ufeffb":                  {false, false},
		"a\u00adb":                  {false, false},
		"a\U000e0041b":              {false, false},
		"a\xffb":                    {false, false},
		strings.Repeat("é", 40):     {true, true},
		strings.Repeat("é", 41):     {false, false},
	} {
		if got := access.PrintableLine(text, 40); got != want.line {
			t.Errorf("%q as a line: %t", text, got)
		}
		if got := access.PrintableText(text, 40); got != want.text {
			t.Errorf("%q as a text: %t", text, got)
		}
	}
}

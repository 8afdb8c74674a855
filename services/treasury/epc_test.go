package treasury

import (
	"encoding/xml"
	"strings"
	"testing"

	"github.com/cagnotte/cagnotte/services/money"
)

func slipOf(minor int64, currency money.Currency) transfer {
	return transfer{
		holder: "Vallon contre caméras", iban: "FR76 3000 6000 0112 3456 7890 189", bic: "AGRIFRPP",
		amount: money.Amount{Minor: minor, Currency: currency}, remittance: "CAG-7K3M-9QXT",
	}
}

func TestEPCPayload(t *testing.T) {
	const want = "BCD\n002\n1\nSCT\nAGRIFRPP\nVallon contre caméras\nFR7630006000011234567890189\nEUR25.05\n\n\nCAG-7K3M-9QXT"
	if got := epcPayload(slipOf(25_05, money.EUR)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	t.Run("has no form for another currency, or too much", func(t *testing.T) {
		if got := epcPayload(slipOf(25_00, "CHF")) + epcPayload(slipOf(maxEPCMinor+1, money.EUR)); got != "" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("needs no BIC, whose line stays", func(t *testing.T) {
		slip := slipOf(25_05, money.EUR)
		slip.bic = ""
		if got := epcPayload(slip); got != strings.Replace(want, "AGRIFRPP", "", 1) {
			t.Errorf("got %q", got)
		}
	})
	t.Run("is never longer than 331 bytes", func(t *testing.T) {
		slip := slipOf(maxEPCMinor, money.EUR)
		slip.holder = strings.Repeat("é", 70)
		fixed := len(epcPayload(slip)) - len(slip.remittance)
		for length, fits := range map[int]bool{maxEPCBytes - fixed: true, maxEPCBytes - fixed + 1: false} {
			slip.remittance = strings.Repeat("x", length)
			if got := epcPayload(slip); (len(got) == maxEPCBytes) != fits || (got == "") == fits {
				t.Errorf("of %d bytes it is %q", fixed+length, got)
			}
		}
		slip.remittance = strings.Repeat("x", maxEPCBytes-fixed)
		if _, err := qrSVG(epcPayload(slip)); err != nil {
			t.Errorf("the longest has no picture: %v", err)
		}
	})
	t.Run("keeps every text in its line, and the holder to 70 characters", func(t *testing.T) {
		slip := slipOf(1, money.EUR)
		slip.holder = "A\nB " + strings.Repeat("é", 100)
		lines := strings.Split(epcPayload(slip), "\n")
		if len(lines) != 11 || lines[4] != "AGRIFRPP" || len([]rune(lines[5])) != 70 || !strings.HasPrefix(lines[5], "A B ") || lines[7] != "EUR0.01" {
			t.Errorf("got %q", lines)
		}
	})
}

func TestQRIsAPicture(t *testing.T) {
	svg, err := qrSVG(epcPayload(slipOf(25_05, money.EUR)))
	if err != nil {
		t.Fatal(err)
	}
	var picture struct {
		ViewBox string `xml:"viewBox,attr"`
		Paths   []struct {
			Fill string `xml:"fill,attr"`
			D    string `xml:"d,attr"`
		} `xml:"path"`
	}
	if err := xml.Unmarshal([]byte(svg), &picture); err != nil {
		t.Fatal(err)
	}
	// Version 6 is what holds so much in level M: 41 modules, and 4 of quiet zone on each side.
	if picture.ViewBox != "0 0 49 49" || len(picture.Paths) != 2 {
		t.Fatalf("got %s", svg)
	}
	// The finder pattern in the first corner, after the quiet zone.
	if !strings.HasPrefix(picture.Paths[1].D, "M4 4h7v1h-7z") || strings.ContainsAny(svg, "\n") || strings.Contains(svg, "script") {
		t.Errorf("got %s", svg)
	}
}

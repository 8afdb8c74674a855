package treasury

import (
	"fmt"
	"strings"
	"unicode/utf8"

	qrcode "github.com/skip2/go-qrcode"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/money"
)

// The limits of the guideline.
const (
	maxEPCName  = 70
	maxEPCBytes = 331
	// maxEPCMinor is 999,999,999.99 €.
	maxEPCMinor = 99_999_999_999
)

// transfer is what a bank needs to know of a transfer.
type transfer struct {
	holder, iban, bic string
	amount            money.Amount
	remittance        string
}

// epcPayload returns the text of a QR code from which banking apps fill in a transfer: EPC069-12, version 002, in UTF-8,
// with unstructured remittance. It is empty for what the guideline cannot express: another currency than the euro, and an
// amount that is too large.
// https://www.europeanpaymentscouncil.eu/document-library/guidance-documents/quick-response-code-guidelines-enable-data-capture-initiation
func epcPayload(t transfer) string {
	if t.amount.Currency != money.EUR || t.amount.Minor > maxEPCMinor {
		return ""
	}
	// The name is cut by characters, the whole payload is measured in bytes.
	name := []rune(singleLine(t.holder))
	if len(name) > maxEPCName {
		name = name[:maxEPCName]
	}
	// Each element is a line, and the order of the lines is fixed: an element that is not used is an empty line.
	payload := strings.Join([]string{
		"BCD", "002",
		"1", // UTF-8
		"SCT",
		singleLine(t.bic),
		string(name),
		strings.ReplaceAll(t.iban, " ", ""),
		fmt.Sprintf("EUR%d.%02d", t.amount.Minor/100, t.amount.Minor%100),
		"", // the purpose
		"", // structured remittance
		singleLine(t.remittance),
	}, "\n")
	if len(payload) > maxEPCBytes || !utf8.ValidString(payload) {
		return ""
	}
	return payload
}

// singleLine removes line breaks, which would begin another element.
func singleLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// qrSVG draws a text as a QR code of level M, as the guideline asks, with its quiet zone. The picture needs no script and no
// style sheet, so it can be shown on any page.
func qrSVG(text string) (string, error) {
	code, err := qrcode.New(text, qrcode.Medium)
	if err != nil {
		return "", errs.Internal(err)
	}
	matrix := code.Bitmap()
	var path strings.Builder
	// Dark modules that lie side by side in a row become one rectangle, which makes the path much shorter than a square
	// for each module. One unit of the picture is one module.
	for y, row := range matrix {
		for x := 0; x < len(row); {
			width := 0
			for x+width < len(row) && row[x+width] {
				width++
			}
			if width > 0 {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", x, y, width, width)
			}
			x += max(width, 1)
		}
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[1]d" shape-rendering="crispEdges">`+
		`<path fill="#fff" d="M0 0h%[1]dv%[1]dH0z"/><path fill="#000" d="%[2]s"/></svg>`, len(matrix), path.String()), nil
}

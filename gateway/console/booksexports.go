package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/cagnotte/cagnotte/gateway/download"
	exportsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/exports/v1"
)

// exportFormats are those of ExportLedger, the ones that most people want first.
var exportFormats = []string{"XLSX", "CSV", "PAYOUTS", "FEC", "FEC_NOTICE", "HLEDGER", "BEANCOUNT", "JSONL", "PROOF"}

func exportFields(v *visit) []field {
	var formats []option
	for _, f := range exportFormats {
		formats = append(formats, option{Value: f, Label: v.T("books.format_" + f), Hint: v.T("books.formatHint_" + f)})
	}
	return []field{
		{Name: "format", Label: "books.format", Kind: "radio", Required: true, Options: formats},
		{Name: "start_date", Label: "books.from", Hint: "books.fromHint", Kind: "day"},
		{Name: "end_date", Label: "books.until", Hint: "books.untilHint", Kind: "day"},
		{Name: "siren", Label: "books.siren", Hint: "books.sirenHint", Max: 11, Mono: true},
	}
}

// exportsPage asks what to export.
type exportsPage struct {
	booksPage
	Form *form
	// Years are links that fill in a whole year.
	Years []link
}

func booksExports(v *visit) error {
	f := v.queryForm(exportFields(v))
	if f.Value("format") == "" {
		f.set("format", "XLSX")
	}
	return booksExportPage(v, f)
}

func booksExportPage(v *visit, f *form) error {
	zone, err := v.zone()
	if err != nil {
		return err
	}
	f.summary = "shell.fileRefused"
	p := exportsPage{booksPage: booksTabs(v, "/exports"), Form: f}
	for year := v.Now().In(zone).Year(); len(p.Years) < 3; year-- {
		query := url.Values{"start_date": {strconv.Itoa(year) + "-01-01"}, "end_date": {strconv.Itoa(year) + "-12-31"}, "format": {f.Value("format")}}
		p.Years = append(p.Years, link{"?" + query.Encode(), strconv.Itoa(year)})
	}
	code := http.StatusOK
	if f.failed() {
		code = http.StatusUnprocessableEntity
	}
	return v.render(code, "books/exports", v.T("books.exportsTitle"), p)
}

// booksExport streams the file. A download that broke off continues by Range and If-Range, as over REST.
func booksExport(v *visit) error {
	f := v.queryForm(exportFields(v))
	request := &exportsv1.ExportLedgerRequest{
		Name: booksOf(v), Format: f.Value("format"), StartDate: f.day("start_date"), EndDate: f.day("end_date"),
		Siren: strings.ReplaceAll(f.Value("siren"), " ", ""), Version: v.r.URL.Query().Get("version"),
	}
	if request.GetFormat() == "PROOF" {
		// It is always of all time.
		request.StartDate, request.EndDate = "", ""
	}
	if !f.failed() {
		err := download.Ledger(v.w, v.r, exportsv1.NewExportsServiceClient(v.Conn), request, v.Logger)
		if err == nil || !f.refused(v, err) {
			return err
		}
	}
	return booksExportPage(v, f)
}

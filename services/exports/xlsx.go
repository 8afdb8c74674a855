package exports

import (
	"archive/zip"
	"context"
	"errors"
	"io"
	"math"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/xuri/excelize/v2"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// FormatXLSX is a workbook of two sheets: the entries, with the columns of the CSV, and the totals of each account.
// Texts are text cells, so none is a formula; days, times and amounts are numbers with a format. Amounts of more than
// 15 digits are as exact as spreadsheets are.
//
// Errors: FAILED_PRECONDITION XLSX_TOO_LARGE for more entries than a sheet has rows.
const FormatXLSX = "XLSX"

const (
	entriesSheet = "Entries"
	// https://support.microsoft.com/office/1672b34d-7043-467e-8e27-269d656771c3
	maxSheetRows = 1 << 20
)

// Widths are in characters, for what columns usually hold.
var entriesWidths = []float64{12, 34, 10, 12, 20, 10, 32, 14, 14, 9, 24, 38}

// workbook holds no rows: excelize writes them to a temporary file, and puts that into the archive at the end.
type workbook struct {
	*chunks
	zone   *time.Location
	file   *excelize.File
	stream *excelize.StreamWriter
	rows   int
	totals totals
	// Styles by number: of the header, of a day, of a time, of amounts by their decimals.
	bold, day, second int
	amounts           map[int]int
}

// openXLSX counts the entries first: a sheet has a highest number of rows, one of which is the header, and a refusal
// must come before the first byte. CountEntries may count more than there are, never less.
func openXLSX(ctx context.Context, x *export, c *chunks) (writer, error) {
	count, err := x.view.CountEntries(ctx, x.filter)
	if err != nil {
		return nil, err
	}
	if count >= maxSheetRows {
		return nil, errs.New(errorsv1.ErrorReason_XLSX_TOO_LARGE, "A sheet has %d rows, and there are %d entries: ask for fewer days, or for another format.", maxSheetRows, count)
	}
	w := &workbook{
		chunks: c, zone: x.zone, file: excelize.NewFile(),
		totals: totals{}, amounts: map[int]int{},
	}
	if err := w.begin(); err != nil {
		return nil, errs.Internal(errors.Join(err, w.Close()))
	}
	return w, nil
}

// Close removes the temporary files.
func (w *workbook) Close() error { return w.file.Close() }

// begin makes the sheets and styles, and writes the header.
func (w *workbook) begin() (err error) {
	// The archive is written to the chunks, and not to the writer that WriteTo gets.
	w.file.SetZipWriter(func(io.Writer) excelize.ZipWriter { return zip.NewWriter(w.chunks) })
	// The library begins a workbook with a sheet of this name.
	if err := w.file.SetSheetName("Sheet1", entriesSheet); err != nil {
		return err
	}
	if _, err := w.file.NewSheet(totalsSheet); err != nil {
		return err
	}
	for _, style := range []struct {
		number *int
		style  excelize.Style
	}{
		{&w.bold, excelize.Style{Font: &excelize.Font{Bold: true}}},
		{&w.day, excelize.Style{CustomNumFmt: new("yyyy-mm-dd")}},
		{&w.second, excelize.Style{CustomNumFmt: new("yyyy-mm-dd hh:mm:ss")}},
	} {
		// The library gives a number for each style, which cells then name.
		if *style.number, err = w.file.NewStyle(&style.style); err != nil {
			return err
		}
	}
	// Widths and panes must be set before the first row is streamed.
	if w.stream, err = w.file.NewStreamWriter(entriesSheet); err != nil {
		return err
	}
	for i, width := range entriesWidths {
		if err := w.stream.SetColWidth(i+1, i+1, width); err != nil {
			return err
		}
	}
	if err := w.stream.SetPanes(frozenHeader()); err != nil {
		return err
	}
	var header []any
	for _, name := range strings.Split(strings.TrimSpace(csvHeader), ",") {
		header = append(header, excelize.Cell{StyleID: w.bold, Value: name})
	}
	return w.row(header)
}

// frozenHeader keeps the first row visible.
func frozenHeader() *excelize.Panes {
	return &excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}
}

// row writes cells from the first column on. Rows are streamed: none can be written again.
func (w *workbook) row(cells []any) error {
	w.rows++
	at, err := excelize.CoordinatesToCellName(1, w.rows)
	if err != nil {
		return err
	}
	return w.stream.SetRow(at, cells)
}

func (w *workbook) entry(row *ledger.EntryRow) error {
	if err := w.totals.add(row); err != nil {
		return errs.Internal(err)
	}
	amount, err := w.amount(row.Amount)
	if err != nil {
		return errs.Internal(err)
	}
	debit, credit := any(amount), any(nil)
	if row.Amount.Minor < 0 {
		// A credit loses its sign and moves to its column.
		amount.Value = -amount.Value.(float64)
		debit, credit = nil, amount
	}
	// A spreadsheet has no time zones: the day is the collective's, written as midnight UTC so that no conversion moves
	// it.
	year, month, day := row.Effective.In(w.zone).Date()
	// The order is that of csvHeader.
	cells := []any{
		row.TransactionID,
		row.Reference,
		row.Kind,
		excelize.Cell{StyleID: w.day, Value: time.Date(year, month, day, 0, 0, 0, 0, time.UTC)},
		excelize.Cell{StyleID: w.second, Value: row.Effective.UTC()},
		row.Code,
		row.DisplayName,
		debit,
		credit,
		string(row.Amount.Currency),
		textOrNothing(row.Campaign),
		nil,
	}
	if row.Donation != uuid.Nil {
		cells[11] = row.Donation.String()
	}
	if err := w.row(cells); err != nil {
		return errs.Internal(err)
	}
	return nil
}

// textOrNothing leaves a cell empty instead of giving it an empty text.
func textOrNothing(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// amount is a cell with as many decimals as the currency has.
func (w *workbook) amount(a money.Amount) (excelize.Cell, error) {
	decimals := a.Currency.Exponent()
	// A style is made when the first amount with so many decimals comes.
	style, known := w.amounts[decimals]
	if !known {
		format := "#,##0"
		if decimals > 0 {
			format += "." + strings.Repeat("0", decimals)
		}
		var err error
		if style, err = w.file.NewStyle(&excelize.Style{CustomNumFmt: &format}); err != nil {
			return excelize.Cell{}, err
		}
		w.amounts[decimals] = style
	}
	// A spreadsheet has floating-point numbers only.
	return excelize.Cell{StyleID: style, Value: float64(a.Minor) / math.Pow10(decimals)}, nil
}

// end adds the sheet of totals and packs all into the archive.
func (w *workbook) end() error {
	if err := w.stream.Flush(); err != nil {
		return errs.Internal(err)
	}
	if err := w.writeTotals(); err != nil {
		return errs.Internal(err)
	}
	// It goes to the chunks, and from there to the reader, whose errors are not ours to name.
	_, err := w.file.WriteTo(io.Discard)
	return err
}

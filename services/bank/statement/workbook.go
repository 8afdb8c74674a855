package statement

import (
	"bytes"
	"encoding/csv"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"
)

// maxCells bounds a workbook.
const maxCells = 40 * maxMovements

// workbook writes the first sheet that has cells as CSV: days as YYYY-MM-DD, numbers with a decimal point, both from the value
// of the cell and not from how it is shown.
func workbook(content []byte) ([]byte, error) {
	broken := func() error { return with(unreadable("its workbook cannot be read"), Problem{Kind: ProblemWorkbook}) }
	book, err := excelize.OpenReader(bytes.NewReader(content), excelize.Options{UnzipSizeLimit: maxUnpacked, UnzipXMLSizeLimit: maxUnpacked})
	if err != nil {
		return nil, broken()
	}
	defer book.Close()
	for _, sheet := range book.GetSheetList() {
		table, err := sheetTable(book, sheet)
		if err != nil {
			return nil, err
		}
		if table != nil {
			return table, nil
		}
	}
	return nil, with(unreadable("its workbook is empty"), Problem{Kind: ProblemEmpty})
}

// sheetTable is nil for a chart and for an empty sheet. The rows are read twice side by side, as values and as they are shown:
// both stream, while asking for the style of one cell would load the whole sheet, with all rows up to the last number.
func sheetTable(book *excelize.File, sheet string) ([]byte, error) {
	rows, err := book.Rows(sheet)
	if err != nil {
		return nil, nil // a chart
	}
	defer rows.Close()
	shownRows, err := book.Rows(sheet)
	if err != nil {
		return nil, nil
	}
	defer shownRows.Close()
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Comma = ';'
	cells, filled := 0, false
	for number := 1; rows.Next() && shownRows.Next(); number++ {
		values, err := rows.Columns(excelize.Options{RawCellValue: true})
		shown, errShown := shownRows.Columns(excelize.Options{})
		if err != nil || errShown != nil {
			return nil, with(unreadable("row %d of its workbook cannot be read", number), Problem{Kind: ProblemWorkbook, Line: number})
		}
		if cells += len(values) + 1; cells > maxCells {
			return nil, with(unreadable("its workbook has more cells than %d movements need", maxMovements), Problem{Kind: ProblemTooLarge})
		}
		for i, value := range values {
			filled = filled || value != ""
			as := ""
			if i < len(shown) {
				as = shown[i]
			}
			values[i] = cellText(value, as)
		}
		_ = w.Write(values) // a buffer takes every write
	}
	if rows.Error() != nil {
		return nil, with(unreadable("its workbook cannot be read to the end"), Problem{Kind: ProblemWorkbook})
	}
	if !filled {
		return nil, nil
	}
	w.Flush()
	return b.Bytes(), nil
}

// cellText writes a number as a number, and as YYYY-MM-DD where it is shown as a day. Digits alone stay as they are, since they
// may be a text, such as an account. A line break in a text becomes a blank.
func cellText(value, shown string) string {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
		return strings.Join(strings.Fields(value), " ")
	}
	if shown != value && isDay(shown) {
		if on, err := excelize.ExcelDateToTime(n, false); err == nil {
			return on.Format(time.DateOnly)
		}
	}
	if !strings.ContainsAny(value, ".eE") {
		return value
	}
	// A number of a workbook has 15 digits; more are rests of its arithmetic.
	return strconv.FormatFloat(math.Round(n*1e6)/1e6, 'f', -1, 64)
}

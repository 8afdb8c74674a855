package statement

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"regexp"
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
	book, err := excelize.OpenReader(bytes.NewReader(content), excelize.Options{UnzipSizeLimit: maxUnpacked, UnzipXMLSizeLimit: maxUnpacked, RawCellValue: true})
	if err != nil {
		return nil, broken()
	}
	defer book.Close()
	for _, sheet := range book.GetSheetList() {
		rows, err := book.Rows(sheet)
		if err != nil {
			continue // a chart
		}
		table, err := sheetTable(book, sheet, rows)
		if err != nil {
			return nil, err
		}
		if table != nil {
			return table, nil
		}
	}
	return nil, with(unreadable("its workbook is empty"), Problem{Kind: ProblemEmpty})
}

// sheetTable is nil for an empty sheet.
func sheetTable(book *excelize.File, sheet string, rows *excelize.Rows) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Comma = ';'
	cells, filled := 0, false
	dates := map[int]bool{}
	for number := 1; rows.Next(); number++ {
		values, err := rows.Columns(excelize.Options{RawCellValue: true})
		if err != nil {
			return nil, with(unreadable("row %d of its workbook cannot be read", number), Problem{Kind: ProblemWorkbook, Line: number})
		}
		if cells += len(values) + 1; cells > maxCells {
			return nil, with(unreadable("its workbook has more cells than %d movements need", maxMovements), Problem{Kind: ProblemTooLarge})
		}
		for i, value := range values {
			if value == "" {
				continue
			}
			filled = true
			if values[i], err = cellText(book, sheet, number, i+1, value, dates); err != nil {
				return nil, err
			}
		}
		_ = w.Write(values) // a buffer takes every write
	}
	if err := rows.Close(); err != nil || !filled {
		return nil, nil
	}
	w.Flush()
	return b.Bytes(), nil
}

// cellText writes a number as a number, and as a day where its style shows one. A line break in a text becomes a blank.
func cellText(book *excelize.File, sheet string, row, column int, value string, dates map[int]bool) (string, error) {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
		return strings.Join(strings.Fields(value), " "), nil
	}
	at, err := excelize.CoordinatesToCellName(column, row)
	if err != nil {
		return "", fmt.Errorf("statement: name a cell: %w", err)
	}
	// A text of digits, such as an account, is no number.
	if kind, err := book.GetCellType(sheet, at); err == nil && (kind == excelize.CellTypeSharedString || kind == excelize.CellTypeInlineString) {
		return value, nil
	}
	style, err := book.GetCellStyle(sheet, at)
	if err != nil {
		return value, nil
	}
	shown, known := dates[style]
	if !known {
		if s, err := book.GetStyle(style); err == nil {
			shown = isDateFormat(s)
		}
		dates[style] = shown
	}
	if !shown {
		// A number of a workbook has 15 digits; more are rests of its arithmetic.
		return strconv.FormatFloat(math.Round(n*1e6)/1e6, 'f', -1, 64), nil
	}
	on, err := excelize.ExcelDateToTime(n, false)
	if err != nil {
		return value, nil
	}
	return on.Format(time.DateOnly), nil
}

// formatLiteral is what a number format shows as it is.
var formatLiteral = regexp.MustCompile(`"[^"]*"|\[[^\]]*\]|\\.`)

// isDateFormat tells a format of days. The numbers are those of the formats that each workbook has (ECMA-376, 18.8.30).
func isDateFormat(s *excelize.Style) bool {
	if s.CustomNumFmt != nil {
		return strings.ContainsAny(strings.ToLower(formatLiteral.ReplaceAllString(*s.CustomNumFmt, "")), "dy")
	}
	return s.NumFmt >= 14 && s.NumFmt <= 17 || s.NumFmt == 22 || s.NumFmt >= 27 && s.NumFmt <= 31 || s.NumFmt == 36 || s.NumFmt >= 50 && s.NumFmt <= 58
}

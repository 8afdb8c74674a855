package exports_test

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/exports"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/money"
)

func openBook(t *testing.T, text string) *excelize.File {
	t.Helper()
	book, err := excelize.OpenReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := book.Close(); err != nil {
			t.Error(err)
		}
	})
	return book
}

// TestXLSX reads the workbook back and compares its cells with the CSV's.
func TestXLSX(t *testing.T) {
	service, books, pool := open(t, "Europe/Paris")
	motley(t, books, pool)
	text, _ := download(t, service, exports.Request{Collective: vallon, Format: exports.FormatXLSX})
	book := openBook(t, text)
	want := cells(t, file(t, service, exports.Request{Collective: vallon}))
	got, err := book.GetRows("Entries", excelize.Options{RawCellValue: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want)+1 {
		t.Fatalf("%d rows, want %d and a header", len(got), len(want))
	}
	for i, row := range want {
		cells := append(got[i+1], make([]string, 12-len(got[i+1]))...)
		for column := range row {
			row[column] = strings.TrimPrefix(row[column], "'")
			cells[column] = strings.ReplaceAll(cells[column], "\r\n", "\n")
		}
		for _, column := range []int{7, 8} {
			if cells[column] != "" {
				amount, err := money.Parse(cells[column], money.Currency(row[9]))
				if err != nil {
					t.Fatal(err)
				}
				cells[column] = amount.Decimal()
			}
		}
		for column, layout := range map[int]string{3: "2006-01-02", 4: "2006-01-02T15:04:05"} {
			days, err := strconv.ParseFloat(cells[column], 64)
			if err != nil {
				t.Fatalf("row %d: %q is no date", i, cells[column])
			}
			at, err := excelize.ExcelDateToTime(days, false)
			if err != nil {
				t.Fatal(err)
			}
			// To the second, which is as near as a day's fraction is written.
			cells[column], row[column] = at.Format(layout), row[column][:len(layout)]
		}
		if diff := cmp.Diff(row, cells); diff != "" {
			t.Errorf("row %d (-CSV +XLSX):\n%s", i+2, diff)
		}
	}
	t.Run("types its cells", func(t *testing.T) {
		for cell, kind := range map[string]excelize.CellType{
			"A2": excelize.CellTypeUnset, "B2": excelize.CellTypeInlineString, "D2": excelize.CellTypeUnset, "E2": excelize.CellTypeUnset,
			"F2": excelize.CellTypeInlineString, "H2": excelize.CellTypeUnset, "J2": excelize.CellTypeInlineString,
		} {
			if got, err := book.GetCellType("Entries", cell); err != nil || got != kind {
				t.Errorf("%s is of type %v, err = %v", cell, got, err)
			}
		}
		for cell, want := range map[string]string{"D2": "2026-02-01", "E2": "2026-02-01 06:00:00", "H2": "0.01"} {
			if got, err := book.GetCellValue("Entries", cell); err != nil || got != want {
				t.Errorf("%s shows %q, want %q, err = %v", cell, got, want, err)
			}
		}
	})
	t.Run("has no formula", func(t *testing.T) {
		for i := range got {
			for _, column := range "ABCDEFGHIJKL" {
				if formula, err := book.GetCellFormula("Entries", string(column)+strconv.Itoa(i+1)); err != nil || formula != "" {
					t.Errorf("formula %q, err = %v", formula, err)
				}
			}
		}
	})
	t.Run("keeps the header visible", func(t *testing.T) {
		for _, sheet := range book.GetSheetList() {
			if panes, err := book.GetPanes(sheet); err != nil || !panes.Freeze || panes.YSplit != 1 {
				t.Errorf("%s: %+v, err = %v", sheet, panes, err)
			}
		}
	})
	t.Run("has our balances, and totals that balance", func(t *testing.T) {
		rows, err := book.GetRows("Totals", excelize.Options{RawCellValue: true})
		if err != nil {
			t.Fatal(err)
		}
		sums := map[string]string{}
		var currencies int
		for _, row := range rows[1:] {
			balance, err := money.Parse(row[6], money.Currency(row[3]))
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case row[0] == "Total" && (row[6] != "0" || row[4] != row[5]):
				t.Errorf("the total is %q", row)
			case row[0] == "Total":
				currencies++
			case balance.Minor != 0:
				sums[row[0]+" "+row[3]] = balance.Decimal()
			}
		}
		if diff := cmp.Diff(balances(t, books), sums); diff != "" || currencies != 2 {
			t.Errorf("%d currencies (-ledger +XLSX):\n%s", currencies, diff)
		}
	})
}

func TestXLSXLeavesNoFileBehind(t *testing.T) {
	folder := t.TempDir()
	service, _, pool := open(t, "Europe/Paris")
	fill(t, pool, 60_000)
	t.Setenv("TMPDIR", folder)
	req := exports.Request{Collective: vallon, Format: exports.FormatXLSX}
	if text := file(t, service, req); len(text) < 1<<20 {
		t.Errorf("%d bytes need no file", len(text))
	}
	full := errors.New("the disk is full")
	if err := service.Write(t.Context(), failing{full}, req); !errors.Is(err, full) {
		t.Errorf("err = %v", err)
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) > 0 {
		t.Errorf("left are %v, err = %v", left, err)
	}
}

func TestXLSXHasAsManyRowsAsASheet(t *testing.T) {
	service, _, pool := open(t, "Europe/Paris")
	if _, err := pgtest.Owner(t, pool).Exec(t.Context(), `
		DO $$ BEGIN
			SET LOCAL session_replication_role = replica;
			INSERT INTO ledger.entries (transaction_id, amount, effective_at, account_id, line, nominal, currency, collective, campaign)
			SELECT n, 1, '2026-01-01'::timestamptz + n * interval '1 second', 1, 1, false, 'EUR', 'vallon-contre-cameras', ''
			FROM generate_series(1, 1 << 20) AS n;
		END $$`); err != nil {
		t.Fatal(err)
	}
	req := exports.Request{Collective: vallon, Format: exports.FormatXLSX}
	if err := service.Write(t.Context(), failing{io.ErrClosedPipe}, req); errs.As(err) == nil || errs.As(err).Reason != errorsv1.ErrorReason_XLSX_TOO_LARGE {
		t.Errorf("err = %v", err)
	}
	// A day has few enough.
	req.EndDate = "2026-01-01"
	if err := service.Write(t.Context(), io.Discard, req); err != nil {
		t.Errorf("a day: %v", err)
	}
}

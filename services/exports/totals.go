package exports

import (
	"cmp"
	"maps"
	"slices"

	"github.com/xuri/excelize/v2"

	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

const totalsSheet = "Totals"

var (
	totalsColumns = []string{"account", "account_name", "account_type", "currency", "debit", "credit", "balance"}
	totalsWidths  = []float64{10, 32, 14, 9, 16, 16, 16}
)

// totalKey is an account in one currency. Two accounts of one code can differ by name or type, and then have a row
// each.
type totalKey struct {
	currency money.Currency
	accountKey
}

func (k totalKey) compare(other totalKey) int {
	return cmp.Or(
		cmp.Compare(k.currency, other.currency), cmp.Compare(k.code, other.code),
		cmp.Compare(k.name, other.name), cmp.Compare(k.kind, other.kind))
}

// total has the sums of both sides; neither is negative.
type total struct{ debit, credit money.Amount }

// totals has one row for each account and currency, however many entries there are.
type totals map[totalKey]total

// add counts an entry on its side. A credit is stored without its sign. The same entry can be on one side only, so the
// other gets a zero of the same currency.
func (s totals) add(row *ledger.EntryRow) error {
	key := totalKey{row.Amount.Currency, accountKey{row.Type, row.Code, row.DisplayName}}
	// Amounts of two currencies cannot be added, so the zero has the key's.
	zero := money.Amount{Currency: key.currency}
	if row.Amount.Minor > 0 {
		return s.addTotal(key, total{row.Amount, zero})
	}
	credit, err := row.Amount.Neg()
	return cmp.Or(err, s.addTotal(key, total{zero, credit}))
}

// addTotal adds sums of one key. Errors are of amounts that do not fit into int64.
func (s totals) addTotal(key totalKey, more total) error {
	t, known := s[key]
	if !known {
		s[key] = more
		return nil
	}
	var debitErr, creditErr error
	// Both sums are made before an error is returned, which ends the file anyway.
	t.debit, debitErr = t.debit.Add(more.debit)
	t.credit, creditErr = t.credit.Add(more.credit)
	s[key] = t
	return cmp.Or(debitErr, creditErr)
}

// writeTotals writes a row for each account and currency, and after those of a currency their sum. The rows are sorted
// by currency, then by account, so the sum of a currency is written when the next row has another one. This sheet is
// not streamed: it has a row for each account, not for each entry.
func (w *workbook) writeTotals() error {
	for i, width := range totalsWidths {
		column, err := excelize.ColumnNumberToName(i + 1)
		if err != nil {
			return err
		}
		if err := w.file.SetColWidth(totalsSheet, column, column, width); err != nil {
			return err
		}
	}
	if err := w.file.SetPanes(totalsSheet, frozenHeader()); err != nil {
		return err
	}
	var header []excelize.Cell
	for _, name := range totalsColumns {
		header = append(header, excelize.Cell{StyleID: w.bold, Value: name})
	}
	rows := [][]excelize.Cell{header}
	sums := totals{}
	keys := slices.SortedFunc(maps.Keys(w.totals), totalKey.compare)
	for i, key := range keys {
		row, err := w.totalRow(key, w.totals[key])
		if err != nil {
			return err
		}
		rows = append(rows, row)
		// The sum of a currency is a row like the others, after its last account.
		sum := totalKey{key.currency, accountKey{code: "Total"}}
		if err := sums.addTotal(sum, w.totals[key]); err != nil {
			return err
		}
		// The last account of a currency is followed by another currency or by nothing.
		if i == len(keys)-1 || keys[i+1].currency != key.currency {
			if row, err = w.totalRow(sum, sums[sum]); err != nil {
				return err
			}
			rows = append(rows, row)
		}
	}
	// Cells are named from A1 on; row and column count from 1.
	for r, row := range rows {
		for c, cell := range row {
			at, err := excelize.CoordinatesToCellName(c+1, r+1)
			if err != nil {
				return err
			}
			if err := w.file.SetCellValue(totalsSheet, at, cell.Value); err != nil {
				return err
			}
			if err := w.file.SetCellStyle(totalsSheet, at, at, cell.StyleID); err != nil {
				return err
			}
		}
	}
	return nil
}

// totalRow returns the cells of a row, in the order of totalsColumns.
func (w *workbook) totalRow(key totalKey, t total) ([]excelize.Cell, error) {
	// Debit positive, as everywhere in the books.
	balance, err := t.debit.Sub(t.credit)
	if err != nil {
		return nil, err
	}
	row := []excelize.Cell{{Value: key.code}, {Value: key.name}, {Value: string(key.kind)}, {Value: string(key.currency)}}
	for _, a := range []money.Amount{t.debit, t.credit, balance} {
		cell, err := w.amount(a)
		if err != nil {
			return nil, err
		}
		row = append(row, cell)
	}
	return row, nil
}

package statement

import (
	"encoding/csv"
	"slices"
	"strings"
)

// table is a CSV file while its columns are found out.
type table struct {
	format CSVFormat
	// titles are those of the columns; nil when the file has none.
	titles []string
	// rows are the records below the titles that have as many fields as they need.
	rows [][]string
	// balance, currency and owner are the columns of the balance after a movement, of the currency, and of the account; zero
	// for none.
	balance, currency, owner int
}

// maxTitleLine is how far from its beginning a file may have its titles.
const maxTitleLine = 60

// findTable finds the separator and the line of titles: the first line that names a day and an amount. A file without such
// a line is a table when all of its lines have the same number of fields, and at least four.
func findTable(text string) (*table, error) {
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines[:min(len(lines), maxTitleLine)] {
		for _, separator := range []rune{';', ',', '\t', '|'} {
			titles := record(line, separator)
			if roles := rolesOf(titles); roles.day() > 0 && roles.money() {
				t := &table{format: CSVFormat{Separator: separator, Header: strings.TrimSpace(line)}, titles: titles}
				t.read(strings.Join(lines[i+1:], ""))
				return t, nil
			}
		}
	}
	for _, separator := range []rune{';', ',', '\t', '|'} {
		t := &table{format: CSVFormat{Separator: separator}}
		t.read(text)
		if len(t.rows) > 0 && len(t.rows[0]) >= 4 && !slices.ContainsFunc(t.rows, func(r []string) bool { return len(r) != len(t.rows[0]) }) {
			return t, nil
		}
	}
	return nil, unknownFormat(ProblemColumns, "must have a line of titles, with a day and an amount")
}

// record reads one line; nil when it is no CSV.
func record(line string, separator rune) []string {
	if len(line) > maxRecordBytes {
		return nil
	}
	r := csv.NewReader(strings.NewReader(line))
	r.Comma, r.LazyQuotes = separator, true
	fields, err := r.Read()
	if err != nil {
		return nil
	}
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	return fields
}

// maxDetectedFields is more than all columns of as many movements as a file may have.
const maxDetectedFields = 50 * maxMovements

// read reads the rows, as far as they can be read: what cannot be is an error when the file is read as a whole.
func (t *table) read(text string) {
	source := &recordSource{text: strings.NewReader(text)}
	r := csv.NewReader(source)
	r.Comma, r.FieldsPerRecord, r.LazyQuotes = t.format.Separator, -1, true
	// The number of fields bounds the memory, since each costs more than its text.
	for n := 0; len(t.rows) <= maxMovements && n < maxDetectedFields; {
		source.left = maxRecordBytes
		fields, err := r.Read()
		if err != nil {
			return
		}
		n += len(fields)
		if strings.TrimSpace(strings.Join(fields, "")) != "" {
			t.rows = append(t.rows, fields)
		}
	}
}

// section chooses, in a file of several accounts, the one whose number is a part of the collective's IBAN; empty when there
// is no choice, or none fits.
func (t *table) section(text, own string) string {
	if t.format.Header == "" || own == "" {
		return ""
	}
	parts, at := 0, 0
	section := ""
	rows := strings.SplitAfter(text, "\n")
	for i, row := range rows {
		if !t.format.sameHeader(row) {
			continue
		}
		parts++
		// What is above the titles, from the last titles on; the number that stands last there is the nearest.
		numbers := accountNumber.FindAllString(strings.Join(rows[at:i], ""), -1)
		at = i + 1
		for _, number := range numbers {
			if strings.Contains(CompactAccount(own), number) {
				section = number
			}
		}
	}
	if parts < 2 {
		return ""
	}
	return section
}

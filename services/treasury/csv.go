package treasury

import (
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cagnotte/cagnotte/services/money"
)

// csvFormat says how to read a CSV file. Columns are counted from 1; zero is none.
type csvFormat struct {
	separator   rune
	latin9      bool
	guess       bool // of the encoding
	skipLines   int
	dateLayout  string
	decimalMark string

	date, amount, debit, credit, reference int
	text                                   []int
}

// maxRecordBytes is far above any line of a bank's.
const maxRecordBytes = 64 << 10

// recordSource ends a record that goes on for ever, as behind a quote that nobody closes, and with it the memory of
// its columns.
type recordSource struct {
	text *strings.Reader
	left int
}

var errLongRecord = errors.New("treasury: a line without end")

func (s *recordSource) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, errLongRecord
	}
	n, err := s.text.Read(p[:min(len(p), s.left)])
	s.left -= n
	return n, err
}

// parseCSV reads the movements of a CSV file of one account, in one currency. Some banks put no quotes, and what payers
// write between their columns as it is: taken for the bank's, a payer's quotes swallow lines. So a file that is no CSV, or
// has more movements when quotes are letters, which no day and no amount has, is read so. Others quote every field, and
// leave the quotes in it as they are: no CSV either, and read so when all lines have as many fields.
func parseCSV(content []byte, f csvFormat, currency money.Currency) ([]parsedLine, error) {
	text, err := f.decode(content)
	if err != nil {
		return nil, err
	}
	// What stands before the movements need not be CSV.
	for range f.skipLines {
		_, rest, found := strings.Cut(text, "\n")
		if !found {
			return nil, unreadable("it has no more than the lines to be skipped")
		}
		text = rest
	}
	lines, err := f.lines(text, currency)
	if !strings.Contains(text, `"`) || err != nil && !errors.Is(err, errNoCSV) {
		return lines, err
	}
	if doubled, ok := f.doubleQuotes(text); ok && err != nil {
		return f.lines(doubled, currency)
	}
	letters, errLetters := f.lines(strings.ReplaceAll(text, `"`, `'`), currency)
	if errLetters == nil && len(letters) > len(lines) || err != nil && !strings.HasPrefix(text, `"`) {
		return letters, errLetters
	}
	return lines, err
}

// doubleQuotes doubles the quotes within the fields of lines whose every field is quoted; ok is false when one is not, or
// when they differ in how many fields they have: then a quote may be the bank's or a payer's.
func (f csvFormat) doubleQuotes(text string) (doubled string, ok bool) {
	between := `"` + string(f.separator) + `"`
	lines := strings.Split(text, "\n")
	fields := 0
	for i, line := range lines {
		line = strings.TrimSuffix(line, "\r")
		if strings.TrimSpace(line) == "" {
			continue
		}
		line, opened := strings.CutPrefix(line, `"`)
		line, closed := strings.CutSuffix(line, `"`)
		if fields == 0 {
			fields = strings.Count(line, between)
		}
		if !opened || !closed || strings.Count(line, between) != fields {
			return "", false
		}
		values := strings.Split(line, between)
		for j, value := range values {
			values[j] = strings.ReplaceAll(value, `"`, `""`)
		}
		lines[i] = `"` + strings.Join(values, between) + `"`
	}
	return strings.Join(lines, "\n"), true
}

var errNoCSV = errors.New("treasury: no CSV")

func (f csvFormat) lines(text string, currency money.Currency) (lines []parsedLine, err error) {
	source := &recordSource{text: strings.NewReader(text)}
	reader := csv.NewReader(source)
	reader.Comma, reader.FieldsPerRecord = f.separator, -1
	last := 0
	for {
		source.left = maxRecordBytes
		record, err := reader.Read()
		switch {
		case errors.Is(err, io.EOF):
			return lines, nil
		case err != nil:
			at, column := last, 0
			if wrong := (*csv.ParseError)(nil); errors.As(err, &wrong) {
				at, column = wrong.Line, wrong.Column
			}
			return nil, errors.Join(unreadable("its CSV cannot be read at line %d, column %d", f.skipLines+at, column), errNoCSV)
		}
		at, _ := reader.FieldPos(0)
		last = at
		if f.empty(record) {
			continue
		}
		line, err := f.line(record, currency)
		if err != nil {
			return nil, unreadable("line %d %s", f.skipLines+at, err)
		}
		if lines = append(lines, line); len(lines) > maxStatementLines {
			return nil, unreadable("it has more than %d movements", maxStatementLines)
		}
	}
}

// decode returns UTF-8, without a byte order mark.
func (f csvFormat) decode(content []byte) (string, error) {
	switch {
	case f.latin9, f.guess && !utf8.Valid(content):
		return fromLatin9(content), nil
	case !utf8.Valid(content):
		return "", unreadable("it is not in UTF-8")
	}
	return strings.TrimPrefix(string(content), "\ufeff"), nil
}

// field returns a column's text, empty when the record has none.
func field(record []string, column int) string {
	if column < 1 || column > len(record) {
		return ""
	}
	return strings.TrimSpace(record[column-1])
}

// empty reports a line without day and amount, as stand at the end of some files.
func (f csvFormat) empty(record []string) bool {
	return field(record, f.date)+field(record, f.amount)+field(record, f.debit)+field(record, f.credit) == ""
}

var (
	errLineDay     = errors.New("has no day, or one that is written in another way")
	errLineAmount  = errors.New("has no amount, or one that is written in another way")
	errLineAmounts = errors.New("has an amount on both sides")
)

func (f csvFormat) line(record []string, currency money.Currency) (line parsedLine, err error) {
	on, err := time.Parse(f.dateLayout, field(record, f.date))
	if err != nil {
		return line, errLineDay
	}
	line.bookedOn = Day(on.Format(time.DateOnly))
	if line.amount, err = f.amountOf(record, currency); err != nil {
		return line, err
	}
	line.reference = provided(field(record, f.reference))
	var texts []string
	for _, column := range f.text {
		texts = append(texts, field(record, column))
	}
	line.text = strings.Join(texts, " ")
	return line, nil
}

func (f csvFormat) amountOf(record []string, currency money.Currency) (money.Amount, error) {
	side := func(column int) (money.Amount, error) {
		text := field(record, column)
		if text == "" {
			return money.Amount{Currency: currency}, nil
		}
		return parseDecimal(text, currency, f.decimalMark)
	}
	if f.amount > 0 {
		amount, err := side(f.amount)
		if err != nil || amount.Minor == 0 {
			return money.Amount{}, errLineAmount
		}
		return amount, nil
	}
	went, err := side(f.debit)
	if err != nil {
		return money.Amount{}, errLineAmount
	}
	came, err := side(f.credit)
	switch {
	case err != nil, went.Minor == 0 && came.Minor == 0:
		return money.Amount{}, errLineAmount
	case went.Minor != 0 && came.Minor != 0:
		return money.Amount{}, errLineAmounts
	case went.Minor > 0:
		return went.Neg()
	case went.Minor < 0:
		return went, nil
	}
	return came, nil
}

// parseDecimal reads an amount as banks write it: a sign before or after, blanks or the other mark between
// groups of three, at most the currency's decimals but for zeros.
func parseDecimal(text string, currency money.Currency, mark string) (money.Amount, error) {
	if !currency.Valid() {
		return money.Amount{}, errNoAmount
	}
	text = strings.NewReplacer(" ", "", "\u00a0", "", "\u202f", "", "\t", "", "\n", "", "\r", "", "€", "", string(currency), "", "−", "-").Replace(text)
	negative := false
	switch {
	case strings.HasPrefix(text, "-"), strings.HasSuffix(text, "-"):
		negative, text = true, strings.TrimSuffix(strings.TrimPrefix(text, "-"), "-")
	case strings.HasPrefix(text, "+"):
		text = text[1:]
	}
	whole, fraction, _ := strings.Cut(text, mark)
	if group := map[string]string{",": ".", ".": ","}[mark]; strings.Contains(whole, group) {
		groups := strings.Split(whole, group)
		for i, g := range groups {
			if len(g) > 3 || len(g) < 3 && i > 0 || g == "" {
				return money.Amount{}, errNoAmount
			}
		}
		whole = strings.Join(groups, "")
	}
	exponent := currency.Exponent()
	for len(fraction) > exponent && strings.HasSuffix(fraction, "0") {
		fraction = fraction[:len(fraction)-1]
	}
	if len(fraction) > exponent || whole == "" || len(whole) > 13 {
		return money.Amount{}, errNoAmount
	}
	amount := money.Amount{Currency: currency}
	for _, digit := range whole + fraction + strings.Repeat("0", exponent-len(fraction)) {
		if digit < '0' || digit > '9' {
			return money.Amount{}, errNoAmount
		}
		amount.Minor = 10*amount.Minor + int64(digit-'0')
	}
	if negative {
		amount.Minor = -amount.Minor
	}
	return amount, nil
}

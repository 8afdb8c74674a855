package treasury

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/money"
)

// csvFormat says how to read a CSV file. Columns are counted from 1; zero is none.
type csvFormat struct {
	separator rune
	encoding  csvEncoding
	quotes    quoting
	skipLines int
	// header is the line above the movements, instead of skipLines; section a text above that of the account meant.
	header, section string
	dateLayout      string
	decimalMark     string

	date, amount, debit, credit, reference int
	text                                   []int
	// sign is the column that says which way the money went, by one of the words.
	sign                  int
	debitWord, creditWord string
	// state is the column that says whether a line is money, and booked its words for that.
	state  int
	booked []string
	// fee is the column of what the bank took besides.
	fee int
}

// csvEncoding is how a file's text is written.
type csvEncoding int

const (
	guessEncoding csvEncoding = iota
	utf8Encoding
	latin9Encoding
	windows1252Encoding
)

// quoting is what quotes are in a file.
type quoting int

const (
	guessQuotes quoting = iota
	quotesAroundFields
	quotesInText
)

// csvContent is what a file holds of the account meant.
type csvContent struct {
	lines []parsedLine
	// notBooked is how many lines are no money by their state.
	notBooked int
	// leftOut are the other accounts in the file.
	leftOut []string
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

// readCSV reads the movements of a CSV file of one account, in one currency.
//
// Some banks put no quotes around fields and write what payers type as it is: taken for the bank's, a payer's quotes
// swallow lines. Others quote every field, and leave the quotes in it as they are. So when the format does not say what
// quotes are, a file that is no CSV is read in these two ways. A file that is CSV, and has more movements when quotes are
// letters, is refused: a payer's text with line breaks within the bank's quotes would otherwise pass for movements.
func readCSV(content []byte, f csvFormat, currency money.Currency) (csvContent, error) {
	text, err := f.decode(content)
	if err != nil {
		return csvContent{}, err
	}
	// What stands before the movements need not be CSV.
	for range f.skipLines {
		_, rest, found := strings.Cut(text, "\n")
		if !found {
			return csvContent{}, unreadable("it has no more than the lines to be skipped")
		}
		text = rest
	}
	inText := strings.ReplaceAll(text, `"`, `'`)
	if f.quotes == quotesInText {
		return f.read(inText, currency)
	}
	read, err := f.read(text, currency)
	if !strings.Contains(text, `"`) || err != nil && !errors.Is(err, errNoCSV) {
		return read, err
	}
	if doubled, ok := f.doubleQuotes(text); ok && err != nil {
		return f.read(doubled, currency)
	}
	if f.quotes == quotesAroundFields {
		return read, err
	}
	letters, errLetters := f.read(inText, currency)
	switch {
	case err != nil && !strings.HasPrefix(text, `"`):
		return letters, errLetters
	case err == nil && errLetters == nil && len(letters.lines)+letters.notBooked > len(read.lines)+read.notBooked:
		return csvContent{}, wrong(errorsv1.ErrorReason_STATEMENT_UNREADABLE, "csv.quotes",
			"must say whether the bank puts quotes around fields: the file can be read in two ways, with different movements")
	}
	return read, err
}

// read reads the movements below the header of the account meant, or all when the format has no header.
func (f csvFormat) read(text string, currency money.Currency) (csvContent, error) {
	if f.header == "" {
		part, err := f.movements(text, f.skipLines, false, currency)
		return part.csvContent, err
	}
	rows := strings.SplitAfter(text, "\n")
	var headers []int
	for i, row := range rows {
		if f.sameHeader(row) {
			headers = append(headers, i)
		}
	}
	if len(headers) == 0 {
		return csvContent{}, wrong(errorsv1.ErrorReason_STATEMENT_UNREADABLE, "csv.header", "must stand in the file, as a line of its own")
	}
	var chosen []csvContent
	var leftOut []string
	above := strings.Join(rows[:headers[0]], "")
	for i, at := range headers {
		end, more := len(rows), i+1 < len(headers)
		if more {
			end = headers[i+1]
		}
		part, err := f.movements(strings.Join(rows[at+1:end], ""), at+1, more, currency)
		switch {
		case err != nil:
			return csvContent{}, err
		case i > 0 && strings.TrimSpace(above) == "":
			return csvContent{}, unreadable("nothing above its line %d says whose the movements below it are", at+1)
		case f.section == "" && len(headers) > 1:
			return csvContent{}, wrong(errorsv1.ErrorReason_STATEMENT_ACCOUNTS, "csv.section", fmt.Sprintf(
				"must say which account is meant, by its number as it stands above its movements: the file has %d", len(headers)))
		case strings.Contains(above, f.section):
			chosen = append(chosen, part.csvContent)
		default:
			leftOut = append(leftOut, accountIn(above, at+1))
		}
		above = strings.Join(rows[min(at+1+part.rows, end):end], "")
	}
	if len(chosen) != 1 {
		return csvContent{}, wrong(errorsv1.ErrorReason_STATEMENT_ACCOUNTS, "csv.section", fmt.Sprintf(
			"must stand above the movements of one account: it stands above those of %d", len(chosen)))
	}
	chosen[0].leftOut = leftOut
	return chosen[0], nil
}

// sameHeader compares without quotes, and without what some banks put at the ends of their lines.
func (f csvFormat) sameHeader(row string) bool {
	plain := func(s string) string {
		return strings.TrimRight(strings.TrimSpace(strings.NewReplacer(`"`, "", `'`, "").Replace(s)), string(f.separator)+" ")
	}
	return plain(row) == plain(f.header)
}

var accountNumber = regexp.MustCompile(`[0-9A-Z]*[0-9]{8,}`)

// accountIn is how an account may be called that is left out: by the number above its movements, else by their place.
func accountIn(above string, line int) string {
	if number := accountNumber.FindString(above); number != "" {
		return number
	}
	return fmt.Sprintf("line %d", line)
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

// csvPart is a part of a file: movements, and rows behind them that belong to the next part.
type csvPart struct {
	csvContent
	// rows is how many rows of text the movements take.
	rows int
}

// movements reads a part that begins after so many lines of the file. When more parts follow, it ends where the first
// record is no movement; none may come after that.
func (f csvFormat) movements(text string, before int, more bool, currency money.Currency) (part csvPart, err error) {
	source := &recordSource{text: strings.NewReader(text)}
	reader := csv.NewReader(source)
	reader.Comma, reader.FieldsPerRecord = f.separator, -1
	words := wordColumns{}
	last, ended := 0, false
	for {
		source.left = maxRecordBytes
		record, err := reader.Read()
		switch {
		case errors.Is(err, io.EOF):
			if !ended {
				part.rows = strings.Count(text, "\n") + 1
			}
			return part, words.check(f)
		case err != nil:
			at, column := last, 0
			if wrong := (*csv.ParseError)(nil); errors.As(err, &wrong) {
				at, column = wrong.Line, wrong.Column
			}
			return part, errors.Join(unreadable("its CSV cannot be read at line %d, column %d", before+at, column), errNoCSV)
		}
		at, _ := reader.FieldPos(0)
		last = at
		switch {
		case more && f.otherwise(record, currency):
			if !ended {
				ended, part.rows = true, at-1
			}
			continue
		case f.empty(record):
			continue
		case ended:
			return part, unreadable("line %d is a movement below a line that is none", before+at)
		}
		booked, err := f.isBooked(record)
		if err == nil && !booked {
			part.notBooked++
			continue
		}
		var line parsedLine
		if err == nil {
			line, err = f.line(record, currency)
		}
		if err != nil {
			return part, unreadable("line %d %s", before+at, err)
		}
		words.add(record, line.amount.Minor > 0)
		part.lines = append(part.lines, line)
		fee, err := f.feeOf(record, line)
		if err != nil {
			return part, unreadable("line %d %s", before+at, err)
		}
		if fee.amount.Minor != 0 {
			part.lines = append(part.lines, fee)
		}
		if len(part.lines) > maxStatementLines {
			return part, unreadable("it has more than %d movements", maxStatementLines)
		}
	}
}

// otherwise reports a record that has something, and neither a day nor an amount: what stands above the next account.
func (f csvFormat) otherwise(record []string, currency money.Currency) bool {
	if _, err := f.day(record); err == nil {
		return false
	}
	if _, err := f.amountOf(record, currency); err == nil {
		return false
	}
	return strings.TrimSpace(strings.Join(record, "")) != ""
}

// isBooked reports whether the state of a line says that it is money.
func (f csvFormat) isBooked(record []string) (bool, error) {
	if f.state == 0 {
		return true, nil
	}
	state := field(record, f.state)
	if state == "" {
		return false, errLineState
	}
	return slices.ContainsFunc(f.booked, func(word string) bool { return strings.EqualFold(word, state) }), nil
}

// feeOf is the movement of the fee that the bank took with a line; of zero when there is none. It always went.
func (f csvFormat) feeOf(record []string, line parsedLine) (parsedLine, error) {
	text := field(record, f.fee)
	if text == "" {
		return parsedLine{}, nil
	}
	amount, err := parseDecimal(text, line.amount.Currency, f.decimalMark)
	if err != nil {
		return parsedLine{}, errLineFee
	}
	fee := parsedLine{bookedOn: line.bookedOn, amount: amount, text: line.text, reversal: true}
	if fee.amount.Minor > 0 {
		fee.amount.Minor = -fee.amount.Minor
	}
	if line.reference != "" {
		fee.reference = line.reference + "/fee"
	}
	return fee, nil
}

// decode returns UTF-8, without a byte order mark.
func (f csvFormat) decode(content []byte) (string, error) {
	switch {
	case f.encoding == latin9Encoding:
		return fromLatin9(content), nil
	case f.encoding == windows1252Encoding:
		return fromWindows1252(content), nil
	case utf8.Valid(content):
	case f.encoding == utf8Encoding:
		return "", unreadable("it is not in UTF-8")
	case slices.ContainsFunc(content, isC1):
		return fromWindows1252(content), nil
	default:
		return fromLatin9(content), nil
	}
	return strings.TrimPrefix(string(content), "\ufeff"), nil
}

// isC1 reports a byte for which only Windows-1252 has a character.
func isC1(c byte) bool { return c >= 0x80 && c < 0xA0 }

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
	errLineSign    = errors.New("has neither of the words for money that went and that came")
	errLineSigned  = errors.New("has a signed amount beside a word for its direction")
	errLineState   = errors.New("has no state")
	errLineFee     = errors.New("has a fee that is written in another way")
)

func (f csvFormat) line(record []string, currency money.Currency) (line parsedLine, err error) {
	if line.bookedOn, err = f.day(record); err != nil {
		return line, err
	}
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

// timeOfDay is what may stand behind a day.
var timeOfDay = regexp.MustCompile(`^[ T][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?( ?(UTC|Z|[+-][0-9]{2}:?[0-9]{2}))?$`)

// day is the day as the bank writes it, with a time of that day behind it or none.
func (f csvFormat) day(record []string) (Day, error) {
	text := field(record, f.date)
	if n := len(f.dateLayout); len(text) > n && timeOfDay.MatchString(text[n:]) {
		text = text[:n]
	}
	on, err := time.Parse(f.dateLayout, text)
	if err != nil {
		return "", errLineDay
	}
	return Day(on.Format(time.DateOnly)), nil
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
		if f.sign == 0 {
			return amount, nil
		}
		word := field(record, f.sign)
		switch {
		case amount.Minor < 0:
			return money.Amount{}, errLineSigned
		case strings.EqualFold(word, f.creditWord):
			return amount, nil
		case strings.EqualFold(word, f.debitWord):
			return amount.Neg()
		}
		return money.Amount{}, errLineSign
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

// parseDecimal reads an amount as banks write it: a sign and the currency before or after, blanks or the other mark
// between groups of three, at most the currency's decimals but for zeros, zeros in front or none.
func parseDecimal(text string, currency money.Currency, mark string) (money.Amount, error) {
	if !currency.Valid() {
		return money.Amount{}, errNoAmount
	}
	// The currency stands at an end: between digits it may be meant for the decimal mark.
	plain := func(text string) string {
		text = strings.Trim(text, "\u00a0\u202f \t\r\n")
		for _, sign := range []string{"€", string(currency)} {
			text = strings.TrimSuffix(strings.TrimPrefix(text, sign), sign)
		}
		return strings.Trim(text, "\u00a0\u202f \t\r\n")
	}
	text = plain(strings.ReplaceAll(text, "−", "-"))
	negative := false
	switch {
	case strings.HasPrefix(text, "-"), strings.HasSuffix(text, "-"):
		negative, text = true, strings.TrimSuffix(strings.TrimPrefix(text, "-"), "-")
	case strings.HasPrefix(text, "+"):
		text = text[1:]
	}
	text = plain(text)
	whole, fraction, _ := strings.Cut(text, mark)
	group := map[string]string{",": ".", ".": ","}[mark]
	whole = strings.NewReplacer(" ", group, "\u00a0", group, "\u202f", group).Replace(whole)
	if strings.Contains(whole, group) {
		groups := strings.Split(whole, group)
		for i, g := range groups {
			if len(g) > 3 || len(g) < 3 && i > 0 || g == "" {
				return money.Amount{}, errNoAmount
			}
		}
		whole = strings.Join(groups, "")
	}
	if whole == "" && fraction == "" {
		return money.Amount{}, errNoAmount
	}
	whole = strings.TrimLeft(whole, "0")
	exponent := currency.Exponent()
	for len(fraction) > exponent && strings.HasSuffix(fraction, "0") {
		fraction = fraction[:len(fraction)-1]
	}
	if len(fraction) > exponent || len(whole) > 13 {
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

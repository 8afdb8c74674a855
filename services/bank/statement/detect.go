package statement

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/money"
)

// Detected is what a file tells about itself.
type Detected struct {
	// File is the file with what was found out: its format and, of a CSV file, its currency and its balances.
	File File
	// Encoding is that of a CSV file.
	Encoding Encoding
	// Columns are the titles of a CSV file's columns; nil when it has none.
	Columns []string
}

// Detect finds out how a file is to be read: as CAMT.053, or as CSV whose columns are recognised by their titles, or by what
// is in them. It never guesses at money: when the sign or the decimal mark of amounts is not certain, the file is refused.
// What it finds out is a [CSVFormat], with which [Read] reads and checks the file like any other.
//
// Errors, all INVALID_ARGUMENT: STATEMENT_FORMAT_UNKNOWN; STATEMENT_UNREADABLE; BANK_ACCOUNT_MISMATCH when a column names
// another account than OwnAccount.
func Detect(f File) (Detected, error) {
	if kind := otherKind(f.Content); kind != "" {
		return Detected{}, unknownFormat(kind, "must be CAMT.053 or CSV")
	}
	if begins := bytes.TrimLeft(bytes.TrimPrefix(f.Content, []byte("\ufeff")), " \t\r\n"); bytes.HasPrefix(begins, []byte("<")) {
		f.CSV = nil
		return Detected{File: f}, nil
	}
	text, err := CSVFormat{}.decode(f.Content)
	if err != nil {
		return Detected{}, err
	}
	t, err := findTable(text)
	if err != nil {
		return Detected{}, err
	}
	if err := t.columns(); err != nil {
		return Detected{}, err
	}
	if err := t.account(&f); err != nil {
		return Detected{}, err
	}
	if err := t.days(); err != nil {
		return Detected{}, err
	}
	if err := t.amounts(&f); err != nil {
		return Detected{}, err
	}
	t.format.Encoding = encodingOf(f.Content)
	t.format.Section = t.section(text, f.OwnAccount)
	f.CSV = &t.format
	return Detected{File: f, Encoding: t.format.Encoding, Columns: t.titles}, t.format.Check()
}

// encodingOf is the encoding that [CSVFormat.decode] finds out.
func encodingOf(content []byte) Encoding {
	switch {
	case utf8.Valid(content):
		return UTF8
	case slices.ContainsFunc(content, isC1):
		return Windows1252
	}
	return Latin9
}

// unknownFormat is INVALID_ARGUMENT (STATEMENT_FORMAT_UNKNOWN).
func unknownFormat(kind ProblemKind, description string) error {
	return with(refused(errorsv1.ErrorReason_STATEMENT_FORMAT_UNKNOWN, "content", description), Problem{Kind: kind})
}

// otherKind tells a file that is neither XML nor a table of text, by its first bytes; empty for others.
func otherKind(content []byte) ProblemKind {
	begins := func(texts ...string) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return bytes.HasPrefix(content, []byte(text)) })
	}
	switch {
	case begins("%PDF"):
		return ProblemPDF
	// A ZIP archive, as all newer workbooks are, and the container of the old ones.
	case begins("PK\x03\x04", "\xd0\xcf\x11\xe0"):
		return ProblemWorkbook
	// Money and Quicken, SWIFT MT940, a photograph, a web page, and what has bytes that no text has.
	case begins("OFXHEADER", "!Type", ":20:", "{1:", "\xff\xd8", "\x89PNG", "<!DOCTYPE", "<html", "<HTML", "<OFX", "<?OFX"),
		bytes.IndexByte(content, 0) >= 0:
		return ProblemNotAStatement
	}
	return ""
}

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

// roles are the columns by what their titles mean; zero for none.
type roles map[role][]int

// role is what a column is about.
type role int

const (
	roleDay role = iota + 1
	roleValueDay
	roleText
	roleAmount
	roleDebit
	roleCredit
	roleReference
	roleSign
	roleState
	roleFee
	roleBalance
	roleCurrency
	roleOwner
)

func (r roles) first(of role) int {
	if len(r[of]) == 0 {
		return 0
	}
	return r[of][0]
}

// day is the column of the day of booking or, without one, of the day of value.
func (r roles) day() int { return cmp.Or(r.first(roleDay), r.first(roleValueDay)) }

func (r roles) money() bool {
	return r.first(roleAmount) > 0 || r.first(roleDebit) > 0 && r.first(roleCredit) > 0
}

// titleWords are the titles that banks give their columns, as [plainTitle] writes them. Of two titles with one meaning in a
// file the one that stands first here counts.
var titleWords = []struct {
	title string
	role  role
}{
	{"date completed", roleDay},
	{"completed date", roleDay},
	{"date de comptabilisation", roleDay},
	{"date comptable", roleDay},
	{"date de l operation", roleDay},
	{"date d operation", roleDay},
	{"date operation", roleDay},
	{"date comptabilisation", roleDay},
	{"settlement date", roleDay},
	{"dateop", roleDay},
	{"date", roleDay},
	{"booking date", roleDay},
	{"transaction date", roleDay},
	{"buchungstag", roleDay},
	{"buchungsdatum", roleDay},
	{"boekdatum", roleDay},
	{"datum", roleDay},
	{"date de valeur", roleValueDay},
	{"date valeur", roleValueDay},
	{"dateval", roleValueDay},
	{"valeur", roleValueDay},
	{"value date", roleValueDay},
	{"valutadatum", roleValueDay},
	{"rentedatum", roleValueDay},

	{"montant de l operation", roleAmount},
	{"montant operation", roleAmount},
	{"montant", roleAmount},
	{"total amount incl vat", roleAmount},
	{"amount", roleAmount},
	{"bedrag", roleAmount},
	{"betrag", roleAmount},
	{"debit", roleDebit},
	{"retrait", roleDebit},
	{"depense", roleDebit},
	{"paid out", roleDebit},
	{"money out", roleDebit},
	{"soll", roleDebit},
	{"credit", roleCredit},
	{"versement", roleCredit},
	{"recette", roleCredit},
	{"paid in", roleCredit},
	{"money in", roleCredit},
	{"haben", roleCredit},

	{"libelle", roleText},
	{"libelle simplifie", roleText},
	{"libelle operation", roleText},
	{"libelle de l operation", roleText},
	{"libelle complementaire", roleText},
	{"libelle court", roleText},
	{"libelle complet operation", roleText},
	{"label", roleText},
	{"partner name", roleText},
	{"payment reference", roleText},
	{"counterparty name", roleText},
	{"detail", roleText},
	{"details", roleText},
	{"detail de l ecriture", roleText},
	{"informations complementaires", roleText},
	{"description", roleText},
	{"communication", roleText},
	{"communications", roleText},
	{"motif", roleText},
	{"objet", roleText},
	{"reference", roleText},
	{"nom", roleText},
	{"tiers", roleText},
	{"beneficiaire", roleText},
	{"payee", roleText},
	{"payer", roleText},
	{"nature", roleText},
	{"naam omschrijving", roleText},
	{"omschrijving", roleText},
	{"mededelingen", roleText},
	{"verwendungszweck", roleText},
	{"buchungstext", roleText},
	{"beguenstigter zahlungspflichtiger", roleText},

	{"id", roleReference},
	{"transaction id", roleReference},
	{"numero d operation", roleReference},
	{"reference bancaire", roleReference},
	{"reference banque", roleReference},

	{"af bij", roleSign},
	{"sens", roleSign},
	{"debit credit", roleSign},
	{"debet credit", roleSign},
	{"credit debit", roleSign},
	{"soll haben", roleSign},
	{"d c", roleSign},
	{"dc", roleSign},
	{"state", roleState},
	{"status", roleState},
	{"statut", roleState},
	{"etat", roleState},
	{"fee", roleFee},
	{"solde", roleBalance},
	{"balance", roleBalance},
	{"saldo", roleBalance},
	{"saldo na mutatie", roleBalance},
	{"accountbalance", roleBalance},
	{"devise", roleCurrency},
	{"currency", roleCurrency},
	{"payment currency", roleCurrency},
	{"muntsoort", roleCurrency},
	{"iban", roleOwner},
	{"rekening", roleOwner},
	{"numero de compte", roleOwner},
	{"compte", roleOwner},
	{"account", roleOwner},
	{"auftragskonto", roleOwner},
}

// units may follow a title: the currency of the column, or the zone of its times.
var units = []string{"euros", "euro", "eur", "en", "utc"}

// plainTitle writes a title in small letters without accents, with one blank between words, and without a unit.
func plainTitle(title string) string {
	words := strings.FieldsFunc(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(title)), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for len(words) > 1 && slices.Contains(units, words[len(words)-1]) {
		words = words[:len(words)-1]
	}
	return strings.Join(words, " ")
}

func rolesOf(titles []string) roles {
	found := roles{}
	plain := make([]string, len(titles))
	for i, title := range titles {
		plain[i] = plainTitle(title)
	}
	for _, w := range titleWords {
		for i, title := range plain {
			if title == w.title {
				found[w.role] = append(found[w.role], i+1)
			}
		}
	}
	return found
}

// columns finds the columns by the titles or, without titles, by what is in them.
func (t *table) columns() error {
	if len(t.rows) == 0 {
		return with(unreadable("it has no movement"), Problem{Kind: ProblemEmpty})
	}
	if t.titles == nil {
		return t.columnsByContent()
	}
	r := rolesOf(t.titles)
	t.format.Date, t.format.Text, t.format.Reference = r.day(), slices.Sorted(slices.Values(r[roleText])), r.first(roleReference)
	if t.format.Amount = r.first(roleAmount); t.format.Amount == 0 {
		t.format.Debit, t.format.Credit = r.first(roleDebit), r.first(roleCredit)
	}
	t.balance, t.currency, t.owner = r.first(roleBalance), r.first(roleCurrency), r.first(roleOwner)
	if t.format.Amount > 0 {
		t.format.Fee = r.first(roleFee)
		if sign := r.first(roleSign); sign > 0 {
			return t.signs(sign)
		}
	}
	return t.states(r.first(roleState))
}

// columnsByContent finds the columns of a file without titles: one of days, one of amounts, and one that tells their
// direction or their balance.
func (t *table) columnsByContent() error {
	var amounts []int
	sign := 0
	for column := 1; column <= len(t.rows[0]); column++ {
		all := func(is func(string) bool) bool {
			return !slices.ContainsFunc(t.rows, func(r []string) bool { return !is(field(r, column)) })
		}
		switch {
		case t.format.Date == 0 && all(isDay):
			t.format.Date = column
		case all(isDay):
			// The day of value.
		case all(isAmount):
			amounts = append(amounts, column)
		case sign == 0 && all(isDirection):
			sign = column
		case t.owner == 0 && all(isIBAN) && all(func(s string) bool { return s == field(t.rows[0], column) }):
			t.owner = column
		case slices.ContainsFunc(t.rows, func(r []string) bool { return strings.ContainsFunc(field(r, column), unicode.IsLetter) }):
			t.format.Text = append(t.format.Text, column)
		}
	}
	if t.format.Date == 0 || len(amounts) == 0 || len(amounts) > 2 {
		return unknownFormat(ProblemColumns, "must have a line of titles, with a day and an amount")
	}
	t.format.Amount = amounts[0]
	// The second column of amounts is the balance: [table.direction] refuses the file when it is not.
	if len(amounts) == 2 {
		t.balance = amounts[1]
	}
	if sign > 0 {
		return t.signs(sign)
	}
	if t.balance == 0 {
		return unknownFormat(ProblemDirection, "must tell the direction of the money, in a column or by a balance")
	}
	return nil
}

var (
	dayForm    = regexp.MustCompile(`^([0-9]{8}|[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{2,4})([ T].*)?$`)
	amountForm = regexp.MustCompile(`^[-+]?[0-9][0-9 .,\x{a0}\x{202f}]*[.,][0-9]{2}[-+]?$`)
	ibanForm   = regexp.MustCompile(`^[A-Z]{2}[0-9]{2}[0-9A-Z]{11,30}$`)
)

func isDay(s string) bool    { return dayForm.MatchString(s) }
func isAmount(s string) bool { return amountForm.MatchString(s) }
func isIBAN(s string) bool   { return ibanForm.MatchString(CompactAccount(s)) }
func isDirection(s string) bool {
	return slices.Contains(debitWords, strings.ToLower(s)) || slices.Contains(creditWords, strings.ToLower(s))
}

// signs sets the column that tells the direction of the money, and the two words that are in it.
func (t *table) signs(column int) error {
	var debits, credits []string
	for _, r := range t.rows {
		word := field(r, column)
		switch {
		case word == "" && field(r, t.format.Date) == "":
		case slices.Contains(debitWords, strings.ToLower(word)):
			debits = append(debits, word)
		case slices.Contains(creditWords, strings.ToLower(word)):
			credits = append(credits, word)
		default:
			return with(unreadable("column %d does not tell the direction of the money by words that are known", column), Problem{Kind: ProblemDirection})
		}
	}
	t.format.Sign = column
	// In a file with one direction alone, the word for the other is the one that goes with it.
	switch {
	case len(debits) > 0 && len(credits) > 0:
		t.format.DebitWord, t.format.CreditWord = debits[0], credits[0]
	case len(debits) > 0:
		t.format.DebitWord, t.format.CreditWord = debits[0], wordPair(debits[0], 0)
	case len(credits) > 0:
		t.format.DebitWord, t.format.CreditWord = wordPair(credits[0], 1), credits[0]
	}
	if t.format.DebitWord == "" || t.format.CreditWord == "" {
		return with(unreadable("column %d does not tell the direction of the money by words that are known", column), Problem{Kind: ProblemDirection})
	}
	return nil
}

// wordPairs are words for debits, each with the word for credits that goes with it.
var wordPairs = [][2]string{
	{"af", "bij"}, {"debet", "credit"}, {"debit", "credit"}, {"débit", "crédit"}, {"dbit", "crdt"}, {"soll", "haben"}, {"d", "c"}, {"dr", "cr"}, {"s", "h"},
}

// wordPair returns the word that goes with one of a side: 0 for debits, 1 for credits.
func wordPair(word string, side int) string {
	for _, pair := range wordPairs {
		if strings.EqualFold(pair[side], word) {
			return pair[1-side]
		}
	}
	return ""
}

// states sets the column that tells what is booked, when there is one with known words alone.
func (t *table) states(column int) error {
	if column == 0 {
		return nil
	}
	var booked []string
	for _, r := range t.rows {
		word := strings.ToLower(field(r, column))
		switch {
		case word == "" && field(r, t.format.Date) == "":
		case slices.Contains(bookedWords, word):
			if !slices.Contains(booked, word) {
				booked = append(booked, word)
			}
		case !slices.Contains(otherWords, word):
			return with(unreadable("column %d does not tell by words that are known which lines are booked", column), Problem{Kind: ProblemState})
		}
	}
	if len(booked) == 0 {
		return with(unreadable("none of its lines is booked"), Problem{Kind: ProblemEmpty})
	}
	slices.Sort(booked)
	t.format.State, t.format.Booked = column, booked
	return nil
}

// movements are the rows with a day and an amount that are booked.
func (t *table) movements() [][]string {
	return slices.DeleteFunc(slices.Clone(t.rows), func(r []string) bool {
		booked, err := t.format.isBooked(r)
		return err != nil || !booked || t.format.empty(r) || !isDay(field(r, t.format.Date))
	})
}

// account refuses a file with a column of accounts that are others than the collective's, and reads the currency.
func (t *table) account(f *File) error {
	own := CompactAccount(f.OwnAccount)
	var accounts []string
	currency := ""
	for _, r := range t.movements() {
		if account := CompactAccount(field(r, t.owner)); isIBAN(account) && !slices.Contains(accounts, account) {
			accounts = append(accounts, account)
		}
		code := strings.ToUpper(field(r, t.currency))
		if code == "" {
			continue
		}
		if currency != "" && code != currency {
			return with(unreadable("it has several currencies"), Problem{Kind: ProblemAmount})
		}
		currency = code
	}
	if own != "" && len(accounts) > 0 && !slices.Equal(accounts, []string{own}) {
		return errOtherAccount(accounts...)
	}
	if len(accounts) > 1 {
		return with(refused(errorsv1.ErrorReason_STATEMENT_ACCOUNTS, "content", "must be about one account: export each account on its own"),
			Problem{Kind: ProblemAccounts, Accounts: accounts})
	}
	// Without an IBAN in the settings the file's own is meant.
	if own == "" && f.Account == "" && len(accounts) == 1 {
		f.Account = accounts[0]
	}
	if f.Currency = money.EUR; currency != "" {
		f.Currency = money.Currency(currency)
	}
	if !f.Currency.Valid() {
		return with(unreadable("its currency is not known"), Problem{Kind: ProblemAmount})
	}
	return nil
}

// layouts are the ways in which days are written, the more usual first. A day that can be read in two ways is read as in
// Europe, day before month.
var layouts = []string{"2006-01-02", "20060102", "02/01/2006", "02-01-2006", "02.01.2006", "02/01/06", "01/02/2006"}

// days finds the layout in which all days can be read.
func (t *table) days() error {
	rows := t.movements()
	if len(rows) == 0 {
		return with(unreadable("it has no movement whose day is known"), Problem{Kind: ProblemDay})
	}
	for _, layout := range layouts {
		f := CSVFormat{Date: t.format.Date, DateLayout: layout}
		if !slices.ContainsFunc(rows, func(r []string) bool { _, err := f.day(r); return err != nil }) {
			t.format.DateLayout = layout
			return nil
		}
	}
	return with(unreadable("its days are written in a way that is not known"), Problem{Kind: ProblemDay})
}

// amounts finds the decimal mark with which all amounts can be read and, when there is a column of balances, compares the
// amounts with it. Balances that fit are those of the statement.
func (t *table) amounts(f *File) error {
	rows := t.movements()
	type reading struct {
		mark  string
		lines []money.Amount
	}
	var readings []reading
	for _, mark := range []string{",", "."} {
		format := t.format
		format.DecimalMark = mark
		r := reading{mark: mark}
		for _, row := range rows {
			amount, err := format.amountOf(row, f.Currency)
			if err != nil {
				break
			}
			// A fee is a movement of its own: the balance has both.
			fee, err := format.feeOf(row, Movement{Amount: amount})
			if err != nil {
				break
			}
			if fee.Amount.Currency != "" {
				amount.Minor += fee.Amount.Minor
			}
			r.lines = append(r.lines, amount)
		}
		if len(r.lines) == len(rows) {
			readings = append(readings, r)
		}
	}
	if len(readings) == 0 {
		// The reader finds the line and tells it.
		t.format.DecimalMark = ","
		return nil
	}
	chosen := readings[0]
	fits := t.balances(f, rows, chosen.mark, chosen.lines)
	if len(readings) == 2 && !slices.Equal(readings[0].lines, readings[1].lines) {
		other := t.balances(f, rows, readings[1].mark, readings[1].lines)
		switch {
		case fits != nil && other == nil:
		case other != nil && fits == nil:
			chosen, fits = readings[1], other
		default:
			return with(refused(errorsv1.ErrorReason_STATEMENT_UNREADABLE, "csv.decimal_mark",
				"is required: the amounts can be read with a comma or with a point as their decimal mark"), Problem{Kind: ProblemAmbiguous})
		}
	}
	t.format.DecimalMark = chosen.mark
	if err := t.direction(f, rows, chosen.mark, chosen.lines, fits != nil); err != nil {
		return err
	}
	if fits != nil && f.Opening == nil && f.Closing == nil {
		f.Opening, f.Closing = &fits[0], &fits[1]
	}
	return nil
}

// direction refuses a file whose amounts and balances leave the direction of the money open, or contradict it.
func (t *table) direction(f *File, rows [][]string, mark string, lines []money.Amount, fits bool) error {
	// The balance of a single row fits every amount.
	proven := fits && len(rows) > 1
	switch {
	case t.titles != nil && !fits && t.signsDiffer(f, rows, mark, lines):
		return with(refused(errorsv1.ErrorReason_STATEMENT_UNREADABLE, "csv.sign_column",
			"is required: the balances go the other way than some of the amounts"), Problem{Kind: ProblemDirection})
	case t.titles != nil || proven:
		return nil
	case t.format.Sign == 0:
		return unknownFormat(ProblemDirection, "must tell the direction of the money, in a column or by a balance")
	// Either of two columns of amounts may be the balance.
	case t.balance > 0:
		return unknownFormat(ProblemColumns, "must have a line of titles, or balances that tell which column has the amounts")
	}
	return nil
}

// signsDiffer reports balances that change by the amounts from row to row, in one order or the other, but not by their
// signs.
func (t *table) signsDiffer(f *File, rows [][]string, mark string, lines []money.Amount) bool {
	after := t.after(f, rows, mark)
	forwards, backwards := len(after) > 1, len(after) > 1
	for i := range len(after) - 1 {
		change := abs(after[i+1].Minor - after[i].Minor)
		forwards = forwards && change == abs(lines[i+1].Minor)
		backwards = backwards && change == abs(lines[i].Minor)
	}
	return forwards || backwards
}

func abs(n int64) int64 { return max(n, -n) }

// after returns the balance after each row; nil when one of them cannot be read.
func (t *table) after(f *File, rows [][]string, mark string) []money.Amount {
	if t.balance == 0 {
		return nil
	}
	after := make([]money.Amount, len(rows))
	for i, row := range rows {
		var err error
		if after[i], err = parseDecimal(field(row, t.balance), f.Currency, mark); err != nil {
			return nil
		}
	}
	return after
}

// balances returns the balance before and after all movements, when each row's balance is that of the row before and its
// amount, from the first row to the last or the other way; nil otherwise.
func (t *table) balances(f *File, rows [][]string, mark string, lines []money.Amount) []money.Amount {
	after := t.after(f, rows, mark)
	if after == nil {
		return nil
	}
	last := len(rows) - 1
	forwards, backwards := true, true
	for i := range last {
		forwards = forwards && after[i+1].Minor-after[i].Minor == lines[i+1].Minor
		backwards = backwards && after[i].Minor-after[i+1].Minor == lines[i].Minor
	}
	before := func(i int) money.Amount {
		return money.Amount{Minor: after[i].Minor - lines[i].Minor, Currency: f.Currency}
	}
	switch {
	case forwards:
		return []money.Amount{before(0), after[last]}
	case backwards:
		return []money.Amount{before(last), after[0]}
	}
	return nil
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

package statement

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/money"
)

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

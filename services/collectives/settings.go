package collectives

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/money"
)

// Settings are what a collective's members decide for it.
type Settings struct {
	// Language is that of mails to its members: French when empty, or English.
	Language string
	// AlertEmails are where notices are mailed to. They are for owners and the operator to see.
	AlertEmails []string
	// RefundApproval is the amount above which a refund needs a second member; without a currency none does.
	RefundApproval money.Amount
	// BankAccount is where transfers go; zero for none.
	BankAccount BankAccount
	// ChequePayee is to whom cheques are written; may be empty.
	ChequePayee string
	// PostalAddress is where cheques are sent to, line by line.
	PostalAddress []string
	// OwnAccountRequired says that the collective is not the operator's own, so that its money must not stand
	// on the platform's account: no donation is taken before it has a connected one.
	OwnAccountRequired bool
	// Discreet says that donors' bank statements and mails do not name the collective and its campaigns.
	Discreet bool
}

// BankAccount is an account that transfers are made to.
type BankAccount struct {
	// Holder is its holder's name, at most 70 characters as in a SEPA transfer.
	Holder string
	// IBAN is written without spaces.
	IBAN string
	// BIC may be empty: within the EEA the IBAN is enough.
	BIC string
}

const (
	maxAlertEmails  = 20
	maxHolderChars  = 70 // EPC069-12, as a transfer carries it
	maxPayeeChars   = 120
	maxAddressLines = 7
	maxAddressChars = 70
)

// normalise brings the settings to the form in which they are stored and compared, and checks them.
func (s *Settings) normalise() error {
	if s.Language == "" {
		s.Language = string(money.French)
	}
	if s.Language != string(money.French) && s.Language != string(money.English) {
		return errs.Invalid("collective.language", "must be %q or %q", money.French, money.English)
	}
	// Never nil: the column is NOT NULL, and two settings compare equal only if both are empty in the same way.
	if s.AlertEmails == nil {
		s.AlertEmails = []string{}
	}
	if len(s.AlertEmails) > maxAlertEmails {
		return errs.Invalid("collective.alert_emails", "must be at most %d", maxAlertEmails)
	}
	if err := mail.CheckAddresses(s.AlertEmails); err != nil {
		return errs.Invalid("collective.alert_emails", "%v", err)
	}
	if a := s.RefundApproval; a != (money.Amount{}) && (!a.Currency.Valid() || a.Minor < 0) {
		return errs.Invalid("collective.refund_approval", "must be an amount of a known currency that is not negative")
	}
	if err := s.BankAccount.normalise(); err != nil {
		return err
	}
	if s.ChequePayee = strings.TrimSpace(s.ChequePayee); s.ChequePayee != "" && !line(s.ChequePayee, maxPayeeChars) {
		return errs.Invalid("collective.cheque_payee", "must be one line of at most %d characters", maxPayeeChars)
	}
	if s.PostalAddress == nil {
		s.PostalAddress = []string{}
	}
	if len(s.PostalAddress) > maxAddressLines {
		return errs.Invalid("collective.postal_address", "must have at most %d lines", maxAddressLines)
	}
	for _, l := range s.PostalAddress {
		if !line(l, maxAddressChars) {
			return errs.Invalid("collective.postal_address", "must be lines of 1 to %d characters", maxAddressChars)
		}
	}
	return nil
}

func line(s string, maxChars int) bool {
	return strings.TrimSpace(s) != "" && utf8.RuneCountInString(s) <= maxChars && !strings.ContainsFunc(s, unicode.IsControl)
}

// normalise brings an account to its stored form. Holder and IBAN come together or not at all; the BIC needs both.
func (a *BankAccount) normalise() error {
	a.Holder = strings.TrimSpace(a.Holder)
	a.IBAN, a.BIC = compact(a.IBAN), compact(a.BIC)
	if *a == (BankAccount{}) {
		return nil
	}
	if !line(a.Holder, maxHolderChars) {
		return errs.Invalid("collective.bank_account.holder", "must be one line of 1 to %d characters", maxHolderChars)
	}
	if !validIBAN(a.IBAN) {
		return errs.Invalid("collective.bank_account.iban", "must be an IBAN whose check digits are right")
	}
	if a.BIC != "" && !validBIC(a.BIC) {
		return errs.Invalid("collective.bank_account.bic", "must be a BIC of 8 or 11 characters, or empty")
	}
	return nil
}

// compact takes out the spaces that people write, and writes capitals.
func compact(s string) string {
	return strings.ToUpper(strings.Join(strings.Fields(s), ""))
}

// validIBAN checks form and check digits: https://www.iso.org/standard/81090.html, remainder 1 modulo 97.
func validIBAN(iban string) bool {
	if len(iban) < 15 || len(iban) > 34 || !isLetter(iban[0]) || !isLetter(iban[1]) || !isDigit(iban[2]) || !isDigit(iban[3]) {
		return false
	}
	// A country's accounts have one length; those of the countries of most of our users are checked.
	if want, known := ibanLengths[iban[:2]]; known && len(iban) != want {
		return false
	}
	remainder := 0
	// Country and check digits go to the end. The remainder is taken at each step, since the whole number exceeds an
	// integer.
	for _, c := range []byte(iban[4:] + iban[:4]) {
		switch {
		case isDigit(c):
			remainder = (remainder*10 + int(c-'0')) % 97
		// Letters count as two digits, A as 10 to Z as 35.
		case isLetter(c):
			remainder = (remainder*100 + int(c-'A') + 10) % 97
		default:
			return false
		}
	}
	return remainder == 1
}

// https://www.swift.com/resource/iban-registry-pdf
var ibanLengths = map[string]int{
	"AT": 20, "BE": 16, "CH": 21, "DE": 22, "ES": 24, "FR": 27, "GB": 22, "IE": 22, "IT": 27, "LU": 20, "MC": 27, "NL": 18, "PT": 25,
}

// validBIC checks the form of ISO 9362: four characters of the bank, two letters of the country, two of the
// place and three of the branch or none.
func validBIC(bic string) bool {
	if len(bic) != 8 && len(bic) != 11 || !isLetter(bic[4]) || !isLetter(bic[5]) {
		return false
	}
	for _, c := range []byte(bic) {
		if !isLetter(c) && !isDigit(c) {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

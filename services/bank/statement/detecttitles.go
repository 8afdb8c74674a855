package statement

import (
	"cmp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

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

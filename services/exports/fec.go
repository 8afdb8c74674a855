package exports

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/csv"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// FormatFEC is the fichier des écritures comptables of a financial year, after article A47 A-1 of the Livre des
// procédures fiscales: 18 columns, separated by tabs, in UTF-8.
// https://www.legifrance.gouv.fr/codes/article_lc/LEGIARTI000027804775
//
// EndDate is the closing day; without StartDate the year has twelve months. Entries come in the order in which books
// are sealed and are numbered in it, so an entry has the same number in every later file of the year. The seal is the
// validation: what is not sealed yet, which takes some seconds, is left for the next file.
//
// Errors: FAILED_PRECONDITION FEC_CURRENCY when the year has entries in another currency than the euro, since the books
// have no rates; FAILED_PRECONDITION FEC_ACCOUNT for an account whose code does not begin with three digits.
const FormatFEC = "FEC"

// fecHeader names the columns, in the order of the law.
const fecHeader = "JournalCode\tJournalLib\tEcritureNum\tEcritureDate\tCompteNum\tCompteLib\tCompAuxNum\tCompAuxLib\t" +
	"PieceRef\tPieceDate\tEcritureLib\tDebit\tCredit\tEcritureLet\tDateLet\tValidDate\tMontantdevise\tIdevise\r\n"

// fecDay is the format AAAAMMJJ.
const fecDay = "20060102"

// fecName returns the file name of the law; ASSO replaces the SIREN of an organisation that has none.
func fecName(x *export) string {
	return cmp.Or(x.siren, "ASSO") + "FEC" + x.last.Format(fecDay) + ".txt"
}

//go:embed journals.csv
var journalsFile []byte

// openingKind is the kind of the opening balances in the file of journals, otherKind that of all kinds that it lacks.
const (
	openingKind = "opening"
	otherKind   = ledger.KindOther
)

// fecJournal is the journal that the transactions of a kind are in, and their label there.
type fecJournal struct{ code, name, label string }

// fecJournals reads the file of journals: by kind, and in its order. The columns of the file are kind, code, name and
// label; its first line names them. Several kinds may share a journal.
func fecJournals() (byKind map[string]fecJournal, inOrder []fecJournal, err error) {
	lines, err := csv.NewReader(bytes.NewReader(journalsFile)).ReadAll()
	if err != nil {
		return nil, nil, fmt.Errorf("journals.csv: %w", err)
	}
	byKind = map[string]fecJournal{}
	for _, line := range lines[1:] {
		journal := fecJournal{line[1], line[2], line[3]}
		byKind[line[0]], inOrder = journal, append(inOrder, journal)
	}
	return byKind, inOrder, nil
}

// fecWriter writes the lines. Days are text as they are written, so they compare as text.
type fecWriter struct {
	*chunks
	export      *export
	zone        *time.Location
	journals    map[string]fecJournal
	first, last string
	// number, valid and journal are those of the transaction that is being written, begun is its id.
	number  int64
	begun   int64
	valid   string
	journal fecJournal
	// piece and pieceDay are those of its document.
	piece, pieceDay string
}

// openFEC refuses what no FEC can hold before the first byte, then writes the header and the opening balances as entry
// number 1. Without opening balances the first transaction has the number 1.
func openFEC(ctx context.Context, x *export, c *chunks) (writer, error) {
	journals, _, err := fecJournals()
	if err != nil {
		return nil, errs.Internal(err)
	}
	movements, err := x.view.Openings(ctx, x.filter)
	if err != nil {
		return nil, err
	}
	w := &fecWriter{
		chunks: c, export: x, zone: x.zone, journals: journals, first: x.first.Format(fecDay), last: x.last.Format(fecDay),
	}
	// The opening balances are valid from the first day on, and no later entry is valid before it.
	w.valid = w.first
	lines, err := x.opening(ctx, movements)
	if err != nil {
		return nil, err
	}
	if err := fecWritable(movements, lines); err != nil {
		return nil, err
	}
	c.b = append(c.b, fecHeader...)
	if len(lines) > 0 {
		// All opening balances are one entry of the books.
		w.number, w.journal = 1, journals[openingKind]
		for _, line := range lines {
			// AN is for à-nouveaux: the reference of the opening balances is AN and the year.
			w.line(line.Account, line.Before, "AN"+w.first[:4], w.first, w.first, w.journal.label)
		}
	}
	return w, nil
}

// opening returns the balances that the year begins with: those of the balance sheet's accounts, and in one line the
// result of income and expense of all years before. The books never close those accounts by entries of their own. The
// general assembly allocates the result by entries on the account that the chart gives it.
func (x *export) opening(ctx context.Context, movements []ledger.Opening) ([]ledger.Opening, error) {
	var lines []ledger.Opening
	result := money.Amount{Currency: money.EUR}
	for _, m := range movements {
		// Accounts of income and expense begin each year at nothing; their sums of earlier years are the result.
		nominal := m.Type == ledger.TypeIncome || m.Type == ledger.TypeExpense
		switch {
		case m.Before.Minor == 0:
		case nominal && m.Before.Currency == money.EUR:
			var err error
			if result, err = result.Add(m.Before); err != nil {
				return nil, errs.Internal(err)
			}
		// An amount of income or expense in another currency comes here too, and fecWritable refuses it.
		default:
			lines = append(lines, m)
		}
	}
	if result.Minor == 0 {
		return lines, nil
	}
	// Debits are positive, so a positive result means more expense than income.
	role := ledger.RoleSurplus
	if result.Minor > 0 {
		role = ledger.RoleDeficit
	}
	account, err := x.view.Role(ctx, x.book, role)
	if err != nil {
		return nil, err
	}
	return append(lines, ledger.Opening{Account: account, Before: result}), nil
}

var fecAccount = regexp.MustCompile(`^[0-9]{3}`)

// fecWritable refuses books that no FEC can hold. An account counts when it has an opening balance or an entry in the
// year.
func fecWritable(movements, opening []ledger.Opening) error {
	for _, m := range movements {
		if m.Entries > 0 {
			opening = append(opening, m)
		}
	}
	for _, m := range opening {
		if m.Before.Currency != money.EUR {
			return errs.New(errorsv1.ErrorReason_FEC_CURRENCY, "A FEC must be in euros, and the books have no rate for their entries in %s.", m.Before.Currency)
		}
		if !fecAccount.MatchString(m.Code) {
			return errs.New(errorsv1.ErrorReason_FEC_ACCOUNT, "The code of an account in a FEC must begin with three digits, and %q does not.", m.Code)
		}
	}
	return nil
}

func (w *fecWriter) entry(row *ledger.EntryRow) error {
	if row.TransactionID != w.begun {
		w.begin(row)
	}
	label := w.journal.label
	if row.Campaign != "" {
		label += " " + row.Campaign
	}
	if row.Donation != uuid.Nil {
		label += " " + row.Donation.String()
	}
	account := ledger.Account{Code: row.Code, DisplayName: row.DisplayName}
	w.line(account, row.Amount, w.piece, w.pieceDay, row.Effective.In(w.zone).Format(fecDay), label)
	return w.spill()
}

func (w *fecWriter) end() error { return nil }

// begin sets the day of validation: that of the seal, since the transaction cannot be changed unnoticed after it. It is
// not before the transaction's own day nor before that of the number before, and not after the closing day, as all days
// of the file must be within the year. The document's day is its own, unless it is of another year.
func (w *fecWriter) begin(row *ledger.EntryRow) {
	w.begun = row.TransactionID
	w.number++
	day := row.Effective.In(w.zone).Format(fecDay)
	w.valid = min(max(w.valid, day, row.Sealed.In(w.zone).Format(fecDay)), w.last)
	// A correction names the document of the transaction that it corrects.
	piece, pieceDay := w.export.piece(cmp.Or(row.Corrects, row.Reference))
	// A name that has nothing visible leaves the id of the transaction.
	w.piece = cmp.Or(fecText(piece), strconv.FormatInt(row.TransactionID, 10))
	w.pieceDay = strings.ReplaceAll(pieceDay, "-", "")
	if w.pieceDay < w.first || w.pieceDay > w.last {
		w.pieceDay = day
	}
	// The journal of opening balances is for those alone.
	journal, known := w.journals[row.Kind]
	if !known || row.Kind == openingKind {
		journal = w.journals[otherKind]
	}
	w.journal = journal
}

// line leaves out the columns of subsidiary ledgers, of lettering and of currencies: all entries are on the accounts
// themselves, and all are in euros.
func (w *fecWriter) line(account ledger.Account, amount money.Amount, piece, pieceDay, day, label string) {
	debit, credit := strings.ReplaceAll(amount.Decimal(), ".", ","), "0,00"
	if amount.Minor < 0 {
		// A credit loses its sign: both columns are never negative.
		debit, credit = credit, debit[1:]
	}
	b := w.b
	for i, field := range [18]string{
		0: w.journal.code, 1: w.journal.name, 2: strconv.FormatInt(w.number, 10), 3: day,
		4: account.Code, 5: cmp.Or(fecText(account.DisplayName), account.Code),
		8: piece, 9: pieceDay, 10: label, 11: debit, 12: credit, 15: w.valid,
	} {
		if i > 0 {
			b = append(b, '\t')
		}
		b = append(b, field...)
	}
	w.b = append(b, "\r\n"...)
}

// fecText puts a space for each run of characters that could end a field or a line, or cannot be seen.
func fecText(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return r == '|' || unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
}

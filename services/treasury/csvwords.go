package treasury

import (
	"fmt"
	"slices"
	"strings"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
)

// Words by which banks say which way money went, and how far it is. A file that has a column of them is not read without
// it: unsigned, a debit would be a receipt, and what never happened would be money.
var (
	debitWords  = []string{"af", "debet", "debit", "débit", "dbit", "soll", "d", "dr", "s"}
	creditWords = []string{"bij", "credit", "crédit", "crdt", "haben", "c", "cr", "h"}
	bookedWords = []string{"completed", "booked", "posted", "settled", "executed", "comptabilisé", "exécuté", "gebucht"}
	otherWords  = []string{
		"pending", "reverted", "declined", "failed", "cancelled", "canceled", "rejected", "created", "processing", "authorised",
		"authorized", "reversed", "expired", "en attente", "annulé", "refusé", "rejeté", "vorgemerkt",
	}
)

// wordColumns counts, by column, what the words of the lines say.
type wordColumns []wordColumn

type wordColumn struct {
	lines, debits, credits, against, long, booked, others int
}

// add takes a line that was read as money that came, or went.
func (w *wordColumns) add(record []string, came bool) {
	for len(*w) < len(record) {
		*w = append(*w, wordColumn{})
	}
	for i := range record {
		c, word := &(*w)[i], strings.ToLower(strings.TrimSpace(record[i]))
		debit, credit := slices.Contains(debitWords, word), slices.Contains(creditWords, word)
		c.lines++
		if debit {
			c.debits++
		}
		if credit {
			c.credits++
		}
		if debit && came || credit && !came {
			c.against++
		}
		if (debit || credit) && len(word) > 1 {
			c.long++
		}
		if slices.Contains(bookedWords, word) {
			c.booked++
		}
		if slices.Contains(otherWords, word) {
			c.others++
		}
	}
}

// check is an error about a column that the format leaves out, and that says otherwise than the lines were read. Single
// letters count only when both ways are there: alone they may stand for anything.
func (w wordColumns) check(f csvFormat) error {
	for i, c := range w {
		switch {
		case f.sign == 0 && c.against > 0 && c.debits+c.credits == c.lines && (c.long > 0 || c.debits > 0 && c.credits > 0):
			return wrong(errorsv1.ErrorReason_STATEMENT_UNREADABLE, "csv.sign_column", fmt.Sprintf(
				"must be %d: that column says which way the money went, and the amounts do not", i+1))
		case f.state == 0 && c.others > 0 && c.booked+c.others == c.lines:
			return wrong(errorsv1.ErrorReason_STATEMENT_UNREADABLE, "csv.state_column", fmt.Sprintf(
				"must be %d: that column says that some of the lines are not booked", i+1))
		}
	}
	return nil
}

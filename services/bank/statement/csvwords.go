package statement

import (
	"fmt"
	"slices"
	"strings"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
)

// The words by which banks tell the direction of money, and whether a line is booked. A file with a column of such words
// is refused when the format leaves it out: without it a debit would be read as a receipt, and a declined payment as money.
var (
	debitWords  = []string{"af", "debet", "debit", "débit", "dbit", "soll", "d", "dr", "s"}
	creditWords = []string{"bij", "credit", "crédit", "crdt", "haben", "c", "cr", "h"}
	bookedWords = []string{"completed", "booked", "posted", "settled", "executed", "comptabilisé", "exécuté", "gebucht"}
	otherWords  = []string{
		"pending", "reverted", "declined", "failed", "cancelled", "canceled", "rejected", "created", "processing", "authorised",
		"authorized", "reversed", "expired", "en attente", "annulé", "refusé", "rejeté", "vorgemerkt",
	}
)

// wordColumns counts, for each column, what the words in it say.
type wordColumns []wordColumn

// lines is how many lines have the column. against counts words that contradict the sign that was read, and long words
// of more than one letter; booked and others count words of a state.
type wordColumn struct {
	lines, debits, credits, against, long, booked, others int
}

// add counts the words of a line that was read as money that arrived, or left.
func (w *wordColumns) add(record []string, came bool) {
	for len(*w) < len(record) {
		*w = append(*w, wordColumn{})
	}
	for i := range record {
		c, word := &(*w)[i], strings.ToLower(strings.TrimSpace(record[i]))
		// A lone sign beside the amount. Where all lines have the same one, it may stand for an empty column.
		debit, credit := slices.Contains(debitWords, word) || word == "-", slices.Contains(creditWords, word) || word == "+"
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

// check refuses a file with a column that the format leaves out and that contradicts how the lines were read. Single
// letters count only when both directions are there: alone they may mean anything.
func (w wordColumns) check(f CSVFormat) error {
	for i, c := range w {
		switch {
		// Every line must have such a word: in a column of texts, a payer's word may be one by chance.
		case f.Sign == 0 && c.against > 0 && c.debits+c.credits == c.lines && (c.long > 0 || c.debits > 0 && c.credits > 0):
			return with(refused(errorsv1.ErrorReason_STATEMENT_UNREADABLE, "csv.sign_column", fmt.Sprintf(
				"must be %d: that column tells the direction of the money, and the amounts have no sign", i+1)), Problem{Kind: ProblemDirection})
		// One line that is not booked is enough, when the column has nothing but states.
		case f.State == 0 && c.others > 0 && c.booked+c.others == c.lines:
			return with(refused(errorsv1.ErrorReason_STATEMENT_UNREADABLE, "csv.state_column", fmt.Sprintf(
				"must be %d: that column says that some of the lines are not booked", i+1)), Problem{Kind: ProblemState})
		}
	}
	return nil
}

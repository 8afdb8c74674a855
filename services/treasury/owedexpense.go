package treasury

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/text/unicode/norm"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// maxOwedExpenses is how many owed expenses a line of a bank statement is compared with: the oldest.
const maxOwedExpenses = 500

// owedExpensesSQL returns the expenses of a collective that are owed, the oldest first. The index expenses_owed_idx has no
// others.
const owedExpensesSQL = `
SELECT` + expenseColumns + `
FROM treasury.expenses AS e
WHERE e.collective = @collective
	AND e.state = 'owed'
ORDER BY
	e.documented_on,
	e.id
LIMIT @count`

// OwedExpensesTx returns the expenses of a collective that are owed, without their attachments: the oldest first, and at
// most 500.
func (s *Service) OwedExpensesTx(ctx context.Context, tx pgx.Tx, collective string) ([]Expense, error) {
	return postgres.All(ctx, tx, scanExpense, owedExpensesSQL, pgx.NamedArgs{"collective": collective, "count": maxOwedExpenses})
}

// NamedExpenses are expenses that a text names: those whose payee it names, and those whose document's number.
type NamedExpenses struct{ ByPayee, ByDocument []uuid.UUID }

// maxNamed is how many expenses of each kind a text may name. With more the payee tells nothing.
const maxNamed = 10

// ExpensesNamedTx returns, for each text, the owed expenses of the collective that it names. An empty text names none.
func (s *Service) ExpensesNamedTx(ctx context.Context, tx pgx.Tx, collective string, texts []string) ([]NamedExpenses, error) {
	named := make([]NamedExpenses, len(texts))
	if !slices.ContainsFunc(texts, func(text string) bool { return text != "" }) {
		return named, nil
	}
	owed, err := s.OwedExpensesTx(ctx, tx, collective)
	if err != nil || len(owed) == 0 {
		return named, err
	}
	type expected struct {
		payee  []string
		number string
	}
	wanted := make([]expected, len(owed))
	for i, e := range owed {
		wanted[i] = expected{wordsOf(e.Payee), strings.Join(wordsOf(e.Document), "")}
	}
	for i, text := range texts {
		if text == "" {
			continue
		}
		words := wordsOf(text)
		joined := strings.Join(words, "")
		for j, w := range wanted {
			// A number of one or two characters is in many texts by chance.
			if len(w.number) >= 3 && strings.Contains(joined, w.number) && len(named[i].ByDocument) < maxNamed {
				named[i].ByDocument = append(named[i].ByDocument, owed[j].ID)
			}
			if containsAll(words, w.payee) && len(named[i].ByPayee) < maxNamed {
				named[i].ByPayee = append(named[i].ByPayee, owed[j].ID)
			}
		}
	}
	return named, nil
}

// containsAll reports whether all wanted words are among the words; false for none.
func containsAll(words, wanted []string) bool {
	for _, w := range wanted {
		if !slices.Contains(words, w) {
			return false
		}
	}
	return len(wanted) > 0
}

// wordsOf returns the words of a text as they are compared: letters without accents in small letters, and digits. Banks
// write capitals, and often no accents.
func wordsOf(text string) []string {
	folded := strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r):
			return -1
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return ' '
	}, norm.NFKD.String(text))
	return strings.Fields(folded)
}

package statement

import (
	"errors"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/money"
)

// ProblemKind is what is wrong with a file, for people.
type ProblemKind string

// The kinds; the contract describes them.
const (
	ProblemNotAStatement ProblemKind = "not_a_statement"
	ProblemPDF           ProblemKind = "pdf"
	ProblemWorkbook      ProblemKind = "workbook"
	ProblemColumns       ProblemKind = "columns"
	ProblemBroken        ProblemKind = "broken"
	ProblemDay           ProblemKind = "day"
	ProblemAmount        ProblemKind = "amount"
	ProblemDirection     ProblemKind = "direction"
	ProblemState         ProblemKind = "state"
	ProblemEmpty         ProblemKind = "empty"
	ProblemTooLarge      ProblemKind = "too_large"
	ProblemFuture        ProblemKind = "future"
	ProblemUnbalanced    ProblemKind = "unbalanced"
	ProblemOtherAccount  ProblemKind = "other_account"
	ProblemAccounts      ProblemKind = "accounts"
	ProblemAmbiguous     ProblemKind = "ambiguous"
	ProblemNoAccount     ProblemKind = "no_account"
	ProblemIntraday      ProblemKind = "intraday"
	ProblemNotification  ProblemKind = "notification"
)

// Problem says what is wrong with a file. It is the cause of the errors of [Read] and [Detect].
type Problem struct {
	Kind ProblemKind
	// Line is the line of the file, or the movement of a statement; zero for the whole file.
	Line int
	// Accounts are the accounts in the file, when it has to be told which is meant.
	Accounts []string
	// Computed is the balance that the movements lead to, and Closing the one in the file; nil for other kinds.
	Computed, Closing *money.Amount
}

// Error returns the kind.
func (p *Problem) Error() string { return string(p.Kind) }

// ProblemOf returns what is wrong with a file by the error that refused it; false for other errors.
func ProblemOf(err error) (Problem, bool) {
	var p *Problem
	if errors.As(err, &p) {
		return *p, true
	}
	return Problem{}, false
}

// with sets the problem that is the cause of an error.
func with(e *errs.Error, p Problem) *errs.Error {
	e.Cause = &p
	return e
}

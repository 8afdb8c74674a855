package bank

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/bank/statement"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/treasury"
)

const (
	// maxPreviewLines is how many movements a preview shows, and maxPreviewText how many characters of their texts.
	maxPreviewLines = 200
	maxPreviewText  = 200
)

// Preview is how a file is read, before it is imported.
type Preview struct {
	// File is the file with the format that was found out.
	statement.Detected
	// Statements have no ID; their NewLines are those that an import would store.
	Statements []Statement
	// Lines are the first movements of all statements, in the order of the file.
	Lines []PreviewLine
	// Start and End are the days of the first and the last movement; empty without movements.
	Start, End    calendar.Day
	OtherAccounts []string
	NotBooked     int
	// Problem is why the file is refused, with its Err; nil when it can be imported. FormUntil is the day of a problem about
	// another form of file.
	Problem   *statement.Problem
	Err       error
	FormUntil calendar.Day
}

// PreviewLine is a movement of a file that was not imported yet. Its text may hold a name, and is stored nowhere.
type PreviewLine struct {
	statement.Movement
	// Text is shortened.
	Text string
	// Pledge is the pledge that the text names.
	Pledge treasury.Pledge
	// Imported tells that an earlier file had the line.
	Imported bool
}

// PreviewStatement reads a file as an import would, and stores nothing. A file that is refused is answered with its
// problem.
func (s *Service) PreviewStatement(ctx context.Context, i Import) (p Preview, err error) {
	at, err := s.place(ctx, i.Collective)
	if err != nil {
		return p, err
	}
	var read statement.Contents
	p.Detected, read, err = s.read(ctx, i, at)
	if problem, ok := statement.ProblemOf(err); ok {
		p.Problem, p.Err = &problem, err
		return p, nil
	}
	if err != nil {
		return p, err
	}
	p.OtherAccounts, p.NotBooked = read.OtherAccounts, read.NotBooked
	keys := s.lineKeys(read.Statements)
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		for n := range read.Statements {
			f := fileStatement{Statement: &read.Statements[n], keys: keys[n], collective: i.Collective, form: p.File.Form()}
			if err := s.previewTx(ctx, tx, &p, f); err != nil {
				return err
			}
		}
		return nil
	})
	if e := errs.As(err); err != nil && e.Reason == errorsv1.ErrorReason_STATEMENT_FORM_CHANGED {
		p.Problem, p.Err = &statement.Problem{}, err
		return p, nil
	}
	return p, err
}

// knownKeysSQL returns which of the keys lines of an account have; the unique constraint lines_key serves it.
const knownKeysSQL = `
SELECT l.line_key
FROM bank.lines AS l
WHERE l.collective = @collective
	AND l.account = @account
	AND l.line_key = ANY(@line_keys::bytea[])`

// previewTx adds a statement of the file to its preview.
func (s *Service) previewTx(ctx context.Context, tx pgx.Tx, p *Preview, f fileStatement) error {
	last, err := otherFormTx(ctx, tx, f)
	if err != nil {
		return err
	}
	if last != "" {
		p.FormUntil = last
		return errFormChanged(last)
	}
	stored, err := postgres.All(ctx, tx, pgx.RowTo[[]byte], knownKeysSQL, pgx.NamedArgs{
		"collective": f.collective, "account": f.Account, "line_keys": f.keys,
	})
	if err != nil {
		return err
	}
	known := make(map[string]bool, len(stored))
	for _, key := range stored {
		known[string(key)] = true
	}
	p.Statements = append(p.Statements, Statement{
		Collective: f.collective, Account: f.Account, Opening: f.Opening, Closing: f.Closing, ClosingOn: f.ClosingOn,
		Lines: len(f.Movements), NewLines: len(f.Movements) - len(stored),
	})
	shown := f.Movements[:min(len(f.Movements), maxPreviewLines-len(p.Lines))]
	texts := make([]string, len(shown))
	for i, m := range shown {
		if m.Amount.Minor > 0 && !m.Reversal {
			texts[i] = m.Text + " " + m.Reference
		}
	}
	pledges, err := s.cfg.Treasury.PledgesNamedTx(ctx, tx, f.collective, texts)
	if err != nil {
		return err
	}
	for _, m := range f.Movements {
		if p.Start == "" || m.BookedOn < p.Start {
			p.Start = m.BookedOn
		}
		p.End = max(p.End, m.BookedOn)
	}
	for i, m := range shown {
		line := PreviewLine{Movement: m, Text: shortened(strings.TrimSpace(m.Payee + " " + m.Text)), Imported: known[string(f.keys[i])]}
		if pledges[i] != uuid.Nil {
			if line.Pledge, err = s.cfg.Treasury.PledgeTx(ctx, tx, f.collective, pledges[i]); err != nil {
				return err
			}
		}
		p.Lines = append(p.Lines, line)
	}
	return nil
}

// shortened is the beginning of a text on one line, of valid characters.
func shortened(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " ")
	if utf8.RuneCountInString(text) <= maxPreviewText {
		return text
	}
	return string([]rune(text)[:maxPreviewText-1]) + "…"
}

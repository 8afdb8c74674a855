package treasury

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// Statement is what a file of the bank's says of one account.
type Statement struct {
	ID         uuid.UUID
	Collective string
	// Account is the collective's own, mostly its IBAN.
	Account string
	// Opening and Closing are nil when the file does not say.
	Opening, Closing *money.Amount
	ClosingOn        Day
	Lines, NewLines  int
	CreateTime       time.Time
}

// Name returns the resource name.
func (s Statement) Name() string {
	return "collectives/" + s.Collective + "/bankStatements/" + s.ID.String()
}

// StatementFile is a file to import.
type StatementFile struct {
	Collective string
	Content    []byte
	// CSV says how to read it; nil for CAMT.053. The rest is for CSV alone.
	CSV              *csvFormat
	Account          string
	Currency         money.Currency
	Opening, Closing *money.Amount
}

// Imported is what became of a file.
type Imported struct {
	Statements []Statement
	// LeftOut are the other accounts in the file.
	LeftOut []string
	// NotBooked is how many lines of a CSV file are no money yet, or never were, by its column of states.
	NotBooked int
	// Booked lines became donations, Recognised ones were in the books already.
	Booked, Recognised int
	// Open is how many lines of the collective nobody has matched or ignored.
	Open int
}

// ImportStatement stores the lines of a file that are new, and matches all open lines of the collective, safely sent
// twice: under another request id too. Errors: those of the proto's method.
func (s *Service) ImportStatement(ctx context.Context, r Request, f StatementFile) (Imported, error) {
	group, err := s.cfg.Collectives.Get(ctx, f.Collective)
	if err != nil {
		return Imported{}, err
	}
	days, err := s.calendar(ctx, f.Collective)
	if err != nil {
		return Imported{}, err
	}
	parsed, aside, err := f.parse(group.BankAccount.IBAN, days.today)
	if err != nil {
		return Imported{}, err
	}
	s.setKeys(parsed)
	hash := sha256.Sum256(f.Content)
	parts := []string{string(hash[:]), f.Account, string(f.Currency), fmt.Sprintf("%+v", f.CSV), text(f.Opening), text(f.Closing)}
	done := aside
	_, err = s.once(ctx, r, f.Collective, "import_statement", s.cfg.NewID(), parts, func(ctx context.Context, tx pgx.Tx, now time.Time) error {
		done = aside
		if err := lockBankTx(ctx, tx, f.Collective); err != nil {
			return err
		}
		for i, p := range parsed {
			p.form = f.form()
			if err := s.keepStatementTx(ctx, tx, f.Collective, hash[:], i+1, p, r.By, now); err != nil {
				return err
			}
		}
		var err error
		if done.Booked, done.Recognised, err = s.matchOpenTx(ctx, tx, f.Collective, days, now); err != nil {
			return err
		}
		return s.tellOpenCreditsTx(ctx, tx, f.Collective, hash[:])
	})
	if err != nil {
		return Imported{}, err
	}
	if done.Statements, err = all(ctx, s.cfg.Pool, scanStatement, fileStatementsSQL, pgx.NamedArgs{
		"collective": f.Collective, "file_hash": hash[:],
	}); err != nil {
		return Imported{}, err
	}
	done.Open, err = s.openLines(ctx, f.Collective)
	return done, err
}

func text(a *money.Amount) string {
	if a == nil {
		return ""
	}
	return a.String()
}

// form tells what the keys of a file's lines are made of: files of two forms do not recognise each other's lines.
func (f StatementFile) form() string {
	if f.CSV == nil {
		return "camt.053"
	}
	return fmt.Sprintf("csv %s %d %d %v", f.Currency, f.CSV.date, f.CSV.reference, f.CSV.text)
}

// parse reads the file and checks that it is about the collective's account, when that is known, and not about
// days to come. aside says what of the file is not in the statements.
func (f StatementFile) parse(iban string, today Day) (parsed []*parsedStatement, aside Imported, err error) {
	account := compactAccount(cmp.Or(f.Account, iban))
	if iban != "" && account != iban {
		return nil, aside, errOtherAccount()
	}
	if f.CSV == nil {
		parsed, aside.LeftOut, err = parseCAMT(f.Content, account)
	} else {
		if account == "" {
			return nil, aside, errs.Invalid("account", "must say which account it is: the collective's settings have none")
		}
		var content csvContent
		p := &parsedStatement{account: account, currency: f.Currency, opening: f.Opening, closing: f.Closing}
		if content, err = readCSV(f.Content, *f.CSV, f.Currency); err == nil {
			p.lines, aside.LeftOut, aside.NotBooked = content.lines, content.leftOut, content.notBooked
			err = p.check()
		}
		parsed = append(parsed, p)
	}
	if err != nil {
		return nil, Imported{}, err
	}
	for _, p := range parsed {
		if p.closingOn > today {
			return nil, Imported{}, unreadable("it is about days to come: the days may be written in another way")
		}
	}
	return parsed, aside, nil
}

const lockBankSQL = `
SELECT pg_advisory_xact_lock(hashtextextended('cagnotte treasury bank ' || @collective::text, 0))`

// lockBankTx lets the imports, the matches and the reversals of one collective come one after the other: so no line shows
// what is being taken back. It is taken before any row is locked, and ends with the transaction.
func lockBankTx(ctx context.Context, tx pgx.Tx, collective string) error {
	_, err := tx.Exec(ctx, lockBankSQL, pgx.NamedArgs{"collective": collective})
	return postgres.Error(err)
}

// setKeys says what makes each line the same in another file: account, day, amount, the bank's reference or,
// without one, what was written to it; and its place among those of its day that are alike, also in the statements of the file
// that go on from one another. The hash is keyed, because what was written holds names, and a hash of names can be
// found out by trying them.
func (s *Service) setKeys(statements []*parsedStatement) {
	var alike map[string]int
	for i, p := range statements {
		if i == 0 || !p.follows(statements[i-1]) {
			alike = map[string]int{}
		}
		p.keys = make([][]byte, len(p.lines))
		for i, line := range p.lines {
			words := line.reference
			if words == "" {
				words = bare(line.text)
			}
			var content []byte
			for _, part := range []string{
				"treasury.bank_lines", p.account, string(line.bookedOn), string(line.amount.Currency),
				strconv.FormatInt(line.amount.Minor, 10), strconv.FormatBool(line.reference != ""), words,
			} {
				content = binary.BigEndian.AppendUint64(content, uint64(len(part)))
				content = append(content, part...)
			}
			alike[string(content)]++
			mac := hmac.New(sha256.New, s.cfg.SecretKey)
			mac.Write(binary.BigEndian.AppendUint64(content, uint64(alike[string(content)])))
			p.keys[i] = mac.Sum(nil)
		}
	}
}

// keepStatementTx stores a statement, unless this file was imported before, and those of its lines that are new.
func (s *Service) keepStatementTx(
	ctx context.Context, tx pgx.Tx, collective string, hash []byte, ordinal int, p *parsedStatement, by string, now time.Time,
) error {
	// Before a file is told to be known: read in another way, it is another one.
	if err := sameFormTx(ctx, tx, collective, p); err != nil {
		return err
	}
	id := s.cfg.NewID()
	inserted, err := insertStatementTx(ctx, tx, id, collective, hash, ordinal, p, by, now)
	if err != nil || !inserted {
		return err
	}
	pledges, err := pledgesOfTx(ctx, tx, collective, p.lines)
	if err != nil {
		return err
	}
	fresh, err := s.insertLinesTx(ctx, tx, id, collective, p, pledges, now)
	if err != nil || fresh == 0 {
		return err
	}
	_, err = tx.Exec(ctx, countNewLinesSQL, pgx.NamedArgs{"id": id, "new_lines": fresh})
	return postgres.Error(err)
}

const otherFormSQL = `
SELECT coalesce(to_char(max(l.booked_on), 'YYYY-MM-DD'), '')
FROM treasury.bank_lines AS l
JOIN treasury.statements AS s ON s.id = l.statement
WHERE l.collective = @collective
	AND l.account = @account
	AND l.booked_on = ANY(@days::text[]::date[])
	AND s.form <> @form
	AND s.form <> ''`

// sameFormTx refuses a statement about days whose lines came in another form: the same movements would be stored, and
// perhaps booked, a second time.
func sameFormTx(ctx context.Context, tx pgx.Tx, collective string, p *parsedStatement) error {
	var days []string
	for _, line := range p.lines {
		days = append(days, string(line.bookedOn))
	}
	var until Day
	if err := tx.QueryRow(ctx, otherFormSQL, pgx.NamedArgs{
		"collective": collective, "account": p.account, "days": days, "form": p.form,
	}).Scan(&until); err != nil {
		return postgres.Error(err)
	}
	if until == "" {
		return nil
	}
	return wrong(errorsv1.ErrorReason_STATEMENT_FORM_CHANGED, "content", fmt.Sprintf(
		"must begin after %s: the lines until then came from a file of another form, or with other columns, and would be counted twice", until))
}

const referencedSQL = `
SELECT
	p.id,
	p.reference
FROM treasury.pledges AS p
WHERE p.reference = ANY(@references::text[])
	AND p.collective = @collective`

// pledgesOfTx returns the pledge that each line names; uuid.Nil for none, and for several.
func pledgesOfTx(ctx context.Context, tx pgx.Tx, collective string, lines []parsedLine) ([]uuid.UUID, error) {
	named := make([][]string, len(lines))
	var references []string
	for i, line := range lines {
		if line.amount.Minor > 0 && !line.reversal {
			named[i] = findReferences(line.text + " " + line.reference)
			references = append(references, named[i]...)
		}
	}
	rows, err := tx.Query(ctx, referencedSQL, pgx.NamedArgs{"references": references, "collective": collective})
	if err != nil {
		return nil, postgres.Error(err)
	}
	ids := map[string]uuid.UUID{}
	var id uuid.UUID
	var code string
	if _, err := pgx.ForEachRow(rows, []any{&id, &code}, func() error { ids[code] = id; return nil }); err != nil {
		return nil, postgres.Error(err)
	}
	pledges := make([]uuid.UUID, len(lines))
	for i := range lines {
		known := slices.DeleteFunc(named[i], func(code string) bool { return ids[code] == uuid.Nil })
		if len(known) == 1 {
			pledges[i] = ids[known[0]]
		}
	}
	return pledges, nil
}

// Line is one movement of the bank account.
type Line struct {
	ID         uuid.UUID
	Collective string
	Account    string
	BookedOn   Day
	// Amount is positive for what came.
	Amount        money.Amount
	BankReference string
	// Pledge is what its text names; PledgeCampaign the slug of its campaign.
	Pledge         uuid.UUID
	PledgeCampaign string
	State          LineState
	Target         TargetKind
	// Donation, with its campaign's slug and its pledge, Expense and Transaction are what it was matched to; Transaction alone is
	// also what it may be.
	Donation         uuid.UUID
	DonationCampaign string
	DonationPledge   uuid.UUID
	Expense          uuid.UUID
	Transaction      int64
	IgnoreReason     string
	Statement        uuid.UUID
	CreateTime       time.Time
	UpdateTime       time.Time

	// attempt grows whenever a receipt is booked and whenever what was said is taken back: so each booking has a reference
	// of its own, and what was taken back is not said again without a member.
	attempt int
}

// LineState is where a bank line stands.
type LineState string

// The states; doc.go draws the ways between them.
const (
	LineUnmatched LineState = "unmatched"
	LineSuggested LineState = "suggested"
	LineMatched   LineState = "matched"
	LineIgnored   LineState = "ignored"
)

// TargetKind is what a line was matched to.
type TargetKind string

// The kinds of targets.
const (
	TargetPledge         TargetKind = "pledge"
	TargetCampaign       TargetKind = "campaign"
	TargetExpense        TargetKind = "expense"
	TargetTransaction    TargetKind = "transaction"
	TargetUnknownReceipt TargetKind = "unknown_receipt"
)

// Name returns the resource name.
func (l Line) Name() string { return lineName(l.Collective, l.ID) }

func lineName(collective string, id uuid.UUID) string {
	return "collectives/" + collective + "/bankLines/" + id.String()
}

// open reports whether nobody has said yet what it is.
func (l Line) open() bool { return l.State == LineUnmatched || l.State == LineSuggested }

// receiptReference is that of what the line's latest match booked as an unknown receipt.
func (l Line) receiptReference() string {
	return fmt.Sprintf("%s%s:%d", receiptReferencePrefix, l.ID, l.attempt)
}

const receiptReferencePrefix = "bank-line:"

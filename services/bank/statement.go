package bank

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/bank/statement"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fingerprint"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/treasury"
)

// Statement is what a file says about one account and one period.
type Statement struct {
	ID         uuid.UUID
	Collective string
	// Account is the collective's own, mostly its IBAN.
	Account string
	// Opening and Closing are nil when the file does not tell them.
	Opening, Closing *money.Amount
	ClosingOn        calendar.Day
	// Lines is how many lines it has, and NewLines how many of them no earlier file had.
	Lines, NewLines int
	CreateTime      time.Time
}

// Name returns the resource name.
func (s Statement) Name() string { return statementName(s.Collective, s.ID) }

func statementName(collective string, id uuid.UUID) string {
	return "collectives/" + collective + "/bankStatements/" + id.String()
}

// Import is a file to import. The settings of the collective replace the file's OwnAccount, and the clock its Today.
type Import struct {
	Collective string
	File       statement.File
	// Detect finds out the format of the file, instead of File.CSV.
	Detect bool
}

// Imported is what an import did.
type Imported struct {
	Statements []Statement
	// OtherAccounts are the accounts in the file that were not read.
	OtherAccounts []string
	// NotBooked is how many lines of a CSV file were skipped because they are not booked.
	NotBooked int
	// Booked is how many lines became donations, and Recognised how many were in the books already.
	Booked, Recognised int
	// Open is how many lines of the collective are open now.
	Open int
}

// ImportStatement stores the lines of a file that are new and compares all open lines of the collective with the books.
// The same file again changes nothing, under another request id too. Errors: those of the proto's method.
func (s *Service) ImportStatement(ctx context.Context, r treasury.Request, i Import) (Imported, error) {
	at, err := s.place(ctx, i.Collective)
	if err != nil {
		return Imported{}, err
	}
	// The file is read before the transaction begins: reading needs no database, and a file that is refused locks
	// nothing.
	detected, read, err := s.read(ctx, i, at)
	if err != nil {
		return Imported{}, err
	}
	hash := fileHash(i.File, detected.File)
	i.File = detected.File
	keys := s.lineKeys(read.Statements)
	found := Imported{OtherAccounts: read.OtherAccounts, NotBooked: read.NotBooked}
	// What the transaction adds is lost when it runs again after a deadlock, so it begins from found each time. A
	// repeat of the request stores nothing and reports no lines as booked or recognised.
	done := found
	// An import has no resource of its own. The id names nothing: the statements are found by the hash of the file.
	_, err = s.cfg.Treasury.Once(ctx, r, i.Collective, "import_statement", newID(), fileFields(i.File, hash[:]),
		func(ctx context.Context, tx pgx.Tx, now time.Time) error {
			done = found
			stored := 0
			// The lock comes before the lines are inserted and matched, so that two imports do not book one line.
			if err := treasury.LockBankTx(ctx, tx, i.Collective); err != nil {
				return err
			}
			for n := range read.Statements {
				f := fileStatement{
					Statement: &read.Statements[n], keys: keys[n], collective: i.Collective, hash: hash[:], ordinal: n + 1,
					form: i.File.Form(), by: r.By,
				}
				fresh, err := s.storeStatementTx(ctx, tx, f, now)
				if err != nil {
					return err
				}
				if fresh {
					stored++
				}
			}
			var err error
			if done.Booked, done.Recognised, err = s.matchOpenTx(ctx, tx, i.Collective, at, now); err != nil {
				return err
			}
			if err := s.tellOpenCreditsTx(ctx, tx, i.Collective, hash[:]); err != nil || stored+done.Booked+done.Recognised == 0 {
				// A file that was imported before changes nothing, unless a line shows what was booked since.
				return err
			}
			return audit.WriteTx(ctx, tx, audit.Change{
				Collective: i.Collective, Resource: "collectives/" + i.Collective + "/bankStatements",
				After: audit.Fields{"statements": strconv.Itoa(stored), "matched_lines": strconv.Itoa(done.Booked + done.Recognised)},
			})
		})
	if err != nil {
		return Imported{}, err
	}
	if done.Statements, err = postgres.All(ctx, s.cfg.Pool, scanStatement, fileStatementsSQL, pgx.NamedArgs{
		"collective": i.Collective, "file_hash": hash[:],
	}); err != nil {
		return Imported{}, err
	}
	done.Open, err = s.countOpenLines(ctx, i.Collective)
	return done, err
}

// read reads the file of an import. A file whose format is found out is detected with it, and with the settings of the
// collective; what was found out is answered also when the file is refused then.
func (s *Service) read(ctx context.Context, i Import, at place) (statement.Detected, statement.Contents, error) {
	group, err := s.cfg.Collectives.Get(ctx, i.Collective)
	if err != nil {
		return statement.Detected{}, statement.Contents{}, err
	}
	i.File.OwnAccount, i.File.Today = group.BankAccount.IBAN, at.today
	detected := statement.Detected{File: i.File}
	if i.Detect {
		if detected, err = statement.Detect(i.File); err != nil {
			return detected, statement.Contents{}, err
		}
	}
	read, err := statement.Read(detected.File)
	return detected, read, err
}

// fileHash recognises a file that was imported before. A CSV or QIF file with other balances than it was imported with is another
// file: it has no new lines, and its statement has the balances.
func fileHash(asked, detected statement.File) [sha256.Size]byte {
	content := sha256.Sum256(asked.Content)
	if !detected.TakesBalances() || asked.Opening == nil && asked.Closing == nil {
		return content
	}
	told := content[:]
	for _, balance := range []*money.Amount{asked.Opening, asked.Closing} {
		text := ""
		if balance != nil {
			text = balance.String()
		}
		told = append(append(told, '\n'), text...)
	}
	return sha256.Sum256(told)
}

// fileFields are what an import asks, for its fingerprint.
// The file's own hash stands for its content. Numbers that are zero are left out, so a column that the format gains
// later leaves the fingerprints of earlier requests as they are.
func fileFields(f statement.File, hash []byte) fingerprint.Fields {
	fields := fingerprint.Fields{"content_sha256": hex.EncodeToString(hash), "account": f.Account}
	for name, balance := range map[string]*money.Amount{"opening_balance": f.Opening, "closing_balance": f.Closing} {
		if balance != nil {
			fields[name] = balance.String()
		}
	}
	// What follows is asked of CSV files alone.
	if f.CSV == nil {
		return fields
	}
	c := f.CSV
	fields["currency"] = string(f.Currency)
	for name, text := range map[string]string{
		"separator": string(c.Separator), "header": c.Header, "section": c.Section, "date_layout": c.DateLayout,
		"decimal_mark": c.DecimalMark, "debit_word": c.DebitWord, "credit_word": c.CreditWord,
		"booked_states": fingerprint.List(c.Booked...),
	} {
		fields["csv."+name] = text
	}
	var texts []string
	for _, column := range c.Text {
		texts = append(texts, strconv.Itoa(column))
	}
	fields["csv.text_columns"] = fingerprint.List(texts...)
	for name, number := range map[string]int{
		"encoding": int(c.Encoding), "quotes": int(c.Quotes), "skip_lines": c.SkipLines, "date_column": c.Date,
		"amount_column": c.Amount, "debit_column": c.Debit, "credit_column": c.Credit, "reference_column": c.Reference,
		"sign_column": c.Sign, "state_column": c.State, "fee_column": c.Fee,
	} {
		if number != 0 {
			fields["csv."+name] = strconv.Itoa(number)
		}
	}
	return fields
}

// lineKeys returns, for each movement of each statement, what makes it the same in another file: its account, day and
// amount, the bank's reference or else the words of its text, and its place among the movements that are alike in these.
// Movements are counted through statements that continue one another. The hash is keyed, because the text holds names, and
// a plain hash of a name can be found by trial.
func (s *Service) lineKeys(statements []statement.Statement) [][][]byte {
	keys := make([][][]byte, len(statements))
	var alike map[string]int
	for i := range statements {
		st := &statements[i]
		// Two statements about one period would count the same movement twice, so each counts from the start.
		if i == 0 || !st.Continues(&statements[i-1]) {
			alike = map[string]int{}
		}
		for _, m := range st.Movements {
			var content []byte
			// The first part separates these hashes from other uses of the key. The length before each part keeps two
			// lists of parts from having the same bytes.
			for _, part := range []string{
				"bank.lines", st.Account, string(m.BookedOn), string(m.Amount.Currency),
				strconv.FormatInt(m.Amount.Minor, 10), strconv.FormatBool(m.Reference != ""), m.Words(),
			} {
				content = binary.BigEndian.AppendUint64(content, uint64(len(part)))
				content = append(content, part...)
			}
			// Two equal payments on one day are two lines: the place among those that are alike tells them apart.
			alike[string(content)]++
			mac := hmac.New(sha256.New, s.cfg.SecretKey)
			mac.Write(binary.BigEndian.AppendUint64(content, uint64(alike[string(content)])))
			keys[i] = append(keys[i], mac.Sum(nil))
		}
	}
	return keys
}

// fileStatement is a statement of a file that is being imported.
type fileStatement struct {
	*statement.Statement
	// keys are those of its movements.
	keys       [][]byte
	collective string
	// hash is that of the file, and ordinal the statement's place in it, from 1.
	hash    []byte
	ordinal int
	form    string
	// by is the key that imports it.
	by string
}

// storeStatementTx stores a statement and its new lines. fresh is false when this file was imported before: then nothing is
// stored.
func (s *Service) storeStatementTx(ctx context.Context, tx pgx.Tx, f fileStatement, now time.Time) (fresh bool, err error) {
	// This comes before the file is recognised: read with other columns it is another file.
	if err := checkFormTx(ctx, tx, f); err != nil {
		return false, err
	}
	// A statement that was stored before has its lines, so nothing is left to do.
	id := newID()
	inserted, err := insertStatementTx(ctx, tx, id, f, now)
	if err != nil || !inserted {
		return false, err
	}
	texts := make([]string, len(f.Movements))
	for i, m := range f.Movements {
		// What comes back of a payment is no donation.
		// An empty text names no pledge, and keeps its place in the list.
		if m.Amount.Minor > 0 && !m.Reversal {
			texts[i] = m.Text + " " + m.Reference
		}
	}
	pledges, err := s.cfg.Treasury.PledgesNamedTx(ctx, tx, f.collective, texts)
	if err != nil {
		return false, err
	}
	// Money that left may have paid an expense.
	clear(texts)
	for i, m := range f.Movements {
		if m.Amount.Minor < 0 {
			texts[i] = m.Payee + " " + m.Text
		}
	}
	expenses, err := s.cfg.Treasury.ExpensesNamedTx(ctx, tx, f.collective, texts)
	if err != nil {
		return false, err
	}
	// How many lines are new is known only now; the statement was inserted first, since its lines refer to it.
	lines, err := insertLinesTx(ctx, tx, id, f, pledges, expenses, now)
	if err != nil || lines == 0 {
		return true, err
	}
	_, err = tx.Exec(ctx, countNewLinesSQL, pgx.NamedArgs{"id": id, "new_lines": lines})
	return true, postgres.Error(err)
}

// otherFormSQL returns the last of some days on which the account has lines from a file of another form; empty for
// none. Lines of a statement whose form is unknown do not count. The index lines_list_idx serves it.
const otherFormSQL = `
SELECT coalesce(to_char(max(l.booked_on), 'YYYY-MM-DD'), '')
FROM bank.lines AS l
JOIN bank.statements AS s ON s.id = l.statement
WHERE l.collective = @collective
	AND l.account = @account
	AND l.booked_on = ANY(@days::text[]::date[])
	AND s.form <> @form
	AND s.form <> ''`

// checkFormTx refuses a statement about days whose lines were imported in another form: the same movements would be
// stored, and perhaps booked, twice.
func checkFormTx(ctx context.Context, tx pgx.Tx, f fileStatement) error {
	last, err := otherFormTx(ctx, tx, f)
	if err == nil && last != "" {
		err = errFormChanged(last)
	}
	return err
}

// otherFormTx returns the last day of a statement whose lines were imported in another form; empty for none.
func otherFormTx(ctx context.Context, tx pgx.Tx, f fileStatement) (last calendar.Day, err error) {
	var days []string
	for _, m := range f.Movements {
		days = append(days, string(m.BookedOn))
	}
	err = tx.QueryRow(ctx, otherFormSQL, pgx.NamedArgs{
		"collective": f.collective, "account": f.Account, "days": days, "form": f.form,
	}).Scan(&last)
	return last, postgres.Error(err)
}

func errFormChanged(last calendar.Day) error {
	e := errs.New(errorsv1.ErrorReason_STATEMENT_FORM_CHANGED,
		"The lines until %s came from a file of another form, or with other columns, and would be stored twice.", last)
	e.Fields = []errs.Field{{Field: "content", Description: "must begin after " + string(last)}}
	return e
}

// insertStatementSQL stores a statement, and nothing when the same file was imported before (constraint
// statements_file_key). New lines are counted once they are stored.
const insertStatementSQL = `
INSERT INTO bank.statements (
	id,
	collective,
	account,
	file_hash,
	ordinal,
	form,
	currency,
	opening_minor,
	closing_minor,
	closing_on,
	lines,
	new_lines,
	created_by,
	created_at
)
VALUES (
	@id,
	@collective,
	@account,
	@file_hash,
	@ordinal,
	@form,
	@currency,
	@opening_minor,
	@closing_minor,
	@closing_on,
	@lines,
	0,
	@created_by,
	@now
)
ON CONFLICT (collective, account, file_hash, ordinal) DO NOTHING`

// insertStatementTx reports false when the file was imported before.
func insertStatementTx(ctx context.Context, tx pgx.Tx, id uuid.UUID, f fileStatement, now time.Time) (inserted bool, err error) {
	tag, err := tx.Exec(ctx, insertStatementSQL, pgx.NamedArgs{
		"id": id, "collective": f.collective, "account": f.Account, "file_hash": f.hash, "ordinal": f.ordinal, "form": f.form,
		"currency": string(f.Currency), "opening_minor": nullMinor(f.Opening), "closing_minor": nullMinor(f.Closing),
		"closing_on": string(f.ClosingOn), "lines": len(f.Movements), "created_by": f.by, "now": now,
	})
	return tag.RowsAffected() == 1, postgres.Error(err)
}

// nullMinor is NULL for a balance that the file does not tell.
func nullMinor(a *money.Amount) *int64 {
	if a == nil {
		return nil
	}
	return &a.Minor
}

const countNewLinesSQL = `
UPDATE bank.statements
SET new_lines = @new_lines
WHERE id = @id`

const statementColumns = `
	s.id,
	s.collective,
	s.account,
	s.currency,
	s.opening_minor,
	s.closing_minor,
	to_char(s.closing_on, 'YYYY-MM-DD'),
	s.lines,
	s.new_lines,
	s.created_at`

// fileStatementsSQL returns the statements of a file, in its order, whichever request imported it.
const fileStatementsSQL = `
SELECT` + statementColumns + `
FROM bank.statements AS s
WHERE s.collective = @collective
	AND s.file_hash = @file_hash
ORDER BY
	s.ordinal,
	s.id`

func scanStatement(r pgx.CollectableRow) (s Statement, err error) {
	var currency money.Currency
	// NULL is a balance that the file does not tell, which is not a balance of zero.
	var opening, closing *int64
	err = r.Scan(&s.ID, &s.Collective, &s.Account, &currency, &opening, &closing, &s.ClosingOn, &s.Lines, &s.NewLines, &s.CreateTime)
	if opening != nil {
		s.Opening = &money.Amount{Minor: *opening, Currency: currency}
	}
	if closing != nil {
		s.Closing = &money.Amount{Minor: *closing, Currency: currency}
	}
	s.CreateTime = s.CreateTime.UTC()
	return s, err
}

const statementSQL = `
SELECT` + statementColumns + `
FROM bank.statements AS s
WHERE s.id = @id
	AND s.collective = @collective`

// Statement returns one statement of a collective; NOT_FOUND when there is none.
func (s *Service) Statement(ctx context.Context, collective string, id uuid.UUID) (Statement, error) {
	st, err := postgres.One(ctx, s.cfg.Pool, scanStatement, statementSQL, pgx.NamedArgs{"id": id, "collective": collective})
	if errors.Is(err, pgx.ErrNoRows) {
		return Statement{}, errs.NotFound(statementName(collective, id))
	}
	return st, postgres.Error(err)
}

// listStatementsSQL returns a page of a collective's statements. The index statements_list_idx has their order.
const listStatementsSQL = `
SELECT` + statementColumns + `
FROM bank.statements AS s
WHERE s.collective = @collective
	AND (s.created_at, s.id) < (@before_time, @before_id)
ORDER BY
	s.created_at DESC,
	s.id DESC
LIMIT @count`

// Statements returns up to count statements of a collective, those imported last first, before the given place.
func (s *Service) Statements(ctx context.Context, collective string, before Position, count int) ([]Statement, error) {
	return postgres.All(ctx, s.cfg.Pool, scanStatement, listStatementsSQL, pgx.NamedArgs{
		"collective": collective, "before_time": before.Time, "before_id": before.ID, "count": count,
	})
}

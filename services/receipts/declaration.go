package receipts

import (
	"bytes"
	"context"
	"errors"
	"image"
	_ "image/jpeg" // signatures come as JPEG
	_ "image/png"  // and as PNG
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/approvals"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/notices"
)

// Article is an article of the CGI.
type Article string

// The articles, as they are stored and printed.
const (
	Article200    Article = "200"
	Article238Bis Article = "238 bis"
	Article978    Article = "978"
)

// DeclarationState is where a declaration is; doc.go has the table.
type DeclarationState string

// The states, as they are stored.
const (
	DeclarationPending   DeclarationState = "pending"
	DeclarationActive    DeclarationState = "active"
	DeclarationReplaced  DeclarationState = "replaced"
	DeclarationWithdrawn DeclarationState = "withdrawn"
	DeclarationDropped   DeclarationState = "dropped"
)

// Declaration is what an owner declared about the body that issues receipts.
type Declaration struct {
	ID         uuid.UUID
	Collective string
	BodyName   string
	// PostalAddress is line by line.
	PostalAddress []string
	// Purpose is the object of the statutes, Quality what the body is in the words of the form.
	Purpose, Quality string
	Articles         []Article
	// SIREN and RNA are empty for none.
	SIREN, RNA                    string
	SignatoryName, SignatoryTitle string
	// SignatureImage is a PNG or JPEG; nil for none.
	SignatureImage []byte
	// RetentionYears is how many full years after a receipt's its donor's identity is kept: 6 or 10.
	RetentionYears int
	State          DeclarationState
	// PendingChange is the name of the change that waits for a second person, or waited.
	PendingChange string
	CreateTime    time.Time
	// ActivateTime and EndTime are zero until then.
	ActivateTime, EndTime time.Time
}

// Name returns the resource name.
func (d Declaration) Name() string {
	return "collectives/" + d.Collective + "/receiptDeclarations/" + d.ID.String()
}

// Serves reports whether receipts of a kind can be issued under the declaration.
func (d Declaration) Serves(kind DonorKind) bool {
	if kind == Company {
		return slices.Contains(d.Articles, Article238Bis)
	}
	return slices.Contains(d.Articles, Article200) || slices.Contains(d.Articles, Article978)
}

// kinds are those that it serves.
func (d Declaration) kinds() (kinds []DonorKind) {
	for _, kind := range []DonorKind{Individual, Company} {
		if d.Serves(kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// text is the declaration for people who approve it, and for the audit log.
func (d Declaration) text() string {
	parts := []string{d.BodyName}
	if d.SIREN != "" {
		parts = append(parts, "SIREN "+d.SIREN)
	}
	if d.RNA != "" {
		parts = append(parts, "RNA "+d.RNA)
	}
	articles := make([]string, len(d.Articles))
	for i, a := range d.Articles {
		articles[i] = string(a)
	}
	return strings.Join(append(parts, "CGI "+strings.Join(articles, ", "), d.SignatoryName+", "+d.SignatoryTitle), " · ")
}

func (d Declaration) auditFields() audit.Fields {
	return audit.Fields{"state": string(d.State), "declaration": d.text(), "pending_change": d.PendingChange}
}

// same reports whether two declare the same.
func (d Declaration) same(o Declaration) bool {
	return d.BodyName == o.BodyName && slices.Equal(d.PostalAddress, o.PostalAddress) && d.Purpose == o.Purpose && d.Quality == o.Quality &&
		slices.Equal(d.Articles, o.Articles) && d.SIREN == o.SIREN && d.RNA == o.RNA && d.SignatoryName == o.SignatoryName &&
		d.SignatoryTitle == o.SignatoryTitle && bytes.Equal(d.SignatureImage, o.SignatureImage) && d.RetentionYears == o.RetentionYears
}

const maxImageSide = 2000

var rnaPattern = regexp.MustCompile(`^W[0-9A-Z]{9}$`)

// normalise refuses what a receipt cannot show. The contract bounds lengths.
func (d *Declaration) normalise() (err error) {
	for _, f := range []struct {
		field string
		value *string
		max   int
	}{
		{"body_name", &d.BodyName, 120},
		{"purpose", &d.Purpose, 300},
		{"quality", &d.Quality, 200},
		{"signatory_name", &d.SignatoryName, 80},
		{"signatory_title", &d.SignatoryTitle, 80},
	} {
		if *f.value, err = printable("receipt_declaration."+f.field, *f.value, f.max, true); err != nil {
			return err
		}
	}
	for i, line := range d.PostalAddress {
		if d.PostalAddress[i], err = printable("receipt_declaration.postal_address", line, 80, true); err != nil {
			return err
		}
	}
	if d.SIREN, err = checkSIREN("receipt_declaration.siren", d.SIREN, false); err != nil {
		return err
	}
	d.RNA = strings.ToUpper(strings.TrimSpace(d.RNA))
	if d.RNA != "" && !rnaPattern.MatchString(d.RNA) {
		return errs.Invalid("receipt_declaration.rna", "must be W and nine digits")
	}
	slices.Sort(d.Articles)
	if d.RetentionYears == 0 {
		d.RetentionYears = 6
	}
	if len(d.SignatureImage) == 0 {
		d.SignatureImage = nil
		return nil
	}
	// Only the head is decoded here, so that a small file cannot ask for much memory.
	shown, _, err := image.DecodeConfig(bytes.NewReader(d.SignatureImage))
	if err != nil || shown.Width > maxImageSide || shown.Height > maxImageSide {
		return errs.Invalid("receipt_declaration.signature_image", "must be a PNG or JPEG of at most %d pixels each way", maxImageSide)
	}
	if _, _, err := image.Decode(bytes.NewReader(d.SignatureImage)); err != nil {
		return errs.Invalid("receipt_declaration.signature_image", "must be a PNG or JPEG of at most %d pixels each way", maxImageSide)
	}
	return nil
}

const declarationColumns = `
	d.id,
	d.collective,
	d.body_name,
	d.postal_address,
	d.purpose,
	d.quality,
	d.articles,
	d.siren,
	d.rna,
	d.signatory_name,
	d.signatory_title,
	d.signature_image,
	d.retention_years,
	d.state,
	d.pending_change,
	d.created_at,
	d.activated_at,
	d.ended_at`

func scanDeclaration(r pgx.CollectableRow) (d Declaration, err error) {
	var activated, ended *time.Time
	err = r.Scan(&d.ID, &d.Collective, &d.BodyName, &d.PostalAddress, &d.Purpose, &d.Quality, &d.Articles, &d.SIREN, &d.RNA,
		&d.SignatoryName, &d.SignatoryTitle, &d.SignatureImage, &d.RetentionYears, &d.State, &d.PendingChange, &d.CreateTime,
		&activated, &ended)
	d.CreateTime, d.ActivateTime, d.EndTime = d.CreateTime.UTC(), fromNull(activated), fromNull(ended)
	return d, err
}

const inStateSQL = `
SELECT` + declarationColumns + `
FROM receipts.declarations AS d
WHERE d.collective = @collective
	AND d.state = @state`

const holdInStateSQL = inStateSQL + `
FOR SHARE OF d`

// inStateTx returns a collective's declaration that is active or waits; ok is false for none. It stays in its state until the
// transaction ends.
func inStateTx(ctx context.Context, tx pgx.Tx, collective string, state DeclarationState) (d Declaration, ok bool, err error) {
	return inState(ctx, tx, holdInStateSQL, collective, state)
}

func inState(ctx context.Context, db postgres.Querier, statement, collective string, state DeclarationState) (d Declaration, ok bool, err error) {
	d, err = postgres.One(ctx, db, scanDeclaration, statement, pgx.NamedArgs{"collective": collective, "state": state})
	if errors.Is(err, pgx.ErrNoRows) {
		return Declaration{}, false, nil
	}
	return d, err == nil, postgres.Error(err)
}

const insertDeclarationSQL = `
INSERT INTO receipts.declarations (
	id,
	collective,
	body_name,
	postal_address,
	purpose,
	quality,
	articles,
	siren,
	rna,
	signatory_name,
	signatory_title,
	signature_image,
	retention_years,
	pending_change,
	created_at
)
VALUES (
	@id,
	@collective,
	@body_name,
	@postal_address,
	@purpose,
	@quality,
	@articles,
	@siren,
	@rna,
	@signatory_name,
	@signatory_title,
	@signature_image,
	@retention_years,
	@pending_change,
	@created_at
)`

var errDeclarationWaits = errs.New(errorsv1.ErrorReason_CHANGE_PENDING, "Another declaration waits for a second person.")

// Declare asks a second person to approve a declaration, for the caller in the context. The same declaration, while it
// waits, is that one. For the errors see the contract's CreateReceiptDeclaration.
func (s *Service) Declare(ctx context.Context, d Declaration) (result Declaration, err error) {
	if err := d.normalise(); err != nil {
		return Declaration{}, err
	}
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		waiting, ok, err := inStateTx(ctx, tx, d.Collective, DeclarationPending)
		if err != nil {
			return err
		}
		if ok && waiting.same(d) {
			result = waiting
			return nil
		}
		if ok {
			return errDeclarationWaits
		}
		active, _, err := inStateTx(ctx, tx, d.Collective, DeclarationActive)
		if err != nil {
			return err
		}
		made := d
		made.ID, made.State, made.CreateTime = uuid.Must(uuid.NewV7()), DeclarationPending, s.now()
		r := approvals.Request{
			Collective: d.Collective, Kind: approvals.ReceiptDeclaration, Subject: made.Name(), Before: active.idOrNone(), After: made.idOrNone(),
			AfterText: made.text(),
		}
		if active.ID != uuid.Nil {
			r.BeforeText = active.text()
		}
		change, err := s.cfg.Approvals.RequestTx(ctx, tx, r)
		if err != nil {
			return err
		}
		made.PendingChange = change.Name()
		_, err = tx.Exec(ctx, insertDeclarationSQL, pgx.NamedArgs{
			"id": made.ID, "collective": made.Collective, "body_name": made.BodyName, "postal_address": made.PostalAddress,
			"purpose": made.Purpose, "quality": made.Quality, "articles": made.Articles, "siren": made.SIREN, "rna": made.RNA,
			"signatory_name": made.SignatoryName, "signatory_title": made.SignatoryTitle, "signature_image": made.SignatureImage,
			"retention_years": made.RetentionYears, "pending_change": made.PendingChange, "created_at": made.CreateTime,
		})
		if err != nil {
			return postgres.ErrorFor(err, map[string]*errs.Error{"declarations_pending_key": errDeclarationWaits})
		}
		result = made
		return audit.WriteTx(ctx, tx, audit.Change{Collective: made.Collective, Resource: made.Name(), After: made.auditFields()})
	})
	return result, err
}

// idOrNone is what a change compares.
func (d Declaration) idOrNone() string {
	if d.ID == uuid.Nil {
		return ""
	}
	return d.ID.String()
}

const getDeclarationSQL = `
SELECT` + declarationColumns + `
FROM receipts.declarations AS d
WHERE d.collective = @collective
	AND d.id = @id`

// GetDeclaration returns one declaration.
func (s *Service) GetDeclaration(ctx context.Context, collective string, id uuid.UUID) (Declaration, error) {
	d, err := postgres.One(ctx, s.cfg.Pool, scanDeclaration, getDeclarationSQL, pgx.NamedArgs{"collective": collective, "id": id})
	return foundDeclaration(d, err, collective, id)
}

func foundDeclaration(d Declaration, err error, collective string, id uuid.UUID) (Declaration, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return Declaration{}, errs.NotFound(Declaration{Collective: collective, ID: id}.Name())
	}
	return d, postgres.Error(err)
}

const lockDeclarationSQL = getDeclarationSQL + `
FOR UPDATE OF d`

func lockDeclarationTx(ctx context.Context, tx pgx.Tx, collective string, id uuid.UUID) (Declaration, error) {
	d, err := postgres.One(ctx, tx, scanDeclaration, lockDeclarationSQL, pgx.NamedArgs{"collective": collective, "id": id})
	return foundDeclaration(d, err, collective, id)
}

const listDeclarationsSQL = `
SELECT` + declarationColumns + `
FROM receipts.declarations AS d
WHERE d.collective = @collective
	AND (d.created_at, d.id) < (@before_time, @before_id::uuid)
ORDER BY
	d.created_at DESC,
	d.id DESC
LIMIT @count`

// Position is the place in a list of what was made at a time.
type Position struct {
	CreateTime time.Time
	ID         uuid.UUID
}

// newest is before all that a list has.
var newest = Position{CreateTime: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}

// ListDeclarations returns up to count declarations, newest first, those after the position.
func (s *Service) ListDeclarations(ctx context.Context, collective string, after Position, count int) ([]Declaration, error) {
	return postgres.All(ctx, s.cfg.Pool, scanDeclaration, listDeclarationsSQL, pgx.NamedArgs{
		"collective": collective, "before_time": after.CreateTime, "before_id": after.ID, "count": count,
	})
}

const setDeclarationStateSQL = `
UPDATE receipts.declarations AS d
SET
	state = @state,
	activated_at = CASE WHEN @state = 'active' THEN @now ELSE d.activated_at END,
	ended_at = CASE WHEN @state = 'active' THEN NULL ELSE @now END
WHERE d.id = @id`

func (s *Service) setDeclarationStateTx(ctx context.Context, tx pgx.Tx, id uuid.UUID, state DeclarationState) error {
	_, err := tx.Exec(ctx, setDeclarationStateSQL, pgx.NamedArgs{"id": id, "state": string(state), "now": s.now()})
	return postgres.Error(err)
}

// subject returns the declaration that a change is about, locked.
func subjectTx(ctx context.Context, tx pgx.Tx, c approvals.Change) (Declaration, error) {
	_, last, _ := strings.Cut(c.Subject, "/receiptDeclarations/")
	id, err := uuid.Parse(last)
	if err != nil {
		return Declaration{}, errs.Internal(err)
	}
	return lockDeclarationTx(ctx, tx, c.Collective, id)
}

// ApplyTx is the approvals' Apply for declarations: the one that waited becomes active instead of the one that was.
func (s *Service) ApplyTx(ctx context.Context, tx pgx.Tx, c approvals.Change) error {
	d, err := subjectTx(ctx, tx, c)
	if err != nil {
		return err
	}
	active, ok, err := inStateTx(ctx, tx, c.Collective, DeclarationActive)
	if err != nil {
		return err
	}
	if d.State != DeclarationPending || string(c.Before) != `"`+active.idOrNone()+`"` {
		return approvals.Outdated()
	}
	before := ""
	if ok {
		before = active.text()
		if err := s.setDeclarationStateTx(ctx, tx, active.ID, DeclarationReplaced); err != nil {
			return err
		}
	}
	if err := s.setDeclarationStateTx(ctx, tx, d.ID, DeclarationActive); err != nil {
		return err
	}
	return s.tellDeclarationTx(ctx, tx, d, "active", before, d.text())
}

// DropTx is the approvals' Drop for declarations.
func (s *Service) DropTx(ctx context.Context, tx pgx.Tx, c approvals.Change) error {
	d, err := subjectTx(ctx, tx, c)
	if err != nil || d.State != DeclarationPending {
		return err
	}
	return s.setDeclarationStateTx(ctx, tx, d.ID, DeclarationDropped)
}

func (s *Service) tellDeclarationTx(ctx context.Context, tx pgx.Tx, d Declaration, what, before, after string) error {
	return s.cfg.Notices.TellChangeTx(ctx, tx, notices.Notice{
		Collective: d.Collective, Kind: notices.ReceiptDeclarationChanged, Key: d.ID.String() + " " + what, Subject: d.Name(),
	}, before, after)
}

// Withdraw ends a declaration that is active or waits. One that has ended stays as it is.
func (s *Service) Withdraw(ctx context.Context, collective string, id uuid.UUID) (result Declaration, err error) {
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		// Who decides a change locks the people, then the change, then the declaration.
		if err := access.LockPeopleTx(ctx, tx, collective); err != nil {
			return err
		}
		d, err := postgres.One(ctx, tx, scanDeclaration, getDeclarationSQL, pgx.NamedArgs{"collective": collective, "id": id})
		if d, err = foundDeclaration(d, err, collective, id); err != nil {
			return err
		}
		// Dropping the change ends a declaration that waits.
		if d.State == DeclarationPending {
			if err := s.cfg.Approvals.WithdrawTx(ctx, tx, []string{d.Name()}); err != nil {
				return err
			}
		}
		if result, err = lockDeclarationTx(ctx, tx, collective, id); err != nil {
			return err
		}
		if result.State == DeclarationActive {
			if err := s.setDeclarationStateTx(ctx, tx, id, DeclarationWithdrawn); err != nil {
				return err
			}
			if err := s.tellDeclarationTx(ctx, tx, result, "withdrawn", result.text(), ""); err != nil {
				return err
			}
			result.State, result.EndTime = DeclarationWithdrawn, s.now()
		}
		if result.State == d.State {
			return nil
		}
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: collective, Resource: d.Name(), Before: d.auditFields(), After: result.auditFields(),
		})
	})
	return result, err
}

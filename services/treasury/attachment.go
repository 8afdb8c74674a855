package treasury

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fingerprint"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const (
	// maxAttachments is how many files an expense may have. The contract says so too.
	maxAttachments = 20
	// maxAttachmentBytes is the largest file; the contract and the table have the same bound.
	maxAttachmentBytes = 8 << 20
	// attachmentPart is how much of a file is read from the database at once.
	attachmentPart = 256 << 10
)

// Attachment is a file of an expense. It is stored once and never changes: vouchers are kept for ten years (C. com.
// art. L123-22).
type Attachment struct {
	ID         uuid.UUID
	Collective string
	Expense    uuid.UUID
	// ContentType is what the content is, whatever its sender called it.
	ContentType string
	Size        int
	SHA256      [sha256.Size]byte
	CreatedBy   string
	CreateTime  time.Time
}

// Name returns the resource name.
func (a Attachment) Name() string { return attachmentName(a.Collective, a.Expense, a.ID) }

func attachmentName(collective string, expense, id uuid.UUID) string {
	return expenseName(collective, expense) + "/attachments/" + id.String()
}

// attachmentTypes are the kinds of files that are accepted, by how their contents begin. A dot stands for any byte.
var attachmentTypes = []struct{ contentType, begins, extension string }{
	{"application/pdf", "%PDF-", "pdf"},
	{"image/jpeg", "\xff\xd8\xff", "jpg"},
	{"image/png", "\x89PNG\r\n\x1a\n", "png"},
	{"image/webp", "RIFF....WEBP", "webp"},
}

// attachmentType tells what a file is by its first bytes; empty for what is not accepted.
func attachmentType(content []byte) string {
	for _, t := range attachmentTypes {
		if len(content) < len(t.begins) {
			continue
		}
		alike := true
		for i := range len(t.begins) {
			alike = alike && (t.begins[i] == '.' || content[i] == t.begins[i])
		}
		if alike {
			return t.contentType
		}
	}
	return ""
}

// FileName is the name under which the file is saved: made of its hash, since names that people give to files may be about
// persons.
func (a Attachment) FileName() string {
	for _, t := range attachmentTypes {
		if t.contentType == a.ContentType {
			return "document-" + hex.EncodeToString(a.SHA256[:6]) + "." + t.extension
		}
	}
	return "document"
}

// CreateAttachment stores a file of an expense. Sent twice, or under another request id with the same content, it is stored
// once. Errors: those of the proto's method.
func (s *Service) CreateAttachment(ctx context.Context, r Request, collective string, expense uuid.UUID, content []byte) (Attachment, error) {
	a := Attachment{
		ID: newID(), Collective: collective, Expense: expense, ContentType: attachmentType(content), Size: len(content),
		SHA256: sha256.Sum256(content), CreatedBy: r.By,
	}
	switch {
	case len(content) == 0 || len(content) > maxAttachmentBytes:
		return Attachment{}, errs.Invalid("expense_attachment.content", "must have 1 to %d bytes", maxAttachmentBytes)
	case a.ContentType == "":
		return Attachment{}, refused(errorsv1.ErrorReason_ATTACHMENT_TYPE, "expense_attachment.content", "must be a PDF, JPEG, PNG or WebP file")
	}
	fields := fingerprint.Fields{"expense": expense.String(), "content_sha256": hex.EncodeToString(a.SHA256[:])}
	if _, err := s.Once(ctx, r, collective, "create_expense_attachment", a.ID, fields, func(ctx context.Context, tx pgx.Tx, now time.Time) error {
		// The lock of the expense lets the count below hold.
		e, err := lockExpenseTx(ctx, tx, collective, expense)
		if err != nil {
			return err
		}
		for _, before := range e.Attachments {
			if before.SHA256 == a.SHA256 {
				return nil
			}
		}
		if len(e.Attachments) >= maxAttachments {
			return errs.New(errorsv1.ErrorReason_TOO_MANY_ATTACHMENTS, "%s has %d attachments, which is the most.", e.Name(), maxAttachments)
		}
		a.CreateTime = now
		if err := insertAttachmentTx(ctx, tx, a, content); err != nil {
			return err
		}
		return audit.WriteTx(ctx, tx, audit.Change{Collective: collective, Resource: a.Name(), After: audit.Fields{
			"content_type": a.ContentType, "size_bytes": strconv.Itoa(a.Size), "sha256": hex.EncodeToString(a.SHA256[:]),
		}})
	}); err != nil {
		return Attachment{}, err
	}
	// The same content may have been stored by an earlier request.
	e, err := s.Expense(ctx, collective, expense)
	if err != nil {
		return Attachment{}, err
	}
	for _, stored := range e.Attachments {
		if stored.SHA256 == a.SHA256 {
			return stored, nil
		}
	}
	return Attachment{}, errs.Internal(errors.New("treasury: an attachment was stored and is not there"))
}

const insertAttachmentSQL = `
INSERT INTO treasury.expense_attachments (
	id,
	collective,
	expense,
	content_type,
	size_bytes,
	sha256,
	content,
	created_by,
	created_at
)
VALUES (
	@id,
	@collective,
	@expense,
	@content_type,
	@size_bytes,
	@sha256,
	@content,
	@created_by,
	@now
)`

func insertAttachmentTx(ctx context.Context, tx pgx.Tx, a Attachment, content []byte) error {
	_, err := tx.Exec(ctx, insertAttachmentSQL, pgx.NamedArgs{
		"id": a.ID, "collective": a.Collective, "expense": a.Expense, "content_type": a.ContentType, "size_bytes": a.Size,
		"sha256": a.SHA256[:], "content": content, "created_by": a.CreatedBy, "now": a.CreateTime,
	})
	return postgres.Error(err)
}

// attachmentsSQL returns what is known of the files of some expenses, without their contents. The index
// expense_attachments_list_idx serves it and has the order within an expense, which has 20 at most.
const attachmentsSQL = `
SELECT
	a.id,
	a.collective,
	a.expense,
	a.content_type,
	a.size_bytes,
	a.sha256,
	a.created_by,
	a.created_at
FROM treasury.expense_attachments AS a
WHERE a.expense = ANY(@expenses::uuid[])
ORDER BY
	a.expense,
	a.created_at,
	a.id`

func scanAttachment(r pgx.CollectableRow) (a Attachment, err error) {
	var hash []byte
	err = r.Scan(&a.ID, &a.Collective, &a.Expense, &a.ContentType, &a.Size, &hash, &a.CreatedBy, &a.CreateTime)
	copy(a.SHA256[:], hash)
	a.CreateTime = a.CreateTime.UTC()
	return a, err
}

// addAttachments sets the attachments of expenses.
func addAttachments(ctx context.Context, db postgres.Querier, expenses []Expense) error {
	if len(expenses) == 0 {
		return nil
	}
	at := map[uuid.UUID]int{}
	var ids []uuid.UUID
	for i, e := range expenses {
		at[e.ID] = i
		ids = append(ids, e.ID)
	}
	found, err := postgres.All(ctx, db, scanAttachment, attachmentsSQL, pgx.NamedArgs{"expenses": ids})
	for _, a := range found {
		e := &expenses[at[a.Expense]]
		e.Attachments = append(e.Attachments, a)
	}
	return err
}

// Attachment returns one file of an expense, without its content; NOT_FOUND when there is none.
func (s *Service) Attachment(ctx context.Context, collective string, expense, id uuid.UUID) (Attachment, error) {
	e, err := s.Expense(ctx, collective, expense)
	if err != nil {
		return Attachment{}, err
	}
	for _, a := range e.Attachments {
		if a.ID == id {
			return a, nil
		}
	}
	return Attachment{}, errs.NotFound(attachmentName(collective, expense, id))
}

// Attachments returns up to count files of an expense, without their contents, the oldest first, after the given place;
// NOT_FOUND when there is no such expense.
func (s *Service) Attachments(ctx context.Context, collective string, expense uuid.UUID, after Position, count int) ([]Attachment, error) {
	e, err := s.Expense(ctx, collective, expense)
	if err != nil {
		return nil, err
	}
	var found []Attachment
	for _, a := range e.Attachments {
		later := a.CreateTime.After(after.Time) || a.CreateTime.Equal(after.Time) && bytes.Compare(a.ID[:], after.ID[:]) > 0
		if later && len(found) < count {
			found = append(found, a)
		}
	}
	return found, nil
}

// attachmentPartSQL returns some bytes of a content, which are counted from one. The column is not compressed (STORAGE
// EXTERNAL), so only the part is read.
const attachmentPartSQL = `
SELECT substring(a.content FROM @first::integer FOR @length::integer)
FROM treasury.expense_attachments AS a
WHERE a.id = @id
	AND a.collective = @collective`

// Content calls write with each part of an attachment's content, in order. It holds no connection while write runs, since
// whoever reads the file may be slow.
func (s *Service) Content(ctx context.Context, a Attachment, write func(part []byte) error) error {
	for offset := 0; offset < a.Size; offset += attachmentPart {
		part, err := postgres.One(ctx, s.cfg.Pool, pgx.RowTo[[]byte], attachmentPartSQL, pgx.NamedArgs{
			"id": a.ID, "collective": a.Collective, "first": offset + 1, "length": attachmentPart,
		})
		if err != nil {
			return postgres.Error(err)
		}
		if err := write(part); err != nil {
			return err
		}
	}
	return nil
}

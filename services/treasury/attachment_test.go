package treasury

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"testing"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
)

func TestFilesAreToldByTheirContent(t *testing.T) {
	for content, want := range map[string]string{
		"%PDF-1.7\n":                       "application/pdf",
		"\xff\xd8\xff\xe1..Exif":           "image/jpeg",
		"\x89PNG\r\n\x1a\n....":            "image/png",
		"RIFF\x10\x00\x00\x00WEBPVP8 ":     "image/webp",
		"RIFF\x10\x00\x00\x00WAVEfmt ":     "",
		"<html><script>":                   "",
		"<svg xmlns='...'>":                "",
		"PK\x03\x04":                       "",
		"%PD":                              "",
		"":                                 "",
		"\n%PDF-1.7, and a page before it": "",
	} {
		if got := attachmentType([]byte(content)); got != want {
			t.Errorf("%q is %q, want %q", content, got, want)
		}
	}
}

func TestAttachmentsAreKeptOnce(t *testing.T) {
	s, pool := open(t)
	e, err := s.CreateExpense(t.Context(), ask(), Expense{
		Collective: "vallon", Kind: ExpenseLawyer, Payee: "Martin", Document: "1", DocumentDate: someDay, Amount: eur(5_00),
	})
	if err != nil {
		t.Fatal(err)
	}
	// More than one part, and not a whole number of them.
	pdf := []byte("%PDF-1.7\n" + strings.Repeat("0123456789", 60_000))
	r := ask()
	var made [4]Attachment
	var wg sync.WaitGroup
	for i := range made {
		wg.Add(1)
		go func() {
			defer wg.Done()
			asked := r
			if i%2 == 1 {
				asked = ask()
			}
			if made[i], err = s.CreateAttachment(context.Background(), asked, "vallon", e.ID, pdf); err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	for _, a := range made {
		if a.ID != made[0].ID || a.SHA256 != sha256.Sum256(pdf) || a.Size != len(pdf) || a.ContentType != "application/pdf" {
			t.Errorf("%+v, want %+v", a, made[0])
		}
	}
	if e, err = s.Expense(t.Context(), "vallon", e.ID); err != nil || len(e.Attachments) != 1 {
		t.Errorf("the expense has %d attachments, err = %v", len(e.Attachments), err)
	}
	var content bytes.Buffer
	if err := s.Content(t.Context(), made[0], func(part []byte) error { content.Write(part); return nil }); err != nil || !bytes.Equal(content.Bytes(), pdf) {
		t.Errorf("%d bytes are read, err = %v", content.Len(), err)
	}
	// A content that could be compressed is not, so that a part can be read by itself.
	stored := 0
	if err := pool.QueryRow(t.Context(), `SELECT pg_column_size(content) FROM treasury.expense_attachments`).Scan(&stored); err != nil || stored < len(pdf) {
		t.Errorf("%d bytes are stored of %d, err = %v", stored, len(pdf), err)
	}
	if _, err := s.CreateAttachment(t.Context(), r, "vallon", e.ID, []byte("%PDF-another")); errs.As(err).Reason != errorsv1.ErrorReason_REQUEST_ID_REUSED {
		t.Errorf("the id for another file: %v", err)
	}
	for want, content := range map[errorsv1.ErrorReason][]byte{
		errorsv1.ErrorReason_ATTACHMENT_TYPE: []byte("<svg onload='alert(1)'>"),
		errorsv1.ErrorReason_INVALID_FIELD:   append([]byte("%PDF-"), make([]byte, maxAttachmentBytes)...),
	} {
		if _, err := s.CreateAttachment(t.Context(), ask(), "vallon", e.ID, content); errs.As(err).Reason != want {
			t.Errorf("err = %v, want %v", err, want)
		}
	}
	// An expense that was reversed keeps its files, and takes more.
	if _, err := s.ReverseExpense(t.Context(), ask(), "vallon", e.ID, "twice"); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < maxAttachments; i++ {
		if _, err := s.CreateAttachment(t.Context(), ask(), "vallon", e.ID, fmt.Appendf(nil, "%%PDF-%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.CreateAttachment(t.Context(), ask(), "vallon", e.ID, []byte("%PDF-more")); errs.As(err).Reason != errorsv1.ErrorReason_TOO_MANY_ATTACHMENTS {
		t.Errorf("one more: %v", err)
	}
	if _, err := s.CreateAttachment(t.Context(), ask(), "autre", e.ID, pdf); errs.As(err).Reason != errorsv1.ErrorReason_NOT_FOUND {
		t.Errorf("for another collective: %v", err)
	}
	if _, err := s.Attachment(t.Context(), "autre", e.ID, made[0].ID); errs.As(err).Reason != errorsv1.ErrorReason_NOT_FOUND {
		t.Errorf("of another collective: %v", err)
	}
	// The database refuses what is not its hash says, and the service can change nothing.
	if _, err := pgtest.Owner(t, pool).Exec(t.Context(), `UPDATE treasury.expense_attachments SET content = 'x'`); err == nil {
		t.Error("a content was changed")
	}
	if _, err := pool.Exec(t.Context(), `UPDATE treasury.expense_attachments SET content_type = 'image/png'`); err == nil || !strings.Contains(err.Error(), "42501") {
		t.Errorf("an attachment was changed by the service: %v", err)
	}
}

// TestTheBankIsComparedAfterAReversal: a payment that was entered and reversed is no longer what a line may show.
func TestTheBankIsComparedAfterAReversal(t *testing.T) {
	s, _ := open(t)
	compared := 0
	s.cfg.Banked = func(context.Context, string) error { compared++; return nil }
	e, err := s.CreateExpense(t.Context(), ask(), Expense{
		Collective: "vallon", Kind: ExpenseLawyer, Payee: "Martin", Document: "1", DocumentDate: someDay, Amount: eur(5_00), PaidOn: someDay,
	})
	if err != nil || compared != 1 {
		t.Fatalf("compared %d times, err = %v", compared, err)
	}
	if _, err := s.ReverseExpense(t.Context(), ask(), "vallon", e.ID, "twice"); err != nil || compared != 2 {
		t.Errorf("compared %d times, err = %v", compared, err)
	}
}

// TestAReadErrorIsNoWrongAccount: an error of the database is not blamed on the request.
func TestAReadErrorIsNoWrongAccount(t *testing.T) {
	s, pool := open(t)
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.expenseAccountTx(ctx, tx, Expense{Kind: ExpenseOther, Account: "606"}); err == nil || errs.As(err).Reason == errorsv1.ErrorReason_INVALID_FIELD {
		t.Errorf("err = %v", err)
	}
}

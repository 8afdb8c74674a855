package app_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// TestATreasurersMonthEnd previews a file whose format nobody tells, imports it, splits a line over two invoices by its
// suggestions, undoes that, and keeps the documents.
func TestATreasurersMonthEnd(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	for name, conn := range map[string]grpc.ClientConnInterface{"grpc": e.Conn, "rest": &apptest.RESTConn{URL: e.URL}} {
		t.Run(name, func(t *testing.T) { endOfMonth(t, newTreasury(t, e, "month-"+name), conn) })
	}
}

func endOfMonth(t *testing.T, y *treasury, conn grpc.ClientConnInterface) {
	books, bank := treasuryv1.NewTreasuryServiceClient(conn), bankv1.NewBankServiceClient(conn)
	ctx := y.ctx(t)
	var invoices []*treasuryv1.Expense
	for document, minor := range map[string]int64{"2026-071": 120_00, "F9-33": 30_00} {
		made, err := books.CreateExpense(ctx, y.invoice(document, minor))
		if err != nil {
			t.Fatal(err)
		}
		invoices = append(invoices, made)
	}
	request := &bankv1.ImportBankStatementRequest{
		Parent: y.collective, RequestId: uuid.NewString(), Account: "FR7630006000011234567890189", ValidateOnly: true,
		Format:  &bankv1.ImportBankStatementRequest_Detect{Detect: true},
		Content: []byte("Relevé\nDate;Libellé;Débit;Crédit\n" + y.line(2, "VIR FACT 2026-071 ET F9-33", "150,00;") + "\n"),
	}
	seen, err := bank.ImportBankStatement(ctx, request)
	if err != nil || seen.GetPreview().GetProblem() != nil || seen.GetPreview().GetFormat() != bankv1.BankFileFormat_BANK_FILE_FORMAT_CSV ||
		len(seen.GetBankStatements()) != 1 || seen.GetBankStatements()[0].GetNewLineCount() != 1 || seen.GetBankStatements()[0].GetName() != "" {
		t.Fatalf("%v, err = %v", seen, err)
	}
	if n, err := bank.CountOpenBankLines(ctx, &bankv1.CountOpenBankLinesRequest{Parent: y.collective}); err != nil || n.GetOpenLineCount() != 0 {
		t.Fatalf("after a look: %v, err = %v", n, err)
	}
	// The same id imports the file, in the form that was found out.
	request.ValidateOnly, request.Format = false, &bankv1.ImportBankStatementRequest_Csv{Csv: seen.GetPreview().GetCsv()}
	if done, err := bank.ImportBankStatement(ctx, request); err != nil || done.GetOpenLineCount() != 1 || done.GetPreview() != nil {
		t.Fatalf("%v, err = %v", done, err)
	}
	if n, err := bank.CountOpenBankLines(ctx, &bankv1.CountOpenBankLinesRequest{Parent: y.collective}); err != nil || n.GetOpenLineCount() != 1 {
		t.Errorf("%v, err = %v", n, err)
	}
	line := y.lines(t, conn)[-150_00]
	found, err := bank.SuggestBankLineMatches(ctx, &bankv1.SuggestBankLineMatchesRequest{Name: line.GetName()})
	if err != nil || len(found.GetSuggestions()) != 2 || found.GetSuggestions()[0].GetWholeLine() {
		t.Fatalf("%v, err = %v", found, err)
	}
	split := &bankv1.SplitBankLineRequest{Name: line.GetName(), RequestId: uuid.NewString()}
	for _, s := range found.GetSuggestions() {
		if s.GetReasons()[0] != bankv1.BankLineSuggestionReason_BANK_LINE_SUGGESTION_REASON_DOCUMENT {
			t.Errorf("the reasons are %v", s.GetReasons())
		}
		split.Parts = append(split.Parts, &bankv1.BankLinePart{Amount: s.GetAmount(), Target: s.GetTarget()})
	}
	state := func(want treasuryv1.ExpenseState) {
		t.Helper()
		for _, invoice := range invoices {
			got, err := books.GetExpense(ctx, &treasuryv1.GetExpenseRequest{Name: invoice.GetName()})
			if err != nil || got.GetState() != want {
				t.Errorf("%s is %v, want %v, err = %v", invoice.GetDocument(), got.GetState(), want, err)
			}
		}
	}
	whole, err := bank.SplitBankLine(ctx, split)
	if err != nil || whole.GetState() != bankv1.BankLineState_BANK_LINE_STATE_SPLIT || len(whole.GetParts()) != 2 {
		t.Fatalf("%v, err = %v", whole, err)
	}
	state(treasuryv1.ExpenseState_EXPENSE_STATE_PAID)
	back, err := bank.UnmatchBankLine(ctx, &bankv1.UnmatchBankLineRequest{Name: line.GetName(), RequestId: uuid.NewString(), Reason: "Wrong"})
	if err != nil || back.GetState() != lineUnmatched && back.GetState() != lineSuggested {
		t.Fatalf("%v, err = %v", back, err)
	}
	state(treasuryv1.ExpenseState_EXPENSE_STATE_OWED)

	pdf := append([]byte("%PDF-1.7\n"), bytes.Repeat([]byte("facture "), 80_000)...)
	hash := sha256.Sum256(pdf)
	attached, err := books.CreateExpenseAttachment(ctx, &treasuryv1.CreateExpenseAttachmentRequest{
		Parent: invoices[0].GetName(), RequestId: uuid.NewString(), ExpenseAttachment: &treasuryv1.ExpenseAttachment{Content: pdf},
	})
	if err != nil || attached.GetContentType() != "application/pdf" || attached.GetSha256() != hex.EncodeToString(hash[:]) || len(attached.GetContent()) != 0 {
		t.Fatalf("%v, err = %v", attached, err)
	}
	list, err := books.ListExpenseAttachments(ctx, &treasuryv1.ListExpenseAttachmentsRequest{Parent: invoices[0].GetName()})
	if err != nil || len(list.GetExpenseAttachments()) != 1 || list.GetExpenseAttachments()[0].GetName() != attached.GetName() {
		t.Errorf("%v, err = %v", list, err)
	}
	if got, err := books.GetExpenseAttachment(ctx, &treasuryv1.GetExpenseAttachmentRequest{Name: attached.GetName()}); err != nil || got.GetSizeBytes() != int32(len(pdf)) {
		t.Errorf("%v, err = %v", got, err)
	}
	downloaded(t, y, attached.GetName(), pdf)

	// Another collective's treasurer finds nothing of it.
	other := newTreasury(t, y.e, "other-"+strings.TrimPrefix(y.collective, "collectives/"))
	for what, call := range map[string]func() error{
		"the attachment": func() error {
			_, err := books.GetExpenseAttachment(other.ctx(t), &treasuryv1.GetExpenseAttachmentRequest{Name: attached.GetName()})
			return err
		},
		"another file": func() error {
			_, err := books.CreateExpenseAttachment(other.ctx(t), &treasuryv1.CreateExpenseAttachmentRequest{
				Parent: invoices[0].GetName(), RequestId: uuid.NewString(), ExpenseAttachment: &treasuryv1.ExpenseAttachment{Content: pdf},
			})
			return err
		},
		"the suggestions": func() error {
			_, err := bank.SuggestBankLineMatches(other.ctx(t), &bankv1.SuggestBankLineMatchesRequest{Name: line.GetName()})
			return err
		},
		"the split": func() error { _, err := bank.SplitBankLine(other.ctx(t), split); return err },
	} {
		if err := call(); status.Code(err) != codes.NotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// downloaded asks for an attachment over gRPC and REST, and without the right.
func downloaded(t *testing.T, y *treasury, name string, want []byte) {
	t.Helper()
	stream, err := treasuryv1.NewTreasuryServiceClient(y.e.Conn).DownloadExpenseAttachment(apptest.WithKey(t.Context(), y.reader),
		&treasuryv1.DownloadExpenseAttachmentRequest{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	for {
		part, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, part.GetData()...)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes over gRPC, want %d", len(got), len(want))
	}
	for key, code := range map[string]int{y.reader: http.StatusOK, "": http.StatusUnauthorized} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, y.e.URL+"/v1/"+name+":download", nil)
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != code {
			t.Errorf("REST: %d, want %d, err = %v", answer.StatusCode, code, err)
		}
		if code != http.StatusOK {
			continue
		}
		for header, part := range map[string]string{
			"Content-Type": "application/pdf", "Content-Disposition": "attachment; filename=\"document-", "Content-Security-Policy": "sandbox",
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		} {
			if !strings.Contains(answer.Header.Get(header), part) {
				t.Errorf("%s: %q", header, answer.Header.Get(header))
			}
		}
		if !bytes.Equal(body, want) {
			t.Errorf("%d bytes over REST, want %d", len(body), len(want))
		}
	}
}

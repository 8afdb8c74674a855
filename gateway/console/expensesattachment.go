package console

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"

	"github.com/cagnotte/cagnotte/gateway/download"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
)

// maxAttachmentForm holds a file of 8 MiB, and what is around it.
const maxAttachmentForm = 9 << 20

// attachmentKinds are the files that a form takes. Phones turn their own kinds of photographs into these.
const attachmentKinds = "image/jpeg,image/png,image/webp,application/pdf"

// attachFiles attaches the files of a form to an expense, and returns how many they were. Sent again, it attaches nothing
// twice: each file has an id that is made of the form's.
func attachFiles(v *visit, f *form, expense string) (attached int, err error) {
	for _, name := range []string{"photo", "file"} {
		u, ok := f.file(name)
		if !ok {
			continue
		}
		id := uuid.NewSHA1(uuid.MustParse(f.RequestID), []byte(name)).String()
		if _, err := v.treasury().CreateExpenseAttachment(v.ctx(), &treasuryv1.CreateExpenseAttachmentRequest{
			Parent: expense, RequestId: id, ExpenseAttachment: &treasuryv1.ExpenseAttachment{Content: u.Body},
		}); err != nil {
			return attached, err
		}
		attached++
	}
	return attached, nil
}

type expensesFile struct{ Path, Kind, Size, Added, Hash string }

var attachFields = []field{
	{Name: "photo", Label: "expenses.photo", Hint: "expenses.photoHint", Kind: "file"},
	{Name: "file", Label: "expenses.file", Hint: "expenses.fileHint", Kind: "file", Accept: attachmentKinds, Path: "expense_attachment"},
}

func expensesAttach(v *visit) error {
	e, err := expenseOf(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(attachFields)
	if err != nil {
		return err
	}
	switch attached, err := attachFiles(v, f, e.GetName()); {
	case err != nil:
		if !f.refused(v, err) {
			return err
		}
		// What may be attached is said in the member's language, whatever the service says of the bytes.
		if reasonOf(err) == "ATTACHMENT_TYPE" || reasonOf(err) == "INVALID_FIELD" {
			f.errors = map[string]string{"file": v.T("expenses.wrongFile")}
		}
	case attached == 0:
		f.fail("file", v.T("expenses.noFileChosen"))
	default:
		return v.done("expenses.attached", v.path("/expenses/")+lastOf(e.GetName()))
	}
	if e, err = expenseOf(v); err != nil {
		return err
	}
	return showExpense(v, e, f)
}

// expensesDownload answers a file to save. A browser that opens it all the same lets it run and load nothing.
func expensesDownload(v *visit) error {
	name := v.collective + "/expenses/" + v.r.PathValue("expense") + "/attachments/" + v.r.PathValue("attachment")
	v.w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	return download.Stream(v.w, v.r, func(ctx context.Context) (grpc.ServerStreamingClient[httpbody.HttpBody], error) {
		return v.treasury().DownloadExpenseAttachment(ctx, &treasuryv1.DownloadExpenseAttachmentRequest{Name: name})
	}, v.Logger)
}

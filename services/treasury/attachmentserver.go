package treasury

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

// ofExpense reads `collectives/{collective}/expenses/{expense}/attachments/{attachment}`.
func ofExpense(name string) (collective string, expense, id uuid.UUID, err error) {
	parent, last, ok := strings.Cut(name, "/attachments/")
	if !ok {
		return "", uuid.Nil, uuid.Nil, errs.NotFound(name)
	}
	if collective, expense, err = ParseExpenseName(parent); err != nil {
		return "", uuid.Nil, uuid.Nil, errs.NotFound(name)
	}
	if id, err = uuid.Parse(last); err != nil {
		return "", uuid.Nil, uuid.Nil, errs.NotFound(name)
	}
	return collective, expense, id, nil
}

func (s *server) CreateExpenseAttachment(ctx context.Context, req *treasuryv1.CreateExpenseAttachmentRequest) (*treasuryv1.ExpenseAttachment, error) {
	collective, expense, err := ParseExpenseName(req.GetParent())
	if err != nil {
		return nil, err
	}
	r, err := NewRequest(ctx, req.GetRequestId())
	if err != nil {
		return nil, err
	}
	return attachmentAnswer(s.service.CreateAttachment(ctx, r, collective, expense, req.GetExpenseAttachment().GetContent()))
}

var attachmentAnswer = answer(attachmentToProto)

func (s *server) GetExpenseAttachment(ctx context.Context, req *treasuryv1.GetExpenseAttachmentRequest) (*treasuryv1.ExpenseAttachment, error) {
	collective, expense, id, err := ofExpense(req.GetName())
	if err != nil {
		return nil, err
	}
	return attachmentAnswer(s.service.Attachment(ctx, collective, expense, id))
}

func (s *server) ListExpenseAttachments(ctx context.Context, req *treasuryv1.ListExpenseAttachmentsRequest) (*treasuryv1.ListExpenseAttachmentsResponse, error) {
	collective, expense, err := ParseExpenseName(req.GetParent())
	if err != nil {
		return nil, err
	}
	found, next, err := page.List(req, "attachments of "+req.GetParent(), Position{}, func(after Position, limit int) ([]Attachment, error) {
		return s.service.Attachments(ctx, collective, expense, after, limit)
	}, func(a Attachment) Position { return Position{a.CreateTime, a.ID} })
	return &treasuryv1.ListExpenseAttachmentsResponse{ExpenseAttachments: each(found, attachmentToProto), NextPageToken: next}, err
}

// DownloadExpenseAttachment tells the name of the file in the header metadata content-disposition, which the gateway passes
// on.
func (s *server) DownloadExpenseAttachment(
	req *treasuryv1.DownloadExpenseAttachmentRequest, stream grpc.ServerStreamingServer[httpbody.HttpBody],
) error {
	collective, expense, id, err := ofExpense(req.GetName())
	if err != nil {
		return err
	}
	a, err := s.service.Attachment(stream.Context(), collective, expense, id)
	if err != nil {
		return err
	}
	if err := stream.SetHeader(metadata.Pairs("content-disposition", fmt.Sprintf("attachment; filename=%q", a.FileName()))); err != nil {
		return err
	}
	return s.service.Content(stream.Context(), a, func(part []byte) error {
		return stream.Send(&httpbody.HttpBody{ContentType: a.ContentType, Data: part})
	})
}

func attachmentToProto(a Attachment) *treasuryv1.ExpenseAttachment {
	return &treasuryv1.ExpenseAttachment{
		Name: a.Name(), ContentType: a.ContentType, SizeBytes: int32(a.Size), Sha256: hex.EncodeToString(a.SHA256[:]),
		Creator: a.CreatedBy, CreateTime: wire.Time(a.CreateTime),
	}
}

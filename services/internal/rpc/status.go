package rpc

import (
	"context"
	"errors"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// classify returns the error with its reason. An error without one is of the database, or of the end of the context, or
// INTERNAL.
func classify(ctx context.Context, err error) *errs.Error {
	var classified *errs.Error
	if errors.As(err, &classified) {
		return classified
	}
	switch ctx.Err() {
	case context.Canceled:
		return because(err, errorsv1.ErrorReason_CANCELED, "The caller ended the call.")
	case context.DeadlineExceeded:
		return because(err, errorsv1.ErrorReason_DEADLINE_EXCEEDED, "The call took too long.")
	}
	// The handlers of grpc itself (health, reflection) return statuses. A status that is wrapped comes from another
	// service, and its text is not for the caller.
	if s, ok := err.(interface{ GRPCStatus() *status.Status }); ok {
		if reason, ok := grpcReasons[s.GRPCStatus().Code()]; ok {
			return because(err, reason, s.GRPCStatus().Message())
		}
	}
	return errs.As(postgres.Error(err))
}

// grpcReasons are the reasons of the statuses that grpc's own handlers return.
var grpcReasons = map[codes.Code]errs.Reason{
	codes.Canceled:          errorsv1.ErrorReason_CANCELED,
	codes.DeadlineExceeded:  errorsv1.ErrorReason_DEADLINE_EXCEEDED,
	codes.InvalidArgument:   errorsv1.ErrorReason_UNREADABLE,
	codes.NotFound:          errorsv1.ErrorReason_NOT_FOUND,
	codes.ResourceExhausted: errorsv1.ErrorReason_TOO_BUSY,
	codes.Unavailable:       errorsv1.ErrorReason_TOO_BUSY,
	codes.Unimplemented:     errorsv1.ErrorReason_UNKNOWN_METHOD,
}

func because(cause error, reason errs.Reason, message string) *errs.Error {
	e := errs.New(reason, "%s", message)
	e.Cause = cause
	return e
}

// toStatus makes the answer to a call from the error's own reason, message and fields, and not from the text of its
// chain, which status.FromError would send. The text for people is in the caller's language.
func toStatus(e *errs.Error, c Caller) *status.Status {
	text, language := e.Reason.Text(c.AcceptLanguage)
	details := []protoadapt.MessageV1{
		&errdetails.ErrorInfo{Reason: e.Reason.String(), Domain: errorsv1.Domain, Metadata: e.Metadata},
		&errdetails.LocalizedMessage{Locale: language, Message: text},
		&errdetails.RequestInfo{RequestId: c.RequestID},
	}
	if len(e.Fields) > 0 {
		bad := &errdetails.BadRequest{}
		for _, f := range e.Fields {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
				Field:       f.Field,
				Description: f.Description,
			})
		}
		details = append(details, bad)
	}
	if e.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)})
	}
	s := status.New(e.Code, e.Message)
	if detailed, err := s.WithDetails(details...); err == nil {
		return detailed
	}
	return s
}

package rpc

import (
	"context"
	"errors"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// errorDomain says whose reasons they are, as google.rpc.ErrorInfo asks.
const errorDomain = "cagnotte"

// classify gives every error its code and reason. What a service left
// unclassified is the database's word, or nobody's: INTERNAL.
func classify(ctx context.Context, err error) *errs.Error {
	var classified *errs.Error
	if errors.As(err, &classified) {
		return classified
	}
	switch ctx.Err() {
	case context.Canceled:
		e := errs.New(errorsv1.ErrorReason_CANCELED, "The caller went away.")
		e.Cause = err
		return e
	case context.DeadlineExceeded:
		e := errs.New(errorsv1.ErrorReason_DEADLINE_EXCEEDED, "It took too long.")
		e.Cause = err
		return e
	}
	// The handlers of grpc itself (health, reflection) speak in statuses. Only a bare
	// one counts: a wrapped status is somebody else's, and its text is not for the caller.
	if s, ok := err.(interface{ GRPCStatus() *status.Status }); ok {
		return &errs.Error{Code: s.GRPCStatus().Code(), Reason: errorsv1.ErrorReason_RPC, Message: s.GRPCStatus().Message()}
	}
	return errs.As(postgres.Error(err))
}

// toStatus builds the answer from the classified error alone. status.FromError
// would send the whole text of the chain.
func toStatus(e *errs.Error, requestID string) *status.Status {
	details := []protoadapt.MessageV1{
		&errdetails.ErrorInfo{Reason: e.Reason.String(), Domain: errorDomain},
		&errdetails.RequestInfo{RequestId: requestID},
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

// Package errs holds the one error type of the services.
//
// An [Error] is made where a fact is known, travels up wrapped with %w, and is
// ended by the interceptor in services/internal/rpc, which sends its code,
// reason, message and fields, and never the cause. Whoever returns an error
// does not log it.
package errs

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
)

// Reason is what went wrong, as the contract lists it.
type Reason = errorsv1.ErrorReason

// Error is a classified failure. Everything but Cause may reach the caller, so
// nothing internal and nobody's identity belongs in Message or Fields.
type Error struct {
	// Code is the gRPC code; the gateway derives the HTTP status from it.
	Code codes.Code
	// Reason is what went wrong, for programs.
	Reason Reason
	// Message is one English sentence for a developer.
	Message string
	// Fields name what is wrong in the request, by proto field path.
	Fields []Field
	// RetryAfter tells when trying again makes sense; zero when it does not.
	RetryAfter time.Duration
	// Cause is for the log only.
	Cause error
}

// Field is one violation of a request.
type Field struct {
	// Field is the path in the request message, such as "campaign.goal.amount_minor".
	Field string
	// Description says what would be right.
	Description string
}

// Error returns the message with its reason and cause, for logs.
func (e *Error) Error() string {
	s := e.Reason.String() + ": " + e.Message
	for _, f := range e.Fields {
		s += fmt.Sprintf(" [%s: %s]", f.Field, f.Description)
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether target is an *Error with the same reason, so that a
// package can export a reason as a value to compare with.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Reason == e.Reason
}

// New returns an error with a reason, the code that the contract gives it, and a message made by fmt.Sprintf.
func New(reason Reason, format string, args ...any) *Error {
	return &Error{Code: CodeOf(reason), Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// CodeOf returns the code of a reason, as the contract says it.
func CodeOf(reason Reason) codes.Code {
	value := reason.Descriptor().Values().ByNumber(reason.Number())
	if value == nil {
		return codes.Unknown
	}
	return codes.Code(proto.GetExtension(value.Options(), errorsv1.E_Code).(code.Code))
}

// Invalid returns INVALID_ARGUMENT about one field of the request.
func Invalid(field, format string, args ...any) *Error {
	e := New(errorsv1.ErrorReason_INVALID_FIELD, "A field of the request is invalid.")
	e.Fields = []Field{{Field: field, Description: fmt.Sprintf(format, args...)}}
	return e
}

// NotFound returns the one answer for what is missing and for what the caller
// may not see: both must look alike.
func NotFound(name string) *Error {
	return New(errorsv1.ErrorReason_NOT_FOUND, "%s does not exist, or the caller may not do this with it.", name)
}

// Unavailable returns a retryable error with a hint when to try again. The reason's code is UNAVAILABLE.
func Unavailable(reason Reason, after time.Duration, cause error, format string, args ...any) *Error {
	e := New(reason, format, args...)
	e.RetryAfter, e.Cause = after, cause
	return e
}

// Internal hides a cause that no caller can do anything about.
func Internal(cause error) *Error {
	e := New(errorsv1.ErrorReason_INTERNAL, "Something went wrong on our side.")
	e.Cause = cause
	return e
}

// As returns the classified error in err's chain, or Internal around it; nil for nil.
func As(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Internal(err)
}

// Code returns the code of err: OK for nil, INTERNAL for an unclassified one.
func Code(err error) codes.Code {
	if err == nil {
		return codes.OK
	}
	return As(err).Code
}

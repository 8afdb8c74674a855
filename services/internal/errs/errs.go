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

	"google.golang.org/grpc/codes"
)

// Error is a classified failure. Everything but Cause may reach the caller, so
// nothing internal and nobody's identity belongs in Message or Fields.
type Error struct {
	// Code is the gRPC code; the gateway derives the HTTP status from it.
	Code codes.Code
	// Reason is a stable UPPER_SNAKE_CASE word for machines, unique in its meaning.
	Reason string
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
	s := e.Reason + ": " + e.Message
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

// New returns an error of the code with a reason and a message made by fmt.Sprintf.
func New(code codes.Code, reason, format string, args ...any) *Error {
	return &Error{Code: code, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Invalid returns INVALID_ARGUMENT about one field of the request.
func Invalid(field, format string, args ...any) *Error {
	return &Error{
		Code:    codes.InvalidArgument,
		Reason:  "INVALID_FIELD",
		Message: "A field of the request is invalid.",
		Fields:  []Field{{Field: field, Description: fmt.Sprintf(format, args...)}},
	}
}

// NotFound returns the one answer for what is missing and for what the caller
// may not see: both must look alike.
func NotFound(name string) *Error {
	return New(codes.NotFound, "NOT_FOUND", "%s does not exist, or the caller may not do this with it.", name)
}

// Precondition returns FAILED_PRECONDITION: the resource is in the wrong state.
func Precondition(reason, format string, args ...any) *Error {
	return New(codes.FailedPrecondition, reason, format, args...)
}

// Exists returns ALREADY_EXISTS: the id is taken by something else.
func Exists(reason, format string, args ...any) *Error {
	return New(codes.AlreadyExists, reason, format, args...)
}

// Unavailable returns a retryable UNAVAILABLE with a hint when to try again.
func Unavailable(reason string, after time.Duration, cause error, format string, args ...any) *Error {
	e := New(codes.Unavailable, reason, format, args...)
	e.RetryAfter, e.Cause = after, cause
	return e
}

// Internal hides a cause that no caller can do anything about.
func Internal(cause error) *Error {
	return &Error{Code: codes.Internal, Reason: "INTERNAL", Message: "Something went wrong on our side.", Cause: cause}
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

// Package errs has the one error type of the services.
//
// An [Error] is made where the failure is known, with a reason of the contract (proto/cagnotte/errors/v1), which gives it
// its code. Callers return it as it is, or wrap it with %w. They do not log it. The interceptor in services/internal/rpc
// logs it and answers with its code, reason, message and fields, and with a text in the caller's language. The cause is
// only logged.
package errs

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
)

// Reason is what went wrong, as the contract lists it.
type Reason = errorsv1.ErrorReason

// Error is a failure with a reason. Callers get all of it except Cause, so Message and Fields contain no internal detail
// and no donor's identity.
type Error struct {
	// Code is the gRPC code of the reason. The gateway answers the HTTP status of it.
	Code codes.Code
	// Reason is what went wrong, for programs.
	Reason Reason
	// Message is one English sentence for a developer.
	Message string
	// Fields name what is wrong in the request, by proto field path.
	Fields []Field
	// Metadata stands beside the reason, for programs; nil for none. Callers get it, so it is as free of identities as Message.
	Metadata map[string]string
	// RetryAfter is how long to wait before sending the same request again; zero where that does not help.
	RetryAfter time.Duration
	// Cause is the error underneath, for the log; nil for none.
	Cause error
}

// Field is one violation of a request.
type Field struct {
	// Field is the path in the request message, such as "campaign.goal.amount_minor".
	Field string
	// Description says what is valid: "must be at least 1".
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

// Is reports whether target is an *Error with the same reason, for errors.Is.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Reason == e.Reason
}

// New returns an error with a reason, the code that the contract gives it, and a message made by fmt.Sprintf.
func New(reason Reason, format string, args ...any) *Error {
	return &Error{Code: reason.Code(), Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Invalid returns INVALID_ARGUMENT about one field of the request.
func Invalid(field, format string, args ...any) *Error {
	e := New(errorsv1.ErrorReason_INVALID_FIELD, "A field of the request is invalid.")
	e.Fields = []Field{{Field: field, Description: fmt.Sprintf(format, args...)}}
	return e
}

// NotFound returns NOT_FOUND about the resource of this name. It is the answer for a resource that does not exist and for
// one that the caller has no right to: a caller cannot tell the two apart.
func NotFound(name string) *Error {
	return New(errorsv1.ErrorReason_NOT_FOUND, "%s does not exist, or the caller may not do this with it.", name)
}

// Unavailable returns an error that goes away: the caller is told to send the same request again after a while. The
// reason's code is UNAVAILABLE.
func Unavailable(reason Reason, after time.Duration, cause error, format string, args ...any) *Error {
	e := New(reason, format, args...)
	e.RetryAfter, e.Cause = after, cause
	return e
}

// Internal returns INTERNAL around a failure that the caller can do nothing about.
func Internal(cause error) *Error {
	e := New(errorsv1.ErrorReason_INTERNAL, "Something went wrong on our side.")
	e.Cause = cause
	return e
}

// As returns the first *Error in err's chain, or Internal around err when there is none; nil for nil.
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

// Code returns the code of err: OK for nil, INTERNAL when there is no *Error in its chain.
func Code(err error) codes.Code {
	if err == nil {
		return codes.OK
	}
	return As(err).Code
}

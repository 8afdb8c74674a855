package gateway

import (
	"context"
	"errors"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
)

// httpError is an error with another HTTP status than its reason has.
type httpError struct {
	status int
	err    error
}

func (e *httpError) Error() string { return e.err.Error() }
func (e *httpError) Unwrap() error { return e.err }

// failure returns an error that the gateway itself found.
func failure(reason errorsv1.ErrorReason, message string) error {
	return status.FromProto(statusOf(reason, message)).Err()
}

// statusOf returns a status with a reason and its code.
func statusOf(reason errorsv1.ErrorReason, message string) *spb.Status {
	st := &spb.Status{Code: int32(reason.Code()), Message: message}
	attach(st, &errdetails.ErrorInfo{Reason: reason.String(), Domain: errorsv1.Domain})
	return st
}

// retryable adds when to try again, unless the error says it. The HTTP status stays.
func retryable(err error, after time.Duration) error {
	st := publicStatus(err)
	if detail[*errdetails.RetryInfo](st) == nil {
		attach(st, &errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
	}
	return &httpError{status: httpStatus(err), err: status.FromProto(st).Err()}
}

// httpStatus returns the error's own HTTP status, or that of its reason, or that of its code.
// grpc-gateway's table of codes is the last resort, for errors of libraries.
func httpStatus(err error) int {
	var known *httpError
	if errors.As(err, &known) {
		return known.status
	}
	st := publicStatus(err)
	if reason := errorsv1.ReasonOf(detail[*errdetails.ErrorInfo](st).GetReason()); reason != 0 {
		return reason.HTTPStatus()
	}
	return runtime.HTTPStatusFromCode(codes.Code(st.GetCode()))
}

var (
	errNotFound     = failure(errorsv1.ErrorReason_NO_SUCH_ADDRESS, "There is nothing at this address.")
	errMethod       = failure(errorsv1.ErrorReason_METHOD_NOT_ALLOWED, "This address does not take this method.")
	errBodyTooLarge = failure(errorsv1.ErrorReason_BODY_TOO_LARGE, "The request's body is too large.")
	errBusy         = retryable(failure(errorsv1.ErrorReason_TOO_BUSY, "Too many requests are under way; the same one can be sent again."), 2*time.Second)
	errBodyCut      = failure(errorsv1.ErrorReason_BODY_UNREADABLE, "The request's body broke off.")
)

// writeError answers an error as a google.rpc.Status in JSON, the same form for all: with the reason, a text in the
// caller's language, the fields, when to try again, and the request id.
func writeError(ctx context.Context, w http.ResponseWriter, err error) {
	st := publicStatus(err)
	// What a service said itself is not replaced.
	if id := requestIDFrom(ctx); id != "" && detail[*errdetails.RequestInfo](st) == nil {
		attach(st, &errdetails.RequestInfo{RequestId: id})
	}
	if info := detail[*errdetails.ErrorInfo](st); detail[*errdetails.LocalizedMessage](st) == nil {
		if text, language := errorsv1.ReasonOf(info.GetReason()).Text(outgoing(ctx, languageKey)); text != "" {
			attach(st, &errdetails.LocalizedMessage{Locale: language, Message: text})
		}
	}
	body, merr := protojson.MarshalOptions{UseProtoNames: true}.Marshal(st)
	if merr != nil {
		// Every detail was packed by publicStatus from a linked type, so only a
		// message that is not UTF-8 comes here.
		body = []byte(`{"code":13,"message":"The answer cannot be written.","details":[]}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	// Retry-After is in whole seconds (RFC 9110, 10.2.3). It is rounded up, so that nobody comes too early.
	if retry := detail[*errdetails.RetryInfo](st); retry != nil {
		seconds := max(1, math.Ceil(retry.GetRetryDelay().AsDuration().Seconds()))
		h.Set("Retry-After", strconv.FormatFloat(seconds, 'f', 0, 64))
	}
	code := httpStatus(err)
	// Such an answer must name how to authenticate (RFC 9110, 15.5.2).
	if code == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

// publicStatus returns the part of an error that is for the caller. A status with a reason comes from our services, and
// passes with the details that are listed here. One without comes from a library: the caller gets a reason and a text of
// ours, and the library's text only where it is about the caller's own input.
func publicStatus(err error) *spb.Status {
	var known *httpError
	if errors.As(err, &known) {
		err = known.err // status.Convert would put a wrapper's text into the message
	}
	in := status.Convert(err).Proto()
	out := &spb.Status{Code: in.GetCode(), Message: in.GetMessage()}
	for _, packed := range in.GetDetails() {
		// A detail of an unknown type is left out, as is every type that is not in the list.
		message, uerr := packed.UnmarshalNew()
		if uerr != nil {
			continue
		}
		switch message.(type) {
		case *errdetails.ErrorInfo, *errdetails.LocalizedMessage, *errdetails.BadRequest, *errdetails.RetryInfo, *errdetails.RequestInfo:
			out.Details = append(out.Details, packed)
		}
	}
	if detail[*errdetails.ErrorInfo](out) != nil {
		return out
	}
	// A library's own text may name sockets and files.
	switch codes.Code(in.GetCode()) {
	// This text is about what the caller sent, so it is passed on.
	case codes.InvalidArgument:
		return unreadable(in.GetMessage())
	case codes.Unavailable:
		return statusOf(errorsv1.ErrorReason_SERVICE_UNAVAILABLE, "The service cannot be reached at the moment.")
	case codes.DeadlineExceeded:
		return statusOf(errorsv1.ErrorReason_DEADLINE_EXCEEDED, "The service took too long to answer.")
	case codes.Canceled:
		return statusOf(errorsv1.ErrorReason_CANCELED, "The caller ended the call.")
	case codes.Unimplemented:
		return statusOf(errorsv1.ErrorReason_UNKNOWN_METHOD, "The service does not know this method.")
	case codes.ResourceExhausted:
		return statusOf(errorsv1.ErrorReason_MESSAGE_TOO_LARGE, "The message is too large.")
	default:
		return statusOf(errorsv1.ErrorReason_INTERNAL, "Something went wrong on our side.")
	}
}

var (
	unknownField = regexp.MustCompile(`unknown field "([^"]{1,100})"`)
	// protojson puts a no-break space after "proto:" in some builds, on purpose.
	protoPrefix = regexp.MustCompile(`^proto:[\s\x{00a0}]*`)
)

// unreadable makes a field violation of the text in which grpc-gateway says why a body, path or query does not fit the
// message.
func unreadable(text string) *spb.Status {
	violation := &errdetails.BadRequest_FieldViolation{Description: protoPrefix.ReplaceAllString(text, "")}
	if m := unknownField.FindStringSubmatch(text); m != nil {
		violation.Field, violation.Description = m[1], "There is no such field."
	}
	st := statusOf(errorsv1.ErrorReason_INVALID_REQUEST, "The request cannot be read.")
	attach(st, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{violation}})
	return st
}

// attach packs a detail into the status.
func attach(st *spb.Status, message proto.Message) {
	packed, err := anypb.New(message)
	if err != nil {
		return // only a string that is not UTF-8 cannot be packed, and then it is better left out
	}
	st.Details = append(st.Details, packed)
}

// detail returns the status's first detail of type T, or T's zero value.
func detail[T proto.Message](st *spb.Status) T {
	var none T
	for _, packed := range st.GetDetails() {
		if message, err := packed.UnmarshalNew(); err == nil {
			if found, ok := message.(T); ok {
				return found
			}
		}
	}
	return none
}

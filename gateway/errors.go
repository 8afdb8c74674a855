package gateway

import (
	"context"
	"errors"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
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
)

// errorDomain is the ErrorInfo domain of reasons that the gateway itself gives.
const errorDomain = "cagnotte"

// httpError is an error with a status that no gRPC code maps to, such as 405 or 413.
type httpError struct {
	status int
	err    error
}

func (e *httpError) Error() string { return e.err.Error() }
func (e *httpError) Unwrap() error { return e.err }

// failure returns an error that the gateway itself found.
func failure(answer int, code codes.Code, reason, message string) error {
	st := &spb.Status{Code: int32(code), Message: message}
	attach(st, &errdetails.ErrorInfo{Reason: reason, Domain: errorDomain})
	return &httpError{status: answer, err: status.FromProto(st).Err()}
}

// retryable adds a hint when to try again, unless the error has one. A failure keeps its HTTP status.
func retryable(err error, after time.Duration) error {
	st := publicStatus(err)
	if detail[*errdetails.RetryInfo](st) == nil {
		attach(st, &errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
	}
	return &httpError{status: httpStatus(err), err: status.FromProto(st).Err()}
}

// httpStatus returns the error's own HTTP status, or the one that its code maps to.
func httpStatus(err error) int {
	var known *httpError
	if errors.As(err, &known) {
		return known.status
	}
	return runtime.HTTPStatusFromCode(codes.Code(publicStatus(err).GetCode()))
}

var (
	errNotFound     = failure(http.StatusNotFound, codes.NotFound, "NO_SUCH_ADDRESS", "There is nothing at this address.")
	errMethod       = failure(http.StatusMethodNotAllowed, codes.Unimplemented, "METHOD_NOT_ALLOWED", "This address does not take this method.")
	errBodyTooLarge = failure(http.StatusRequestEntityTooLarge, codes.InvalidArgument, "BODY_TOO_LARGE", "The request's body is too large.")
	errBusy         = retryable(failure(http.StatusServiceUnavailable, codes.Unavailable, "TOO_BUSY", "Too many requests are under way; the same one can be sent again."), 2*time.Second)
	errBodyCut      = failure(http.StatusBadRequest, codes.InvalidArgument, "BODY_UNREADABLE", "The request's body broke off.")
)

// writeError ends a request with the one form of every error: a
// google.rpc.Status as JSON, with reason, fields, retry hint and request id.
func writeError(ctx context.Context, w http.ResponseWriter, err error) {
	st := publicStatus(err)
	if id := requestIDFrom(ctx); id != "" && detail[*errdetails.RequestInfo](st) == nil {
		attach(st, &errdetails.RequestInfo{RequestId: id})
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
	if retry := detail[*errdetails.RetryInfo](st); retry != nil {
		seconds := max(1, math.Ceil(retry.GetRetryDelay().AsDuration().Seconds()))
		h.Set("Retry-After", strconv.FormatFloat(seconds, 'f', 0, 64))
	}
	code := httpStatus(err)
	if code == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

// publicStatus keeps what was meant for the caller. A status without a reason was
// not made by our services but by a library on the way, and its text may name
// sockets and files: only its code survives, save for what grpc-gateway says about
// the caller's own input.
func publicStatus(err error) *spb.Status {
	var known *httpError
	if errors.As(err, &known) {
		err = known.err // status.Convert would put a wrapper's text into the message
	}
	in := status.Convert(err).Proto()
	out := &spb.Status{Code: in.GetCode(), Message: in.GetMessage()}
	for _, packed := range in.GetDetails() {
		message, uerr := packed.UnmarshalNew()
		if uerr != nil {
			continue
		}
		switch message.(type) {
		case *errdetails.ErrorInfo, *errdetails.BadRequest, *errdetails.RetryInfo, *errdetails.RequestInfo:
			out.Details = append(out.Details, packed)
		}
	}
	if detail[*errdetails.ErrorInfo](out) != nil {
		return out
	}
	switch code := codes.Code(in.GetCode()); code {
	case codes.InvalidArgument:
		return unreadable(in.GetMessage())
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Unimplemented, codes.ResourceExhausted:
		return libraryStatus(code)
	default:
		return libraryStatus(codes.Internal)
	}
}

// libraryMessages are the public sentences for codes that gRPC itself gives.
var libraryMessages = map[codes.Code]string{
	codes.Unavailable:       "The service cannot be reached just now.",
	codes.DeadlineExceeded:  "The service took too long to answer.",
	codes.Canceled:          "The caller went away.",
	codes.Unimplemented:     "The service does not know this method.",
	codes.ResourceExhausted: "The message is too large.",
	codes.Internal:          "Something went wrong on our side.",
}

func libraryStatus(code codes.Code) *spb.Status {
	st := &spb.Status{Code: int32(code), Message: libraryMessages[code]}
	attach(st, &errdetails.ErrorInfo{Reason: reasonOf(code), Domain: errorDomain})
	return st
}

// reasonOf writes a code's name the way reasons are written: "DeadlineExceeded" is DEADLINE_EXCEEDED.
func reasonOf(code codes.Code) string {
	return strings.ToUpper(wordStart.ReplaceAllString(code.String(), "${1}_${2}"))
}

var (
	wordStart    = regexp.MustCompile(`([a-z])([A-Z])`)
	unknownField = regexp.MustCompile(`unknown field "([^"]{1,100})"`)
	// protojson puts a no-break space after "proto:" in some builds, on purpose.
	protoPrefix = regexp.MustCompile(`^proto:[\s\x{00a0}]*`)
)

// unreadable turns grpc-gateway's text about a body, path or query that does not
// fit the message into a field violation.
func unreadable(text string) *spb.Status {
	violation := &errdetails.BadRequest_FieldViolation{Description: protoPrefix.ReplaceAllString(text, "")}
	if m := unknownField.FindStringSubmatch(text); m != nil {
		violation.Field, violation.Description = m[1], "There is no such field."
	}
	st := &spb.Status{Code: int32(codes.InvalidArgument), Message: "The request cannot be read."}
	attach(st, &errdetails.ErrorInfo{Reason: "INVALID_REQUEST", Domain: errorDomain})
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

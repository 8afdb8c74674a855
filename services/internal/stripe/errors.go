package stripe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	stripego "github.com/stripe/stripe-go/v76"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// Kind says whether Stripe executed a failed request.
type Kind int

// The kinds. Stripe repeats only Failed and Refused under the same idempotency key.
const (
	// Lost: there was no answer. It may have been executed; a call with the same key finds out.
	Lost Kind = iota + 1
	// Throttled: refused before execution (429). The same key works later.
	Throttled
	// Busy: a request with the same idempotency key is running (409).
	Busy
	// Failed: Stripe failed while executing (5xx), and repeats that under the same key.
	Failed
	// Refused: the request is wrong, or not allowed for the account (other 4xx).
	Refused
	// Missing: the account has no such object (404).
	Missing
	// Unauthorized: Stripe knows none of the keys (401), and executed nothing. The same idempotency key works once the
	// operator has set a valid API key.
	Unauthorized
)

// How long a caller should wait before trying again.
const (
	retrySoon  = 2 * time.Second
	retryLater = 10 * time.Second
)

// Error is a failed call. Use errors.As or [KindOf] for its Kind.
type Error struct {
	Kind Kind
	// Status is the HTTP status; 0 without an answer.
	Status int
	// Type, Code and Param are Stripe's own, such as invalid_request_error.
	Type, Code, Param string
	// RequestID identifies the request in Stripe's dashboard.
	RequestID string
	// Replayed: it is the result of an earlier call under the same idempotency key. Nothing was tried now.
	Replayed bool
	// NotMade: the call was not made, and Stripe knows nothing of it.
	NotMade bool

	classified *errs.Error
}

// Error is for logs. It has no text of Stripe's.
func (e *Error) Error() string {
	return fmt.Sprintf("stripe: status %d, type %q, code %q, param %q, request %q: %v",
		e.Status, e.Type, e.Code, e.Param, e.RequestID, e.classified)
}

// Unwrap returns the *errs.Error for our own callers.
func (e *Error) Unwrap() error { return e.classified }

// KindOf returns the kind of a failed call in err's chain; 0 when there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}

// NotMade reports whether the failed call in err's chain was not made, so that it tells nothing about Stripe.
func NotMade(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.NotMade
}

// codeLockTimeout is the code of a 429 about an object that is in use, rather than about the rate limit.
const codeLockTimeout = "lock_timeout"

// errNoTurn is the error of a call that was not made, because the budget had no room for it in time.
var errNoTurn = errors.New("too many calls to Stripe are waiting")

// classify turns stripe-go's error and the headers of the answer into an Error; the headers' status is 0 without an
// answer. https://docs.stripe.com/error-low-level#http-status-code-reference
func classify(err error, adv advice) *Error {
	status := adv.status
	e := &Error{Status: status, Replayed: adv.replayed}
	var api *stripego.Error
	if errors.As(err, &api) {
		e.Type, e.Code, e.Param, e.RequestID = string(api.Type), string(api.Code), api.Param, api.RequestID
	}
	switch {
	case errors.Is(err, errOpen):
		e.Kind, e.NotMade = Throttled, true
		e.classified = unavailable(openFor, err)
	case errors.Is(err, errNoTurn):
		e.Kind, e.NotMade = Throttled, true
		e.classified = unavailable(retrySoon, err)
	// A good status with an error: the answer was truncated, or was not JSON.
	case status < http.StatusBadRequest:
		e.Kind = Lost
		e.classified = unavailable(retrySoon, transportError(err))
	case status == http.StatusTooManyRequests:
		e.Kind = Throttled
		e.classified = unavailable(max(retrySoon, adv.retryAfter), nil)
	case status == http.StatusConflict:
		e.Kind = Busy
		e.classified = unavailable(retrySoon, nil)
	case status >= http.StatusInternalServerError:
		e.Kind = Failed
		e.classified = unavailable(max(retryLater, adv.retryAfter), nil)
	// Stripe says that nothing was executed and that a retry makes sense, whatever the status.
	case adv.shouldRetry == "true":
		e.Kind = Throttled
		e.classified = unavailable(max(retrySoon, adv.retryAfter), nil)
	case status == http.StatusUnauthorized:
		e.Kind = Unauthorized
		e.classified = unavailable(retryLater, errors.New("the API key is unknown to Stripe"))
	case status == http.StatusNotFound:
		e.Kind = Missing
		e.classified = errs.NotFound("The object at Stripe")
	default:
		e.Kind = Refused
		e.classified = errs.Internal(fmt.Errorf("refused by Stripe with status %d", status))
	}
	return e
}

func unavailable(after time.Duration, cause error) *errs.Error {
	return errs.Unavailable(errorsv1.ErrorReason_STRIPE_UNAVAILABLE, after, cause, "Stripe does not answer; the same request can be sent again.")
}

// transportError returns the network's error. Errors of decoding quote the body, so they are replaced.
func transportError(err error) error {
	var transport *url.Error
	switch {
	case errors.As(err, &transport):
		return transport.Err
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return err
	}
	return errors.New("the answer could not be read")
}

// Unknown reports whether Stripe does not know the key, or no longer.
func Unknown(err error) bool {
	return KindOf(err) == Unauthorized
}

// Disconnected reports whether a connected account gave no access, or withdrew it.
func Disconnected(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusForbidden && e.Code == "account_invalid"
}

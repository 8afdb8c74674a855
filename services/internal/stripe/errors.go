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

// Kind says what is known of a failed request's fate.
type Kind int

// The kinds. Only Failed and Refused are remembered by Stripe under an idempotency key.
const (
	// Lost: no answer came. It may have been executed; the same key finds out.
	Lost Kind = iota + 1
	// Throttled: refused before execution (429). The same key works later.
	Throttled
	// Busy: a request with the same idempotency key is under way (409).
	Busy
	// Failed: Stripe failed while executing (5xx), and will say so again under the same key.
	Failed
	// Refused: the request is wrong, or the account may not do it (other 4xx).
	Refused
	// Missing: there is no such object on this account (404).
	Missing
	// Unauthorized: none of the keys is known to Stripe (401), and nothing was looked at. The same key works once the
	// operator has set one that is.
	Unauthorized
)

// How long a caller should wait before trying again.
const (
	retrySoon  = 2 * time.Second
	retryLater = 10 * time.Second
)

// Error is a failed call. Use errors.As to look at its Kind.
type Error struct {
	Kind Kind
	// Status is the HTTP status; 0 when no answer came.
	Status int
	// Type, Code and Param are Stripe's own words, such as invalid_request_error.
	Type, Code, Param string
	// RequestID finds the request in Stripe's dashboard.
	RequestID string
	// Replayed: this is how an earlier call under the same idempotency key ended; nothing was tried now.
	Replayed bool
	// NotMade: the call was kept back here, and Stripe never saw it.
	NotMade bool

	classified *errs.Error
}

// Error is for logs: it holds no text of Stripe's.
func (e *Error) Error() string {
	return fmt.Sprintf("stripe: status %d, type %q, code %q, param %q, request %q: %v",
		e.Status, e.Type, e.Code, e.Param, e.RequestID, e.classified)
}

// Unwrap returns what a caller of ours is told, an *errs.Error.
func (e *Error) Unwrap() error { return e.classified }

// KindOf returns the kind of a failed call in err's chain; 0 when there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}

// NotMade reports whether the failed call in err's chain was kept back here, so that nothing is known of Stripe by it.
func NotMade(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.NotMade
}

// codeLockTimeout is the 429 about one object that is in use, and not about the limit.
const codeLockTimeout = "lock_timeout"

// errNoTurn is for a call that was not made, since the budget had no room for it in time.
var errNoTurn = errors.New("too many calls to Stripe wait")

// classify reads what stripe-go returned, and what the answer's head said; its status is 0 when there was none.
// https://docs.stripe.com/error-low-level#http-status-code-reference
func classify(err error, heard advice) *Error {
	status := heard.status
	e := &Error{Status: status, Replayed: heard.replayed}
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
	// A good status with an error: the answer broke off, or was not JSON.
	case status < http.StatusBadRequest:
		e.Kind = Lost
		e.classified = unavailable(retrySoon, transportError(err))
	case status == http.StatusTooManyRequests:
		e.Kind = Throttled
		e.classified = unavailable(max(retrySoon, heard.retryAfter), nil)
	case status == http.StatusConflict:
		e.Kind = Busy
		e.classified = unavailable(retrySoon, nil)
	case status >= http.StatusInternalServerError:
		e.Kind = Failed
		e.classified = unavailable(max(retryLater, heard.retryAfter), nil)
	// Stripe knows that nothing was done, and that it is worth another try, whatever the status says.
	case heard.shouldRetry == "true":
		e.Kind = Throttled
		e.classified = unavailable(max(retrySoon, heard.retryAfter), nil)
	case status == http.StatusUnauthorized:
		e.Kind = Unauthorized
		e.classified = unavailable(retryLater, errors.New("the API key is not known to Stripe"))
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

// transportError keeps what the network said. Errors of decoding quote the body, so they are replaced.
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

// Unknown tells of an error that Stripe does not know the key, or no longer.
func Unknown(err error) bool {
	return KindOf(err) == Unauthorized
}

// Disconnected tells of an error that the connected account gave no access, or took it back.
func Disconnected(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusForbidden && e.Code == "account_invalid"
}

package stripesim

import (
	"fmt"
	"net/http"
	"strings"
)

// Types of Stripe's errors, https://docs.stripe.com/api/errors.
const (
	typeAPI         = "api_error"
	typeCard        = "card_error"
	typeIdempotency = "idempotency_error"
	typeInvalid     = "invalid_request_error"
)

// apiError is an error in Stripe's form.
type apiError struct {
	Status      int
	Type        string
	Code        string
	DeclineCode string
	Param       string
	Message     string
	// Malformed: the request is wrong in every state of Stripe's, so the sender has a bug.
	Malformed bool
}

// render is the body of the answer. Members that an error does not have are left out, never null.
func (e *apiError) render(requestID string) document {
	o := document{
		"type":            e.Type,
		"message":         e.Message,
		"request_log_url": "https://dashboard.stripe.com/test/logs/" + requestID,
	}
	if e.Code != "" {
		o["code"] = e.Code
		o["doc_url"] = docURL(e.Code)
	}
	if e.DeclineCode != "" {
		o["decline_code"] = e.DeclineCode
	}
	if e.Param != "" {
		o["param"] = e.Param
	}
	return document{"error": o}
}

// docURL is where Stripe describes an error code.
func docURL(code string) string {
	return "https://stripe.com/docs/error-codes/" + strings.ReplaceAll(code, "_", "-")
}

// invalid is a 400 about one parameter of a malformed request; code may be empty, as it often is at Stripe.
func invalid(code, param, format string, args ...any) *apiError {
	e := refused(code, param, format, args...)
	e.Malformed = true
	return e
}

// refused is a 400 because of the present state.
func refused(code, param, format string, args ...any) *apiError {
	return &apiError{
		Status:  http.StatusBadRequest,
		Type:    typeInvalid,
		Code:    code,
		Param:   param,
		Message: fmt.Sprintf(format, args...),
	}
}

// missingParam says that a required parameter was not sent.
func missingParam(param string) *apiError {
	return invalid("parameter_missing", param, "Missing required param: %s.", param)
}

// notSimulated refuses what Stripe accepts and this simulator does not support.
func notSimulated(param string) *apiError {
	return invalid("", param, "%s exists at Stripe and is not simulated here.", param)
}

// noSuch is the error for an object that the account does not have: 404 when the id is in the path, 400 when it is a
// parameter.
func noSuch(status int, kind, id, param string) *apiError {
	e := refused("resource_missing", param, "No such %s: '%s'", kind, id)
	e.Status = status
	return e
}

// invalidKey is the 401 for a missing key, or for one that is not accepted; such a key is shown shortened.
func invalidKey(key string) *apiError {
	message := "You did not provide an API key. You need to provide your API key in the Authorization header, " +
		"using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). " +
		"See https://stripe.com/docs/api#authentication for details."
	if key != "" {
		message = "Invalid API Key provided: " + redactKey(key)
	}
	return &apiError{Status: http.StatusUnauthorized, Type: typeInvalid, Message: message}
}

// noAccess does not reveal whether the account exists or is only not connected.
func noAccess(key, account string) *apiError {
	return &apiError{
		Status: http.StatusForbidden,
		Type:   typeInvalid,
		Code:   "account_invalid",
		Message: fmt.Sprintf("The provided key '%s' does not have access to account '%s' (or that account does not exist). "+
			"Application access may have been revoked.", redactKey(key), account),
	}
}

// unknownURL is the 404 for a call that is not simulated, whether Stripe has it or not. It is malformed, so a test with
// the contract fails.
func unknownURL(r *http.Request) *apiError {
	return &apiError{
		Status:    http.StatusNotFound,
		Type:      typeInvalid,
		Malformed: true,
		Message: fmt.Sprintf("Unrecognized request URL (%s: %s). Please see https://stripe.com/docs or "+
			"we can help at https://support.stripe.com/.", r.Method, r.URL.Path),
	}
}

// redactKey shortens a key as Stripe does.
func redactKey(key string) string {
	const head, tail = 8, 4
	if len(key) <= head+tail {
		return strings.Repeat("*", len(key))
	}
	return key[:head] + strings.Repeat("*", len(key)-head-tail) + key[len(key)-tail:]
}

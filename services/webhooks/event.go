package webhooks

import (
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// State is the state of an event; see the package comment for the transitions.
type State string

// The states of an event.
const (
	// StateReceived: stored, to be applied.
	StateReceived State = "received"
	// StateApplied: done.
	StateApplied State = "applied"
	// StateIgnored: nothing to do.
	StateIgnored State = "ignored"
	// StateFailed: applying it failed. It is retried until it is given up.
	StateFailed State = "failed"
)

// Reasons for ignoring an event.
const (
	reasonUnknownType    = "UNKNOWN_TYPE"
	reasonOtherLivemode  = "OTHER_LIVEMODE"
	reasonUnknownAccount = "UNKNOWN_ACCOUNT"
	reasonNotOurs        = "NOT_OURS"
)

// Event is a stored event, without its content.
type Event struct {
	ID       string
	Account  string
	Type     string
	State    State
	Attempts int
	Reason   string
	Created  time.Time
	Received time.Time
	// FinishTime is when it was applied or ignored; zero until then.
	FinishTime time.Time
	// NextAttempt is when it is tried again; zero when it is not.
	NextAttempt time.Time

	resource stripe.Resource
	// interrupted: the donation's own payment page is not known yet, and is asked for before the event is applied.
	interrupted bool
}

// Endpoint is a webhook endpoint. Each has its own signing secrets.
type Endpoint int

// The two endpoints.
const (
	// EndpointPlatform receives events of the platform's own account.
	EndpointPlatform Endpoint = iota + 1
	// EndpointConnect receives events of connected accounts, which name their account.
	EndpointConnect
)

const (
	firstRetry = 5 * time.Second
	maxRetry   = time.Hour
	// giveUpAfter attempts take about twelve hours. Money does not depend on them: the sync books what an event failed
	// to say.
	giveUpAfter = 20
)

// retryPause is the pause after so many failed attempts; nil when the event is given up.
func retryPause(attempts int) *time.Duration {
	if attempts >= giveUpAfter {
		return nil
	}
	pause := min(firstRetry<<min(attempts-1, 20), maxRetry)
	return &pause
}

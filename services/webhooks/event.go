package webhooks

import (
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// State is what became of an event.
type State string

// The states of an event.
const (
	// StateReceived is stored, to be applied.
	StateReceived State = "received"
	// StateApplied is done.
	StateApplied State = "applied"
	// StateIgnored has nothing for us.
	StateIgnored State = "ignored"
	// StateFailed was tried in vain, and is tried again until it is given up.
	StateFailed State = "failed"
)

// Reasons why an event is ignored.
const (
	reasonUnknownType    = "UNKNOWN_TYPE"
	reasonOtherLivemode  = "OTHER_LIVEMODE"
	reasonUnknownAccount = "UNKNOWN_ACCOUNT"
	reasonNotOurs        = "NOT_OURS"
)

// Event is a stored event. What it said stays inside.
type Event struct {
	ID         string
	Account    string
	Type       string
	State      State
	Attempts   int
	Reason     string
	Created    time.Time
	Received   time.Time
	FinishTime time.Time // zero until it is applied or ignored

	resource stripe.Resource
	// apart: it names a donation whose own page is not known yet, which is asked for before.
	interrupted bool
}

// Endpoint is where an event came in. Each has secrets of its own.
type Endpoint int

// The two endpoints.
const (
	// EndpointPlatform gets the events of the platform's own account.
	EndpointPlatform Endpoint = iota + 1
	// EndpointConnect gets those of connected accounts, which name their account.
	EndpointConnect
)

const (
	firstRetry = 5 * time.Second
	maxRetry   = time.Hour
	// giveUpAfter tries are about twelve hours. Money does not depend on it: the sync books what an event
	// could not say.
	giveUpAfter = 20
)

// retryPause is how long an event that failed that often waits; nil when it is given up.
func retryPause(attempts int) *time.Duration {
	if attempts >= giveUpAfter {
		return nil
	}
	pause := min(firstRetry<<min(attempts-1, 20), maxRetry)
	return &pause
}

package stripesim

import (
	"fmt"
	"net/http"
	"time"
)

// Bounds of idempotency keys, https://docs.stripe.com/api/idempotent_requests.
const (
	idemRetention = 24 * time.Hour
	maxIdemKey    = 255
)

// idemRecord is the stored result of an idempotency key. Status is zero while its first request is executing. Path and
// Params are compared with those of a repeat. Params is the canonical form, so the order of the parameters does not
// matter.
type idemRecord struct {
	Path    string    `json:"path"`
	Params  string    `json:"params"`
	Status  int       `json:"status"`
	Body    []byte    `json:"body"`
	Request string    `json:"request"` // id of the request that was executed
	At      time.Time `json:"at"`
}

// idemBegin reserves the key, or returns the stored answer or an error. Errors before execution are not stored. The
// caller must call idemStore or idemRelease.
func (s *Sim) idemBegin(c *call, canonical string) (*idemRecord, *apiError) {
	if len(c.request.Key) > maxIdemKey {
		return nil, &apiError{Status: http.StatusBadRequest, Type: typeIdempotency, Malformed: true, Message: fmt.Sprintf(
			"The idempotency key is too long: %d characters, at most %d are allowed.", len(c.request.Key), maxIdemKey)}
	}
	name := c.idemName()
	old, ok := s.idem[name]
	// A key is free when it is new or older than a day. One whose request is still executing never expires.
	if !ok || c.now.Sub(old.At) >= idemRetention && old.Status != 0 {
		s.idem[name] = &idemRecord{Path: c.http.URL.Path, Params: canonical, At: c.now, Request: c.request.ID}
		return nil, nil
	}
	// Another path or other parameters under the same key are a bug of the caller, and are reported even while the
	// first request is executing.
	switch key := c.request.Key; {
	case old.Path != c.http.URL.Path:
		return nil, &apiError{Status: http.StatusBadRequest, Type: typeIdempotency, Malformed: true, Message: fmt.Sprintf(
			"Keys for idempotent requests can only be used for the same endpoint they were first used for ('%s' vs '%s'). "+
				"Try using a key other than '%s' if you meant to execute a different request.", c.http.URL.Path, old.Path, key)}
	case old.Params != canonical:
		return nil, &apiError{Status: http.StatusBadRequest, Type: typeIdempotency, Malformed: true, Message: fmt.Sprintf(
			"Keys for idempotent requests can only be used with the same parameters they were first used with. "+
				"Try using a key other than '%s' if you meant to execute a different request.", key)}
	case old.Status == 0:
		return nil, &apiError{
			Status: http.StatusConflict, Type: typeIdempotency, Code: "idempotency_key_in_use",
			Message: fmt.Sprintf("There is currently another in-progress request using this Idempotent Key "+
				"(that probably means you submitted twice, and the other request is still going through): %s. "+
				"Please try again later.", key),
		}
	}
	return old, nil
}

// idemStore stores the answer of an executed request. It runs in the locked section that executed the request, so its
// effect and its answer are saved together or not at all.
func (s *Sim) idemStore(c *call, a answer) {
	if rec := s.idem[c.idemName()]; c.request.Key != "" && rec != nil {
		rec.Status, rec.Body = a.status, a.body
		s.changed = true
	}
}

// idemRelease releases the key of a request that was not executed.
func (s *Sim) idemRelease(c *call) {
	if c.request.Key != "" {
		delete(s.idem, c.idemName())
	}
}

// idemName keeps accounts apart; an account id has no space.
func (c *call) idemName() string { return c.world.ID + " " + c.request.Key }

// forgetOld deletes expired events and idempotency keys. Keys have no order, so they are checked once an hour of the
// clock.
func (s *Sim) forgetOld(now time.Time) {
	for _, w := range s.worlds {
		if w.Events.dropBefore(now.Add(-eventRetention).Unix()) > 0 {
			s.changed = true
		}
	}
	// A negative difference means that the clock went back, and then the sweep is done as well.
	if d := now.Sub(s.swept); d >= 0 && d < time.Hour {
		return
	}
	s.swept = now
	for name, rec := range s.idem {
		if rec.Status != 0 && now.Sub(rec.At) >= idemRetention {
			delete(s.idem, name)
			s.changed = true
		}
	}
}

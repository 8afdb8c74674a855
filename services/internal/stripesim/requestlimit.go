package stripesim

import (
	"slices"
	"time"
)

// limitWindow is the window of Stripe's rate limit.
const limitWindow = time.Second

// SetLimit refuses requests beyond so many in any second of wall time, with 429 (rate_limit); zero for no limit. Stripe
// allows 25 in test mode and 100 in live mode, https://docs.stripe.com/rate-limits.
func (s *Sim) SetLimit(perSecond int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit, s.recent = perSecond, nil
}

// Limited returns how many requests the limit has refused since New. Faults do not count.
func (s *Sim) Limited() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limited
}

// overLimit counts a request. The world is locked. A refused request does not count towards the limit.
func (s *Sim) overLimit(now time.Time) bool {
	if s.limit == 0 {
		return false
	}
	s.recent = slices.DeleteFunc(s.recent, func(at time.Time) bool { return now.Sub(at) >= limitWindow })
	if len(s.recent) >= s.limit {
		s.limited++
		return true
	}
	s.recent = append(s.recent, now)
	return false
}

// SetAPIKeys replaces the accepted keys, as when one is rolled or revoked.
func (s *Sim) SetAPIKeys(keys ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.APIKeys = slices.Clone(keys)
}

package donations

import "github.com/cagnotte/cagnotte/services/internal/limit"

// limits counts what donors' links and pages may do. How often donations are started is package wall's.
func (s *Service) limits() limit.Limiter {
	return limit.Limiter{Table: "donations.limits", Secret: s.cfg.SecretKey, Daily: true}
}

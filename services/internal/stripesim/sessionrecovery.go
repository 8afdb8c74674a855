package stripesim

import (
	"fmt"
	"net/http"
	"time"
)

// recoveryLife is how long a recovery URL works, https://docs.stripe.com/payments/checkout/abandoned-carts.
const recoveryLife = 30 * 24 * time.Hour

// recovery is what after_expiration[recovery] asked for, and the address that came of it.
type recovery struct {
	PromotionCodes bool   `json:"promotion_codes,omitempty"`
	URL            string `json:"url,omitempty"` // once expired
	ExpiresAt      int64  `json:"expires_at,omitempty"`
}

// offer gives an expired session its recovery URL.
func (r *recovery) offer(baseURL, sessionID string, now time.Time) {
	if r != nil {
		r.URL, r.ExpiresAt = baseURL+"/recover/"+sessionID, now.Add(recoveryLife).Unix()
	}
}

// render is after_expiration of a session.
func (r *recovery) render() any {
	if r == nil {
		return nil
	}
	o := document{"allow_promotion_codes": r.PromotionCodes, "enabled": true, "expires_at": nil, "url": nil}
	if r.URL != "" {
		o["url"], o["expires_at"] = r.URL, r.ExpiresAt
	}
	return document{"recovery": o}
}

// Recover opens a new session out of an expired one, as its recovery URL does each time that somebody goes
// there: a copy with an id of its own, open for 24 hours, whose recovered_from is the old one. It returns a
// *SessionError when the session did not expire with recovery on, or expired more than 30 days ago.
func (s *Sim) Recover(sessionID string) (newID string, err error) {
	now := s.lock()
	defer s.unlock()
	w, old := s.find(sessionID)
	if old == nil {
		return "", &SessionError{ID: sessionID}
	}
	if old.Status != sessionExpired || old.Recovery == nil || now.Unix() >= old.Recovery.ExpiresAt {
		return "", &SessionError{ID: sessionID, Status: old.Status + " and cannot be recovered"}
	}
	// The copy has the same items and metadata. What belongs to an attempt to pay the old session is removed.
	se := *old
	se.ID, se.RecoveredFrom = newSessionID(), old.ID
	se.Created, se.ExpiresAt, se.Status = now.Unix(), now.Add(maxSessionLife).Unix(), sessionOpen
	se.Recovery = &recovery{PromotionCodes: old.Recovery.PromotionCodes}
	se.IntentID, se.Donor = "", nil
	se.CustomerID, se.SubscriptionID, se.InvoiceID = "", "", ""
	s.open(w, &se)
	return se.ID, nil
}

// open puts a session up until its time is over. The world is locked. A session that was paid or expired before is left
// alone when its time is over.
func (s *Sim) open(w *world, se *session) {
	se.URL = se.Base + "/pay/" + se.ID
	w.Sessions.add(se)
	s.agenda.add(due{At: time.Unix(se.ExpiresAt, 0), Kind: dueSessionExpiry, Account: w.ID, ID: se.ID})
	s.changed = true
}

// recoverPage leads who follows a recovery URL to a new payment page.
func (s *Sim) recoverPage(w http.ResponseWriter, r *http.Request) {
	id, err := s.Recover(r.PathValue("session"))
	if err != nil {
		http.Error(w, fmt.Sprint(err), http.StatusGone)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, "/pay/"+id, http.StatusSeeOther)
}

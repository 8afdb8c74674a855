package stripesim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// States of a session, https://docs.stripe.com/api/checkout/sessions/object#checkout_session_object-status.
const (
	sessionOpen     = "open"
	sessionComplete = "complete"
	sessionExpired  = "expired"
)

// session is a Checkout Session in payment or subscription mode: open, then complete or expired for ever. Amounts are
// in minor units, and times are Unix seconds. IntentID is empty until the first attempt to pay, and always in
// subscription mode, where the first invoice has the intent.
type session struct {
	ID                string            `json:"id"`
	Created           int64             `json:"created"`
	ExpiresAt         int64             `json:"expires_at"`
	Status            string            `json:"status"`
	Currency          string            `json:"currency"`
	Items             []lineItem        `json:"items"`
	URL               string            `json:"url"`
	SuccessURL        string            `json:"success_url"`
	CancelURL         string            `json:"cancel_url,omitempty"`
	ClientReferenceID string            `json:"client_reference_id,omitempty"`
	CustomerEmail     string            `json:"customer_email,omitempty"`
	Locale            string            `json:"locale,omitempty"`
	SubmitType        string            `json:"submit_type,omitempty"`
	BillingAddress    string            `json:"billing_address,omitempty"`
	PromotionCodes    *bool             `json:"promotion_codes,omitempty"`
	PhoneNumber       bool              `json:"phone_number,omitempty"`
	SubmitText        string            `json:"submit_text,omitempty"`
	AfterSubmitText   string            `json:"after_submit_text,omitempty"`
	MethodTypes       []string          `json:"method_types,omitempty"` // empty: Stripe chooses
	Metadata          map[string]string `json:"metadata,omitempty"`
	Intent            intentData        `json:"intent"`
	IntentID          string            `json:"intent_id,omitempty"`
	// Mode is payment when empty. The three ids are of what a session of a subscription has made.
	Mode                 string            `json:"mode,omitempty"`
	SubscriptionMetadata map[string]string `json:"subscription_metadata,omitempty"`
	CustomerID           string            `json:"customer_id,omitempty"`
	SubscriptionID       string            `json:"subscription_id,omitempty"`
	InvoiceID            string            `json:"invoice_id,omitempty"`
	DebitID              string            `json:"debit_id,omitempty"` // the charge of its first month, when that is a debit
	Donor                *donor            `json:"donor,omitempty"`    // once paid
	// Offered are the methods on its page, fixed when it was opened.
	Offered   []string     `json:"offered,omitempty"`
	Unpaid    bool         `json:"unpaid,omitempty"` // complete, and its debit under way or failed
	Base      string       `json:"base"`             // where browsers reached the simulator when it was opened
	Source    *sourcePrice `json:"source,omitempty"`
	Presented int64        `json:"presented,omitempty"` // the amount in Currency when there is a Source
}

// intentData is payment_intent_data: what the session's intent and its charges will carry.
type intentData struct {
	Description               string            `json:"description,omitempty"`
	Metadata                  map[string]string `json:"metadata,omitempty"`
	ReceiptEmail              string            `json:"receipt_email,omitempty"`
	StatementDescriptor       string            `json:"statement_descriptor,omitempty"`
	StatementDescriptorSuffix string            `json:"statement_descriptor_suffix,omitempty"`
}

func (se *session) key() (string, int64) { return se.ID, se.Created }

// amount is what the donor is shown, in minor units of the session's currency.
func (se *session) amount() int64 {
	if se.Source != nil {
		return se.Presented
	}
	return se.itemsAmount()
}

// itemsAmount is the sum in the merchant's own currency.
func (se *session) itemsAmount() (total int64) {
	for _, item := range se.Items {
		total += item.amount()
	}
	return total
}

// paymentStatus does not tell a debit at the bank from one that failed: both are unpaid, as at Stripe.
func (se *session) paymentStatus() string {
	if se.Status == sessionComplete && !se.Unpaid {
		return "paid"
	}
	return "unpaid"
}

// createSession opens a session. The parameters passed their schema.
func (s *Sim) createSession(c *call) (document, *apiError) {
	p := c.params
	if err := checkSession(p, c.now); err != nil {
		return nil, err
	}
	// In subscription mode this is nil, and all its values are empty.
	data := p.obj("payment_intent_data")
	// Without expires_at a session is open for 24 hours.
	se := &session{
		ID:                newSessionID(),
		Created:           c.now.Unix(),
		ExpiresAt:         c.now.Add(maxSessionLife).Unix(),
		Status:            sessionOpen,
		SuccessURL:        p.str("success_url"),
		CancelURL:         p.str("cancel_url"),
		ClientReferenceID: p.str("client_reference_id"),
		CustomerEmail:     p.str("customer_email"),
		Locale:            p.str("locale"),
		SubmitType:        p.str("submit_type"),
		BillingAddress:    p.str("billing_address_collection"),
		PhoneNumber:       p.obj("phone_number_collection").flag("enabled"),
		SubmitText:        p.obj("custom_text").obj("submit").str("message"),
		AfterSubmitText:   p.obj("custom_text").obj("after_submit").str("message"),
		MethodTypes:       p.strs("payment_method_types"),
		Metadata:          p.dict("metadata"),
		Intent: intentData{
			Description:               data.str("description"),
			Metadata:                  data.dict("metadata"),
			ReceiptEmail:              data.str("receipt_email"),
			StatementDescriptor:       data.str("statement_descriptor"),
			StatementDescriptorSuffix: data.str("statement_descriptor_suffix"),
		},
	}
	if at, ok := p.num("expires_at"); ok {
		se.ExpiresAt = at
	}
	// Stripe tells a false from a missing value: it shows false or null.
	if p.has("allow_promotion_codes") {
		allow := p.flag("allow_promotion_codes")
		se.PromotionCodes = &allow
	}
	for _, item := range p.list("line_items") {
		se.Items = append(se.Items, newLineItem(item.(params), c.now))
	}
	// checkItems has made sure that there is an item, and that all have its currency.
	se.Currency = se.Items[0].Currency
	// The methods are fixed now: a later change of the account's settings does not apply.
	se.Offered = c.world.methods(se.MethodTypes, se.Currency)
	if p.str("mode") == modeSubscription {
		se.Mode, se.SubscriptionMetadata = modeSubscription, p.obj("subscription_data").dict("metadata")
	}
	se.Base = c.baseURL
	s.open(c.world, se)
	return se.render(), nil
}

// open puts a session up until its time is over. The world is locked. A session that was paid or expired before is left
// alone when its time is over.
func (s *Sim) open(w *world, se *session) {
	se.URL = se.Base + "/pay/" + se.ID
	w.Sessions.add(se)
	s.agenda.add(due{At: time.Unix(se.ExpiresAt, 0), Kind: dueSessionExpiry, Account: w.ID, ID: se.ID})
	s.changed = true
}

// newSessionID makes an id in the form of Stripe's test mode.
func newSessionID() string { return newID("cs_test_a1", 56) }

// methods are those that a session offers: those asked for, or the account's own.
func (w *world) methods(asked []string, currency string) []string {
	if len(asked) > 0 {
		return asked
	}
	own := []string{"card", "link"}
	if w.Debits && currency == "eur" {
		own = append(own, debitMethod)
	}
	return own
}

// offers tells whether the donor can choose a method on the session's page.
func (se *session) offers(method string) bool { return slices.Contains(se.methodTypes(), method) }

// session finds the session of the path in the account of the call.
func (c *call) session() (*session, *apiError) {
	id := c.http.PathValue("id")
	se, ok := c.world.Sessions.get(id)
	if !ok {
		return nil, noSuch(http.StatusNotFound, "checkout.session", id, "session")
	}
	return se, nil
}

func (s *Sim) getSession(c *call) (document, *apiError) {
	se, err := c.session()
	if err != nil {
		return nil, err
	}
	return se.render(), nil
}

func (s *Sim) getSessionItems(c *call) (document, *apiError) {
	se, err := c.session()
	if err != nil {
		return nil, err
	}
	return se.renderItems(), nil
}

// expireSessionCall expires an open session. A second call is refused, also after a payment that came first, so the
// caller has to read the session to know which of the two it was.
func (s *Sim) expireSessionCall(c *call) (document, *apiError) {
	se, err := c.session()
	if err != nil {
		return nil, err
	}
	if se.Status != sessionOpen {
		return nil, refused("", "", "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session "+
			"has a status of %q.", se.Status)
	}
	s.expireSession(c.world, se, c.request, c.now)
	return se.render(), nil
}

// expireSession ends an open session without a payment. An intent of an earlier failed attempt stays as it is.
func (s *Sim) expireSession(w *world, se *session, by request, now time.Time) {
	se.Status = sessionExpired
	s.emit(w, "checkout.session.expired", se.render(), nil, by, now)
}

var sessionListParams = listParams(schema{
	"payment_intent": opt(text(0)),
	"status":         opt(oneOf(sessionComplete, sessionExpired, sessionOpen)),
	"customer":       elsewhere, "customer_details": elsewhere, "payment_link": elsewhere, "subscription": elsewhere,
})

// listSessions filters by payment intent and state. A session in subscription mode has no intent, so the first filter
// never finds it.
func (s *Sim) listSessions(c *call) (document, *apiError) {
	intent, status := c.params.str("payment_intent"), c.params.str("status")
	return listPage(&c.world.Sessions, c.params, "/v1/checkout/sessions", "checkout.session", func(se *session) bool {
		return (intent == "" || se.IntentID == intent) && (status == "" || se.Status == status)
	}, (*session).render)
}

// Session is a read-only copy of a Checkout Session.
type Session struct {
	ID                string            `json:"id"`
	Account           string            `json:"account"`        // "" for the platform's own
	Status            string            `json:"status"`         // open, complete, expired
	PaymentStatus     string            `json:"payment_status"` // unpaid, paid
	MethodTypes       []string          `json:"method_types"`
	AmountMinor       int64             `json:"amount_minor"`
	Currency          string            `json:"currency"` // lower case, as Stripe writes it
	ClientReferenceID string            `json:"client_reference_id"`
	Metadata          map[string]string `json:"metadata"`
	IntentMetadata    map[string]string `json:"intent_metadata"`   // payment_intent_data[metadata]
	PaymentIntentID   string            `json:"payment_intent_id"` // "" before the first attempt to pay
	ChargeID          string            `json:"charge_id"`         // of the last attempt
	URL               string            `json:"url"`               // of the hosted page, while open
	SuccessURL        string            `json:"success_url"`       // with the session's id filled in
	CancelURL         string            `json:"cancel_url"`
	Locale            string            `json:"locale"`
	Created           time.Time         `json:"created"`
	ExpiresAt         time.Time         `json:"expires_at"`
}

// Sessions returns the account's sessions ("" for the platform), oldest first; nil for an unknown account.
func (s *Sim) Sessions(account string) []Session {
	s.lock()
	defer s.unlock()
	w := s.world(account)
	if w == nil {
		return nil
	}
	out := make([]Session, 0, len(w.Sessions.rows))
	for _, se := range w.Sessions.rows {
		c := Session{
			ID: se.ID, Status: se.Status, PaymentStatus: se.paymentStatus(), AmountMinor: se.amount(), Currency: se.Currency,
			ClientReferenceID: se.ClientReferenceID, Metadata: se.Metadata, IntentMetadata: se.Intent.Metadata,
			PaymentIntentID: se.IntentID, SuccessURL: se.successURL(), CancelURL: se.CancelURL, Locale: se.Locale,
			Created: time.Unix(se.Created, 0).UTC(), ExpiresAt: time.Unix(se.ExpiresAt, 0).UTC(),
			MethodTypes: se.methodTypes(),
		}
		// The platform's own sessions have an empty account, like the calls about them.
		if w.Connected {
			c.Account = w.ID
		}
		if se.Status == sessionOpen {
			c.URL = se.URL
		}
		// The charge is the intent's last one, which a declined card makes too.
		if in, ok := w.Intents.get(se.IntentID); ok {
			c.ChargeID = in.ChargeID
		}
		out = append(out, c)
	}
	return out
}

// Expire ends an open session as if its time were over. It returns a *SessionError when the session does not exist or
// is not open. It emits the same event as an expiry on the clock, with no request.
func (s *Sim) Expire(sessionID string) error {
	now := s.lock()
	defer s.unlock()
	w, se, err := s.findOpen(sessionID)
	if err != nil {
		return err
	}
	s.expireSession(w, se, request{}, now)
	return nil
}

// SessionError says that a session cannot be paid or expired.
type SessionError struct {
	ID     string
	Status string // "" when there is no such session
}

func (e *SessionError) Error() string {
	if e.Status == "" {
		return fmt.Sprintf("stripesim: no session %s", e.ID)
	}
	return fmt.Sprintf("stripesim: session %s is %s", e.ID, e.Status)
}

// find looks in every account, because a payment page does not know whose session it shows.
func (s *Sim) find(sessionID string) (*world, *session) {
	for _, w := range s.worlds {
		if se, ok := w.Sessions.get(sessionID); ok {
			return w, se
		}
	}
	return nil, nil
}

// findOpen returns a *SessionError for a session that does not exist or is not open. The world is locked.
func (s *Sim) findOpen(sessionID string) (*world, *session, error) {
	w, se := s.find(sessionID)
	if se == nil {
		return nil, nil, &SessionError{ID: sessionID}
	}
	if se.Status != sessionOpen {
		return nil, nil, &SessionError{ID: sessionID, Status: se.Status}
	}
	return w, se, nil
}

// successURL fills the id in where the merchant asked for it, unescaped as Stripe does.
func (se *session) successURL() string {
	return strings.ReplaceAll(se.SuccessURL, "{CHECKOUT_SESSION_ID}", se.ID)
}

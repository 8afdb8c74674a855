package stripesim

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxRequestBytes bounds a body, which is read into memory as a whole and recorded by remember.
const maxRequestBytes = 1 << 20

// route is one call of the API.
type route struct {
	pattern string // of http.ServeMux
	kind    string // of the object it answers, for expand
	list    bool
	params  schema
	run     func(*call) (document, *apiError) // executes, with the world locked
}

var (
	expandOnly = schema{"expand": opt(list(text(0), 0))}
	noParams   = schema{}
)

// apiRoutes lists the calls that are simulated. Any other path under /v1/ gets Stripe's 404, through the route without
// a run in routes.
func (s *Sim) apiRoutes() []route {
	return append([]route{
		{"POST /v1/checkout/sessions", "checkout.session", false, sessionCreateParams, s.createSession},
		{"GET /v1/checkout/sessions", "checkout.session", true, sessionListParams, s.listSessions},
		{"GET /v1/checkout/sessions/{id}", "checkout.session", false, expandOnly, s.getSession},
		{"GET /v1/checkout/sessions/{id}/line_items", "item", true, expandOnly, s.getSessionItems},
		{"POST /v1/checkout/sessions/{id}/expire", "checkout.session", false, expandOnly, s.expireSessionCall},
		{"GET /v1/payment_intents/{id}", "payment_intent", false, expandOnly, s.getIntent},
		{"GET /v1/charges", "charge", true, chargeListParams, s.listCharges},
		{"GET /v1/charges/{id}", "charge", false, expandOnly, s.getCharge},
		{"POST /v1/refunds", "refund", false, refundCreateParams, s.createRefund},
		{"GET /v1/refunds", "refund", true, byPaymentParams, s.listRefunds},
		{"GET /v1/refunds/{id}", "refund", false, expandOnly, s.getRefund},
		{"GET /v1/disputes", "dispute", true, byPaymentParams, s.listDisputes},
		{"GET /v1/disputes/{id}", "dispute", false, expandOnly, s.getDispute},
		{"GET /v1/radar/early_fraud_warnings", "radar.early_fraud_warning", true, byPaymentParams, s.listWarnings},
		{"GET /v1/radar/early_fraud_warnings/{id}", "radar.early_fraud_warning", false, expandOnly, s.getWarning},
		{"GET /v1/balance_transactions", "balance_transaction", true, balanceListParams, s.listBalanceTransactions},
		{"GET /v1/balance_transactions/{id}", "balance_transaction", false, expandOnly, s.getBalanceTransaction},
		{"GET /v1/payouts", "payout", true, payoutListParams, s.listPayouts},
		{"GET /v1/payouts/{id}", "payout", false, expandOnly, s.getPayout},
		{"GET /v1/balance", "balance", false, noParams, s.getBalance},
		{"GET /v1/events", "event", true, eventListParams, s.listEvents},
		{"GET /v1/events/{id}", "event", false, expandOnly, s.getEvent},
		{"GET /v1/account", "account", false, expandOnly, s.getOwnAccount},
	}, slices.Concat(s.subscriptionRoutes(), s.accountRoutes(), s.webhookEndpointRoutes(), s.listRoutes())...)
}

// routes returns one handler for the API, the pages for browsers and the controls.
func (s *Sim) routes() http.Handler {
	mux := http.NewServeMux()
	for _, e := range s.apiRoutes() {
		mux.HandleFunc(e.pattern, func(w http.ResponseWriter, r *http.Request) { s.serveAPI(w, r, e) })
	}
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) { s.serveAPI(w, r, route{}) })
	s.pageRoutes(mux)
	s.controlRoutes(mux)
	return mux
}

// call is an API request in progress. admit sets key, world and form, and answer sets now and params, so a route's run
// can rely on all of them.
type call struct {
	http    *http.Request
	request request
	key     string // the API key
	baseURL string
	world   *world
	now     time.Time
	form    *form
	params  params
}

// answer is the response to a call. malformed goes to Requests only; a client does not see it.
type answer struct {
	status    int
	body      []byte
	replayed  bool
	malformed string
}

// serveAPI takes a request through its stages: record it, apply a fault, execute it, answer it.
func (s *Sim) serveAPI(w http.ResponseWriter, r *http.Request, e route) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBytes))
	if err != nil {
		panic(http.ErrAbortHandler) // who sent it is gone
	}
	// The request is recorded before anything can go wrong with it, so Requests has it also after a reset.
	s.mu.Lock()
	seen := s.remember(r, body)
	// The limit takes precedence over a fault. A fault that matches is used up all the same.
	fault := s.takeFault(r)
	if s.overLimit(time.Now()) {
		fault = Fault{Status: http.StatusTooManyRequests}
	}
	s.mu.Unlock()
	if fault.Reset {
		panic(http.ErrAbortHandler) // closes the connection
	}

	c := &call{http: r, request: request{ID: newID("req_", 14)}, baseURL: s.cfg.BaseURL}
	if c.baseURL == "" {
		c.baseURL = "http://" + r.Host
	}
	// An idempotency key of another method is ignored, because only a POST can have an effect twice.
	if r.Method == http.MethodPost {
		c.request.Key = r.Header.Get("Idempotency-Key")
	}
	// The status of a recorded request is known only now; Requests may have been read in between.
	a := s.answer(c, e, body, fault)
	s.mu.Lock()
	seen.Status, seen.Malformed = a.status, a.malformed
	s.mu.Unlock()
	// The answer is stored under the idempotency key by now, so a repeat with that key gets it and executes nothing.
	if fault.LoseReply {
		panic(http.ErrAbortHandler)
	}

	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-cache, no-store")
	h.Set("Request-Id", c.request.ID)
	h.Set("Stripe-Version", Version)
	echo(h, "Stripe-Account", r.Header.Get("Stripe-Account"))
	echo(h, "Idempotency-Key", c.request.Key)
	if a.replayed {
		h.Set("Idempotent-Replayed", "true")
	}
	if a.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Basic realm="Stripe"`)
	}
	for name, value := range fault.Headers {
		h.Set(name, value)
	}
	w.WriteHeader(a.status)
	w.Write(a.body)
}

// echo returns a header of the request with the answer, as Stripe does.
func echo(h http.Header, name, value string) {
	if value != "" {
		h.Set(name, value)
	}
}

// fail renders an error in Stripe's form, with the id of this request.
func (c *call) fail(err *apiError) answer {
	a := answer{status: err.Status, body: encode(err.render(c.request.ID))}
	if err.Malformed {
		a.malformed = err.Message
	}
	return a
}

// encode indents the body, as Stripe's bodies are.
func encode(o document) []byte {
	b, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		panic("stripesim: " + err.Error()) // objects are made of maps and plain values only
	}
	return b
}

// answer checks in Stripe's order: the caller, the idempotency key, the parameters, then the call itself. The world is
// locked twice: to reserve the key, and to execute. In between it is free for other requests, so a second one with the
// same key finds the key in use.
func (s *Sim) answer(c *call, e route, body []byte, fault Fault) answer {
	if err := s.admit(c, e, body); err != nil {
		return c.fail(err)
	}
	if c.request.Key != "" {
		c.now = s.lock()
		// Afterwards exactly one of three holds: the key is refused, it has an answer that is repeated, or it belongs
		// to this request, which has to store or release it.
		old, err := s.idemBegin(c, c.form.canonical())
		var stored answer
		if old != nil {
			stored = answer{status: old.Status, body: old.Body, replayed: true}
		}
		s.unlock()
		switch {
		case err != nil:
			return c.fail(err)
		case old != nil:
			return stored
		}
	}
	if fault.Delay > 0 {
		// Stripe finishes a request that it has begun, also when the client leaves.
		select {
		case <-time.After(fault.Delay):
		case <-s.stop:
		}
	}
	c.now = s.lock()
	defer s.unlock()
	// As Stripe documents, a 500 is stored and a repeat gets it again. Any other status counts as given before
	// execution, and leaves the key free.
	if fault.Status != 0 {
		a := c.fail(fault.apiError())
		if fault.Status == http.StatusInternalServerError {
			s.idemStore(c, a)
		} else {
			s.idemRelease(c)
		}
		return a
	}
	var err *apiError
	// Wrong parameters are refused before execution and are not stored, so the same key can be sent again.
	if c.params, err = e.params.parse("", c.form); err == nil {
		err = checkExpand(e.kind, e.list, c.params.strs("expand"))
	}
	if err != nil {
		s.idemRelease(c)
		return c.fail(err)
	}
	// From here on the answer is stored even when it is an error, such as a refund of a refunded charge.
	a := s.execute(c, e)
	s.idemStore(c, a)
	return a
}

// execute runs a call whose parameters passed their schema. The world is locked; what run emits leaves with the unlock
// of the caller.
func (s *Sim) execute(c *call, e route) answer {
	o, err := e.run(c)
	if err != nil {
		return c.fail(err)
	}
	// The event of a call has been recorded by now, so the expansion does not show in it.
	c.world.expand(o, c.params.strs("expand"), c.now)
	return answer{status: http.StatusOK, body: encode(o)}
}

// admit checks key, URL, version, account and encoding.
func (s *Sim) admit(c *call, e route, body []byte) *apiError {
	r := c.http
	// Stripe takes the key as the user of Basic authentication, or as a Bearer token. The token takes precedence here.
	c.key, _, _ = r.BasicAuth()
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		c.key = strings.TrimSpace(bearer)
	}
	s.mu.Lock()
	known := slices.Contains(s.cfg.APIKeys, c.key)
	s.mu.Unlock()
	if !known {
		return invalidKey(c.key)
	}
	// Only a known key learns which URLs exist.
	if e.run == nil {
		return unknownURL(r)
	}
	if v := r.Header.Get("Stripe-Version"); v != "" && v != Version {
		return invalid("", "", "Stripe-Version %s exists perhaps; only %s is simulated here.", v, Version)
	}
	s.mu.Lock()
	account := r.Header.Get("Stripe-Account")
	c.world = s.accessible(account)
	s.mu.Unlock()
	if c.world == nil {
		return noAccess(c.key, account)
	}
	// A POST has its parameters in the body alone; those in its URL are ignored.
	encoded := r.URL.RawQuery
	if r.Method == http.MethodPost {
		encoded = string(body)
		kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if encoded != "" && kind != "application/x-www-form-urlencoded" {
			return invalid("", "", "Invalid request (check that your POST content type is application/x-www-form-urlencoded).")
		}
	}
	var err *apiError
	c.form, err = parseForm(encoded)
	return err
}

// maxRequests bounds the memory of Requests.
const maxRequests = 100_000

// Request is a received API request.
type Request struct {
	Method         string
	Path           string // with the query, if any
	Account        string // Stripe-Account
	IdempotencyKey string
	Header         http.Header
	Body           []byte
	Status         int // of the answer, also of one that was lost; 0 while executing and after a reset
	At             time.Time
	// Malformed is why the request is wrong in every state of Stripe's; empty unless it was refused for that.
	Malformed string
}

// remember records a request when it arrives. The caller adds status and malformed after the answer. The world is
// locked.
func (s *Sim) remember(r *http.Request, body []byte) *Request {
	if len(s.requests) >= maxRequests+maxRequests/10 { // forget in batches
		s.requests = slices.Delete(s.requests, 0, maxRequests/10)
	}
	seen := &Request{
		Method: r.Method, Path: r.URL.RequestURI(), Account: r.Header.Get("Stripe-Account"),
		IdempotencyKey: r.Header.Get("Idempotency-Key"), Header: r.Header.Clone(), Body: body, At: s.clock.Now(),
	}
	s.requests = append(s.requests, seen)
	return seen
}

// Requests returns every API request seen since New, in order of arrival; of very many the last 100,000.
func (s *Sim) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := s.requests[max(0, len(s.requests)-maxRequests):]
	// Copies, since a later answer still changes the status of a record. Header and Body are shared and must not be
	// changed.
	out := make([]Request, len(requests))
	for i, r := range requests {
		out[i] = *r
	}
	return out
}

package stripesim

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Version is the only API version spoken here.
const Version = "2023-10-16"

// Config configures a simulator. The zero value works: one key, wall time, no webhooks, fees at once, no saved state.
type Config struct {
	// APIKeys are the accepted secret keys. Default sk_test_simulated. The permissions of restricted keys (rk_test_…)
	// are not checked.
	APIKeys []string
	// Clock is the simulated time. Default NewClock().
	Clock *Clock
	// BaseURL is the address of this simulator for browsers, such as http://127.0.0.1:12111. It becomes part of
	// session.url. Default: the address of the API request.
	BaseURL string
	// Endpoints are the initial webhook endpoints. Default none.
	Endpoints []Endpoint
	// FeeDelay is how long after a charge, on Clock, its balance transaction becomes visible, announced by
	// charge.updated. Default zero: at once, and charge.succeeded has it already.
	FeeDelay time.Duration
	// StatePath is the file that the state is loaded from and saved to: atomically, about a tenth of a second after a
	// change (later with thousands of donations) and at Close. A kill loses at most what changed since. Default empty:
	// the state is not saved.
	StatePath string
	// Logger receives failed deliveries and saves. Default: nothing is logged.
	Logger *slog.Logger
	// RetryBase is the pause before the first retry of a webhook, in wall time. It doubles up to 64 times itself.
	// Default one second.
	RetryBase time.Duration
	// OnEvent is called for each event as it happens, delivered or not; payload renders its body. It must not call the
	// simulator. Default nil: not called.
	OnEvent func(kind string, payload func() []byte)
}

// Endpoint is a webhook endpoint.
type Endpoint struct {
	URL string
	// Secret is the signing secret (whsec_…). Several, comma-separated, give several v1 signatures, as while a secret
	// is being rolled.
	Secret string
	// Connect: it receives the events of connected accounts, whose envelope has "account"; otherwise the platform's
	// own.
	Connect bool
	// Events are its event types; nil for all.
	Events []string
}

// Sim is a running simulator. Create it with New; all methods are safe for concurrent use.
type Sim struct {
	cfg   Config
	clock *Clock
	log   *slog.Logger

	mu       sync.Mutex
	platform *world
	worlds   map[string]*world // by account id, the platform's included
	agenda   agenda
	outbox   []*event               // events of the current locked section, in order
	changed  bool                   // in the current locked section
	idem     map[string]*idemRecord // by account and key
	swept    time.Time              // when old keys were last looked for
	faults   []*Fault
	requests []*Request
	limit    int         // requests a second; 0: any number
	recent   []time.Time // of the last second, while there is a limit
	limited  int         // requests that the limit refused

	dispatcher *dispatcher
	handler    http.Handler
	wake       chan struct{} // the agenda may have a new first item
	dirty      chan struct{} // the state must be saved
	stop       chan struct{}
	closeOnce  sync.Once
	running    sync.WaitGroup
	unsub      func()
}

// New starts a simulator. Its timers run and its webhooks are delivered until Close. It fails when the state file
// exists and cannot be read.
func New(cfg Config) (*Sim, error) {
	if len(cfg.APIKeys) == 0 {
		cfg.APIKeys = []string{"sk_test_simulated"}
	}
	if cfg.Clock == nil {
		cfg.Clock = NewClock()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if cfg.RetryBase <= 0 {
		cfg.RetryBase = time.Second
	}
	cfg.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	s := &Sim{
		cfg:    cfg,
		clock:  cfg.Clock,
		log:    cfg.Logger,
		worlds: map[string]*world{},
		idem:   map[string]*idemRecord{},
		wake:   make(chan struct{}, 1),
		dirty:  make(chan struct{}, 1),
		stop:   make(chan struct{}),
	}
	s.platform = newWorld(newID("acct_", 16), false, s.clock.Now())
	s.dispatcher = newDispatcher(s, cfg.Endpoints)
	if cfg.StatePath != "" {
		if err := s.load(); err != nil {
			return nil, fmt.Errorf("stripesim: load %s: %w", cfg.StatePath, err)
		}
	}
	// load may have replaced the platform, so it is registered only now.
	s.worlds[s.platform.ID] = s.platform
	s.handler = s.routes()
	s.unsub = s.clock.subscribe(s.clockChanged)
	// The agenda performs at once what became due while no simulator ran, and its events need a dispatcher.
	s.dispatcher.start()
	s.running.Go(s.runAgenda)
	s.running.Go(s.runSaver)
	return s, nil
}

// Handler serves the API under /v1/, the hosted payment page under /pay/ and the controls under /_sim/. It must be
// reachable on loopback only, because the controls have no password.
func (s *Sim) Handler() http.Handler { return s.handler }

// Close stops timers and deliveries, waits for deliveries in progress until ctx ends, and saves the state. Undelivered
// events are delivered by the next simulator with the same state file. A second Close does nothing.
func (s *Sim) Close(ctx context.Context) error {
	var err error
	s.closeOnce.Do(func() {
		s.unsub()
		close(s.stop)
		err = s.dispatcher.close(ctx)
		s.running.Wait()
		if s.cfg.StatePath != "" {
			if saveErr := s.save(); saveErr != nil {
				err = saveErr
			}
		}
	})
	return err
}

// AddAccount registers a connected account (acct_…) with charges enabled. Requests for an unregistered account get
// Stripe's 403. Registering twice does nothing.
func (s *Sim) AddAccount(id string) {
	now := s.lock()
	defer s.unlock()
	if s.worlds[id] == nil {
		s.worlds[id] = newWorld(id, true, now)
		s.changed = true
	}
}

// Account returns the id of the platform's own account.
func (s *Sim) Account() string {
	s.lock()
	defer s.unlock()
	return s.platform.ID
}

// SetEndpoints replaces the webhook endpoints. The first one of a kind (platform, Connect) stays the same endpoint with
// a new URL and secret, as if it had been edited, and gets what waits for it; likewise the second, and so on.
// Deliveries of a removed endpoint wait until there is one in its place again.
func (s *Sim) SetEndpoints(endpoints []Endpoint) { s.dispatcher.setEndpoints(endpoints) }

// world returns the account's world, the platform's for "", nil when it is not registered.
func (s *Sim) world(account string) *world {
	if account == "" {
		return s.platform
	}
	return s.worlds[account]
}

// lock locks the simulated world and returns its time, after performing everything that is due.
func (s *Sim) lock() time.Time {
	s.mu.Lock()
	now := s.clock.Now()
	s.catchUp(now)
	return now
}

// unlock unlocks the world. Its events go to the dispatcher together, so that all events of a flow are waiting when the
// first one is chosen.
func (s *Sim) unlock() {
	if len(s.outbox) > 0 {
		if s.cfg.OnEvent != nil {
			for _, e := range s.outbox {
				s.cfg.OnEvent(e.Type, e.payload)
			}
		}
		s.dispatcher.enqueue(s.outbox)
		s.outbox = nil
	}
	if s.changed {
		s.changed = false
		signal(s.dirty)
		signal(s.wake)
	}
	s.mu.Unlock()
}

// signal wakes the one reader of c, if it is waiting.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

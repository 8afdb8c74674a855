package instance

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/connect"
	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/notices"
	"github.com/cagnotte/cagnotte/services/webhooks"
)

// Config configures a Service. Fields without a stated default are required.
type Config struct {
	Pool        *pgxpool.Pool
	Stripe      *stripe.Client
	Webhooks    *webhooks.Service
	Connect     *connect.Service
	Collectives *collectives.Service
	Notices     *notices.Service
	Ledger      *ledger.Service
	Audit       *audit.Service
	// Jobs inserts jobs. It need not work them.
	Jobs *river.Client[pgx.Tx]
	// Mail sends the test mail. Default nil: no mail server is set.
	Mail *mail.Sender
	// SMTPURL is the setting that Mail was made from. Default empty: none is set.
	SMTPURL string
	// PublicURL is the address for browsers, without a slash at its end.
	PublicURL string
	// SecretKey opens the stored signing secrets in a check. Default empty: they are not looked at.
	SecretKey []byte
	// Version names the program, such as "v1.4.0".
	Version string
	// CallerAddress returns the mail address and the language of the calling member; empty for a key that belongs to no
	// member. Default: always empty.
	CallerAddress func(ctx context.Context) (email, language string, err error)
	// Now returns the time. Default time.Now.
	Now func() time.Time
}

// Service tells the state of the installation and checks it. It is safe for concurrent use.
type Service struct {
	cfg Config
}

// New returns a Service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.CallerAddress == nil {
		cfg.CallerAddress = func(context.Context) (string, string, error) { return "", "", nil }
	}
	return &Service{cfg: cfg}
}

// now is the time in the precision of Postgres.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// name is the instance's resource name.
const name = "instance"

// State is the state of the installation.
type State struct {
	Version string
	// Applied of the Needed migrations are applied.
	Applied, Needed int64
	PublicURL       string
	Mail            MailState
	Stripe          StripeState
	Endpoints       []EndpointState
	Queue           Queue
	Open            OpenWork
	// Verification is the newest one; nil before the first.
	Verification *Verification
}

// MailState tells whether mail can be sent. TestTime is zero before the first test, and TestFailure empty when it was taken.
type MailState struct {
	Configured  bool
	TestTime    time.Time
	TestFailure string
}

// StripeState is what is known of Stripe without asking it.
type StripeState struct {
	Livemode   bool
	KeyCount   int
	Restricted bool
	// Account is the platform's own, which the books are bound to; empty while it is not known.
	Account string
	// Check is the last one; nil before the first.
	Check *StripeCheck
}

// EndpointState is one webhook endpoint of this program.
type EndpointState struct {
	Kind webhooks.Endpoint
	URL  string
	// SettingsSecrets and StoredSecrets are how many signing secrets there are.
	SettingsSecrets, StoredSecrets int
	// Stored is Stripe's id of the endpoint whose secret was stored last, at StoreTime.
	Stored    string
	StoreTime time.Time
	// LastDelivery is when an event last came, within 30 days.
	LastDelivery time.Time
}

// OpenWork is what waits for somebody.
type OpenWork struct {
	DeadEvents, Parked, Notices, Applications, FailingAccounts int64
}

// Get returns the state of the installation. It calls neither Stripe nor the mail server.
func (s *Service) Get(ctx context.Context) (State, error) {
	st := State{Version: s.cfg.Version, PublicURL: s.cfg.PublicURL}
	var err error
	if st.Applied, st.Needed, err = postgres.SchemaState(ctx, s.cfg.Pool); err != nil {
		return State{}, err
	}
	if st.Mail, err = s.mailState(ctx); err != nil {
		return State{}, err
	}
	if st.Stripe, err = s.stripeState(ctx); err != nil {
		return State{}, err
	}
	if st.Endpoints, err = s.endpointStates(ctx); err != nil {
		return State{}, err
	}
	if st.Queue, err = s.queue(ctx); err != nil {
		return State{}, err
	}
	if st.Open, err = s.openWork(ctx); err != nil {
		return State{}, err
	}
	newest, err := s.ListVerifications(ctx, newest, 1)
	if err == nil && len(newest) > 0 {
		st.Verification = &newest[0]
	}
	return st, err
}

func (s *Service) mailState(ctx context.Context) (MailState, error) {
	m := MailState{Configured: s.cfg.Mail.Enabled()}
	last, _, err := s.lastCheck(ctx, checkMail)
	if last != nil {
		m.TestTime, m.TestFailure = last.time, last.failure
	}
	return m, err
}

func (s *Service) stripeState(ctx context.Context) (StripeState, error) {
	keys := s.cfg.Stripe.EachKey()
	st := StripeState{Livemode: s.cfg.Stripe.Livemode(), KeyCount: len(keys), Restricted: true}
	for _, key := range keys {
		st.Restricted = st.Restricted && key.Restricted()
	}
	var err error
	if st.Account, err = s.cfg.Connect.PlatformAccount(ctx); err != nil {
		return StripeState{}, err
	}
	last, findings, err := s.lastCheck(ctx, checkStripe)
	if last != nil {
		st.Check = &StripeCheck{Time: last.time, Findings: findings}
	}
	return st, err
}

func (s *Service) endpointStates(ctx context.Context) ([]EndpointState, error) {
	stored, err := s.cfg.Webhooks.StoredSecrets(ctx)
	if err != nil {
		return nil, err
	}
	var all []EndpointState
	for _, e := range endpoints {
		st := EndpointState{Kind: e.kind, URL: s.cfg.PublicURL + e.path, SettingsSecrets: s.cfg.Webhooks.SettingsSecretCount(e.kind)}
		for _, secret := range stored {
			if secret.Endpoint != e.kind || !secret.Readable {
				continue
			}
			// The newest comes first.
			if st.StoredSecrets++; st.StoredSecrets == 1 {
				st.Stored, st.StoreTime = secret.EndpointID, secret.CreateTime
			}
		}
		if st.LastDelivery, err = s.cfg.Webhooks.LastDelivery(ctx, e.kind); err != nil {
			return nil, err
		}
		all = append(all, st)
	}
	return all, nil
}

func (s *Service) openWork(ctx context.Context) (w OpenWork, err error) {
	accounts, err := s.cfg.Connect.StripeAccounts(ctx)
	if err != nil {
		return w, err
	}
	healths, err := s.cfg.Webhooks.Healths(ctx, accounts)
	if err != nil {
		return w, err
	}
	for _, h := range healths {
		w.DeadEvents += h.Dead
		w.Parked += h.Parked
		if h.SyncFailures > 0 {
			w.FailingAccounts++
		}
	}
	if w.Notices, err = s.cfg.Notices.OpenCount(ctx, ""); err != nil {
		return w, err
	}
	w.Applications, err = s.cfg.Collectives.WaitingApplications(ctx)
	return w, err
}

// The kinds of checks whose last outcome is stored.
const (
	checkMail   = "mail"
	checkStripe = "stripe"
)

// outcome is the last outcome of a check.
type outcome struct {
	time    time.Time
	failure string
}

const lastCheckSQL = `
SELECT
	c.checked_at,
	c.failure_reason,
	coalesce(c.findings, '[]')
FROM instance.checks AS c
WHERE c.kind = @kind`

// lastCheck returns the last outcome of a kind; nil before the first.
func (s *Service) lastCheck(ctx context.Context, kind string) (*outcome, []Finding, error) {
	var o outcome
	var raw []byte
	err := s.cfg.Pool.QueryRow(ctx, lastCheckSQL, pgx.NamedArgs{"kind": kind}).Scan(&o.time, &o.failure, &raw)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, postgres.Error(err)
	}
	o.time = o.time.UTC()
	var findings []Finding
	if err := json.Unmarshal(raw, &findings); err != nil {
		return nil, nil, err
	}
	return &o, findings, nil
}

const storeCheckSQL = `
INSERT INTO instance.checks (kind, checked_at, failure_reason, findings)
VALUES (@kind, @now, @failure, @findings)
ON CONFLICT (kind) DO UPDATE
SET
	checked_at = excluded.checked_at,
	failure_reason = excluded.failure_reason,
	findings = excluded.findings`

// storeCheckTx stores the outcome of a check in place of the last one of its kind.
func (s *Service) storeCheckTx(ctx context.Context, tx pgx.Tx, kind string, o outcome, findings []Finding) error {
	raw, err := json.Marshal(findings)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, storeCheckSQL, pgx.NamedArgs{"kind": kind, "now": o.time, "failure": o.failure, "findings": raw})
	return postgres.Error(err)
}

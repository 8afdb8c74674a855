package webhooks

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const (
	// secretsAge is how long the stored secrets are used before they are read again: one that was deleted is accepted
	// no longer.
	secretsAge = time.Minute
	// secretsPause is the shortest time between two readings. A delivery that no secret fits causes one, so that a new
	// secret works at once in every copy of the program.
	secretsPause = 2 * time.Second
	// secretOverlap is how long the secret of an endpoint is kept after another endpoint of its kind has a newer one.
	secretOverlap = 7 * 24 * time.Hour
)

// StoredSecret is an endpoint whose signing secret is stored, without the secret.
type StoredSecret struct {
	// EndpointID is Stripe's id of the endpoint.
	EndpointID string
	Endpoint   Endpoint
	URL        string
	Livemode   bool
	CreateTime time.Time
	// Readable is false when the secret was encrypted under another CAGNOTTE_SECRET_KEY, so that it is of no use.
	Readable bool

	secret string
}

// secretCache holds the stored secrets, so that a delivery does not read them.
type secretCache struct {
	mu   sync.Mutex
	all  []StoredSecret
	read time.Time
}

// kindOf are the names of the endpoints in the database.
var kindOf = map[Endpoint]string{EndpointPlatform: "platform", EndpointConnect: "connect"}

// storeSecretSQL keeps the first secret of an endpoint: Stripe tells each once, so a second is the same.
const storeSecretSQL = `
INSERT INTO webhooks.endpoint_secrets (endpoint_id, kind, url, livemode, sealed, created_at)
VALUES (@endpoint_id, @kind, @url, @livemode, @sealed, @now)
ON CONFLICT (endpoint_id) DO NOTHING`

// forgetSecretsSQL deletes what a newer secret of the kind has replaced for long enough.
const forgetSecretsSQL = `
DELETE FROM webhooks.endpoint_secrets AS e
WHERE e.kind = @kind
	AND EXISTS (
		SELECT
		FROM webhooks.endpoint_secrets AS newer
		WHERE newer.kind = e.kind
			AND newer.created_at > e.created_at
			AND newer.created_at <= @before
	)`

// StoreSecretTx stores the signing secret of an endpoint that was made at Stripe, encrypted. From then on all copies of the
// program accept it, beside those of the settings. Repeating it is safe.
func (s *Service) StoreSecretTx(ctx context.Context, tx pgx.Tx, e StoredSecret, secret string) error {
	sealed, err := s.sealSecret(e.EndpointID, secret)
	if err != nil {
		return errs.Internal(err)
	}
	kind := kindOf[e.Endpoint]
	if _, err := tx.Exec(ctx, storeSecretSQL, pgx.NamedArgs{
		"endpoint_id": e.EndpointID, "kind": kind, "url": e.URL, "livemode": e.Livemode, "sealed": sealed, "now": s.now(),
	}); err != nil {
		return postgres.Error(err)
	}
	_, err = tx.Exec(ctx, forgetSecretsSQL, pgx.NamedArgs{"kind": kind, "before": s.now().Add(-secretOverlap)})
	return postgres.Error(err)
}

const storedSecretsSQL = `
SELECT
	e.endpoint_id,
	e.kind,
	e.url,
	e.livemode,
	e.sealed,
	e.created_at
FROM webhooks.endpoint_secrets AS e
ORDER BY
	e.created_at DESC,
	e.endpoint_id`

// StoredSecrets returns the endpoints whose secrets are stored, the newest first.
func (s *Service) StoredSecrets(ctx context.Context) ([]StoredSecret, error) {
	rows, err := s.cfg.Pool.Query(ctx, storedSecretsSQL)
	if err != nil {
		return nil, postgres.Error(err)
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (e StoredSecret, err error) {
		var kind string
		var sealed []byte
		if err := r.Scan(&e.EndpointID, &kind, &e.URL, &e.Livemode, &sealed, &e.CreateTime); err != nil {
			return e, err
		}
		for endpoint, name := range kindOf {
			if name == kind {
				e.Endpoint = endpoint
			}
		}
		e.CreateTime = e.CreateTime.UTC()
		// An error means another key, and no error of the list's.
		e.secret, err = s.openSecret(e.EndpointID, sealed)
		e.Readable = err == nil
		return e, nil
	})
	return all, postgres.Error(err)
}

// secretsOf returns the signing secrets of an endpoint, those of the settings and the stored ones. With again it reads the
// stored ones anew, unless that was done a moment ago: then fresh is false.
func (s *Service) secretsOf(ctx context.Context, endpoint Endpoint, again bool) (secrets []string, fresh bool) {
	secrets = s.cfg.Secrets
	if endpoint == EndpointConnect {
		secrets = s.cfg.ConnectSecrets
	}
	if len(s.cfg.SecretKey) == 0 {
		return secrets, false
	}
	c := &s.stored
	c.mu.Lock()
	defer c.mu.Unlock()
	// By the wall clock, since it is about this program's memory.
	if age := time.Since(c.read); age >= secretsAge || again && age >= secretsPause {
		// After a failure the old ones stay, and the settings' work in any case.
		if all, err := s.StoredSecrets(ctx); err == nil {
			c.all, c.read, fresh = all, time.Now(), true
		}
	}
	secrets = slices.Clone(secrets)
	for _, e := range c.all {
		if e.Endpoint == endpoint && e.Readable {
			secrets = append(secrets, e.secret)
		}
	}
	return secrets, fresh
}

// sealSecret encrypts a secret for the endpoint of this id. Under another id it cannot be opened.
func (s *Service) sealSecret(id, secret string) ([]byte, error) {
	sealer, err := s.sealer()
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, sealer.NonceSize())
	_, _ = rand.Read(nonce) // it never fails
	return sealer.Seal(nonce, nonce, []byte(secret), []byte(id)), nil
}

func (s *Service) openSecret(id string, sealed []byte) (string, error) {
	sealer, err := s.sealer()
	if err != nil {
		return "", err
	}
	if len(sealed) < sealer.NonceSize() {
		return "", errors.New("webhooks: a stored secret is too short")
	}
	secret, err := sealer.Open(nil, sealed[:sealer.NonceSize()], sealed[sealer.NonceSize():], []byte(id))
	return string(secret), err
}

// sealer has a key of its own, derived from the program's.
func (s *Service) sealer() (cipher.AEAD, error) {
	if len(s.cfg.SecretKey) == 0 {
		return nil, errors.New("webhooks: no secret key is set")
	}
	key, err := hkdf.Key(sha256.New, s.cfg.SecretKey, nil, "cagnotte webhooks endpoint secret 1", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// lastDeliverySQL returns when an event last came by webhook, of the platform's own account or of any connected one.
// events_received_idx begins with the time, so it stops at the first event of each kind, and after 30 days at the latest.
const lastDeliverySQL = `
SELECT e.received_at
FROM webhooks.events AS e
WHERE e.received_at >= @since
	AND NOT e.backfilled
	AND (e.account <> '') = @connected
ORDER BY
	e.received_at DESC,
	e.account DESC,
	e.id DESC
LIMIT 1`

// LastDelivery returns when an event last came to an endpoint, within 30 days; zero when none did.
func (s *Service) LastDelivery(ctx context.Context, endpoint Endpoint) (at time.Time, err error) {
	err = s.cfg.Pool.QueryRow(ctx, lastDeliverySQL, pgx.NamedArgs{
		"since": s.now().AddDate(0, 0, -30), "connected": endpoint == EndpointConnect,
	}).Scan(&at)
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, nil
	}
	return at.UTC(), postgres.Error(err)
}

// SettingsSecretCount is how many signing secrets the settings have for an endpoint.
func (s *Service) SettingsSecretCount(endpoint Endpoint) int {
	if endpoint == EndpointConnect {
		return len(s.cfg.ConnectSecrets)
	}
	return len(s.cfg.Secrets)
}

package webhooks

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// signed is a delivery of an event of the platform's own account, and its signature.
func signed(id, secret string) (payload []byte, signature string) {
	now := time.Now()
	payload = fmt.Appendf(nil, `{"id":%q,"type":"payout.paid","created":%d,"livemode":false,"api_version":"2023-10-16","data":{"object":{"id":"po_1","object":"payout"}}}`, id, now.Unix())
	return payload, sign(payload, secret, now)
}

func storeSecret(t *testing.T, s *Service, e StoredSecret, secret string) {
	t.Helper()
	err := postgres.InTx(t.Context(), s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		return s.StoreSecretTx(ctx, tx, e, secret)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStoredSecrets(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	s := New(e.webhooks.cfg)
	s.cfg.SecretKey = bytes.Repeat([]byte("k"), 32)
	receive := func(s *Service, id, secret string, endpoint Endpoint) error {
		payload, signature := signed(id, secret)
		return s.Receive(t.Context(), payload, signature, endpoint)
	}
	refused := func(err error) bool { return err != nil && errs.As(err).Reason == errorsv1.ErrorReason_BAD_SIGNATURE }
	made := StoredSecret{EndpointID: "we_1", Endpoint: EndpointPlatform, URL: "https://cagnotte.example/v1/webhooks/stripe"}
	if err := receive(s, "evt_1", "whsec_stored", EndpointPlatform); !refused(err) {
		t.Fatalf("before it is stored: %v", err)
	}
	s.stored.read = time.Time{} // the pause is over
	for range 2 {
		storeSecret(t, s, made, "whsec_stored")
	}
	t.Run("fit, beside those of the settings", func(t *testing.T) {
		for i, secret := range []string{"whsec_stored", platformSecret} {
			if err := receive(s, fmt.Sprint("evt_ok_", i), secret, EndpointPlatform); err != nil {
				t.Errorf("%s: %v", secret, err)
			}
		}
	})
	t.Run("are those of one endpoint", func(t *testing.T) {
		if err := receive(s, "evt_other", "whsec_stored", EndpointConnect); !refused(err) {
			t.Error(err)
		}
	})
	t.Run("work at once in another copy of the program", func(t *testing.T) {
		other := New(s.cfg)
		if err := receive(other, "evt_before", platformSecret, EndpointPlatform); err != nil {
			t.Fatal(err)
		}
		storeSecret(t, s, StoredSecret{EndpointID: "we_2", Endpoint: EndpointPlatform}, "whsec_newer")
		other.stored.read = time.Now().Add(-secretsPause)
		if err := receive(other, "evt_after", "whsec_newer", EndpointPlatform); err != nil {
			t.Error(err)
		}
	})
	t.Run("are not read after each delivery that is refused", func(t *testing.T) {
		if _, fresh := s.secretsOf(t.Context(), EndpointPlatform, true); fresh {
			return // the pause is over by now
		}
		if _, fresh := s.secretsOf(t.Context(), EndpointPlatform, true); fresh {
			t.Error("they are")
		}
	})
	t.Run("are stored encrypted, for their endpoint, under the program's key", func(t *testing.T) {
		var sealed []byte
		if err := e.pool.QueryRow(t.Context(), `SELECT sealed FROM webhooks.endpoint_secrets WHERE endpoint_id = 'we_1'`).Scan(&sealed); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(sealed, []byte("whsec")) {
			t.Error("the secret can be read")
		}
		if _, err := s.openSecret("we_2", sealed); err == nil {
			t.Error("it opens for another endpoint")
		}
		other := New(s.cfg)
		other.cfg.SecretKey = bytes.Repeat([]byte("x"), 32)
		all, err := other.StoredSecrets(t.Context())
		if err != nil || len(all) != 2 || all[0].Readable || all[0].EndpointID != "we_2" {
			t.Errorf("%+v, %v", all, err)
		}
		if err := receive(other, "evt_x", "whsec_stored", EndpointPlatform); !refused(err) {
			t.Error(err)
		}
	})
	t.Run("are forgotten a while after a newer one", func(t *testing.T) {
		e.clock.Advance(secretOverlap + time.Hour)
		storeSecret(t, s, StoredSecret{EndpointID: "we_3", Endpoint: EndpointPlatform}, "whsec_third")
		all, err := s.StoredSecrets(t.Context())
		if err != nil || len(all) != 2 || all[0].EndpointID != "we_3" || all[1].EndpointID != "we_2" {
			t.Errorf("%+v, %v", all, err)
		}
	})
	if at, err := s.LastDelivery(t.Context(), EndpointPlatform); err != nil || at.IsZero() {
		t.Errorf("last delivery %v, %v", at, err)
	}
	if at, err := s.LastDelivery(t.Context(), EndpointConnect); err != nil || !at.IsZero() {
		t.Errorf("last delivery of connected accounts %v, %v", at, err)
	}
}

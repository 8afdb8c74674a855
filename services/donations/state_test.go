package donations

import (
	"fmt"
	"testing"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

var allStates = []State{
	StateCreated, StatePending, StateSucceeded, StateExpired, StateFailed, StateCanceled,
	StatePartiallyRefunded, StateRefunded, StateDisputed,
}

// The Go code and the trigger have the same table of transitions.
func TestTheDatabaseHasTheSameTransitions(t *testing.T) {
	e := newEnv(t)
	paid := func(s State) string {
		switch s {
		case StateSucceeded, StatePartiallyRefunded, StateRefunded, StateDisputed:
			return "now()"
		}
		return "NULL"
	}
	for _, from := range allStates {
		for _, to := range allStates {
			tx, err := e.pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = tx.Exec(t.Context(), fmt.Sprintf(`
				INSERT INTO donations.donations (id, collective, campaign, request_id, fingerprint, amount_minor, currency, locale,
					return_url, stripe_account, livemode, state, paid_at, created_at, updated_at)
				VALUES (gen_random_uuid(), 'a', 'b', gen_random_uuid(), sha256(''), 1, 'EUR', 'fr', '', '', false, '%s', %s, now(), now())`,
				from, paid(from)))
			if err != nil {
				t.Fatal(err)
			}
			_, err = tx.Exec(t.Context(), fmt.Sprintf("UPDATE donations.donations SET state = '%s', paid_at = %s", to, paid(to)))
			if rollback := tx.Rollback(t.Context()); rollback != nil {
				t.Fatal(rollback)
			}
			want := from.CanBecome(to) || from == to
			if (err == nil) != want {
				t.Errorf("%s to %s: Go allows it: %v, the database says %v", from, to, want, err)
			}
			if !want && !postgres.Constraint(err, "donations_state_forward") {
				t.Errorf("%s to %s: err = %v", from, to, err)
			}
		}
	}
}

func TestTheIntentDoesNotChange(t *testing.T) {
	e := newEnv(t)
	e.create(intent())
	for column, value := range map[string]string{
		"id": "gen_random_uuid()", "collective": "'other'", "campaign": "'other'", "request_id": "gen_random_uuid()",
		"fingerprint": "sha256('x')", "amount_minor": "1", "currency": "'USD'", "locale": "'en'", "return_url": "'x'",
		"stripe_account": "'acct_1'", "livemode": "true", "created_at": "now() - interval '1 day'",
		"attempt": "0, session_expires_at = NULL", "checkout_session_id": "'cs_other'",
	} {
		_, err := e.pool.Exec(t.Context(), fmt.Sprintf("UPDATE donations.donations SET %s = %s", column, value))
		if !postgres.Constraint(err, "donations_immutable") && !postgres.Constraint(err, "donations_progress_forward") {
			t.Errorf("%s can change: %v", column, err)
		}
	}
	if _, err := e.pool.Exec(t.Context(), "DELETE FROM donations.donations"); err == nil {
		t.Error("the service can delete donations")
	}
}

func TestEveryStateHasAnOutcome(t *testing.T) {
	for _, s := range allStates {
		if states[s] == 0 || outcomes[s] == 0 {
			t.Errorf("%s has state %v and outcome %v", s, states[s], outcomes[s])
		}
	}
}

package refunds

import (
	"fmt"
	"slices"
	"testing"

	disputesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/disputes/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

var allStates = []State{
	StateAwaitingApproval, StateApproved, StateSubmitted, StatePending, StateSucceeded, StateFailed, StateRejected,
	StateCanceled,
}

// The Go code and the trigger have the same table of transitions.
func TestTheDatabaseHasTheSameTransitionsOfRefunds(t *testing.T) {
	e := newEnv(t)
	d, _ := e.paid()
	for _, from := range allStates {
		for _, to := range allStates {
			tx, err := e.pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			stripeID := "NULL"
			if slices.Contains([]State{StateSubmitted, StatePending, StateSucceeded, StateFailed, StateCanceled}, from) {
				stripeID = "'re_1'"
			}
			_, err = tx.Exec(t.Context(), fmt.Sprintf(`
				INSERT INTO refunds.refunds (id, donation, collective, stripe_account, origin, request_id, fingerprint, amount_minor,
					currency, reason, requested_by, state, stripe_refund_id, created_at, updated_at)
				VALUES (gen_random_uuid(), $1, 'vallon', '', 'member', gen_random_uuid(), sha256(''), 1, 'EUR', 'other', 'a', '%s', %s,
					now(), now())`, from, stripeID), d.ID)
			if err != nil {
				t.Fatalf("%s: %v", from, err)
			}
			_, err = tx.Exec(t.Context(), fmt.Sprintf("UPDATE refunds.refunds SET state = '%s'", to))
			if rollback := tx.Rollback(t.Context()); rollback != nil {
				t.Fatal(rollback)
			}
			want := from.CanBecome(to) || from == to
			if (err == nil) != want {
				t.Errorf("%s to %s: Go allows it: %v, the database says %v", from, to, want, err)
			}
			if !want && !postgres.Constraint(err, "refunds_state_forward") {
				t.Errorf("%s to %s: err = %v", from, to, err)
			}
		}
	}
}

func TestTheDatabaseProtectsRefunds(t *testing.T) {
	e := newEnv(t)
	d, _ := e.paid()
	r := e.refund(requestFor(d, 5_00))
	for column, value := range map[string]string{
		"amount_minor": "1", "currency": "'USD'", "requested_by": "'x'", "note": "'x'", "donation": "gen_random_uuid()",
		"request_id": "gen_random_uuid()", "origin": "'stripe'",
	} {
		if err := e.exec(fmt.Sprintf("UPDATE refunds.refunds SET %s = %s", column, value)); err == nil {
			t.Errorf("%s can change", column)
		}
	}
	if err := e.exec("UPDATE refunds.refunds SET reviewed_by = requested_by"); !postgres.Constraint(err, "refunds_second_member") {
		t.Errorf("who asked can approve: %v", err)
	}
	if err := e.exec("UPDATE refunds.refunds SET stripe_refund_id = 're_1'"); !postgres.Constraint(err, "refunds_unsent") {
		t.Errorf("what was not sent is at Stripe: %v", err)
	}
	if err := e.exec("DELETE FROM refunds.refunds"); err == nil {
		t.Error("the service can delete refunds")
	}
	e.refundIs(r.ID, StateApproved)
}

func TestEveryStateHasAProtoValue(t *testing.T) {
	for _, s := range allStates {
		if states[s] == refundsv1.RefundState_REFUND_STATE_UNSPECIFIED || statesFromProto[states[s]] != s {
			t.Errorf("%s is %v", s, states[s])
		}
	}
	for s := range disputeRank {
		if disputeStates[s] == disputesv1.DisputeState_DISPUTE_STATE_UNSPECIFIED {
			t.Errorf("%s has no word", s)
		}
	}
}

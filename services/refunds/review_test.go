package refunds

import (
	"context"
	"sync"
	"testing"

	"github.com/google/uuid"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/money"
)

// awaiting is a refund that needs a second member.
func (e *env) awaiting() (donations.Donation, Refund) {
	e.t.Helper()
	if _, err := e.groups.Update(e.t.Context(), "vallon", "", func(c *collectives.Collective) error {
		c.RefundApproval = money.Amount{Minor: 1_00, Currency: money.EUR}
		return nil
	}); err != nil {
		e.t.Fatal(err)
	}
	d, _ := e.paid()
	r := e.refund(requestFor(d, 5_00))
	if r.State != StateAwaitingApproval {
		e.t.Fatalf("it is %s", r.State)
	}
	return d, r
}

// A key that is revoked after it was authenticated, and before its approval is stored, approves nothing.
func TestAKeyThatIsBeingRevokedApprovesNothing(t *testing.T) {
	e := newEnv(t)
	d, r := e.awaiting()
	revocation, err := e.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = revocation.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := revocation.Exec(t.Context(), "UPDATE access.api_keys SET revoked_at = now() WHERE id = 'two'"); err != nil {
		t.Fatal(err)
	}
	approved := make(chan error, 1)
	go func() {
		_, err := e.refunds.Approve(t.Context(), d.Campaign, d.ID, r.ID, ownerKey)
		approved <- err
	}()
	pgtest.WaitForLock(t, e.pool)
	if err := revocation.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantReason(t, <-approved, errorsv1.ErrorReason_INVALID_KEY)
	e.refundIs(r.ID, StateAwaitingApproval)
}

// One of many concurrent reviews decides: the refund is sent once, or rejected.
func TestConcurrentReviews(t *testing.T) {
	e := newEnv(t)
	third := e.key(t.Context(), "three")
	d, r := e.awaiting()
	var calls sync.WaitGroup
	var mu sync.Mutex
	decided := map[State]bool{}
	decide := func(change func(key string) (Refund, error), keys ...string) {
		for _, key := range keys {
			calls.Go(func() {
				got, err := change(key)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					decided[got.State] = true
				} else if reason := errs.As(err).Reason; reason != errorsv1.ErrorReason_REFUND_NOT_AWAITING_APPROVAL && reason != errorsv1.ErrorReason_SECOND_MEMBER_NEEDED {
					t.Errorf("%s: %v", key, err)
				}
			})
		}
	}
	decide(func(key string) (Refund, error) {
		return e.refunds.Approve(t.Context(), d.Campaign, d.ID, r.ID, key)
	}, ownerKey, third, treasurerKey)
	decide(func(key string) (Refund, error) {
		return e.refunds.Reject(t.Context(), d.Campaign, d.ID, r.ID, key)
	}, ownerKey, third, treasurerKey)
	calls.Wait()
	if len(decided) != 1 || decided[StateAwaitingApproval] {
		t.Fatalf("decided %v", decided)
	}
	var jobs, asker int
	if err := e.pool.QueryRow(t.Context(), "SELECT count(*) FROM river.river_job WHERE kind = $1", submitRefundArgs{}.Kind()).Scan(&jobs); err != nil {
		t.Fatal(err)
	}
	if want := map[bool]int{true: 1, false: 0}[decided[StateApproved]]; jobs != want {
		t.Errorf("%d jobs send it, decided %v", jobs, decided)
	}
	err := e.pool.QueryRow(t.Context(), "SELECT count(*) FROM refunds.refunds WHERE reviewed_by = requested_by OR reviewed_member = requested_member").Scan(&asker)
	if err != nil || asker != 0 {
		t.Errorf("%d were reviewed by who asked, %v", asker, err)
	}
}

// The database refuses reviews by the requesting member, and by keys of no member.
func TestTheDatabaseRequiresASecondMember(t *testing.T) {
	e := newEnv(t)
	_, r := e.awaiting()
	for what, sql := range map[string]string{
		"another key of the same member": "UPDATE refunds.refunds SET state = 'approved', reviewed_by = 'collectives/vallon/apiKeys/x', requested_member = 'm', reviewed_member = 'm' WHERE id = $1",
		"a key of nobody":                "UPDATE refunds.refunds SET state = 'approved', reviewed_by = 'collectives/vallon/apiKeys/x' WHERE id = $1",
	} {
		if _, err := e.pool.Exec(t.Context(), sql, r.ID); err == nil {
			t.Errorf("%s approved", what)
		}
	}
}

func TestApprovalChecksTheDonationAgain(t *testing.T) {
	e := newEnv(t)
	if err := e.exec("UPDATE collectives.collectives SET refund_approval_minor = 0, refund_approval_currency = 'EUR'"); err != nil {
		t.Fatal(err)
	}
	d, charge := e.paid()
	r := e.refund(requestFor(d, 15_00))
	if r.State != StateAwaitingApproval {
		t.Fatalf("it is %s", r.State)
	}
	id, err := e.sim.Refund(charge, 10_00)
	if err != nil {
		t.Fatal(err)
	}
	if ours, err := e.refunds.Read(t.Context(), "", id); err != nil || !ours {
		t.Fatalf("ours %v, %v", ours, err)
	}
	_, err = e.refunds.Approve(t.Context(), d.Campaign, d.ID, r.ID, ownerKey)
	wantReason(t, err, errorsv1.ErrorReason_REFUND_TOO_LARGE)
	e.refundIs(r.ID, StateAwaitingApproval)
	_, err = e.refunds.Approve(t.Context(), d.Campaign, d.ID, uuid.New(), ownerKey)
	wantReason(t, err, errorsv1.ErrorReason_NOT_FOUND)
}

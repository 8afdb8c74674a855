package connect_test

import (
	"context"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
)

func TestTheBooksAreOfOneStripeAccountAndMode(t *testing.T) {
	s, _, pool := fresh(t, nil, nil)
	ctx := context.Background()
	bind := func(account string, livemode bool) error { return s.BindPlatform(ctx, account, livemode) }
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() {
			if err := bind("", false); err != nil {
				t.Errorf("the first ones, at once: %v", err)
			}
		})
	}
	calls.Wait()
	errstest.Want(t, bind("", true), codes.FailedPrecondition, errorsv1.ErrorReason_OTHER_STRIPE)
	errstest.Want(t, bind("acct_live", true), codes.FailedPrecondition, errorsv1.ErrorReason_OTHER_STRIPE)
	// The first key that may read its account tells which it is.
	for range 2 {
		if err := bind("acct_1", false); err != nil {
			t.Error(err)
		}
	}
	errstest.Want(t, bind("acct_2", false), codes.FailedPrecondition, errorsv1.ErrorReason_OTHER_STRIPE)
	errstest.Want(t, bind("acct_1", true), codes.FailedPrecondition, errorsv1.ErrorReason_OTHER_STRIPE)
	if err := bind("", false); err != nil {
		t.Errorf("a key that may not read its account: %v", err)
	}
	if _, err := pool.Exec(ctx, "UPDATE connect.platform SET livemode = true"); err == nil {
		t.Error("the service can change the mode")
	}
}

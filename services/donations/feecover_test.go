package donations

import (
	"testing"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

func TestFeesThatCannotBeCovered(t *testing.T) {
	e := newEnv(t)
	in := intent()
	in.CoverFee = true
	if _, err := e.donations.Create(t.Context(), in); err == nil {
		t.Fatal("no error without an estimate")
	} else {
		wantReason(t, err, errorsv1.ErrorReason_FEE_COVER_UNAVAILABLE)
	}
	e.donations.cfg.Campaigns = campaigns.New(campaigns.Config{Pool: e.pool, FeeEstimate: campaigns.DefaultFeeEstimate, Now: e.clock.Now})
	covered := e.create(in)
	if covered.Amount.Minor != 20_56 || covered.FeeCover != (money.Amount{Minor: 56, Currency: money.EUR}) {
		t.Errorf("the donation is %v, of it %v for the fee", covered.Amount, covered.FeeCover)
	}
	// What is stored is what was computed then: another estimate later changes nothing.
	e.donations.cfg.Campaigns = campaigns.New(campaigns.Config{Pool: e.pool, FeeEstimate: campaigns.FeeEstimate{
		BasisPoints: 290, Fixed: money.Amount{Minor: 30, Currency: money.EUR},
	}, Now: e.clock.Now})
	if again := e.create(in); again.ID != covered.ID || again.Amount != covered.Amount {
		t.Errorf("repeated it is %v", again.Amount)
	}
	_, err := e.pool.Exec(t.Context(), "UPDATE donations.donations SET fee_cover_minor = 1 WHERE id = $1", covered.ID)
	if !postgres.Constraint(err, "donations_immutable") {
		t.Errorf("what was added for the fee can be changed: %v", err)
	}
}

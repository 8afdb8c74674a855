package refunds

import (
	"time"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// Claim is until when a donor's bank can take a payment back, even one that was refunded; zero for a payment that is no SEPA
// debit. https://docs.stripe.com/payments/sepa-debit#disputed-payments
type Claim struct {
	// Any is the end of the time for claims without a reason, eight weeks. Unauthorized is that for debits that the donor did
	// not authorise, thirteen months.
	Any, Unauthorized time.Time
}

// methodDebit is Stripe's word for a SEPA debit.
const methodDebit = "sepa_debit"

// claimOf returns the claim on a payment by this method at that time.
func claimOf(method string, paid time.Time) Claim {
	if method != methodDebit || paid.IsZero() {
		return Claim{}
	}
	return Claim{Any: paid.AddDate(0, 0, 8*7), Unauthorized: paid.AddDate(0, 13, 0)}
}

// check returns FAILED_PRECONDITION (DEBIT_CAN_BE_CLAIMED) while the bank can still take the payment back.
func (c Claim) check(now time.Time) error {
	switch {
	case !now.Before(c.Unauthorized): // or the claim is zero
		return nil
	case now.Before(c.Any):
		return errs.New(errorsv1.ErrorReason_DEBIT_CAN_BE_CLAIMED, "The donation was paid by SEPA debit. The donor’s bank can also take it back: without a "+
			"reason until %s, and until %s if the donor says that they did not authorise it. Then it would be paid back twice. Ask the donor not to "+
			"claim it at their bank, and set allow_debit to refund it nevertheless.", c.Any.Format(time.DateOnly), c.Unauthorized.Format(time.DateOnly))
	}
	return errs.New(errorsv1.ErrorReason_DEBIT_CAN_BE_CLAIMED, "The donation was paid by SEPA debit. The donor’s bank can also take it back until %s if the "+
		"donor says that they did not authorise it. Then it would be paid back twice. Ask the donor not to claim it at their bank, and set "+
		"allow_debit to refund it nevertheless.", c.Unauthorized.Format(time.DateOnly))
}

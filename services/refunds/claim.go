package refunds

import (
	"time"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// Claim is until when a donor's bank can take a payment back, whatever else became of it; zero for one that is no SEPA
// debit. https://docs.stripe.com/payments/sepa-debit#disputed-payments
type Claim struct {
	// Any is without a reason: eight weeks. Unauthorized is when the donor says that the debit was none of theirs:
	// thirteen months.
	Any, Unauthorized time.Time
}

// methodDebit is Stripe's word for a SEPA debit.
const methodDebit = "sepa_debit"

// claimOf is the claim on what was paid by the method at that time.
func claimOf(method string, paid time.Time) Claim {
	if method != methodDebit || paid.IsZero() {
		return Claim{}
	}
	return Claim{Any: paid.AddDate(0, 0, 8*7), Unauthorized: paid.AddDate(0, 13, 0)}
}

// check is FAILED_PRECONDITION (DEBIT_CAN_BE_CLAIMED) while the bank can still take the payment back.
func (c Claim) check(now time.Time) error {
	switch {
	case !now.Before(c.Unauthorized): // also when there is none
		return nil
	case now.Before(c.Any):
		return errs.New(errorsv1.ErrorReason_DEBIT_CAN_BE_CLAIMED, "The donation was paid by SEPA debit. Until %s the donor’s bank can take it back as well, "+
			"without giving a reason, and until %s if the donor says that they did not authorise it: then it is paid back twice. Ask the donor not "+
			"to claim it at their bank, and set allow_debit to refund it all the same.", c.Any.Format(time.DateOnly), c.Unauthorized.Format(time.DateOnly))
	}
	return errs.New(errorsv1.ErrorReason_DEBIT_CAN_BE_CLAIMED, "The donation was paid by SEPA debit. Until %s the donor’s bank can take it back as well, if "+
		"the donor says that they did not authorise it: then it is paid back twice. Ask the donor not to claim it at their bank, and set "+
		"allow_debit to refund it all the same.", c.Unauthorized.Format(time.DateOnly))
}

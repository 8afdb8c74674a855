package donations

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// book notes each movement in a transaction of its own.
func (e *env) book(d Donation, movements ...Movement) {
	e.t.Helper()
	for _, m := range movements {
		m.Donation, m.At = d.ID, e.clock.Now()
		if err := postgres.InTx(e.t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
			return e.donations.BookTx(ctx, tx, []Movement{m})
		}); err != nil {
			e.t.Fatal(err)
		}
	}
}

// The balance decides the state of a paid donation, in whatever order its movements become known.
func TestTheBalanceDecidesTheState(t *testing.T) {
	var (
		paid        = Movement{Charge: "ch_1", PaymentIntent: "pi_1", PaidMinor: 20_00}
		again       = Movement{Charge: "ch_2", PaymentIntent: "pi_2", PaidMinor: 20_00}
		part        = Movement{RefundedMinor: 5_00}
		whole       = Movement{RefundedMinor: 20_00}
		partFailed  = Movement{RefundedMinor: -5_00}
		wholeFailed = Movement{RefundedMinor: -20_00}
		disputed    = Movement{DisputedMinor: 20_00}
		won         = Movement{DisputedMinor: -20_00}
		claimed     = Movement{DisputedMinor: 8_00}
	)
	const (
		open     = donationsv1.DonationOutcome_DONATION_OUTCOME_OPEN
		received = donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED
		back     = donationsv1.DonationOutcome_DONATION_OUTCOME_REFUNDED
	)
	for rule, c := range map[string]struct {
		movements []Movement
		state     State
		outcome   donationsv1.DonationOutcome
	}{
		"paid":                         {[]Movement{paid}, StateSucceeded, received},
		"refunded in part":             {[]Movement{paid, part}, StatePartiallyRefunded, received},
		"refunded":                     {[]Movement{paid, whole}, StateRefunded, back},
		"a refund that failed":         {[]Movement{paid, whole, wholeFailed}, StateSucceeded, received},
		"a refund that failed in part": {[]Movement{paid, whole, partFailed}, StatePartiallyRefunded, received},
		"a refund that failed and was made again": {[]Movement{paid, whole, wholeFailed, whole}, StateRefunded, back},
		"disputed":               {[]Movement{paid, disputed}, StateDisputed, back},
		"a dispute that was won": {[]Movement{paid, disputed, won}, StateSucceeded, received},
		"a dispute that was won, of a donation refunded in part": {[]Movement{paid, part, disputed, won}, StatePartiallyRefunded, received},
		"a dispute of a part":                           {[]Movement{paid, claimed}, StateDisputed, received},
		"a dispute whose money came back in part":       {[]Movement{paid, disputed, {DisputedMinor: -8_00}}, StateDisputed, received},
		"a dispute after a full refund":                 {[]Movement{paid, whole, disputed}, StateDisputed, back},
		"a dispute after a full refund, won":            {[]Movement{paid, whole, disputed, won}, StateRefunded, back},
		"a refund that failed after a dispute was lost": {[]Movement{paid, whole, disputed, wholeFailed}, StateDisputed, back},
		"one that failed after a dispute was won":       {[]Movement{paid, whole, disputed, won, wholeFailed}, StateSucceeded, received},
		"a dispute that was won, of two":                {[]Movement{paid, disputed, disputed, won}, StateDisputed, back},
		"refunded after a dispute that was won":         {[]Movement{paid, disputed, won, whole}, StateRefunded, back},
		"a refund known before its payment":             {[]Movement{whole, paid}, StateRefunded, back},
		"a refund that failed before its payment":       {[]Movement{whole, wholeFailed, paid}, StateSucceeded, received},
		"a dispute known before its payment":            {[]Movement{disputed, paid}, StateDisputed, back},
		"a dispute won, all known before the payment":   {[]Movement{disputed, won, paid}, StateSucceeded, received},
		"a dispute won, and its loss known last":        {[]Movement{won, paid, disputed}, StateSucceeded, received},
		"paid twice, and given back once":               {[]Movement{paid, again, whole}, StateSucceeded, received},
		"paid twice, and given back twice":              {[]Movement{paid, again, whole, whole}, StateRefunded, back},
		"given back once, and then known as paid twice": {[]Movement{whole, paid, again}, StateSucceeded, received},
		"paid twice, and disputed once":                 {[]Movement{paid, again, disputed}, StateSucceeded, received},
		"paid twice, and disputed twice":                {[]Movement{paid, again, disputed, disputed}, StateDisputed, back},
		"paid twice, one won, one lost":                 {[]Movement{paid, again, disputed, disputed, won}, StateSucceeded, received},
		"paid twice, one disputed, one given back":      {[]Movement{paid, again, disputed, whole}, StateDisputed, back},
		"paid twice, one given back, one disputed":      {[]Movement{paid, again, whole, disputed}, StateDisputed, back},
		"disputed, and then known as paid twice":        {[]Movement{paid, disputed, again}, StateSucceeded, received},
		"disputed for a part, after another went back":  {[]Movement{paid, part, disputed}, StateDisputed, back},
		"a dispute without a payment":                   {[]Movement{disputed}, StateCreated, open},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			d := e.create(intent())
			e.book(d, c.movements...)
			got := e.reload(d)
			if got.State != c.state || outcome(got) != c.outcome {
				t.Errorf("state %s and outcome %s, want %s and %s", got.State, outcome(got), c.state, c.outcome)
			}
			// Noted in one transaction it is the same.
			other := e.create(intent())
			if err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
				all := make([]Movement, len(c.movements))
				for i, m := range c.movements {
					all[i], all[i].Donation, all[i].At = m, other.ID, e.clock.Now()
				}
				return e.donations.BookTx(ctx, tx, all)
			}); err != nil {
				t.Fatal(err)
			}
			if at := e.reload(other); at.State != c.state || outcome(at) != c.outcome {
				t.Errorf("at once: state %s and outcome %s, want %s and %s", at.State, outcome(at), c.state, c.outcome)
			}
		})
	}
}

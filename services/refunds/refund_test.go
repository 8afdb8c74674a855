package refunds

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	disputesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/disputes/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/money"
)

var allRefundStates = []RefundState{
	RefundAwaitingApproval, RefundApproved, RefundSubmitted, RefundPending, RefundSucceeded, RefundFailed, RefundRejected,
	RefundCanceled,
}

const (
	treasurerKey = "collectives/vallon/apiKeys/one"
	ownerKey     = "collectives/vallon/apiKeys/two"
)

// paid is a donation of 20 € that was paid, with its charge at Stripe.
func (e *env) paid() (d donations.Donation, charge string) {
	e.t.Helper()
	d = e.create(intent())
	if err := e.sim.Pay(d.CheckoutSession, stripesim.CardOK); err != nil {
		e.t.Fatal(err)
	}
	if err := e.donations.Refresh(e.t.Context(), d.ID); err != nil {
		e.t.Fatal(err)
	}
	for _, s := range e.sim.Sessions("") {
		if s.ID == d.CheckoutSession {
			charge = s.ChargeID
		}
	}
	d = e.reload(d)
	if d.State != donations.StateSucceeded || charge == "" {
		e.t.Fatalf("%+v, charge %q", d, charge)
	}
	return d, charge
}

// wish is for so many cents of a donation.
func wish(d donations.Donation, minor int64) RefundRequest {
	return RefundRequest{
		Campaign: d.Campaign, Donation: d.ID, RequestID: uuid.New(), Amount: money.Amount{Minor: minor, Currency: money.EUR},
		Reason: ReasonRequestedByDonor, Key: treasurerKey,
	}
}

func (e *env) refund(in RefundRequest) Refund {
	e.t.Helper()
	r, err := e.refunds.CreateRefund(e.t.Context(), in)
	if err != nil {
		e.t.Fatal(err)
	}
	return r
}

func (e *env) refundIs(id uuid.UUID, want RefundState) Refund {
	e.t.Helper()
	r, err := collectRefund(e.pool.Query(e.t.Context(), refundByIDSQL, pgx.NamedArgs{"id": id}))
	if err != nil || r.State != want {
		e.t.Fatalf("the refund is %s, want %s: %v", r.State, want, err)
	}
	return r
}

func (e *env) refundsOf(d donations.Donation) []Refund {
	e.t.Helper()
	all, err := e.refunds.ListRefunds(e.t.Context(), vallon.Collective, d.ID, "", newest, 100)
	if err != nil {
		e.t.Fatal(err)
	}
	return all
}

func (e *env) exec(sql string, args ...any) error {
	_, err := e.pool.Exec(e.t.Context(), sql, args...)
	return err
}

// The table stands twice, and the database has the last word.
func TestTheDatabaseKnowsTheSameStepsOfRefunds(t *testing.T) {
	e := newEnv(t)
	d, _ := e.paid()
	for _, from := range allRefundStates {
		for _, to := range allRefundStates {
			tx, err := e.pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			stripeID := "NULL"
			if slices.Contains([]RefundState{RefundSubmitted, RefundPending, RefundSucceeded, RefundFailed, RefundCanceled}, from) {
				stripeID = "'re_1'"
			}
			_, err = tx.Exec(t.Context(), fmt.Sprintf(`
				INSERT INTO donations.refunds (id, donation, collective, stripe_account, origin, request_id, fingerprint, amount_minor,
					currency, reason, requested_by, state, stripe_refund_id, created_at, updated_at)
				VALUES (gen_random_uuid(), $1, 'vallon', '', 'member', gen_random_uuid(), sha256(''), 1, 'EUR', 'other', 'a', '%s', %s,
					now(), now())`, from, stripeID), d.ID)
			if err != nil {
				t.Fatalf("%s: %v", from, err)
			}
			_, err = tx.Exec(t.Context(), fmt.Sprintf("UPDATE donations.refunds SET state = '%s'", to))
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

func TestWhatTheDatabaseDefendsOfRefunds(t *testing.T) {
	e := newEnv(t)
	d, _ := e.paid()
	r := e.refund(wish(d, 5_00))
	for column, value := range map[string]string{
		"amount_minor": "1", "currency": "'USD'", "requested_by": "'x'", "note": "'x'", "donation": "gen_random_uuid()",
		"request_id": "gen_random_uuid()", "origin": "'stripe'",
	} {
		if err := e.exec(fmt.Sprintf("UPDATE donations.refunds SET %s = %s", column, value)); err == nil {
			t.Errorf("%s can change", column)
		}
	}
	if err := e.exec("UPDATE donations.refunds SET reviewed_by = requested_by"); !postgres.Constraint(err, "refunds_second_member") {
		t.Errorf("who asked can approve: %v", err)
	}
	if err := e.exec("UPDATE donations.refunds SET stripe_refund_id = 're_1'"); !postgres.Constraint(err, "refunds_unsent") {
		t.Errorf("what was not sent is at Stripe: %v", err)
	}
	if err := e.exec("DELETE FROM donations.refunds"); err == nil {
		t.Error("the service can delete refunds")
	}
	e.refundIs(r.ID, RefundApproved)
}

func TestEveryRefundStateHasAWord(t *testing.T) {
	for _, s := range allRefundStates {
		if refundStates[s] == refundsv1.RefundState_REFUND_STATE_UNSPECIFIED || refundStatesFromProto[refundStates[s]] != s {
			t.Errorf("%s is %v", s, refundStates[s])
		}
	}
	for s := range disputeRank {
		if disputeStates[s] == disputesv1.DisputeState_DISPUTE_STATE_UNSPECIFIED {
			t.Errorf("%s has no word", s)
		}
	}
}

func TestWhatIsLeftAndWhoMustAgree(t *testing.T) {
	eur := func(minor int64) money.Amount { return money.Amount{Minor: minor, Currency: money.EUR} }
	for what, c := range map[string]struct {
		balance, refunds, ask int64
		threshold             money.Amount
		left                  int64
		approval              bool
	}{
		"nothing went back":                          {0, 0, 20_00, money.Amount{}, 20_00, false},
		"the balance and the refunds say the same":   {5_00, 5_00, 1, money.Amount{}, 15_00, false},
		"the balance knows of one first":             {5_00, 0, 1, money.Amount{}, 15_00, false},
		"a refund is under way":                      {0, 5_00, 1, money.Amount{}, 15_00, false},
		"one failed and its money is not back":       {5_00, 0, 15_01, money.Amount{}, 15_00, false},
		"as much as one member may":                  {0, 0, 10_00, eur(10_00), 20_00, false},
		"more than that":                             {0, 0, 10_01, eur(10_00), 20_00, true},
		"more than that in parts":                    {0, 9_99, 2, eur(10_00), 10_01, true},
		"more than that with what the dashboard did": {9_99, 0, 2, eur(10_00), 10_01, true},
		"one member may give nothing back alone":     {0, 0, 1, eur(0), 20_00, true},
		"the threshold is in another currency":       {0, 0, 1, money.Amount{Minor: 100_00, Currency: "CHF"}, 20_00, true},
	} {
		t.Run(what, func(t *testing.T) {
			d := donations.Donation{Amount: eur(20_00), RefundedMinor: c.balance}
			all := withOwn(d, []refundable{{refundsMinor: c.refunds, paid: d.Amount}})
			if got := all[0].left().Minor; got != c.left {
				t.Errorf("%d left, want %d", got, c.left)
			}
			if got := needsApproval(all, eur(c.ask), c.threshold); got != c.approval {
				t.Errorf("approval %v, want %v", got, c.approval)
			}
			if _, err := choose(d, all, eur(c.ask)); (err != nil) != (c.ask > c.left) {
				t.Errorf("%d: %v", c.ask, err)
			}
		})
	}
}

func TestWhyStripeRefuses(t *testing.T) {
	for what, c := range map[string]struct {
		err  error
		want string
	}{
		"a dispute":                   {&stripe.Error{Kind: stripe.Refused, Status: 400, Code: "charge_disputed"}, "DONATION_DISPUTED"},
		"nothing left":                {&stripe.Error{Kind: stripe.Refused, Status: 400, Code: "charge_already_refunded"}, "ALREADY_REFUNDED"},
		"too much":                    {&stripe.Error{Kind: stripe.Refused, Status: 400, Param: "amount"}, "REFUND_TOO_LARGE"},
		"no money":                    {&stripe.Error{Kind: stripe.Refused, Status: 400, Code: "balance_insufficient"}, "BALANCE_INSUFFICIENT"},
		"a disconnected account":      {&stripe.Error{Kind: stripe.Refused, Status: 403, Code: "account_invalid"}, "STRIPE_ACCOUNT_DISCONNECTED"},
		"something else":              {&stripe.Error{Kind: stripe.Refused, Status: 400}, "REFUSED_BY_STRIPE"},
		"a payment that is not there": {&stripe.Error{Kind: stripe.Missing, Status: 404}, "REFUSED_BY_STRIPE"},
		"a key that may not":          {&stripe.Error{Kind: stripe.Refused, Status: 403, Code: "more_permissions_required"}, ""},
		"a wrong key":                 {&stripe.Error{Kind: stripe.Unauthorized, Status: 401}, ""},
		"a failure":                   {&stripe.Error{Kind: stripe.Failed, Status: 500}, ""},
		"a lost answer":               {&stripe.Error{Kind: stripe.Lost}, ""},
		"our own trouble":             {errors.New("no database"), ""},
	} {
		if got := refusal(c.err); got != c.want {
			t.Errorf("%s is %q, want %q", what, got, c.want)
		}
	}
}

func TestARefundIsSentOnceByMany(t *testing.T) {
	e := newEnv(t)
	d, charge := e.paid()
	r := e.refund(wish(d, 5_00))
	var sending sync.WaitGroup
	for range 6 {
		sending.Go(func() {
			// Who finds the call of another under way tries again.
			for e.refunds.SubmitRefund(t.Context(), r.ID) != nil {
				time.Sleep(time.Millisecond)
			}
		})
	}
	sending.Wait()
	e.refundIs(r.ID, RefundSucceeded)
	if all := e.sim.Refunds(""); len(all) != 1 || all[0].AmountMinor != 5_00 || all[0].ChargeID != charge {
		t.Errorf("at Stripe: %+v", all)
	}
	keys := map[string]bool{}
	for _, q := range e.sim.Requests() {
		if q.Method == "POST" && q.Path == "/v1/refunds" {
			keys[q.IdempotencyKey] = true
		}
	}
	if len(keys) != 1 {
		t.Errorf("%d keys", len(keys))
	}
}

func TestAFailureThatStripeRepeatsIsLeftBehind(t *testing.T) {
	e := newEnv(t)
	d, _ := e.paid()
	r := e.refund(wish(d, 5_00))
	e.sim.AddFault(stripesim.Fault{Method: "POST", PathPrefix: "/v1/refunds", Times: 1, Status: 500})
	for attempt := range 2 { // the first may still be under way; when Stripe repeats itself it is not
		if err := e.refunds.SubmitRefund(t.Context(), r.ID); errs.Code(err) != codes.Unavailable {
			t.Fatalf("err = %v", err)
		}
		if got := e.refundIs(r.ID, RefundSubmitted); got.attempt != attempt+1 {
			t.Errorf("attempt %d, want %d", got.attempt, attempt+1)
		}
	}
	if err := e.refunds.SubmitRefund(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	e.refundIs(r.ID, RefundSucceeded)
	if all := e.sim.Refunds(""); len(all) != 1 {
		t.Errorf("at Stripe: %+v", all)
	}
}

func TestWhatAnotherRefundSaysOfItself(t *testing.T) {
	e := newEnv(t)
	d, _ := e.paid()
	ours := e.refund(wish(d, 5_00))
	said := stripe.Refund{
		ID: "re_forged", PaymentIntent: d.PaymentIntent, Refund: ours.ID, AmountMinor: 1_00, Currency: "EUR",
		Status: stripe.RefundSucceeded, Created: e.clock.Now(),
	}
	apply := func() {
		t.Helper()
		for range 2 {
			if err := e.refunds.applyRefund(t.Context(), donations.Match{Donation: d.ID}, "", said); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Metadata can name any row. It counts when that waits for just this answer.
	apply()
	if err := e.refunds.SubmitRefund(t.Context(), ours.ID); err != nil {
		t.Fatal(err)
	}
	e.refundIs(ours.ID, RefundSucceeded)
	said.ID, said.AmountMinor = "re_second", 5_00
	apply()
	all := e.refundsOf(d)
	var elsewhere int
	for _, r := range all {
		if r.AtStripe {
			elsewhere++
		}
	}
	if len(all) != 3 || elsewhere != 2 {
		t.Errorf("%d refunds, %d of them made at Stripe: %+v", len(all), elsewhere, all)
	}
	// An older word changes nothing.
	said.Status = stripe.RefundFailed
	apply()
	said.Status = stripe.RefundPending
	apply()
	for _, r := range e.refundsOf(d) {
		if r.StripeRefund == "re_second" && r.State != RefundFailed {
			t.Errorf("it is %s", r.State)
		}
	}
}

func TestReadingsOfADisputeInAnyOrder(t *testing.T) {
	e := newEnv(t)
	d, _ := e.paid()
	life := []stripe.Dispute{
		{Status: stripe.InquiryNeedsResponse, Refundable: true},
		{Status: stripe.InquiryUnderReview, Refundable: true},
		{Status: stripe.DisputeNeedsResponse, WithdrawnMinor: 20_00, FeeMinor: 15_00, BalanceCurrency: "EUR"},
		{Status: stripe.DisputeUnderReview, WithdrawnMinor: 20_00, FeeMinor: 15_00, BalanceCurrency: "EUR"},
		{Status: stripe.DisputeWon, Refundable: true, WithdrawnMinor: 20_00, ReinstatedMinor: 20_00, BalanceCurrency: "EUR"},
	}
	if rankOf(stripe.DisputePrevented) <= rankOf(stripe.InquiryClosed) || disputeOpen(stripe.DisputePrevented) {
		t.Error("a dispute that was prevented goes on")
	}
	for i, order := range [][]int{{0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {2, 4, 0, 4, 3}, {4, 4, 1}, {3, 0, 2, 4, 2}} {
		id := fmt.Sprintf("dp_%d", i)
		for _, n := range order {
			is := life[n]
			is.ID, is.AmountMinor, is.Currency, is.Created = id, 20_00, "EUR", e.clock.Now()
			err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
				return e.refunds.applyDisputeTx(ctx, tx, donations.Match{Donation: d.ID}, "", is)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		got, err := e.refunds.GetDispute(t.Context(), vallon.Collective, id)
		if err != nil || got.Status != stripe.DisputeWon || got.Reinstated.Minor != 20_00 || got.Fee.Minor != 0 || !got.DueTime.IsZero() {
			t.Errorf("read in the order %v it is %+v, %v", order, got, err)
		}
	}
	var told int
	if err := e.pool.QueryRow(t.Context(), "SELECT count(*) FROM collectives.notices WHERE kind = 'dispute_won'").Scan(&told); err != nil || told != 5 {
		t.Errorf("told of the end of %d, %v", told, err)
	}
	// A dispute that is won bars nothing.
	if _, err := e.refunds.CreateRefund(t.Context(), wish(d, 5_00)); err != nil {
		t.Error(err)
	}
	t.Run("money that came back tells which reading is the later one", func(t *testing.T) {
		lost := stripe.Dispute{Status: stripe.DisputeLost, WithdrawnMinor: 20_00, BalanceCurrency: "EUR"}
		again := stripe.Dispute{Status: stripe.DisputeUnderReview, WithdrawnMinor: 20_00, ReinstatedMinor: 20_00, BalanceCurrency: "EUR"}
		for i, order := range [][]stripe.Dispute{{lost, again}, {again, lost}, {lost, again, again, lost}} {
			id := fmt.Sprintf("dp_reinstated_%d", i)
			for _, is := range order {
				is.ID, is.AmountMinor, is.Currency, is.Created = id, 20_00, "EUR", e.clock.Now()
				err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
					return e.refunds.applyDisputeTx(ctx, tx, donations.Match{Donation: d.ID}, "", is)
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			got, err := e.refunds.GetDispute(t.Context(), vallon.Collective, id)
			if err != nil || got.Status != stripe.DisputeUnderReview || got.Reinstated.Minor != 20_00 {
				t.Errorf("it is %+v, %v", got, err)
			}
		}
		var reinstated int
		if err := e.pool.QueryRow(t.Context(), "SELECT count(*) FROM collectives.notices WHERE kind = 'dispute_reinstated'").Scan(&reinstated); err != nil || reinstated != 3 {
			t.Errorf("told of it %d times, %v", reinstated, err)
		}
	})
	t.Run("money that goes once more after it was won is news", func(t *testing.T) {
		won := life[len(life)-1]
		lost := stripe.Dispute{Status: stripe.DisputeLost, WithdrawnMinor: 40_00, ReinstatedMinor: 20_00, BalanceCurrency: "EUR"}
		for _, is := range []stripe.Dispute{won, lost, won} { // the last of them was read before
			is.ID, is.AmountMinor, is.Currency, is.Created = "dp_0", 20_00, "EUR", e.clock.Now()
			err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
				return e.refunds.applyDisputeTx(ctx, tx, donations.Match{Donation: d.ID}, "", is)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		got, err := e.refunds.GetDispute(t.Context(), vallon.Collective, "dp_0")
		if err != nil || got.Status != stripe.DisputeLost || got.Withdrawn.Minor != 40_00 {
			t.Errorf("it is %+v, %v", got, err)
		}
		if err := e.pool.QueryRow(t.Context(), "SELECT count(*) FROM collectives.notices WHERE kind = 'dispute_lost' AND key = 'dp_0'").Scan(&told); err != nil || told != 1 {
			t.Errorf("told of it %d times, %v", told, err)
		}
	})
}

func TestAnApprovalLooksAgain(t *testing.T) {
	e := newEnv(t)
	if err := e.exec("UPDATE collectives.collectives SET refund_approval_minor = 0, refund_approval_currency = 'EUR'"); err != nil {
		t.Fatal(err)
	}
	d, charge := e.paid()
	r := e.refund(wish(d, 15_00))
	if r.State != RefundAwaitingApproval {
		t.Fatalf("it is %s", r.State)
	}
	id, err := e.sim.Refund(charge, 10_00)
	if err != nil {
		t.Fatal(err)
	}
	if ours, err := e.refunds.ReadRefund(t.Context(), "", id); err != nil || !ours {
		t.Fatalf("ours %v, %v", ours, err)
	}
	_, err = e.refunds.ApproveRefund(t.Context(), d.Campaign, d.ID, r.ID, ownerKey)
	wantReason(t, err, errorsv1.ErrorReason_REFUND_TOO_LARGE)
	e.refundIs(r.ID, RefundAwaitingApproval)
	_, err = e.refunds.ApproveRefund(t.Context(), d.Campaign, d.ID, uuid.New(), ownerKey)
	wantReason(t, err, errorsv1.ErrorReason_NOT_FOUND)
}

func TestWhatNobodyHearsOfIsAskedFor(t *testing.T) {
	e := newEnv(t)
	d, _ := e.paid()
	e.refund(wish(d, 5_00))
	jobs := func(kind string) (n int) {
		if err := e.pool.QueryRow(t.Context(), "SELECT count(*) FROM river.river_job WHERE kind = $1", kind).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {followSoonest, 2}, {time.Minute, 2}, {followSoonest, 3}} {
		e.clock.Advance(c.after)
		if err := e.refunds.follow(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := jobs(submitRefundArgs{}.Kind()); got != c.want {
			t.Errorf("after %s more: %d jobs, want %d", c.after, got, c.want)
		}
	}
}

package app_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

const (
	awaiting  = refundsv1.RefundState_REFUND_STATE_AWAITING_APPROVAL
	pending   = refundsv1.RefundState_REFUND_STATE_PENDING
	succeeded = refundsv1.RefundState_REFUND_STATE_SUCCEEDED
	failed    = refundsv1.RefundState_REFUND_STATE_FAILED
)

func TestRefunds(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	k := newDesk(t, e, "vallon")
	var left int64 // what the campaign should have

	t.Run("gives a donation back in parts until nothing is left", func(t *testing.T) {
		d, charge := k.paid(t, 20_00)
		first := k.becomes(t, k.create(t, k.treasurer, ask(d, 5_00)), succeeded)
		if first.GetStripeRefund() == "" || first.GetRequester() == "" || first.GetSubmitTime() == nil {
			t.Errorf("the refund is %v", first)
		}
		k.becomes(t, k.create(t, k.owner, ask(d, 3_00)), succeeded)
		k.settles(t, 12_00)
		if got := k.donation(t, d); got.GetState() != donationsv1.DonationState_DONATION_STATE_PARTIALLY_REFUNDED ||
			got.GetAmountRefunded().GetAmountMinor() != 8_00 {
			t.Errorf("the donation is %v", got)
		}
		told, err := donationsv1.NewDonationsServiceClient(e.Conn).GetDonationStatus(t.Context(),
			&donationsv1.GetDonationStatusRequest{Name: d.GetName() + "/status"})
		if err != nil || told.GetAmountRefunded().GetAmountMinor() != 8_00 || told.GetDisputed() {
			t.Errorf("the donor is told %v, %v", told, err)
		}
		k.refuse(t, ask(d, 12_01), codes.FailedPrecondition, "REFUND_TOO_LARGE")
		rest := k.becomes(t, k.create(t, k.treasurer, ask(d, 0)), succeeded)
		if rest.GetAmount().GetAmountMinor() != 12_00 {
			t.Errorf("all that was left is %v", rest.GetAmount())
		}
		k.settles(t, left)
		if got := k.donation(t, d).GetState(); got != donationsv1.DonationState_DONATION_STATE_REFUNDED {
			t.Errorf("the donation is %v", got)
		}
		if got := outcome(t, e.Conn, d); got != donationsv1.DonationOutcome_DONATION_OUTCOME_REFUNDED {
			t.Errorf("the donor is told %v", got)
		}
		k.refuse(t, ask(d, 0), codes.FailedPrecondition, "REFUND_TOO_LARGE")
		if n, minor := k.atStripe(charge); n != 3 || minor != 20_00 {
			t.Errorf("%d refunds of %d at Stripe", n, minor)
		}
		if all := k.list(t, &refundsv1.ListRefundsRequest{Parent: d.GetName()}); len(all) != 3 {
			t.Errorf("%d refunds listed", len(all))
		}
		if none := k.list(t, &refundsv1.ListRefundsRequest{Parent: k.collective, States: []refundsv1.RefundState{failed}}); len(none) != 0 {
			t.Errorf("failed: %v", none)
		}
	})

	t.Run("is one refund however often it is sent", func(t *testing.T) {
		e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
			d, charge := k.paid(t, 20_00)
			left += 15_00
			req := ask(d, 5_00)
			client := refundsv1.NewRefundsServiceClient(conn)
			names := make([]string, 6)
			var sending sync.WaitGroup
			for i := range names {
				sending.Go(func() {
					r, err := client.CreateRefund(apptest.WithKey(t.Context(), k.treasurer), req)
					if err != nil {
						t.Errorf("sent again: %v", err)
					}
					names[i] = r.GetName()
				})
			}
			sending.Wait()
			for _, name := range names {
				if name != names[0] {
					t.Errorf("two refunds: %q and %q", names[0], name)
				}
			}
			k.becomes(t, &refundsv1.Refund{Name: names[0]}, succeeded)
			if n, minor := k.atStripe(charge); n != 1 || minor != 5_00 {
				t.Errorf("%d refunds of %d at Stripe", n, minor)
			}
			other := proto.Clone(req).(*refundsv1.CreateRefundRequest)
			other.Refund.Amount = apptest.Euros(6_00)
			_, err := client.CreateRefund(apptest.WithKey(t.Context(), k.treasurer), other)
			wantError(t, err, codes.AlreadyExists, "REQUEST_ID_REUSED", "")
		})
	})

	t.Run("gives back no more than is left to many who ask at once", func(t *testing.T) {
		d, charge := k.paid(t, 20_00)
		left += 2_00
		var asking sync.WaitGroup
		for range 6 {
			asking.Go(func() {
				_, err := refundsv1.NewRefundsServiceClient(e.Conn).CreateRefund(apptest.WithKey(t.Context(), k.treasurer), ask(d, 6_00))
				if err != nil {
					wantError(t, err, codes.FailedPrecondition, "REFUND_TOO_LARGE", "")
				}
			})
		}
		asking.Wait()
		e.Eventually("three parts went back", func() bool {
			n, minor := k.atStripe(charge)
			return n == 3 && minor == 18_00
		})
		k.settles(t, left)
	})

	t.Run("needs a reason, and an amount above zero if it has one", func(t *testing.T) {
		d, _ := k.paid(t, 20_00)
		left += 20_00
		for field, change := range map[string]func(*refundsv1.Refund){
			"refund.reason": func(r *refundsv1.Refund) { r.Reason = refundsv1.RefundReason_REFUND_REASON_UNSPECIFIED },
			"refund.amount": func(r *refundsv1.Refund) { r.Amount = apptest.Euros(0) },
			"refund.note":   func(r *refundsv1.Refund) { r.Note = strings.Repeat("x", 201) },
		} {
			e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
				req := ask(d, 5_00)
				change(req.Refund)
				_, err := refundsv1.NewRefundsServiceClient(conn).CreateRefund(apptest.WithKey(t.Context(), k.treasurer), req)
				wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", field)
			})
		}
	})

	t.Run("refuses what is not there to give back", func(t *testing.T) {
		unpaid := give(t, e.Conn, donationTo(k.campaign))
		k.refuse(t, ask(unpaid, 5_00), codes.FailedPrecondition, "DONATION_NOT_PAID")
		d, _ := k.paid(t, 20_00)
		left += 20_00
		dollars := ask(d, 5_00)
		dollars.Refund.Amount.CurrencyCode = "USD"
		k.refuse(t, dollars, codes.InvalidArgument, "CURRENCY_MISMATCH")
		missing := ask(d, 5_00)
		missing.Parent = k.campaign + "/donations/" + uuid.NewString()
		k.refuse(t, missing, codes.NotFound, "NOT_FOUND")
		for _, key := range []string{k.audi, e.Key(k.collective, accessv1.Role_ROLE_EDITOR), e.OperatorKey} {
			_, err := refundsv1.NewRefundsServiceClient(&apptest.RESTConn{URL: e.URL}).CreateRefund(apptest.WithKey(t.Context(), key), ask(d, 5_00))
			wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		}
	})

	t.Run("finds refunds of the dashboard, of which an event tells the sum alone", func(t *testing.T) {
		d, charge := k.paid(t, 20_00)
		left += 13_00
		for range 2 {
			if _, err := e.Sim.Refund(charge, 3_50); err != nil {
				t.Fatal(err)
			}
		}
		k.settles(t, left)
		e.Eventually("both are listed", func() bool {
			all := k.list(t, &refundsv1.ListRefundsRequest{Parent: d.GetName(), States: []refundsv1.RefundState{succeeded}})
			return len(all) == 2 && all[0].GetOrigin() == refundsv1.RefundOrigin_REFUND_ORIGIN_STRIPE && all[0].GetRequester() == "" &&
				all[1].GetAmount().GetAmountMinor() == 3_50
		})
		k.refuse(t, ask(d, 13_01), codes.FailedPrecondition, "REFUND_TOO_LARGE")
	})

	t.Run("waits while the balance is too low", func(t *testing.T) {
		d, _ := k.paid(t, 20_00)
		if err := e.Sim.SetLowBalance("", true); err != nil {
			t.Fatal(err)
		}
		r := k.becomes(t, k.create(t, k.treasurer, ask(d, 0)), pending)
		k.settles(t, left+20_00)
		k.refuse(t, ask(d, 1), codes.FailedPrecondition, "REFUND_TOO_LARGE")
		if err := e.Sim.SetLowBalance("", false); err != nil {
			t.Fatal(err)
		}
		k.becomes(t, r, succeeded)
		k.settles(t, left)
	})

	t.Run("comes back when it fails after it succeeded, and members are told", func(t *testing.T) {
		d, charge := k.paid(t, 20_00)
		r := k.becomes(t, k.create(t, k.treasurer, ask(d, 0)), succeeded)
		k.settles(t, left)
		if err := e.Sim.FailRefund(r.GetStripeRefund(), "expired_or_canceled_card"); err != nil {
			t.Fatal(err)
		}
		left += 20_00
		r = k.becomes(t, r, failed)
		if r.GetFailureReason() != "expired_or_canceled_card" {
			t.Errorf("it failed for %q", r.GetFailureReason())
		}
		k.settles(t, left)
		if got := outcome(t, e.Conn, d); got != donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED {
			t.Errorf("the donor is told %v", got)
		}
		if diff := cmp.Diff([]string{r.GetName()}, k.notices(t)["refund_failed"]); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		// What came back can be given back again.
		again := k.becomes(t, k.create(t, k.treasurer, ask(d, 0)), succeeded)
		left -= again.GetAmount().GetAmountMinor()
		k.settles(t, left)
		if n, minor := k.atStripe(charge); n != 1 || minor != 20_00 {
			t.Errorf("%d refunds of %d at Stripe", n, minor)
		}
	})

	t.Run("brings a fee back with its sign", func(t *testing.T) {
		if err := e.Sim.SetRefundedFee("", 100); err != nil {
			t.Fatal(err)
		}
		d, _ := k.paid(t, 20_00)
		k.becomes(t, k.create(t, k.treasurer, ask(d, 0)), succeeded)
		k.settles(t, left)
		if err := e.Sim.SetRefundedFee("", 0); err != nil {
			t.Fatal(err)
		}
	})

	t.Run("fails, and says why, when Stripe refuses what was not known here", func(t *testing.T) {
		d, charge := k.paid(t, 20_00)
		e.Sim.SetDelivery(stripesim.Delivery{Drop: true})
		defer e.Sim.SetDelivery(stripesim.Delivery{})
		if _, err := e.Sim.Refund(charge, 0); err != nil {
			t.Fatal(err)
		}
		r := k.becomes(t, k.create(t, k.treasurer, ask(d, 0)), failed)
		if r.GetFailureReason() != "ALREADY_REFUNDED" || len(k.notices(t)["refund_failed"]) != 2 {
			t.Errorf("%v, told of %v", r, k.notices(t)["refund_failed"])
		}
	})
}

func TestRefundsThatASecondMemberApproves(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	k := newDesk(t, e, "vallon")
	k.setApproval(t, 10_00)
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		client := refundsv1.NewRefundsServiceClient(conn)
		as := func(key string) context.Context { return apptest.WithKey(t.Context(), key) }

		t.Run("a large one waits for another key than the one that asked", func(t *testing.T) {
			d, charge := k.paid(t, 20_00)
			r := k.create(t, k.treasurer, ask(d, 10_01))
			if r.GetState() != awaiting {
				t.Fatalf("it is %v", r.GetState())
			}
			_, err := client.ApproveRefund(as(k.treasurer), &refundsv1.ApproveRefundRequest{Name: r.GetName()})
			wantError(t, err, codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
			_, err = client.RejectRefund(as(k.treasurer), &refundsv1.RejectRefundRequest{Name: r.GetName()})
			wantError(t, err, codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
			_, err = client.ApproveRefund(as(k.audi), &refundsv1.ApproveRefundRequest{Name: r.GetName()})
			wantError(t, err, codes.NotFound, "NOT_FOUND", "")
			if n, _ := k.atStripe(charge); n != 0 {
				t.Errorf("%d refunds at Stripe before anybody approved", n)
			}
			for range 2 {
				if r, err = client.ApproveRefund(as(k.second), &refundsv1.ApproveRefundRequest{Name: r.GetName()}); err != nil {
					t.Fatal(err)
				}
			}
			r = k.becomes(t, r, succeeded)
			if r.GetReviewer() == "" || r.GetReviewer() == r.GetRequester() {
				t.Errorf("asked by %q, approved by %q", r.GetRequester(), r.GetReviewer())
			}
			_, err = client.RejectRefund(as(k.owner), &refundsv1.RejectRefundRequest{Name: r.GetName()})
			wantError(t, err, codes.FailedPrecondition, "REFUND_NOT_AWAITING_APPROVAL", "")
			if n, minor := k.atStripe(charge); n != 1 || minor != 10_01 {
				t.Errorf("%d refunds of %d at Stripe", n, minor)
			}
		})

		t.Run("splitting does not evade it", func(t *testing.T) {
			d, _ := k.paid(t, 20_00)
			k.becomes(t, k.create(t, k.treasurer, ask(d, 6_00)), succeeded)
			small := k.create(t, k.treasurer, ask(d, 4_00))
			if small.GetState() == awaiting {
				t.Error("10.00 in all is not above 10.00")
			}
			over := k.create(t, k.treasurer, ask(d, 1))
			if over.GetState() != awaiting {
				t.Errorf("10.01 in all is %v", over.GetState())
			}
			told := k.notices(t)["refund_awaiting_approval"]
			if len(told) == 0 || told[0] != over.GetName() {
				t.Errorf("told of %v", told)
			}
		})

		t.Run("one that is rejected or called off leaves the donation alone", func(t *testing.T) {
			d, charge := k.paid(t, 20_00)
			rejected := k.create(t, k.treasurer, ask(d, 15_00))
			if _, err := client.RejectRefund(as(k.second), &refundsv1.RejectRefundRequest{Name: rejected.GetName()}); err != nil {
				t.Fatal(err)
			}
			_, err := client.ApproveRefund(as(k.second), &refundsv1.ApproveRefundRequest{Name: rejected.GetName()})
			wantError(t, err, codes.FailedPrecondition, "REFUND_NOT_AWAITING_APPROVAL", "")
			off := k.create(t, k.treasurer, ask(d, 20_00))
			_, err = client.CancelRefund(as(k.second), &refundsv1.CancelRefundRequest{Name: off.GetName()})
			wantError(t, err, codes.FailedPrecondition, "ANOTHER_MEMBERS_REFUND", "")
			for range 2 {
				got, err := client.CancelRefund(as(k.treasurer), &refundsv1.CancelRefundRequest{Name: off.GetName()})
				if err != nil || got.GetState() != refundsv1.RefundState_REFUND_STATE_CANCELED {
					t.Fatalf("%v, %v", got, err)
				}
			}
			sent := k.becomes(t, k.create(t, k.treasurer, ask(d, 1_00)), succeeded)
			_, err = client.CancelRefund(as(k.treasurer), &refundsv1.CancelRefundRequest{Name: sent.GetName()})
			wantError(t, err, codes.FailedPrecondition, "REFUND_ALREADY_SENT", "")
			if n, minor := k.atStripe(charge); n != 1 || minor != 1_00 {
				t.Errorf("%d refunds of %d at Stripe", n, minor)
			}
		})
	})
}

func TestARefundWhoseAnswerIsLost(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	k := newDesk(t, e, "vallon")
	for what, fault := range map[string]stripesim.Fault{
		"after it was made":         {LoseReply: true},
		"before it was made":        {Reset: true},
		"to a failure of Stripe's":  {Status: 500},
		"to too many calls at once": {Status: 429, Code: "lock_timeout"},
	} {
		t.Run(what+" is one refund", func(t *testing.T) {
			d, charge := k.paid(t, 20_00)
			// Events would tell as well.
			e.Sim.SetDelivery(stripesim.Delivery{Drop: true})
			defer e.Sim.SetDelivery(stripesim.Delivery{})
			fault.Method, fault.PathPrefix, fault.Times = "POST", "/v1/refunds", 1
			e.Sim.AddFault(fault)
			k.becomes(t, k.create(t, k.treasurer, ask(d, 0)), succeeded)
			if n, minor := k.atStripe(charge); n != 1 || minor != 20_00 {
				t.Errorf("%d refunds of %d at Stripe", n, minor)
			}
			if all := k.list(t, &refundsv1.ListRefundsRequest{Parent: d.GetName()}); len(all) != 1 {
				t.Errorf("listed: %v", all)
			}
		})
	}
}

func TestARefundWhoseProgramIsKilled(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	k := newDesk(t, e, "vallon")
	d, charge := k.paid(t, 20_00)
	e.StopApp()
	program := e.NewProcess()
	program.Start()
	program.Ready()
	// Stripe begins the refund, and ends it when the program is gone.
	e.Sim.AddFault(stripesim.Fault{Method: "POST", PathPrefix: "/v1/refunds", Times: 1, Delay: 300 * time.Millisecond})
	req := ask(d, 0)
	_, err := refundsv1.NewRefundsServiceClient(&apptest.RESTConn{URL: e.URL}).CreateRefund(apptest.WithKey(t.Context(), k.treasurer), req)
	if err != nil {
		t.Fatal(err)
	}
	e.Eventually("it was sent", func() bool {
		for _, r := range e.Sim.Requests() {
			if r.Method == "POST" && r.Path == "/v1/refunds" {
				return true
			}
		}
		return false
	})
	program.Kill()
	e.Eventually("Stripe made it", func() bool { n, _ := k.atStripe(charge); return n == 1 })
	e.StartApp()
	k.becomes(t, k.create(t, k.treasurer, req), succeeded)
	k.settles(t, 0)
	if n, minor := k.atStripe(charge); n != 1 || minor != 20_00 {
		t.Errorf("%d refunds of %d at Stripe", n, minor)
	}
}

func TestRefundsOfWhichNoEventComes(t *testing.T) {
	e := apptest.Start(t, apptest.Config{SyncEvery: time.Second})
	k := newDesk(t, e, "vallon")
	e.Sim.SetDelivery(stripesim.Delivery{Drop: true})
	d, charge := k.paid(t, 20_00)
	id, err := e.Sim.Refund(charge, 8_00)
	if err != nil {
		t.Fatal(err)
	}
	k.settles(t, 12_00)
	var made *refundsv1.Refund
	e.Eventually("the balance leads to it", func() bool {
		all := k.list(t, &refundsv1.ListRefundsRequest{Parent: d.GetName()})
		if len(all) == 1 {
			made = all[0]
		}
		return made != nil
	})
	if made.GetStripeRefund() != id || made.GetState() != succeeded {
		t.Errorf("it is %v", made)
	}
	if err := e.Sim.FailRefund(id, "declined"); err != nil {
		t.Fatal(err)
	}
	k.settles(t, 20_00)
	k.becomes(t, made, failed)
	e.Eventually("members are told", func() bool { return len(k.notices(t)["refund_failed"]) == 1 })
	k.refuse(t, ask(d, 20_01), codes.FailedPrecondition, "REFUND_TOO_LARGE")
}

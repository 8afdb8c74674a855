package app_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	disputesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/disputes/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

const (
	needsResponse = disputesv1.DisputeState_DISPUTE_STATE_NEEDS_RESPONSE
	won           = disputesv1.DisputeState_DISPUTE_STATE_WON
	lost          = disputesv1.DisputeState_DISPUTE_STATE_LOST
)

// disputed waits until a dispute has a state.
func (k *desk) disputed(t *testing.T, id string, state disputesv1.DisputeState) *disputesv1.Dispute {
	t.Helper()
	var got *disputesv1.Dispute
	k.e.Eventually("the dispute is "+state.String(), func() bool {
		var err error
		got, err = disputesv1.NewDisputesServiceClient(k.e.Conn).GetDispute(apptest.WithKey(t.Context(), k.audi),
			&disputesv1.GetDisputeRequest{Name: k.collective + "/disputes/" + id})
		return err == nil && got.GetState() == state
	})
	return got
}

// mustDispute makes a bank dispute a charge.
func (k *desk) mustDispute(t *testing.T, charge string, how stripesim.Disputed) string {
	t.Helper()
	id, err := k.e.Sim.Dispute(charge, how)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestDisputes(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	k := newDesk(t, e, "vallon")
	var left int64 // what the campaign should have

	t.Run("a dispute that is won brings donation and fee back", func(t *testing.T) {
		d, charge := k.paid(t, 20_00)
		id := k.mustDispute(t, charge, stripesim.Disputed{})
		got := k.disputed(t, id, needsResponse)
		if got.GetDonation() != d.GetName() || got.GetWithdrawn().GetAmountMinor() != 20_00 || got.GetFee().GetAmountMinor() != 15_00 ||
			got.GetReason() != "fraudulent" || got.GetEvidenceDueTime() == nil || got.GetReinstated() != nil ||
			got.GetDashboardUrl() != "https://dashboard.stripe.com/test/disputes/"+id {
			t.Errorf("the dispute is %v", got)
		}
		k.settles(t, left)
		if got := k.donation(t, d); got.GetState() != donationsv1.DonationState_DONATION_STATE_DISPUTED || !got.GetDisputed() {
			t.Errorf("the donation is %v", got)
		}
		seen, err := donationsv1.NewDonationsServiceClient(e.Conn).GetDonationStatus(t.Context(),
			&donationsv1.GetDonationStatusRequest{Name: d.GetName() + "/status"})
		if err != nil || seen.GetOutcome() != donationsv1.DonationOutcome_DONATION_OUTCOME_REFUNDED || !seen.GetDisputed() {
			t.Errorf("the donor is told %v, %v", seen, err)
		}
		k.refuse(t, ask(d, 0), codes.FailedPrecondition, "DONATION_DISPUTED")
		if err := e.Sim.SubmitEvidence(id, "winning_evidence"); err != nil {
			t.Fatal(err)
		}
		k.disputed(t, id, disputesv1.DisputeState_DISPUTE_STATE_UNDER_REVIEW)
		if err := e.Sim.CloseDispute(id, true, true); err != nil {
			t.Fatal(err)
		}
		got = k.disputed(t, id, won)
		if got.GetReinstated().GetAmountMinor() != 20_00 || got.GetFee().GetAmountMinor() != 0 || got.GetEvidenceDueTime() != nil {
			t.Errorf("won, it is %v", got)
		}
		left += 20_00
		k.settles(t, left)
		if got := outcome(t, e.Conn, d); got != donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED {
			t.Errorf("the donor is told %v", got)
		}
		name := k.collective + "/disputes/" + id
		told := k.notices(t)
		if diff := cmp.Diff([][]string{{name}, {name}}, [][]string{told["dispute_opened"], told["dispute_won"]}); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		// The money is the collective's again, and can be given back.
		left -= 20_00
		k.becomes(t, k.create(t, k.treasurer, ask(d, 0)), succeeded)
		k.settles(t, left)
	})

	t.Run("a dispute over a part that is lost takes the part", func(t *testing.T) {
		_, charge := k.paid(t, 20_00)
		id := k.mustDispute(t, charge, stripesim.Disputed{AmountMinor: 8_00, Reason: "duplicate"})
		k.disputed(t, id, needsResponse)
		if err := e.Sim.CloseDispute(id, false, false); err != nil {
			t.Fatal(err)
		}
		got := k.disputed(t, id, lost)
		if got.GetAmount().GetAmountMinor() != 8_00 || got.GetWithdrawn().GetAmountMinor() != 8_00 || got.GetFee().GetAmountMinor() != 15_00 {
			t.Errorf("the dispute is %v", got)
		}
		left += 12_00
		k.settles(t, left)
	})

	t.Run("an inquiry moves no money, and bars no refund", func(t *testing.T) {
		d, charge := k.paid(t, 20_00)
		id := k.mustDispute(t, charge, stripesim.Disputed{Inquiry: true})
		got := k.disputed(t, id, disputesv1.DisputeState_DISPUTE_STATE_INQUIRY_NEEDS_RESPONSE)
		if got.GetWithdrawn() != nil || got.GetFee() != nil {
			t.Errorf("the inquiry is %v", got)
		}
		if told := k.notices(t)["inquiry_opened"]; len(told) != 1 {
			t.Errorf("told of %v", told)
		}
		k.becomes(t, k.create(t, k.treasurer, ask(d, 5_00)), succeeded)
		if err := e.Sim.CloseInquiry(id); err != nil {
			t.Fatal(err)
		}
		k.disputed(t, id, disputesv1.DisputeState_DISPUTE_STATE_INQUIRY_CLOSED)
		left += 15_00
		k.settles(t, left)
	})

	t.Run("an inquiry that nobody answers becomes a dispute", func(t *testing.T) {
		_, charge := k.paid(t, 20_00)
		id := k.mustDispute(t, charge, stripesim.Disputed{Inquiry: true})
		k.disputed(t, id, disputesv1.DisputeState_DISPUTE_STATE_INQUIRY_NEEDS_RESPONSE)
		if err := e.Sim.EscalateDispute(id); err != nil {
			t.Fatal(err)
		}
		k.disputed(t, id, needsResponse)
		k.settles(t, left)
		if told := k.notices(t)["dispute_opened"]; !slices.Contains(told, k.collective+"/disputes/"+id) {
			t.Errorf("told of %v", told)
		}
	})

	t.Run("a refund whose charge is disputed meanwhile fails and says so", func(t *testing.T) {
		d, charge := k.paid(t, 20_00)
		e.Sim.SetDelivery(stripesim.Delivery{Hold: true})
		k.mustDispute(t, charge, stripesim.Disputed{})
		r := k.becomes(t, k.create(t, k.treasurer, ask(d, 0)), failed)
		if r.GetFailureReason() != "DONATION_DISPUTED" {
			t.Errorf("it failed for %q", r.GetFailureReason())
		}
		e.Sim.SetDelivery(stripesim.Delivery{})
		k.settles(t, left)
	})

	t.Run("a fraud warning is told, and a refund ends it", func(t *testing.T) {
		e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
			d, charge := k.paid(t, 20_00)
			id, err := e.Sim.WarnOfFraud(charge, "")
			if err != nil {
				t.Fatal(err)
			}
			warning := func() *disputesv1.FraudWarning {
				list, err := disputesv1.NewDisputesServiceClient(conn).ListFraudWarnings(apptest.WithKey(t.Context(), k.audi),
					&disputesv1.ListFraudWarningsRequest{Parent: k.collective})
				if err != nil {
					t.Fatal(err)
				}
				for _, w := range list.GetFraudWarnings() {
					if w.GetName() == k.collective+"/fraudWarnings/"+id {
						return w
					}
				}
				return nil
			}
			e.Eventually("the warning is shown", func() bool { return warning() != nil })
			if w := warning(); w.GetDonation() != d.GetName() || !w.GetActionable() || w.GetFraudType() != "made_with_stolen_card" {
				t.Errorf("the warning is %v", w)
			}
			client := disputesv1.NewDisputesServiceClient(conn)
			got, err := client.GetFraudWarning(apptest.WithKey(t.Context(), k.audi), &disputesv1.GetFraudWarningRequest{Name: warning().GetName()})
			if err != nil || !proto.Equal(got, warning()) {
				t.Errorf("asked for by its name it is %v, %v", got, err)
			}
			_, err = client.GetFraudWarning(apptest.WithKey(t.Context(), k.audi), &disputesv1.GetFraudWarningRequest{Name: k.collective + "/fraudWarnings/issfr_none"})
			wantError(t, err, codes.NotFound, "NOT_FOUND", "")
			_, err = client.GetFraudWarning(apptest.WithKey(t.Context(), e.Key(k.collective, accessv1.Role_ROLE_EDITOR)),
				&disputesv1.GetFraudWarningRequest{Name: warning().GetName()})
			wantError(t, err, codes.NotFound, "NOT_FOUND", "")
			if !k.donation(t, d).GetFraudWarning() {
				t.Error("the donation does not show it")
			}
			if told := k.notices(t)["fraud_warning"]; !slices.Contains(told, d.GetName()) {
				t.Errorf("told of %v", told)
			}
			req := ask(d, 0)
			req.Refund.Reason = refundsv1.RefundReason_REFUND_REASON_FRAUDULENT
			k.becomes(t, k.create(t, k.treasurer, req), succeeded)
			e.Eventually("nothing is left to do", func() bool { return !warning().GetActionable() })
			k.settles(t, left)
		})
	})

	t.Run("pages through them, for those who read the money", func(t *testing.T) {
		client := disputesv1.NewDisputesServiceClient(&apptest.RESTConn{URL: e.URL})
		var seen []string
		req := &disputesv1.ListDisputesRequest{Parent: k.collective, PageSize: 2}
		for {
			list, err := client.ListDisputes(apptest.WithKey(t.Context(), k.audi), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range list.GetDisputes() {
				seen = append(seen, d.GetName())
			}
			if req.PageToken = list.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		if distinct := slices.Compact(slices.Sorted(slices.Values(seen))); len(seen) != 5 || len(distinct) != 5 {
			t.Errorf("seen %v", seen)
		}
		_, err := client.ListDisputes(apptest.WithKey(t.Context(), e.Key(k.collective, accessv1.Role_ROLE_EDITOR)), req)
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		_, err = client.GetDispute(apptest.WithKey(t.Context(), k.audi), &disputesv1.GetDisputeRequest{Name: k.collective + "/disputes/dp_none"})
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
	})
}

// Other programs took the id of a dispute for that of its charge, and lost the donation.
func TestADisputesIDUsedAsACharges(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	k := newDesk(t, e, "vallon")
	d, charge := k.paid(t, 20_00)
	id := k.mustDispute(t, charge, stripesim.Disputed{})
	k.disputed(t, id, needsResponse)
	k.settles(t, 0)
	for _, r := range e.Sim.Requests() {
		if strings.Contains(r.Path, "/v1/charges/"+id) || strings.Contains(r.Path, "charge="+id) {
			t.Errorf("%s %s asks for a charge by a dispute's id", r.Method, r.Path)
		}
	}
	if got := k.donation(t, d).GetState(); got != donationsv1.DonationState_DONATION_STATE_DISPUTED {
		t.Errorf("the donation is %v", got)
	}
	// What is no donation of ours is stored, ignored, and no error.
	stray := []byte(strings.ReplaceAll(string(event("evt_stray", "charge.dispute.created", "")), `"object":"thing"`, `"object":"dispute"`))
	if got := deliver(t, e, "/v1/webhooks/stripe", stray, sign(stray, apptest.WebhookSecret, time.Now())); got != 200 {
		t.Errorf("HTTP %d", got)
	}
	e.Eventually("another's dispute is ignored", func() bool {
		return received(t, e, webhooksv1.EventState_EVENT_STATE_IGNORED)["evt_stray"].GetFailureReason() == "NOT_OURS"
	})
}

func TestDisputesTwiceLateAndOutOfOrder(t *testing.T) {
	// Some events are lost, and then it is the timer that finds the money.
	e := apptest.Start(t, apptest.Config{SyncEvery: time.Second})
	k := newDesk(t, e, "vallon")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	e.Sim.SetDelivery(stripesim.Delivery{Shuffle: true, TwiceRate: 0.7, DropRate: 0.2, Seed: seed})
	defer e.Sim.SetDelivery(stripesim.Delivery{})
	ids := map[string]disputesv1.DisputeState{}
	for i := range 4 {
		d := give(t, e.Conn, donationTo(k.campaign))
		page := session(t, e, d).ID
		pay(t, e, d)
		var charge string
		for _, s := range e.Sim.Sessions("") {
			if s.ID == page {
				charge = s.ChargeID
			}
		}
		id := k.mustDispute(t, charge, stripesim.Disputed{Inquiry: i == 3})
		if i == 3 {
			if err := e.Sim.EscalateDispute(id); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.Sim.SubmitEvidence(id, "evidence"); err != nil {
			t.Fatal(err)
		}
		if err := e.Sim.CloseDispute(id, i%2 == 0, i == 0); err != nil {
			t.Fatal(err)
		}
		ids[id] = map[bool]disputesv1.DisputeState{true: won, false: lost}[i%2 == 0]
	}
	for id, state := range ids {
		k.disputed(t, id, state)
	}
	k.settles(t, 40_00)
	if told := k.notices(t); len(told["dispute_won"]) != 2 || len(told["dispute_lost"]) != 2 {
		t.Errorf("told %v", told)
	}
}

func TestDisputesOfWhichNoEventComes(t *testing.T) {
	e := apptest.Start(t, apptest.Config{SyncEvery: time.Second})
	k := newDesk(t, e, "vallon")
	e.Sim.SetDelivery(stripesim.Delivery{Drop: true})
	_, charge := k.paid(t, 20_00)
	id := k.mustDispute(t, charge, stripesim.Disputed{})
	k.disputed(t, id, needsResponse)
	k.settles(t, 0)
	// Its loss moves no money, and after 30 days Stripe has no event of it. It is asked for all the same.
	if err := e.Sim.CloseDispute(id, false, false); err != nil {
		t.Fatal(err)
	}
	e.Clock.Advance(31 * 24 * time.Hour)
	e.StopApp()
	e.StartApp()
	k.disputed(t, id, lost)
	if told := k.notices(t); len(told["dispute_opened"]) != 1 || len(told["dispute_lost"]) != 1 {
		t.Errorf("told of %v", told)
	}
}

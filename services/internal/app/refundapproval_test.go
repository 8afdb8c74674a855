package app_test

import (
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// desk is a collective whose treasurer and owner give donations back.
type desk struct {
	e                              *apptest.Env
	slug, campaign, collective     string
	owner, treasurer, second, audi string
}

func newDesk(t *testing.T, e *apptest.Env, slug string) *desk {
	t.Helper()
	campaign, owner := e.Campaign(slug)
	k := &desk{e: e, slug: slug, campaign: campaign, collective: "collectives/" + slug, owner: owner}
	k.treasurer = e.Key(k.collective, accessv1.Role_ROLE_TREASURER)
	k.second = e.Key(k.collective, accessv1.Role_ROLE_TREASURER)
	k.audi = e.Key(k.collective, accessv1.Role_ROLE_AUDITOR)
	return k
}

// paid is a donation that is paid and booked; charge is its id at Stripe.
func (k *desk) paid(t *testing.T, minor int64) (d *donationsv1.Donation, charge string) {
	t.Helper()
	req := donationTo(k.campaign)
	req.Donation.Amount = apptest.Euros(minor)
	d = give(t, k.e.Conn, req)
	page := session(t, k.e, d).ID
	pay(t, k.e, d)
	for _, s := range k.e.Sim.Sessions("") {
		if s.ID == page {
			charge = s.ChargeID
		}
	}
	k.e.Eventually("the donation is booked", func() bool { return k.donation(t, d).GetBookTime() != nil })
	return d, charge
}

func (k *desk) donation(t *testing.T, d *donationsv1.Donation) *donationsv1.Donation {
	t.Helper()
	got, err := donationsv1.NewDonationsServiceClient(k.e.Conn).GetDonation(apptest.WithKey(t.Context(), k.owner),
		&donationsv1.GetDonationRequest{Name: d.GetName()})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// ask is for a refund; of zero, for all that is left.
func ask(d *donationsv1.Donation, minor int64) *refundsv1.CreateRefundRequest {
	req := &refundsv1.CreateRefundRequest{
		Parent: d.GetName(), RequestId: uuid.NewString(),
		Refund: &refundsv1.Refund{Reason: refundsv1.RefundReason_REFUND_REASON_REQUESTED_BY_DONOR},
	}
	if minor != 0 {
		req.Refund.Amount = apptest.Euros(minor)
	}
	return req
}

func (k *desk) create(t *testing.T, key string, req *refundsv1.CreateRefundRequest) *refundsv1.Refund {
	t.Helper()
	r, err := refundsv1.NewRefundsServiceClient(k.e.Conn).CreateRefund(apptest.WithKey(t.Context(), key), req)
	if err != nil {
		t.Fatalf("refund of %s: %v", req.GetParent(), err)
	}
	return r
}

// refuse asks and wants to be refused.
func (k *desk) refuse(t *testing.T, req *refundsv1.CreateRefundRequest, code codes.Code, reason string) {
	t.Helper()
	_, err := refundsv1.NewRefundsServiceClient(k.e.Conn).CreateRefund(apptest.WithKey(t.Context(), k.treasurer), req)
	wantError(t, err, code, reason, "")
}

func (k *desk) list(t *testing.T, req *refundsv1.ListRefundsRequest) []*refundsv1.Refund {
	t.Helper()
	list, err := refundsv1.NewRefundsServiceClient(k.e.Conn).ListRefunds(apptest.WithKey(t.Context(), k.audi), req)
	if err != nil {
		t.Fatal(err)
	}
	return list.GetRefunds()
}

func (k *desk) becomes(t *testing.T, r *refundsv1.Refund, state refundsv1.RefundState) *refundsv1.Refund {
	t.Helper()
	var got *refundsv1.Refund
	k.e.Eventually("the refund is "+state.String(), func() bool {
		var err error
		got, err = refundsv1.NewRefundsServiceClient(k.e.Conn).GetRefund(apptest.WithKey(t.Context(), k.audi),
			&refundsv1.GetRefundRequest{Name: r.GetName()})
		if err != nil {
			t.Fatal(err)
		}
		return got.GetState() == state
	})
	return got
}

// settles waits until the campaign has so much, and compares the books with Stripe's.
func (k *desk) settles(t *testing.T, minor int64) {
	t.Helper()
	k.e.Eventually("the campaign's progress follows", func() bool {
		settled, _ := progress(t, k.e.Conn, k.campaign)
		return settled == minor && booksAgainstStripe(t, k.e, k.slug) == ""
	})
}

// notices are the subjects that members were told of, by kind.
func (k *desk) notices(t *testing.T) map[string][]string {
	t.Helper()
	list, err := noticesv1.NewNoticesServiceClient(k.e.Conn).ListNotices(apptest.WithKey(t.Context(), k.owner),
		&noticesv1.ListNoticesRequest{Parent: k.collective, PageSize: 200})
	if err != nil {
		t.Fatal(err)
	}
	told := map[string][]string{}
	for _, n := range list.GetNotices() {
		told[n.GetKind()] = append(told[n.GetKind()], n.GetSubject())
	}
	return told
}

// atStripe sums what the simulator has given back of a charge.
func (k *desk) atStripe(charge string) (count int, minor int64) {
	for _, r := range k.e.Sim.Refunds("") {
		if r.ChargeID == charge && r.Status != "failed" {
			count, minor = count+1, minor+r.AmountMinor
		}
	}
	return count, minor
}

// setApproval lets a second member decide above so much.
func (k *desk) setApproval(t *testing.T, minor int64) {
	t.Helper()
	client, ctx := collectivesv1.NewCollectivesServiceClient(k.e.Conn), apptest.WithKey(t.Context(), k.owner)
	c, err := client.GetCollective(ctx, &collectivesv1.GetCollectiveRequest{Name: k.collective})
	if err != nil {
		t.Fatal(err)
	}
	c.RefundApproval = apptest.Euros(minor)
	if _, err := client.UpdateCollective(ctx, &collectivesv1.UpdateCollectiveRequest{
		Collective: c, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"refund_approval"}},
	}); err != nil {
		t.Fatal(err)
	}
}

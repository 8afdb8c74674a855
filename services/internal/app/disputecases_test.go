package app_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	disputesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/disputes/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// returned is one payment of 20 € at Stripe, with what happens to it there. Its steps fail the test by themselves.
type returned struct {
	t               *testing.T
	sim             *stripesim.Sim
	charge          string
	refund, dispute string
}

func (r *returned) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *returned) refunded(minor int64) {
	id, err := r.sim.Refund(r.charge, minor)
	r.must(err)
	r.refund = id
}

func (r *returned) refundFails() { r.must(r.sim.FailRefund(r.refund, "expired_or_canceled_card")) }

func (r *returned) disputed(how stripesim.Disputed) {
	id, err := r.sim.Dispute(r.charge, how)
	r.must(err)
	r.dispute = id
}

func (r *returned) answered()   { r.must(r.sim.SubmitEvidence(r.dispute, "evidence")) }
func (r *returned) reinstated() { r.must(r.sim.ReinstateDispute(r.dispute)) }
func (r *returned) won()        { r.must(r.sim.CloseDispute(r.dispute, true, true)) }
func (r *returned) lost()       { r.must(r.sim.CloseDispute(r.dispute, false, false)) }

// becomes is what a payment of 20 € has become.
type becomes struct {
	state donationsv1.DonationState
	// back and taken went by refunds and by disputes, and left is what the campaign has of it.
	back, taken, left int64
	dispute           disputesv1.DisputeState
	// withdrawn and reinstated are the dispute's.
	withdrawn, reinstated int64
	// told are the kinds of notices about it, each once.
	told []string
	// page is what its donor reads.
	page string
}

// moneyCases are by what happens. Nothing that they say depends on the order of the events.
func moneyCases() map[string]struct {
	debit bool
	steps func(*returned)
	want  becomes
} {
	const (
		succeeded = donationsv1.DonationState_DONATION_STATE_SUCCEEDED
		partly    = donationsv1.DonationState_DONATION_STATE_PARTIALLY_REFUNDED
		refunded  = donationsv1.DonationState_DONATION_STATE_REFUNDED
		disputed  = donationsv1.DonationState_DONATION_STATE_DISPUTED
		review    = disputesv1.DisputeState_DISPUTE_STATE_UNDER_REVIEW
		prevented = disputesv1.DisputeState_DISPUTE_STATE_PREVENTED
		none      = disputesv1.DisputeState_DISPUTE_STATE_UNSPECIFIED

		arrived = "est bien arrivé"
		rest    = "Votre don est désormais de"
		back    = "Votre don a été remboursé"
		taken   = "Le paiement a été contesté"
		twice   = "vous est revenu deux fois"
	)
	whole, claim := stripesim.Disputed{}, stripesim.Disputed{Reason: "debit_not_authorized"}
	return map[string]struct {
		debit bool
		steps func(*returned)
		want  becomes
	}{
		"a dispute that is won": {
			false, func(r *returned) { r.disputed(whole); r.won() },
			becomes{succeeded, 0, 0, 20_00, won, 20_00, 20_00, []string{"dispute_won"}, arrived},
		},
		"a dispute that is won, after a part went back": {
			false, func(r *returned) { r.refunded(5_00); r.disputed(whole); r.won() },
			becomes{partly, 5_00, 0, 15_00, won, 20_00, 20_00, []string{"dispute_won"}, rest},
		},
		"a dispute of a part that is lost": {
			false, func(r *returned) { r.disputed(stripesim.Disputed{AmountMinor: 8_00}); r.lost() },
			becomes{disputed, 0, 8_00, 12_00, lost, 8_00, 0, []string{"dispute_lost"}, "reprise par votre banque"},
		},
		"a refund that fails": {
			false, func(r *returned) { r.refunded(20_00); r.refundFails() },
			becomes{succeeded, 0, 0, 20_00, none, 0, 0, []string{"refund_failed"}, arrived},
		},
		"a refund of a part that fails, after another": {
			false, func(r *returned) { r.refunded(5_00); r.refunded(15_00); r.refundFails() },
			becomes{partly, 5_00, 0, 15_00, none, 0, 0, []string{"refund_failed"}, rest},
		},
		"a dispute that is prevented": {
			false, func(r *returned) { r.disputed(stripesim.Disputed{Prevented: true}) },
			becomes{succeeded, 0, 0, 20_00, prevented, 0, 0, nil, arrived},
		},
		"a dispute that is prevented by a refund": {
			false, func(r *returned) { r.refunded(20_00); r.disputed(stripesim.Disputed{Prevented: true}) },
			becomes{refunded, 20_00, 0, 0, prevented, 0, 0, nil, back},
		},
		"a dispute after a full refund": {
			false, func(r *returned) { r.refunded(20_00); r.disputed(whole) },
			becomes{disputed, 20_00, 20_00, 0, needsResponse, 20_00, 0, []string{"dispute_opened", "paid_back_twice"}, twice},
		},
		"a dispute after a full refund that is lost": {
			false, func(r *returned) { r.refunded(20_00); r.disputed(whole); r.lost() },
			becomes{disputed, 20_00, 20_00, 0, lost, 20_00, 0, []string{"dispute_lost", "paid_back_twice"}, twice},
		},
		"a refund that fails after the dispute was lost": {
			false, func(r *returned) { r.refunded(20_00); r.disputed(whole); r.lost(); r.refundFails() },
			becomes{disputed, 0, 20_00, 0, lost, 20_00, 0, []string{"dispute_lost", "refund_failed"}, taken},
		},
		"funds that come back under review": {
			false, func(r *returned) { r.disputed(whole); r.answered(); r.reinstated() },
			becomes{succeeded, 0, 0, 20_00, review, 20_00, 20_00, []string{"dispute_reinstated"}, arrived},
		},
		"funds that come back under review, and go when it is lost": {
			false, func(r *returned) { r.disputed(whole); r.answered(); r.reinstated(); r.lost() },
			becomes{disputed, 0, 20_00, 0, lost, 40_00, 20_00, []string{"dispute_lost"}, taken},
		},
		"funds that come back under review, and stay when it is won": {
			false, func(r *returned) { r.disputed(whole); r.answered(); r.reinstated(); r.won() },
			becomes{succeeded, 0, 0, 20_00, won, 20_00, 20_00, []string{"dispute_won"}, arrived},
		},
		"funds that come back after it was lost": {
			false, func(r *returned) { r.disputed(whole); r.lost(); r.reinstated() },
			becomes{succeeded, 0, 0, 20_00, lost, 20_00, 20_00, []string{"dispute_lost", "dispute_reinstated"}, arrived},
		},
		"a dispute that was lost, and is won on appeal": {
			false, func(r *returned) { r.disputed(whole); r.lost(); r.won() },
			becomes{succeeded, 0, 0, 20_00, won, 20_00, 20_00, []string{"dispute_won"}, arrived},
		},
		"a debit that is refunded, and claimed at the bank": {
			true, func(r *returned) { r.refunded(20_00); r.disputed(claim); r.lost() },
			becomes{disputed, 20_00, 20_00, 0, lost, 20_00, 0, []string{"dispute_lost", "paid_back_twice"}, twice},
		},
		"a debit of which a part is refunded, and all claimed": {
			true, func(r *returned) { r.refunded(5_00); r.disputed(claim); r.lost() },
			becomes{disputed, 5_00, 20_00, 0, lost, 20_00, 0, []string{"dispute_lost", "paid_back_twice"}, twice},
		},
		"a debit whose refund fails, and that is claimed": {
			true, func(r *returned) { r.refunded(20_00); r.refundFails(); r.disputed(claim); r.lost() },
			becomes{disputed, 0, 20_00, 0, lost, 20_00, 0, []string{"dispute_lost", "refund_failed"}, taken},
		},
	}
}

// What became of each payment is the same whether its events come in order, in any other, twice, or not at all.
func TestWhatBecomesOfMoneyThatGoesBack(t *testing.T) {
	for mode, delivery := range map[string]stripesim.Delivery{
		"in order":  {},
		"shuffled":  {Shuffle: true, Seed: 7},
		"otherwise": {Shuffle: true, Seed: 8, TwiceRate: 0.5, DropRate: 0.3},
		"twice":     {Twice: true},
		"lost":      {Drop: true},
	} {
		t.Run(mode, func(t *testing.T) { moneyGoesBack(t, delivery) })
	}
}

func moneyGoesBack(t *testing.T, delivery stripesim.Delivery) {
	e := apptest.Start(t, apptest.Config{SyncEvery: time.Second})
	k := newDesk(t, e, "vallon")
	if err := e.Sim.OfferDebits("", true); err != nil {
		t.Fatal(err)
	}
	e.Sim.SetDelivery(delivery)
	defer e.Sim.SetDelivery(stripesim.Delivery{})
	cases := moneyCases()
	donations, payments, left := map[string]*donationsv1.Donation{}, map[string]*returned{}, int64(0)
	for _, rule := range slices.Sorted(maps.Keys(cases)) {
		c := cases[rule]
		var d *donationsv1.Donation
		if c.debit {
			d = k.debited(t)
		} else {
			d = give(t, e.Conn, donationTo(k.campaign))
			pay(t, e, d)
		}
		r := &returned{t: t, sim: e.Sim}
		for _, bt := range e.Sim.BalanceTransactions("") { // the latest payment is this one
			if bt.Type == "charge" || bt.Type == "payment" {
				r.charge = bt.SourceID
			}
		}
		c.steps(r)
		donations[rule], payments[rule] = d, r
		left += c.want.left
	}
	k.settles(t, left)
	if delivery.Drop || delivery.DropRate > 0 {
		// What moves no money is asked for in time; Stripe has no event of it by then.
		e.Clock.Advance(31 * 24 * time.Hour)
		e.StopApp()
		e.StartApp()
	}
	for rule, c := range cases {
		t.Run(rule, func(t *testing.T) { k.became(t, donations[rule], payments[rule], c.want, delivery) })
	}
	k.settles(t, left)
}

func (k *desk) became(t *testing.T, d *donationsv1.Donation, r *returned, want becomes, delivery stripesim.Delivery) {
	t.Helper()
	// A dispute that moved no money is known by its event alone.
	if lossy := delivery.Drop || delivery.DropRate > 0; want.dispute != 0 && (!lossy || want.withdrawn > 0) {
		got := k.disputed(t, r.dispute, want.dispute)
		k.e.Eventually("the dispute has the money", func() bool {
			got = k.disputed(t, r.dispute, want.dispute)
			return got.GetWithdrawn().GetAmountMinor() == want.withdrawn && got.GetReinstated().GetAmountMinor() == want.reinstated
		})
		open := want.dispute == needsResponse || want.dispute == disputesv1.DisputeState_DISPUTE_STATE_UNDER_REVIEW
		if (got.GetEvidenceDueTime() != nil) != open {
			t.Errorf("the dispute is %v", got)
		}
	}
	got := k.donation(t, d)
	if got.GetState() != want.state || got.GetAmountRefunded().GetAmountMinor() != want.back ||
		got.GetAmountDisputed().GetAmountMinor() != want.taken || got.GetDisputed() != (want.taken > 0) {
		t.Errorf("the donation is %v", got)
	}
	k.e.Eventually("members are told of it", func() bool {
		told := k.toldOf(t, d, r)
		for _, kind := range want.told {
			if !slices.Contains(told, kind) {
				return false
			}
		}
		// What was read in between may have been told as well; a loss of money twice only when it is one.
		return slices.Contains(told, "paid_back_twice") == slices.Contains(want.told, "paid_back_twice") || want.taken == 20_00 && want.back == 0
	})
	if told := k.toldOf(t, d, r); want.told == nil && len(told) > 0 || len(told) != len(slices.Compact(slices.Sorted(slices.Values(told)))) {
		t.Errorf("members are told %v", told)
	}
	if page := k.page(t, d); !strings.Contains(page, want.page) {
		t.Errorf("the donor does not read %q:\n%s", want.page, page)
	}
}

// toldOf are the kinds of the notices about a donation, its refunds and its dispute.
func (k *desk) toldOf(t *testing.T, d *donationsv1.Donation, r *returned) (kinds []string) {
	t.Helper()
	for kind, subjects := range k.notices(t) {
		for _, subject := range subjects {
			if strings.HasPrefix(subject, d.GetName()) || r.dispute != "" && strings.HasSuffix(subject, "/"+r.dispute) {
				kinds = append(kinds, kind)
			}
		}
	}
	return kinds
}

// page is what the donor reads.
func (k *desk) page(t *testing.T, d *donationsv1.Donation) string {
	t.Helper()
	_, rest, _ := strings.Cut(d.GetName(), "/campaigns/")
	slug, id, _ := strings.Cut(rest, "/donations/")
	resp, err := http.Get(fmt.Sprintf("%s/c/%s/%s/donations/%s", k.e.URL, k.slug, slug, id))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("HTTP %d, %v", resp.StatusCode, err)
	}
	return string(body)
}

// debited is a donation of 20 € that a bank has paid.
func (k *desk) debited(t *testing.T) *donationsv1.Donation {
	t.Helper()
	d := give(t, k.e.Conn, donationTo(k.campaign))
	page := session(t, k.e, d).ID
	if err := k.e.Sim.PayByDebit(page, stripesim.IBANPaid); err != nil {
		t.Fatal(err)
	}
	if err := k.e.Sim.SettleDebit(page, true); err != nil {
		t.Fatal(err)
	}
	return d
}

// Before a SEPA debit is refunded, members are warned that the bank can take it back as well; after both they are told
// what is missing.
func TestADebitThatIsRefundedHereAndClaimedAtItsBank(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	if err := e.Sim.OfferDebits("", true); err != nil {
		t.Fatal(err)
	}
	k := newDesk(t, e, "vallon")
	k.setApproval(t, 10_00)
	d := k.debited(t)
	k.settles(t, 20_00)
	if got := k.donation(t, d); got.GetPaymentMethod() != "sepa_debit" {
		t.Errorf("the donation is %v", got)
	}
	paid := k.donation(t, d).GetPayTime().AsTime()
	req := ask(d, 0)
	for range 2 { // what is refused uses no request id up
		k.refuse(t, req, codes.FailedPrecondition, "DEBIT_CAN_BE_CLAIMED")
	}
	_, err := refundsv1.NewRefundsServiceClient(e.Conn).CreateRefund(apptest.WithKey(t.Context(), k.treasurer), req)
	for _, date := range []time.Time{paid.AddDate(0, 0, 56), paid.AddDate(0, 13, 0)} {
		if !strings.Contains(fmt.Sprint(err), date.Format(time.DateOnly)) {
			t.Errorf("%v does not name %s", err, date.Format(time.DateOnly))
		}
	}
	req.AllowDebit = true
	r := k.create(t, k.treasurer, req)
	// Who approves it reads until when.
	if r.GetState() != refundsv1.RefundState_REFUND_STATE_AWAITING_APPROVAL || !r.GetBankClaimEndTime().AsTime().Equal(paid.AddDate(0, 0, 56)) ||
		!r.GetUnauthorizedClaimEndTime().AsTime().Equal(paid.AddDate(0, 13, 0)) {
		t.Errorf("the refund is %v", r)
	}
	if _, err := refundsv1.NewRefundsServiceClient(e.Conn).ApproveRefund(apptest.WithKey(t.Context(), k.second),
		&refundsv1.ApproveRefundRequest{Name: r.GetName()}); err != nil {
		t.Fatal(err)
	}
	k.becomes(t, r, succeeded)
	k.settles(t, 0)
	charge := ""
	for _, bt := range e.Sim.BalanceTransactions("") {
		if bt.Type == "payment" {
			charge = bt.SourceID
		}
	}
	id := k.mustDispute(t, charge, stripesim.Disputed{Reason: "debit_not_authorized"})
	if err := e.Sim.CloseDispute(id, false, false); err != nil {
		t.Fatal(err)
	}
	k.disputed(t, id, lost)
	k.settles(t, 0)
	if told := k.notices(t)["paid_back_twice"]; len(told) != 1 || told[0] != d.GetName() {
		t.Errorf("members are told of %v", told)
	}
	t.Run("another donation's money is counted in full", func(t *testing.T) {
		k.paid(t, 20_00)
		k.settles(t, 20_00)
	})
	t.Run("a card is refunded without a word, and a debit after thirteen months", func(t *testing.T) {
		card, _ := k.paid(t, 20_00)
		if r := k.create(t, k.treasurer, ask(card, 5_00)); r.GetBankClaimEndTime() != nil {
			t.Errorf("the refund is %v", r)
		}
		old := k.debited(t)
		e.Eventually("the debit is booked", func() bool { return k.donation(t, old).GetBookTime() != nil })
		e.Clock.Advance(100 * 24 * time.Hour)
		k.refuse(t, ask(old, 5_00), codes.FailedPrecondition, "DEBIT_CAN_BE_CLAIMED")
		e.Clock.Advance(310 * 24 * time.Hour)
		k.create(t, k.treasurer, ask(old, 5_00))
	})
}

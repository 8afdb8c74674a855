package chaos_test

import (
	"context"
	"fmt"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	disputesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/disputes/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
)

// fate is what became of a charge, according to the account's balance.
type fate struct {
	// backMinor was refunded.
	backMinor int64
	// roundedMinor is how much more the donation may report, since each converted part is rounded up.
	roundedMinor int64
	// disputedMinor is held by the donor's bank because of disputes.
	disputedMinor int64
}

// state returns the state of a paid donation after these refunds and disputes.
func (f fate) state(donationMinor int64) donationsv1.DonationState {
	switch {
	case f.disputedMinor > 0:
		return donationsv1.DonationState_DONATION_STATE_DISPUTED
	case f.backMinor >= donationMinor:
		return donationsv1.DonationState_DONATION_STATE_REFUNDED
	case f.backMinor > 0:
		return donationsv1.DonationState_DONATION_STATE_PARTIALLY_REFUNDED
	}
	return donationsv1.DonationState_DONATION_STATE_SUCCEEDED
}

// fates returns the fate of each charge, by its id.
func (h *history) fates() map[string]fate {
	refunded, asked, disputed, fates := map[string]string{}, map[string]int64{}, map[string]string{}, map[string]fate{}
	for _, r := range h.Sim.Refunds(h.account) {
		refunded[r.ID], asked[r.ID] = r.ChargeID, r.AmountMinor
	}
	for _, d := range h.Sim.Disputes(h.account) {
		disputed[d.ID], asked[d.ID] = d.ChargeID, d.AmountMinor
	}
	for _, b := range h.Sim.BalanceTransactions(h.account) {
		switch refund, dispute := refunded[b.SourceID], disputed[b.SourceID]; {
		case b.Type == "charge" || b.Type == "payment":
			// Of two balance transactions in one second, the refund's may come before the charge's.
			if _, known := fates[b.SourceID]; !known {
				fates[b.SourceID] = fate{}
			}
		case refund != "":
			f := fates[refund]
			f.backMinor -= b.AmountMinor
			if b.AmountMinor != asked[b.SourceID] && b.AmountMinor != -asked[b.SourceID] {
				f.roundedMinor++
			}
			fates[refund] = f
		case dispute != "":
			f := fates[dispute]
			f.disputedMinor -= b.AmountMinor
			if b.AmountMinor != asked[b.SourceID] && b.AmountMinor != -asked[b.SourceID] {
				f.roundedMinor++
			}
			fates[dispute] = f
		}
	}
	return fates
}

const chargesSQL = `
SELECT
	d.id::text,
	coalesce(d.charge_id, '')
FROM donations.donations AS d
WHERE d.stripe_account = @account
	AND d.booked_at IS NOT NULL`

// compareFates checks that each charge is one donation, with the state, refunds, disputes and warnings of the charge.
func (h *history) compareFates(ctx context.Context) string {
	donations, err := h.donations(ctx)
	if err != nil {
		return fmt.Sprintf("the donations cannot be read: %v", err)
	}
	rows, err := h.db.Query(ctx, chargesSQL, pgx.NamedArgs{"account": h.account})
	if err != nil {
		return fmt.Sprintf("the charges cannot be read: %v", err)
	}
	var id, charge string
	donation := map[string]*donationsv1.Donation{}
	if _, err := pgx.ForEachRow(rows, []any{&id, &charge}, func() error { donation[charge] = donations[id]; return nil }); err != nil {
		return fmt.Sprintf("the charges cannot be read: %v", err)
	}
	for _, s := range h.Sim.Sessions(h.account) {
		if d := donation[s.ChargeID]; s.PaymentStatus == "paid" && s.ChargeID != "" && last(d.GetName()) != s.ClientReferenceID {
			return fmt.Sprintf("the charge of donation %s is said to be of %s", s.ClientReferenceID, d.GetName())
		}
	}
	warned := map[string]bool{}
	for _, n := range h.Sim.Warnings(h.account) {
		warned[n.ChargeID] = warned[n.ChargeID] || n.Actionable
	}
	fates := h.fates()
	if len(fates) != len(donation) {
		return fmt.Sprintf("%d donations of %d charges", len(donation), len(fates))
	}
	for charge, f := range fates {
		d := donation[charge]
		amount := d.GetAmount().GetAmountMinor()
		if got := d.GetState(); got != f.state(amount) && got != f.state(amount-f.roundedMinor) {
			return fmt.Sprintf("donation %s is %s, and should be %s: %+v", d.GetName(), got, f.state(amount), f)
		}
		if got := d.GetAmountRefunded().GetAmountMinor(); got < f.backMinor || got > f.backMinor+f.roundedMinor {
			return fmt.Sprintf("of donation %s went %d back, Stripe says %d", d.GetName(), got, f.backMinor)
		}
		if got := d.GetAmountDisputed().GetAmountMinor(); got < f.disputedMinor || got > f.disputedMinor+f.roundedMinor {
			return fmt.Sprintf("of donation %s banks have %d, Stripe says %d", d.GetName(), got, f.disputedMinor)
		}
		if d.GetDisputed() != (f.disputedMinor > 0) || d.GetFraudWarning() != warned[charge] {
			return fmt.Sprintf("donation %s is disputed %v and warned of %v; at Stripe %v and %v",
				d.GetName(), d.GetDisputed(), d.GetFraudWarning(), f.disputedMinor > 0, warned[charge])
		}
	}
	return ""
}

// compareWarnings checks that each early fraud warning is known, and whether it is actionable.
func (h *history) compareWarnings(ctx context.Context) string {
	want, got := map[string]bool{}, map[string]bool{}
	for _, n := range h.Sim.Warnings(h.account) {
		want[n.ID] = n.Actionable
	}
	page, err := disputesv1.NewDisputesServiceClient(h.rest).ListFraudWarnings(ctx, &disputesv1.ListFraudWarningsRequest{
		Parent: "collectives/" + h.slug, PageSize: 200,
	})
	if err != nil {
		return fmt.Sprintf("the warnings cannot be read: %v", err)
	}
	for _, n := range page.GetFraudWarnings() {
		got[last(n.GetName())] = n.GetActionable()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return "early fraud warnings (-Stripe +ours):\n" + diff
	}
	return ""
}

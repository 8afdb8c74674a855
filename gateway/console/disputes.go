package console

import (
	"net/url"
	"time"

	"github.com/cagnotte/cagnotte/gateway/text"
	disputesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/disputes/v1"
)

// disputesSection lists disputes and warnings of fraud, and says what to do about one.
func disputesSection() section {
	const disputes = "/console/c/{collective}/disputes"
	return section{
		name: "disputes",
		routes: []route{
			{pattern: "GET " + disputes, serve: disputesList, roles: bookkeepers},
			{pattern: "GET " + disputes + "/warnings", serve: disputesWarnings, roles: bookkeepers},
			{pattern: "GET " + disputes + "/{dispute}", serve: disputesOne, roles: bookkeepers},
		},
	}
}

func (v *visit) disputes() disputesv1.DisputesServiceClient {
	return disputesv1.NewDisputesServiceClient(v.Conn)
}

// disputeRow is a dispute in a list.
type disputeRow struct {
	Path, Date, Amount, Reason, State, Tone string
	// Left says how many days are left to answer; empty when no answer is waited for.
	Left string
}

func disputeView(v *visit, d *disputesv1.Dispute, zone *time.Location) disputeRow {
	row := disputeRow{
		Path: v.path("/disputes/" + lastOf(d.GetName())), Date: v.ShortDay(d.GetCreateTime().AsTime().In(zone)), Amount: v.Money(d.GetAmount()),
		Reason: d.GetReason(), State: v.T("disputes." + d.GetState().String()), Tone: disputeTone(d.GetState()),
	}
	if v.Has("disputes.reason-" + d.GetReason()) {
		row.Reason = v.T("disputes.reason-" + d.GetReason())
	}
	if due := d.GetEvidenceDueTime(); due != nil && needsAnswer(d.GetState()) {
		row.Left = v.daysLeft(due.AsTime(), zone)
	}
	return row
}

// daysLeft says how many days of the collective are left until a time.
func (v *visit) daysLeft(until time.Time, zone *time.Location) string {
	day := func(t time.Time) time.Time {
		t = t.In(zone)
		return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	}
	switch days := int64(day(until).Sub(day(v.Now())) / (24 * time.Hour)); {
	case until.Before(v.Now()):
		return v.T("disputes.over")
	case days == 0:
		return v.T("disputes.today")
	default:
		return v.N("disputes.daysLeft", days)
	}
}

// needsAnswer reports whether the bank waits for an answer.
func needsAnswer(state disputesv1.DisputeState) bool {
	return state == disputesv1.DisputeState_DISPUTE_STATE_NEEDS_RESPONSE || state == disputesv1.DisputeState_DISPUTE_STATE_INQUIRY_NEEDS_RESPONSE
}

func disputeTone(state disputesv1.DisputeState) string {
	switch state {
	case disputesv1.DisputeState_DISPUTE_STATE_WON, disputesv1.DisputeState_DISPUTE_STATE_INQUIRY_CLOSED, disputesv1.DisputeState_DISPUTE_STATE_PREVENTED:
		return "good"
	case disputesv1.DisputeState_DISPUTE_STATE_UNDER_REVIEW, disputesv1.DisputeState_DISPUTE_STATE_INQUIRY_UNDER_REVIEW:
		return "warn"
	case disputesv1.DisputeState_DISPUTE_STATE_NEEDS_RESPONSE, disputesv1.DisputeState_DISPUTE_STATE_INQUIRY_NEEDS_RESPONSE,
		disputesv1.DisputeState_DISPUTE_STATE_LOST:
		return "bad"
	}
	return ""
}

// disputesPage lists disputes.
type disputesPage struct {
	*text.Words
	Tabs     []tab
	Disputes []disputeRow
	Pager    pager
}

func disputesList(v *visit) error {
	zone, err := v.zone()
	if err != nil {
		return err
	}
	list, err := v.disputes().ListDisputes(v.ctx(), &disputesv1.ListDisputesRequest{Parent: v.collective, PageToken: v.pageToken()})
	if err != nil {
		return err
	}
	p := disputesPage{Words: v.Words, Tabs: refundsTabs(v, "/disputes"), Pager: v.pager(list.GetNextPageToken())}
	for _, d := range list.GetDisputes() {
		p.Disputes = append(p.Disputes, disputeView(v, d, zone))
	}
	return v.show("disputes/list", v.T("disputes.title"), p)
}

// disputePage shows one dispute.
type disputePage struct {
	disputeRow
	Back, Donation, Dashboard  string
	Opened, Due                string
	Withdrawn, Reinstated, Fee string
	// What says what the state means, and Steps what to do.
	What  string
	Steps []string
}

func disputesOne(v *visit) error {
	d, err := v.disputes().GetDispute(v.ctx(), &disputesv1.GetDisputeRequest{Name: v.collective + "/disputes/" + v.r.PathValue("dispute")})
	if err != nil {
		return err
	}
	zone, err := v.zone()
	if err != nil {
		return err
	}
	p := disputePage{
		disputeRow: disputeView(v, d, zone), Back: v.path("/disputes"), Donation: v.path("/donations/" + lastOf(d.GetDonation())),
		Dashboard: d.GetDashboardUrl(), Opened: v.Date(d.GetCreateTime().AsTime().In(zone)), What: v.T("disputes.what-" + d.GetState().String()),
	}
	if due := d.GetEvidenceDueTime(); due != nil && needsAnswer(d.GetState()) {
		p.Due = v.DateTime(due.AsTime(), zone)
	}
	if m := d.GetWithdrawn(); m != nil {
		p.Withdrawn = v.Money(m)
	}
	if m := d.GetReinstated(); m != nil {
		p.Reinstated = v.Money(m)
	}
	if m := d.GetFee(); m != nil {
		p.Fee = v.Money(m)
	}
	if needsAnswer(d.GetState()) {
		for _, step := range []string{"disputes.step1", "disputes.step2", "disputes.step3", "disputes.step4"} {
			p.Steps = append(p.Steps, v.T(step))
		}
	}
	return v.show("disputes/one", v.T("disputes.oneTitle", "amount", p.Amount), p)
}

// warningRow is a warning of fraud. Refund leads to the refund that avoids a dispute; empty when that makes no sense any more.
type warningRow struct{ Date, Kind, Donation, Refund string }

// warningsPage lists warnings of fraud.
type warningsPage struct {
	*text.Words
	Tabs     []tab
	Warnings []warningRow
	Pager    pager
}

func disputesWarnings(v *visit) error {
	zone, err := v.zone()
	if err != nil {
		return err
	}
	list, err := v.disputes().ListFraudWarnings(v.ctx(), &disputesv1.ListFraudWarningsRequest{Parent: v.collective, PageToken: v.pageToken()})
	if err != nil {
		return err
	}
	p := warningsPage{Words: v.Words, Tabs: refundsTabs(v, "/disputes/warnings"), Pager: v.pager(list.GetNextPageToken())}
	for _, w := range list.GetFraudWarnings() {
		row := warningRow{
			Date: v.ShortDay(w.GetCreateTime().AsTime().In(zone)), Kind: w.GetFraudType(), Donation: v.path("/donations/" + lastOf(w.GetDonation())),
		}
		if v.Has("disputes.fraud-" + w.GetFraudType()) {
			row.Kind = v.T("disputes.fraud-" + w.GetFraudType())
		}
		if w.GetActionable() && v.can(refunders...) {
			row.Refund = v.path("/refunds/new?" + withQuery(url.Values{}, "donation", w.GetDonation()))
		}
		p.Warnings = append(p.Warnings, row)
	}
	return v.show("disputes/warnings", v.T("disputes.warnings"), p)
}

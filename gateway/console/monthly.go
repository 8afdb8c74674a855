package console

import (
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cagnotte/cagnotte/gateway/text"
	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	overviewv1 "github.com/cagnotte/cagnotte/proto/cagnotte/overview/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
)

// monthlyEnders end monthly donations.
var monthlyEnders = []accessv1.Role{owner, editor, treasurer}

// monthlySection lists monthly donations, shows one with its months, and ends it.
func monthlySection() section {
	const one = "/console/c/{collective}/donations/monthly/{campaign}/{recurring}"
	return section{
		name: "monthly",
		routes: []route{
			{pattern: "GET /console/c/{collective}/donations/monthly", serve: monthlyList},
			{pattern: "GET " + one, serve: monthlyOne},
			{pattern: "GET " + one + "/end", serve: monthlyEndForm, roles: monthlyEnders},
			{pattern: "POST " + one + "/end", serve: monthlyEnd, roles: monthlyEnders},
		},
	}
}

func (v *visit) recurring() recurringv1.RecurringServiceClient {
	return recurringv1.NewRecurringServiceClient(v.Conn)
}

// monthlyPath is the page of a monthly donation.
func monthlyPath(name string) string {
	segments := strings.Split(name, "/")
	if len(segments) != 6 {
		return ""
	}
	return "/console/c/" + segments[1] + "/donations/monthly/" + segments[3] + "/" + segments[5]
}

// monthlyRow is a monthly donation in a list.
type monthlyRow struct{ Path, Since, Amount, State, Tone, Next, Campaign string }

type monthlyPage struct {
	*text.Words
	Tabs   []tab
	Filter *form
	Rows   []monthlyRow
	Pager  pager
}

var monthlyStates = []recurringv1.RecurringDonationState{
	recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_ACTIVE, recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_PAST_DUE,
	recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_CANCELED, recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_CREATED,
	recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_EXPIRED,
}

func monthlyList(v *visit) error {
	campaigns, err := campaignOptions(v, v.T("donations.allCampaigns"))
	if err != nil {
		return err
	}
	states := []option{{Label: v.T("monthly.begun")}}
	for _, state := range monthlyStates {
		states = append(states, option{Value: state.String(), Label: v.T("monthly." + state.String())})
	}
	p := monthlyPage{Words: v.Words, Tabs: donationsTabs(v, "/monthly")}
	p.Filter = v.queryForm([]field{
		{Name: "state", Label: "donations.state", Kind: "select", Options: states, Path: "states"},
		{Name: "campaign", Label: "donations.campaign", Kind: "select", Options: campaigns, Path: "parent"},
	})
	req := &recurringv1.ListRecurringDonationsRequest{Parent: v.collective, PageToken: v.pageToken()}
	// A campaign of another collective would be another list.
	if campaign := p.Filter.Value("campaign"); strings.HasPrefix(campaign, v.collective+"/") {
		req.Parent = campaign
	}
	if state := recurringv1.RecurringDonationState_value[p.Filter.Value("state")]; state > 0 {
		req.States = []recurringv1.RecurringDonationState{recurringv1.RecurringDonationState(state)}
	} else {
		// Those that never began are of little interest.
		req.States = monthlyStates[:3]
	}
	list, err := v.recurring().ListRecurringDonations(v.ctx(), req)
	if err != nil {
		if !p.Filter.refused(v, err) {
			return err
		}
		return v.refuse("monthly/list", v.T("monthly.title"), p)
	}
	titles, err := campaignTitles(v)
	if err != nil {
		return err
	}
	for _, r := range list.GetRecurringDonations() {
		row, err := monthlyView(v, r, titles)
		if err != nil {
			return err
		}
		p.Rows = append(p.Rows, row)
	}
	p.Pager = v.pager(list.GetNextPageToken())
	return v.show("monthly/list", v.T("monthly.title"), p)
}

func monthlyView(v *visit, r *recurringv1.RecurringDonation, titles map[string]string) (monthlyRow, error) {
	zone, err := v.zone()
	if err != nil {
		return monthlyRow{}, err
	}
	campaign, _, _ := strings.Cut(r.GetName(), "/recurringDonations/")
	row := monthlyRow{
		Path: monthlyPath(r.GetName()), Since: v.Date(r.GetCreateTime().AsTime().In(zone)), Amount: v.Money(r.GetAmount()),
		State: v.T("monthly." + r.GetState().String()), Campaign: titleOf(titles, campaign),
	}
	switch r.GetState() {
	case recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_ACTIVE:
		row.Tone = "good"
	case recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_PAST_DUE:
		row.Tone = "bad"
	}
	switch {
	case r.GetEndTime() != nil:
		row.Next = v.T("monthly.endedOn", "day", v.Date(r.GetEndTime().AsTime().In(zone)))
	case r.GetCancelAtPeriodEnd() && r.GetPeriodEndTime() != nil:
		row.Next = v.T("monthly.endsOn", "day", v.Date(r.GetPeriodEndTime().AsTime().In(zone)))
	case r.GetPaused():
		row.Next = v.T("monthly.paused")
	case r.GetNextDebitTime() != nil:
		row.Next = v.T("monthly.nextOn", "day", v.Date(r.GetNextDebitTime().AsTime().In(zone)))
	}
	return row, nil
}

// monthlyOnePage shows a monthly donation with its months.
type monthlyOnePage struct {
	*text.Words
	monthlyRow
	Back, Reason, End string
	ID                string
	Waiting           bool
	// Several is false: all months are of one campaign.
	Several       bool
	Contributions []contributionRow
	Pager         pager
}

// recurringOf asks for the monthly donation of the address.
func recurringOf(v *visit) (*recurringv1.RecurringDonation, error) {
	r, err := v.recurring().GetRecurringDonation(v.ctx(), &recurringv1.GetRecurringDonationRequest{
		Name: v.collective + "/campaigns/" + v.r.PathValue("campaign") + "/recurringDonations/" + v.r.PathValue("recurring"),
	})
	if status.Code(err) == codes.InvalidArgument {
		return nil, errNoPage
	}
	return r, err
}

// running reports whether a monthly donation can be ended.
func running(r *recurringv1.RecurringDonation) bool {
	switch r.GetState() {
	case recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_ACTIVE, recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_PAST_DUE:
		return !r.GetCancelAtPeriodEnd()
	}
	return false
}

func monthlyOne(v *visit) error {
	r, err := recurringOf(v)
	if err != nil {
		return err
	}
	titles, err := campaignTitles(v)
	if err != nil {
		return err
	}
	p := monthlyOnePage{Words: v.Words, Back: v.path("/donations/monthly"), ID: lastOf(r.GetName()), Waiting: r.GetChangePending()}
	if p.monthlyRow, err = monthlyView(v, r, titles); err != nil {
		return err
	}
	if reason := r.GetEndReason(); reason != recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_UNSPECIFIED {
		p.Reason = v.T("monthly." + reason.String())
	}
	if running(r) && v.can(monthlyEnders...) {
		p.End = p.Path + "/end"
	}
	months, err := v.overview().ListContributions(v.ctx(), &overviewv1.ListContributionsRequest{
		Parent: v.collective, RecurringDonation: r.GetName(), PageSize: 24, PageToken: v.pageToken(),
	})
	if err != nil {
		return err
	}
	for _, c := range months.GetContributions() {
		p.Contributions = append(p.Contributions, contributionView(v, c, titles))
	}
	p.Pager = v.pager(months.GetNextPageToken())
	return v.show("monthly/one", v.T("monthly.oneTitle", "amount", p.Amount), p)
}

// monthlyEndFields are when it ends. The label and hint of an option are texts.
func monthlyEndFields(v *visit) []field {
	return []field{{Name: "when", Label: "monthly.when", Kind: "radio", Required: true, Path: "at_period_end", Options: []option{
		{Value: "period", Label: v.T("monthly.whenPeriod"), Hint: v.T("monthly.whenPeriodHint")},
		{Value: "now", Label: v.T("monthly.whenNow"), Hint: v.T("monthly.whenNowHint")},
	}}}
}

func monthlyEndForm(v *visit) error {
	return endMonthly(v, v.newForm(monthlyEndFields(v), "when", "period"))
}

// endMonthly asks before a monthly donation is ended.
func endMonthly(v *visit, f *form) error {
	r, err := recurringOf(v)
	if err != nil {
		return err
	}
	path := monthlyPath(r.GetName())
	if !running(r) {
		return v.redirect(path)
	}
	return v.confirm(v.T("monthly.endTitle"), confirmation{
		Lead:   v.T("monthly.endLead", "amount", v.Money(r.GetAmount())),
		Points: []string{v.T("monthly.endPoint1"), v.T("monthly.endPoint2"), v.T("monthly.endPoint3")},
		Form:   f, Button: v.T("monthly.endButton"), Danger: true, Back: path,
	})
}

func monthlyEnd(v *visit) error {
	f, err := v.readForm(monthlyEndFields(v))
	if err != nil {
		return err
	}
	if !f.failed() {
		name := v.collective + "/campaigns/" + v.r.PathValue("campaign") + "/recurringDonations/" + v.r.PathValue("recurring")
		// Ending what has ended changes nothing, so a second click does nothing.
		_, err = v.recurring().CancelRecurringDonation(v.ctx(), &recurringv1.CancelRecurringDonationRequest{Name: name, AtPeriodEnd: f.Value("when") == "period"})
		if err == nil {
			return v.done("monthly.ended", monthlyPath(name))
		}
		if !f.refused(v, err) {
			return err
		}
	}
	return endMonthly(v, f)
}

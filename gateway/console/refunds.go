package console

import (
	"strings"
	"time"

	"github.com/cagnotte/cagnotte/gateway/text"
	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
)

// refunders request, approve, reject and cancel refunds.
var refunders = []accessv1.Role{owner, treasurer}

// refundsSection lists refunds, asks for one of a donation, and has a second person approve it.
func refundsSection() section {
	const refunds = "/console/c/{collective}/refunds"
	s := section{
		name: "refunds",
		nav:  []navEntry{{label: "refunds.nav", icon: "refund", path: "/refunds", also: []string{"/disputes"}, roles: bookkeepers}},
		routes: []route{
			{pattern: "GET " + refunds, serve: refundsList, roles: bookkeepers},
			{pattern: "GET " + refunds + "/new", serve: refundsNew, roles: refunders},
			{pattern: "POST " + refunds + "/new", serve: refundsCreate, roles: refunders},
			{pattern: "GET " + refunds + "/{refund}", serve: refundsOne, roles: bookkeepers},
		},
	}
	for _, r := range refundReviews {
		s.routes = append(s.routes,
			route{pattern: "GET " + refunds + "/{refund}/" + r.word, serve: refundsReview(r, false), roles: refunders},
			route{pattern: "POST " + refunds + "/{refund}/" + r.word, serve: refundsReview(r, true), roles: refunders},
		)
	}
	return s
}

// refundReview is what ends the wait of a refund.
type refundReview struct {
	// word is the last part of its address, and of its sentences.
	word string
	// own: it is for who requested the refund; the others are for another member.
	own, danger bool
	points      int
	call        func(v *visit, name string) (*refundsv1.Refund, error)
}

var refundReviews = []refundReview{
	{word: "approve", points: 3, call: func(v *visit, name string) (*refundsv1.Refund, error) {
		return v.refunds().ApproveRefund(v.ctx(), &refundsv1.ApproveRefundRequest{Name: name})
	}},
	{word: "reject", danger: true, points: 2, call: func(v *visit, name string) (*refundsv1.Refund, error) {
		return v.refunds().RejectRefund(v.ctx(), &refundsv1.RejectRefundRequest{Name: name})
	}},
	{word: "cancel", own: true, danger: true, points: 2, call: func(v *visit, name string) (*refundsv1.Refund, error) {
		return v.refunds().CancelRefund(v.ctx(), &refundsv1.CancelRefundRequest{Name: name})
	}},
}

func (v *visit) refunds() refundsv1.RefundsServiceClient {
	return refundsv1.NewRefundsServiceClient(v.Conn)
}

// refundsTabs are the pages about refunds and disputes; current is the path of one.
func refundsTabs(v *visit, current string) []tab {
	var tabs []tab
	for _, t := range []struct{ label, path string }{
		{"refunds.title", "/refunds"},
		{"disputes.title", "/disputes"},
		{"disputes.warnings", "/disputes/warnings"},
	} {
		tabs = append(tabs, tab{v.T(t.label), v.path(t.path), t.path == current})
	}
	return tabs
}

// refundRow is a refund in a list.
type refundRow struct{ Path, Date, Amount, Reason, State, Tone string }

func refundView(v *visit, r *refundsv1.Refund, zone *time.Location) refundRow {
	return refundRow{
		Path: v.path("/refunds/" + lastOf(r.GetName())), Date: v.ShortDay(r.GetCreateTime().AsTime().In(zone)), Amount: v.Money(r.GetAmount()),
		Reason: v.T("refunds." + r.GetReason().String()), State: v.T("refunds." + r.GetState().String()), Tone: refundTone(r.GetState()),
	}
}

func refundTone(state refundsv1.RefundState) string {
	switch state {
	case refundsv1.RefundState_REFUND_STATE_SUCCEEDED:
		return "good"
	case refundsv1.RefundState_REFUND_STATE_AWAITING_APPROVAL, refundsv1.RefundState_REFUND_STATE_APPROVED,
		refundsv1.RefundState_REFUND_STATE_SUBMITTED, refundsv1.RefundState_REFUND_STATE_PENDING:
		return "warn"
	case refundsv1.RefundState_REFUND_STATE_FAILED:
		return "bad"
	}
	return ""
}

// refundsPage lists refunds.
type refundsPage struct {
	*text.Words
	Tabs   []tab
	Filter *form
	// Waiting are those that a second person must approve, on the first page without a filter.
	Waiting, Refunds []refundRow
	Pager            pager
}

var refundStates = []refundsv1.RefundState{
	refundsv1.RefundState_REFUND_STATE_AWAITING_APPROVAL, refundsv1.RefundState_REFUND_STATE_PENDING,
	refundsv1.RefundState_REFUND_STATE_SUCCEEDED, refundsv1.RefundState_REFUND_STATE_FAILED,
	refundsv1.RefundState_REFUND_STATE_REJECTED, refundsv1.RefundState_REFUND_STATE_CANCELED,
}

func refundsList(v *visit) error {
	zone, err := v.zone()
	if err != nil {
		return err
	}
	states := []option{{Label: v.T("refunds.allStates")}}
	for _, state := range refundStates {
		states = append(states, option{Value: state.String(), Label: v.T("refunds." + state.String())})
	}
	p := refundsPage{Words: v.Words, Tabs: refundsTabs(v, "/refunds")}
	p.Filter = v.queryForm([]field{{Name: "state", Label: "refunds.state", Kind: "select", Options: states}})
	req := &refundsv1.ListRefundsRequest{Parent: v.collective, PageToken: v.pageToken()}
	if state := refundsv1.RefundState_value[p.Filter.Value("state")]; state > 0 {
		req.States = []refundsv1.RefundState{refundsv1.RefundState(state)}
	}
	list, err := v.refunds().ListRefunds(v.ctx(), req)
	if err != nil {
		return err
	}
	for _, r := range list.GetRefunds() {
		p.Refunds = append(p.Refunds, refundView(v, r, zone))
	}
	p.Pager = v.pager(list.GetNextPageToken())
	if len(req.GetStates()) == 0 && req.GetPageToken() == "" {
		waiting, err := v.refunds().ListRefunds(v.ctx(), &refundsv1.ListRefundsRequest{
			Parent: v.collective, States: []refundsv1.RefundState{refundsv1.RefundState_REFUND_STATE_AWAITING_APPROVAL},
		})
		if err != nil {
			return err
		}
		for _, r := range waiting.GetRefunds() {
			p.Waiting = append(p.Waiting, refundView(v, r, zone))
		}
	}
	return v.show("refunds/list", v.T("refunds.title"), p)
}

// refundPage shows one refund.
type refundPage struct {
	refundRow
	Back, Donation                        string
	Requester, Reviewer, Note, Failure    string
	Requested, Changed, Submitted, Stripe string
	// Claim is until when the donor's bank can take the payment back as well.
	Claim   string
	Actions []tab
	// WhyNot says why the reader may not approve it, and who can; empty for who may, and once it was decided.
	WhyNot string
}

// refundOf asks for the refund of the address.
func refundOf(v *visit) (*refundsv1.Refund, error) {
	return v.refunds().GetRefund(v.ctx(), &refundsv1.GetRefundRequest{Name: v.collective + "/refunds/" + v.r.PathValue("refund")})
}

func refundsOne(v *visit) error {
	r, err := refundOf(v)
	if err != nil {
		return err
	}
	zone, err := v.zone()
	if err != nil {
		return err
	}
	donation, _ := cutLast(r.GetName(), "/refunds/")
	p := refundPage{
		refundRow: refundView(v, r, zone), Back: v.path("/refunds"), Donation: v.path("/donations/" + lastOf(donation)),
		Requester: v.whoIs(r.GetRequester()), Reviewer: v.whoIs(r.GetReviewer()), Note: r.GetNote(), Stripe: r.GetStripeRefund(),
		Requested: v.DateTime(r.GetCreateTime().AsTime(), zone), Changed: v.DateTime(r.GetUpdateTime().AsTime(), zone),
	}
	if r.GetOrigin() == refundsv1.RefundOrigin_REFUND_ORIGIN_STRIPE {
		p.Requester = v.T("refunds.atStripe")
	}
	if t := r.GetSubmitTime(); t != nil {
		p.Submitted = v.DateTime(t.AsTime(), zone)
	}
	if t := r.GetBankClaimEndTime(); t != nil && t.AsTime().After(v.Now()) {
		p.Claim = v.Date(t.AsTime().In(zone))
	}
	if reason := r.GetFailureReason(); reason != "" {
		if p.Failure = reason; v.Has("refunds.failure-" + reason) {
			p.Failure = v.T("refunds.failure-" + reason)
		}
	}
	p.WhyNot = v.whyNotApprove(r, zone)
	for _, review := range refundReviews {
		if v.offered(review, r) {
			p.Actions = append(p.Actions, tab{v.T("refunds." + review.word), v.path("/refunds/" + lastOf(r.GetName()) + "/" + review.word), review.word == "approve"})
		}
	}
	return v.show("refunds/one", v.T("refunds.oneTitle", "amount", p.Amount), p)
}

// cutLast cuts a name before the last part that begins with sep.
func cutLast(name, sep string) (before, after string) {
	for i := len(name) - len(sep); i >= 0; i-- {
		if name[i:i+len(sep)] == sep {
			return name[:i], name[i+len(sep):]
		}
	}
	return name, ""
}

// whoIs says who somebody of the collective is, by a member's or a key's name; empty for nobody.
func (v *visit) whoIs(name string) string {
	switch {
	case name == "":
		return ""
	case name == v.me.GetMember():
		return v.T("refunds.you")
	case kindOf(name) == "apiKeys":
		return v.T("refunds.aKey")
	}
	list, err := v.members().ListMemberships(v.ctx(), &accessv1.ListMembershipsRequest{Parent: v.collective, PageSize: 200})
	if err == nil {
		for _, m := range list.GetMemberships() {
			if m.GetMember() == name {
				return m.GetDisplayName()
			}
		}
	}
	// Somebody who has left, or the operator.
	return v.T("refunds.formerMember")
}

// whyNotApprove says why the reader may not approve a refund that waits, and who can; empty for who may.
func (v *visit) whyNotApprove(r *refundsv1.Refund, zone *time.Location) string {
	switch since := v.roleSince(); {
	case r.GetState() != refundsv1.RefundState_REFUND_STATE_AWAITING_APPROVAL:
		return ""
	case r.GetRequester() == v.me.GetMember():
		return v.T("refunds.own")
	case !v.can(refunders...):
		return v.T("refunds.reader")
	case since.AsTime().After(r.GetCreateTime().AsTime()):
		return v.T("refunds.late", "time", v.DateTime(since.AsTime(), zone))
	}
	return ""
}

// offered reports whether the reader may do this with a refund, as far as the page knows. The service decides.
func (v *visit) offered(review refundReview, r *refundsv1.Refund) bool {
	return r.GetState() == refundsv1.RefundState_REFUND_STATE_AWAITING_APPROVAL && v.can(refunders...) &&
		review.own == (r.GetRequester() == v.me.GetMember()) &&
		(review.word != "approve" || !v.roleSince().AsTime().After(r.GetCreateTime().AsTime()))
}

// refundsReview asks before a refund is approved, rejected or canceled, and does it.
func refundsReview(review refundReview, do bool) func(*visit) error {
	return func(v *visit) error {
		f, err := v.readForm(nil)
		if err != nil {
			return err
		}
		r, err := refundOf(v)
		if err != nil {
			return err
		}
		back := v.path("/refunds/" + lastOf(r.GetName()))
		if !do && !v.offered(review, r) {
			return v.redirect(back)
		}
		if do {
			if _, err = review.call(v, r.GetName()); err == nil {
				return v.done("refunds."+review.word, back)
			}
			if !f.refused(v, err) {
				return err
			}
		}
		c := confirmation{
			Lead: v.T("refunds."+review.word+"Lead", "amount", v.Money(r.GetAmount()), "who", v.whoIs(r.GetRequester())),
			Form: f, Button: v.T("refunds." + review.word + "Button"), Danger: review.danger, Back: back,
		}
		for _, point := range []string{"Point1", "Point2", "Point3"}[:review.points] {
			c.Points = append(c.Points, v.T("refunds."+review.word+point))
		}
		return v.confirm(v.T("refunds."+review.word+"Title"), c)
	}
}

// newRefundPage is the form of a refund.
type newRefundPage struct {
	Form *form
	Back string
	// Lead says of which donation, Limit whether a second person must approve it.
	Lead, Limit string
}

var refundReasons = []refundsv1.RefundReason{
	refundsv1.RefundReason_REFUND_REASON_REQUESTED_BY_DONOR, refundsv1.RefundReason_REFUND_REASON_DUPLICATE,
	refundsv1.RefundReason_REFUND_REASON_FRAUDULENT, refundsv1.RefundReason_REFUND_REASON_OTHER,
}

func refundFields(v *visit, currency string) []field {
	var reasons []option
	for _, reason := range refundReasons {
		reasons = append(reasons, option{Value: reason.String(), Label: v.T("refunds." + reason.String())})
	}
	return []field{
		{Name: "amount", Label: "refunds.amount", Hint: "refunds.amountHint", Kind: "money", Suffix: v.CurrencySymbol(currency), Path: "refund.amount"},
		{Name: "reason", Label: "refunds.reason", Kind: "radio", Required: true, Options: reasons, Path: "refund.reason"},
		{Name: "note", Label: "refunds.note", Hint: "refunds.noteHint", Max: 200, Path: "refund.note"},
		{Name: "donation", Kind: "hidden", Path: "parent"},
	}
}

// allowDebit is the box that is shown once a debit was refused because the bank can take it back as well.
var allowDebit = field{Name: "allow_debit", Label: "refunds.allowDebit", Hint: "refunds.allowDebitHint", Kind: "checkbox", Path: "allow_debit"}

// refundable asks for the donation that a form is about, and makes what stands around the form.
func refundable(v *visit, name string) (*donationsv1.Donation, newRefundPage, error) {
	// A donation of another collective is refunded on that one's pages.
	if !strings.HasPrefix(name, v.collective+"/") {
		return nil, newRefundPage{}, errNoPage
	}
	d, err := donationsv1.NewDonationsServiceClient(v.Conn).GetDonation(v.ctx(), &donationsv1.GetDonationRequest{Name: name})
	if err != nil {
		return nil, newRefundPage{}, err
	}
	c, err := v.settings()
	if err != nil {
		return nil, newRefundPage{}, err
	}
	p := newRefundPage{
		Back: v.path("/donations/" + lastOf(d.GetName())), Lead: v.T("refunds.newLead", "amount", v.Money(d.GetAmount())), Limit: v.T("refunds.limitNone"),
	}
	switch limit := c.GetRefundApproval(); {
	case limit == nil:
	case limit.GetAmountMinor() == 0:
		p.Limit = v.T("refunds.limitAll")
	default:
		p.Limit = v.T("refunds.limitAbove", "amount", v.Money(limit))
	}
	return d, p, nil
}

func refundsNew(v *visit) error {
	d, p, err := refundable(v, v.r.URL.Query().Get("donation"))
	if err != nil {
		return err
	}
	p.Form = v.newForm(refundFields(v, d.GetAmount().GetCurrencyCode()), "donation", d.GetName())
	return v.show("refunds/new", v.T("refunds.newTitle"), p)
}

func refundsCreate(v *visit) error {
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	d, p, err := refundable(v, f.Value("donation"))
	if err != nil {
		return err
	}
	currency := d.GetAmount().GetCurrencyCode()
	fields := refundFields(v, currency)
	if f.Checked(allowDebit.Name) {
		fields = append(fields, allowDebit)
	}
	f.ask(fields)
	p.Form = f
	if amount := f.money("amount", currency); !f.failed() {
		r, err := v.refunds().CreateRefund(v.ctx(), &refundsv1.CreateRefundRequest{
			Parent: d.GetName(), RequestId: f.RequestID, AllowDebit: f.Checked(allowDebit.Name),
			Refund: &refundsv1.Refund{
				Amount: amount, Reason: refundsv1.RefundReason(refundsv1.RefundReason_value[f.Value("reason")]), Note: f.Value("note"),
			},
		})
		if err == nil {
			to := v.path("/refunds/" + lastOf(r.GetName()))
			if r.GetState() == refundsv1.RefundState_REFUND_STATE_AWAITING_APPROVAL {
				return v.done("refunds.waits", to)
			}
			return v.done("refunds.created", to)
		}
		if !f.refused(v, err) {
			return err
		}
		if reasonOf(err) == "DEBIT_CAN_BE_CLAIMED" && !f.Checked(allowDebit.Name) {
			f.fields = append(f.fields, allowDebit)
		}
	}
	return v.refuse("refunds/new", v.T("refunds.newTitle"), p)
}

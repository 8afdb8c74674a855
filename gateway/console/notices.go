package console

import (
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cagnotte/cagnotte/gateway/text"
	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
)

// noticesSection lists notices, shows where the thing is done that each is about, and acknowledges them: those of a
// collective, and the operator's own, in whose list those of all collectives can be seen too.
func noticesSection() section {
	const (
		notices     = "/console/c/{collective}/notices"
		siteNotices = instancePath + "/notices"
	)
	return section{
		name: "notices",
		nav:  []navEntry{{label: "notices.nav", icon: "bell", path: "/notices", roles: bookkeepers}},
		routes: []route{
			{pattern: "GET " + notices, serve: noticesList, roles: bookkeepers},
			{pattern: "GET " + notices + "/{notice}", serve: noticesOne, roles: bookkeepers},
			{pattern: "POST " + notices + "/{notice}", serve: noticesAcknowledge, roles: bookers},
			{pattern: "GET " + siteNotices, serve: noticesList, roles: operators},
			{pattern: "GET " + siteNotices + "/{notice}", serve: noticesOne, roles: operators},
			{pattern: "POST " + siteNotices + "/{notice}", serve: noticesAcknowledge, roles: operators},
		},
	}
}

func (v *visit) notices() noticesv1.NoticesServiceClient {
	return noticesv1.NewNoticesServiceClient(v.Conn)
}

// noticesPath is an address below the notices: the collective's, or the operator's.
func (v *visit) noticesPath(below string) string {
	if v.collective == "" {
		return instancePath + "/notices" + below
	}
	return v.path("/notices" + below)
}

// openNotices counts the operator's notices that nobody put away. The navigation is there without the number, too.
func openNotices(v *visit) (count, words string) {
	list, err := v.notices().ListNotices(v.ctx(), &noticesv1.ListNoticesRequest{Parent: instanceName, Unacknowledged: true, PageSize: manyCount})
	n := len(list.GetNotices())
	switch {
	case err != nil || n == 0:
		return "", ""
	case n >= manyCount:
		return v.Number(manyCount-1) + "+", v.T("notices.openMany", "n", v.Number(manyCount-1))
	}
	return v.Number(int64(n)), v.N("notices.openCount", int64(n))
}

// noticeRow is a notice in a list.
type noticeRow struct {
	Path, Title, Time, Amount, Deadline string
	// Whose is the collective, where the list has those of several.
	Whose string
	Open  bool
}

type noticesPage struct {
	*text.Words
	Tabs []tab
	// Filter chooses whose notices; nil in a collective.
	Filter  *form
	Notices []noticeRow
	Pager   pager
	All     bool
}

// allNotices chooses the operator's notices and those of all collectives.
const allNotices = "all-collectives"

func noticesList(v *visit) error {
	zone, err := v.zone()
	if err != nil {
		return err
	}
	query := v.r.URL.Query()
	all := query.Get("all") != ""
	request := &noticesv1.ListNoticesRequest{Parent: v.scope(), Unacknowledged: !all, PageToken: v.pageToken()}
	p := noticesPage{Words: v.Words, All: all}
	if v.collective == "" {
		of, err := whoseField(v, option{Label: v.T("shell.instance")}, option{Value: allNotices, Label: v.T("notices.ofAll")})
		if err != nil {
			return err
		}
		p.Filter = v.queryForm([]field{of, {Name: "all", Kind: "hidden"}})
		switch of := p.Filter.Value("of"); of {
		case "":
		case allNotices:
			request.IncludeCollectives = true
		default:
			request.Parent = "collectives/" + of
		}
	}
	list, err := v.notices().ListNotices(v.ctx(), request)
	if err != nil {
		return err
	}
	query.Del("page")
	p.Pager = v.pager(list.GetNextPageToken())
	unread := strings.TrimSuffix("?"+withQuery(query, "all", ""), "?")
	p.Tabs = []tab{
		{v.T("notices.open"), v.noticesPath(unread), !all}, {v.T("notices.all"), v.noticesPath("?" + withQuery(query, "all", "yes")), all},
	}
	for _, n := range list.GetNotices() {
		row := noticeView(v, n, zone)
		if v.collective == "" {
			row.Whose = collectiveOfName(n.GetName())
		}
		p.Notices = append(p.Notices, row)
	}
	return v.show("notices/list", v.T("notices.title"), p)
}

func noticeView(v *visit, n *noticesv1.Notice, zone *time.Location) noticeRow {
	row := noticeRow{
		Path: resourcePath(n.GetName()), Title: n.GetTitle(), Time: v.Date(n.GetCreateTime().AsTime().In(zone)), Open: n.GetAcknowledgeTime() == nil,
	}
	if n.GetAmount() != nil {
		row.Amount = v.Money(n.GetAmount())
	}
	if n.GetDeadline() != nil {
		row.Deadline = v.T("home.until", "day", v.Date(n.GetDeadline().AsTime().In(zone)))
	}
	return row
}

// noticePage shows one notice.
type noticePage struct {
	noticeRow
	Back, Text string
	// Place is where the thing is done, and PlaceLabel says so; both empty when there is nothing to do.
	Place, PlaceLabel    string
	Actor, Before, After string
	Since                string
	Transactions         []string
	Acknowledged         string
	// Form acknowledges it; nil for who may not, and for what was acknowledged.
	Form *form
}

// noticeOf asks for the notice of the address.
func noticeOf(v *visit) (*noticesv1.Notice, error) {
	n, err := v.notices().GetNotice(v.ctx(), &noticesv1.GetNoticeRequest{Name: v.scope() + "/notices/" + v.r.PathValue("notice")})
	if status.Code(err) == codes.InvalidArgument {
		return nil, errNoPage
	}
	return n, err
}

func noticesOne(v *visit) error {
	n, err := noticeOf(v)
	if err != nil {
		return err
	}
	return showNotice(v, n, v.newForm(nil))
}

func showNotice(v *visit, n *noticesv1.Notice, f *form) error {
	zone, err := v.zone()
	if err != nil {
		return err
	}
	p := noticePage{
		noticeRow: noticeView(v, n, zone), Back: v.noticesPath(""), Text: n.GetText(), Actor: n.GetActorDisplayName(), Before: v.noticeValue(n.GetKind(), n.GetBefore()), After: v.noticeValue(n.GetKind(), n.GetAfter()),
		Transactions: n.GetTransactions(),
	}
	if kindOf(n.GetActor()) == "apiKeys" {
		p.Actor = v.T("notices.byKey", "key", n.GetActorDisplayName())
	}
	p.Time = v.DateTime(n.GetCreateTime().AsTime(), zone)
	if n.GetStartTime() != nil {
		p.Since = v.Date(n.GetStartTime().AsTime().In(zone))
	}
	p.Place, p.PlaceLabel = noticePlace(v, n)
	if t := n.GetAcknowledgeTime(); t != nil {
		p.Acknowledged = v.DateTime(t.AsTime(), zone)
	} else if v.can(bookers...) {
		p.Form = f
	}
	if f.failed() {
		return v.refuse("notices/one", n.GetTitle(), p)
	}
	return v.show("notices/one", n.GetTitle(), p)
}

// noticeValue is what was there before or is now, in words: a role with whose it is, a mode of the two-person rule, or an
// amount. The others are texts already.
func (v *visit) noticeValue(kind, value string) string {
	first, rest, more := strings.Cut(value, " ")
	switch {
	case value == "":
		return ""
	case strings.HasPrefix(kind, "two_person_rule_"):
		return v.T("approvals.TWO_PERSON_MODE_" + strings.ToUpper(value))
	case more && v.Has("shell.ROLE_"+strings.ToUpper(first)):
		return v.T("approvals.key", "label", rest, "role", v.T("shell.ROLE_"+strings.ToUpper(first)))
	}
	if m, err := text.ParseMoney(first, rest); err == nil && strings.HasPrefix(kind, "refund_approval_") {
		if m.GetAmountMinor() == 0 {
			return v.T("approvals.allRefunds")
		}
		return v.Money(m)
	}
	return value
}

func noticesAcknowledge(v *visit) error {
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	n, err := noticeOf(v)
	if err != nil {
		return err
	}
	if _, err = v.notices().AcknowledgeNotice(v.ctx(), &noticesv1.AcknowledgeNoticeRequest{Name: n.GetName()}); err != nil {
		if !f.refused(v, err) {
			return err
		}
		return showNotice(v, n, f)
	}
	return v.done("notices.acknowledged", v.noticesPath(""))
}

// noticePlaces are the pages where the thing of a kind is done, with the key of the link's text. A path that ends in a slash
// continues with the last part of the notice's subject. A kind that is not here is about what the subject names, or is only
// to be read.
var noticePlaces = map[string]struct{ path, label string }{
	"dispute_opened":              {"/disputes/", "notices.toDispute"},
	"dispute_won":                 {"/disputes/", "notices.toDispute"},
	"dispute_lost":                {"/disputes/", "notices.toDispute"},
	"dispute_reinstated":          {"/disputes/", "notices.toDispute"},
	"inquiry_opened":              {"/disputes/", "notices.toDispute"},
	"refund_awaiting_approval":    {"/refunds/", "notices.toRefund"},
	"refund_failed":               {"/refunds/", "notices.toRefund"},
	"payout_difference":           {"/books/payouts/", "notices.toPayout"},
	"payout_failed":               {"/books/payouts/", "notices.toPayout"},
	"stripe_money_parked":         {"/books/journal", "notices.toJournal"},
	"stripe_money_unclassified":   {"/books/journal", "notices.toJournal"},
	"stripe_balance_differs":      {"/books", "notices.toBooks"},
	"stripe_top_up":               {"/bank", "notices.toBank"},
	"bank_import_unmatched":       {"/bank", "notices.toBank"},
	"stripe_disconnected":         {"/settings/stripe", "notices.toSettings"},
	"onboarding_needed":           {"/settings/stripe", "notices.toSettings"},
	"onboarding_started":          {"/settings/stripe", "notices.toSettings"},
	"bank_account_changed":        {"/settings/bank", "notices.toSettings"},
	"cheque_details_changed":      {"/settings/bank", "notices.toSettings"},
	"refund_approval_changed":     {"/settings/refunds", "notices.toSettings"},
	"alert_emails_changed":        {"/settings/alerts", "notices.toSettings"},
	"stripe_account_changed":      {"/settings/stripe", "notices.toSettings"},
	"member_invited":              {"/settings/people", "notices.toPeople"},
	"member_joined":               {"/settings/people", "notices.toPeople"},
	"member_role_changed":         {"/settings/people", "notices.toPeople"},
	"member_email_changed":        {"/settings/people", "notices.toPeople"},
	"member_left":                 {"/settings/people", "notices.toPeople"},
	"refund_approval_waits":       {"/settings/approvals/", "notices.toApproval"},
	"bank_account_waits":          {"/settings/approvals/", "notices.toApproval"},
	"two_person_rule_waits":       {"/settings/approvals/", "notices.toApproval"},
	"key_waits":                   {"/settings/approvals/", "notices.toApproval"},
	"invitation_waits":            {"/settings/approvals/", "notices.toApproval"},
	"receipt_declaration_waits":   {"/settings/approvals/", "notices.toApproval"},
	"receipt_declaration_changed": {"/receipts", "receipts.nav"},
	"sealing_key_changed":         {"/receipts/keys", "receipts.keysTitle"},
	"receipt_canceled":            {"/receipts/", "receipts.nav"},
	"member_role_waits":           {"/settings/approvals/", "notices.toApproval"},
	"alert_emails_wait":           {"/settings/approvals/", "notices.toApproval"},
	"two_person_rule_changed":     {"/settings/approvals", "notices.toApprovals"},
	"change_dropped":              {"/settings/approvals/", "notices.toApproval"},
	"key_approved":                {"/settings/keys", "notices.toKeys"},
	"key_created":                 {"/settings/keys", "notices.toKeys"},
	"key_revoked":                 {"/settings/keys", "notices.toKeys"},
}

// siteNoticePlaces are the same for the operator's notices, below /console/instance.
var siteNoticePlaces = map[string]struct{ path, label string }{
	"application_received":   {"/applications/", "notices.toApplication"},
	"stripe_money_parked":    {"/parked", "notices.toParked"},
	"stripe_balance_differs": {"/verification", "notices.toVerification"},
	"payout_failed":          {"/stripe", "notices.toStripe"},
	"payout_difference":      {"/stripe", "notices.toStripe"},
	"stripe_top_up":          {"/stripe", "notices.toStripe"},
	"key_created":            {"/keys", "notices.toKeys"},
	"key_revoked":            {"/keys", "notices.toKeys"},
	"member_invited":         {"/people", "notices.toPeople"},
	"member_joined":          {"/people", "notices.toPeople"},
	"member_role_changed":    {"/people", "notices.toPeople"},
	"member_email_changed":   {"/people", "notices.toPeople"},
	"member_left":            {"/people", "notices.toPeople"},
}

// noticePlace is where the thing of a notice is done, and what the link says; empty for who has no such page.
func noticePlace(v *visit, n *noticesv1.Notice) (path, label string) {
	if path, label = placeOf(v, n); !v.serves(path) {
		return "", ""
	}
	return path, label
}

func placeOf(v *visit, n *noticesv1.Notice) (path, label string) {
	subject := n.GetSubject()
	if v.collective == "" {
		place, known := siteNoticePlaces[n.GetKind()]
		switch {
		case !known:
			return "", ""
		case strings.HasSuffix(place.path, "/"):
			return instancePath + place.path + lastOf(subject), v.T(place.label)
		}
		return instancePath + place.path, v.T(place.label)
	}
	if place, known := noticePlaces[n.GetKind()]; known {
		if strings.HasSuffix(place.path, "/") {
			// The subject of some notices of disputes is the donation.
			if kindOf(subject) == "donations" {
				return v.path("/donations/" + lastOf(subject)), v.T("notices.toDonation")
			}
			return v.path(place.path + lastOf(subject)), v.T(place.label)
		}
		return v.path(place.path), v.T(place.label)
	}
	switch kindOf(subject) {
	case "donations", "offlineDonations":
		return v.path("/donations/" + lastOf(subject)), v.T("notices.toDonation")
	case "recurringDonations":
		return monthlyPath(subject), v.T("notices.toMonthly")
	case "campaigns":
		return v.path("/campaigns/" + lastOf(subject)), v.T("notices.toCampaign")
	}
	return "", ""
}

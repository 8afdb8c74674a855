package console

import (
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cagnotte/cagnotte/gateway/text"
	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	overviewv1 "github.com/cagnotte/cagnotte/proto/cagnotte/overview/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
)

// enterers enter what came without Stripe, and reverse it.
var enterers = []accessv1.Role{owner, treasurer}

// donationsSection lists what was given, shows one donation's history, and enters what came without Stripe.
func donationsSection() section {
	const donations = "/console/c/{collective}/donations"
	return section{
		name: "donations",
		nav:  []navEntry{{label: "donations.nav", icon: "heart", path: "/donations"}},
		routes: []route{
			{pattern: "GET " + donations, serve: donationsList},
			{pattern: "GET " + donations + "/new", serve: donationsNew, roles: enterers},
			{pattern: "POST " + donations + "/new", serve: donationsEnter, roles: enterers},
			{pattern: "GET " + donations + "/{donation}", serve: donationsOne},
			{pattern: "GET " + donations + "/{donation}/reverse", serve: donationsReverseForm, roles: enterers},
			{pattern: "POST " + donations + "/{donation}/reverse", serve: donationsReverse, roles: enterers},
		},
	}
}

// donationsTabs are the pages about donations; current is the path of one below /donations.
func donationsTabs(v *visit, current string) []tab {
	var tabs []tab
	for _, t := range []struct{ label, path string }{
		{"donations.all", ""},
		{"donations.monthly", "/monthly"},
		{"donations.statistics", "/statistics"},
	} {
		tabs = append(tabs, tab{v.T(t.label), v.path("/donations" + t.path), t.path == current})
	}
	return tabs
}

// contributionRow is a contribution in a list.
type contributionRow struct {
	Path, Date, Amount, Method, State, Tone, Campaign string
	// Received is what is left of it, when that is less.
	Received string
	Monthly  bool
}

func contributionView(v *visit, c *overviewv1.Contribution, titles map[string]string) contributionRow {
	row := contributionRow{
		Path:    v.path("/donations/" + lastOf(c.GetName())),
		Date:    shortDay(v, c.GetDate()),
		Amount:  v.Money(c.GetAmount()),
		Method:  v.T("donations." + c.GetMethod().String()),
		State:   v.T("donations." + c.GetState().String()),
		Tone:    contributionTone(c.GetState()),
		Monthly: c.GetRecurringDonation() != "",
	}
	// A collective with one campaign need not be told it on each line.
	if len(titles) > 1 {
		row.Campaign = titleOf(titles, c.GetCampaign())
	}
	switch c.GetState() {
	case overviewv1.ContributionState_CONTRIBUTION_STATE_PARTIALLY_REFUNDED, overviewv1.ContributionState_CONTRIBUTION_STATE_DISPUTED:
		row.Received = v.T("donations.left", "amount", v.Money(c.GetReceived()))
	}
	return row
}

// shortDay writes a day in figures, for lists.
func shortDay(v *visit, day string) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return v.ShortDay(t)
}

func contributionTone(state overviewv1.ContributionState) string {
	switch state {
	case overviewv1.ContributionState_CONTRIBUTION_STATE_RECEIVED, overviewv1.ContributionState_CONTRIBUTION_STATE_BANKED,
		overviewv1.ContributionState_CONTRIBUTION_STATE_BOOKED:
		return "good"
	case overviewv1.ContributionState_CONTRIBUTION_STATE_PENDING, overviewv1.ContributionState_CONTRIBUTION_STATE_PLEDGED,
		overviewv1.ContributionState_CONTRIBUTION_STATE_PARTIALLY_REFUNDED:
		return "warn"
	case overviewv1.ContributionState_CONTRIBUTION_STATE_DISPUTED, overviewv1.ContributionState_CONTRIBUTION_STATE_BOUNCED,
		overviewv1.ContributionState_CONTRIBUTION_STATE_FAILED:
		return "bad"
	}
	return ""
}

// donationsPage lists contributions.
type donationsPage struct {
	*text.Words
	Tabs          []tab
	Filter        *form
	Contributions []contributionRow
	// Several campaigns have a column.
	Several bool
	Pager   pager
	// New are the ways to enter what came without Stripe; none for who may not.
	New []tab
}

// listedStates and listedMethods are what can be chosen, in the order of the choices.
var (
	listedStates = []overviewv1.ContributionState{
		overviewv1.ContributionState_CONTRIBUTION_STATE_RECEIVED, overviewv1.ContributionState_CONTRIBUTION_STATE_PENDING,
		overviewv1.ContributionState_CONTRIBUTION_STATE_PLEDGED, overviewv1.ContributionState_CONTRIBUTION_STATE_BANKED,
		overviewv1.ContributionState_CONTRIBUTION_STATE_PARTIALLY_REFUNDED, overviewv1.ContributionState_CONTRIBUTION_STATE_REFUNDED,
		overviewv1.ContributionState_CONTRIBUTION_STATE_DISPUTED, overviewv1.ContributionState_CONTRIBUTION_STATE_BOUNCED,
		overviewv1.ContributionState_CONTRIBUTION_STATE_REVERSED, overviewv1.ContributionState_CONTRIBUTION_STATE_STARTED,
		overviewv1.ContributionState_CONTRIBUTION_STATE_EXPIRED, overviewv1.ContributionState_CONTRIBUTION_STATE_FAILED,
		overviewv1.ContributionState_CONTRIBUTION_STATE_CANCELED, overviewv1.ContributionState_CONTRIBUTION_STATE_PLEDGE_EXPIRED,
		overviewv1.ContributionState_CONTRIBUTION_STATE_BOOKED,
	}
	listedMethods = []overviewv1.ContributionMethod{
		overviewv1.ContributionMethod_CONTRIBUTION_METHOD_CARD, overviewv1.ContributionMethod_CONTRIBUTION_METHOD_DEBIT,
		overviewv1.ContributionMethod_CONTRIBUTION_METHOD_ONLINE, overviewv1.ContributionMethod_CONTRIBUTION_METHOD_CASH,
		overviewv1.ContributionMethod_CONTRIBUTION_METHOD_CHEQUE, overviewv1.ContributionMethod_CONTRIBUTION_METHOD_TRANSFER,
		overviewv1.ContributionMethod_CONTRIBUTION_METHOD_PAYEE_CHEQUE, overviewv1.ContributionMethod_CONTRIBUTION_METHOD_BOOKS,
	}
	// offlineMethods are the ways in which money comes without Stripe, by the word of their address.
	offlineMethods = []struct {
		word   string
		method treasuryv1.OfflineMethod
	}{
		{"cash", treasuryv1.OfflineMethod_OFFLINE_METHOD_CASH},
		{"cheque", treasuryv1.OfflineMethod_OFFLINE_METHOD_CHEQUE},
		{"transfer", treasuryv1.OfflineMethod_OFFLINE_METHOD_TRANSFER},
	}
)

func donationsList(v *visit) error {
	campaigns, err := campaignOptions(v, v.T("donations.allCampaigns"))
	if err != nil {
		return err
	}
	states := []option{{Label: v.T("donations.allStates")}}
	for _, state := range listedStates {
		states = append(states, option{Value: state.String(), Label: v.T("donations." + state.String())})
	}
	methods := []option{{Label: v.T("donations.allMethods")}, {Value: "monthly", Label: v.T("donations.monthly")}}
	for _, method := range listedMethods {
		methods = append(methods, option{Value: method.String(), Label: v.T("donations." + method.String())})
	}
	p := donationsPage{Words: v.Words, Tabs: donationsTabs(v, "")}
	p.Filter = v.queryForm([]field{
		{Name: "reference", Label: "donations.reference", Hint: "donations.referenceHint", Max: 120, Path: "reference"},
		{Name: "min", Label: "donations.from", Kind: "money", Path: "min_amount"},
		{Name: "max", Label: "donations.to", Kind: "money", Path: "max_amount"},
		{Name: "start_date", Label: "donations.since", Kind: "day"},
		{Name: "end_date", Label: "donations.until", Kind: "day"},
		{Name: "method", Label: "donations.method", Kind: "select", Options: methods, Path: "methods"},
		{Name: "state", Label: "donations.state", Kind: "select", Options: states, Path: "states"},
		{Name: "campaign", Label: "donations.campaign", Kind: "select", Options: campaigns},
	})
	f := p.Filter
	if v.can(enterers...) {
		for _, m := range offlineMethods {
			p.New = append(p.New, tab{Label: v.T("donations.new-" + m.word), Path: v.path("/donations/new?method=" + m.word)})
		}
	}
	currency := currencyOf(v, f.Value("campaign"))
	req := &overviewv1.ListContributionsRequest{
		Parent: v.collective, PageToken: v.pageToken(), Campaign: f.Value("campaign"), Reference: f.Value("reference"),
		MinAmount: f.money("min", currency), MaxAmount: f.money("max", currency), StartDate: f.day("start_date"), EndDate: f.day("end_date"),
		Monthly: f.Value("method") == "monthly",
	}
	if state := overviewv1.ContributionState_value[f.Value("state")]; state > 0 {
		req.States = []overviewv1.ContributionState{overviewv1.ContributionState(state)}
	}
	if method := overviewv1.ContributionMethod_value[f.Value("method")]; method > 0 {
		req.Methods = []overviewv1.ContributionMethod{overviewv1.ContributionMethod(method)}
	}
	if f.failed() {
		return v.refuse("donations/list", v.T("donations.title"), p)
	}
	list, err := v.overview().ListContributions(v.ctx(), req)
	if err != nil {
		if !f.refused(v, err) {
			return err
		}
		return v.refuse("donations/list", v.T("donations.title"), p)
	}
	titles, err := campaignTitles(v)
	if err != nil {
		return err
	}
	p.Several = len(titles) > 1
	for _, c := range list.GetContributions() {
		p.Contributions = append(p.Contributions, contributionView(v, c, titles))
	}
	p.Pager = v.pager(list.GetNextPageToken())
	return v.show("donations/list", v.T("donations.title"), p)
}

// donationPage shows one contribution.
type donationPage struct {
	contributionRow
	Back string
	// ID is our reference.
	ID, Document, Pledge, PaymentMethod, Left string
	// Monthly is the page of the monthly donation.
	MonthlyPath string
	// Kind is the last word of its resource's collection: "donations", "offlineDonations", "pledges".
	Kind    string
	Actions []tab
	Entries []historyView
	Events  []historyView
}

// historyView is an entry of a history. Path leads to the thing.
type historyView struct{ Time, Label, Amount, Path, Tone string }

// kindOf is the collection that a resource's name is in: "donations" of ".../donations/ID".
func kindOf(resource string) string {
	segments := strings.Split(resource, "/")
	if len(segments) < 2 {
		return ""
	}
	return segments[len(segments)-2]
}

// contributionOf asks for the contribution of the address.
func contributionOf(v *visit) (*overviewv1.Contribution, error) {
	c, err := v.overview().GetContribution(v.ctx(), &overviewv1.GetContributionRequest{Name: v.collective + "/contributions/" + v.r.PathValue("donation")})
	if status.Code(err) == codes.InvalidArgument {
		return nil, errNoPage // an address that is no id
	}
	return c, err
}

func donationsOne(v *visit) error {
	name := v.collective + "/contributions/" + v.r.PathValue("donation") + "/history"
	history, err := v.overview().GetContributionHistory(v.ctx(), &overviewv1.GetContributionHistoryRequest{Name: name})
	if status.Code(err) == codes.InvalidArgument {
		return errNoPage
	}
	if err != nil {
		return err
	}
	zone, err := v.zone()
	if err != nil {
		return err
	}
	titles, err := campaignTitles(v)
	if err != nil {
		return err
	}
	c := history.GetContribution()
	p := donationPage{
		contributionRow: contributionView(v, c, titles), Back: v.path("/donations"), ID: lastOf(c.GetName()), Document: c.GetDocument(),
		Pledge: c.GetPledgeReference(), PaymentMethod: c.GetPaymentMethod(), Kind: kindOf(c.GetResource()),
	}
	if recurring := c.GetRecurringDonation(); recurring != "" {
		p.MonthlyPath = monthlyPath(recurring)
	}
	p.Campaign, p.Date = titleOf(titles, c.GetCampaign()), v.Day(c.GetDate())
	p.Actions = contributionActions(v, c)
	for _, e := range history.GetEntries() {
		view := historyEntryView(v, e, zone)
		if e.GetKind() == overviewv1.HistoryKind_HISTORY_KIND_EVENT {
			p.Events = append(p.Events, view)
		} else {
			p.Entries = append(p.Entries, view)
		}
	}
	return v.show("donations/one", v.T("donations.oneTitle", "amount", p.Amount), p)
}

// contributionActions are what can be done with a contribution by who looks at it. The services decide.
func contributionActions(v *visit, c *overviewv1.Contribution) []tab {
	if !v.can(enterers...) {
		return nil
	}
	var actions []tab
	switch kind, state := kindOf(c.GetResource()), c.GetState(); {
	case kind == "donations" && (state == overviewv1.ContributionState_CONTRIBUTION_STATE_RECEIVED || state == overviewv1.ContributionState_CONTRIBUTION_STATE_PARTIALLY_REFUNDED):
		actions = append(actions, tab{Label: v.T("donations.refund"), Path: v.path("/refunds/new?" + withQuery(url.Values{}, "donation", c.GetResource()))})
	case kind == "offlineDonations" && (state == overviewv1.ContributionState_CONTRIBUTION_STATE_RECEIVED || state == overviewv1.ContributionState_CONTRIBUTION_STATE_BANKED):
		actions = append(actions, tab{Label: v.T("donations.reverse"), Path: v.path("/donations/" + lastOf(c.GetName()) + "/reverse")})
	case kind == "pledges":
		actions = append(actions, tab{Label: v.T("donations.fulfil"), Path: v.path("/donations/new?" + withQuery(url.Values{}, "pledge", lastOf(c.GetName()))), Current: true})
	}
	return actions
}

// historyEntryView says an entry, and where it leads.
func historyEntryView(v *visit, e *overviewv1.HistoryEntry, zone *time.Location) historyView {
	view := historyView{Time: v.DateTime(e.GetTime().AsTime(), zone)}
	if e.GetAmount() != nil {
		view.Amount = v.Money(e.GetAmount())
	}
	id := lastOf(e.GetResource())
	word, state, _ := strings.Cut(e.GetDetail(), " ")
	switch e.GetKind() {
	case overviewv1.HistoryKind_HISTORY_KIND_STATE:
		view.Label = v.T("donations.began-" + e.GetState().String())
		view.Tone = contributionTone(e.GetState())
	case overviewv1.HistoryKind_HISTORY_KIND_EVENT:
		view.Label = word
		if state != "applied" && state != "ignored" {
			view.Label += " · " + v.T("donations.event-"+state)
		}
	case overviewv1.HistoryKind_HISTORY_KIND_TRANSACTION:
		view.Label = v.T("donations.entry", "kind", transactionKind(v, word))
		view.Path = v.path("/books/journal/" + id)
	case overviewv1.HistoryKind_HISTORY_KIND_REFUND:
		view.Label = v.T("donations.refundIs", "state", v.T("donations.refund-"+e.GetDetail()))
		view.Path = v.path("/refunds/" + id)
	case overviewv1.HistoryKind_HISTORY_KIND_DISPUTE:
		view.Label = v.T("donations.dispute")
		view.Path, view.Tone = v.path("/disputes/"+id), "bad"
	case overviewv1.HistoryKind_HISTORY_KIND_FRAUD_WARNING:
		view.Label, view.Tone = v.T("donations.fraudWarning"), "warn"
	case overviewv1.HistoryKind_HISTORY_KIND_PAYOUT:
		view.Time = v.Date(e.GetTime().AsTime().In(zone))
		view.Label = v.T("donations.payout-" + e.GetDetail())
		view.Path = v.path("/books/payouts/" + id)
	case overviewv1.HistoryKind_HISTORY_KIND_DEPOSIT:
		view.Time = v.Date(e.GetTime().AsTime())
		view.Label = v.T("donations.deposit")
		view.Path = v.path("/bank/deposits/" + id)
	case overviewv1.HistoryKind_HISTORY_KIND_BANK_LINE:
		view.Time = v.Date(e.GetTime().AsTime())
		view.Label = v.T("donations.bankLine")
		view.Path = v.path("/bank/lines/" + id)
	}
	return view
}

// enterPage is the form for what came without Stripe.
type enterPage struct {
	*form
	Tabs []tab
	// Pledge says which pledge is fulfilled; empty for none.
	Pledge string
	Back   string
}

// enterForm are the fields of a method. The campaign is asked for when there are several to choose from.
func enterForm(v *visit, word string) (fields []field, only *campaignsv1.Campaign, err error) {
	all, err := v.allCampaigns()
	if err != nil {
		return nil, nil, err
	}
	var options []option
	for _, c := range all {
		// A draft takes no money.
		if c.GetState() != campaignsv1.CampaignState_CAMPAIGN_STATE_DRAFT {
			options = append(options, option{Value: c.GetName(), Label: campaignTitle(v, c)})
			only = c
		}
	}
	kind := "select"
	if len(options) == 1 {
		kind = "hidden"
	}
	return []field{
		{Name: "amount", Label: "donations.amount", Kind: "money", Suffix: currencySymbol(v), Required: true, Autofocus: true, Path: "offline_donation.amount"},
		{Name: "receive_date", Label: "donations.receiveDate", Kind: "day", Required: true, Path: "offline_donation.receive_date"},
		{Name: "document", Label: "donations.document-" + word, Hint: "donations.documentHint", Max: 100, Path: "offline_donation.document"},
		{Name: "campaign", Label: "donations.campaign", Kind: kind, Options: options, Required: true, Path: "parent"},
		{Name: "method", Kind: "hidden"},
		{Name: "pledge", Kind: "hidden", Path: "offline_donation.pledge"},
	}, only, nil
}

// allowDuplicate is the box that is shown once a transfer was refused because a bank line looks like it.
var allowDuplicate = field{Name: "allow_duplicate", Label: "donations.allowDuplicate", Kind: "checkbox", Path: "offline_donation.allow_duplicate"}

// offlineWord is the word of a method in addresses; cash for what is none.
func offlineWord(typed string) string {
	for _, m := range offlineMethods {
		if m.word == typed {
			return typed
		}
	}
	return "cash"
}

func (v *visit) treasury() treasuryv1.TreasuryServiceClient {
	return treasuryv1.NewTreasuryServiceClient(v.Conn)
}

func enterView(v *visit, word string, f *form) enterPage {
	p := enterPage{form: f, Back: v.path("/donations")}
	for _, m := range offlineMethods {
		p.Tabs = append(p.Tabs, tab{v.T("donations.tab-" + m.word), "?method=" + m.word, m.word == word})
	}
	return p
}

func donationsNew(v *visit) error {
	query := v.r.URL.Query()
	word := offlineWord(query.Get("method"))
	var pledged *overviewv1.Contribution
	if id := query.Get("pledge"); id != "" {
		var err error
		pledged, err = v.overview().GetContribution(v.ctx(), &overviewv1.GetContributionRequest{Name: v.collective + "/contributions/" + id})
		if status.Code(err) == codes.InvalidArgument || err == nil && kindOf(pledged.GetResource()) != "pledges" {
			return errNoPage
		}
		if err != nil {
			return err
		}
		word = map[overviewv1.ContributionMethod]string{
			overviewv1.ContributionMethod_CONTRIBUTION_METHOD_CHEQUE: "cheque", overviewv1.ContributionMethod_CONTRIBUTION_METHOD_TRANSFER: "transfer",
		}[pledged.GetMethod()]
		word = offlineWord(word)
	}
	fields, only, err := enterForm(v, word)
	if err != nil {
		return err
	}
	if only == nil {
		return v.show("donations/closed", v.T("donations.newTitle"), v.path("/campaigns"))
	}
	today, err := v.today()
	if err != nil {
		return err
	}
	f := v.newForm(fields, "method", word, "campaign", only.GetName(), "receive_date", today)
	if campaign := query.Get("campaign"); campaign != "" {
		f.set("campaign", campaign)
	}
	p := enterView(v, word, f)
	if pledged != nil {
		f.set("pledge", pledged.GetResource())
		f.set("campaign", pledged.GetCampaign())
		f.set("amount", v.FieldMoney(pledged.GetAmount()))
		p.Pledge, p.Tabs = pledged.GetPledgeReference(), nil
	}
	return v.show("donations/new", v.T("donations.newTitle"), p)
}

func donationsEnter(v *visit) error {
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	word := offlineWord(f.Value("method"))
	fields, only, err := enterForm(v, word)
	if err != nil {
		return err
	}
	if only == nil {
		return errNoPage
	}
	if campaign := f.Value("campaign"); campaign != "" && !strings.HasPrefix(campaign, v.collective+"/") {
		return errNoPage // another collective's, which has a page of its own
	}
	if f.Checked(allowDuplicate.Name) {
		fields = append(fields, allowDuplicate)
	}
	f.ask(fields)
	p := enterView(v, word, f)
	if pledge := f.Value("pledge"); pledge != "" {
		p.Tabs = nil
	}
	amount, day := f.money("amount", currencyOf(v, f.Value("campaign"))), f.day("receive_date")
	if f.failed() {
		return v.refuse("donations/new", v.T("donations.newTitle"), p)
	}
	donation := &treasuryv1.OfflineDonation{
		Amount: amount, ReceiveDate: day, Document: f.Value("document"), Pledge: f.Value("pledge"), AllowDuplicate: f.Checked(allowDuplicate.Name),
	}
	for _, m := range offlineMethods {
		if m.word == word {
			donation.Method = m.method
		}
	}
	entered, err := v.treasury().CreateOfflineDonation(v.ctx(), &treasuryv1.CreateOfflineDonationRequest{
		Parent: f.Value("campaign"), OfflineDonation: donation, RequestId: f.RequestID,
	})
	if err == nil {
		return v.done("donations.entered", v.path("/donations/"+lastOf(entered.GetName())))
	}
	if !f.refused(v, err) {
		return err
	}
	if reasonOf(err) == "BANK_LINE_BOOKED" && !f.Checked(allowDuplicate.Name) {
		f.fields = append(f.fields, allowDuplicate)
	}
	return v.refuse("donations/new", v.T("donations.newTitle"), p)
}

var reverseFields = []field{{Name: "reason", Label: "donations.reverseReason", Hint: "donations.reverseReasonHint", Required: true, Max: 200}}

func donationsReverseForm(v *visit) error { return reverseDonation(v, v.newForm(reverseFields)) }

// reverseDonation asks before an entry is reversed.
func reverseDonation(v *visit, f *form) error {
	c, err := contributionOf(v)
	if err != nil {
		return err
	}
	if kindOf(c.GetResource()) != "offlineDonations" {
		return errNoPage
	}
	return v.confirm(v.T("donations.reverseTitle"), confirmation{
		Lead: v.T("donations.reverseLead", "amount", v.Money(c.GetAmount()), "day", v.Day(c.GetDate())),
		Points: []string{
			v.T("donations.reversePoint1"), v.T("donations.reversePoint2"), v.T("donations.reversePoint3"),
		},
		Form: f, Button: v.T("donations.reverseButton"), Danger: true, Back: v.path("/donations/" + lastOf(c.GetName())),
	})
}

func donationsReverse(v *visit) error {
	f, err := v.readForm(reverseFields)
	if err != nil {
		return err
	}
	c, err := contributionOf(v)
	if err != nil {
		return err
	}
	if kindOf(c.GetResource()) != "offlineDonations" {
		return errNoPage
	}
	if !f.failed() {
		_, err = v.treasury().ReverseOfflineDonation(v.ctx(), &treasuryv1.ReverseOfflineDonationRequest{
			Name: c.GetResource(), RequestId: f.RequestID, Reason: f.Value("reason"),
		})
		if err == nil {
			return v.done("donations.reversed", v.path("/donations/"+lastOf(c.GetName())))
		}
		if !f.refused(v, err) {
			return err
		}
	}
	return reverseDonation(v, f)
}

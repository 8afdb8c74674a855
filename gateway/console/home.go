package console

import (
	"time"

	"github.com/cagnotte/cagnotte/gateway/text"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	overviewv1 "github.com/cagnotte/cagnotte/proto/cagnotte/overview/v1"
)

// homeSection has the first page of a collective.
func homeSection() section {
	return section{
		name: "home",
		nav:  []navEntry{{label: "home.nav", icon: "home", path: ""}},
		routes: []route{
			{pattern: "GET /console/c/{collective}", serve: home},
			{pattern: "GET /console/c/{collective}/{$}", serve: home},
		},
	}
}

// homePage is what a collective sees first.
type homePage struct {
	*text.Words
	// Raised, Pending and Monthly are amounts, one for each currency.
	Raised, Pending, Monthly []string
	MonthlyCount             string
	Attentions               []attentionView
	// Quiet says that nothing needs somebody; it is false for who would not be told.
	Quiet         bool
	Contributions []contributionRow
	All           string
	// Statistics leads to the sums over time.
	Statistics string
	// Begin is where the first campaign is made; empty once there is one, and for who cannot.
	Begin string
}

// attentionView is something to do, with the page where it is done.
type attentionView struct {
	Icon, Label, Path, Deadline, Tone string
	Items                             []attentionItemView
}

type attentionItemView struct{ Path, Amount, Deadline string }

// manyCount is what the service answers for "more than 99".
const manyCount = 100

func (v *visit) overview() overviewv1.OverviewServiceClient {
	return overviewv1.NewOverviewServiceClient(v.Conn)
}

func home(v *visit) error {
	found, err := v.overview().GetOverview(v.ctx(), &overviewv1.GetOverviewRequest{Name: v.collective + "/overview"})
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
	p := homePage{
		Words:  v.Words,
		Raised: moneyTexts(v, found.GetRaised()), Pending: moneyTexts(v, found.GetPending()), Monthly: moneyTexts(v, found.GetMonthlyExpected()),
		All: v.path("/donations"), Statistics: v.path("/donations/statistics"),
	}
	if n := found.GetMonthlyCount(); n > 0 {
		p.MonthlyCount = v.N("home.monthlyCount", n)
	}
	for _, a := range found.GetAttentions() {
		p.Attentions = append(p.Attentions, attentionOf(v, a, zone))
	}
	p.Quiet = len(p.Attentions) == 0 && v.can(bookkeepers...)
	for _, c := range found.GetContributions() {
		p.Contributions = append(p.Contributions, contributionView(v, c, titles))
	}
	if len(titles) == 0 && v.can(writers...) {
		p.Begin = v.path("/campaigns/new")
	}
	return v.show("home/home", v.T("home.title"), p)
}

// attentionPlaces are where each kind of thing is done, with its picture and its colour.
var attentionPlaces = map[overviewv1.AttentionKind]struct{ path, icon, tone string }{
	overviewv1.AttentionKind_ATTENTION_KIND_NOTICES:             {"/notices", "bell", ""},
	overviewv1.AttentionKind_ATTENTION_KIND_BANK_LINES:          {"/bank", "bank", ""},
	overviewv1.AttentionKind_ATTENTION_KIND_DISPUTES:            {"/disputes", "back", "bad"},
	overviewv1.AttentionKind_ATTENTION_KIND_REFUND_APPROVALS:    {"/refunds", "people", "warn"},
	overviewv1.AttentionKind_ATTENTION_KIND_PENDING_CHANGES:     {"/settings/approvals", "people", "warn"},
	overviewv1.AttentionKind_ATTENTION_KIND_STRIPE_REQUIREMENTS: {"/settings/stripe", "gear", "warn"},
	overviewv1.AttentionKind_ATTENTION_KIND_FAILED_PAYOUTS:      {"/notices", "bank", "bad"},
	overviewv1.AttentionKind_ATTENTION_KIND_CHEQUES:             {"/bank/cheques", "receipt", ""},
}

func attentionOf(v *visit, a *overviewv1.Attention, zone *time.Location) attentionView {
	place := attentionPlaces[a.GetKind()]
	view := attentionView{Icon: place.icon, Tone: place.tone, Path: v.path(place.path)}
	key := "home." + a.GetKind().String()
	if a.GetCount() >= manyCount {
		view.Label = v.T(key+"_MANY", "n", v.Number(manyCount-1))
	} else {
		view.Label = v.N(key, int64(a.GetCount()))
	}
	if t := a.GetDeadline(); t != nil {
		view.Deadline = v.T("home.until", "day", v.Date(t.AsTime().In(zone)))
	}
	// Disputes are told one by one, since each has a day of its own.
	if a.GetKind() == overviewv1.AttentionKind_ATTENTION_KIND_DISPUTES {
		for _, item := range a.GetItems() {
			one := attentionItemView{Path: v.path("/disputes/" + lastOf(item.GetResource())), Amount: v.Money(item.GetAmount())}
			if t := item.GetDeadline(); t != nil {
				one.Deadline = v.T("home.until", "day", v.Date(t.AsTime().In(zone)))
			}
			view.Items = append(view.Items, one)
		}
		view.Deadline = ""
	}
	return view
}

// moneyTexts writes amounts, one for each currency.
func moneyTexts(v *visit, all []*moneyv1.Money) []string {
	var texts []string
	for _, m := range all {
		texts = append(texts, v.Money(m))
	}
	return texts
}

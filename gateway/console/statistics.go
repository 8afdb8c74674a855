package console

import (
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/cagnotte/cagnotte/gateway/chart"
	"github.com/cagnotte/cagnotte/gateway/text"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	overviewv1 "github.com/cagnotte/cagnotte/proto/cagnotte/overview/v1"
)

// statisticsSection shows sums over time.
func statisticsSection() section {
	return section{
		name:   "statistics",
		routes: []route{{pattern: "GET /console/c/{collective}/donations/statistics", serve: statistics}},
	}
}

// statisticsPage has charts, each with its table.
type statisticsPage struct {
	*text.Words
	Tabs   []tab
	Filter *form
	// Total and Count are of the time shown.
	Total, Count string
	Charts       []chartView
	// Expected is what monthly donations bring now, and Running how many there are; empty for none.
	Expected []string
	Running  string
	// Currencies lead to the same page in another currency, when there are several.
	Currencies []tab
}

// chartView is a chart with its legend and its table.
type chartView struct {
	ID, Title, Empty       string
	Picture, Legend, Table template.HTML
}

// intervals are how long the periods are, with how many are shown when no days are given.
var intervals = []struct {
	word     string
	interval overviewv1.StatisticsInterval
	start    func(end time.Time) time.Time
}{
	{"month", overviewv1.StatisticsInterval_STATISTICS_INTERVAL_MONTH, func(end time.Time) time.Time { return end.AddDate(0, -11, 1-end.Day()) }},
	{"week", overviewv1.StatisticsInterval_STATISTICS_INTERVAL_WEEK, func(end time.Time) time.Time { return end.AddDate(0, 0, -7*12) }},
	{"day", overviewv1.StatisticsInterval_STATISTICS_INTERVAL_DAY, func(end time.Time) time.Time { return end.AddDate(0, 0, -29) }},
}

func statistics(v *visit) error {
	zone, err := v.zone()
	if err != nil {
		return err
	}
	campaigns, err := campaignOptions(v, v.T("donations.allCampaigns"))
	if err != nil {
		return err
	}
	var lengths []option
	for _, i := range intervals {
		lengths = append(lengths, option{Value: i.word, Label: v.T("statistics.by-" + i.word)})
	}
	p := statisticsPage{Words: v.Words, Tabs: donationsTabs(v, "/statistics")}
	f := v.queryForm([]field{
		{Name: "by", Label: "statistics.by", Kind: "select", Options: lengths},
		{Name: "campaign", Label: "donations.campaign", Kind: "select", Options: campaigns, Path: "campaign"},
		{Name: "start_date", Label: "donations.since", Kind: "day"},
		{Name: "end_date", Label: "donations.until", Kind: "day"},
	})
	p.Filter = f
	chosen := intervals[0]
	for _, i := range intervals {
		if i.word == f.Value("by") {
			chosen = i
		}
	}
	start, end := f.day("start_date"), f.day("end_date")
	if end == "" {
		end = v.Now().In(zone).Format(time.DateOnly)
	}
	if last, err := time.Parse(time.DateOnly, end); start == "" && err == nil {
		start = chosen.start(last).Format(time.DateOnly)
	}
	if f.failed() {
		return v.refuse("statistics/statistics", v.T("statistics.title"), p)
	}
	campaign := f.Value("campaign")
	// The only campaign has a goal to compare with.
	if campaign == "" && len(campaigns) == 2 {
		campaign = campaigns[1].Value
	}
	ask := func(grouping overviewv1.StatisticsGrouping) (*overviewv1.Statistics, error) {
		return v.overview().GetStatistics(v.ctx(), &overviewv1.GetStatisticsRequest{
			Name: v.collective + "/statistics", StartDate: start, EndDate: end, Interval: chosen.interval, Grouping: grouping,
			Campaign: campaign, CurrencyCode: v.r.URL.Query().Get("currency"),
		})
	}
	byMethod, err := ask(overviewv1.StatisticsGrouping_STATISTICS_GROUPING_METHOD)
	if err != nil {
		if !f.refused(v, err) {
			return err
		}
		return v.refuse("statistics/statistics", v.T("statistics.title"), p)
	}
	byCampaign := byMethod
	if campaign == "" {
		if byCampaign, err = ask(overviewv1.StatisticsGrouping_STATISTICS_GROUPING_CAMPAIGN); err != nil {
			return err
		}
	}
	monthly, err := v.overview().GetMonthlyStatistics(v.ctx(), &overviewv1.GetMonthlyStatisticsRequest{
		Name: v.collective + "/monthlyStatistics", StartDate: monthsBack(start, end), EndDate: end, Campaign: campaign,
	})
	if err != nil {
		return err
	}
	titles, err := campaignTitles(v)
	if err != nil {
		return err
	}
	p.fill(v, chosen.word, byMethod, byCampaign, monthly, titles)
	return v.show("statistics/statistics", v.T("statistics.title"), p)
}

// monthsBack is the first day of the months shown: at least six, and at most ten years.
func monthsBack(start, end string) string {
	last, err := time.Parse(time.DateOnly, end)
	if err != nil {
		return start
	}
	first := last.AddDate(0, -5, 1-last.Day()).Format(time.DateOnly)
	longest := last.AddDate(0, -119, 1-last.Day()).Format(time.DateOnly)
	return max(min(start, first), longest)
}

// fill makes the charts of what was answered.
func (p *statisticsPage) fill(v *visit, word string, byMethod, byCampaign *overviewv1.Statistics, monthly *overviewv1.MonthlyStatistics, titles map[string]string) {
	currency := byMethod.GetCurrencyCode()
	amount := func(minor int64) string { return v.Money(&moneyv1.Money{CurrencyCode: currency, AmountMinor: minor}) }
	var total, count int64
	for _, period := range byMethod.GetPeriods() {
		total += period.GetReceived().GetAmountMinor()
		count += period.GetCount()
	}
	p.Total, p.Count = amount(total), v.N("statistics.count", count)
	base := periodChart(v, word, byMethod.GetPeriods())
	base.Format, base.Short = amount, func(minor int64) string { return shortMoney(v, minor, currency) }
	desc := v.T("statistics.desc", "total", amount(total), "from", base.first, "until", base.last)

	methods := base.Chart
	methods.ID, methods.Title, methods.Desc = "methods", v.T("statistics.methods"), desc
	methods.Bars = series(byMethod, func(g *overviewv1.StatisticsGroup) (string, string) {
		return g.GetMethod().String(), v.T("donations." + g.GetMethod().String())
	})
	p.add(v, methods)
	if byCampaign != byMethod {
		campaigns := base.Chart
		campaigns.ID, campaigns.Title, campaigns.Desc = "campaigns", v.T("statistics.campaigns"), desc
		campaigns.Bars = series(byCampaign, func(g *overviewv1.StatisticsGroup) (string, string) {
			return g.GetCampaign(), titleOf(titles, g.GetCampaign())
		})
		// One campaign alone says what the methods say.
		if len(campaigns.Bars) > 1 {
			p.add(v, campaigns)
		}
	}

	cumulative := base.Chart
	cumulative.ID, cumulative.Title, cumulative.TotalName = "cumulative", v.T("statistics.cumulative"), ""
	line := chart.Series{Name: v.T("statistics.cumulativeName")}
	for _, period := range byMethod.GetPeriods() {
		line.Values = append(line.Values, period.GetCumulative().GetAmountMinor())
	}
	cumulative.Line = &line
	reached := line.Values[len(line.Values)-1]
	cumulative.Desc = v.T("statistics.cumulativeDesc", "amount", amount(reached), "until", base.last)
	if goal := byMethod.GetGoal(); goal != nil {
		cumulative.Goal = &chart.Mark{Name: v.T("statistics.goal"), Value: goal.GetAmountMinor()}
		cumulative.Desc = v.T("statistics.goalDesc", "amount", amount(reached), "goal", v.Money(goal), "percent", v.Percent(reached, goal.GetAmountMinor()))
	}
	p.add(v, cumulative)
	p.addMonthly(v, monthly)
	if codes := byMethod.GetCurrencyCodes(); len(codes) > 1 {
		for _, code := range codes {
			p.Currencies = append(p.Currencies, tab{code, "?" + withQuery(v.r.URL.Query(), "currency", code), code == currency})
		}
	}
}

// addMonthly adds the chart of monthly donations, when there were any.
func (p *statisticsPage) addMonthly(v *visit, monthly *overviewv1.MonthlyStatistics) {
	number := v.Number
	c := chart.Chart{ID: "monthly", Title: v.T("statistics.monthly"), PeriodName: v.T("statistics.month"), Format: number, Short: number}
	kept, begun, lost := chart.Series{Name: v.T("statistics.kept")}, chart.Series{Name: v.T("statistics.new")}, chart.Series{Name: v.T("statistics.lost"), Below: true}
	var news, losses int64
	for _, m := range monthly.GetMonths() {
		first, _ := time.Parse(time.DateOnly, m.GetStartDate())
		c.Periods, c.Ticks = append(c.Periods, v.Month(first)), append(c.Ticks, shortMonth(v, first))
		kept.Values, begun.Values, lost.Values = append(kept.Values, m.GetKeptCount()), append(begun.Values, m.GetNewCount()), append(lost.Values, m.GetLostCount())
		news, losses = news+m.GetNewCount(), losses+m.GetLostCount()
	}
	c.Bars = []chart.Series{kept, begun, lost}
	c.Desc = v.T("statistics.monthlyDesc", "active", v.N("statistics.active", monthly.GetActiveCount()), "new", v.Number(news), "lost", v.Number(losses))
	if c.Empty() {
		return
	}
	p.Expected = moneyTexts(v, monthly.GetExpected())
	p.Running = v.N("statistics.active", monthly.GetActiveCount())
	p.add(v, c)
}

func (p *statisticsPage) add(v *visit, c chart.Chart) {
	view := chartView{ID: c.ID, Title: c.Title}
	if c.Empty() {
		view.Empty = v.T("statistics.empty")
	} else {
		view.Picture, view.Legend, view.Table = c.Picture(), c.Legend(), c.Table()
	}
	p.Charts = append(p.Charts, view)
}

// periods is a chart with its periods, and the first and the last day.
type periods struct {
	chart.Chart
	first, last string
}

// periodChart names the periods. Each leads to its donations.
func periodChart(v *visit, word string, all []*overviewv1.StatisticsPeriod) periods {
	p := periods{Chart: chart.Chart{PeriodName: v.T("statistics." + word), TotalName: v.T("statistics.total")}}
	for _, period := range all {
		first, _ := time.Parse(time.DateOnly, period.GetStartDate())
		name, tick := v.Date(first), first.Format("02/01")
		switch word {
		case "month":
			name, tick = v.Month(first), shortMonth(v, first)
		case "week":
			name = v.T("statistics.weekOf", "day", v.Date(first))
		}
		query := withQuery(map[string][]string{"start_date": {period.GetStartDate()}, "end_date": {period.GetEndDate()}}, "campaign", v.r.URL.Query().Get("campaign"))
		p.Periods, p.Ticks = append(p.Periods, name), append(p.Ticks, tick)
		p.Links = append(p.Links, v.path("/donations?"+query))
	}
	p.first, p.last = v.Day(all[0].GetStartDate()), v.Day(all[len(all)-1].GetEndDate())
	return p
}

// series are the groups of all periods, those that received most first.
func series(s *overviewv1.Statistics, key func(*overviewv1.StatisticsGroup) (key, name string)) []chart.Series {
	var all []chart.Series
	var sums []int64
	at := map[string]int{}
	for i, period := range s.GetPeriods() {
		for _, g := range period.GetGroups() {
			k, name := key(g)
			n, known := at[k]
			if !known {
				n = len(all)
				at[k] = n
				all, sums = append(all, chart.Series{Name: name, Values: make([]int64, len(s.GetPeriods()))}), append(sums, 0)
			}
			all[n].Values[i] = g.GetReceived().GetAmountMinor()
			sums[n] += g.GetReceived().GetAmountMinor()
		}
	}
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(min(max(sums[b]-sums[a], -1), 1)) })
	sorted := make([]chart.Series, 0, len(all))
	for _, i := range order {
		sorted = append(sorted, all[i])
	}
	return sorted
}

// shortMonth is a month for an axis: "sept. 26".
func shortMonth(v *visit, month time.Time) string {
	return strings.Split(v.T("statistics.shortMonths"), " ")[month.Month()-1] + month.Format(" 06")
}

// shortMoney is an amount for an axis, without cents: "1 500 €".
func shortMoney(v *visit, minor int64, currency string) string {
	return v.Money(&moneyv1.Money{CurrencyCode: currency, AmountMinor: minor})
}

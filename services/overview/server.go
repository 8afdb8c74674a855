package overview

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"

	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	overviewv1 "github.com/cagnotte/cagnotte/proto/cagnotte/overview/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
	"github.com/cagnotte/cagnotte/services/money"
)

type server struct {
	overviewv1.UnimplementedOverviewServiceServer
	service *Service
}

// NewServer returns the overviews as gRPC.
func NewServer(s *Service) overviewv1.OverviewServiceServer { return &server{service: s} }

// bookkeeper reports whether the caller may see papers, books, and what happened to payments later. The table of rights lets
// editors call too.
func bookkeeper(ctx context.Context, collective string) bool {
	p := access.PrincipalFrom(ctx)
	return p.IsOperator() || p.Role(collective) != access.RoleEditor
}

// parseName reads collectives/C/WORD and what follows it.
func parseName(name, word string) (collective string, rest []string, err error) {
	parts := strings.Split(name, "/")
	if len(parts) < 3 || parts[0] != "collectives" || parts[2] != word {
		return "", nil, errs.NotFound(name)
	}
	return parts[1], parts[3:], nil
}

func (s *server) GetOverview(ctx context.Context, req *overviewv1.GetOverviewRequest) (*overviewv1.Overview, error) {
	collective, _, err := parseName(req.GetName(), "overview")
	if err != nil {
		return nil, err
	}
	h, err := s.service.Home(ctx, collective, bookkeeper(ctx, collective))
	if err != nil {
		return nil, err
	}
	result := &overviewv1.Overview{
		Name: req.GetName(), Raised: moneys(h.Raised), Pending: moneys(h.Pending), MonthlyExpected: moneys(h.MonthlyExpected), MonthlyCount: h.MonthlyCount,
	}
	for _, c := range h.Contributions {
		result.Contributions = append(result.Contributions, s.toProto(ctx, c))
	}
	for _, a := range h.Attentions {
		p := &overviewv1.Attention{Kind: overviewv1.AttentionKind(a.Kind), Count: int32(a.Count), Deadline: wire.Time(a.Deadline)}
		for _, item := range a.Items {
			p.Items = append(p.Items, &overviewv1.AttentionItem{
				Resource: item.Resource, Deadline: wire.Time(item.Deadline), Amount: moneyOrNone(item.Amount),
			})
		}
		result.Attentions = append(result.Attentions, p)
	}
	return result, nil
}

func (s *server) GetContribution(ctx context.Context, req *overviewv1.GetContributionRequest) (*overviewv1.Contribution, error) {
	c, err := s.contribution(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return s.toProto(ctx, c), nil
}

func (s *server) contribution(ctx context.Context, name string) (Contribution, error) {
	collective, rest, err := parseName(name, "contributions")
	if err != nil {
		return Contribution{}, err
	}
	if len(rest) == 0 {
		return Contribution{}, errs.NotFound(name)
	}
	id, err := uuid.Parse(rest[0])
	if err != nil {
		return Contribution{}, errs.NotFound(name)
	}
	return s.service.Get(ctx, collective, id)
}

func (s *server) ListContributions(ctx context.Context, req *overviewv1.ListContributionsRequest) (*overviewv1.ListContributionsResponse, error) {
	f, err := newFilter(req, bookkeeper(ctx, strings.TrimPrefix(req.GetParent(), "collectives/")))
	if err != nil {
		return nil, err
	}
	found, next, err := page.List(req, f, newest, func(after Position, count int) ([]Contribution, error) {
		return s.service.List(ctx, f, after, count)
	}, func(c Contribution) Position { return Position{c.Day, c.CreateTime, c.ID} })
	if err != nil {
		return nil, err
	}
	resp := &overviewv1.ListContributionsResponse{NextPageToken: next}
	for _, c := range found {
		resp.Contributions = append(resp.Contributions, s.toProto(ctx, c))
	}
	return resp, nil
}

// newFilter reads a request's filter.
func newFilter(req *overviewv1.ListContributionsRequest, documents bool) (f Filter, err error) {
	f.Collective = strings.TrimPrefix(req.GetParent(), "collectives/")
	f.Monthly, f.Documents = req.GetMonthly(), documents
	f.Reference = strings.TrimSpace(req.GetReference())
	if f.Campaign, err = campaignOf(req.GetCampaign(), f.Collective); err != nil {
		return f, err
	}
	if name := req.GetRecurringDonation(); name != "" {
		// A name of another collective's finds nothing, because the list is of one collective.
		if f.Recurring, err = uuid.Parse(name[strings.LastIndex(name, "/")+1:]); err != nil {
			return f, errs.Invalid("recurring_donation", "must be a monthly donation's name")
		}
	}
	for _, state := range req.GetStates() {
		switch state {
		case overviewv1.ContributionState_CONTRIBUTION_STATE_PLEDGED:
			f.OpenPledges = true
		case overviewv1.ContributionState_CONTRIBUTION_STATE_PLEDGE_EXPIRED:
			f.ExpiredPledges = true
		}
		f.States = append(f.States, statesFromProto[state]...)
	}
	for _, method := range req.GetMethods() {
		f.Methods = append(f.Methods, methodsFromProto[method])
	}
	// The filter is part of the page token, so equal requests must give equal filters.
	f.States, f.Methods = sorted(f.States), sorted(f.Methods)
	if f.Start, err = calendar.ParseDay("start_date", req.GetStartDate()); err != nil {
		return f, err
	}
	if f.End, err = calendar.ParseDay("end_date", req.GetEndDate()); err != nil {
		return f, err
	}
	if f.End != "" && f.End < f.Start {
		return f, errs.Invalid("end_date", "must not be before start_date")
	}
	return f, f.bound(req.GetMinAmount(), req.GetMaxAmount())
}

// bound sets the bounds of the amount.
func (f *Filter) bound(lowest, highest *moneyv1.Money) error {
	for field, m := range map[string]*moneyv1.Money{"min_amount": lowest, "max_amount": highest} {
		if m == nil {
			continue
		}
		if m.GetAmountMinor() < 1 {
			return errs.Invalid(field+".amount_minor", "must be at least 1")
		}
		f.Currency = money.Currency(m.GetCurrencyCode())
	}
	f.Min, f.Max = lowest.GetAmountMinor(), highest.GetAmountMinor()
	switch {
	case lowest != nil && highest != nil && lowest.GetCurrencyCode() != highest.GetCurrencyCode():
		return errs.Invalid("max_amount.currency_code", "must be that of min_amount")
	case highest != nil && f.Max < f.Min:
		return errs.Invalid("max_amount", "must not be less than min_amount")
	}
	return nil
}

// campaignOf returns the slug of a campaign of the collective; empty for an empty name.
func campaignOf(name, collective string) (string, error) {
	if name == "" {
		return "", nil
	}
	parsed, err := campaigns.ParseName(name)
	if err != nil || parsed.Collective != collective {
		return "", errs.Invalid("campaign", "must be a campaign of collectives/%s", collective)
	}
	return parsed.Campaign, nil
}

func (s *server) GetContributionHistory(ctx context.Context, req *overviewv1.GetContributionHistoryRequest) (*overviewv1.ContributionHistory, error) {
	c, err := s.contribution(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	entries, err := s.service.History(ctx, c, !bookkeeper(ctx, c.Campaign.Collective))
	if err != nil {
		return nil, err
	}
	result := &overviewv1.ContributionHistory{Name: c.name() + "/history", Contribution: s.toProto(ctx, c)}
	for _, e := range entries {
		p := &overviewv1.HistoryEntry{Time: wire.Time(e.Time), Kind: overviewv1.HistoryKind(e.Kind), Resource: e.Resource, Amount: moneyOrNone(e.Amount)}
		if e.Kind == EntryState {
			p.State = statesToProto[e.Detail]
		} else {
			p.Detail = e.Detail
		}
		result.Entries = append(result.Entries, p)
	}
	return result, nil
}

func (s *server) GetStatistics(ctx context.Context, req *overviewv1.GetStatisticsRequest) (*overviewv1.Statistics, error) {
	q, err := newQuery(req.GetName(), "statistics", req)
	if err != nil {
		return nil, err
	}
	q.Interval = map[overviewv1.StatisticsInterval]Interval{
		overviewv1.StatisticsInterval_STATISTICS_INTERVAL_WEEK:  IntervalWeek,
		overviewv1.StatisticsInterval_STATISTICS_INTERVAL_MONTH: IntervalMonth,
	}[req.GetInterval()]
	if q.Interval == "" {
		q.Interval = IntervalDay
	}
	q.Grouping = map[overviewv1.StatisticsGrouping]Grouping{
		overviewv1.StatisticsGrouping_STATISTICS_GROUPING_CAMPAIGN: GroupingCampaign,
		overviewv1.StatisticsGrouping_STATISTICS_GROUPING_METHOD:   GroupingMethod,
	}[req.GetGrouping()]
	if q.Currency = money.Currency(req.GetCurrencyCode()); q.Currency != "" && !q.Currency.Valid() {
		return nil, errs.Invalid("currency_code", "must be a currency of ISO 4217")
	}
	found, err := s.service.Statistics(ctx, q)
	if err != nil {
		return nil, err
	}
	amount := func(minor int64) *moneyv1.Money {
		return wire.Money(money.Amount{Minor: minor, Currency: found.Currency})
	}
	result := &overviewv1.Statistics{
		Name: req.GetName(), CurrencyCode: string(found.Currency), CurrencyCodes: found.Currencies,
		ReceivedBefore: amount(found.Before), Goal: moneyOrNone(found.Goal),
	}
	for _, p := range found.Periods {
		period := &overviewv1.StatisticsPeriod{
			StartDate: string(p.Start), EndDate: string(p.End), Received: amount(p.Received), Count: p.Count, Cumulative: amount(p.Cumulative),
		}
		for _, g := range p.Groups {
			group := &overviewv1.StatisticsGroup{Received: amount(g.Received), Count: g.Count}
			if q.Grouping == GroupingCampaign {
				group.Campaign = campaigns.Name{Collective: q.Collective, Campaign: g.Key}.String()
			} else {
				group.Method = methodsToProto[g.Key]
			}
			period.Groups = append(period.Groups, group)
		}
		slices.SortFunc(period.Groups, func(a, b *overviewv1.StatisticsGroup) int { return int(a.GetMethod()) - int(b.GetMethod()) })
		result.Periods = append(result.Periods, period)
	}
	return result, nil
}

func (s *server) GetMonthlyStatistics(ctx context.Context, req *overviewv1.GetMonthlyStatisticsRequest) (*overviewv1.MonthlyStatistics, error) {
	q, err := newQuery(req.GetName(), "monthlyStatistics", req)
	if err != nil {
		return nil, err
	}
	found, err := s.service.Monthly(ctx, q)
	if err != nil {
		return nil, err
	}
	result := &overviewv1.MonthlyStatistics{Name: req.GetName(), ActiveCount: found.Active, Expected: moneys(found.Expected)}
	for _, m := range found.Months {
		result.Months = append(result.Months, &overviewv1.MonthlyStatisticsMonth{
			StartDate: string(m.Start), KeptCount: m.Kept, NewCount: m.New, LostCount: m.Lost, EndCount: m.End,
		})
	}
	return result, nil
}

// newQuery reads what the requests for both kinds of statistics have in common.
func newQuery(name, word string, req interface {
	GetStartDate() string
	GetEndDate() string
	GetCampaign() string
},
) (q Query, err error) {
	if q.Collective, _, err = parseName(name, word); err != nil {
		return q, err
	}
	if q.Start, err = calendar.ParseDay("start_date", req.GetStartDate()); err != nil {
		return q, err
	}
	if q.End, err = calendar.ParseDay("end_date", req.GetEndDate()); err != nil {
		return q, err
	}
	q.Campaign, err = campaignOf(req.GetCampaign(), q.Collective)
	return q, err
}

func (s *server) toProto(ctx context.Context, c Contribution) *overviewv1.Contribution {
	p := &overviewv1.Contribution{
		Name:          c.name(),
		Resource:      c.resource(),
		Campaign:      c.Campaign.String(),
		Amount:        wire.Money(c.Amount),
		Received:      wire.Money(c.Received),
		Method:        methodsToProto[c.Method],
		State:         statesToProto[c.State],
		Date:          string(c.Day),
		CreateTime:    wire.Time(c.CreateTime),
		UpdateTime:    wire.Time(c.UpdateTime),
		PaymentMethod: c.PaymentMethod,
	}
	if c.State == statePledged && !c.ExpireTime.After(s.service.cfg.Now()) {
		p.State = overviewv1.ContributionState_CONTRIBUTION_STATE_PLEDGE_EXPIRED
	}
	if c.Recurring != uuid.Nil {
		p.RecurringDonation = c.Campaign.String() + "/recurringDonations/" + c.Recurring.String()
	}
	// A pledge's code is stored without its prefix.
	if len(c.Pledge) == 8 {
		p.PledgeReference = "CAG-" + c.Pledge[:4] + "-" + c.Pledge[4:]
	}
	switch {
	case bookkeeper(ctx, c.Campaign.Collective):
		p.Document = c.Document
	case c.Kind == KindEntry:
		p.Resource = ""
	}
	return p
}

func moneys(all []money.Amount) []*moneyv1.Money {
	var found []*moneyv1.Money
	for _, a := range all {
		found = append(found, wire.Money(a))
	}
	return found
}

// moneyOrNone is nil for an amount without a currency.
func moneyOrNone(a money.Amount) *moneyv1.Money {
	if a.Currency == "" {
		return nil
	}
	return wire.Money(a)
}

var methodsToProto = map[string]overviewv1.ContributionMethod{
	"card":         overviewv1.ContributionMethod_CONTRIBUTION_METHOD_CARD,
	"debit":        overviewv1.ContributionMethod_CONTRIBUTION_METHOD_DEBIT,
	"online":       overviewv1.ContributionMethod_CONTRIBUTION_METHOD_ONLINE,
	"cash":         overviewv1.ContributionMethod_CONTRIBUTION_METHOD_CASH,
	"transfer":     overviewv1.ContributionMethod_CONTRIBUTION_METHOD_TRANSFER,
	"cheque":       overviewv1.ContributionMethod_CONTRIBUTION_METHOD_CHEQUE,
	"payee_cheque": overviewv1.ContributionMethod_CONTRIBUTION_METHOD_PAYEE_CHEQUE,
	"books":        overviewv1.ContributionMethod_CONTRIBUTION_METHOD_BOOKS,
}

// statesToProto has an open pledge for every pledge; toProto tells those that expired.
var statesToProto = map[string]overviewv1.ContributionState{
	"created":            overviewv1.ContributionState_CONTRIBUTION_STATE_STARTED,
	"pending":            overviewv1.ContributionState_CONTRIBUTION_STATE_PENDING,
	"succeeded":          overviewv1.ContributionState_CONTRIBUTION_STATE_RECEIVED,
	"received":           overviewv1.ContributionState_CONTRIBUTION_STATE_RECEIVED,
	"expired":            overviewv1.ContributionState_CONTRIBUTION_STATE_EXPIRED,
	"failed":             overviewv1.ContributionState_CONTRIBUTION_STATE_FAILED,
	"canceled":           overviewv1.ContributionState_CONTRIBUTION_STATE_CANCELED,
	"partially_refunded": overviewv1.ContributionState_CONTRIBUTION_STATE_PARTIALLY_REFUNDED,
	"refunded":           overviewv1.ContributionState_CONTRIBUTION_STATE_REFUNDED,
	"disputed":           overviewv1.ContributionState_CONTRIBUTION_STATE_DISPUTED,
	"banked":             overviewv1.ContributionState_CONTRIBUTION_STATE_BANKED,
	"bounced":            overviewv1.ContributionState_CONTRIBUTION_STATE_BOUNCED,
	"reversed":           overviewv1.ContributionState_CONTRIBUTION_STATE_REVERSED,
	"booked":             overviewv1.ContributionState_CONTRIBUTION_STATE_BOOKED,
	statePledged:         overviewv1.ContributionState_CONTRIBUTION_STATE_PLEDGED,
}

var (
	methodsFromProto = func() map[overviewv1.ContributionMethod]string {
		found := map[overviewv1.ContributionMethod]string{}
		for stored, method := range methodsToProto {
			found[method] = stored
		}
		return found
	}()
	statesFromProto = func() map[overviewv1.ContributionState][]string {
		found := map[overviewv1.ContributionState][]string{
			overviewv1.ContributionState_CONTRIBUTION_STATE_PLEDGE_EXPIRED: {statePledged},
		}
		for stored, state := range statesToProto {
			found[state] = append(found[state], stored)
		}
		return found
	}()
)

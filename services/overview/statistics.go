package overview

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// Interval is how long a period of statistics is, in Postgres' words.
type Interval string

// The intervals.
const (
	IntervalDay   Interval = "day"
	IntervalWeek  Interval = "week"
	IntervalMonth Interval = "month"
)

// Grouping is what the periods of statistics are divided by.
type Grouping string

// The groupings.
const (
	GroupingNone     Grouping = ""
	GroupingCampaign Grouping = "campaign"
	GroupingMethod   Grouping = "method"
)

const (
	// maxPeriods is a year of days, and the weeks on both sides of it.
	maxPeriods = 400
	// maxMonths is how many months the statistics of monthly donations have.
	maxMonths = 120
)

// Query says which statistics are asked for.
type Query struct {
	Collective string
	// Campaign is empty for all.
	Campaign   string
	Start, End calendar.Day
	Interval   Interval
	Grouping   Grouping
	// Currency is empty for the usual one.
	Currency money.Currency
}

// Period is a day, a week or a month.
type Period struct {
	Start, End calendar.Day
	Sum
	// Cumulative is what was received until its end.
	Cumulative int64
	Groups     []Group
}

// Sum is what was received, in minor units, and how many donations it is of.
type Sum struct{ Received, Count int64 }

// Group is the part of a period that a campaign or a method has.
type Group struct {
	// Key is the campaign's slug, or the method as stored.
	Key string
	Sum
}

// Statistics are sums over time.
type Statistics struct {
	Currency   money.Currency
	Currencies []string
	Before     int64
	Goal       money.Amount
	Periods    []Period
}

// first returns the first day of the period that a day is in.
func (i Interval) first(day calendar.Day) calendar.Day {
	switch i {
	case IntervalWeek:
		// Sunday is the last day of a week, and Go's day 0.
		return day.Add(0, 0, -(int(day.UTC().Weekday())+6)%7)
	case IntervalMonth:
		return calendar.Day(day.Format("2006-01-02")[:8] + "01")
	default:
		return day
	}
}

// next returns the first day of the period after the one that begins on a day.
func (i Interval) next(first calendar.Day) calendar.Day {
	switch i {
	case IntervalWeek:
		return first.Add(0, 0, 7)
	case IntervalMonth:
		return first.Add(0, 1, 0)
	default:
		return first.Add(0, 0, 1)
	}
}

// periods returns the periods from one day to another, both included. INVALID_ARGUMENT for more than the limit, and for an end
// before the start.
func (i Interval) periods(start, end calendar.Day, limit int) ([]Period, error) {
	if end < start {
		return nil, errs.Invalid("end_date", "must not be before start_date")
	}
	var all []Period
	for first := i.first(start); first <= end; {
		next := i.next(first)
		if len(all) == limit {
			return nil, errs.Invalid("start_date", "is too long before end_date: there may be at most %d periods", limit)
		}
		all = append(all, Period{Start: first, End: next.Add(0, 0, -1)})
		first = next
	}
	return all, nil
}

// What was received before a day, and on how many days, by currency. days_pkey and days_campaign_idx have all that is read.
const receivedBeforeSQL = `
SELECT
	d.currency,
	count(*),
	coalesce(sum(d.received_minor) FILTER (WHERE d.day < @start_day::date), 0)::bigint
FROM overview.days AS d
WHERE d.collective = @collective
	AND (@campaign = '' OR d.campaign = @campaign)
GROUP BY d.currency
ORDER BY
	count(*) DESC,
	d.currency`

const receivedSQL = `
SELECT
	date_trunc(@interval, d.day::timestamp)::date,
	CASE @grouping
		WHEN 'campaign' THEN d.campaign
		WHEN 'method' THEN d.method
		ELSE ''
	END AS part,
	sum(d.received_minor)::bigint,
	sum(d.donations)::bigint
FROM overview.days AS d
WHERE d.collective = @collective
	AND d.day >= @start_day::date
	AND d.day <= @end_day::date
	AND (@campaign = '' OR d.campaign = @campaign)
	AND d.currency = @currency
GROUP BY
	1,
	part
ORDER BY
	1,
	part`

// Statistics returns what was received over time. NOT_FOUND for a campaign that is not there.
func (s *Service) Statistics(ctx context.Context, q Query) (Statistics, error) {
	periods, err := q.Interval.periods(q.Start, q.End, maxPeriods)
	if err != nil {
		return Statistics{}, err
	}
	result := Statistics{Currency: q.Currency, Periods: periods}
	if q.Campaign != "" {
		campaign, err := s.cfg.Campaigns.Get(ctx, campaigns.Name{Collective: q.Collective, Campaign: q.Campaign})
		if err != nil {
			return Statistics{}, err
		}
		if result.Currency == "" {
			result.Currency = campaign.Currency
		}
		if campaign.Goal.Currency == result.Currency {
			result.Goal = campaign.Goal
		}
	}
	args := pgx.NamedArgs{
		"collective": q.Collective, "campaign": q.Campaign, "interval": string(q.Interval), "grouping": string(q.Grouping),
		"start_day": string(periods[0].Start), "end_day": string(periods[len(periods)-1].End),
	}
	rows, err := s.cfg.Pool.Query(ctx, receivedBeforeSQL, args)
	if err != nil {
		return Statistics{}, postgres.Error(err)
	}
	before := map[money.Currency]int64{}
	var currency money.Currency
	var days, minor int64
	if _, err = pgx.ForEachRow(rows, []any{&currency, &days, &minor}, func() error {
		if result.Currency == "" {
			result.Currency = currency
		}
		before[currency] = minor
		result.Currencies = append(result.Currencies, string(currency))
		return nil
	}); err != nil {
		return Statistics{}, postgres.Error(err)
	}
	slices.Sort(result.Currencies)
	if result.Currency == "" {
		result.Currency = money.EUR
	}
	result.Before = before[result.Currency]
	args["currency"] = string(result.Currency)
	if err := s.sum(ctx, args, result.Periods); err != nil {
		return Statistics{}, err
	}
	cumulative := result.Before
	for i := range result.Periods {
		cumulative += result.Periods[i].Received
		result.Periods[i].Cumulative = cumulative
	}
	return result, nil
}

// sum adds the sums to the periods.
func (s *Service) sum(ctx context.Context, args pgx.NamedArgs, periods []Period) error {
	rows, err := s.cfg.Pool.Query(ctx, receivedSQL, args)
	if err != nil {
		return postgres.Error(err)
	}
	at := make(map[calendar.Day]*Period, len(periods))
	for i := range periods {
		at[periods[i].Start] = &periods[i]
	}
	var first time.Time
	var group Group
	_, err = pgx.ForEachRow(rows, []any{&first, &group.Key, &group.Received, &group.Count}, func() error {
		p := at[calendar.Day(first.Format(time.DateOnly))]
		p.Received += group.Received
		p.Count += group.Count
		if args["grouping"] != "" {
			p.Groups = append(p.Groups, group)
		}
		return nil
	})
	return postgres.Error(err)
}

// Month is how monthly donations came and went in a month.
type Month struct {
	Start                calendar.Day
	Kept, New, Lost, End int64
}

// Monthly is how monthly donations come and go.
type Monthly struct {
	Months   []Month
	Active   int64
	Expected []money.Amount
}

// All months of the collective, of which there are as many as it has months, campaigns and currencies.
const monthsSQL = `
SELECT
	m.month,
	m.currency,
	sum(m.began)::bigint,
	sum(m.ended)::bigint,
	sum(m.ended_at_once)::bigint,
	sum(m.expected_minor)::bigint
FROM overview.months AS m
WHERE m.collective = @collective
	AND (@campaign = '' OR m.campaign = @campaign)
GROUP BY
	m.month,
	m.currency
ORDER BY
	m.month,
	m.currency`

// Monthly returns how monthly donations came and went in the months of the days from start to end, and what is expected now.
func (s *Service) Monthly(ctx context.Context, q Query) (Monthly, error) {
	periods, err := IntervalMonth.periods(q.Start, q.End, maxMonths)
	if err != nil {
		return Monthly{}, err
	}
	rows, err := s.cfg.Pool.Query(ctx, monthsSQL, pgx.NamedArgs{"collective": q.Collective, "campaign": q.Campaign})
	if err != nil {
		return Monthly{}, postgres.Error(err)
	}
	type change struct{ began, ended, atOnce int64 }
	changes := map[calendar.Day]change{}
	var result Monthly
	// before is how many ran when the first month began.
	var before int64
	expected := map[money.Currency]int64{}
	var month time.Time
	var currency money.Currency
	var c change
	var minor int64
	if _, err = pgx.ForEachRow(rows, []any{&month, &currency, &c.began, &c.ended, &c.atOnce, &minor}, func() error {
		day := calendar.Day(month.Format(time.DateOnly))
		if day < periods[0].Start {
			before += c.began - c.ended
		}
		sum := changes[day]
		changes[day] = change{sum.began + c.began, sum.ended + c.ended, sum.atOnce + c.atOnce}
		result.Active += c.began - c.ended
		expected[currency] += minor
		return nil
	}); err != nil {
		return Monthly{}, postgres.Error(err)
	}
	running := before
	for _, p := range periods {
		c := changes[p.Start]
		m := Month{Start: p.Start, New: c.began, Lost: c.ended, Kept: running - (c.ended - c.atOnce)}
		running += c.began - c.ended
		m.End = running
		result.Months = append(result.Months, m)
	}
	result.Expected = amounts(expected)
	return result, nil
}

// amounts returns the sums that are not zero, in the order of their currencies.
func amounts(sums map[money.Currency]int64) []money.Amount {
	var all []money.Amount
	for currency, minor := range sums {
		if minor != 0 {
			all = append(all, money.Amount{Minor: minor, Currency: currency})
		}
	}
	slices.SortFunc(all, func(a, b money.Amount) int { return slices.Compare([]byte(a.Currency), []byte(b.Currency)) })
	return all
}

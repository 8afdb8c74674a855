package donations

import (
	"slices"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/money"
)

const (
	// batchSize and batchGivers are how many donations a batch has at least, and of how many different donations.
	batchSize, batchGivers = 5, 5
	// stepGivers is of how many different donations the donations of a step are at least. Whoever gave one of three does not
	// know of the others which is whose.
	stepGivers = 3
)

// Batch is what everybody may see of the donations of some days.
//
// It ends with the first day (UTC) on which it has batchSize donations, of which batchGivers are not months of the same monthly
// donation, and is made batchDelay after that day. It is a function of the days of its donations, of the steps of their
// amounts, and of their sum. So it tells no hour and no amount, and nothing of a donation to somebody who watched the campaign's
// progress rise: that shows the amount and the second of each booking. To somebody who read the progress before and after its days,
// and so may know the sum, it tells of no donation where in its step it is (tells). Where several were booked in one
// second, it tells their number and steps.
//
// What happens later changes no batch: refunds and disputes leave amount and day of booking as they were, a donation whose event is
// late is booked late, and a trigger lets booked_at never change. Batches have no day in common, so the difference of two reads
// is whole batches. Expenses and stages, which are public sums too, are made of no donation.
type Batch struct {
	// First and Last are days in UTC.
	First, Last calendar.Day
	// Count is how many donations were booked in these days.
	Count    int64
	Currency money.Currency
	// Steps are ascending, and each has donations; none where any would tell too much.
	Steps []Step
}

// Step is how many donations of a batch have an amount in a range.
type Step struct {
	// MoreThan and UpTo bound the amounts, in minor units: MoreThan < amount <= UpTo. UpTo is 0 for no bound.
	MoreThan, UpTo int64
	Count          int64
}

// bookedDonation is what a batch is made from. None of it changes once the donation is booked.
type bookedDonation struct {
	// day is when it was booked, in UTC.
	day   calendar.Day
	minor int64
	// giver is the donation, or the monthly donation that it is a month of.
	giver uuid.UUID
}

// amountRange is what everybody knows of a campaign's donations: the smallest and the largest that it takes.
type amountRange struct{ least, most int64 }

// stepBounds are the ends of the steps in minor units. The amounts that forms offer, such as 10, 20, 50 and 100 euros, are
// well within the steps. At the end of one, the sum of several equal donations would tell each.
func stepBounds(c money.Currency) []int64 {
	bounds := []int64{15_00, 30_00, 70_00, 150_00}
	// Currencies without decimals have units of about a cent's worth, such as the yen.
	if c.Exponent() > 2 {
		for i := range bounds {
			bounds[i] *= 10
		}
	}
	return bounds
}

// batchesOf makes batches of the donations that were booked from the first day on, in the order of their days, and returns the
// day that is to be looked at next. A batch ends with the first day on which it is large enough. So what it is depends on days
// alone, and the last batch, which is too small, is made again when more days are over.
func batchesOf(first calendar.Day, booked []bookedDonation, known amountRange, currency money.Currency) (batches []Batch, next calendar.Day) {
	next = first
	begin := 0
	for i, d := range booked {
		if i+1 < len(booked) && booked[i+1].day == d.day {
			continue
		}
		inside := booked[begin : i+1]
		if len(inside) < batchSize || len(givers(inside)) < batchGivers {
			continue
		}
		batches = append(batches, Batch{
			First: next, Last: d.day, Count: int64(len(inside)), Currency: currency, Steps: stepsOf(inside, known, currency),
		})
		next, begin = d.day.Add(0, 0, 1), i+1
	}
	return batches, next
}

func givers(booked []bookedDonation) map[uuid.UUID]bool {
	different := map[uuid.UUID]bool{}
	for _, d := range booked {
		different[d.giver] = true
	}
	return different
}

// stepGroup is a step while it may still be joined with another one.
type stepGroup struct {
	Step
	inside []bookedDonation
}

// stepsOf counts the amounts by steps, and joins neighbours until none tells too much. One step alone is no information but
// the campaign's own range, so it is none.
func stepsOf(booked []bookedDonation, known amountRange, currency money.Currency) []Step {
	var groups []stepGroup
	var below, sum int64
	for _, bound := range append(stepBounds(currency), 0) {
		groups = append(groups, stepGroup{Step: Step{MoreThan: below, UpTo: bound}})
		below = bound
	}
	for _, d := range booked {
		at := slices.IndexFunc(groups, func(g stepGroup) bool { return g.UpTo == 0 || d.minor <= g.UpTo })
		groups[at].inside = append(groups[at].inside, d)
		groups[at].Count++
		sum += d.minor
		// The campaign's bounds may have been others.
		known.least, known.most = min(known.least, d.minor), max(known.most, d.minor)
	}
	for len(groups) > 1 {
		telling := slices.IndexFunc(groups, func(g stepGroup) bool { return g.Count > 0 && tells(g, groups, sum, known) })
		if telling < 0 {
			break
		}
		groups = joined(groups, telling)
	}
	if len(groups) == 1 {
		return nil
	}
	var steps []Step
	for _, g := range groups {
		if g.Count > 0 {
			steps = append(steps, g.Step)
		}
	}
	return steps
}

// tells reports whether a step would say too much: of too few donations, or, to somebody who knows the sum of all, where in
// the step a donation is.
func tells(g stepGroup, groups []stepGroup, sum int64, known amountRange) bool {
	if len(givers(g.inside)) < stepGivers {
		return true
	}
	// What all others sum to at least and at most leaves a range for one of this step.
	var least, most int64
	for _, other := range groups {
		low, high := other.ends(known)
		least, most = least+other.Count*low, most+other.Count*high
	}
	low, high := g.ends(known)
	from, to := sum-(most-high), sum-(least-low)
	// The last step is as wide as the campaign's maximum. It is enough that an amount may be twice the step's beginning.
	if g.UpTo == 0 {
		high = min(high, 2*low)
	}
	return from > low || to < high
}

// ends are the smallest and the largest amount in the step.
func (g stepGroup) ends(known amountRange) (low, high int64) {
	low, high = max(g.MoreThan+1, known.least), known.most
	if g.UpTo != 0 {
		high = min(high, g.UpTo)
	}
	return low, high
}

// joined joins a step with that of its neighbours that has fewer donations, or with the smaller amounts.
func joined(groups []stepGroup, at int) []stepGroup {
	if at == 0 || at+1 < len(groups) && groups[at+1].Count < groups[at-1].Count {
		at++
	}
	lower, upper := groups[at-1], groups[at]
	lower.UpTo = upper.UpTo
	lower.Count += upper.Count
	lower.inside = append(slices.Clone(lower.inside), upper.inside...)
	return slices.Concat(groups[:at-1], []stepGroup{lower}, groups[at+1:])
}

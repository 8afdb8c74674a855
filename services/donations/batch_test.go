package donations

import (
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/money"
)

// anyAmounts is the range that a campaign has when its members say nothing.
var anyAmounts = amountRange{1_00, 5000_00}

// gave makes donations of one day, each of another giver.
func gave(day calendar.Day, amounts ...int64) (booked []bookedDonation) {
	for _, minor := range amounts {
		booked = append(booked, bookedDonation{day, minor, uuid.New()})
	}
	return booked
}

func TestSteps(t *testing.T) {
	for rule, c := range map[string]struct {
		amounts []int64
		want    []Step
	}{
		"amounts within one step are that step":       {[]int64{20_00, 20_00, 25_00, 20_00, 25_00}, []Step{{15_00, 30_00, 5}}},
		"steps with enough stand":                     {[]int64{5_00, 10_00, 5_00, 50_00, 40_00, 50_00}, []Step{{0, 15_00, 3}, {30_00, 70_00, 3}}},
		"a single one is joined":                      {[]int64{5_00, 10_00, 5_00, 10_00, 50_00}, nil},
		"two are joined":                              {[]int64{5_00, 10_00, 5_00, 10_00, 5_00, 5_00, 50_00, 50_00}, nil},
		"a single large one is joined down":           {[]int64{20_00, 20_00, 25_00, 400_00, 100_00, 50_00, 50_00, 50_00}, []Step{{15_00, 30_00, 3}, {30_00, 0, 5}}},
		"the sum tells that all are at the upper end": {[]int64{15_00, 15_00, 15_00, 15_00, 15_00}, []Step{{0, 30_00, 5}}},
		"the sum tells that all are at the lower end": {[]int64{15_01, 15_01, 15_01, 15_01, 15_01}, []Step{{0, 30_00, 5}}},
		"three large ones stand, and are not told":    {[]int64{5_00, 10_00, 5_00, 200_00, 300_00, 500_00}, []Step{{0, 15_00, 3}, {150_00, 0, 3}}},
	} {
		t.Run(rule, func(t *testing.T) {
			if diff := cmp.Diff(c.want, stepsOf(gave("2026-05-01", c.amounts...), anyAmounts, money.EUR)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	t.Run("all months of a monthly donation are one", func(t *testing.T) {
		booked := gave("2026-05-01", 5_00, 5_00, 10_00, 50_00, 40_00, 50_00)
		booked[3].giver = booked[4].giver
		if got := stepsOf(booked, anyAmounts, money.EUR); got != nil {
			t.Errorf("got %v", got)
		}
	})
	t.Run("a currency without decimals has steps of the same worth", func(t *testing.T) {
		if diff := cmp.Diff([]Step{{1500, 3000, 5}}, stepsOf(gave("2026-05-01", 2000, 2000, 2500, 2000, 2500), amountRange{100, 500_000}, "JPY")); diff != "" {
			t.Errorf("yen (-want +got)\n%s", diff)
		}
		if diff := cmp.Diff([]Step{{15_000, 30_000, 5}}, stepsOf(gave("2026-05-01", 20_000, 20_000, 25_000, 20_000, 25_000), amountRange{1000, 5_000_000}, "KWD")); diff != "" {
			t.Errorf("dinars (-want +got)\n%s", diff)
		}
	})
}

func TestABatchEndsWithTheDayOnWhichItIsLargeEnough(t *testing.T) {
	var booked []bookedDonation
	booked = append(booked, gave("2026-05-02", 20_00, 20_00)...)
	booked = append(booked, gave("2026-05-04", 20_00, 25_00, 25_00, 25_00)...)
	// Ten months of one monthly donation are not ten donations.
	same := uuid.New()
	for day := range 10 {
		booked = append(booked, bookedDonation{calendar.Day("2026-05-05").Add(0, 0, day), 20_00, same})
	}
	booked = append(booked, gave("2026-05-20", 20_00, 20_00, 20_00)...)
	rest := gave("2026-05-21", 20_00)
	first, next := batchesOf("2026-05-01", slices.Concat(booked, rest), anyAmounts, money.EUR)
	want := []Batch{{"2026-05-01", "2026-05-04", 6, money.EUR, []Step{{15_00, 30_00, 6}}}, {"2026-05-05", "2026-05-21", 14, money.EUR, []Step{{15_00, 30_00, 14}}}}
	if diff := cmp.Diff(want, first); diff != "" || next != "2026-05-22" {
		t.Errorf("next %s (-want +got)\n%s", next, diff)
	}
	// Made day by day they are the same.
	var daily []Batch
	from := calendar.Day("2026-05-01")
	for day := from; day <= "2026-05-25"; day = day.Add(0, 0, 1) {
		var seen []bookedDonation
		for _, d := range slices.Concat(booked, rest) {
			if d.day >= from && d.day <= day {
				seen = append(seen, d)
			}
		}
		var more []Batch
		more, from = batchesOf(from, seen, anyAmounts, money.EUR)
		daily = append(daily, more...)
	}
	if diff := cmp.Diff(want, daily); diff != "" {
		t.Errorf("day by day (-want +got)\n%s", diff)
	}
}

// drawBooked draws some weeks of a campaign, with monthly donations.
func drawBooked(t *rapid.T) []bookedDonation {
	usual := rapid.SampledFrom([]int64{5_00, 10_00, 15_00, 15_01, 20_00, 30_00, 50_00, 70_00, 100_00, 150_00, 150_01})
	amount := rapid.OneOf(usual, rapid.Int64Range(anyAmounts.least, 400_00), rapid.Int64Range(anyAmounts.least, anyAmounts.most))
	var monthly []uuid.UUID
	for range 4 {
		monthly = append(monthly, uuid.New())
	}
	var booked []bookedDonation
	for day := range rapid.IntRange(1, 20).Draw(t, "days") {
		for range rapid.IntRange(0, 9).Draw(t, "donations") {
			d := bookedDonation{calendar.Day("2026-05-01").Add(0, 0, day), amount.Draw(t, "amount"), uuid.New()}
			if n := rapid.IntRange(0, 12).Draw(t, "monthly"); n < len(monthly) {
				d.giver = monthly[n]
			}
			booked = append(booked, d)
		}
	}
	return booked
}

// within returns the donations of a batch.
func within(b Batch, booked []bookedDonation) (inside []bookedDonation) {
	for _, d := range booked {
		if d.day >= b.First && d.day <= b.Last {
			inside = append(inside, d)
		}
	}
	return inside
}

// stepAt is which of the narrowest steps an amount is in.
func stepAt(minor int64) int {
	bounds := stepBounds(money.EUR)
	at := slices.IndexFunc(bounds, func(end int64) bool { return minor <= end })
	if at < 0 {
		return len(bounds)
	}
	return at
}

// What a batch shows depends on its days, on the step of each amount and on their sum, and on nothing else: amounts that are
// exchanged within a step, or of which one takes what another gives, leave it as it is.
func TestABatchTellsNoAmount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		booked := drawBooked(t)
		before, _ := batchesOf("2026-05-01", booked, anyAmounts, money.EUR)
		if len(before) == 0 {
			return
		}
		b := rapid.SampledFrom(before).Draw(t, "batch")
		inside := within(b, booked)
		one, other := rapid.SampledFrom(inside).Draw(t, "one"), rapid.SampledFrom(inside).Draw(t, "other")
		if stepAt(one.minor) != stepAt(other.minor) || one.giver == other.giver {
			return
		}
		low, high := int64(0), anyAmounts.most
		if at := stepAt(one.minor); at < len(stepBounds(money.EUR)) {
			high = stepBounds(money.EUR)[at]
		}
		if at := stepAt(one.minor); at > 0 {
			low = stepBounds(money.EUR)[at-1]
		}
		low = max(low+1, anyAmounts.least)
		// One gets any other amount of the step, as long as what the other one gets is in the step, too.
		sum := one.minor + other.minor
		changed := rapid.Int64Range(max(low, sum-high), min(high, sum-low)).Draw(t, "changed")
		after := slices.Clone(booked)
		// A monthly donation may have several months here; one of them changes.
		after[slices.Index(after, one)].minor = changed
		after[slices.Index(after, other)].minor = sum - changed
		got, _ := batchesOf("2026-05-01", after, anyAmounts, money.EUR)
		if diff := cmp.Diff(before, got); diff != "" {
			t.Fatalf("the amounts %d and %d became %d and %d (-want +got)\n%s", one.minor, other.minor, changed, sum-changed, diff)
		}
	})
}

// Who also knows the sum of a batch, from the campaign's progress before and after its days, can say of no donation where in
// its step it is: both ends are possible, with amounts of all others that are in their steps and give the same sum.
func TestTheSumOfABatchTellsNoMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		booked := drawBooked(t)
		batches, _ := batchesOf("2026-05-01", booked, anyAmounts, money.EUR)
		next := calendar.Day("2026-05-01")
		for _, b := range batches {
			if b.First != next || b.Last < b.First {
				t.Fatalf("the batch %v does not follow on %s", b, next)
			}
			next = b.Last.Add(0, 0, 1)
			inside := within(b, booked)
			if int64(len(inside)) != b.Count || len(givers(inside)) < batchGivers {
				t.Fatalf("%v has %d donations of %d", b, len(inside), len(givers(inside)))
			}
			var sum, least, most, counted int64
			for _, d := range inside {
				sum += d.minor
			}
			type ends struct{ low, high int64 }
			var all []ends
			for i, step := range b.Steps {
				e := ends{max(step.MoreThan+1, anyAmounts.least), anyAmounts.most}
				if step.UpTo > 0 {
					e.high = step.UpTo
				}
				var in []bookedDonation
				for _, d := range inside {
					if d.minor >= e.low && d.minor <= e.high {
						in = append(in, d)
					}
				}
				if int64(len(in)) != step.Count || len(givers(in)) < stepGivers || i > 0 && step.MoreThan < b.Steps[i-1].UpTo {
					t.Fatalf("step %v of %v has %d donations", step, b, len(in))
				}
				counted += step.Count
				least, most = least+step.Count*e.low, most+step.Count*e.high
				all = append(all, e)
			}
			if len(b.Steps) > 0 && counted != b.Count {
				t.Fatalf("the steps of %v have %d donations", b, counted)
			}
			for i, e := range all {
				high := e.high
				if b.Steps[i].UpTo == 0 {
					high = min(high, 2*e.low)
				}
				for _, end := range []int64{e.low, high} {
					if rest := sum - end; rest < least-e.low || rest > most-e.high {
						t.Fatalf("the sum %d of %v tells that no donation of its step %d is %s", sum, b, i, strconv.FormatInt(end, 10))
					}
				}
			}
		}
	})
}

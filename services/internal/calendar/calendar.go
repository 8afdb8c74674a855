// Package calendar tells days of the calendar and when they begin in a time zone.
package calendar

import (
	"time"

	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// Day is a day of the calendar, written 2025-03-31, so that days compare as texts do. The zero value is no day.
type Day string

// ParseDay returns the day that a text is, and no day for an empty text.
//
// Errors: INVALID_ARGUMENT on the field for what no calendar has, such as 2026-02-30.
func ParseDay(field, text string) (Day, error) {
	if text != "" && !Day(text).Valid() {
		return "", errs.Invalid(field, "must be a day of the calendar, written YYYY-MM-DD")
	}
	return Day(text), nil
}

// DayOf returns the day that a moment is in.
func DayOf(t time.Time, zone *time.Location) Day { return Day(t.In(zone).Format(time.DateOnly)) }

// Valid reports whether the calendar has this day, from 0001-01-02 on: the day before begins at Go's zero time, which
// stands for no time.
func (d Day) Valid() bool {
	t, err := time.Parse(time.DateOnly, string(d))
	return err == nil && t.Year() >= 1 && !t.IsZero()
}

// UTC returns the midnight in UTC that the day begins with, and the zero time for no day. It stands for the day in
// arithmetic and in SQL; for what happens in a zone, see [Day.Start].
func (d Day) UTC() time.Time {
	t, _ := time.Parse(time.DateOnly, string(d))
	return t
}

// Format writes the day after one of time's layouts.
func (d Day) Format(layout string) string { return d.UTC().Format(layout) }

// Add returns the day that is so many years, months and days later, or earlier for negative numbers, as
// [time.Time.AddDate] does.
func (d Day) Add(years, months, days int) Day {
	return Day(d.UTC().AddDate(years, months, days).Format(time.DateOnly))
}

// DaysUntil returns how many days later another day is; it is negative when that one is earlier.
func (d Day) DaysUntil(other Day) int { return int(other.UTC().Sub(d.UTC()).Hours() / 24) }

// Start returns the first moment of the day in a zone, in UTC. Clocks may skip midnight or show it twice: then that is the
// first moment at which they show this day, or a later one.
func (d Day) Start(zone *time.Location) time.Time { return start(d.UTC(), zone) }

// End returns the first moment after the day in a zone, in UTC: that is when the next day starts.
func (d Day) End(zone *time.Location) time.Time { return start(d.UTC().AddDate(0, 0, 1), zone) }

func start(midnight time.Time, zone *time.Location) time.Time {
	// Every zone is within a day and a half of UTC, so nowhere has the day begun by then.
	const reach = 36 * time.Hour
	for at := midnight.Add(-reach).In(zone); ; {
		// Until the end of these bounds the clocks are so many seconds before those of UTC.
		_, ahead := at.Zone()
		_, end := at.ZoneBounds()
		start := midnight.Add(-time.Duration(ahead) * time.Second)
		if start.Before(at) {
			start = at
		}
		if end.IsZero() || start.Before(end) {
			return start.UTC()
		}
		at = end
	}
}

package calendar_test

import (
	"testing"
	"time"
	_ "time/tzdata"

	"google.golang.org/grpc/codes"
	"pgregory.net/rapid"

	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	location, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return location
}

func TestStartOfDay(t *testing.T) {
	for _, test := range []struct {
		rule, zone string
		day        calendar.Day
		want       string
	}{
		{"is midnight in winter", "Europe/Paris", "2025-01-15", "2025-01-14T23:00:00Z"},
		{"is midnight in summer", "Europe/Paris", "2025-07-15", "2025-07-14T22:00:00Z"},
		{"is one o'clock where midnight is skipped", "America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z"},
		{"is one o'clock where midnight is skipped east of UTC", "Asia/Beirut", "2024-03-31", "2024-03-30T22:00:00Z"},
		{"is the only midnight where the hour before it comes twice", "America/Sao_Paulo", "2018-02-18", "2018-02-18T03:00:00Z"},
		{"is the first of two midnights", "America/St_Johns", "2010-11-07", "2010-11-07T02:30:00Z"},
		{"is the next day's where a day is skipped", "Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"},
		{"is that of the next day after a skipped one", "Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z"},
		{"knows the local mean time of old days", "Europe/Paris", "1900-01-01", "1899-12-31T23:50:39Z"},
		{"is midnight in UTC", "UTC", "2025-03-31", "2025-03-31T00:00:00Z"},
		{"is found fourteen hours ahead", "Pacific/Kiritimati", "2025-03-31", "2025-03-30T10:00:00Z"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			if got := test.day.Start(zone(t, test.zone)).Format(time.RFC3339); got != test.want {
				t.Errorf("%s in %s starts at %s, want %s", test.day, test.zone, got, test.want)
			}
		})
	}
}

func TestADayEndsWhenTheNextStarts(t *testing.T) {
	sao := zone(t, "America/Sao_Paulo")
	if got, want := calendar.Day("2018-11-03").End(sao), calendar.Day("2018-11-04").Start(sao); !got.Equal(want) {
		t.Errorf("it ends at %v, and the next starts at %v", got, want)
	}
	if got := calendar.Day("9999-12-31").End(time.UTC); got.Year() != 10_000 {
		t.Errorf("the last day of all ends at %v", got)
	}
}

// The moment before a day's start is in another day, in all the zones with odd clocks.
func TestNothingOfTheDayIsBeforeItsStart(t *testing.T) {
	zones := []string{"America/Sao_Paulo", "Asia/Beirut", "America/St_Johns", "Pacific/Apia", "America/Havana", "Africa/Cairo", "Europe/Paris"}
	rapid.Check(t, func(r *rapid.T) {
		in := zone(t, rapid.SampledFrom(zones).Draw(r, "zone"))
		day := calendar.Day("1950-01-01").Add(0, 0, rapid.IntRange(0, 40_000).Draw(r, "days"))
		start := day.Start(in)
		if got := calendar.DayOf(start, in); got < day {
			r.Fatalf("%s starts at %v, which is in %s", day, start, got)
		}
		for before := time.Second; before < 30*time.Hour; before += 7 * time.Minute {
			if got := calendar.DayOf(start.Add(-before), in); got >= day {
				r.Fatalf("%s starts at %v, and %v before it is %s", day, start, before, got)
			}
		}
	})
}

func TestDaysOfTheCalendar(t *testing.T) {
	for text, want := range map[string]bool{"": true, "2024-02-29": true, "2026-02-30": false, "2025-3-31": false, "0000-01-01": false, "0001-01-01": false, "0001-01-02": true, "yesterday": false} {
		got, err := calendar.ParseDay("start_date", text)
		switch {
		case want && (err != nil || string(got) != text):
			t.Errorf("%q: %v", text, err)
		case !want && (errs.Code(err) != codes.InvalidArgument || errs.As(err).Fields[0].Field != "start_date"):
			t.Errorf("%q is accepted: %v", text, err)
		}
	}
	if got := calendar.Day("2024-02-28").Add(0, 0, 2); got != "2024-03-01" {
		t.Errorf("two days later is %s", got)
	}
	if got := calendar.Day("2024-02-29").Add(0, 0, 1).Add(-1, 0, 0).Format("02/01/2006"); got != "01/03/2023" {
		t.Errorf("the year that ends on it begins on %s", got)
	}
	if got := calendar.Day("2024-03-01").DaysUntil("2024-02-28"); got != -2 {
		t.Errorf("%d days until the day before yesterday", got)
	}
}

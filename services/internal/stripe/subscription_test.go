package stripe

import (
	"encoding/json"
	"testing"
	"time"
)

func TestTheNextDebitOfASubscription(t *testing.T) {
	day := func(month time.Month, day int) time.Time { return time.Date(2027, month, day, 9, 0, 0, 0, time.UTC) }
	// Of the 31st: its periods end with February, then on the 31st again.
	running := Subscription{Status: SubscriptionActive, Anchor: day(1, 31), PeriodEnd: day(2, 28)}
	for rule, c := range map[string]struct {
		change func(*Subscription)
		want   time.Time
	}{
		"comes with the period's end":                   {func(*Subscription) {}, day(2, 28)},
		"also while the last month is tried again":      {func(s *Subscription) { s.Status = SubscriptionPastDue }, day(2, 28)},
		"none once it is given up":                      {func(s *Subscription) { s.Status = SubscriptionUnpaid }, time.Time{}},
		"none once it has ended":                        {func(s *Subscription) { s.Status = SubscriptionCanceled }, time.Time{}},
		"none before it began":                          {func(s *Subscription) { s.PeriodEnd = time.Time{} }, time.Time{}},
		"none when it ends with the period":             {func(s *Subscription) { s.CancelAtPeriodEnd = true }, time.Time{}},
		"none when its day is the period's end":         {func(s *Subscription) { s.CancelAt = day(2, 28) }, time.Time{}},
		"one more when its day is later":                {func(s *Subscription) { s.CancelAt = day(3, 1) }, day(2, 28)},
		"none in a pause without an end":                {func(s *Subscription) { s.Paused = true }, time.Time{}},
		"as before when a pause ends in time":           {func(s *Subscription) { s.Paused, s.ResumesAt = true, day(2, 27) }, day(2, 28)},
		"the first month behind a pause, on its day":    {func(s *Subscription) { s.Paused, s.ResumesAt = true, day(3, 1) }, day(3, 31)},
		"and months behind it":                          {func(s *Subscription) { s.Paused, s.ResumesAt = true, day(5, 1) }, day(5, 31)},
		"in a short month":                              {func(s *Subscription) { s.Paused, s.ResumesAt = true, day(4, 2) }, day(4, 30)},
		"none when it ends before the pause does":       {func(s *Subscription) { s.Paused, s.ResumesAt, s.CancelAt = true, day(5, 1), day(5, 31) }, time.Time{}},
		"of one whose anchor is not known, on its date": {func(s *Subscription) { s.Anchor, s.Paused, s.ResumesAt = time.Time{}, true, day(3, 1) }, day(3, 28)},
	} {
		sub := running
		c.change(&sub)
		if got := sub.NextDebit(); !got.Equal(c.want) {
			t.Errorf("%s: %v, want %v", rule, got, c.want)
		}
	}
}

func TestDashboardSettingsOfASubscription(t *testing.T) {
	read := func(members string) Subscription {
		t.Helper()
		var o subscriptionJSON
		if err := json.Unmarshal([]byte(`{"id":"sub_1","status":"active","current_period_end":1800000000,"billing_cycle_anchor":1790000000,`+members+`}`), &o); err != nil {
			t.Fatal(err)
		}
		return o.subscription()
	}
	if s := read(`"cancel_at":null,"pause_collection":null`); s.Ends() || s.EndsWithPeriod() || s.Paused || s.Anchor.Unix() != 1790000000 {
		t.Errorf("of one that goes on: %+v", s)
	}
	if s := read(`"cancel_at":1800000001,"pause_collection":{"behavior":"void","resumes_at":1800000500}`); !s.Ends() || s.EndsWithPeriod() ||
		s.CancelAt.Unix() != 1800000001 || !s.Paused || s.ResumesAt.Unix() != 1800000500 {
		t.Errorf("of one with both: %+v", s)
	}
	if s := read(`"cancel_at":1799999999,"pause_collection":{"behavior":"keep_as_draft","resumes_at":null}`); !s.EndsWithPeriod() || !s.Paused || !s.ResumesAt.IsZero() {
		t.Errorf("of one that ends before its period does: %+v", s)
	}
}

package campaigns

import "testing"

func TestAnEventIsChecked(t *testing.T) {
	for name, test := range map[string]struct {
		event Event
		field string
	}{
		"no event":             {Event{}, ""},
		"day and place":        {Event{Date: "2026-08-15", Place: "Vallon"}, ""},
		"with a time":          {Event{Date: "2026-08-15", Time: "19:30", Place: "Vallon"}, ""},
		"in the past":          {Event{Date: "2001-01-01", Place: "Vallon"}, ""},
		"no day":               {Event{Place: "Vallon"}, "campaign.event.date"},
		"a day that is not":    {Event{Date: "2026-02-30", Place: "Vallon"}, "campaign.event.date"},
		"a time that is not":   {Event{Date: "2026-08-15", Time: "24:00", Place: "Vallon"}, "campaign.event.time"},
		"a time of one digit":  {Event{Date: "2026-08-15", Time: "9:30", Place: "Vallon"}, "campaign.event.time"},
		"no place":             {Event{Date: "2026-08-15"}, "campaign.event.place"},
		"a place of two lines": {Event{Date: "2026-08-15", Place: "Salle\nVallon"}, "campaign.event.place"},
	} {
		t.Run(name, func(t *testing.T) {
			var k check
			c := Content{Event: test.event}
			c.checkEvent(&k)
			switch {
			case test.field == "" && len(k.fields) > 0:
				t.Errorf("refused: %v", k.fields)
			case test.field != "" && (len(k.fields) != 1 || k.fields[0].Field != test.field):
				t.Errorf("got %v, want %s", k.fields, test.field)
			}
		})
	}
}

func TestAnEventIsStoredAndTakenAway(t *testing.T) {
	s, _, _ := fresh(t)
	if _, err := s.Create(t.Context(), avocat, lawyer()); err != nil {
		t.Fatal(err)
	}
	for _, event := range []Event{{Date: "2026-08-15", Time: "19:30", Place: "Salle des fêtes"}, {Date: "2001-01-01", Place: "Vallon"}, {}} {
		if _, err := s.Update(t.Context(), avocat, "", func(c *Content) error { c.Event = event; return nil }); err != nil {
			t.Fatal(err)
		}
		if c, err := s.Get(t.Context(), avocat); err != nil || c.Event != event {
			t.Errorf("got %v, %v, want %v", c.Event, err, event)
		}
	}
}

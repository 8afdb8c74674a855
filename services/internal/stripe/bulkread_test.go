package stripe

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76/form"
	"pgregory.net/rapid"
)

// fakeList answers pages of objects, which stand newest first, as Stripe does.
type fakeList struct {
	objects []listed[string]
	pages   int
}

func (l *fakeList) page(window *form.Values) (page []listed[string], more bool, err error) {
	l.pages++
	from, to, size, after := int64(0), int64(1)<<60, 0, ""
	for name, values := range window.ToValues() {
		switch value, _ := strconv.ParseInt(values[0], 10, 64); name {
		case "created[gte]":
			from = value
		case "created[lte]":
			to = value
		case "limit":
			size = int(value)
		case "starting_after":
			after = values[0]
		default:
			return nil, false, errors.New("an unknown parameter: " + name)
		}
	}
	if from < 0 || to < 0 || size < 1 || size > 100 {
		return nil, false, fmt.Errorf("Stripe refuses %v", window.ToValues())
	}
	behind := after == ""
	for _, o := range l.objects {
		if behind && o.created >= from && o.created <= to {
			if len(page) == size {
				return page, true, nil
			}
			page = append(page, o)
		}
		behind = behind || o.id == after
	}
	return page, false, nil
}

// newList makes objects with the given pauses in between, newest first.
func newList(pauses []int64) *fakeList {
	l := &fakeList{}
	created := int64(1_800_000_000)
	for i, pause := range pauses {
		created -= pause
		id := fmt.Sprintf("cs_%d", i)
		l.objects = append(l.objects, listed[string]{id, id, created, "what " + id + " says"})
	}
	return l
}

func wantedOf(objects []listed[string]) []Wanted {
	wanted := make([]Wanted, len(objects))
	for i, o := range objects {
		wanted[i] = Wanted{o.id, unix(o.created)}
	}
	return wanted
}

func TestFindCostsFewExtraCalls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newList(rapid.SliceOfN(rapid.SampledFrom([]int64{0, 0, 1, 4, 60, 10_000}), 0, 1000).Draw(t, "pauses"))
		gap := rapid.IntRange(1, 60).Draw(t, "one wanted of")
		off := rapid.Int64Range(-findSlack.Milliseconds()/1000, findSlack.Milliseconds()/1000).Draw(t, "seconds off")
		var wanted []Wanted
		for i := 0; i < len(l.objects); i += gap {
			wanted = append(wanted, Wanted{l.objects[i].id, unix(l.objects[i].created + off)})
		}
		for range rapid.IntRange(0, 5).Draw(t, "lost") {
			wanted = append(wanted, Wanted{"cs_lost", time.Time{}}, Wanted{"cs_of_another_time", unix(1_700_000_000)})
		}
		wanted = rapid.Permutation(wanted).Draw(t, "wanted")
		found, err := find(wanted, l.page)
		if err != nil {
			t.Fatal(err)
		}
		for id, value := range found {
			if value != "what "+id+" says" || !slices.ContainsFunc(wanted, func(w Wanted) bool { return w.ID == id }) {
				t.Fatalf("%s is %q", id, value)
			}
		}
		if all := l.pages + len(wanted) - len(found); all > len(wanted)+dryPages {
			t.Fatalf("%d calls for %d", all, len(wanted))
		}
		if gap == 1 && off == 0 && len(found) < len(l.objects)-handful {
			t.Fatalf("%d of %d that stand side by side are found", len(found), len(l.objects))
		}
	})
}

func TestFind(t *testing.T) {
	t.Run("takes a page for a hundred, also of those of one second", func(t *testing.T) {
		l := newList(make([]int64, 1000))
		found, err := find(wantedOf(l.objects), l.page)
		if err != nil || len(found) != 1000 || l.pages != 10 {
			t.Errorf("%d found by %d pages, %v", len(found), l.pages, err)
		}
	})
	t.Run("leaves a handful alone", func(t *testing.T) {
		l := newList(make([]int64, 1000))
		if found, err := find(wantedOf(l.objects[:handful]), l.page); err != nil || len(found) != 0 || l.pages != 0 {
			t.Errorf("%d found by %d pages, %v", len(found), l.pages, err)
		}
	})
	t.Run("does not read what lies between two bursts", func(t *testing.T) {
		l := newList(slices.Repeat([]int64{60}, 2000))
		wanted := wantedOf(append(l.objects[:80:80], l.objects[1900:]...))
		if found, err := find(wanted, l.page); err != nil || len(found) != len(wanted) || l.pages != 2 {
			t.Errorf("%d of %d found by %d pages, %v", len(found), len(wanted), l.pages, err)
		}
	})
	t.Run("gives up where nothing is found", func(t *testing.T) {
		l := newList(make([]int64, 1000))
		wanted := wantedOf(l.objects[:20])
		for i := range wanted {
			wanted[i].ID = "cs_of_another_account"
		}
		if found, err := find(wanted, l.page); err != nil || len(found) != 0 || l.pages != dryPages {
			t.Errorf("%d found by %d pages, %v", len(found), l.pages, err)
		}
	})
	t.Run("returns what it found before a failure", func(t *testing.T) {
		l := newList(make([]int64, 1000))
		broken := errors.New("Stripe is away")
		found, err := find(wantedOf(l.objects), func(window *form.Values) ([]listed[string], bool, error) {
			if l.pages == 2 {
				return nil, false, broken
			}
			return l.page(window)
		})
		if !errors.Is(err, broken) || len(found) != 200 {
			t.Errorf("%d found, %v", len(found), err)
		}
	})
}

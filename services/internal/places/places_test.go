package places

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"
)

func take(t *testing.T, s *Set, whom string, n int64) func() {
	t.Helper()
	release, ok := s.Take(t.Context(), whom, n)
	if !ok {
		t.Fatalf("%q got no place", whom)
	}
	return release
}

func refused(t *testing.T, s *Set, whom string, n int64) {
	t.Helper()
	if release, ok := s.Take(t.Context(), whom, n); ok {
		release()
		t.Errorf("%q got a place", whom)
	}
}

func TestPlaces(t *testing.T) {
	t.Run("one cannot take all", func(t *testing.T) {
		s := New(Config{All: 4, Each: 2})
		a, b := take(t, s, "a", 1), take(t, s, "a", 1)
		refused(t, s, "a", 1)
		c := take(t, s, "b", 2)
		refused(t, s, "c", 1)
		for _, release := range []func(){a, b, c} {
			release()
		}
		take(t, s, "a", 2)()
		if len(s.each) != 0 {
			t.Errorf("%d shares are kept of those who left", len(s.each))
		}
	})
	t.Run("more than a share is refused at once", func(t *testing.T) {
		refused(t, New(Config{All: 4, Each: 2, Wait: time.Hour, Line: 100}), "a", 3)
	})
	t.Run("whoever waits gets what is given back", func(t *testing.T) {
		s := New(Config{All: 1, Wait: time.Hour, Line: 1})
		first := take(t, s, "a", 1)
		got := make(chan func())
		go func() { release, _ := s.Take(t.Context(), "b", 1); got <- release }()
		// The one who waits stands in the line's only place.
		for deadline := time.Now().Add(10 * time.Second); s.all.entry.TryAcquire(1); runtime.Gosched() {
			s.all.entry.Release(1)
			if time.Now().After(deadline) {
				t.Fatal("nobody waits")
			}
		}
		refused(t, s, "c", 1)
		first()
		(<-got)()
	})
	t.Run("nobody waits longer than its call", func(t *testing.T) {
		s := New(Config{All: 1, Wait: time.Hour, Line: 8})
		defer take(t, s, "a", 1)()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, ok := s.Take(ctx, "b", 1); ok {
			t.Error("got a place")
		}
	})
	t.Run("one who waits does not fill the line of the others", func(t *testing.T) {
		s := New(Config{All: 2, Each: 1, Wait: time.Hour, Line: 2})
		release := take(t, s, "a", 1)
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if again, ok := s.Take(t.Context(), "a", 1); ok {
				again()
			}
		})
		mine := s.share("a")
		for deadline := time.Now().Add(10 * time.Second); mine.entry.TryAcquire(1); runtime.Gosched() {
			mine.entry.Release(1)
			if time.Now().After(deadline) {
				t.Fatal("nobody waits")
			}
		}
		s.drop("a", mine)
		refused(t, s, "a", 1)
		take(t, s, "b", 1)()
		release()
		waiting.Wait()
	})
}

func TestPlacesAreAllGivenBack(t *testing.T) {
	s := New(Config{All: 8, Each: 3, Wait: time.Second, Line: 16})
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			for range 200 {
				if release, ok := s.Take(t.Context(), string(rune('a'+i%5)), int64(1+i%3)); ok {
					release()
				}
			}
		})
	}
	all.Wait()
	if len(s.each) != 0 || !s.all.places.TryAcquire(8) || !s.all.entry.TryAcquire(24) {
		t.Error("places were lost")
	}
}

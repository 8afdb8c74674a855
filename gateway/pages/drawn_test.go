package pages

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

func TestDrawings(t *testing.T) {
	d, err := newDrawings()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("a stampede draws once, and one thing at a time", func(t *testing.T) {
		var drawn, now atomic.Int32
		begin := make(chan struct{})
		draw := func() ([]byte, error) {
			if now.Add(1) > 1 {
				t.Error("two things are drawn at once")
			}
			drawn.Add(1)
			<-begin
			now.Add(-1)
			return []byte("a"), nil
		}
		var all sync.WaitGroup
		for i := range 64 {
			all.Go(func() {
				got, err := d.get([]string{"one", "other"}[i%2], draw)
				if string(got) != "a" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
			})
		}
		close(begin)
		all.Wait()
		if n := drawn.Load(); n != 2 {
			t.Errorf("%d drawings of two things", n)
		}
	})
	t.Run("an error is not kept", func(t *testing.T) {
		failed := errors.New("no ink")
		if _, err := d.get("third", func() ([]byte, error) { return nil, failed }); !errors.Is(err, failed) {
			t.Errorf("got %v", err)
		}
		if got, err := d.get("third", func() ([]byte, error) { return []byte("b"), nil }); string(got) != "b" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

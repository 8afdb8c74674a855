package markdown

import (
	"strings"
	"sync"
	"testing"
)

// A story that is costly to read is read once, however many look at it at once, and never beside another.
func TestAStoryIsReadOnce(t *testing.T) {
	s := New()
	costly := strings.Repeat("[a](", 5000)
	first := s.Render("fr", costly)
	// Whoever looks now waits for nobody who reads a story.
	s.telling.Lock()
	var looking sync.WaitGroup
	for range 50 {
		looking.Go(func() {
			if again := s.Render("fr", costly); again != first {
				t.Errorf("another answer: %q", again)
			}
		})
	}
	looking.Wait()
	s.telling.Unlock()
	if en := s.Render("en", "Oui !"); en == s.Render("fr", "Oui !") {
		t.Errorf("the language does not count: %q", en)
	}
}

func TestStoriesAreKeptWithinBounds(t *testing.T) {
	s := New()
	for i := range 40 {
		s.Render("fr", strings.Repeat("x", maxTold/20)+strings.Repeat("y", i))
		if s.size > maxTold {
			t.Fatalf("%d bytes are kept", s.size)
		}
	}
	if len(s.told) == 0 {
		t.Error("nothing is kept")
	}
}

package markdown

import (
	"fmt"
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
	s.rendering.Lock()
	var looking sync.WaitGroup
	for range 50 {
		looking.Go(func() {
			if again := s.Render("fr", costly); again != first {
				t.Errorf("another answer: %q", again)
			}
		})
	}
	looking.Wait()
	s.rendering.Unlock()
	if en := s.Render("en", "Oui !"); en == s.Render("fr", "Oui !") {
		t.Errorf("the language does not count: %q", en)
	}
}

func TestStoriesAreKeptWithinBounds(t *testing.T) {
	s := New()
	for i := range 40 {
		s.Render("fr", strings.Repeat("x", maxRendered/20)+strings.Repeat("y", i))
	}
	s.rendered.CleanUp()
	if size := s.rendered.WeightedSize(); size > maxRendered || size == 0 {
		t.Errorf("%d bytes are kept", size)
	}
}

// A story that is read stays, however many drafts are looked at meanwhile.
func TestDraftsDriveOutNoStory(t *testing.T) {
	s := New()
	story := "une collecte"
	for range 10 {
		s.Render("fr", story)
	}
	for i := range 200 {
		s.Render("fr", strings.Repeat("x", maxRendered/50)+strings.Repeat("y", i))
		s.Render("fr", story)
	}
	s.rendered.CleanUp()
	if _, ok := s.rendered.GetIfPresent(keyOf("fr", story)); !ok {
		t.Error("it was driven out")
	}
}

func BenchmarkStory(b *testing.B) {
	var story strings.Builder
	for i := 0; story.Len() < 20_000; i++ {
		fmt.Fprintf(&story, "Le **%d** mars, la mairie a posé la caméra nᵒ %d : \"[voir](https://vallon.example/%d)\".\n\n", i%31+1, i, i)
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			New().Render("fr", story.String())
		}
	})
	b.Run("again", func(b *testing.B) {
		s := New()
		for b.Loop() {
			s.Render("fr", story.String())
		}
	})
}

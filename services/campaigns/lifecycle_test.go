package campaigns

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"pgregory.net/rapid"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
)

// ways is the lifecycle written a second time: from a state, by a verb, to a state or
// to a reason.
var ways = map[State]map[string]string{
	StateDraft:     {"publish": "published", "pause": "CAMPAIGN_NOT_PUBLISHED", "resume": "CAMPAIGN_NOT_PUBLISHED", "close": "CAMPAIGN_NOT_PUBLISHED"},
	StatePublished: {"publish": "published", "pause": "paused", "resume": "published", "close": "closed"},
	StatePaused:    {"publish": "CAMPAIGN_NOT_DRAFT", "pause": "paused", "resume": "published", "close": "closed"},
	StateClosed:    {"publish": "CAMPAIGN_CLOSED", "pause": "CAMPAIGN_CLOSED", "resume": "CAMPAIGN_CLOSED", "close": "closed"},
}

// Random verbs, against the model of ways: the state, the times, and that a verb that
// leads nowhere writes nothing.
func TestLifecycle(t *testing.T) {
	s, _, clock := fresh(t)
	verbs := map[string]func(context.Context, Name) (Campaign, error){"publish": publishes(s), "pause": s.Pause, "resume": s.Resume, "close": s.Close}
	round := 0
	rapid.Check(t, func(t *rapid.T) {
		round++
		name := Name{Collective: "vallon", Campaign: fmt.Sprintf("round-%d", round)}
		content := lawyer()
		content.Deadline = time.Time{}
		model := mustCreate(t, s, name, content)
		for _, word := range rapid.SliceOfN(rapid.SampledFrom([]string{"publish", "pause", "resume", "close"}), 1, 12).Draw(t, "verbs") {
			clock.set(clock.now().Add(time.Minute))
			got, err := verbs[word](context.Background(), name)
			to, allowed := ways[model.State][word], true
			if _, isState := ways[State(to)]; !isState {
				allowed = false
				errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason(errorsv1.ErrorReason_value[to]))
			} else if err != nil {
				t.Fatalf("%s from %s: %v", word, model.State, err)
			}
			if allowed && State(to) != model.State {
				if model.State == StateDraft {
					model.PublishTime = clock.now()
				}
				if State(to) == StateClosed {
					model.CloseTime = clock.now()
				}
				model.State, model.UpdateTime, model.version = State(to), clock.now(), model.version+1
			}
			if allowed && diff(model, got) != "" {
				t.Fatalf("%s answers (-want +got)\n%s", word, diff(model, got))
			}
			if read, err := s.Get(context.Background(), name); err != nil || diff(model, read) != "" {
				t.Fatalf("after %s: %v (-want +got)\n%s", word, err, diff(model, read))
			}
		}
	})
}

func TestDeadlineOfVerbs(t *testing.T) {
	s, _, clock := fresh(t)
	content := lawyer()
	content.Deadline = start.Add(time.Hour)
	mustCreate(t, s, avocat, content)
	t.Run("publish refuses one that has passed", func(t *testing.T) {
		clock.set(content.Deadline)
		_, err := s.Publish(context.Background(), avocat, "")
		errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_DEADLINE_PASSED)
	})
	clock.set(start)
	must(t, publishes(s), avocat)
	clock.set(content.Deadline)
	t.Run("publish sent again afterwards changes nothing", func(t *testing.T) { must(t, publishes(s), avocat) })
	must(t, s.Pause, avocat)
	t.Run("resume refuses one that has passed", func(t *testing.T) {
		_, err := s.Resume(context.Background(), avocat)
		errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_DEADLINE_PASSED)
	})
	t.Run("close needs none", func(t *testing.T) { must(t, s.Close, avocat) })
	t.Run("verbs say what is missing", func(t *testing.T) {
		for _, verb := range []func(context.Context, Name) (Campaign, error){publishes(s), s.Pause, s.Resume, s.Close} {
			_, err := verb(context.Background(), Name{Collective: "vallon", Campaign: "none"})
			errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
		}
	})
}

// publishes is Publish of whatever is stored.
func publishes(s *Service) func(context.Context, Name) (Campaign, error) {
	return func(ctx context.Context, name Name) (Campaign, error) { return s.Publish(ctx, name, "") }
}

// What somebody changed since it was looked at is not published.
func TestPublishesWhatWasRead(t *testing.T) {
	s, _, _ := fresh(t)
	read := mustCreate(t, s, avocat, lawyer())
	if _, err := s.Update(t.Context(), avocat, read.etag(), func(c *Content) error { c.Goal.Minor += 100; return nil }); err != nil {
		t.Fatal(err)
	}
	_, err := s.Publish(t.Context(), avocat, read.etag())
	errstest.Want(t, err, codes.Aborted, errorsv1.ErrorReason_ETAG_MISMATCH)
	now, err := s.Get(t.Context(), avocat)
	if err != nil || now.State != StateDraft {
		t.Fatalf("%v, %v", now.State, err)
	}
	for range 2 {
		// The second has the etag from before it was published.
		if c, err := s.Publish(t.Context(), avocat, now.etag()); err != nil || c.State != StatePublished {
			t.Errorf("%v, %v", c.State, err)
		}
	}

	item, err := s.CreateNewsItem(t.Context(), avocat, map[string]NewsText{"fr": {Title: "Audience", Text: "Demain."}}, uuid.New())
	if err != nil {
		t.Fatal(err)
	}
	newer, err := s.UpdateNewsItem(t.Context(), avocat, item.ID, item.etag(), func(map[string]NewsText) (map[string]NewsText, error) {
		return map[string]NewsText{"fr": {Title: "Audience reportée", Text: "Lundi."}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.PublishNewsItem(t.Context(), avocat, item.ID, item.etag())
	errstest.Want(t, err, codes.Aborted, errorsv1.ErrorReason_ETAG_MISMATCH)
	for range 2 {
		if n, err := s.PublishNewsItem(t.Context(), avocat, item.ID, newer.etag()); err != nil || n.State != NewsPublished {
			t.Errorf("%v, %v", n.State, err)
		}
	}
}

// The last day is that of the collective, west of UTC too.
func TestTheLastDayIsTheCollectives(t *testing.T) {
	for zone, midnight := range map[string]string{
		"Europe/Paris": "2026-03-31T22:00:00Z", "America/Martinique": "2026-04-01T04:00:00Z", "Asia/Tokyo": "2026-03-31T15:00:00Z", "UTC": "2026-04-01T00:00:00Z",
	} {
		at, err := time.Parse(time.RFC3339, midnight)
		if err != nil {
			t.Fatal(err)
		}
		c := Campaign{Content: Content{Deadline: at}, timeZone: zone}
		if got := c.deadlineDate(); got != "2026-03-31" {
			t.Errorf("%s: %s", zone, got)
		}
	}
	if got := (Campaign{timeZone: "UTC"}).deadlineDate(); got != "" {
		t.Errorf("no deadline is %q", got)
	}
}

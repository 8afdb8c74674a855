package campaigns

import (
	"context"
	"fmt"
	"testing"
	"time"

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
	verbs := map[string]func(context.Context, Name) (Campaign, error){"publish": s.Publish, "pause": s.Pause, "resume": s.Resume, "close": s.Close}
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
	must(t, s.Publish, avocat)
	clock.set(content.Deadline)
	t.Run("publish sent again afterwards changes nothing", func(t *testing.T) { must(t, s.Publish, avocat) })
	must(t, s.Pause, avocat)
	t.Run("resume refuses one that has passed", func(t *testing.T) {
		_, err := s.Resume(context.Background(), avocat)
		errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_DEADLINE_PASSED)
	})
	t.Run("close needs none", func(t *testing.T) { must(t, s.Close, avocat) })
	t.Run("verbs say what is missing", func(t *testing.T) {
		for _, verb := range []func(context.Context, Name) (Campaign, error){s.Publish, s.Pause, s.Resume, s.Close} {
			_, err := verb(context.Background(), Name{Collective: "vallon", Campaign: "none"})
			errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
		}
	})
}

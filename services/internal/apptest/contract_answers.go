package apptest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// stripeDescription returns Stripe's description, which is read once for a test binary.
var stripeDescription = sync.OnceValues(readDescription)

// enoughOfAKind limits how many answers of one call, and how many events of one type, a test compares. A burst has
// thousands of the same shape.
const enoughOfAKind = 200

// answers compares the simulator's answers and events with Stripe's description. With a shape that Stripe does not
// have, tests could pass and the service fail at Stripe. mu guards both maps, since the simulator serves requests at
// once. seen counts by call and status, or by event type.
type answers struct {
	description *description

	mu    sync.Mutex
	seen  map[string]int
	wrong map[string]string // an example of where, by the difference
}

// watchAnswers returns a comparison that reports the differences when the test ends.
func watchAnswers(t testing.TB) *answers {
	t.Helper()
	d, err := stripeDescription()
	if err != nil {
		t.Fatalf("apptest: %v", err)
	}
	a := &answers{description: d, seen: map[string]int{}, wrong: map[string]string{}}
	t.Cleanup(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, difference := range slices.Sorted(maps.Keys(a.wrong)) {
			t.Errorf("apptest: the simulator is not Stripe: %s (%s)", difference, a.wrong[difference])
		}
	})
	return a
}

// enough counts one more of a kind, and reports whether enough were compared.
func (a *answers) enough(kind string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen[kind]++
	return a.seen[kind] > enoughOfAKind
}

// note records differences. Each is reported once, with the first place where it occurred.
func (a *answers) note(where string, differences []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range differences {
		if _, known := a.wrong[d]; !known {
			a.wrong[d] = where
		}
	}
}

// before returns a handler that passes requests to the simulator and compares the answers of its API. It does not see
// answers that the simulator loses on purpose.
func (a *answers) before(simulator http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Pages and controls are the simulator's own, and Stripe's description does not have them.
		if !strings.HasPrefix(r.URL.Path, "/v1/") {
			simulator.ServeHTTP(w, r)
			return
		}
		copied := &copyWriter{ResponseWriter: w, status: http.StatusOK}
		simulator.ServeHTTP(copied, r)
		a.checkAnswer(r.Method, r.URL.Path, copied.status, copied.body.Bytes())
	})
}

// checkAnswer compares one answer of the API, an error included, with the schema of its call and status.
func (a *answers) checkAnswer(method, path string, status int, body []byte) {
	route := a.description.route(path)
	where := fmt.Sprintf("%s %s, HTTP %d", method, route, status)
	// Beyond the limit, nothing is decoded: a burst would spend its time here.
	if a.enough(where) {
		return
	}
	schema := a.description.answer(method, route, status)
	if schema == nil {
		// A call that Stripe does not have may only get an error, in the form of all errors.
		if status != http.StatusNotFound && status != http.StatusUnauthorized {
			a.note(where, []string{"no call " + method + " " + path})
			return
		}
		schema = a.description.component("error")
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		a.note(where, []string{"the answer is no JSON: " + err.Error()})
		return
	}
	a.note(where, a.description.differences(v, schema, ""))
}

// checkEvent compares an event, its object, and the names in previous_attributes.
func (a *answers) checkEvent(kind string, payload func() []byte) {
	where := "event " + kind
	if a.enough(where) {
		return
	}
	var v map[string]any
	if err := json.Unmarshal(payload(), &v); err != nil {
		a.note(where, []string{"the event is no JSON: " + err.Error()})
		return
	}
	a.note(where, a.description.differences(v, a.description.component("event"), ""))
	data, _ := v["data"].(map[string]any)
	object, _ := data["object"].(map[string]any)
	// The kind of object is in the object itself; the description has a schema of that name.
	name, _ := object["object"].(string)
	schema := a.description.component(name)
	if schema == nil || object == nil {
		a.note(where, []string{fmt.Sprintf("data.object is no object of Stripe's: %q", name)})
		return
	}
	a.note(where, a.description.differences(object, schema, ""))
	// Only the names are compared: Stripe gives a part of a member there, which no schema describes.
	previous, _ := data["previous_attributes"].(map[string]any)
	for member := range previous {
		if schema.Properties[member] == nil && !undescribed[name+"."+member] {
			a.note(where, []string{name + "." + member + ": is no member, in previous_attributes"})
		}
	}
}

// copyWriter keeps a copy of what it writes.
type copyWriter struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (w *copyWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *copyWriter) Write(b []byte) (int, error) {
	w.body.Write(b)
	return w.ResponseWriter.Write(b)
}

package chaos_test

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// operatorSteps are what the operator does, and what else goes on at Stripe.
func (h *history) operatorSteps() []step {
	return []step{
		{"the API key is rolled, one step further", 1, h.rollKey},
		{"the webhooks' secrets are rolled, one step further", 2, h.rollSecrets},
		{"the program is killed while Stripe works on a call", 1, h.killWhileStripeWorks},
	}
}

// roll is how far the replacement of a credential has come: Stripe and the program know one, or two, and in a hurry
// they have none in common for a while.
type roll struct {
	// current is how often it was replaced. next: there is one more. told: the program knows that.
	current    int
	next, told bool
	// over: Stripe knows the old one no more.
	over bool
}

// step goes one step further, in the right order or in a hurry: it says whether Stripe's side or the program's
// changes.
func (r *roll) step(hurry bool) (program bool) {
	switch {
	case !r.next:
		r.next = true
		r.over = hurry
	case !r.told:
		r.told = true
		return true
	case !r.over:
		r.over = true
	default:
		*r = roll{current: r.current + 1}
		return true
	}
	return false
}

// locked: Stripe knows none of what the program has.
func (r *roll) locked() bool { return r.over && !r.told }

// atStripe and inProgram are the numbers of those that each knows, the newest last.
func (r *roll) atStripe() []int {
	switch {
	case r.over:
		return []int{r.current + 1}
	case r.next:
		return []int{r.current, r.current + 1}
	}
	return []int{r.current}
}

func (r *roll) inProgram() []int {
	if r.told {
		return []int{r.current, r.current + 1}
	}
	return []int{r.current}
}

// numbered are credentials by their numbers; number 0 is the one that the world began with.
func numbered(first string, numbers []int) (all []string) {
	for _, n := range numbers {
		if n == 0 {
			all = append(all, first)
		} else {
			all = append(all, fmt.Sprintf("%s%d", first, n))
		}
	}
	return all
}

// rollKey makes a new key, gives it to the program, revokes the old one and takes it from the program; or revokes it
// before the program has the new one.
func (h *history) rollKey() {
	program := h.keys.step(h.dice.IntN(3) == 0)
	h.note("  … %+v", h.keys)
	h.useCredentials()
	if program {
		h.restartOrKill()
	}
}

// rollSecrets does the same to both endpoints' signing secrets: while two are in force each webhook has two
// signatures, and those that the program refuses come to it by Stripe's list of events.
func (h *history) rollSecrets() {
	program := h.secrets.step(h.dice.IntN(3) == 0)
	h.note("  … %+v", h.secrets)
	h.useCredentials()
	if program {
		h.restartOrKill()
	}
}

// useCredentials makes Stripe's side what it is by now, and the program's from its next start on.
func (w *world) useCredentials() {
	w.Sim.SetAPIKeys(numbered(apptest.APIKey, w.keys.atStripe())...)
	w.SetAPIKey(strings.Join(numbered(apptest.APIKey, w.keys.inProgram()), ","))
	join := func(first string, numbers []int) string { return strings.Join(numbered(first, numbers), ",") }
	w.Sim.SetEndpoints([]stripesim.Endpoint{
		{URL: w.URL + "/v1/webhooks/stripe", Secret: join(apptest.WebhookSecret, w.secrets.atStripe())},
		{URL: w.URL + "/v1/webhooks/stripe/connect", Secret: join(apptest.ConnectSecret, w.secrets.atStripe()), Connect: true},
	})
	w.SetSecrets(join(apptest.WebhookSecret, w.secrets.inProgram()), join(apptest.ConnectSecret, w.secrets.inProgram()))
}

// endRolls takes the program through what was begun; it must be started anew.
func (w *world) endRolls() {
	for _, r := range []*roll{&w.keys, &w.secrets} {
		for r.next {
			r.step(false)
		}
	}
	w.useCredentials()
}

func (h *history) restartOrKill() {
	if h.dice.IntN(2) == 0 {
		h.program.Kill()
		h.program.Start()
		h.program.Ready()
		return
	}
	h.restart()
}

// keyInUse is what Stripe answers while another request under the same idempotency key is under way.
// https://docs.stripe.com/api/idempotent_requests
var keyInUse = stripesim.Fault{
	Method: http.MethodPost, Status: http.StatusConflict, Code: "idempotency_key_in_use", Type: "idempotency_error",
}

// crowd makes a crowded Stripe refuse a call now and then: others hold the object, or the key is in use.
func (h *history) crowd() {
	if !h.crowded || h.dice.IntN(2) == 0 {
		return
	}
	f := stripesim.LockTimeout("", 1+h.dice.IntN(3))
	if h.dice.IntN(3) == 0 {
		f = keyInUse
		f.Times = 1
	}
	h.Sim.AddFault(f)
}

// slowCall outlasts the death of the program and its next start.
const slowCall = time.Second

// killWhileStripeWorks has the donor ask again while the key is in use indeed: Stripe goes on with a call whose
// caller has died.
func (h *history) killWhileStripeWorks() {
	h.Sim.ClearFaults()
	h.Sim.AddFault(stripesim.Fault{Method: http.MethodPost, PathPrefix: "/v1/checkout/sessions", Times: 1, Delay: slowCall})
	h.killDuring(h.give, 100)
	h.ask(h.donors[len(h.donors)-1])
}

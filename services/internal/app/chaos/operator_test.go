package chaos_test

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// operatorSteps are what the operator does.
func (h *history) operatorSteps() []step {
	return []step{
		{"the API key is rolled, one step further", 1, h.rollKey},
		{"the webhooks' secrets are rolled, one step further", 2, h.rollSecrets},
		{"the program is killed while Stripe works on a call", 1, h.killWhileStripeWorks},
	}
}

// roll is the state of the replacement of a credential. Stripe and the program each know one or two credentials. In a
// hasty replacement they have none in common for a while.
type roll struct {
	// current counts the replacements. next means that there is a newer credential, and told that the program knows it.
	current    int
	next, told bool
	// over means that Stripe no longer accepts the old credential.
	over bool
}

// step makes the next step, in the right order or in haste. It returns whether Stripe's side changes or the program's.
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

// locked reports whether Stripe accepts none of the program's credentials.
func (r *roll) locked() bool { return r.over && !r.told }

// atStripe and inProgram return the numbers of the credentials that each knows, the newest last.
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

// numbered returns credentials by their numbers. Number 0 is the credential that the world began with.
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

// rollKey creates a new key, gives it to the program, revokes the old key and removes it from the program. In haste it
// revokes the old key before the program has the new one.
func (h *history) rollKey() {
	program := h.keys.step(h.dice.IntN(3) == 0)
	h.note("  … %+v", h.keys)
	h.useCredentials()
	if program {
		h.restartOrKill()
	}
}

// rollSecrets does the same with the signing secrets of both endpoints. While two secrets are valid, each webhook has two
// signatures. The program gets the events of refused webhooks from Stripe's list of events.
func (h *history) rollSecrets() {
	program := h.secrets.step(h.dice.IntN(3) == 0)
	h.note("  … %+v", h.secrets)
	h.useCredentials()
	if program {
		h.restartOrKill()
	}
}

// useCredentials sets the credentials of Stripe at once, and those of the program from its next start on.
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

// endRolls completes the replacements that were begun. The program must be started again after it.
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

// keyInUse is Stripe's answer while it works on another request under the same idempotency key.
// https://docs.stripe.com/api/idempotent_requests
var keyInUse = stripesim.Fault{
	Method: http.MethodPost, Status: http.StatusConflict, Code: "idempotency_key_in_use", Type: "idempotency_error",
}

// crowd makes a crowded Stripe refuse a call now and then, because the object or the idempotency key is in use.
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

// slowCall takes longer than killing the program and starting it again.
const slowCall = time.Second

// killWhileStripeWorks kills the program during a call. The donor asks again while the idempotency key is still in use,
// because Stripe continues the call.
func (h *history) killWhileStripeWorks() {
	h.Sim.ClearFaults()
	h.Sim.AddFault(stripesim.Fault{Method: http.MethodPost, PathPrefix: "/v1/checkout/sessions", Times: 1, Delay: slowCall})
	h.killDuring(h.give, 100)
	h.ask(h.donors[len(h.donors)-1])
}

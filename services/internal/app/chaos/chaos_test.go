// Package chaos_test plays random histories of what happens between donors, members, Stripe and the program, with
// everything that can go wrong: lost answers, lost webhooks, crashes, revoked keys. At the end of a history it compares
// the program with Stripe: books, donations, refunds, disputes, subscriptions, payouts, and the state of the account.
// What happens without Stripe, in cash and at the bank, is recorded by the test (paper), and compared to the cent too.
//
// A seed determines the steps of a history. `make chaos SEEDS=1-5000` plays many; SEEDS=17 plays one again.
package chaos_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	"github.com/cagnotte/cagnotte/services/internal/app"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

const (
	// worlds is how many worlds run at once, each with a program, a database and a simulator of its own.
	worlds = 5
	// seedsPerWorld is how many seeds run in one world. Then a new one begins, since old accounts make a world slow.
	seedsPerWorld = 8
	// fewestSteps and mostSteps limit the steps of a history.
	fewestSteps, mostSteps = 15, 45
	// favouriteWeight is the factor by which the steps of a history's favourite family are likelier.
	favouriteWeight = 4
	// settleTime is how long the program may take to reach Stripe's state, on a busy machine.
	settleTime = 5 * time.Minute
	// settlePause is the time between two comparisons, which cost the program time.
	settlePause = 50 * time.Millisecond
	// daysLength is the interval at which everything that waits by the database's clock is made due. That clock cannot be
	// moved.
	daysLength = 3 * time.Second
	// One in limitedWorlds worlds has Stripe's limit of calls a second for a test key, and the program's own rate, which
	// takes time. Half of the others are crowded: see crowd. A program that starts again has a full bucket, so stripeLimit
	// has room for two buckets beside stripeRate.
	limitedWorlds = 5
	stripeLimit   = 25
	stripeRate    = 16
)

func TestChaos(t *testing.T) {
	first, last, err := seedRange(*seedsFlag)
	if err != nil {
		t.Fatal(err)
	}
	var blocks atomic.Uint64
	blocks.Store((first - 1) / seedsPerWorld)
	for i := range worlds {
		t.Run(fmt.Sprintf("world %d", i), func(t *testing.T) {
			t.Parallel()
			for {
				block := blocks.Add(1) - 1
				from, to := max(first, block*seedsPerWorld+1), min(last, (block+1)*seedsPerWorld)
				if from > to {
					return
				}
				// It is a test of its own, since the cleanup of a test ends its world and checks the requests to Stripe.
				t.Run(fmt.Sprintf("seeds %d-%d", from, to), func(t *testing.T) {
					playBlock(t, block, from, to)
				})
			}
		})
	}
}

// playBlock plays seeds in a new world.
func playBlock(t *testing.T, block, from, to uint64) {
	w := newWorld(t, block)
	defer w.end(t)
	for seed := from; seed <= to; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			h := newHistory(t, w, seed)
			defer h.report()
			h.play()
			h.settle()
		})
	}
}

// world is a program in a process of its own, with its simulator of Stripe.
type world struct {
	*apptest.Env
	program *apptest.Process
	// rest is a connection to the program that survives its restarts.
	rest *apptest.RESTConn
	// db is a pool of the database's owner.
	db *pgxpool.Pool
	// box is the mail server.
	box *mailtest.Server
	// crowded means that Stripe is busy with other calls; see crowd.
	crowded bool
	// keys and secrets are the API keys that Stripe accepts, and the secrets that it signs webhooks with.
	keys, secrets roll
}

func newWorld(t *testing.T, block uint64) *world {
	box := mailtest.Start(t)
	e := apptest.Start(t, apptest.Config{SyncEvery: time.Second, SMTPURL: box.URL()})
	e.StopApp()
	limited := block%limitedWorlds == 0
	if limited {
		e.Sim.SetLimit(stripeLimit)
		e.SetStripeRate(stripeRate)
	}
	db, err := pgxpool.New(t.Context(), e.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	w := &world{Env: e, program: e.NewProcess(), rest: &apptest.RESTConn{URL: e.URL}, db: db, box: box, crowded: !limited && block%2 == 0}
	w.program.Start()
	w.program.Ready()
	return w
}

// end checks what no single history shows: every book verifies, and no object was requested twice at Stripe.
func (w *world) end(t *testing.T) {
	w.program.Stop()
	var said strings.Builder
	if err := app.VerifyLedger(context.Background(), w.DatabaseURL, nil, nil, &said); err != nil {
		t.Errorf("the books do not verify: %v\n%s", err, said.String())
	}
	if n := w.Sim.Limited(); n > 0 { // always 0 in a world without a limit
		t.Errorf("%d calls were above Stripe's limit", n)
	}
	bodies, made := map[string]string{}, map[string]string{}
	for _, r := range w.Sim.Requests() {
		if r.IdempotencyKey == "" {
			continue
		}
		key := r.Account + " " + r.Path + " " + r.IdempotencyKey
		if body, known := bodies[key]; known && body != string(r.Body) {
			t.Errorf("one idempotency key with two bodies: %s", key)
		}
		bodies[key] = string(r.Body)
		if !slices.Contains(creations, r.Path) || r.Status != http.StatusOK {
			continue
		}
		what := r.Account + " " + r.Path + " " + string(r.Body)
		if before, known := made[what]; known && before != key {
			t.Errorf("an object that Stripe created under the key %s was requested again under %s", before, key)
		}
		made[what] = key
	}
}

// creations are the calls that each create another object. Their bodies name the row that the object is for. So after
// Stripe has created it, even if the answer was lost, the same body may come again only under the same idempotency key.
var creations = []string{"/v1/checkout/sessions", "/v1/refunds", "/v1/accounts"}

// history is one seed: an account at Stripe, with one collective and one campaign.
type history struct {
	*world
	t        *testing.T
	seed     uint64
	dice     *rand.Rand
	account  string
	slug     string
	campaign string
	// owner and treasurer are API keys.
	owner, treasurer string
	// steps has what was done, for the report.
	steps []string

	donors   []*donor
	refunds  []*refundsv1.CreateRefundRequest
	disputes []string
	paper    paper
	// monthly has the donors' monthly donations, and usedLinks the tokens of links that they tried: true if the link opened,
	// false if the call was not answered.
	monthly   []*monthlyDonation
	usedLinks map[string]bool
	// link is the last link to Stripe's form, and accountState the account's state at Stripe.
	link         string
	accountState stripesim.AccountState
	lowBalance   bool
	// closed means that the campaign is closed; wasDisconnected and wasUnready, that the account was so at some time.
	closed, disconnected, wasDisconnected, wasUnready bool
	offline                                           time.Duration
}

func newHistory(t *testing.T, w *world, seed uint64) *history {
	h := &history{
		world: w, t: t, seed: seed, dice: rand.New(rand.NewPCG(seed, 1)),
		account: fmt.Sprintf("acct_chaos%d", seed), slug: fmt.Sprintf("group-%d", seed),
		usedLinks: map[string]bool{}, accountState: accountComplete,
	}
	if opens := h.dice.IntN(4) == 0; opens {
		h.openCampaign("")
		h.openAccount()
	} else {
		w.Sim.AddAccount(h.account)
		h.openCampaign(h.account)
	}
	h.must(w.Sim.OfferDebits(h.account, true))
	h.must(w.Sim.HoldFirstDebits(h.account, h.dice.IntN(3) == 0))
	h.must(w.Sim.SchedulePayouts(h.account, h.dice.IntN(2) == 0))
	h.paper = paper{receipts: map[string]int64{}, bank: bankAccount{
		camt: h.dice.IntN(2) == 0, payouts: map[string]*bankLine{}, returned: map[string]*bankLine{}, takenBack: map[string]bool{},
	}}
	return h
}

// play runs a random number of random steps.
func (h *history) play() {
	families, total := h.families(), 0
	var steps []step
	favourite := h.dice.IntN(len(families))
	for i, family := range families {
		for _, s := range family {
			if i == favourite && i > 0 {
				s.weight *= favouriteWeight
			}
			steps = append(steps, s)
			total += s.weight
		}
	}
	for range fewestSteps + h.dice.IntN(mostSteps-fewestSteps) {
		n := h.dice.IntN(total)
		for _, s := range steps {
			if n -= s.weight; n < 0 {
				h.note("%s", s.name)
				h.crowd()
				s.do()
				break
			}
		}
	}
}

// note records a step or its result.
func (h *history) note(format string, args ...any) {
	h.steps = append(h.steps, fmt.Sprintf(format, args...))
}

func (h *history) report() {
	if h.t.Failed() {
		h.t.Logf("play it again: make chaos SEEDS=%d\nwhat happened:\n  %s", h.seed, strings.Join(h.steps, "\n  "))
		fmt.Fprintf(os.Stderr, "chaos: seed %d failed\n", h.seed)
	}
}

// settle ends the history: there are no more faults, time passes, and the program must reach Stripe's state. Lost events
// and answers stay lost.
func (h *history) settle() {
	h.Sim.ClearFaults()
	h.Sim.SetFeeDelay(0)
	h.Sim.SetDelivery(stripesim.Delivery{})
	h.Sim.SettleFees()
	// All payment pages close, and banks answer all debits. The program, which may have been killed, must then find
	// everything without help.
	h.must(h.Sim.SetLowBalance(h.account, false))
	if h.disconnected {
		h.turnConnection()
	}
	// Stripe may still require information, but accepts payments, so that pending changes can be made.
	h.accountState.ChargesEnabled = true
	h.setAccount(h.accountState)
	h.advance(20 * 24 * time.Hour)
	h.Sim.SettleFees()
	h.endRolls()
	h.startAnew()
	h.finishPaper()
	deadline, again, anew := time.Now().Add(settleTime), time.Now().Add(daysLength), time.Now().Add(4*daysLength)
	for h.different() {
		now := time.Now()
		if now.After(deadline) {
			h.t.Fatalf("seed %d does not reach Stripe's state:\n%s", h.seed, h.differences())
		}
		if now.After(again) {
			// What waits by the database's clock becomes due.
			h.passDatabaseTime()
			again = now.Add(daysLength)
		}
		if now.After(anew) {
			// So does what waits by a timer of the program.
			h.advance(time.Hour)
			h.startAnew()
			anew = time.Now().Add(4 * daysLength)
		}
		time.Sleep(settlePause)
	}
}

// startAnew kills the program and starts it again, with nothing left to wait for.
func (h *history) startAnew() {
	h.program.Kill()
	h.endTerm()
	h.passDatabaseTime()
	h.program.Start()
	h.program.Ready()
}

// mostOffline limits how long the program may be offline, since Stripe keeps events for 30 days.
const mostOffline = 25 * 24 * time.Hour

// advance moves the clock of the program and Stripe.
func (h *history) advance(d time.Duration) {
	for d > 0 {
		part := min(d, mostOffline)
		if h.offline += part; h.offline > mostOffline {
			h.backfill()
			h.offline = part
		}
		h.program.Advance(part)
		d -= part
	}
}

const backfilledSQL = `
SELECT coalesce(bool_and(a.backfilled_until > @since), false)
FROM webhooks.accounts AS a
WHERE a.account = @account`

// backfill lets the program read Stripe's list of events once. It ends faults and missing keys, which do not last for
// weeks, and connects the account, since a disconnected one has no backfill.
func (h *history) backfill() {
	h.t.Helper()
	h.Sim.ClearFaults()
	if h.disconnected {
		h.turnConnection()
	}
	if h.keys.locked() {
		h.endRolls()
		h.startAnew()
	}
	args := pgx.NamedArgs{"account": h.account, "since": h.Clock.Now().Add(-time.Minute)}
	for deadline, again := time.Now().Add(settleTime), time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(again) {
			// It is made due again, since a running job may have found the account disconnected and deferred it.
			h.passDatabaseTime()
			again = time.Now().Add(daysLength)
		}
		var backfilled bool
		h.must(h.db.QueryRow(h.t.Context(), backfilledSQL, args).Scan(&backfilled))
		if backfilled {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatal("the program does not read Stripe's events")
		}
	}
}

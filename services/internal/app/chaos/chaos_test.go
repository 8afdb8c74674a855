// Package chaos_test plays seeded histories of everything that can happen between donors, members, Stripe and
// the program, with all that can go wrong in between, and compares what the program has in the end with what
// Stripe has: books, donations, refunds, disputes, subscriptions, payouts and the state of the account. What happens
// without Stripe, by hand and at the bank, is noted beside (paper), and compared to the cent as well.
//
// `make chaos SEEDS=1-5000` plays many; a failing one is played again by its number.
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
	// worlds play at once, each with a program, a database and a simulator of its own.
	worlds = 5
	// seedsPerWorld: a block of so many seeds has a fresh world, so that old accounts do not slow the new ones.
	seedsPerWorld = 8
	// A history has this many steps.
	fewestSteps, mostSteps = 15, 45
	// favouriteWeight is how much likelier the steps are that a history is about.
	favouriteWeight = 4
	// settleTime is how long the program may take to come to rest, on a machine that has much else to do.
	settleTime = 5 * time.Minute
	// settlePause is between two looks: looking takes time from the program.
	settlePause = 50 * time.Millisecond
	// daysLength: what waits by the database's clock, which nobody can move, is told so often that its time has come.
	daysLength = 3 * time.Second
	// One world in so many has what Stripe allows a test key, and the program what it allows itself; it costs time.
	// Of the others half are busy: see crowd.
	// A program that is started again knows of no call before, and its bucket is full: so two buckets fit in beside.
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
				// A test of its own: its cleanup ends the world, and looks at all that was asked of Stripe.
				t.Run(fmt.Sprintf("seeds %d-%d", from, to), func(t *testing.T) {
					playBlock(t, block, from, to)
				})
			}
		})
	}
}

// playBlock plays seeds in a fresh world.
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

// world is a program as a process of its own, and the Stripe that it speaks to.
type world struct {
	*apptest.Env
	program *apptest.Process
	// rest speaks to the program, whichever life it is in.
	rest *apptest.RESTConn
	// db is the database as its owner.
	db *pgxpool.Pool
	// box is where mails go.
	box *mailtest.Server
	// crowded: much else goes on at Stripe; see crowd.
	crowded bool
	// keys and secrets are what Stripe takes and signs with.
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

// end looks at what no single history shows: every book verifies, and Stripe was asked properly.
func (w *world) end(t *testing.T) {
	w.program.Stop()
	var said strings.Builder
	if err := app.VerifyLedger(context.Background(), w.DatabaseURL, nil, nil, &said); err != nil {
		t.Errorf("the books do not verify: %v\n%s", err, said.String())
	}
	if n := w.Sim.Limited(); n > 0 { // never, without a limit
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
			t.Errorf("what Stripe made under %s is asked for again under %s", before, key)
		}
		made[what] = key
	}
}

// creations are the calls each of which makes something else; their bodies name the row that it is made for. So one
// that Stripe has answered, whoever got the answer, is sent again under its key only.
var creations = []string{"/v1/checkout/sessions", "/v1/refunds", "/v1/accounts"}

// history is what one seed makes happen: an account of its own at Stripe, with one collective and campaign.
type history struct {
	*world
	t        *testing.T
	seed     uint64
	dice     *rand.Rand
	account  string
	slug     string
	campaign string
	// owner and treasurer are keys.
	owner, treasurer string
	// steps is what was done, for the report.
	steps []string

	donors   []*donor
	refunds  []*refundsv1.CreateRefundRequest
	disputes []string
	paper    paper
	// monthly are the donors' own monthly donations, and usedLinks the tokens of links that they tried: true where it opened,
	// false where nobody knows, since the call was not answered.
	monthly   []*monthlyDonation
	usedLinks map[string]bool
	// link is the last that leads into Stripe's form; accountState is what Stripe says of the account.
	link         string
	accountState stripesim.AccountState
	lowBalance   bool
	// closed: the campaign is. wasDisconnected, wasUnready: the account was, at some time.
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

// play does a random number of random steps.
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

// note remembers a step, or what came of it.
func (h *history) note(format string, args ...any) {
	h.steps = append(h.steps, fmt.Sprintf(format, args...))
}

func (h *history) report() {
	if h.t.Failed() {
		h.t.Logf("play it again: make chaos SEEDS=%d\nwhat happened:\n  %s", h.seed, strings.Join(h.steps, "\n  "))
		fmt.Fprintf(os.Stderr, "chaos: seed %d failed\n", h.seed)
	}
}

// settle ends the history: nothing goes wrong any more, time passes, and the program comes to rest. What was
// lost stays lost.
func (h *history) settle() {
	h.Sim.ClearFaults()
	h.Sim.SetFeeDelay(0)
	h.Sim.SetDelivery(stripesim.Delivery{})
	h.Sim.SettleFees()
	// All payment pages close, and all debits are answered; then the program, which may have been killed, finds
	// everything by itself.
	h.must(h.Sim.SetLowBalance(h.account, false))
	if h.disconnected {
		h.turnConnection()
	}
	// What Stripe still wants then is nothing that keeps it from taking payments: what was promised can be done.
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
			h.t.Fatalf("seed %d does not end as Stripe does:\n%s", h.seed, h.differences())
		}
		if now.After(again) {
			// What waits for tomorrow has had a day.
			h.passDatabaseTime()
			again = now.Add(daysLength)
		}
		if now.After(anew) {
			// So has what waits by the timers of a program that runs.
			h.advance(time.Hour)
			h.startAnew()
			anew = time.Now().Add(4 * daysLength)
		}
		time.Sleep(settlePause)
	}
}

// startAnew ends the program and starts it, with nothing left to wait for.
func (h *history) startAnew() {
	h.program.Kill()
	h.endTerm()
	h.passDatabaseTime()
	h.program.Start()
	h.program.Ready()
}

// mostOffline is how long the program may be offline: Stripe forgets events after 30 days.
const mostOffline = 25 * 24 * time.Hour

// advance moves the clock that the program and Stripe share.
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

// backfill lets the program read Stripe's list of events once: no fault lasts for weeks, no key is missing for so
// long, and a disconnected account has no backfill.
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
			// Again, since what was under way may have found the account disconnected, and put it off.
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

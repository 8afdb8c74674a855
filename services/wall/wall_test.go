package wall

import (
	"context"
	"encoding/base64"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// env is the wall with a clock that only the test moves.
type env struct {
	*Service
	t    *testing.T
	pool *pgxpool.Pool
	time time.Time
}

// newEnv starts with easy challenges, so that tests are fast.
func newEnv(t *testing.T, limits Limits) *env {
	t.Helper()
	limits.Challenges = true
	e := &env{t: t, pool: pgtest.New(t), time: time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)}
	e.Service = New(Config{Pool: e.pool, SecretKey: []byte("secret"), Limits: limits, Now: func() time.Time { return e.time }})
	return e
}

func attempt(address string) Attempt {
	return Attempt{
		Kind: Card, Address: netip.MustParseAddr(address), Campaign: "collectives/vallon/campaigns/avocate", Account: "acct_1",
		Amount: money.Amount{Minor: 20_00, Currency: money.EUR},
	}
}

// start does what a service does for a new payment.
func (e *env) start(a Attempt) error {
	e.t.Helper()
	if err := e.Check(e.t.Context(), a); err != nil {
		return err
	}
	return postgres.InTx(e.t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error { return e.TakeTx(ctx, tx, a) })
}

func (e *env) paid(a Attempt) {
	e.t.Helper()
	if err := postgres.InTx(e.t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
		return e.PaidTx(ctx, tx, a.Campaign, a.Account)
	}); err != nil {
		e.t.Fatal(err)
	}
}

func reasonOf(err error) errorsv1.ErrorReason {
	if err == nil {
		return 0
	}
	return errs.As(err).Reason
}

func (e *env) wants(err error, reason errorsv1.ErrorReason) *errs.Error {
	e.t.Helper()
	if got := reasonOf(err); got != reason {
		e.t.Fatalf("err = %v, want %v", err, reason)
	}
	return errs.As(err)
}

// solve does the work of a challenge, as a browser does.
func solve(err error) string {
	asked := errs.As(err).Metadata
	difficulty, _ := strconv.Atoi(asked["difficulty"])
	for n := uint64(0); ; n++ {
		if number := strconv.FormatUint(n, 10); solves(asked["challenge"], number, difficulty) {
			return asked["challenge"] + "." + number
		}
	}
}

const (
	challenged = errorsv1.ErrorReason_CHALLENGE_REQUIRED
	refused    = errorsv1.ErrorReason_TOO_MANY_DONATIONS
)

func TestNetworksNest(t *testing.T) {
	small := Network{Soft: 2, Hard: 4, Interval: time.Hour}
	for name, c := range map[string]struct {
		limits    Limits
		addresses []string
		other     string
	}{
		"an address":    {Limits{Address: small}, []string{"192.0.2.7", "192.0.2.7", "192.0.2.7"}, "192.0.2.8"},
		"IPv4 in IPv6":  {Limits{Address: small}, []string{"192.0.2.7", "::ffff:192.0.2.7", "192.0.2.7"}, "192.0.2.8"},
		"a /24":         {Limits{Near: small}, []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}, "192.0.3.1"},
		"a /16":         {Limits{Far: small}, []string{"192.0.1.1", "192.0.2.2", "192.0.3.3"}, "192.1.0.1"},
		"a /64":         {Limits{Address: small}, []string{"2001:db8::1", "2001:db8::2", "2001:db8::3"}, "2001:db8:0:1::1"},
		"a /56":         {Limits{Home: small}, []string{"2001:db8::1", "2001:db8:0:1::2", "2001:db8:0:2::3"}, "2001:db8:0:100::1"},
		"a /48":         {Limits{Near: small}, []string{"2001:db8::1", "2001:db8:0:100::2", "2001:db8:0:200::3"}, "2001:db8:1::1"},
		"a /40":         {Limits{Far: small}, []string{"2001:db8::1", "2001:db8:1::2", "2001:db8:2::3"}, "2001:db8:100::1"},
		"from nowhere":  {Limits{Near: small}, []string{"", "", ""}, "192.0.2.8"},
		"all the kinds": {Limits{Address: small}, []string{"192.0.2.7 card", "192.0.2.7 pledge", "192.0.2.7 change"}, "192.0.2.8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.limits.Bits = 4
			e := newEnv(t, c.limits)
			var got []errorsv1.ErrorReason
			for _, text := range c.addresses {
				a := attempt("192.0.2.1")
				address, kind, _ := strings.Cut(text, " ")
				a.Address, _ = netip.ParseAddr(address)
				if kind != "" {
					a.Kind = Kind(kind)
				}
				got = append(got, reasonOf(e.start(a)))
			}
			if got[0] != 0 || got[1] != 0 || got[2] != challenged {
				t.Errorf("three starts: %v", got)
			}
			if err := e.start(attempt(c.other)); err != nil {
				t.Errorf("another network suffers: %v", err)
			}
		})
	}
}

func TestSoftAndHard(t *testing.T) {
	e := newEnv(t, Limits{Address: Network{Soft: 2, Hard: 4, Interval: time.Minute}, Bits: 4})
	a := attempt("192.0.2.7")
	for range 2 {
		if err := e.start(a); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		solved := a
		solved.Solution = solve(e.wants(e.start(a), challenged))
		if err := e.start(solved); err != nil {
			t.Fatalf("with a solution: %v", err)
		}
	}
	if err := e.wants(e.start(a), refused); err.RetryAfter != time.Minute {
		t.Errorf("wait %v, want a minute", err.RetryAfter)
	}
	e.time = e.time.Add(time.Minute)
	e.wants(e.start(a), challenged)
	e.time = e.time.Add(2 * time.Minute)
	if err := e.start(a); err != nil {
		t.Errorf("below the soft limit again: %v", err)
	}
}

func TestASolution(t *testing.T) {
	limits := Limits{Campaign: Outer{Soft: 3}, Bits: 10}
	e := newEnv(t, limits)
	a := attempt("192.0.2.7")
	for range 3 {
		if err := e.start(a); err != nil {
			t.Fatal(err)
		}
	}
	asked := e.wants(e.start(a), challenged)
	challenge, solution := asked.Metadata["challenge"], solve(asked)
	with := func(change func(*Attempt)) Attempt {
		other := a
		other.Solution = solution
		change(&other)
		return other
	}
	raw, err := base64.RawURLEncoding.DecodeString(challenge)
	if err != nil {
		t.Fatal(err)
	}
	weaker := append([]byte{}, raw...)
	weaker[9] = 0
	for rule, other := range map[string]Attempt{
		"another campaign":     with(func(a *Attempt) { a.Campaign = "collectives/vallon/campaigns/toit" }),
		"another amount":       with(func(a *Attempt) { a.Amount.Minor++ }),
		"another currency":     with(func(a *Attempt) { a.Amount.Currency = "usd" }),
		"another kind":         with(func(a *Attempt) { a.Kind = Change }),
		"no number":            with(func(a *Attempt) { a.Solution = challenge + ".x" }),
		"a number with a sign": with(func(a *Attempt) { a.Solution = challenge + ".+" + strings.Split(solution, ".")[1] }),
		"a ticket too early":   with(func(a *Attempt) { a.Solution = challenge }),
		"a weaker challenge":   with(func(a *Attempt) { a.Solution = base64.RawURLEncoding.EncodeToString(weaker) + ".1" }),
		"a cut one":            with(func(a *Attempt) { a.Solution = challenge[:40] + ".1" }),
		"no base64":            with(func(a *Attempt) { a.Solution = "é.1" }),
		"another writing":      with(func(a *Attempt) { a.Solution = challenge + "=." + strings.Split(solution, ".")[1] }),
		"another secret": with(func(o *Attempt) {
			stranger := New(Config{Pool: e.pool, SecretKey: []byte("other"), Limits: limits, Now: e.Service.cfg.Now})
			o.Solution = solve(stranger.challenge(a, pressure{outer: 2}, e.time))
		}),
	} {
		// Each counter must be over its limit, so that a solution is needed.
		for range 3 {
			_ = postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
				return e.addTx(ctx, tx, e.outerKeys(other.Kind, other.Campaign, other.Account), 1, 0, e.time)
			})
		}
		if got := reasonOf(e.start(other)); got != challenged {
			t.Errorf("%s: %v", rule, got)
		}
	}
	// Another network is no reason to refuse: telephones change theirs while they solve.
	moved := with(func(a *Attempt) { a.Address = netip.MustParseAddr("2001:db8::1") })
	if err := e.start(moved); err != nil {
		t.Fatalf("the solution: %v", err)
	}
	e.wants(e.start(moved), challenged)

	late := a
	late.Solution = solve(e.wants(e.start(a), challenged))
	e.time = e.time.Add(challengeLife + time.Second)
	for range 3 {
		_ = postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
			return e.addTx(ctx, tx, e.outerKeys(a.Kind, a.Campaign, a.Account), 1, 0, e.time)
		})
	}
	e.wants(e.start(late), challenged)
}

func TestOneSolutionSentAtOnceIsGoodOnce(t *testing.T) {
	e := newEnv(t, Limits{Campaign: Outer{Soft: 1}, Bits: 4})
	a := attempt("192.0.2.7")
	if err := e.start(a); err != nil {
		t.Fatal(err)
	}
	a.Solution = solve(e.wants(e.start(a), challenged))
	var mu sync.Mutex
	passed := 0
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			if e.start(a) == nil {
				mu.Lock()
				defer mu.Unlock()
				passed++
			}
		})
	}
	running.Wait()
	if passed != 1 {
		t.Errorf("%d passed with one solution", passed)
	}
}

func TestATicket(t *testing.T) {
	e := newEnv(t, Limits{Campaign: Outer{Soft: 1}, TicketAddress: Network{Soft: 1, Hard: 1, Interval: time.Hour}, Bits: 20})
	a := attempt("192.0.2.7")
	if err := e.start(a); err != nil {
		t.Fatal(err)
	}
	asked := e.wants(e.start(a), challenged)
	if wait := asked.Metadata["ticket_wait_seconds"]; wait != "120" {
		t.Errorf("the ticket waits %s s at twice the limit", wait)
	}
	second := e.wants(e.start(a), challenged).Metadata["challenge"]
	a.Solution = asked.Metadata["challenge"]
	e.time = e.time.Add(119 * time.Second)
	e.wants(e.start(a), challenged)
	e.time = e.time.Add(time.Second)
	if err := e.start(a); err != nil {
		t.Errorf("after its wait: %v", err)
	}
	e.wants(e.start(a), challenged) // it is used
	a.Solution = second
	e.wants(e.start(a), refused) // one address has few of them
	a.Address = netip.MustParseAddr("192.0.2.8")
	if err := e.start(a); err != nil {
		t.Errorf("another address: %v", err)
	}
}

func TestPaymentsMoveTheOuterLimits(t *testing.T) {
	e := newEnv(t, Limits{Campaign: Outer{Soft: 10, Paid: 2}, Bits: 4})
	a := attempt("192.0.2.7")
	free := func() (n int) {
		for ; reasonOf(e.start(a)) == 0; n++ {
		}
		return n
	}
	if n := free(); n != 10 {
		t.Errorf("%d pages without a payment, want 10", n)
	}
	for range 5 {
		e.paid(a)
	}
	// Five came back, and each lets two more in.
	if n := free(); n != 15 {
		t.Errorf("%d pages after 5 payments, want 15", n)
	}
	e.time = e.time.Add(24 * time.Hour)
	if n := free(); n != 10 {
		t.Errorf("%d pages a day later, want 10", n)
	}
	other := a
	other.Campaign = "collectives/vallon/campaigns/toit"
	if err := e.start(other); err != nil {
		t.Errorf("another campaign suffers: %v", err)
	}
}

// Nobody waits for a counter, however many transactions have counted and not ended yet.
func TestCountersDoNotBlock(t *testing.T) {
	e := newEnv(t, Limits{Campaign: Outer{Soft: 1000}, Instance: Outer{Soft: 1000}, Bits: 4})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var open []pgx.Tx
	for range 3 {
		tx, err := e.pool.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, tx)
		if err := e.TakeTx(ctx, tx, attempt("192.0.2.7")); err != nil {
			t.Fatal(err)
		}
	}
	for _, tx := range open {
		if err := tx.Commit(ctx); err != nil {
			t.Fatal(err)
		}
	}
	counts, err := e.counts(ctx, e.pool, attempt("192.0.2.7"), e.time)
	if err != nil || len(counts) != 2 || counts[0].unpaid != 3 || counts[1].unpaid != 3 {
		t.Errorf("counted %v, %v", counts, err)
	}
}

// What is refused leaves no row, and what was counted goes.
func TestRowsGoByThemselves(t *testing.T) {
	e := newEnv(t, Limits{Address: Network{Soft: 2, Hard: 3, Interval: time.Minute}, Campaign: Outer{Soft: 1}, Bits: 4})
	rows := func() (limits, counters, solutions int) {
		if err := e.pool.QueryRow(t.Context(), `
SELECT
	(SELECT count(*) FROM wall.limits),
	(SELECT count(*) FROM wall.counters),
	(SELECT count(*) FROM wall.solutions)`).Scan(&limits, &counters, &solutions); err != nil {
			t.Fatal(err)
		}
		return
	}
	a := attempt("192.0.2.7")
	if err := e.start(a); err != nil {
		t.Fatal(err)
	}
	solved := a
	solved.Solution = solve(e.wants(e.start(a), challenged))
	if err := e.start(solved); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		e.wants(e.start(attempt("198.51.100."+strconv.Itoa(i))), challenged)
	}
	if limits, counters, solutions := rows(); limits != 1 || counters != 1 || solutions != 1 {
		t.Errorf("%d, %d, %d rows", limits, counters, solutions)
	}
	var text string
	if err := e.pool.QueryRow(t.Context(), "SELECT (SELECT string_agg(l::text, ' ') FROM wall.limits AS l) || (SELECT string_agg(c::text, ' ') FROM wall.counters AS c)").Scan(&text); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, "192.0") || strings.Contains(text, "vallon") {
		t.Errorf("stored in clear: %s", text)
	}
	e.time = e.time.Add(time.Hour)
	if err := e.Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	if limits, counters, solutions := rows(); limits != 0 || counters != 1 || solutions != 0 {
		t.Errorf("an hour later: %d, %d, %d rows", limits, counters, solutions)
	}
	e.time = e.time.Add(counterLife)
	if err := e.Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, counters, _ := rows(); counters != 0 {
		t.Errorf("%d counters at last", counters)
	}
}

func TestThePressureMakesItHarder(t *testing.T) {
	s := New(Config{SecretKey: []byte("secret")})
	for _, c := range []struct {
		p    pressure
		bits int
		wait time.Duration
	}{
		{pressure{outer: 1.1}, 14, time.Minute},
		{pressure{outer: 2}, 15, 2 * time.Minute},
		{pressure{outer: 19}, 15, 2 * time.Minute}, // all donors of a campaign share it
		{pressure{inner: 2}, 15, 2 * time.Minute},
		{pressure{inner: 4.5}, 16, 3 * time.Minute},
		{pressure{inner: 100}, 20, 3 * time.Minute},
	} {
		if got := s.difficulty(c.p); got != c.bits || s.waitFor(got) != c.wait {
			t.Errorf("%+v: %d bits, %v; want %d, %v", c.p, got, s.waitFor(got), c.bits, c.wait)
		}
	}
}

func TestWithoutChallengesOnlyHardLimitsRefuse(t *testing.T) {
	e := newEnv(t, Limits{Address: Network{Soft: 1, Hard: 3, Interval: time.Minute}})
	e.cfg.Limits.Challenges = false
	for range 3 {
		if err := e.start(attempt("192.0.2.7")); err != nil {
			t.Fatal(err)
		}
	}
	e.wants(e.start(attempt("192.0.2.7")), refused)
}

func TestOff(t *testing.T) {
	s := New(Config{Limits: Limits{Off: true}})
	if err := errors.Join(s.Check(t.Context(), Attempt{}), s.TakeTx(t.Context(), nil, Attempt{}), s.PaidTx(t.Context(), nil, "", "")); err != nil {
		t.Error(err)
	}
}

package wall

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// gate is card ways with a clock of their own.
type gate struct {
	t    *testing.T
	ways *CardWays
	way  CardWay
	mu   sync.Mutex
	time time.Time
}

func newGate(t *testing.T) *gate {
	g := &gate{t: t, way: CardWay{Collective: "vallon", Campaign: "cameras"}, time: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	g.ways = NewCardWays(CardWaysConfig{Pool: pgtest.New(t), Now: func() time.Time {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.time
	}})
	return g
}

func (g *gate) later(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.time = g.time.Add(d)
}

func (g *gate) in(do func(ctx context.Context, tx pgx.Tx) error) error {
	g.t.Helper()
	return postgres.InTx(g.t.Context(), g.ways.cfg.Pool, do)
}

// declines has so many donations declined so often each, and returns the closings that came of it.
func (g *gate) declines(donations, each int) (closings []Closing) {
	g.t.Helper()
	for range donations {
		id := uuid.New()
		for range each {
			if err := g.in(func(ctx context.Context, tx pgx.Tx) error {
				closing, err := g.ways.DeclinedTx(ctx, tx, g.way, id)
				if closing != nil {
					closings = append(closings, *closing)
				}
				return err
			}); err != nil {
				g.t.Fatal(err)
			}
		}
	}
	return closings
}

func (g *gate) paid(donations int) {
	g.t.Helper()
	for range donations {
		if err := g.in(func(ctx context.Context, tx pgx.Tx) error { return g.ways.PaidTx(ctx, tx, g.way, uuid.New()) }); err != nil {
			g.t.Fatal(err)
		}
	}
}

// pages is how many of so many pages are opened.
func (g *gate) pages(wanted int) (opened int) {
	g.t.Helper()
	for range wanted {
		err := g.in(func(ctx context.Context, tx pgx.Tx) error { return g.ways.EnterTx(ctx, tx, g.way) })
		switch {
		case err == nil:
			opened++
		case errs.As(err).Reason != errorsv1.ErrorReason_CARDS_PAUSED || errs.As(err).RetryAfter <= 0:
			g.t.Fatal(err)
		}
	}
	return opened
}

func TestDeclinesCloseTheCardWay(t *testing.T) {
	for _, c := range []struct {
		rule   string
		do     func(g *gate)
		closed bool
	}{
		{"a storm closes it", func(g *gate) { g.declines(10, 8) }, true},
		{"few declines do not", func(g *gate) { g.declines(6, 3) }, false},
		{"many of one donation do not", func(g *gate) { g.declines(1, 100) }, false},
		{"nor many of six donations", func(g *gate) { g.declines(6, 50) }, false},
		{"nor those of a morning on which most pay", func(g *gate) { g.paid(60); g.declines(30, 2) }, false},
		{"many more than payments do", func(g *gate) { g.paid(10); g.declines(30, 2) }, true},
		{"a slow storm closes it too", func(g *gate) {
			for range 30 {
				g.declines(1, 4)
				g.later(3 * time.Minute)
			}
		}, true},
		{"declines over a day do not", func(g *gate) {
			for range 40 {
				g.declines(1, 4)
				g.later(30 * time.Minute)
			}
		}, false},
	} {
		t.Run(c.rule, func(t *testing.T) {
			g := newGate(t)
			c.do(g)
			var closings int
			if err := g.ways.cfg.Pool.QueryRow(t.Context(), "SELECT count(*) FROM wall.closings").Scan(&closings); err != nil || (closings == 1) != c.closed {
				t.Errorf("%d closings, %v", closings, err)
			}
		})
	}
}

func TestACardWayOpensStepByStep(t *testing.T) {
	g := newGate(t)
	if g.pages(40) != 40 {
		t.Error("it is not open at first")
	}
	closings := g.declines(20, 8)
	if len(closings) != 1 || closings[0].Declined != 20 || closings[0].Until.Sub(closings[0].From) != firstClosing {
		t.Fatalf("closings %+v", closings)
	}
	is := func(want bool) {
		t.Helper()
		paused, err := g.ways.Paused(t.Context(), []CardWay{g.way, {Collective: "vallon", Campaign: "other"}})
		if err != nil || paused[g.way] != want || len(paused) > 1 {
			t.Errorf("paused: %v, %v", paused, err)
		}
		if err := g.ways.Check(t.Context(), g.way); (err != nil) != want {
			t.Errorf("checked: %v", err)
		}
	}
	strained := func() (is bool) {
		t.Helper()
		if err := g.in(func(ctx context.Context, tx pgx.Tx) (err error) {
			is, err = g.ways.StrainedTx(ctx, tx, g.way)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return is
	}
	is(true)
	if g.pages(3) != 0 || !strained() {
		t.Error("pages are opened while it is closed")
	}
	if other := (&gate{t: t, ways: g.ways, way: CardWay{Collective: "vallon", Campaign: "other"}}); other.pages(3) != 3 {
		t.Error("another campaign is closed too")
	}
	g.later(firstClosing)
	is(false)
	if opened := g.pages(10); opened != firstPages || !strained() {
		t.Errorf("%d pages are opened at first", opened)
	}
	is(true)
	g.later(firstStep)
	is(false)
	if opened := g.pages(100); opened != allPages-firstPages {
		t.Errorf("%d pages are opened then", opened)
	}
	reopened := func() (closings []Closing) {
		t.Helper()
		if err := g.in(func(ctx context.Context, tx pgx.Tx) (err error) {
			closings, err = g.ways.ReopenedTx(ctx, tx)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return closings
	}
	if len(reopened()) != 0 {
		t.Error("it is told open while it is not")
	}
	g.later(probation - firstStep)
	if g.pages(100) != 100 || strained() {
		t.Error("it is not open in the end")
	}
	if all := reopened(); len(all) != 1 || all[0].CardWay != g.way || len(reopened()) != 0 {
		t.Errorf("told open: %+v", all)
	}
	g.later(forgetLevel + time.Hour)
	if err := g.ways.Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	var rows int
	if err := g.ways.cfg.Pool.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM wall.closings) + (SELECT count(*) FROM wall.card_results)").Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d rows are left, %v", rows, err)
	}
}

func TestAClosingGrowsWhileDeclinesGoOn(t *testing.T) {
	g := newGate(t)
	want := firstClosing
	for range 10 {
		closings := g.declines(8, 3)
		if len(closings) != 1 || closings[0].Until.Sub(closings[0].From) != want {
			t.Fatalf("closings %+v, want one of %v", closings, want)
		}
		if more := g.declines(20, 3); len(more) != 0 {
			t.Errorf("it closes while it is closed: %+v", more)
		}
		g.later(want + time.Minute)
		want = min(2*want, longestClosing)
	}
	g.later(forgetLevel + longestClosing)
	if closings := g.declines(8, 3); len(closings) != 1 || closings[0].Until.Sub(closings[0].From) != firstClosing {
		t.Errorf("after a day: %+v", closings)
	}
}

// Of many declines at once one closes the way.
func TestAClosingIsToldOnce(t *testing.T) {
	g := newGate(t)
	g.declines(6, 3)
	told := make(chan int, 8)
	for range cap(told) {
		go func() {
			n := 0
			_ = postgres.InTx(context.WithoutCancel(t.Context()), g.ways.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
				closing, err := g.ways.DeclinedTx(ctx, tx, g.way, uuid.New())
				if err == nil && closing != nil {
					n = 1
				}
				return err
			})
			told <- n
		}()
	}
	sum := 0
	for range cap(told) {
		sum += <-told
	}
	if more := g.declines(1, 1); sum+len(more) != 1 {
		t.Errorf("told %d times", sum+len(more))
	}
}

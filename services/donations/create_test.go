package donations

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/wall"
)

func TestCreate(t *testing.T) {
	e := newEnv(t)
	in := intent()
	in.ReturnURL = site + "/merci?x=1"
	d := e.create(in)
	if d.State != StateCreated || d.PayableURL(e.clock.Now()) == "" || d.CheckoutSession == "" {
		t.Fatalf("donation = %+v", d)
	}
	session := e.sim.Sessions("")[0]
	if session.AmountMinor != 20_00 || session.ClientReferenceID != d.ID.String() || session.Locale != "fr" ||
		session.IntentMetadata["donation"] != d.ID.String() || len(session.IntentMetadata) != 1 {
		t.Errorf("session = %+v", session)
	}
	if want := "https://cagnotte.example/c/vallon/avocate/donations/" + d.ID.String() + "?lang=fr"; session.SuccessURL != want || session.CancelURL != want {
		t.Errorf("leads to %q and %q, want %q", session.SuccessURL, session.CancelURL, want)
	}
	t.Run("the same again is the same donation and one session", func(t *testing.T) {
		again := e.create(in)
		if again.ID != d.ID || again.CheckoutSession != d.CheckoutSession || again.checkoutURL != d.checkoutURL {
			t.Errorf("again = %+v", again)
		}
		if n := len(e.sim.Sessions("")); n != 1 || e.count() != 1 {
			t.Errorf("%d sessions, %d donations", n, e.count())
		}
	})
	t.Run("another body under the same request id is refused", func(t *testing.T) {
		for _, change := range []func(*Intent){
			func(in *Intent) { in.Amount.Minor++ },
			func(in *Intent) { in.Locale = "en" },
			func(in *Intent) { in.ReturnURL = "" },
		} {
			other := in
			change(&other)
			_, err := e.donations.Create(t.Context(), other)
			wantReason(t, err, errorsv1.ErrorReason_REQUEST_ID_REUSED)
		}
	})
	t.Run("the same request id elsewhere is another donation", func(t *testing.T) {
		other := campaigns.Name{Collective: "vallon", Campaign: "second"}
		if _, err := e.campaigns.Create(t.Context(), other, campaigns.Content{
			Texts: map[string]campaigns.Text{"fr": {Title: "Autre"}}, Currency: money.EUR,
			Goal: money.Amount{Minor: 800_00, Currency: money.EUR}, AllowedOrigins: []string{site},
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := e.campaigns.Publish(t.Context(), other, ""); err != nil {
			t.Fatal(err)
		}
		second := intent()
		second.RequestID, second.Campaign = in.RequestID, other
		if e.create(second).ID == d.ID {
			t.Error("one donation for two campaigns")
		}
	})
	t.Run("the collective's account is fixed from now on", func(t *testing.T) {
		tx, err := e.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(context.Background())
		if _, err := tx.Exec(t.Context(), "UPDATE collectives.collectives SET stripe_account = 'acct_1' WHERE id = 'vallon'"); err == nil {
			t.Error("it can still be changed")
		}
	})
}

func TestRefusals(t *testing.T) {
	e := newEnv(t)
	for name, c := range map[string]struct {
		change func(*Intent)
		reason errorsv1.ErrorReason
	}{
		"too small":                    {func(in *Intent) { in.Amount.Minor = 99 }, errorsv1.ErrorReason_AMOUNT_TOO_SMALL},
		"negative":                     {func(in *Intent) { in.Amount.Minor = -20_00 }, errorsv1.ErrorReason_AMOUNT_TOO_SMALL},
		"too large":                    {func(in *Intent) { in.Amount.Minor = 500_01 }, errorsv1.ErrorReason_AMOUNT_TOO_LARGE},
		"another currency":             {func(in *Intent) { in.Amount.Currency = "USD" }, errorsv1.ErrorReason_CURRENCY_MISMATCH},
		"somebody else's page":         {func(in *Intent) { in.Origin = "https://evil.example" }, errorsv1.ErrorReason_ORIGIN_NOT_ALLOWED},
		"a sandboxed page":             {func(in *Intent) { in.Origin = "null" }, errorsv1.ErrorReason_ORIGIN_NOT_ALLOWED},
		"back to somebody else":        {func(in *Intent) { in.ReturnURL = "https://evil.example/" }, errorsv1.ErrorReason_RETURN_URL_NOT_ALLOWED},
		"back to a look-alike":         {func(in *Intent) { in.ReturnURL = "https://vallon.example@evil.example/" }, errorsv1.ErrorReason_RETURN_URL_NOT_ALLOWED},
		"back behind a backslash":      {func(in *Intent) { in.ReturnURL = `https://evil.example\@vallon.example/` }, errorsv1.ErrorReason_RETURN_URL_NOT_ALLOWED},
		"back in the clear":            {func(in *Intent) { in.ReturnURL = "http://vallon.example/" }, errorsv1.ErrorReason_RETURN_URL_NOT_ALLOWED},
		"back to a script":             {func(in *Intent) { in.ReturnURL = "javascript:alert(1)" }, errorsv1.ErrorReason_RETURN_URL_NOT_ALLOWED},
		"back without a host":          {func(in *Intent) { in.ReturnURL = "//vallon.example/" }, errorsv1.ErrorReason_RETURN_URL_NOT_ALLOWED},
		"a campaign that is not there": {func(in *Intent) { in.Campaign.Campaign = "absent" }, errorsv1.ErrorReason_NOT_FOUND},
	} {
		t.Run(name, func(t *testing.T) {
			in := intent()
			c.change(&in)
			_, err := e.donations.Create(t.Context(), in)
			wantReason(t, err, c.reason)
		})
	}
	for name, change := range map[string]func(*Intent){
		"our own page may ask":             func(in *Intent) { in.Origin = "https://cagnotte.example" },
		"no browser asks":                  func(in *Intent) { in.Origin = "" },
		"back to our own page":             func(in *Intent) { in.ReturnURL = "https://cagnotte.example/c/x" },
		"back to a page, port spelled out": func(in *Intent) { in.ReturnURL = "https://VALLON.example:443/merci" },
	} {
		t.Run(name, func(t *testing.T) {
			in := intent()
			change(&in)
			e.create(in)
		})
	}
	t.Run("a paused campaign, which still answers what was started", func(t *testing.T) {
		in := intent()
		before := e.create(in)
		if _, err := e.campaigns.Pause(t.Context(), vallon); err != nil {
			t.Fatal(err)
		}
		_, err := e.donations.Create(t.Context(), intent())
		wantReason(t, err, errorsv1.ErrorReason_CAMPAIGN_NOT_OPEN)
		if e.create(in).ID != before.ID {
			t.Error("another donation")
		}
	})
}

func TestConcurrentEqualRequests(t *testing.T) {
	e := newEnv(t)
	// Slow enough that all of them are under way at once.
	e.sim.AddFault(stripesim.Fault{Method: "POST", Delay: 300 * time.Millisecond})
	in := intent()
	answers := make([]Donation, 6)
	var running sync.WaitGroup
	for i := range answers {
		running.Go(func() {
			var err error
			if answers[i], err = e.patiently(in); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	for _, d := range answers {
		if d.ID != answers[0].ID || d.CheckoutSession == "" || d.CheckoutSession != answers[0].CheckoutSession {
			t.Errorf("donation %v has session %q, the first %v has %q", d.ID, d.CheckoutSession, answers[0].ID, answers[0].CheckoutSession)
		}
	}
	if n := len(e.sim.Sessions("")); n != 1 || e.count() != 1 {
		t.Errorf("%d sessions, %d donations", n, e.count())
	}
}

// Whatever Stripe does, the same request continues the same donation, and the donor gets one payment page.
func TestStripeUnavailable(t *testing.T) {
	for name, fault := range map[string]stripesim.Fault{
		"down":                          {Status: 503},
		"failing, and remembering that": {Status: 500},
		"too busy":                      {Status: 429},
		"slow":                          {Delay: 1500 * time.Millisecond},
		"the connection breaks":         {Reset: true},
		"the answer is lost":            {LoseReply: true},
		"a lock at Stripe":              {Status: 429, Code: "lock_timeout", Headers: map[string]string{"Stripe-Should-Retry": "true"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			fault.Method, fault.PathPrefix = "POST", "/v1/checkout/sessions"
			e.sim.AddFault(fault)
			in := intent()
			start := time.Now()
			_, err := e.donations.Create(t.Context(), in)
			if got := wantReason(t, err, errorsv1.ErrorReason_STRIPE_UNAVAILABLE); got.RetryAfter <= 0 {
				t.Error("no hint when to try again")
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
			e.sim.ClearFaults()
			e.clock.Advance(firstRetry)
			d := e.create(in)
			if d.PayableURL(e.clock.Now()) == "" || e.count() != 1 {
				t.Errorf("donation = %+v, %d donations", d, e.count())
			}
			if n := len(e.sim.Sessions("")); n != 1 {
				t.Errorf("%d sessions", n)
			}
			oneBodyPerKey(t, e)
		})
	}
	t.Run("refused for good: internal, and not repeated under the same key", func(t *testing.T) {
		e := newEnv(t)
		e.sim.AddFault(stripesim.Fault{Method: "POST", Status: 403})
		in := intent()
		_, err := e.donations.Create(t.Context(), in)
		wantReason(t, err, errorsv1.ErrorReason_INTERNAL)
		e.sim.ClearFaults()
		e.clock.Advance(firstRetry)
		e.create(in)
		oneBodyPerKey(t, e)
	})
}

func oneBodyPerKey(t *testing.T, e *env) {
	t.Helper()
	bodies := map[string]string{}
	for _, r := range e.sim.Requests() {
		if r.Method != "POST" {
			continue
		}
		if before, seen := bodies[r.IdempotencyKey]; r.IdempotencyKey == "" || (seen && before != string(r.Body)) {
			t.Errorf("key %q has two bodies, or none was sent", r.IdempotencyKey)
		}
		bodies[r.IdempotencyKey] = string(r.Body)
	}
}

func TestTheTitleChangesBeforeTheRetry(t *testing.T) {
	e := newEnv(t)
	e.sim.AddFault(stripesim.Fault{Method: "POST", LoseReply: true})
	in := intent()
	_, err := e.donations.Create(t.Context(), in)
	wantReason(t, err, errorsv1.ErrorReason_STRIPE_UNAVAILABLE)
	e.sim.ClearFaults()
	e.clock.Advance(firstRetry)
	if _, err := e.campaigns.Update(t.Context(), vallon, "", func(c *campaigns.Content) error {
		c.Texts["fr"] = campaigns.Text{Title: "Un autre titre"}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	e.create(in)
	oneBodyPerKey(t, e)
}

func TestARetryHoursLater(t *testing.T) {
	e := newEnv(t)
	e.sim.AddFault(stripesim.Fault{Method: "POST", Reset: true})
	in := intent()
	_, err := e.donations.Create(t.Context(), in)
	wantReason(t, err, errorsv1.ErrorReason_STRIPE_UNAVAILABLE)
	e.sim.ClearFaults()
	e.clock.Advance(firstRetry)
	// The stored end of the session is too near for Stripe by now.
	e.clock.Advance(sessionLife - minSessionLeft + time.Second)
	d := e.create(in)
	if left := d.ExpireTime.Sub(e.clock.Now()); left < minSessionLeft {
		t.Errorf("the page closes in %v", left)
	}
	oneBodyPerKey(t, e)
	t.Run("and once the page has closed there is none to pay on", func(t *testing.T) {
		e.clock.Advance(sessionLife + time.Second)
		if url := e.create(in).PayableURL(e.clock.Now()); url != "" {
			t.Errorf("payable at %q", url)
		}
	})
}

func TestACallerWhoLeaves(t *testing.T) {
	e := newEnv(t)
	e.sim.AddFault(stripesim.Fault{Method: "POST", Delay: 200 * time.Millisecond})
	ctx, leave := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer leave()
	in := intent()
	if _, err := e.donations.Create(ctx, in); err == nil {
		t.Fatal("no error")
	}
	e.sim.ClearFaults()
	e.clock.Advance(firstRetry)
	e.create(in)
	if n := len(e.sim.Sessions("")); n != 1 || e.count() != 1 {
		t.Errorf("%d sessions, %d donations", n, e.count())
	}
}

func TestLimit(t *testing.T) {
	limit := wall.Network{Soft: 3, Hard: 3, Interval: 30 * time.Second}
	e := newEnv(t, wall.Limits{Near: limit})
	e.clock.Set(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	e.clock.Freeze()
	in := intent()
	e.create(in)
	e.create(intent())
	e.create(intent())
	_, err := e.donations.Create(t.Context(), intent())
	if got := wantReason(t, err, errorsv1.ErrorReason_TOO_MANY_DONATIONS); got.RetryAfter != 30*time.Second {
		t.Errorf("wait %v, want 30s", got.RetryAfter)
	}
	if e.count() != 3 {
		t.Errorf("%d donations: a refused one must not stay", e.count())
	}
	t.Run("does not count repeats", func(t *testing.T) { e.create(in) })
	t.Run("is each network's own", func(t *testing.T) {
		other := intent()
		other.Address = netip.MustParseAddr("2001:db8::1")
		e.create(other)
	})
	t.Run("gives one back after each interval", func(t *testing.T) {
		e.clock.Advance(limit.Interval)
		e.create(intent())
		_, err := e.donations.Create(t.Context(), intent())
		wantReason(t, err, errorsv1.ErrorReason_TOO_MANY_DONATIONS)
	})
	t.Run("holds for callers from nowhere together", func(t *testing.T) {
		nowhere := intent()
		nowhere.Address = netip.Addr{}
		for range limit.Soft {
			nowhere.RequestID = uuid.New()
			e.create(nowhere)
		}
		nowhere.RequestID = uuid.New()
		_, err := e.donations.Create(t.Context(), nowhere)
		wantReason(t, err, errorsv1.ErrorReason_TOO_MANY_DONATIONS)
	})
	t.Run("stores no address, and forgets", func(t *testing.T) {
		var rows string
		const all = "SELECT coalesce(string_agg(l::text, ' '), '') FROM wall.limits AS l"
		if err := e.pool.QueryRow(t.Context(), all).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		if rows == "" || strings.Contains(rows, "192.0.2") || strings.Contains(rows, "2001:db8") {
			t.Errorf("limits: %s", rows)
		}
		e.clock.Advance(time.Hour)
		if err := e.donations.cfg.Wall.Forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := e.pool.QueryRow(t.Context(), all).Scan(&rows); err != nil || rows != "" {
			t.Errorf("left: %q, %v", rows, err)
		}
	})
}

// Other programs allowed 18,000 attempts with stolen cards from one address.
func TestAStormFromOneNetwork(t *testing.T) {
	e := newEnv(t, wall.Limits{Near: wall.Network{Soft: 5, Hard: 5, Interval: time.Hour}})
	var mu sync.Mutex
	var let, refused int
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for range 10 {
				_, err := e.donations.Create(t.Context(), intent())
				mu.Lock()
				if err == nil {
					let++
				} else {
					refused++
				}
				mu.Unlock()
			}
		})
	}
	running.Wait()
	if let != 5 || refused != 75 || len(e.sim.Sessions("")) != 5 {
		t.Errorf("%d let through, %d refused, %d sessions", let, refused, len(e.sim.Sessions("")))
	}
}

// https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts: eight digits, also with the fee.
func TestAnAmountWithFeeTooLargeForStripe(t *testing.T) {
	e := newEnv(t)
	e.donations.cfg.Campaigns = campaigns.New(campaigns.Config{Pool: e.pool, FeeEstimate: campaigns.DefaultFeeEstimate})
	in := intent()
	in.CoverFee, in.Amount.Minor = true, maxWholeMinor
	_, _, err := e.donations.whole(in)
	wantReason(t, err, errorsv1.ErrorReason_AMOUNT_TOO_LARGE)
	in.Amount.Minor = maxWholeMinor / 2
	whole, cover, err := e.donations.whole(in)
	if err != nil || whole.Minor > maxWholeMinor || whole.Minor-cover.Minor != in.Amount.Minor || whole.Currency != money.EUR {
		t.Errorf("%v, of it %v: %v", whole, cover, err)
	}
}

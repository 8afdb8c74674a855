package donations

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/money"
)

var allRecurringStates = []RecurringState{
	RecurringCreated, RecurringActive, RecurringPastDue, RecurringCanceled, RecurringExpired,
}

// Go and the database have the same table of steps.
func TestTheDatabaseKnowsTheSameStepsOfMonthlyDonations(t *testing.T) {
	e := newEnv(t)
	donation := e.create(intent()) // whose id no monthly donation has yet
	ended := map[bool]string{true: "now()", false: "NULL"}
	for _, from := range allRecurringStates {
		for _, to := range allRecurringStates {
			tx, err := e.pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = tx.Exec(t.Context(), fmt.Sprintf(`
				INSERT INTO donations.recurring (id, collective, campaign, amount_minor, currency, locale, stripe_account, livemode, state,
					subscription_id, ended_at, created_at, updated_at)
				SELECT id, collective, campaign, amount_minor, currency, locale, stripe_account, livemode, '%s', 'sub_1', %s, now(), now()
				FROM donations.donations WHERE id = '%s'`, from, ended[from == RecurringCanceled], donation.ID))
			if err == nil {
				_, err = tx.Exec(t.Context(), fmt.Sprintf("UPDATE donations.recurring SET state = '%s', ended_at = %s WHERE subscription_id = 'sub_1'",
					to, ended[to == RecurringCanceled]))
			}
			if rollback := tx.Rollback(t.Context()); rollback != nil {
				t.Fatal(rollback)
			}
			want := from.CanBecome(to) || from == to
			if (err == nil) != want || (!want && !postgres.Constraint(err, "recurring_state_forward")) {
				t.Errorf("%s to %s: Go allows it: %v, the database says %v", from, to, want, err)
			}
		}
	}
}

func TestEveryStateOfMonthlyDonationsIsInTheContract(t *testing.T) {
	for _, s := range allRecurringStates {
		if recurringStates[s] == 0 {
			t.Errorf("%s is told to nobody", s)
		}
	}
	for _, r := range []EndReason{EndedByDonor, EndedByCollective, EndedByCampaign, EndedByFailure, EndedAtStripe} {
		if endReasons[r] == 0 {
			t.Errorf("%s is told to nobody", r)
		}
	}
}

// monthly starts a monthly donation of 20 €.
func (e *env) monthly() Donation {
	e.t.Helper()
	in := intent()
	in.Monthly = true
	return e.create(in)
}

// paidMonthly is one whose first month is paid and known, with its subscription's id.
func (e *env) paidMonthly() (first Donation, subscription string) {
	e.t.Helper()
	first = e.monthly()
	if err := e.sim.Pay(first.CheckoutSession, stripesim.CardOK); err != nil {
		e.t.Fatal(err)
	}
	if err := e.donations.Refresh(e.t.Context(), first.ID); err != nil {
		e.t.Fatal(err)
	}
	e.refreshRecurring(first)
	subs := e.sim.Subscriptions("")
	return first, subs[len(subs)-1].ID
}

func (e *env) refreshRecurring(first Donation) {
	e.t.Helper()
	if err := e.donations.RefreshRecurring(e.t.Context(), first.ID); err != nil {
		e.t.Fatal(err)
	}
}

func (e *env) recurring(first Donation) Recurring {
	e.t.Helper()
	r, err := e.donations.GetRecurring(e.t.Context(), first.Campaign, first.ID)
	if err != nil {
		e.t.Fatal(err)
	}
	return r
}

func (e *env) keep() {
	e.t.Helper()
	if err := e.donations.KeepRecurring(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
}

func TestAPaidInvoiceIsOneDonation(t *testing.T) {
	e := newEnv(t)
	first, subscription := e.paidMonthly()
	r := e.recurring(first)
	invoice := func(id string) stripe.Invoice {
		return stripe.Invoice{
			ID: id, Subscription: subscription, Customer: r.Customer, Recurring: first.ID, Paid: true,
			Amount: money.Amount{Minor: 20_00, Currency: money.EUR}, PaymentIntent: "pi_" + id, PaidAt: e.clock.Now(),
		}
	}
	apply := func(account string, inv stripe.Invoice) bool {
		t.Helper()
		ours, err := e.donations.ApplyInvoice(t.Context(), account, inv)
		if err != nil {
			t.Fatal(err)
		}
		return ours
	}
	t.Run("however often it is applied, and at once", func(t *testing.T) {
		before := e.count()
		errs := make(chan error, 8)
		for range cap(errs) {
			go func() {
				_, err := e.donations.ApplyInvoice(t.Context(), "", invoice("in_twice"))
				errs <- err
			}()
		}
		for range cap(errs) {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if n := e.count() - before; n != 1 {
			t.Errorf("%d donations, want 1", n)
		}
	})
	before := e.count()
	for what, change := range map[string]func(*stripe.Invoice){
		"one that is not paid through Stripe":      func(inv *stripe.Invoice) { inv.Paid = false },
		"one of the other livemode":                func(inv *stripe.Invoice) { inv.Livemode = true },
		"one of another product's subscription":    func(inv *stripe.Invoice) { inv.Recurring, inv.Subscription = uuid.Nil, "sub_other" },
		"one of a donation that is no monthly one": func(inv *stripe.Invoice) { inv.Recurring, inv.Subscription = e.create(intent()).ID, "sub_other" },
		"one whose metadata names nothing of ours": func(inv *stripe.Invoice) { inv.Recurring, inv.Subscription = uuid.New(), "sub_other" },
	} {
		t.Run("not "+what, func(t *testing.T) {
			inv := invoice("in_other")
			change(&inv)
			before := e.count()
			if ours := apply("", inv); ours == inv.Paid || e.count() != before {
				t.Errorf("ours: %v, and %d donations more", ours, e.count()-before)
			}
		})
	}
	if apply("acct_other", invoice("in_other")) {
		t.Error("another account's invoice is taken for ours")
	}
	if n := e.count() - before; n != 1 { // the single donation of above
		t.Errorf("%d donations more", n)
	}
	t.Run("found by its subscription when its metadata is gone", func(t *testing.T) {
		inv := invoice("in_bare")
		inv.Recurring = uuid.Nil
		before := e.count()
		if !apply("", inv) || e.count() != before+1 {
			t.Error("it is not found")
		}
	})
}

// Metadata can be written by whoever may use the account: a subscription is a monthly donation's when its first month's
// session made it.
func TestASubscriptionThatOnlyNamesAMonthlyDonation(t *testing.T) {
	e := newEnv(t)
	first, _ := e.paidMonthly()
	before := e.recurring(first)
	t.Run("changes nothing of one that has its own", func(t *testing.T) {
		ours, err := e.donations.applySubscription(t.Context(), "", stripe.Subscription{
			ID: "sub_second", Status: stripe.SubscriptionCanceled, Recurring: first.ID, Amount: before.Amount,
		}, before.version)
		if err != nil || ours || e.recurring(first) != before {
			t.Errorf("ours: %v, %v: %+v", ours, err, e.recurring(first))
		}
	})
	invoice := stripe.Invoice{
		ID: "in_forged", Subscription: "sub_forged", Paid: true, First: true, Amount: first.Amount, PaymentIntent: "pi_forged", PaidAt: e.clock.Now(),
	}
	for rule, recurring := range map[string]Donation{"pays no month of one that has its own": first, "nor of one that nobody paid": e.monthly()} {
		t.Run(rule, func(t *testing.T) {
			invoice.Recurring = recurring.ID
			count, was := e.count(), e.reload(recurring)
			if ours, err := e.donations.ApplyInvoice(t.Context(), "", invoice); ours || (err != nil) != (recurring.ID != first.ID) {
				t.Errorf("ours: %v, %v", ours, err)
			}
			if now := e.reload(recurring); e.count() != count || now.State != was.State || now.PaymentIntent != was.PaymentIntent {
				t.Errorf("%d donations more: %+v", e.count()-count, now)
			}
		})
	}
	t.Run("and is told of once that one's page has closed", func(t *testing.T) {
		started := e.monthly()
		invoice.Recurring = started.ID
		_, err := e.donations.ApplyInvoice(t.Context(), "", invoice)
		wantReason(t, err, errorsv1.ErrorReason_SESSION_OPEN)
		if err := e.sim.Expire(started.CheckoutSession); err != nil {
			t.Fatal(err)
		}
		if ours, err := e.donations.ApplyInvoice(t.Context(), "", invoice); ours || err != nil {
			t.Errorf("ours: %v, %v", ours, err)
		}
	})
}

func TestMonthlyDonationsOfACampaignWhoseDeadlinePassedEnd(t *testing.T) {
	e := newEnv(t)
	active, subscription := e.paidMonthly()
	due, dueSubscription := e.paidMonthly()
	if err := e.sim.SetCard(dueSubscription, stripesim.CardDeclined); err != nil {
		t.Fatal(err)
	}
	e.clock.Set(e.recurring(due).PeriodEnd.Add(2 * time.Hour))
	e.refreshRecurring(active)
	e.refreshRecurring(due)
	e.keep()
	if e.recurring(active).CancelAtPeriodEnd {
		t.Error("it ends before the deadline")
	}
	if _, err := e.pool.Exec(t.Context(), "UPDATE campaigns.campaigns SET deadline = $1", e.clock.Now().Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	e.keep()
	e.keep()
	if r := e.recurring(active); !r.CancelAtPeriodEnd || r.State != RecurringActive || r.EndReason != EndedByCampaign || r.Pending() {
		t.Errorf("what is paid for ends with its month: %+v", r)
	}
	if r := e.recurring(due); r.State != RecurringCanceled || r.EndReason != EndedByCampaign {
		t.Errorf("a month that is not paid is not waited for: %+v", r)
	}
	changes := 0
	for _, r := range e.sim.Requests() {
		if r.Method == "POST" && strings.HasPrefix(r.Path, "/v1/subscriptions/"+subscription) {
			changes++
		}
	}
	if changes != 1 {
		t.Errorf("Stripe was told %d times", changes)
	}
}

func TestAPendingChangeSurvivesFailures(t *testing.T) {
	e := newEnv(t)
	first, subscription := e.paidMonthly()
	e.sim.AddFault(stripesim.Fault{Method: "POST", PathPrefix: "/v1/subscriptions/", Times: 1, Status: 500})
	e.sim.AddFault(stripesim.Fault{Method: "POST", PathPrefix: "/v1/subscriptions/", Times: 1, LoseReply: true})
	r, err := e.donations.ChangeRecurring(t.Context(), vallon, first.ID, money.Amount{Minor: 30_00, Currency: money.EUR}, Visit{})
	if err != nil || !r.Pending() || r.Amount.Minor != 30_00 {
		t.Fatalf("%+v, %v", r, err)
	}
	for range 2 {
		e.clock.Advance(time.Minute)
		e.keep()
	}
	if r := e.recurring(first); r.Pending() || r.Amount.Minor != 30_00 {
		t.Errorf("%+v", r)
	}
	bodies := map[string]string{}
	for _, r := range e.sim.Requests() {
		if r.Method != "POST" || !strings.HasPrefix(r.Path, "/v1/subscriptions/"+subscription) {
			continue
		}
		if body, known := bodies[r.IdempotencyKey]; known && body != string(r.Body) {
			t.Errorf("%s has two bodies", r.IdempotencyKey)
		}
		bodies[r.IdempotencyKey] = string(r.Body)
	}
	if len(bodies) != 2 {
		t.Errorf("%d keys: a failure that Stripe remembers is left behind by another, and a lost answer is not", len(bodies))
	}
}

func TestAMonthlyDonationThatNobodyPaidExpires(t *testing.T) {
	e := newEnv(t)
	first := e.monthly()
	e.clock.Advance(3 * time.Hour)
	if err := e.donations.Refresh(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	e.keep()
	if r := e.recurring(first); r.State != RecurringExpired {
		t.Errorf("it is %s", r.State)
	}
}

func TestLinksAreLimited(t *testing.T) {
	e := newEnv(t)
	err := e.donations.RequestLink(t.Context(), vallon, uuid.New(), network)
	wantReason(t, err, errorsv1.ErrorReason_MAIL_NOT_CONFIGURED)

	first, _ := e.paidMonthly()
	e.donations.cfg.Mail = e.sender()
	jobs := func() (n int) {
		if err := e.pool.QueryRow(t.Context(), "SELECT count(*) FROM river.river_job WHERE kind = 'donations_manage_link'").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i := range 5 {
		from := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 32)
		if err := e.donations.RequestLink(t.Context(), vallon, first.ID, from); err != nil {
			t.Fatal(err)
		}
	}
	if n := jobs(); n != donationLinkLimit.Burst {
		t.Errorf("%d mails to one donor, want %d", n, donationLinkLimit.Burst)
	}
	for range linkLimit.Burst {
		if err := e.donations.RequestLink(t.Context(), vallon, uuid.New(), network); err != nil {
			t.Fatal(err)
		}
	}
	limited := wantReason(t, e.donations.RequestLink(t.Context(), vallon, uuid.New(), network), errorsv1.ErrorReason_TOO_MANY_LINKS)
	if limited.RetryAfter <= 0 {
		t.Error("it does not say how long to wait")
	}
}

// TestALinkOpensItsOwnDonationAlone tries a link on other names, and many at once.
func TestALinkOpensItsOwnDonationAlone(t *testing.T) {
	e := newEnv(t)
	first, _ := e.paidMonthly()
	var token string
	err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) (err error) {
		token, err = e.donations.newTokenTx(ctx, tx, first.ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := vallon
	elsewhere.Campaign = "another"
	_, err = e.donations.RedeemLink(t.Context(), elsewhere, first.ID, token)
	wantReason(t, err, errorsv1.ErrorReason_LINK_INVALID)
	_, err = e.donations.RedeemLink(t.Context(), vallon, uuid.New(), token)
	wantReason(t, err, errorsv1.ErrorReason_LINK_INVALID)

	// All at once, and again later: its time begins once.
	var asking sync.WaitGroup
	until := make([]time.Time, 8)
	for i := range until {
		asking.Go(func() {
			if o, err := e.donations.RedeemLink(t.Context(), vallon, first.ID, token); err == nil {
				until[i] = o.ExpireTime
			}
		})
	}
	asking.Wait()
	for _, end := range until {
		if end.IsZero() || !end.Equal(until[0]) {
			t.Fatalf("an open link is over at %v", until)
		}
	}
	var stored int
	if err := e.pool.QueryRow(t.Context(), "SELECT count(*) FROM donations.manage_tokens AS t WHERE strpos(t::text, $1) > 0",
		token).Scan(&stored); err != nil || stored != 0 {
		t.Errorf("%d tokens are stored as they are, %v", stored, err)
	}

	t.Run("and its page asks Stripe now and then", func(t *testing.T) {
		before := len(e.sim.Requests())
		ask := func() error {
			_, err := NewRecurringServer(e.donations).CreatePortalSession(t.Context(), &recurringv1.CreatePortalSessionRequest{
				Name: e.recurring(first).Name(), ManageToken: token,
			})
			return err
		}
		for range pageLimit.Burst {
			if err := ask(); err != nil {
				t.Fatal(err)
			}
		}
		if limited := wantReason(t, ask(), errorsv1.ErrorReason_TOO_MANY_CHANGES); limited.RetryAfter <= 0 {
			t.Error("it does not say how long to wait")
		}
		if n := len(e.sim.Requests()) - before; n > pageLimit.Burst+1 {
			t.Errorf("Stripe was called %d times", n)
		}
	})
}

// sender has a server that nobody calls.
func (e *env) sender() *mail.Sender {
	e.t.Helper()
	s, err := mail.New(mail.Config{URL: "smtp://127.0.0.1:1?from=dons@example.org"})
	if err != nil {
		e.t.Fatal(err)
	}
	return s
}

// Two amounts that were sent to Stripe at once could arrive in the other order.
func TestTheLastAmountIsTheOneAtStripe(t *testing.T) {
	e := newEnv(t)
	first, _ := e.paidMonthly()
	want := func(minor int64) Recurring {
		t.Helper()
		r, err := e.donations.ChangeRecurring(t.Context(), vallon, first.ID, money.Amount{Minor: minor, Currency: money.EUR}, Visit{})
		if err != nil || r.Amount.Minor != minor {
			t.Fatalf("%+v, %v", r, err)
		}
		return r
	}
	for _, last := range []int64{20_00, 25_00} { // also the one that Stripe has before
		e.sim.AddFault(stripesim.Fault{Method: "POST", PathPrefix: "/v1/subscriptions/", Times: 1, Status: http.StatusServiceUnavailable})
		if r := want(30_00); !r.Pending() {
			t.Fatalf("%+v", r)
		}
		// Somebody takes it to Stripe, and is there when the donor wants something else.
		e.clock.Advance(time.Minute)
		now := e.donations.now()
		r, err := oneRecurring(e.pool.Query(t.Context(), claimChangeSQL, pgx.NamedArgs{"id": first.ID, "now": now, "claimed_until": now.Add(changeClaim)}))
		if err != nil {
			t.Fatal(err)
		}
		if r := want(last); !r.Pending() {
			t.Errorf("%d goes to Stripe beside another", last)
		}
		if _, err := e.donations.changeAtStripe(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if err := e.donations.settleChange(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		e.clock.Advance(changeClaim)
		e.keep()
		if r := e.recurring(first); r.Pending() || r.Amount.Minor != last || e.sim.Subscriptions("")[0].AmountMinor != last {
			t.Errorf("%+v, and at Stripe %+v; want %d", r, e.sim.Subscriptions("")[0], last)
		}
	}
}

// Members can set a quantity in Stripe's dashboard. The donor's amount is the total all the same.
func TestAChangedAmountIsTheTotal(t *testing.T) {
	e := newEnv(t)
	first, subscription := e.paidMonthly()
	sub, err := e.donations.cfg.Stripe.GetSubscription(t.Context(), "", subscription)
	if err != nil {
		t.Fatal(err)
	}
	twice := url.Values{"items[0][id]": {sub.Item}, "items[0][quantity]": {"2"}, "proration_behavior": {"none"}}
	request := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/subscriptions/"+subscription, strings.NewReader(twice.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Authorization", "Bearer sk_test_simulated")
	answer := httptest.NewRecorder()
	e.sim.Handler().ServeHTTP(answer, request)
	e.refreshRecurring(first)
	if r := e.recurring(first); r.Amount.Minor != 40_00 {
		t.Fatalf("%+v, and at Stripe %s", r, answer.Body)
	}
	r, err := e.donations.ChangeRecurring(t.Context(), vallon, first.ID, money.Amount{Minor: 10_00, Currency: money.EUR}, Visit{})
	if err != nil || r.Amount.Minor != 10_00 || e.sim.Subscriptions("")[0].AmountMinor != 10_00 {
		t.Errorf("%+v, %v, and at Stripe %+v", r, err, e.sim.Subscriptions("")[0])
	}
}

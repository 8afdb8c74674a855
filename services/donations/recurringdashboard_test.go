package donations

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/wall"
)

func (e *env) must(errs ...error) {
	e.t.Helper()
	for _, err := range errs {
		if err != nil {
			e.t.Fatal(err)
		}
	}
}

// Members can have a subscription end on any day, in Stripe's dashboard.
func TestAnEndOnADayIsShownAndStays(t *testing.T) {
	e := newEnv(t)
	first, subscription := e.paidMonthly()
	r := e.recurring(first)
	end := r.PeriodEnd
	if !r.NextDebit.Equal(end) || !r.CancelTime.IsZero() {
		t.Fatalf("as it is: %+v", r)
	}
	second := end.AddDate(0, 1, 0)
	for _, c := range []struct {
		rule             string
		at, next         time.Time
		reason           EndReason
		noMonth, amounts bool
	}{
		{"before the period is over: no other month is taken", end.Add(-aWeek).Truncate(time.Second), time.Time{}, EndedAtStripe, true, false},
		{"with the period", end, time.Time{}, EndedAtStripe, true, false},
		{"in the next period: one more month is taken", end.Add(aWeek).Truncate(time.Second), end, EndedAtStripe, false, true},
		{"taken back: it goes on", time.Time{}, end, "", false, true},
	} {
		e.must(e.sim.CancelAt(subscription, c.at))
		for range 2 {
			e.refreshRecurring(first)
		}
		r := e.recurring(first)
		if !r.CancelTime.Equal(c.at) || !r.NextDebit.Equal(c.next) || r.EndReason != c.reason || r.CancelAtPeriodEnd != c.noMonth || r.State != RecurringActive {
			t.Errorf("%s: %+v", c.rule, r)
		}
		_, err := e.donations.ChangeRecurring(t.Context(), vallon, first.ID, money.Amount{Minor: 25_00 + int64(c.at.Day()), Currency: money.EUR}, Visit{})
		if c.amounts != (err == nil) {
			t.Errorf("%s: another amount: %v", c.rule, err)
		}
		if sub := e.sim.Subscriptions("")[0]; !sub.CancelAt.Equal(c.at) {
			t.Errorf("%s: at Stripe it ends %v", c.rule, sub.CancelAt)
		}
	}

	e.must(e.sim.CancelAt(subscription, second.Add(-aWeek)))
	e.refreshRecurring(first)
	t.Run("a member's end with the month comes first", func(t *testing.T) {
		for range 2 {
			r, err := e.donations.EndRecurring(t.Context(), vallon, first.ID, true, EndedByCollective)
			if err != nil || r.Pending() || !r.CancelTime.Equal(end) || !r.NextDebit.IsZero() || r.EndReason != EndedByCollective {
				t.Fatalf("%+v, %v", r, err)
			}
		}
	})
	t.Run("and puts no earlier day off", func(t *testing.T) {
		e.must(e.sim.CancelAt(subscription, time.Time{}))
		e.refreshRecurring(first)
		earlier := end.Add(-aWeek).Truncate(time.Second)
		e.must(e.sim.CancelAt(subscription, earlier)) // which nobody has read yet
		r, err := e.donations.EndRecurring(t.Context(), vallon, first.ID, true, EndedByCollective)
		if err != nil || !e.sim.Subscriptions("")[0].CancelAt.Equal(earlier) {
			t.Errorf("%+v, %v, and at Stripe %+v", r, err, e.sim.Subscriptions("")[0])
		}
	})
	t.Run("its day comes, and is read without an event", func(t *testing.T) {
		e.clock.Set(end.Add(-aWeek).Add(renewalSlack + time.Minute))
		e.keep()
		if r := e.recurring(first); r.State != RecurringCanceled || !r.NextDebit.IsZero() {
			t.Errorf("%+v", r)
		}
	})
}

// A campaign that closes ends what would go on after the month that is paid for, whatever day members chose.
func TestAClosedCampaignEndsBeforeALaterDay(t *testing.T) {
	e := newEnv(t)
	first, subscription := e.paidMonthly()
	end := e.recurring(first).PeriodEnd
	e.must(e.sim.CancelAt(subscription, end.AddDate(0, 3, 0)))
	e.refreshRecurring(first)
	if _, err := e.campaigns.Close(t.Context(), vallon); err != nil {
		t.Fatal(err)
	}
	e.keep()
	if r := e.recurring(first); !r.CancelAtPeriodEnd || !r.CancelTime.Equal(end) || r.EndReason != EndedByCampaign || r.Pending() {
		t.Errorf("%+v", r)
	}
}

// Members can pause the collection of a subscription, in Stripe's dashboard.
func TestAPauseIsShown(t *testing.T) {
	for _, behavior := range []stripesim.PauseBehavior{stripesim.PauseKeepsDrafts, stripesim.PauseGivesInvoicesUp, stripesim.PauseVoidsInvoices} {
		t.Run(string(behavior), func(t *testing.T) {
			e := newEnv(t)
			e.clock.Set(time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC))
			first, subscription := e.paidMonthly()
			end := e.recurring(first).PeriodEnd
			// The last of February, then the 31st again.
			after := time.Date(2027, 3, 31, 12, end.Minute(), end.Second(), 0, time.UTC)
			paused := func(resumes, next time.Time) Recurring {
				t.Helper()
				e.must(e.sim.PauseCollection(subscription, behavior, resumes))
				for range 2 {
					e.refreshRecurring(first)
				}
				r := e.recurring(first)
				if !r.Paused || !r.ResumeTime.Equal(resumes) || !r.NextDebit.Equal(next) || r.State != RecurringActive || r.EndReason != "" {
					t.Errorf("paused until %v: %+v", resumes, r)
				}
				return r
			}
			paused(end.Add(-aWeek).Truncate(time.Second), end)
			paused(time.Time{}, time.Time{})
			e.clock.Set(end.Add(-time.Hour))
			paused(after.Add(-aWeek), after)
			if r, err := e.donations.ChangeRecurring(t.Context(), vallon, first.ID, money.Amount{Minor: 30_00, Currency: money.EUR}, Visit{}); err != nil || !r.Paused || r.Pending() {
				t.Errorf("another amount: %+v, %v", r, err)
			}
			e.clock.Set(end.Add(2 * time.Hour))
			e.refreshRecurring(first)
			if n := len(e.sim.BalanceTransactions("")); n != 1 {
				t.Errorf("%d payments in a pause", n)
			}
			if got := e.recurring(first); !got.NextDebit.Equal(after) || e.count() != 1 {
				t.Errorf("a month into the pause: %+v", got)
			}
			e.clock.Set(after.Add(2 * time.Hour))
			e.keep()
			if r := e.recurring(first); r.Paused || !r.ResumeTime.IsZero() || r.State != RecurringActive {
				t.Errorf("after it: %+v", r)
			}
			if got := e.sim.BalanceTransactions(""); len(got) != 2 || got[1].AmountMinor != 30_00 || e.count() != 2 {
				t.Errorf("after it: %+v", got)
			}
		})
	}
	t.Run("a stop ends it for good", func(t *testing.T) {
		e := newEnv(t)
		first, subscription := e.paidMonthly()
		e.must(e.sim.PauseCollection(subscription, stripesim.PauseKeepsDrafts, time.Time{}))
		for range 2 {
			r, err := e.donations.EndRecurring(t.Context(), vallon, first.ID, false, EndedByDonor)
			if err != nil || r.State != RecurringCanceled || r.EndReason != EndedByDonor {
				t.Fatalf("%+v, %v", r, err)
			}
		}
	})
}

// A link is used up by an answer, and by nothing else.
func TestALinkSurvivesAFailingRead(t *testing.T) {
	e := newEnv(t)
	first, _ := e.paidMonthly()
	var token string
	e.must(postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) (err error) {
		token, err = e.donations.newTokenTx(ctx, tx, first.ID)
		return err
	}))
	owner := pgtest.Owner(t, e.pool)
	for _, table := range []string{"campaigns.campaigns", "connect.connections", "donations.recurring"} {
		if _, err := owner.Exec(t.Context(), "ALTER TABLE "+table+" RENAME TO gone"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if o, err := e.donations.RedeemLink(t.Context(), vallon, first.ID, token); err == nil {
				t.Fatalf("without %s it opens %+v", table, o)
			}
		}
		schema, name, _ := strings.Cut(table, ".")
		if _, err := owner.Exec(t.Context(), "ALTER TABLE "+schema+".gone RENAME TO "+name); err != nil {
			t.Fatal(err)
		}
	}
	o, err := e.donations.RedeemLink(t.Context(), vallon, first.ID, token)
	if err != nil || o.Recurring.ID != first.ID || !o.ExpireTime.After(e.clock.Now()) {
		t.Fatalf("%+v, %v", o, err)
	}
	e.clock.Advance(pageLife)
	_, err = e.donations.RedeemLink(t.Context(), vallon, first.ID, token)
	wantReason(t, err, errorsv1.ErrorReason_LINK_INVALID)
}

// notices are the collective's of monthly donations that ended, by kind, each with what it says.
func (e *env) endNotices() map[string][]string {
	e.t.Helper()
	rows, err := e.pool.Query(e.t.Context(), `
		SELECT n.kind, concat_ws(' ', n.subject, n.amount_minor, n.since IS NOT NULL)
		FROM notices.notices AS n WHERE n.kind LIKE 'recurring_ended%' ORDER BY n.id`)
	if err != nil {
		e.t.Fatal(err)
	}
	told := map[string][]string{}
	var kind, said string
	if _, err := pgx.ForEachRow(rows, []any{&kind, &said}, func() error {
		told[kind] = append(told[kind], said)
		return nil
	}); err != nil {
		e.t.Fatal(err)
	}
	return told
}

func TestMembersAreToldOfEachEndOnce(t *testing.T) {
	for kind, end := range map[string]func(*env, Donation, string){
		"recurring_ended_by_donor": func(e *env, first Donation, _ string) {
			for range 2 {
				if _, err := e.donations.EndRecurring(t.Context(), vallon, first.ID, false, EndedByDonor); err != nil {
					t.Fatal(err)
				}
			}
		},
		"recurring_ended_by_collective": func(e *env, first Donation, _ string) {
			if _, err := e.donations.EndRecurring(t.Context(), vallon, first.ID, true, EndedByCollective); err != nil {
				t.Fatal(err)
			}
			if told := e.endNotices(); len(told) != 0 {
				t.Errorf("told before it ended: %v", told)
			}
			e.clock.Set(e.recurring(first).PeriodEnd.Add(time.Minute))
		},
		"recurring_ended_at_stripe": func(e *env, first Donation, subscription string) {
			e.must(e.sim.CancelAt(subscription, e.clock.Now().Add(time.Hour)))
			e.clock.Advance(2 * time.Hour)
		},
		"recurring_ended_unpaid": func(e *env, first Donation, subscription string) {
			e.must(e.sim.SetCard(subscription, stripesim.CardDeclined))
			e.clock.Set(e.recurring(first).PeriodEnd.Add(30 * 24 * time.Hour))
		},
	} {
		t.Run(kind, func(t *testing.T) {
			e := newEnv(t)
			first, subscription := e.paidMonthly()
			end(e, first, subscription)
			for range 2 {
				e.refreshRecurring(first)
				e.keep()
			}
			if diff := cmp.Diff(map[string][]string{kind: {e.recurring(first).Name() + " 2000 t"}}, e.endNotices()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	t.Run("one that never began is not told", func(t *testing.T) {
		e := newEnv(t)
		first := e.monthly()
		if err := e.sim.Pay(first.CheckoutSession, stripesim.CardDeclined); err == nil {
			t.Fatal("not declined")
		}
		e.clock.Advance(25 * time.Hour)
		if _, err := e.donations.ReadSubscription(t.Context(), "", e.sim.Subscriptions("")[0].ID); err != nil {
			t.Fatal(err)
		}
		if told := e.endNotices(); len(told) != 0 {
			t.Errorf("told %v", told)
		}
	})
}

// A thousand that end at once are no thousand mails.
func TestManyEndsAreFewNotices(t *testing.T) {
	const count = maxEndsTold + 5
	for what, c := range map[string]struct {
		end  func(*env, []string)
		want map[string]int
	}{
		"in Stripe's dashboard": {
			func(e *env, subscriptions []string) {
				at := e.clock.Now().Add(time.Hour)
				for _, id := range subscriptions {
					e.must(e.sim.CancelAt(id, at))
				}
				e.clock.Set(at.Add(time.Minute))
			},
			map[string]int{"recurring_ended_at_stripe": maxEndsTold, "recurring_ended_many": 1},
		},
		"with their campaign": {
			func(e *env, _ []string) {
				if _, err := e.campaigns.Close(t.Context(), vallon); err != nil {
					t.Fatal(err)
				}
				e.keep()
				e.clock.Advance(40 * 24 * time.Hour)
			},
			map[string]int{"recurring_ended_with_campaign": 1},
		},
	} {
		t.Run(what, func(t *testing.T) {
			e := newEnv(t, wall.Limits{Off: true})
			e.clock.Set(time.Date(2027, 3, 10, 9, 0, 0, 0, time.UTC)) // no midnight comes in between
			var donations []Donation
			var subscriptions []string
			for range count {
				first, subscription := e.paidMonthly()
				donations, subscriptions = append(donations, first), append(subscriptions, subscription)
			}
			c.end(e, subscriptions)
			for range 2 {
				for _, first := range donations {
					e.refreshRecurring(first)
				}
			}
			got := map[string]int{}
			told := e.endNotices()
			for kind, said := range told {
				got[kind] = len(said)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if said := told["recurring_ended_with_campaign"]; len(said) > 0 && said[0] != vallon.String()+" 50000 f" {
				t.Errorf("it says %v", said)
			}
		})
	}
}

// The month's debit is refused after its end became pending: Stripe would try it again until the end of the month.
func TestARefusedDebitIsNotTriedAgainAfterTheEnd(t *testing.T) {
	for _, reason := range []EndReason{EndedByCollective, EndedByDonor} {
		t.Run(string(reason), func(t *testing.T) {
			e := newEnv(t)
			e.must(e.sim.OfferDebits("", true))
			first, subscription := e.paidMonthly()
			e.must(e.sim.SetIBAN(subscription, stripesim.IBANPaid))
			e.clock.Set(e.recurring(first).PeriodEnd.Add(2 * time.Hour))
			e.refreshRecurring(first)
			if r := e.recurring(first); !r.DebitPending {
				t.Fatalf("%+v", r)
			}
			r, err := e.donations.EndRecurring(t.Context(), vallon, first.ID, true, reason)
			if err != nil || !r.CancelAtPeriodEnd || r.State != RecurringActive {
				t.Fatalf("%+v, %v", r, err)
			}
			invoices := e.sim.Invoices("")
			e.must(e.sim.SettleInvoice(invoices[len(invoices)-1].ID, false))
			e.refreshRecurring(first)
			for range 2 {
				e.keep()
			}
			if r := e.recurring(first); r.State != RecurringCanceled || r.EndReason != reason || r.Pending() {
				t.Errorf("%+v", r)
			}
			e.clock.Advance(40 * 24 * time.Hour)
			if got := e.sim.Invoices(""); len(got) != 2 || got[1].Charged || got[1].Collecting {
				t.Errorf("it was tried again: %+v", got)
			}
		})
	}
}

package overview

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

var now = time.Date(2026, 4, 1, 10, 0, 0, 0, time.UTC)

// env is a database with collectives, and the service on it.
type env struct {
	t       testing.TB
	pool    *pgxpool.Pool
	owner   *pgxpool.Pool
	service *Service
}

func newEnv(t testing.TB) *env {
	pool := pgtest.New(t)
	e := &env{t: t, pool: pool, owner: pgtest.Owner(t, pool)}
	e.service = New(Config{
		Pool: pool, Campaigns: campaigns.New(campaigns.Config{Pool: pool}), Collectives: collectives.New(collectives.Config{Pool: pool}),
		Now: func() time.Time { return now },
	})
	e.collective("vallon", "Europe/Paris")
	return e
}

func (e *env) exec(sql string, args ...any) {
	e.t.Helper()
	if _, err := e.owner.Exec(e.t.Context(), sql, args...); err != nil {
		e.t.Fatalf("%s: %v", sql, err)
	}
}

func (e *env) collective(id, zone string) {
	e.t.Helper()
	e.exec(`INSERT INTO collectives.collectives (id, display_name, stripe_account, time_zone, created_at, updated_at)
		VALUES ($1, $1, '', $2, $3, $3)`, id, zone, now)
	e.exec(`INSERT INTO campaigns.campaigns (collective, id, texts, currency, goal_minor, presets_minor, minimum_minor, maximum_minor,
			stages, allowed_origins, state, published_at, created_at, updated_at)
		SELECT $1, slug, '{"fr": {"title": "x"}}', 'EUR', 80000, '{}', 100, 100000, '[]', '{}', 'published', $2, $2, $2
		FROM unnest(ARRAY['avocate', 'appel', 'quiet']) AS slug`, id, now)
}

const insertDonation = `
	INSERT INTO donations.donations (id, collective, campaign, request_id, fingerprint, amount_minor, currency, locale, return_url,
		stripe_account, livemode, created_at, updated_at)
	VALUES ($1, $2, $3, gen_random_uuid(), sha256('x'), $4, 'EUR', 'fr', '', '', false, $5, $5)`

const insertOffline = `
	INSERT INTO treasury.offline_donations (id, collective, campaign, book, amount_minor, currency, method, received_on, document, pledge,
		outside_books, stage, created_by, created_at, updated_at)
	VALUES ($1, $2, $3, '', $4, 'EUR', $5, $6, $7, $8, $9, '', 'x', $10, $10)`

const insertPledge = `
	INSERT INTO treasury.pledges (id, collective, campaign, reference, amount_minor, currency, method, locale, created_at, expires_at)
	VALUES ($1, $2, $3, $4, $5, 'EUR', 'cheque', 'fr', $6, $6::timestamptz + interval '30 days')`

// What the tables of the overview must hold, computed from the donations themselves. Each statement returns the rows that
// are only on one side. A collective's zone is UTC here, so that its days are those of the clock.
var differences = map[string]string{
	"contributions": `
	WITH expected AS (
		SELECT d.id, d.campaign, d.created_at::date AS day, d.amount_minor, d.booked_at IS NOT NULL AS counted,
			CASE WHEN d.booked_at IS NULL THEN 0 ELSE greatest(d.amount_minor - d.refunded_minor - d.disputed_minor, 0) END AS received,
			d.state
		FROM donations.donations AS d WHERE d.collective = $1
		UNION ALL
		SELECT o.id, o.campaign, o.received_on, o.amount_minor, NOT o.outside_books AND o.state IN ('received', 'banked'),
			CASE WHEN NOT o.outside_books AND o.state IN ('received', 'banked') THEN o.amount_minor ELSE 0 END, o.state
		FROM treasury.offline_donations AS o WHERE o.collective = $1
		UNION ALL
		SELECT p.id, p.campaign, p.created_at::date, p.amount_minor, false, 0, 'pledged'
		FROM treasury.pledges AS p
		WHERE p.collective = $1 AND NOT EXISTS (
			SELECT FROM treasury.offline_donations AS o WHERE o.pledge = p.id AND o.state IN ('received', 'banked'))
	), found AS (
		SELECT c.id, c.campaign, c.day, c.amount_minor, c.counted, c.received_minor, c.state FROM overview.contributions AS c WHERE c.collective = $1
	)
	(SELECT 'missing', e::text FROM expected AS e EXCEPT SELECT 'missing', f::text FROM found AS f)
	UNION ALL
	(SELECT 'too much', f::text FROM found AS f EXCEPT SELECT 'too much', e::text FROM expected AS e)`,
	"days": `
	WITH expected AS (
		SELECT c.campaign, c.day, c.method, c.currency, sum(c.received_minor)::bigint AS received, count(*) AS donations
		FROM overview.contributions AS c WHERE c.collective = $1 AND c.counted
		GROUP BY c.campaign, c.day, c.method, c.currency
	), found AS (
		SELECT d.campaign, d.day, d.method, d.currency, d.received_minor, d.donations FROM overview.days AS d
		WHERE d.collective = $1 AND (d.received_minor <> 0 OR d.donations <> 0)
	)
	(SELECT 'missing', e::text FROM expected AS e EXCEPT SELECT 'missing', f::text FROM found AS f)
	UNION ALL
	(SELECT 'too much', f::text FROM found AS f EXCEPT SELECT 'too much', e::text FROM expected AS e)`,
	"the last state": `
	SELECT 'state', c.state || ' ' || coalesce((SELECT h.state FROM overview.states AS h WHERE h.contribution = c.id ORDER BY h.id DESC LIMIT 1), '')
	FROM overview.contributions AS c
	WHERE c.collective = $1
		AND c.state IS DISTINCT FROM (SELECT h.state FROM overview.states AS h WHERE h.contribution = c.id ORDER BY h.id DESC LIMIT 1)`,
	"months": `
	WITH rows AS (
		SELECT r.campaign, r.created_at, r.state, r.ended_at,
			CASE WHEN r.state IN ('active', 'past_due') AND NOT r.paused AND NOT r.cancel_at_period_end THEN r.amount_minor ELSE 0 END AS expected
		FROM donations.recurring AS r WHERE r.collective = $1 AND r.state IN ('active', 'past_due', 'canceled')
	), each AS (
		SELECT campaign, date_trunc('month', created_at)::date AS month, 1 AS began, 0 AS ended, 0 AS once, expected FROM rows
		UNION ALL
		SELECT campaign, date_trunc('month', ended_at)::date, 0, 1,
			(date_trunc('month', ended_at) = date_trunc('month', created_at))::integer, 0 FROM rows WHERE state = 'canceled'
	), expected AS (
		SELECT campaign, month, sum(began)::bigint, sum(ended)::bigint, sum(once)::bigint, sum(expected)::bigint FROM each GROUP BY campaign, month
	), found AS (
		SELECT m.campaign, m.month, m.began, m.ended, m.ended_at_once, m.expected_minor FROM overview.months AS m
		WHERE m.collective = $1 AND (m.began <> 0 OR m.ended <> 0 OR m.ended_at_once <> 0 OR m.expected_minor <> 0)
	)
	(SELECT 'missing', e::text FROM expected AS e EXCEPT SELECT 'missing', f::text FROM found AS f)
	UNION ALL
	(SELECT 'too much', f::text FROM found AS f EXCEPT SELECT 'too much', e::text FROM expected AS e)`,
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
	Fatal(args ...any)
}

// check compares the overview of a collective with its donations.
func (e *env) check(t failer, collective string) {
	t.Helper()
	for name, sql := range differences {
		rows, err := e.owner.Query(context.Background(), sql, collective)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		found, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (line string, err error) {
			var side, row string
			err = r.Scan(&side, &row)
			return side + ": " + row, err
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(found) > 0 {
			t.Fatalf("%s differ:\n%s", name, strings.Join(found, "\n"))
		}
	}
}

var (
	paidStatesOfDonations = []string{"succeeded", "partially_refunded", "refunded", "disputed"}
	methods               = []string{"card", "sepa_debit", "bancontact"}
)

// TestSumsAreThoseOfTheRows runs random histories: donations are paid, booked, refunded, disputed and won, in batches and in any
// order; offline donations are banked, bounced and reversed; pledges are fulfilled and open again; monthly donations begin, pause
// and end. Steps that the database refuses change nothing.
func TestSumsAreThoseOfTheRows(t *testing.T) {
	e := newEnv(t)
	number, references := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		number++
		collective := fmt.Sprintf("random-%d", number)
		e.collective(collective, "UTC")
		var donations, offline, pledges, monthly []uuid.UUID
		at := func() time.Time {
			return now.Add(-time.Duration(rapid.IntRange(0, 90*24*60).Draw(t, "minutes ago")) * time.Minute)
		}
		campaign := func() string { return rapid.SampledFrom([]string{"avocate", "appel"}).Draw(t, "campaign") }
		amount := func() int { return rapid.IntRange(1, 5).Draw(t, "amount") * 100 }
		try := func(sql string, args ...any) bool {
			_, err := e.owner.Exec(context.Background(), sql, args...)
			return err == nil
		}
		must := func(sql string, args ...any) {
			if _, err := e.owner.Exec(context.Background(), sql, args...); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
		}
		some := func(of []uuid.UUID) []uuid.UUID {
			// By their places, so that a failure can be made again.
			var ids []uuid.UUID
			for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(of)-1), 1, min(3, len(of)), rapid.ID).Draw(t, "some") {
				ids = append(ids, of[i])
			}
			return ids
		}
		actions := map[string]func(*rapid.T){
			"donate": func(*rapid.T) {
				id := uuid.New()
				must(insertDonation, id, collective, campaign(), amount(), at())
				donations = append(donations, id)
			},
			"pay": func(t *rapid.T) {
				if len(donations) == 0 {
					return
				}
				try(`UPDATE donations.donations SET state = $2, paid_at = CASE WHEN $2 = ANY ($3) THEN coalesce(paid_at, $4) END, updated_at = $4
					WHERE id = ANY ($1)`, some(donations), rapid.SampledFrom([]string{"pending", "succeeded", "expired", "failed", "canceled"}).Draw(t, "state"),
					paidStatesOfDonations, at())
			},
			"book": func(t *rapid.T) {
				if len(donations) == 0 {
					return
				}
				try(`UPDATE donations.donations SET booked_at = coalesce(booked_at, $2), paid_at = coalesce(paid_at, $2), payment_method = $3, updated_at = $2,
					state = CASE WHEN state = ANY ($4) THEN state ELSE 'succeeded' END
					WHERE id = ANY ($1)`, some(donations), at(), rapid.SampledFrom(methods).Draw(t, "method"), paidStatesOfDonations)
			},
			"refund or dispute": func(t *rapid.T) {
				if len(donations) == 0 {
					return
				}
				// As the balance decides the state.
				try(`UPDATE donations.donations SET refunded_minor = $2, disputed_minor = $3, updated_at = $4, state = CASE
						WHEN state <> ALL ($5) THEN state
						WHEN $3 > 0 THEN 'disputed'
						WHEN $2 >= amount_minor THEN 'refunded'
						WHEN $2 > 0 THEN 'partially_refunded'
						ELSE 'succeeded'
					END
					WHERE id = ANY ($1)`, some(donations), rapid.SampledFrom([]int{-100, 0, 100, 500}).Draw(t, "refunded"),
					rapid.SampledFrom([]int{0, 0, 100, 500}).Draw(t, "disputed"), at(), paidStatesOfDonations)
			},
			"ask Stripe": func(*rapid.T) {
				if len(donations) > 0 {
					must("UPDATE donations.donations SET poll_at = $2, updated_at = $2 WHERE id = ANY ($1)", donations, at())
				}
			},
			"pledge": func(t *rapid.T) {
				id := uuid.New()
				references++
				reference := strings.NewReplacer("0", "A", "1", "B").Replace(fmt.Sprintf("%08d", references))
				must(insertPledge, id, collective, campaign(), reference, amount(), at())
				pledges = append(pledges, id)
			},
			"receive": func(t *rapid.T) {
				var pledge *uuid.UUID
				if len(pledges) > 0 && rapid.Bool().Draw(t, "of a pledge") {
					pledge = &pledges[rapid.IntRange(0, len(pledges)-1).Draw(t, "pledge")]
				}
				id := uuid.New()
				method := rapid.SampledFrom([]string{"cash", "transfer", "cheque", "payee_cheque"}).Draw(t, "method")
				received := at()
				if try(insertOffline, id, collective, campaign(), amount(), method, received, "n 1", pledge,
					method == "payee_cheque" && rapid.Bool().Draw(t, "outside"), received) {
					offline = append(offline, id)
				}
			},
			"bank, bounce or reverse": func(t *rapid.T) {
				if len(offline) == 0 {
					return
				}
				deposit := uuid.New()
				must(`INSERT INTO treasury.deposits (id, collective, book, total_minor, currency, banked_on, document, created_by, created_at)
					VALUES ($1, $2, '', 100, 'EUR', $3::timestamptz::date, '', 'x', $3)`, deposit, collective, now)
				try(`UPDATE treasury.offline_donations SET state = $2, updated_at = $3,
						deposit = CASE WHEN $2 = 'banked' THEN $4 ELSE deposit END,
						banked_on = CASE WHEN $2 = 'banked' THEN $3::timestamptz::date ELSE banked_on END,
						bounced_on = CASE WHEN $2 = 'bounced' THEN $3::timestamptz::date END,
						reverse_reason = CASE WHEN $2 = 'reversed' THEN 'wrong' ELSE '' END
					WHERE id = ANY ($1)`, some(offline), rapid.SampledFrom([]string{"banked", "bounced", "reversed"}).Draw(t, "state"), now, deposit)
			},
			"give monthly": func(t *rapid.T) {
				id := uuid.New()
				created := at()
				must(insertDonation, id, collective, "avocate", 500, created)
				donations = append(donations, id)
				must(`INSERT INTO donations.recurring (id, collective, campaign, amount_minor, currency, locale, stripe_account, livemode, created_at, updated_at)
					VALUES ($1, $2, 'avocate', 500, 'EUR', 'fr', '', false, $3, $3)`, id, collective, created)
				monthly = append(monthly, id)
			},
			"change monthly": func(t *rapid.T) {
				if len(monthly) == 0 {
					return
				}
				state := rapid.SampledFrom([]string{"active", "past_due", "canceled", "expired"}).Draw(t, "state")
				var ended *time.Time
				if state == "canceled" {
					ended = &now
				}
				try(`UPDATE donations.recurring SET state = $2, ended_at = $3, subscription_id = id::text, amount_minor = $4, paused = $5,
						cancel_at_period_end = $6, updated_at = now()
					WHERE id = ANY ($1)`, some(monthly), state, ended, amount(), rapid.Bool().Draw(t, "paused"), rapid.Bool().Draw(t, "ends"))
			},
		}
		t.Repeat(actions)
		e.check(t, collective)
		for _, q := range []Query{
			{Collective: collective, Start: "2025-12-01", End: "2026-04-30", Interval: IntervalMonth, Grouping: GroupingMethod},
			{Collective: collective, Start: "2025-12-01", End: "2026-04-30", Interval: IntervalDay, Grouping: GroupingCampaign},
		} {
			found, err := e.service.Statistics(context.Background(), q)
			if err != nil {
				t.Fatal(err)
			}
			var want, sum, groups int64
			if err := e.owner.QueryRow(context.Background(), "SELECT coalesce(sum(received_minor), 0)::bigint FROM overview.contributions WHERE collective = $1", collective).Scan(&want); err != nil {
				t.Fatal(err)
			}
			for _, p := range found.Periods {
				sum += p.Received
				for _, g := range p.Groups {
					groups += g.Received
				}
			}
			if sum != want || groups != want || found.Periods[len(found.Periods)-1].Cumulative != want {
				t.Fatalf("the periods sum to %d, their groups to %d, and the rows to %d", sum, groups, want)
			}
		}
		months, err := e.service.Monthly(context.Background(), Query{Collective: collective, Start: "2025-12-01", End: "2026-04-30"})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range months.Months {
			if m.Kept < 0 || m.End > m.Kept+m.New || m.End < m.Kept {
				t.Fatalf("%+v", m)
			}
		}
		if last := months.Months[len(months.Months)-1]; last.End != months.Active {
			t.Fatalf("%d run at the end, and %d now", last.End, months.Active)
		}
	})
}

// TestOldRowsAreFilledIn runs the migration that notes what was there before the triggers.
func TestOldRowsAreFilledIn(t *testing.T) {
	e := newEnv(t)
	e.collective("old", "UTC")
	tables := []string{"donations.donations", "donations.recurring", "treasury.pledges", "treasury.offline_donations"}
	for _, table := range tables {
		e.exec("ALTER TABLE " + table + " DISABLE TRIGGER USER")
	}
	e.exec(`INSERT INTO donations.donations (id, collective, campaign, request_id, fingerprint, amount_minor, currency, locale, return_url,
			stripe_account, livemode, state, payment_method, paid_at, booked_at, refunded_minor, created_at, updated_at)
		SELECT gen_random_uuid(), 'old', 'avocate', gen_random_uuid(), sha256('x'), 100 + n, 'EUR', 'fr', '', '', false,
			CASE WHEN n % 3 = 0 THEN 'partially_refunded' WHEN n % 3 = 1 THEN 'succeeded' ELSE 'expired' END, 'card',
			CASE WHEN n % 3 < 2 THEN $1::timestamptz END, CASE WHEN n % 3 < 2 THEN $1 END, CASE WHEN n % 3 = 0 THEN 50 ELSE 0 END,
			$1 - n * interval '1 hour', $1
		FROM generate_series(1, 2500) AS n`, now)
	e.exec(`INSERT INTO donations.recurring (id, collective, campaign, amount_minor, currency, locale, stripe_account, livemode, state, subscription_id, created_at, updated_at)
		SELECT d.id, d.collective, d.campaign, 500, 'EUR', 'fr', '', false, 'active', d.id::text, d.created_at, d.created_at
		FROM donations.donations AS d ORDER BY d.id LIMIT 10`)
	pledge, other := uuid.New(), uuid.New()
	e.exec(insertPledge, pledge, "old", "avocate", "23456789", 500, now)
	e.exec(insertPledge, other, "old", "avocate", "23456788", 500, now)
	e.exec(insertOffline, uuid.New(), "old", "avocate", 500, "cheque", now, "1234567", pledge, false, now)
	for _, table := range tables {
		e.exec("ALTER TABLE " + table + " ENABLE TRIGGER USER")
	}
	// One of them changed before the migration ran.
	e.exec("UPDATE donations.donations SET refunded_minor = 100, state = 'partially_refunded', updated_at = now() WHERE id = (SELECT id FROM donations.donations WHERE state = 'succeeded' ORDER BY id LIMIT 1)")
	text, err := os.ReadFile("../internal/postgres/migrations/00027_overview_fill.sql")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile(`(?s)-- \+goose StatementBegin\n(.*?)-- \+goose StatementEnd`).FindAllSubmatch(text, -1)
	if len(blocks) != len(tables) {
		t.Fatalf("%d blocks for %d tables", len(blocks), len(tables))
	}
	for range 2 {
		for _, block := range blocks {
			e.exec(string(block[1]))
		}
		e.check(t, "old")
	}
}

// seed makes a collective's contributions: n donations of changing amounts, methods and states, a minute apart.
func (e *env) seed(collective string, n int) {
	e.t.Helper()
	e.collective(collective, "Europe/Paris")
	e.exec(`INSERT INTO donations.donations (id, collective, campaign, request_id, fingerprint, amount_minor, currency, locale, return_url,
			stripe_account, livemode, state, payment_method, paid_at, booked_at, created_at, updated_at)
		SELECT gen_random_uuid(), $1, CASE WHEN n % 997 = 0 THEN 'quiet' ELSE 'avocate' END, gen_random_uuid(), sha256('x'),
			CASE WHEN n % 991 = 0 THEN 7700 ELSE 500 * (1 + n % 20) END, 'EUR', 'fr', '', '', false,
			CASE WHEN n % 4999 = 0 THEN 'disputed' ELSE 'succeeded' END, CASE WHEN n % 983 = 0 THEN 'sepa_debit' ELSE 'card' END,
			$3::timestamptz, $3, $3 - n * interval '1 minute', $3
		FROM generate_series(1, $2::integer) AS n`, collective, n, now)
	e.exec(`INSERT INTO treasury.offline_donations (id, collective, campaign, book, amount_minor, currency, method, received_on, document, pledge,
			outside_books, stage, created_by, created_at, updated_at)
		SELECT gen_random_uuid(), $1, 'avocate', '', 3300, 'EUR', 'cheque', $3::timestamptz::date - n, 'CHQ ' || n, NULL, false, '', 'x', $3, $3
		FROM generate_series(1, $2::integer / 100) AS n`, collective, n, now)
}

// A page of a list touches the rows that it answers, and a bounded number of others, whatever it is filtered by.
func TestAPageOfAListTouchesItsOwnRows(t *testing.T) {
	e := newEnv(t)
	e.seed("much", 20000)
	e.exec(`INSERT INTO webhooks.events (account, id, type, step, livemode, resource, state, created_at, received_at, finished_at)
		SELECT '', 'evt_' || n, 'charge.succeeded', 'hint', false, jsonb_build_object('id', 'ch_' || n, 'payment_intent', 'pi_' || n), 'applied', $1, $1, $1
		FROM generate_series(1, 20000) AS n`, now)
	for _, table := range []string{"overview.contributions", "overview.days", "overview.states", "donations.donations", "treasury.offline_donations", "webhooks.events"} {
		e.exec("VACUUM ANALYZE " + table)
	}
	all := func(f Filter) Filter { f.Collective = "much"; return f }
	for name, c := range map[string]struct {
		filter Filter
		most   int
	}{
		"no filter":                  {all(Filter{}), 30},
		"a quiet campaign":           {all(Filter{Campaign: "quiet"}), 60},
		"a rare state":               {all(Filter{States: []string{"disputed"}}), 60},
		"all states":                 {all(Filter{States: slices.Clone(paidStates), OpenPledges: true}), 150},
		"a rare method":              {all(Filter{Methods: []string{"debit"}}), 60},
		"two methods":                {all(Filter{Methods: []string{"cheque", "debit"}}), 80},
		"a rare amount":              {all(Filter{Currency: "EUR", Min: 7700, Max: 7700}), 60},
		"a range of amounts":         {all(Filter{Currency: "EUR", Min: 7600, Max: 7800}), 100},
		"a wide range":               {all(Filter{Currency: "EUR", Min: 100, Max: 100000}), 60},
		"days long ago":              {all(Filter{Start: "2026-03-20", End: "2026-03-21"}), 60},
		"a cheque's number":          {all(Filter{Reference: "chq 77", Documents: true}), 60},
		"months of monthly ones":     {all(Filter{Monthly: true}), 60},
		"a rare method of a state":   {all(Filter{States: []string{"succeeded"}, Methods: []string{"debit"}}), 150},
		"a number that is not there": {all(Filter{Reference: "chq 77777", Documents: true}), 60},
	} {
		args := c.filter.args(newest, 11)
		args["now"], args["ids"] = now, []uuid.UUID{}
		e.explain(t, name, c.filter.statement(), args, c.most)
	}
	var id uuid.UUID
	if err := e.owner.QueryRow(t.Context(), "SELECT id FROM overview.contributions WHERE collective = 'much' ORDER BY id LIMIT 1").Scan(&id); err != nil {
		t.Fatal(err)
	}
	e.explain(t, "one contribution", getSQL, pgx.NamedArgs{"collective": "much", "id": id}, 30)
	e.explain(t, "its states", statesSQL, pgx.NamedArgs{"id": id, "count": maxEntries}, 30)
	// The policy looks up the accounts of the collective.
	e.explain(t, "its events", eventsSQL, pgx.NamedArgs{"account": "", "names": []string{"pi_1"}, "count": maxEntries}, 200)
	e.explain(t, "a reference", findSQL, pgx.NamedArgs{"collective": "much", "reference": "pi_1", "code": ""}, 100)
}

// explain runs a statement as a member of the collective, whose rows are kept apart from others, and counts the blocks that it
// touches.
func (e *env) explain(t *testing.T, name, sql string, args pgx.NamedArgs, most int) {
	t.Helper()
	var text []byte
	ctx := postgres.WithScope(t.Context(), postgres.ScopeOf("much"))
	if err := e.pool.QueryRow(ctx, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+sql, pgx.QueryExecModeCacheDescribe, args).Scan(&text); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, sql)
	}
	var plans []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		}
	}
	if err := json.Unmarshal(text, &plans); err != nil {
		t.Fatal(err)
	}
	n := plans[0].Plan.Hit + plans[0].Plan.Read
	t.Logf("%s: %d blocks", name, n)
	if n > most {
		t.Errorf("%s: %d blocks, and at most %d are expected\n%s", name, n, most, text)
	}
}

// TestFilters compares the list of each filter with all contributions, page by page.
func TestFilters(t *testing.T) {
	e := newEnv(t)
	e.seed("some", 600)
	pledge := uuid.New()
	e.exec(insertPledge, pledge, "some", "avocate", "23456789", 500, now.AddDate(0, 0, -1))
	e.exec(insertPledge, uuid.New(), "some", "avocate", "23456788", 500, now.AddDate(0, -3, 0))
	everything := e.pages(t, Filter{Collective: "some"}, 50)
	if len(everything) != 608 {
		t.Fatalf("%d contributions", len(everything))
	}
	if !slices.IsSortedFunc(everything, func(a, b Contribution) int {
		return -cmpPosition(Position{a.Day, a.CreateTime, a.ID}, Position{b.Day, b.CreateTime, b.ID})
	}) {
		t.Error("the list is not sorted by day and creation")
	}
	rapid.Check(t, func(rt *rapid.T) {
		f := Filter{Collective: "some"}
		if rapid.Bool().Draw(rt, "campaign?") {
			f.Campaign = rapid.SampledFrom([]string{"avocate", "quiet", "none"}).Draw(rt, "campaign")
		}
		f.States = sorted(rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"succeeded", "disputed", "received", "pledged", "failed"}), 0, 3, rapid.ID).Draw(rt, "states"))
		f.Methods = sorted(rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"card", "debit", "cheque", "cash"}), 0, 3, rapid.ID).Draw(rt, "methods"))
		f.OpenPledges, f.ExpiredPledges = rapid.Bool().Draw(rt, "open"), rapid.Bool().Draw(rt, "expired")
		if rapid.Bool().Draw(rt, "amount?") {
			f.Currency = money.EUR
			f.Min = int64(rapid.SampledFrom([]int{0, 500, 3300}).Draw(rt, "min"))
			f.Max = int64(rapid.SampledFrom([]int{0, 3300, 7700}).Draw(rt, "max"))
		}
		if rapid.Bool().Draw(rt, "days?") {
			f.Start, f.End = "2026-03-30", calendar.Day(rapid.SampledFrom([]string{"2026-03-30", "2026-03-31", "2026-04-01"}).Draw(rt, "end"))
		}
		f.Monthly = rapid.IntRange(0, 9).Draw(rt, "monthly") == 0
		var want []uuid.UUID
		for _, c := range everything {
			expired := c.Kind == KindPledge && !c.ExpireTime.After(now)
			switch {
			case f.Campaign != "" && c.Campaign.Campaign != f.Campaign,
				len(f.States) > 0 && !slices.Contains(f.States, c.State),
				len(f.Methods) > 0 && !slices.Contains(f.Methods, c.Method),
				f.OpenPledges && !f.ExpiredPledges && expired,
				f.ExpiredPledges && !f.OpenPledges && c.Kind == KindPledge && !expired,
				f.Min > 0 && c.Amount.Minor < f.Min, f.Max > 0 && c.Amount.Minor > f.Max,
				f.Start != "" && c.Day < f.Start, f.End != "" && c.Day > f.End, f.Monthly && c.Recurring == uuid.Nil:
				continue
			}
			want = append(want, c.ID)
		}
		var got []uuid.UUID
		for _, c := range e.pages(rt, f, rapid.SampledFrom([]int{1, 7, 200}).Draw(rt, "size")) {
			got = append(got, c.ID)
			if len(got) > 40 {
				break
			}
		}
		if diff := cmp.Diff(want[:min(len(want), len(got))], got); diff != "" || len(got) < min(len(want), 40) {
			rt.Fatalf("%+v: %d of %d (-want +got):\n%s\n%s", f, len(got), len(want), diff, f.statement())
		}
	})

	first := everything[0]
	for reference, want := range map[string]int{
		first.ID.String(): 1, strings.ToUpper(first.ID.String()): 1, "https://dons.example/c/some/avocate/donations/" + first.ID.String(): 1,
		"CHQ 3": 1, "chq 3": 1, "CAG-2345-6789": 1, "cag 2345 6789": 1, "23456789": 1, "pi_nothing": 0, uuid.NewString(): 0,
	} {
		got := e.pages(t, Filter{Collective: "some", Reference: reference, Documents: true}, 50)
		if len(got) != want {
			t.Errorf("%q finds %d, want %d", reference, len(got), want)
		}
	}
	if got := e.pages(t, Filter{Collective: "some", Reference: "CHQ 3"}, 50); len(got) != 0 {
		t.Error("an editor finds papers")
	}
	if got := e.pages(t, Filter{Collective: "vallon", Reference: first.ID.String(), Documents: true}, 50); len(got) != 0 {
		t.Error("a donation is found in another collective")
	}
	e.exec("UPDATE donations.donations SET payment_intent_id = 'pi_1', charge_id = 'ch_1', checkout_session_id = 'cs_1' WHERE id = (SELECT id FROM donations.donations ORDER BY id LIMIT 1)")
	e.exec(`INSERT INTO refunds.refunds (id, donation, collective, stripe_account, origin, amount_minor, currency, reason, state, attempt, submitted_at, stripe_refund_id, created_at, updated_at)
		SELECT gen_random_uuid(), d.id, 'some', '', 'stripe', 100, 'EUR', '', 'succeeded', 1, now(), 're_1', now(), now() FROM donations.donations AS d WHERE d.charge_id = 'ch_1'`)
	for _, reference := range []string{"pi_1", "ch_1", "cs_1", "re_1"} {
		if got := e.pages(t, Filter{Collective: "some", Reference: reference}, 50); len(got) != 1 {
			t.Errorf("%s finds %d", reference, len(got))
		}
	}

	// A pledge gives way to its donation, and comes back when that bounces.
	donation := uuid.New()
	e.exec(insertOffline, donation, "some", "avocate", 500, "cheque", now, "", pledge, false, now)
	if got := e.pages(t, Filter{Collective: "some", Reference: "CAG-2345-6789"}, 50); len(got) != 1 || got[0].ID != donation {
		t.Errorf("the code of a fulfilled pledge finds %v", got)
	}
	if c, err := e.service.Get(t.Context(), "some", pledge); err != nil || c.ID != donation {
		t.Errorf("a fulfilled pledge is %v, %v", c.ID, err)
	}
	history, err := e.service.History(t.Context(), Contribution{ID: donation, Kind: KindOffline, Campaign: campaigns.Name{Collective: "some", Campaign: "avocate"}}, true)
	if err != nil || len(history) != 2 || history[0].Detail != "pledged" || history[1].Detail != "received" {
		t.Errorf("its history is %v, %v", history, err)
	}
	e.exec("UPDATE treasury.offline_donations SET state = 'reversed', reverse_reason = 'x' WHERE id = $1", donation)
	if c, err := e.service.Get(t.Context(), "some", pledge); err != nil || c.ID != pledge {
		t.Errorf("an open pledge is %v, %v", c.ID, err)
	}
}

func cmpPosition(a, b Position) int {
	if a.Day != b.Day {
		return strings.Compare(string(a.Day), string(b.Day))
	}
	if c := a.CreateTime.Compare(b.CreateTime); c != 0 {
		return c
	}
	return slices.Compare(a.ID[:], b.ID[:])
}

// pages returns the contributions of a filter, read by pages.
func (e *env) pages(t failer, f Filter, size int) []Contribution {
	t.Helper()
	var all []Contribution
	for before := newest; ; {
		found, err := e.service.List(context.Background(), f, before, size)
		if err != nil {
			t.Fatalf("%+v: %v\n%s", f, err, f.statement())
		}
		all = append(all, found...)
		if len(found) < size || len(all) > 5000 {
			return all
		}
		last := found[len(found)-1]
		before = Position{last.Day, last.CreateTime, last.ID}
	}
}

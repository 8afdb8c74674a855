package app_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// The sizes that pages are compared at, and how much slower a page of the larger one may be.
const (
	fewDonations, manyDonations = 1_000, 100_000
	slowestPage                 = 3.0
)

// seedConsole gives a collective its donations: one in a hundred is a cheque, a monthly donation or a notice that was seen to.
// They lie in one year, whatever their number, and each has an event.
const seedConsole = `
WITH days AS (
	SELECT
		n,
		@now::timestamptz - (n::float8 / @count * 360) * interval '1 day' AS at
	FROM generate_series(1, @count::integer) AS n
), online AS (
	INSERT INTO donations.donations (id, collective, campaign, request_id, fingerprint, amount_minor, currency, locale, return_url,
		stripe_account, livemode, payment_intent_id, state, payment_method, paid_at, booked_at, created_at, updated_at)
	SELECT gen_random_uuid(), @collective, @campaign, gen_random_uuid(), sha256('x'), 500 * (1 + n % 20), 'EUR', 'fr', '', '', false, 'pi_' || @collective || n,
		CASE WHEN n % 500 = 0 THEN 'partially_refunded' WHEN n % 7 = 0 THEN 'expired' ELSE 'succeeded' END,
		CASE WHEN n % 5 = 0 THEN 'sepa_debit' ELSE 'card' END, CASE WHEN n % 7 <> 0 OR n % 500 = 0 THEN at END,
		CASE WHEN n % 7 <> 0 OR n % 500 = 0 THEN at END, at, at
	FROM days
	RETURNING id, collective, campaign, created_at
), cheques AS (
	INSERT INTO treasury.offline_donations (id, collective, campaign, book, amount_minor, currency, method, received_on, document, pledge,
		outside_books, stage, created_by, created_at, updated_at)
	SELECT gen_random_uuid(), @collective, @campaign, '', 3300, 'EUR', 'cheque', at::date, 'CHQ ' || n, NULL, false, '', '', at, at
	FROM days WHERE n % 100 = 0
), events AS (
	INSERT INTO webhooks.events (account, id, type, step, livemode, resource, state, created_at, received_at, finished_at)
	SELECT '', 'evt_' || @collective || n, 'charge.succeeded', 'hint', false, jsonb_build_object('id', 'ch_' || n, 'payment_intent', 'pi_' || @collective || n),
		'applied', at, at, at
	FROM days
), seen AS (
	INSERT INTO notices.notices (id, collective, kind, key, subject, created_at, acknowledged_at, acknowledged_by)
	SELECT gen_random_uuid(), @collective, 'dispute_won', n::text, '', at, CASE WHEN n > @count / 2 OR n % 200 = 0 THEN at END,
		CASE WHEN n > @count / 2 OR n % 200 = 0 THEN 'x' ELSE '' END
	FROM days WHERE n % 100 = 0
)
INSERT INTO donations.recurring (id, collective, campaign, amount_minor, currency, locale, stripe_account, livemode, state, subscription_id, created_at, updated_at)
SELECT o.id, o.collective, o.campaign, 500, 'EUR', 'fr', '', false, 'active', o.id::text, o.created_at, o.created_at
FROM online AS o WHERE random() < 0.01`

// BenchmarkConsolePages asks for pages of the console of a collective with few donations and of one with many, in turns, and
// reports how much longer the second one takes, by the median. The limit of a page is three times as long.
func BenchmarkConsolePages(b *testing.B) {
	e := apptest.Start(b, apptest.Config{NoContract: true})
	db, err := pgx.Connect(b.Context(), e.DatabaseURL)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close(context.Background()) })
	exec := func(sql string, args ...any) {
		b.Helper()
		if _, err := db.Exec(b.Context(), sql, args...); err != nil {
			b.Fatalf("%v: %s", err, sql)
		}
	}
	secret := strings.Repeat("s", 43)
	hash := sha256.Sum256([]byte(secret))
	const member = "01900000-0000-7000-8000-000000000001"
	exec("INSERT INTO access.members (id, email, email_hash, display_name, language, created_at) VALUES ($1, 'lea@example.org', sha256('lea@example.org'), 'Léa', 'fr', now())", member)
	exec("INSERT INTO access.sessions (token, secret_hash, member, device, created_at, proved_at, last_used_at, ends_at) VALUES ('0123456789abcdef', $1, $2, '', $3, $3, $3, $3::timestamptz + interval '5 days')",
		hash[:], member, e.Clock.Now())
	sizes := map[string]int{"few": fewDonations, "many": manyDonations}
	for collective, count := range sizes {
		campaign, _ := e.Campaign(collective)
		exec("INSERT INTO access.memberships (id, member, collective, role, created_at, created_by) VALUES (gen_random_uuid(), $1, $2, 'treasurer', now(), '')", member, collective)
		exec(seedConsole, pgx.NamedArgs{"collective": collective, "campaign": campaign[strings.LastIndex(campaign, "/")+1:], "count": count, "now": e.Clock.Now()})
	}
	exec("VACUUM ANALYZE")

	get := func(collective, page string) time.Duration {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, e.URL+"/console/c/"+collective+page, nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Cookie", "__Host-cagnotte=cas_0123456789abcdef_"+secret)
		begin := time.Now()
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			b.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		took := time.Since(begin)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			b.Fatalf("%s of %s: %d, %v\n%s", page, collective, res.StatusCode, err, body)
		}
		return took
	}
	one := map[string]string{}
	for collective := range sizes {
		var id string
		if err := db.QueryRow(b.Context(), "SELECT id::text FROM donations.donations WHERE collective = $1 AND state = 'partially_refunded' ORDER BY id LIMIT 1", collective).Scan(&id); err != nil {
			b.Fatal(err)
		}
		one[collective] = id
	}
	for name, page := range map[string]string{
		"home":                     "",
		"donations":                "/donations",
		"donations-of-a-state":     "/donations?state=CONTRIBUTION_STATE_PARTIALLY_REFUNDED",
		"donations-of-a-method":    "/donations?method=CONTRIBUTION_METHOD_CHEQUE",
		"donations-of-an-amount":   "/donations?min=33&max=33",
		"donations-of-a-range":     "/donations?min=30&max=34",
		"donations-of-a-cheque":    "/donations?reference=CHQ+200",
		"donations-of-days":        "/donations?start_date=2026-01-01&end_date=2026-01-31",
		"donations-monthly-months": "/donations?method=monthly",
		"donation":                 "/donations/ID",
		"monthly":                  "/donations/monthly",
		"statistics-by-month":      "/donations/statistics",
		"statistics-by-day":        "/donations/statistics?by=day",
		"notices":                  "/notices",
		"notices-all":              "/notices?all=yes",
	} {
		b.Run(name, func(b *testing.B) {
			times := map[string][]time.Duration{}
			for range 3 {
				for collective := range sizes {
					get(collective, strings.ReplaceAll(page, "ID", one[collective]))
				}
			}
			for b.Loop() {
				for collective := range sizes {
					times[collective] = append(times[collective], get(collective, strings.ReplaceAll(page, "ID", one[collective])))
				}
			}
			median := func(collective string) float64 {
				slices.Sort(times[collective])
				return float64(times[collective][len(times[collective])/2])
			}
			ratio := median("many") / median("few")
			b.ReportMetric(ratio, "large/small")
			b.ReportMetric(median("many")/float64(time.Millisecond), "ms")
			if ratio > slowestPage {
				b.Errorf("%s takes %.1f times as long with %s donations", name, ratio, fmt.Sprint(manyDonations))
			}
		})
	}
}

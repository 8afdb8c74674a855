package webhooks

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// measureTimeout keeps a slow database from delaying all other metrics.
const measureTimeout = 2 * time.Second

// gauges measures, on each scrape, what waits or needs attention. Every copy of the program reports the same, also
// while no job runs.
type gauges struct {
	service                      *Service
	oldest, failed, dead, parked *prometheus.Desc
	lastSync, syncFailures       *prometheus.Desc
	balanceDifferences           *prometheus.Desc
	lastEvent, lastDelivery      *prometheus.Desc
}

// newGauges returns the collector. The gauges without a label are of all accounts together.
func newGauges(s *Service) *gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("cagnotte_webhooks_"+name, help, labels, nil)
	}
	return &gauges{
		service: s,
		oldest:  desc("oldest_unapplied_event_seconds", "Age of the oldest event that is not applied yet; 0 when there is none."),
		failed:  desc("failed_events", "Events whose last attempt failed, including those that were given up. Somebody must look."),
		dead:    desc("dead_events", "Events that were given up. Somebody must look, and replay them."),
		parked:  desc("parked_transactions", "Balance transactions that cannot be booked yet. Somebody must look when it stays above 0."),
		lastSync: desc("last_sync_timestamp_seconds",
			"Time of the account's last complete sync on the timer or at a start; of the account's creation before the first one. Connected accounts only.", "account"),
		syncFailures: desc("sync_failures", "Syncs of the account that failed in a row. Connected accounts only.", "account"),
		balanceDifferences: desc("balance_differences",
			"Currencies in which the books differ from Stripe's balance, confirmed by several comparisons. Connected accounts only. Somebody must look.", "account"),
		lastEvent: desc("last_event_timestamp_seconds",
			"Stripe's time of the account's newest stored event, by webhook or backfill; 0 when none came within a day.", "account"),
		lastDelivery: desc("last_delivery_timestamp_seconds",
			"Time of the account's last delivery to this copy, repeated ones included; of the copy's start before the first one.", "account"),
	}
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		g.oldest, g.failed, g.dead, g.parked, g.lastSync, g.syncFailures, g.balanceDifferences, g.lastEvent, g.lastDelivery,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. It reports nothing when the database does not answer.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(postgres.WithScope(context.Background(), postgres.AllScope()), measureTimeout)
	defer cancel()
	if err := g.collect(ctx, func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}); err != nil {
		g.service.cfg.Logger.WarnContext(ctx, "the gauges of webhooks could not be measured", "error", err)
	}
}

// measureSQL returns the age in seconds of the oldest event to apply, and how many events have failed, how many of
// these were given up, and how many balance transactions are parked. The partial indexes on due and on failed events,
// and the table of parked transactions, are small.
const measureSQL = `
SELECT
	(
		SELECT coalesce(extract(epoch FROM statement_timestamp() - min(e.received_at)), 0)::float8
		FROM webhooks.events AS e
		WHERE e.next_attempt_at IS NOT NULL
	),
	(
		SELECT count(*)::float8
		FROM webhooks.events AS e
		WHERE e.state = 'failed'
	),
	(
		SELECT count(*)::float8
		FROM webhooks.events AS e
		WHERE e.state = 'failed'
			AND e.next_attempt_at IS NULL
	),
	(
		SELECT count(*)::float8
		FROM webhooks.parked
	)`

// Disconnected accounts are left out, since nothing of them can be read. An account whose balance was never read counts
// from the creation of its row. A currency with told_minor has a difference that was confirmed and lasts.
const measureAccountsSQL = `
SELECT
	a.account,
	extract(epoch FROM coalesce(nullif(a.last_regular_at, '-infinity'), a.last_back_at))::float8,
	a.sync_failures::float8,
	(
		SELECT count(*)::float8
		FROM webhooks.balances AS b
		WHERE b.account = a.account
			AND b.told_minor IS NOT NULL
	)
FROM webhooks.accounts AS a
WHERE a.account = ANY(@accounts::text[])
ORDER BY a.account`

// One scan of the last day's part of an index. The newest event of each account by itself would scan the whole index
// for a quiet account.
const measureEventsSQL = `
SELECT
	u.account,
	coalesce(extract(epoch FROM last.created_at), 0)::float8
FROM unnest(@accounts::text[]) AS u (account)
LEFT JOIN (
	SELECT
		e.account,
		max(e.created_at) AS created_at
	FROM webhooks.events AS e
	WHERE e.received_at > @since
	GROUP BY e.account
) AS last ON last.account = u.account
ORDER BY u.account`

// collect reports only accounts that a collective has, of which there are hundreds at most, so that nobody else can
// create series.
func (g *gauges) collect(ctx context.Context, tell func(d *prometheus.Desc, value float64, labels ...string)) error {
	s := g.service
	var oldest, failed, dead, parked float64
	if err := s.cfg.Pool.QueryRow(ctx, measureSQL).Scan(&oldest, &failed, &dead, &parked); err != nil {
		return postgres.Error(err)
	}
	// The program's clock, which dates the event, may be ahead of the database's.
	tell(g.oldest, max(oldest, 0))
	// Events that were given up are in both numbers.
	tell(g.failed, failed)
	tell(g.dead, dead)
	tell(g.parked, parked)
	accounts, err := s.cfg.Connect.StripeAccounts(ctx)
	if err != nil {
		return err
	}
	rows, err := s.cfg.Pool.Query(ctx, measureAccountsSQL, pgx.NamedArgs{"accounts": accounts})
	if err != nil {
		return postgres.Error(err)
	}
	var account string
	var synced, failures, differences float64
	if _, err = pgx.ForEachRow(rows, []any{&account, &synced, &failures, &differences}, func() error {
		tell(g.balanceDifferences, differences, account)
		tell(g.lastSync, synced, account)
		tell(g.syncFailures, failures, account)
		return nil
	}); err != nil {
		return postgres.Error(err)
	}
	rows, err = s.cfg.Pool.Query(ctx, measureEventsSQL, pgx.NamedArgs{"accounts": accounts, "since": s.now().Add(-healthWindow)})
	if err != nil {
		return postgres.Error(err)
	}
	var made float64
	_, err = pgx.ForEachRow(rows, []any{&account, &made}, func() error {
		// Before the first delivery the start of this copy counts, so that a restart does not look like a long silence.
		taken := s.began
		if at, known := s.delivered.Load(account); known {
			taken = at.(time.Time)
		}
		tell(g.lastEvent, made, account)
		tell(g.lastDelivery, float64(taken.UnixMilli())/1000, account)
		return nil
	})
	return postgres.Error(err)
}

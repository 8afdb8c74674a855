package wall

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Declines decide. When most payments of a campaign and Stripe account are declined, and they are many, its card way closes by
// itself for a while. Transfers, cheques and cash stay.
//
//	phase    until                   pages that may be opened      closes (again) at
//	open     -                       all                           one of the rules
//	closed   closed_until            none                          -
//	probing  15 minutes afterwards   5, then 25 after 5 minutes    4 declines of 2 donations
//
// Somebody who buys declines to close a small collective's card way attacks it too. So a closing needs declines of several
// donations, of which each counts three at most and each had to pass the wall's challenges before its page was opened. The first
// closing lasts five minutes, about as long as that somebody needs for the next one. Only while declines go on does it grow, to four
// hours at most, and a day without one forgets. It closes one campaign and account and nothing else, and never the ways
// without cards. Honest payments weigh against declines: a campaign at which people give closes only when more than two
// thirds of all attempts are declined.

const (
	// probation is how long few pages are opened after a closing: firstPages in the first firstStep, allPages in all.
	probation  = 15 * time.Minute
	firstStep  = 5 * time.Minute
	firstPages = 5
	allPages   = 25
	// firstClosing is how long the first closing lasts. Each one that follows within forgetLevel lasts twice as long, longestClosing
	// at most.
	firstClosing   = 5 * time.Minute
	longestClosing = 4 * time.Hour
	maxLevel       = 7
	forgetLevel    = 24 * time.Hour
	// countedDeclines is how many declines of one donation count.
	countedDeclines = 3
)

// A rule closes when, within its window, so many declines of so many donations were counted, and their share of all results is so
// large.
type rule struct {
	window              time.Duration
	declines, donations int64
	// percent is the share.
	percent int64
}

// The first rule stops a storm, the second what goes on slowly.
var (
	openRules    = []rule{{10 * time.Minute, 20, 7, 70}, {2 * time.Hour, 60, 20, 80}}
	probingRules = []rule{{probation, 4, 2, 70}}
)

// resultsLife is the longest window.
const resultsLife = 2 * time.Hour

// CardWay is what closes and opens.
type CardWay struct {
	// Collective and Campaign are ids.
	Collective, Campaign string
	// Account is the Stripe account; empty for the platform's own.
	Account string
}

func (w CardWay) args() pgx.NamedArgs {
	return pgx.NamedArgs{"collective": w.Collective, "campaign": w.Campaign, "account": w.Account}
}

// Closing is a card way that closed, or opened again.
type Closing struct {
	CardWay
	// Declined and Paid are what closed it: the counted declines, and the payments of the same time.
	Declined, Paid int64
	// From and Until are when no page is opened.
	From, Until time.Time
	pages       int64
}

// over is when all pages may be opened again.
func (c Closing) over() time.Time { return c.Until.Add(probation) }

// wait is how long until another page may be opened; zero for now.
func (c Closing) wait(now time.Time) time.Duration {
	firstStepEnd := c.Until.Add(firstStep)
	switch {
	case now.Before(c.Until):
		return c.Until.Sub(now)
	case now.Before(firstStepEnd) && c.pages >= firstPages:
		return firstStepEnd.Sub(now)
	case now.Before(c.over()) && c.pages >= allPages:
		return c.over().Sub(now)
	}
	return 0
}

// quota is how many pages may have been opened since the closing.
func (c Closing) quota(now time.Time) int64 {
	if now.Before(c.Until.Add(firstStep)) {
		return firstPages
	}
	return allPages
}

// CardWaysConfig is what CardWays need. Everything without a default is required.
type CardWaysConfig struct {
	Pool *pgxpool.Pool
	// Now tells the time. The default is time.Now.
	Now func() time.Time
	// Metrics is where metrics are registered. None are when nil.
	Metrics prometheus.Registerer
}

// CardWays close and open the card ways of campaigns. They are safe for concurrent use.
type CardWays struct {
	cfg      CardWaysConfig
	closings prometheus.Counter
	refused  prometheus.Counter
}

// NewCardWays returns CardWays.
func NewCardWays(cfg CardWaysConfig) *CardWays {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &CardWays{
		cfg: cfg,
		closings: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "cagnotte", Subsystem: "wall", Name: "card_ways_closed_total",
			Help: "How often the card way of a campaign was closed because most cards were declined. Somebody tests stolen cards there.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "cagnotte", Subsystem: "wall", Name: "card_ways_refused_total",
			Help: "Payment pages that were not opened because the card way of their campaign was closed.",
		}),
	}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(c.closings, c.refused)
	}
	return c
}

func (c *CardWays) now() time.Time { return c.cfg.Now().UTC().Truncate(time.Microsecond) }

// closingColumns is what scanClosing reads.
const closingColumns = `
	c.collective,
	c.campaign,
	c.stripe_account,
	c.declined,
	c.paid,
	c.closed_at,
	c.closed_until,
	c.pages`

func scanClosing(row pgx.CollectableRow) (c Closing, err error) {
	err = row.Scan(&c.Collective, &c.Campaign, &c.Account, &c.Declined, &c.Paid, &c.From, &c.Until, &c.pages)
	c.From, c.Until = c.From.UTC(), c.Until.UTC()
	return c, err
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// latestSQL reads a card way's latest closing, and locks nothing.
const latestSQL = `
SELECT` + closingColumns + `
FROM wall.closings AS c
WHERE c.collective = @collective
	AND c.campaign = @campaign
	AND c.stripe_account = @account`

// latest returns the card way's latest closing; one long ago for none.
func (c *CardWays) latest(ctx context.Context, db querier, way CardWay) (Closing, error) {
	rows, err := db.Query(ctx, latestSQL, way.args())
	if err != nil {
		return Closing{}, postgres.Error(err)
	}
	latest, err := pgx.CollectExactlyOneRow(rows, scanClosing)
	if errors.Is(err, pgx.ErrNoRows) {
		return Closing{CardWay: way}, nil
	}
	return latest, postgres.Error(err)
}

// paused is the refusal.
func (c *CardWays) paused(wait time.Duration) error {
	c.refused.Inc()
	return errs.Unavailable(errorsv1.ErrorReason_CARDS_PAUSED, max(wait, time.Second), nil,
		"Online payments are paused for this campaign, since too many cards were declined. Transfers, cheques and cash are taken.")
}

// Check is UNAVAILABLE (CARDS_PAUSED), with the time to wait, when no page may be opened now. It counts nothing.
func (c *CardWays) Check(ctx context.Context, way CardWay) error {
	latest, err := c.latest(ctx, c.cfg.Pool, way)
	if err != nil {
		return err
	}
	if wait := latest.wait(c.now()); wait > 0 {
		return c.paused(wait)
	}
	return nil
}

const enterSQL = `
UPDATE wall.closings AS c
SET pages = c.pages + 1
WHERE c.collective = @collective
	AND c.campaign = @campaign
	AND c.stripe_account = @account
	AND c.closed_until = @until
	AND c.pages < @quota`

// EnterTx is Check, and counts a page of a card way that opens step by step. While few pages are opened it locks the way's row
// until the caller's transaction ends.
func (c *CardWays) EnterTx(ctx context.Context, tx pgx.Tx, way CardWay) error {
	now := c.now()
	latest, err := c.latest(ctx, tx, way)
	if err != nil {
		return err
	}
	if wait := latest.wait(now); wait > 0 {
		return c.paused(wait)
	}
	if !now.Before(latest.over()) {
		return nil
	}
	args := way.args()
	args["until"], args["quota"] = latest.Until, latest.quota(now)
	tag, err := tx.Exec(ctx, enterSQL, args)
	if err != nil {
		return postgres.Error(err)
	}
	// Another caller took the last page, or the way has closed.
	if tag.RowsAffected() == 0 {
		return c.paused(firstStep)
	}
	return nil
}

// StrainedTx reports whether the card way is closed, or opens step by step.
func (c *CardWays) StrainedTx(ctx context.Context, tx pgx.Tx, way CardWay) (bool, error) {
	latest, err := c.latest(ctx, tx, way)
	return err == nil && c.now().Before(latest.over()), err
}

const noteSQL = `
INSERT INTO wall.card_results (collective, campaign, stripe_account, donation, declined, happened_at)
VALUES (@collective, @campaign, @account, @donation, @declined, @now)`

func (c *CardWays) noteTx(ctx context.Context, tx pgx.Tx, way CardWay, donation uuid.UUID, declined bool) error {
	args := way.args()
	args["donation"], args["declined"], args["now"] = donation, declined, c.now()
	_, err := tx.Exec(ctx, noteSQL, args)
	return postgres.Error(err)
}

// PaidTx notes a payment that was made. The caller notes each once.
func (c *CardWays) PaidTx(ctx context.Context, tx pgx.Tx, way CardWay, donation uuid.UUID) error {
	return c.noteTx(ctx, tx, way, donation, false)
}

// countSQL counts the results of a card way since a time, by card_results_way_idx.
const countSQL = `
SELECT
	coalesce(sum(least(r.declined, @counted)), 0)::bigint,
	count(*) FILTER (WHERE r.declined > 0),
	count(*) FILTER (WHERE r.paid > 0)
FROM (
	SELECT
		count(*) FILTER (WHERE c.declined) AS declined,
		count(*) FILTER (WHERE NOT c.declined) AS paid
	FROM wall.card_results AS c
	WHERE c.collective = @collective
		AND c.campaign = @campaign
		AND c.stripe_account = @account
		AND c.happened_at >= @start
	GROUP BY c.donation
) AS r`

// closeSQL closes a card way. It changes no row of one that is closed already, so that of two declines at once one closes it.
const closeSQL = `
INSERT INTO wall.closings AS c (
	collective,
	campaign,
	stripe_account,
	level,
	closed_at,
	closed_until,
	declined,
	paid
)
VALUES (
	@collective,
	@campaign,
	@account,
	1,
	@now,
	@now::timestamptz + @first::interval,
	@declined,
	@paid
)
ON CONFLICT (collective, campaign, stripe_account) DO UPDATE
SET
	level = CASE WHEN c.closed_until <= @forgotten THEN 1 ELSE least(c.level + 1, @max_level) END,
	closed_at = excluded.closed_at,
	closed_until = excluded.closed_at + CASE
		WHEN c.closed_until <= @forgotten THEN @first::interval
		ELSE least(@first::interval * (2 ^ least(c.level, @max_level)), @longest::interval)
	END,
	declined = excluded.declined,
	paid = excluded.paid,
	pages = 0,
	reopening_told = false
WHERE c.closed_until <= @now
RETURNING` + closingColumns

// DeclinedTx notes a payment that was declined, and closes the card way if that decides it. It returns the closing then, and nil
// otherwise, so that each closing is told once. The caller notes each decline once.
func (c *CardWays) DeclinedTx(ctx context.Context, tx pgx.Tx, way CardWay, donation uuid.UUID) (*Closing, error) {
	if err := c.noteTx(ctx, tx, way, donation, true); err != nil {
		return nil, err
	}
	now := c.now()
	latest, err := c.latest(ctx, tx, way)
	if err != nil || now.Before(latest.Until) { // pages that were open before are declined on
		return nil, err
	}
	rules := openRules
	if now.Before(latest.over()) {
		rules = probingRules
	}
	for _, r := range rules {
		args := way.args()
		// What closed it before does not count again.
		start := now.Add(-r.window)
		if latest.Until.After(start) {
			start = latest.Until
		}
		args["start"], args["counted"] = start, countedDeclines
		var declined, donations, paid int64
		if err := tx.QueryRow(ctx, countSQL, args).Scan(&declined, &donations, &paid); err != nil {
			return nil, postgres.Error(err)
		}
		if declined < r.declines || donations < r.donations || 100*declined < r.percent*(declined+paid) {
			continue
		}
		return c.closeTx(ctx, tx, way, declined, paid, now)
	}
	return nil, nil
}

func (c *CardWays) closeTx(ctx context.Context, tx pgx.Tx, way CardWay, declined, paid int64, now time.Time) (*Closing, error) {
	args := way.args()
	args["now"], args["first"], args["longest"], args["max_level"] = now, firstClosing, longestClosing, maxLevel
	args["forgotten"], args["declined"], args["paid"] = now.Add(-forgetLevel), declined, paid
	rows, err := tx.Query(ctx, closeSQL, args)
	if err != nil {
		return nil, postgres.Error(err)
	}
	closing, err := pgx.CollectExactlyOneRow(rows, scanClosing)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, postgres.Error(err)
	}
	c.closings.Inc()
	return &closing, nil
}

const pausedSQL = `
SELECT` + closingColumns + `
FROM wall.closings AS c
JOIN unnest(@collectives::text[], @campaigns::text[]) AS a (collective, campaign)
	ON a.collective = c.collective
	AND a.campaign = c.campaign
WHERE c.closed_until > @since`

// Paused returns for which of the campaigns no page may be opened now, whatever their account.
func (c *CardWays) Paused(ctx context.Context, campaigns []CardWay) (map[CardWay]bool, error) {
	now := c.now()
	var collectives, ids []string
	for _, w := range campaigns {
		collectives, ids = append(collectives, w.Collective), append(ids, w.Campaign)
	}
	rows, err := c.cfg.Pool.Query(ctx, pausedSQL, pgx.NamedArgs{"collectives": collectives, "campaigns": ids, "since": now.Add(-probation)})
	if err != nil {
		return nil, postgres.Error(err)
	}
	closings, err := pgx.CollectRows(rows, scanClosing)
	paused := map[CardWay]bool{}
	for _, closing := range closings {
		if closing.wait(now) > 0 {
			paused[CardWay{Collective: closing.Collective, Campaign: closing.Campaign}] = true
		}
	}
	return paused, postgres.Error(err)
}

// reopenedSQL marks closings that are over, found by closings_end_idx.
const reopenedSQL = `
UPDATE wall.closings AS c
SET reopening_told = true
WHERE (c.collective, c.campaign, c.stripe_account) IN (
	SELECT
		o.collective,
		o.campaign,
		o.stripe_account
	FROM wall.closings AS o
	WHERE NOT o.reopening_told
		AND o.closed_until <= @ended
	ORDER BY
		o.closed_until,
		o.collective,
		o.campaign,
		o.stripe_account
	LIMIT 100
	FOR UPDATE SKIP LOCKED
)
RETURNING` + closingColumns

// ReopenedTx returns card ways that are wholly open again, each once. The caller tells of them in the same transaction.
func (c *CardWays) ReopenedTx(ctx context.Context, tx pgx.Tx) ([]Closing, error) {
	rows, err := tx.Query(ctx, reopenedSQL, pgx.NamedArgs{"ended": c.now().Add(-probation)})
	if err != nil {
		return nil, postgres.Error(err)
	}
	reopened, err := pgx.CollectRows(rows, scanClosing)
	return reopened, postgres.Error(err)
}

const (
	forgetResultsSQL = `
DELETE FROM wall.card_results
WHERE happened_at < @before`

	forgetClosingsSQL = `
DELETE FROM wall.closings
WHERE reopening_told
	AND closed_until < @before`
)

// Forget deletes what counts no more.
func (c *CardWays) Forget(ctx context.Context) error {
	now := c.now()
	if _, err := c.cfg.Pool.Exec(ctx, forgetResultsSQL, pgx.NamedArgs{"before": now.Add(-resultsLife)}); err != nil {
		return postgres.Error(err)
	}
	_, err := c.cfg.Pool.Exec(ctx, forgetClosingsSQL, pgx.NamedArgs{"before": now.Add(-forgetLevel)})
	return postgres.Error(err)
}

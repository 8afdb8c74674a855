package donations

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const (
	// batchDelay is how long after its end a day is looked at. A donation is booked by the clock of one of our copies, and its
	// transaction ends within seconds, so no more come into that day.
	batchDelay = 6 * time.Hour
	// batchCampaigns is how many campaigns are read at once.
	batchCampaigns = 100
)

const (
	// endBatchesSQL and beginBatchesSQL make batch_positions what members chose. The days before and the day of the choice are
	// in no batch: who gave then was told that nothing is shown. A campaign that is shown again, or whose collective is no
	// longer discreet, begins anew, too.
	endBatchesSQL = `
DELETE FROM donations.batch_positions AS p
WHERE NOT EXISTS (
	SELECT
	FROM campaigns.campaigns AS c
	JOIN collectives.collectives AS g ON g.id = c.collective
	WHERE c.collective = p.collective
		AND c.id = p.campaign
		AND c.donations_shown
		AND c.state <> 'draft'
		AND NOT g.discreet
)`

	beginBatchesSQL = `
INSERT INTO donations.batch_positions (
	collective,
	campaign,
	next_day
)
SELECT
	c.collective,
	c.id,
	@tomorrow::date
FROM campaigns.campaigns AS c
JOIN collectives.collectives AS g ON g.id = c.collective
WHERE c.donations_shown
	AND c.state <> 'draft'
	AND NOT g.discreet
ORDER BY
	c.collective,
	c.id
ON CONFLICT (collective, campaign) DO NOTHING`

	// dueBatchesSQL returns campaigns with days that are over, by batch_positions_pkey.
	dueBatchesSQL = `
SELECT
	p.collective,
	p.campaign
FROM donations.batch_positions AS p
WHERE p.next_day <= @last::date
	AND (p.collective, p.campaign) > (@after_collective, @after_campaign)
ORDER BY
	p.collective,
	p.campaign
LIMIT @count`

	// lockBatchesSQL keeps two copies of the program from making the same batch.
	lockBatchesSQL = `
SELECT
	to_char(p.next_day, 'YYYY-MM-DD'),
	c.currency,
	c.minimum_minor,
	c.maximum_minor
FROM donations.batch_positions AS p
JOIN campaigns.campaigns AS c ON c.collective = p.collective AND c.id = p.campaign
WHERE p.collective = @collective
	AND p.campaign = @campaign
FOR NO KEY UPDATE OF p`

	// bookedSQL returns what was booked within days, by donations_booked_idx. booked_at never changes: see
	// donations.check_change.
	bookedSQL = `
SELECT
	to_char(d.booked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'),
	d.amount_minor,
	coalesce(d.recurring_id, d.id)
FROM donations.donations AS d
WHERE d.collective = @collective
	AND d.campaign = @campaign
	AND d.booked_at >= @start_time
	AND d.booked_at < @end_time
ORDER BY d.booked_at`

	insertBatchSQL = `
INSERT INTO donations.batches (
	collective,
	campaign,
	first_day,
	last_day,
	donation_count,
	currency,
	more_than,
	up_to,
	step_counts
)
VALUES (
	@collective,
	@campaign,
	@first_day,
	@last_day,
	@donation_count,
	@currency,
	@more_than,
	@up_to,
	@step_counts
)`

	moveBatchesSQL = `
UPDATE donations.batch_positions AS p
SET next_day = @next_day
WHERE p.collective = @collective
	AND p.campaign = @campaign`
)

// makeBatches makes the batches of days that are over, for all campaigns that show donations. It is idempotent: a day is in one
// batch at most.
func (s *Service) makeBatches(ctx context.Context) error {
	now := s.now().UTC()
	if _, err := s.cfg.Pool.Exec(ctx, endBatchesSQL); err != nil {
		return postgres.Error(err)
	}
	tomorrow := calendar.DayOf(now, time.UTC).Add(0, 0, 1)
	if _, err := s.cfg.Pool.Exec(ctx, beginBatchesSQL, pgx.NamedArgs{"tomorrow": string(tomorrow)}); err != nil {
		return postgres.Error(err)
	}
	// The day before the one that it was batchDelay ago is over for that long.
	last := calendar.DayOf(now.Add(-batchDelay), time.UTC).Add(0, 0, -1)
	var after campaigns.Name
	// One campaign's failure keeps no other from its batches.
	var failed error
	for {
		due, err := postgres.All(ctx, s.cfg.Pool, func(r pgx.CollectableRow) (n campaigns.Name, err error) {
			return n, r.Scan(&n.Collective, &n.Campaign)
		}, dueBatchesSQL, pgx.NamedArgs{
			"last": string(last), "after_collective": after.Collective, "after_campaign": after.Campaign, "count": batchCampaigns,
		})
		if err != nil {
			return err
		}
		for _, name := range due {
			if err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
				return makeBatchesTx(ctx, tx, name, last)
			}); err != nil {
				failed = errors.Join(failed, fmt.Errorf("%s: %w", name, err))
			}
			after = name
		}
		if len(due) < batchCampaigns {
			return failed
		}
	}
}

// makeBatchesTx makes the batches of one campaign up to the last day that is over.
func makeBatchesTx(ctx context.Context, tx pgx.Tx, name campaigns.Name, last calendar.Day) error {
	args := pgx.NamedArgs{"collective": name.Collective, "campaign": name.Campaign}
	var next calendar.Day
	var known amountRange
	var b Batch
	switch err := tx.QueryRow(ctx, lockBatchesSQL, args).Scan(&next, &b.Currency, &known.least, &known.most); {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return postgres.Error(err)
	}
	if next > last {
		return nil
	}
	args["start_time"], args["end_time"] = next.Start(time.UTC), last.End(time.UTC)
	booked, err := postgres.All(ctx, tx, func(r pgx.CollectableRow) (d bookedDonation, err error) {
		return d, r.Scan(&d.day, &d.minor, &d.giver)
	}, bookedSQL, args)
	if err != nil {
		return err
	}
	batches, next := batchesOf(next, booked, known, b.Currency)
	for _, b := range batches {
		args["first_day"], args["last_day"], args["donation_count"], args["currency"] = string(b.First), string(b.Last), b.Count, string(b.Currency)
		// Empty and not nil, because the columns take no NULL.
		moreThan, upTo, counts := []int64{}, []int64{}, []int64{}
		for _, step := range b.Steps {
			moreThan, upTo, counts = append(moreThan, step.MoreThan), append(upTo, step.UpTo), append(counts, step.Count)
		}
		args["more_than"], args["up_to"], args["step_counts"] = moreThan, upTo, counts
		if _, err := tx.Exec(ctx, insertBatchSQL, args); err != nil {
			return postgres.Error(err)
		}
	}
	if len(batches) == 0 {
		return nil
	}
	args["next_day"] = string(next)
	_, err = tx.Exec(ctx, moveBatchesSQL, args)
	return postgres.Error(err)
}

// listBatchesSQL returns a page of a campaign's batches, newest first, by batches_pkey.
const listBatchesSQL = `
SELECT
	to_char(b.first_day, 'YYYY-MM-DD'),
	to_char(b.last_day, 'YYYY-MM-DD'),
	b.donation_count,
	b.currency,
	b.more_than,
	b.up_to,
	b.step_counts
FROM donations.batches AS b
JOIN collectives.collectives AS g ON g.id = b.collective
WHERE b.collective = @collective
	AND b.campaign = @campaign
	AND NOT g.discreet
	AND b.last_day < @before::date
ORDER BY b.last_day DESC
LIMIT @count`

// listBatches returns up to count batches of those that end before a day.
func (s *Service) listBatches(ctx context.Context, name campaigns.Name, before calendar.Day, count int) ([]Batch, error) {
	return postgres.All(ctx, s.cfg.Pool, func(r pgx.CollectableRow) (b Batch, err error) {
		var moreThan, upTo, counts []int64
		if err := r.Scan(&b.First, &b.Last, &b.Count, &b.Currency, &moreThan, &upTo, &counts); err != nil {
			return b, err
		}
		for i := range counts {
			b.Steps = append(b.Steps, Step{MoreThan: moreThan[i], UpTo: upTo[i], Count: counts[i]})
		}
		return b, nil
	}, listBatchesSQL, pgx.NamedArgs{
		"collective": name.Collective, "campaign": name.Campaign, "before": string(before), "count": count,
	})
}

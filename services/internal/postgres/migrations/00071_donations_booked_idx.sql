-- The donations of a campaign that were booked within some days.
--
-- On a million rows: 3 s, while reads and writes go on.
-- +goose NO TRANSACTION

-- +goose Up

SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS donations.donations_booked_idx;
CREATE INDEX CONCURRENTLY donations_booked_idx ON donations.donations (collective, campaign, booked_at)
    WHERE booked_at IS NOT NULL;
RESET lock_timeout;

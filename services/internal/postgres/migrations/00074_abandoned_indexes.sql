-- Indexes that find donations and pledges that nobody paid.
--
-- On a million rows: 2 s for each index, while reads and writes go on.
-- +goose NO TRANSACTION

-- +goose Up

SET lock_timeout = 0;
-- Donations whose page closed unpaid, those first that did so long ago.
DROP INDEX CONCURRENTLY IF EXISTS donations.donations_expired_idx;
CREATE INDEX CONCURRENTLY donations_expired_idx ON donations.donations (updated_at, id)
    WHERE state = 'expired';

-- Pledges by their end.
DROP INDEX CONCURRENTLY IF EXISTS treasury.pledges_end_idx;
CREATE INDEX CONCURRENTLY pledges_end_idx ON treasury.pledges (expires_at, id);

-- The bank lines of a pledge.
DROP INDEX CONCURRENTLY IF EXISTS bank.lines_pledge_idx;
CREATE INDEX CONCURRENTLY lines_pledge_idx ON bank.lines (pledge)
    WHERE pledge IS NOT NULL;
RESET lock_timeout;

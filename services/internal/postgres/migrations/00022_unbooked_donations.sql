-- Donations that are paid and not booked, also those that went back before their fee was known.
--
-- Safe on a live database: both indexes are small at all times. Writes to donations wait while they are built,
-- which reads the table once.

-- +goose Up

DROP INDEX donations.donations_unbooked_idx;
DROP INDEX donations.donations_poll_idx;

-- Paid or under way and not yet booked: a campaign's pending sum, and what is polled. A refund can be in the
-- books before the payment that it takes back.
CREATE INDEX donations_unbooked_idx ON donations.donations (collective, campaign)
    INCLUDE (amount_minor, currency)
    WHERE booked_at IS NULL AND state IN ('pending', 'succeeded', 'partially_refunded', 'refunded', 'disputed');
CREATE INDEX donations_poll_idx ON donations.donations (stripe_account, poll_at, id)
    WHERE booked_at IS NULL AND state IN ('succeeded', 'partially_refunded', 'refunded', 'disputed');

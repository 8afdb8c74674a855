-- When a payment that is in transit in the books is asked for, whatever its donation's state: of one that was paid
-- already, or that nobody has a session of, nothing else says that the money arrived.
--
-- Safe on a live database: columns that are NULL or have a constant default rewrite nothing. The index is of the few
-- payments that are under way, and locks the table for as long as it takes to read it once. A program of the version
-- before leaves the columns alone.

-- +goose Up

ALTER TABLE donations.payments
    -- About when it was made.
    ADD COLUMN held_at timestamptz,
    -- When Stripe is asked next; NULL for never.
    ADD COLUMN poll_at timestamptz,
    ADD COLUMN poll_attempts integer NOT NULL DEFAULT 0;

UPDATE donations.payments SET poll_at = now() WHERE under_way;

CREATE INDEX payments_to_poll ON donations.payments (poll_at) WHERE under_way;

-- Payments that Stripe's balance shows before the bank has answered, as it does for some debits.
--
-- Safe on a live database: a column with a constant default rewrites nothing. A program of the version before leaves it
-- alone.

-- +goose Up

ALTER TABLE donations.payments
    -- Its money is in transit in the books, and has not arrived.
    ADD COLUMN under_way boolean NOT NULL DEFAULT false;

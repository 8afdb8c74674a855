-- What a parked balance transaction moved: the books compare themselves with Stripe's balance, and what waits is no
-- difference.
--
-- Safe on a live database: columns that may be NULL, which Postgres adds without writing to the rows. The program of the
-- version before leaves them NULL, and the next try fills them in.

-- +goose Up

ALTER TABLE webhooks.parked
    -- NULL while Stripe's answer could not be read.
    ADD COLUMN net_minor bigint,
    ADD COLUMN currency  text,
    ADD CONSTRAINT parked_amount_whole CHECK ((net_minor IS NULL) = (currency IS NULL)) NOT VALID;

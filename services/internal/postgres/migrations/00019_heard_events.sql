-- Events that no webhook brought, and how far Stripe's list of events was compared with what came.
--
-- Safe on a live database: columns without a default, or with a constant one, are added without rewriting or
-- reading the tables.

-- +goose Up

-- Stored from Stripe's list, minutes after it happened: its webhook was lost.
ALTER TABLE webhooks.events ADD COLUMN heard boolean NOT NULL DEFAULT false;

ALTER TABLE webhooks.accounts
    -- Every event up to here, by Stripe's clock, is stored. NULL: the list was not read yet.
    ADD COLUMN heard_to     timestamptz,
    -- When the list is to be read again.
    ADD COLUMN hear_next_at timestamptz NOT NULL DEFAULT '-infinity';

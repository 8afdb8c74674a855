-- The Stripe account in the books beside Stripe's own balance, compared on a timer.
--
-- Safe on a live database: a new table, a column with a constant default, and an index over the few balance keys of all of
-- time, which holds up the sealer while it is built.

-- +goose Up

-- One row for each account and currency that was ever compared.
CREATE TABLE webhooks.balances (
    account          text        NOT NULL,
    currency         text        NOT NULL,
    -- What the books have, with what is parked, and how much more Stripe says that there is.
    books_minor      bigint      NOT NULL,
    difference_minor bigint      NOT NULL,
    -- How often in a row it was this difference.
    seen             integer     NOT NULL,
    -- The difference that was told; NULL while there is none.
    told_minor       bigint,
    compared_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT balances_pkey PRIMARY KEY (account, currency),
    CONSTRAINT balances_seen_once CHECK (seen >= 1)
);

GRANT SELECT, INSERT, UPDATE (books_minor, difference_minor, seen, told_minor, compared_at) ON webhooks.balances TO cagnotte_service;

ALTER TABLE webhooks.accounts ADD COLUMN compare_next_at timestamptz NOT NULL DEFAULT '-infinity';

-- What an account has in the whole book, whoever's it is.
CREATE INDEX balance_keys_all_idx ON ledger.balance_keys (account_id) WHERE span = 'all';

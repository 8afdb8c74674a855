-- Whose that is which moved at Stripe without a donation: decided once for a payment, a payout or another object of
-- Stripe's, and followed by all that comes back of it.
--
-- Safe on a live database: new tables. What a program of the version before booked has no rows here; what comes back of
-- it is decided when it comes.

-- +goose Up

CREATE TABLE webhooks.owners (
    account    text NOT NULL,
    -- Stripe's id of what the money moved for: ch_…, pi_…, po_…, tu_….
    object     text NOT NULL,
    -- '' is nobody: several may use the account.
    collective text NOT NULL,
    CONSTRAINT owners_pkey PRIMARY KEY (account, object)
);

-- Money that Stripe holds back and releases bears no name. All of one family and currency is a pot: what is released is
-- taken from what was held, so that whoever had it held has it back.
CREATE TABLE webhooks.holds (
    account     text        NOT NULL,
    -- Stripe's id of the balance transaction.
    transaction text        NOT NULL,
    family      text        NOT NULL,
    currency    text        NOT NULL,
    -- What Stripe says moved it; '' for nothing.
    source      text        NOT NULL,
    -- Whose the part is that no other one answers.
    collective  text        NOT NULL,
    -- That part, with its sign: below zero is held, above zero was released before it was held.
    left_minor  bigint      NOT NULL,
    created_at  timestamptz NOT NULL,
    CONSTRAINT holds_pkey PRIMARY KEY (account, transaction)
);

CREATE INDEX holds_open_idx ON webhooks.holds (account, family, currency) WHERE left_minor <> 0;

GRANT SELECT, INSERT ON webhooks.owners TO cagnotte_service;
GRANT SELECT, INSERT, UPDATE (left_minor) ON webhooks.holds TO cagnotte_service;

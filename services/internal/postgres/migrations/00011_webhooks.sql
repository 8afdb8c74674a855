-- Stripe's events, and how far each Stripe account is in step with its books.

-- +goose Up

CREATE SCHEMA IF NOT EXISTS webhooks;
REVOKE ALL ON SCHEMA webhooks FROM PUBLIC;
GRANT USAGE ON SCHEMA webhooks TO cagnotte_service;

-- One event of Stripe's. Rows are deleted when they are finished and old.
CREATE TABLE webhooks.events (
    account         text        NOT NULL,
    -- Stripe's id, evt_….
    id              text        NOT NULL,
    type            text        NOT NULL,
    -- How it is applied: 'session' moves a donation, 'decline' counts a card that was declined, 'resource' names what
    -- is to be read again, 'hint' says that money moved, 'none' does nothing.
    step            text        NOT NULL,
    livemode        boolean     NOT NULL,
    -- The fields of the event's resource that are needed. Who paid is not among them.
    resource        jsonb       NOT NULL,
    -- It came from Stripe's list of events, because its webhook was lost.
    backfilled      boolean     NOT NULL DEFAULT false,
    state           text        NOT NULL,
    attempts        integer     NOT NULL DEFAULT 0,
    -- When it is next applied; NULL once it is finished or given up.
    next_attempt_at timestamptz,
    failure_reason  text        NOT NULL DEFAULT '',
    -- By Stripe's clock.
    created_at      timestamptz NOT NULL,
    received_at     timestamptz NOT NULL,
    finished_at     timestamptz,

    CONSTRAINT events_pkey PRIMARY KEY (account, id),
    CONSTRAINT events_step_known CHECK (step IN ('session', 'decline', 'resource', 'hint', 'none')),
    CONSTRAINT events_state_known CHECK (state IN ('received', 'applied', 'ignored', 'failed')),
    CONSTRAINT events_finished CHECK ((finished_at IS NOT NULL) = (state IN ('applied', 'ignored'))),
    CONSTRAINT events_due CHECK (
        CASE state
            WHEN 'received' THEN next_attempt_at IS NOT NULL
            WHEN 'failed' THEN true
            ELSE next_attempt_at IS NULL
        END
    )
);

-- The events to apply. Small at all times.
CREATE INDEX events_due_idx ON webhooks.events (account, step, next_attempt_at, id)
    WHERE next_attempt_at IS NOT NULL;
-- Lists, newest first; and the rows to delete.
CREATE INDEX events_received_idx ON webhooks.events (received_at DESC, account DESC, id DESC);
-- The list of failed events, which may be years apart.
CREATE INDEX events_failed_idx ON webhooks.events (received_at DESC, account DESC, id DESC)
    WHERE state = 'failed';
-- Events of accounts that no collective has. They are applied once a collective has the account.
CREATE INDEX events_unknown_account_idx ON webhooks.events (account)
    WHERE failure_reason = 'UNKNOWN_ACCOUNT';

GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks.events TO cagnotte_service;

-- How far a Stripe account is synchronised. One row for each account.
CREATE TABLE webhooks.accounts (
    account          text        NOT NULL,
    -- The River job that works on this account, or will, and when it last reported that it is alive.
    job_id           bigint,
    alive_at         timestamptz,
    -- The balance transactions that Stripe created up to here are in the ledger or parked, except for those that the
    -- look back has still to read.
    synced_to        timestamptz NOT NULL DEFAULT 'epoch',
    -- The look back through older balance transactions, while one is running: how far down it goes, and behind which
    -- balance transaction it continues; NULL is the newest end.
    back_floor       timestamptz,
    back_after       text,
    -- When the last look back began. The first sync reads everything, so there is none before the second day.
    last_back_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_regular_at  timestamptz NOT NULL DEFAULT '-infinity',
    -- The balance is to be read at the next turn of the timer, whenever it was last read.
    sync_asked       boolean     NOT NULL DEFAULT false,
    -- How many syncs failed in a row, why the last one did, and until when no other begins.
    sync_failures    integer     NOT NULL DEFAULT 0,
    failure_reason   text        NOT NULL DEFAULT '',
    next_sync_at     timestamptz NOT NULL DEFAULT '-infinity',
    -- Every event up to here, by Stripe's clock, is stored; NULL until Stripe's list of events was first read.
    backfilled_until timestamptz,
    -- When the next backfill of that list begins.
    next_backfill_at timestamptz NOT NULL DEFAULT '-infinity',
    -- The backfill, while one is running: from which time, when it began, which types it has come to, and behind
    -- which event it continues; backfill_after is NULL before the first page of its types.
    backfill_from    timestamptz,
    backfill_began   timestamptz,
    backfill_types   text[],
    backfill_after   text,
    -- When Stripe's balance is next compared with the books.
    next_compare_at  timestamptz NOT NULL DEFAULT '-infinity',

    CONSTRAINT accounts_pkey PRIMARY KEY (account),
    CONSTRAINT accounts_back_whole CHECK (back_after IS NULL OR back_floor IS NOT NULL),
    CONSTRAINT accounts_backfill_whole CHECK (
        (backfill_from IS NULL) = (backfill_began IS NULL)
        AND (backfill_from IS NULL) = (backfill_types IS NULL)
        AND (backfill_after IS NULL OR backfill_from IS NOT NULL)
    )
);

GRANT SELECT, INSERT, UPDATE ON webhooks.accounts TO cagnotte_service;

-- A balance transaction that cannot be booked now. It delays no other. It is read again at Stripe and tried until it is
-- booked, and then its row is deleted: a row that stays needs somebody's attention.
CREATE TABLE webhooks.parked (
    account         text        NOT NULL,
    -- Stripe's id, txn_….
    id              text        NOT NULL,
    reason          text        NOT NULL,
    -- What it moved; NULL while Stripe's answer could not be read. The comparison of balances counts it as booked.
    net_minor       bigint,
    currency        text,
    attempts        integer     NOT NULL DEFAULT 1,
    next_attempt_at timestamptz NOT NULL,
    parked_at       timestamptz NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT parked_pkey PRIMARY KEY (account, id),
    CONSTRAINT parked_amount_whole CHECK ((net_minor IS NULL) = (currency IS NULL))
);

-- The transactions to try again. Small at all times.
CREATE INDEX parked_due_idx ON webhooks.parked (account, next_attempt_at, id);

GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks.parked TO cagnotte_service;

-- Whose money it was that moved without a donation: decided once for a payment, a payout or another of Stripe's
-- objects, and followed by all that comes back of it.
CREATE TABLE webhooks.owners (
    account    text NOT NULL,
    -- Stripe's id of what the money moved for: ch_…, pi_…, po_…, tu_….
    resource   text NOT NULL,
    -- '' for no collective, since several may use the account.
    collective text NOT NULL,

    CONSTRAINT owners_pkey PRIMARY KEY (account, resource)
);

GRANT SELECT, INSERT ON webhooks.owners TO cagnotte_service;

-- Money that Stripe holds back or releases, which names no collective. The rows of one family and currency are a pot:
-- what is released is taken from what was held, so that each collective gets back what was held of its money.
CREATE TABLE webhooks.holds (
    account     text        NOT NULL,
    -- Stripe's id of the balance transaction.
    transaction text        NOT NULL,
    family      text        NOT NULL,
    currency    text        NOT NULL,
    -- Stripe's id of what moved it.
    source      text        NOT NULL,
    -- The owner of the part that no other row balances.
    collective  text        NOT NULL,
    -- That part, with its sign: below zero it is held, above zero it was released before it was held.
    left_minor  bigint      NOT NULL,
    created_at  timestamptz NOT NULL,

    CONSTRAINT holds_pkey PRIMARY KEY (account, transaction)
);

-- What a pot still has. Small at all times.
CREATE INDEX holds_open_idx ON webhooks.holds (account, family, currency)
    WHERE left_minor <> 0;

GRANT SELECT, INSERT, UPDATE (left_minor) ON webhooks.holds TO cagnotte_service;

-- The last comparison of Stripe's balance with the books. One row for each account and currency that was compared.
CREATE TABLE webhooks.balances (
    account          text        NOT NULL,
    currency         text        NOT NULL,
    -- What the books have, parked transactions included.
    books_minor      bigint      NOT NULL,
    -- How much more Stripe has.
    difference_minor bigint      NOT NULL,
    -- How many comparisons in a row found this difference.
    seen             integer     NOT NULL,
    -- The difference that the operator was told of; NULL while there is none.
    told_minor       bigint,
    compared_at      timestamptz NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT balances_pkey PRIMARY KEY (account, currency),
    CONSTRAINT balances_seen_once CHECK (seen >= 1)
);

GRANT SELECT, INSERT ON webhooks.balances TO cagnotte_service;
GRANT UPDATE (books_minor, difference_minor, seen, told_minor, compared_at) ON webhooks.balances TO cagnotte_service;

-- Stripe's events as they came in, and how far each Stripe account is in step with its books.
--
-- Safe on a live database: it only makes new objects, and reads and locks no table that exists.

-- +goose Up

CREATE TABLE webhooks.events (
    -- The connected account that it is about; '' is the platform's own.
    account         text        NOT NULL,
    -- Stripe's id, evt_….
    id              text        NOT NULL,
    type            text        NOT NULL,
    -- What it takes to apply it: 'session' moves a donation, 'hint' says that money moved, 'none' is nothing.
    step            text        NOT NULL,
    livemode        boolean     NOT NULL,
    -- What was kept of the event's object. Who paid is not among it.
    object          jsonb       NOT NULL,
    state           text        NOT NULL,
    attempts        integer     NOT NULL DEFAULT 0,
    -- When it is to be applied; NULL once it is finished or given up.
    next_attempt_at timestamptz,
    failure_reason  text        NOT NULL DEFAULT '',
    -- By Stripe's clock.
    created_at      timestamptz NOT NULL,
    received_at     timestamptz NOT NULL,
    finished_at     timestamptz,
    CONSTRAINT events_pkey PRIMARY KEY (account, id),
    CONSTRAINT events_step_known CHECK (step IN ('session', 'hint', 'none')),
    CONSTRAINT events_state_known CHECK (state IN ('received', 'applied', 'ignored', 'failed')),
    CONSTRAINT events_finished CHECK ((finished_at IS NOT NULL) = (state IN ('applied', 'ignored'))),
    CONSTRAINT events_due CHECK (CASE state
        WHEN 'received' THEN next_attempt_at IS NOT NULL
        WHEN 'failed' THEN true
        ELSE next_attempt_at IS NULL
    END)
);

-- What is to be applied. Small at all times.
CREATE INDEX events_due_idx ON webhooks.events (account, step, next_attempt_at, id) WHERE next_attempt_at IS NOT NULL;

-- Lists, newest first, and the end of what is old.
CREATE INDEX events_received_idx ON webhooks.events (received_at DESC, account DESC, id DESC);

-- What an operator looks for, also when years of others lie in between.
CREATE INDEX events_failed_idx ON webhooks.events (received_at DESC, account DESC, id DESC) WHERE state = 'failed';

CREATE TABLE webhooks.accounts (
    account         text        NOT NULL,
    -- The River job that works, or will, on this account, and when it last said that it is alive.
    job_id          bigint,
    alive_at        timestamptz,
    -- Everything that was visible in Stripe's balance up to here, by its creation, is in the ledger or parked,
    -- but for what the look back still has to read.
    synced_to       timestamptz NOT NULL DEFAULT 'epoch',
    -- The look back through the balance that is under way: down to where, and behind which balance transaction
    -- it goes on; NULL is the newest end.
    back_floor      timestamptz,
    back_after      text,
    -- When the last one began. The first sync reads everything, so there is none before the second day.
    last_back_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_regular_at timestamptz NOT NULL DEFAULT '-infinity',
    -- Failed syncs in a row, why, and how long they wait.
    sync_failures   integer     NOT NULL DEFAULT 0,
    failure_reason  text        NOT NULL DEFAULT '',
    next_sync_at    timestamptz NOT NULL DEFAULT '-infinity',
    CONSTRAINT accounts_pkey PRIMARY KEY (account),
    CONSTRAINT accounts_back_whole CHECK (back_after IS NULL OR back_floor IS NOT NULL)
);

-- Balance transactions that cannot be booked now. They hold up no other, and are read again at Stripe and tried
-- until they are booked: so a row that stays needs somebody.
CREATE TABLE webhooks.parked (
    account         text        NOT NULL,
    -- Stripe's id, txn_….
    id              text        NOT NULL,
    reason          text        NOT NULL,
    attempts        integer     NOT NULL DEFAULT 1,
    next_attempt_at timestamptz NOT NULL,
    parked_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT parked_pkey PRIMARY KEY (account, id)
);

-- What is to be tried again. Small at all times.
CREATE INDEX parked_due_idx ON webhooks.parked (account, next_attempt_at, id);

-- DELETE is for events that are finished and old, and for what is parked no more.
GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks.events TO cagnotte_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks.parked TO cagnotte_service;
GRANT SELECT, INSERT, UPDATE ON webhooks.accounts TO cagnotte_service;

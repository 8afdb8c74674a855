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
    -- What it takes to apply it: 'session' moves a gift, 'hint' says that money moved, 'none' is nothing.
    step            text        NOT NULL,
    livemode        boolean     NOT NULL,
    api_version     text        NOT NULL,
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

CREATE TABLE webhooks.accounts (
    account         text        NOT NULL,
    -- The River job that works, or will, on this account, and when it last said that it is alive.
    job_id          bigint,
    alive_at        timestamptz,
    -- Everything that was visible in Stripe's balance up to here, by its creation, is in the ledger.
    synced_to       timestamptz NOT NULL DEFAULT 'epoch',
    -- A walk through the balance that has not reached its floor: where it goes on, and where it began.
    walk_after      text,
    walk_floor      timestamptz,
    walk_top        timestamptz,
    last_sync_at    timestamptz,
    last_regular_at timestamptz,
    last_deep_at    timestamptz,
    -- Failed syncs in a row, why, and how long they wait.
    sync_failures   integer     NOT NULL DEFAULT 0,
    failure_reason  text        NOT NULL DEFAULT '',
    next_sync_at    timestamptz NOT NULL DEFAULT '-infinity',
    CONSTRAINT accounts_pkey PRIMARY KEY (account),
    CONSTRAINT accounts_walk_whole CHECK (
        (walk_after IS NULL) = (walk_floor IS NULL) AND (walk_after IS NULL) = (walk_top IS NULL)
    )
);

-- DELETE is for events that are finished and old.
GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks.events TO cagnotte_service;
GRANT SELECT, INSERT, UPDATE ON webhooks.accounts TO cagnotte_service;

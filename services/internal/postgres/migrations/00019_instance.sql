-- What the operator's pages need: the installation's own state, signing secrets of webhook endpoints, applications for
-- collectives, and their suspension.
--
-- On a million rows: a moment; two tables are locked for it, and no row is written.

-- +goose Up

CREATE SCHEMA IF NOT EXISTS instance;
REVOKE ALL ON SCHEMA instance FROM PUBLIC;
GRANT USAGE ON SCHEMA instance TO cagnotte_service;

-- The outcome of the last check of each kind, one row each.
CREATE TABLE instance.checks (
    kind           text        NOT NULL,
    checked_at     timestamptz NOT NULL,
    -- The reason of the failure; '' when there was none.
    failure_reason text        NOT NULL DEFAULT '',
    -- What was found; NULL for a kind that finds nothing but a failure.
    findings       jsonb,

    CONSTRAINT checks_pkey PRIMARY KEY (kind),
    CONSTRAINT checks_kind_known CHECK (kind IN ('mail', 'stripe'))
);

GRANT SELECT, INSERT ON instance.checks TO cagnotte_service;
GRANT UPDATE (checked_at, failure_reason, findings) ON instance.checks TO cagnotte_service;

-- A verification of all books. Rows are never deleted.
CREATE TABLE instance.ledger_verifications (
    id           uuid        NOT NULL,
    request_id   uuid        NOT NULL,
    state        text        NOT NULL DEFAULT 'waiting',
    requester    text        NOT NULL,
    created_at   timestamptz NOT NULL,
    ended_at     timestamptz,
    book_count   integer     NOT NULL DEFAULT 0,
    -- The results by book, as far as they are known.
    books        jsonb       NOT NULL DEFAULT '[]',

    CONSTRAINT ledger_verifications_pkey PRIMARY KEY (id),
    CONSTRAINT ledger_verifications_request_key UNIQUE (request_id),
    CONSTRAINT ledger_verifications_state_known CHECK (state IN ('waiting', 'running', 'sound', 'differs', 'failed')),
    CONSTRAINT ledger_verifications_ended CHECK ((ended_at IS NOT NULL) = (state IN ('sound', 'differs', 'failed')))
);

-- The list, newest first.
CREATE INDEX ledger_verifications_list_idx ON instance.ledger_verifications (created_at DESC, id DESC);
-- One at a time.
CREATE UNIQUE INDEX ledger_verifications_one_idx ON instance.ledger_verifications ((true))
    WHERE state IN ('waiting', 'running');

GRANT SELECT, INSERT ON instance.ledger_verifications TO cagnotte_service;
GRANT UPDATE (state, ended_at, book_count, books) ON instance.ledger_verifications TO cagnotte_service;

-- The signing secret of a webhook endpoint that this program made at Stripe, encrypted. The program also accepts those of
-- its settings. All that are stored are accepted, so that two can overlap.
CREATE TABLE webhooks.endpoint_secrets (
    -- Stripe's id of the endpoint.
    endpoint_id text        NOT NULL,
    kind        text        NOT NULL,
    url         text        NOT NULL,
    livemode    boolean     NOT NULL,
    -- Nonce and AES-256-GCM; the key is derived from CAGNOTTE_SECRET_KEY.
    sealed      bytea       NOT NULL,
    created_at  timestamptz NOT NULL,

    CONSTRAINT endpoint_secrets_pkey PRIMARY KEY (endpoint_id),
    CONSTRAINT endpoint_secrets_kind_known CHECK (kind IN ('platform', 'connect'))
);

GRANT SELECT, INSERT, DELETE ON webhooks.endpoint_secrets TO cagnotte_service;

-- How collectives are opened: one row, or none for the default.
CREATE TABLE collectives.opening (
    id         boolean     NOT NULL DEFAULT true,
    mode       text        NOT NULL,
    updated_at timestamptz NOT NULL,

    CONSTRAINT opening_pkey PRIMARY KEY (id),
    CONSTRAINT opening_one_row CHECK (id),
    CONSTRAINT opening_mode_known CHECK (mode IN ('invitation', 'request', 'all'))
);

GRANT SELECT, INSERT ON collectives.opening TO cagnotte_service;
GRANT UPDATE (mode, updated_at) ON collectives.opening TO cagnotte_service;

-- Somebody's wish for a collective. Rows are never deleted.
CREATE TABLE collectives.applications (
    id            uuid        NOT NULL,
    request_id    uuid        NOT NULL,
    -- A hash of what was sent, by which a repeat is recognised.
    fingerprint   bytea       NOT NULL,
    display_name  text        NOT NULL,
    slug          text        NOT NULL,
    purpose       text        NOT NULL,
    applicant     text        NOT NULL,
    email         text        NOT NULL,
    language      text        NOT NULL,
    state         text        NOT NULL DEFAULT 'waiting',
    -- The collective that was made of it; NULL until then.
    collective    text,
    decider       text        NOT NULL DEFAULT '',
    reject_reason text        NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL,
    decided_at    timestamptz,

    CONSTRAINT applications_pkey PRIMARY KEY (id),
    CONSTRAINT applications_request_key UNIQUE (request_id),
    CONSTRAINT applications_collective_fkey FOREIGN KEY (collective) REFERENCES collectives.collectives (id),
    CONSTRAINT applications_state_known CHECK (state IN ('waiting', 'approved', 'rejected')),
    CONSTRAINT applications_decided CHECK ((decided_at IS NOT NULL) = (state <> 'waiting')),
    CONSTRAINT applications_approved CHECK ((collective IS NOT NULL) = (state = 'approved')),
    CONSTRAINT applications_rejected CHECK ((reject_reason <> '') = (state = 'rejected'))
);

-- The lists, newest first, of all and of one state.
CREATE INDEX applications_list_idx ON collectives.applications (created_at DESC, id DESC);
CREATE INDEX applications_state_idx ON collectives.applications (state, created_at DESC, id DESC);

GRANT SELECT, INSERT ON collectives.applications TO cagnotte_service;
GRANT UPDATE (state, collective, decider, reject_reason, decided_at) ON collectives.applications TO cagnotte_service;

-- How often a network or an address has applied lately, by a keyed hash that changes each day.
CREATE TABLE collectives.application_limits (
    key bytea       NOT NULL,
    -- The time at which the key is as if it had never applied.
    tat timestamptz NOT NULL,

    CONSTRAINT application_limits_pkey PRIMARY KEY (key),
    CONSTRAINT application_limits_key_length CHECK (length(key) = 16)
);

-- The rows to delete.
CREATE INDEX application_limits_tat_idx ON collectives.application_limits (tat);

GRANT SELECT, INSERT, UPDATE, DELETE ON collectives.application_limits TO cagnotte_service;

-- When and why the operator suspended a collective; NULL and '' while it is not suspended.
ALTER TABLE collectives.collectives
    ADD COLUMN suspended_at timestamptz,
    ADD COLUMN suspend_reason text NOT NULL DEFAULT '';
GRANT UPDATE (suspended_at, suspend_reason) ON collectives.collectives TO cagnotte_service;

-- Whether Stripe is told, or was told, to collect no month of a monthly donation because its collective is suspended:
-- 'wanted' before the call and 'set' after it; NULL for neither.
ALTER TABLE donations.recurring ADD COLUMN hold text;
GRANT UPDATE (hold) ON donations.recurring TO cagnotte_service;

-- Notices: what members of a collective, or the operator, must know.

-- +goose Up

CREATE SCHEMA IF NOT EXISTS notices;
REVOKE ALL ON SCHEMA notices FROM PUBLIC;
GRANT USAGE ON SCHEMA notices TO cagnotte_service;

-- Something that members, or the operator, must know. It names no donor.
CREATE TABLE notices.notices (
    id                 uuid        NOT NULL,
    -- Whose members are told; '' for the operator.
    collective         text        NOT NULL,
    -- The same as a foreign key, which '' could not be.
    collective_ref     text        GENERATED ALWAYS AS (nullif(collective, '')) STORED,
    kind               text        NOT NULL,
    -- What happened, such as a dispute's id: the same event makes one notice.
    key                text        NOT NULL,
    -- The name of the resource that it is about.
    subject            text        NOT NULL,
    -- Stripe's ids of the transactions that it is about, such as those of a difference.
    transactions       text[]      NOT NULL DEFAULT '{}',
    amount_minor       bigint,
    currency           text,
    -- When what it is about began, such as the end of a monthly donation.
    since              timestamptz,
    -- By when somebody must act.
    deadline           timestamptz,
    -- All five are set where a member changed a setting that guards money, and NULL otherwise. actor is the name of the
    -- API key, '' for the command line.
    actor              text,
    actor_display_name text,
    -- The name of the key that stands for the actor's member.
    actor_member       text,
    -- Shortened: no whole IBAN, no whole address, no secret.
    value_before       text,
    value_after        text,
    created_at         timestamptz NOT NULL,
    acknowledged_at    timestamptz,
    -- The API key that acknowledged it.
    acknowledged_by    text        NOT NULL DEFAULT '',

    CONSTRAINT notices_pkey PRIMARY KEY (id),
    CONSTRAINT notices_once_key UNIQUE (collective, kind, key),
    CONSTRAINT notices_collective_fkey FOREIGN KEY (collective_ref) REFERENCES collectives.collectives (id),
    CONSTRAINT notices_kind_check CHECK (kind ~ '^[a-z][a-z_]{1,39}$'),
    CONSTRAINT notices_key_check CHECK (char_length(key) BETWEEN 1 AND 200),
    CONSTRAINT notices_subject_check CHECK (char_length(subject) <= 300 AND subject ~ '^[A-Za-z0-9/_:.-]*$'),
    CONSTRAINT notices_transactions_check CHECK (
        cardinality(transactions) <= 20
        AND array_to_string(transactions, ' ') ~ '^[A-Za-z0-9_ -]*$'
    ),
    CONSTRAINT notices_amount_check CHECK ((amount_minor IS NULL) = (currency IS NULL) AND currency ~ '^[A-Z]{3}$'),
    CONSTRAINT notices_change_check CHECK (
        num_nulls(actor, actor_display_name, actor_member, value_before, value_after) IN (0, 5)
        AND char_length(value_before) <= 1000
        AND char_length(value_after) <= 1000
    ),
    CONSTRAINT notices_acknowledged_check CHECK ((acknowledged_at IS NULL) = (acknowledged_by = ''))
);

-- A collective's list, newest first.
CREATE INDEX notices_collective_idx ON notices.notices (collective, created_at DESC, id DESC);
-- The operator's list of all, newest first.
CREATE INDEX notices_created_idx ON notices.notices (created_at DESC, id DESC);
-- How many of each kind are open: a metric.
CREATE INDEX notices_open_idx ON notices.notices (kind)
    WHERE acknowledged_at IS NULL;

GRANT SELECT, INSERT, UPDATE (acknowledged_at, acknowledged_by) ON notices.notices TO cagnotte_service;

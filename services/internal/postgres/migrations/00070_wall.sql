-- The wall: how many payments are started, by network, campaign, account and instance, and the solutions that were used.
--
-- On a million rows: nothing; it creates objects that nobody reads yet.

-- +goose Up

CREATE SCHEMA IF NOT EXISTS wall;
REVOKE ALL ON SCHEMA wall FROM PUBLIC;
GRANT USAGE ON SCHEMA wall TO cagnotte_service;

-- What networks started.
CREATE TABLE wall.limits (
    -- A keyed hash of the network and the day, so that no address is stored.
    key bytea       NOT NULL,
    -- The theoretical arrival time.
    tat timestamptz NOT NULL,

    CONSTRAINT limits_pkey PRIMARY KEY (key),
    CONSTRAINT limits_key_length CHECK (length(key) = 16)
);

-- The rows to delete.
CREATE INDEX limits_tat_idx ON wall.limits (tat);

GRANT SELECT, INSERT, UPDATE, DELETE ON wall.limits TO cagnotte_service;

-- What was started and paid for a campaign, an account and the instance. Each number halves with time, from counted_at on. A
-- counter has several rows, so that no transaction waits for another: it is their sum.
CREATE TABLE wall.counters (
    -- A keyed hash of what is counted.
    key        bytea            NOT NULL,
    part       bigint           NOT NULL,
    unpaid     double precision NOT NULL,
    paid       double precision NOT NULL,
    usual      double precision NOT NULL,
    counted_at timestamptz      NOT NULL,

    CONSTRAINT counters_pkey PRIMARY KEY (key, part),
    CONSTRAINT counters_key_length CHECK (length(key) = 16)
) WITH (fillfactor = 50);

-- The rows to delete.
CREATE INDEX counters_time_idx ON wall.counters (counted_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON wall.counters TO cagnotte_service;

-- The solutions that were used, until they would lapse anyhow.
CREATE TABLE wall.solutions (
    -- A keyed hash of the challenge.
    key        bytea       NOT NULL,
    expires_at timestamptz NOT NULL,

    CONSTRAINT solutions_pkey PRIMARY KEY (key),
    CONSTRAINT solutions_key_length CHECK (length(key) = 16)
);

-- The rows to delete.
CREATE INDEX solutions_end_idx ON wall.solutions (expires_at);

GRANT SELECT, INSERT, DELETE ON wall.solutions TO cagnotte_service;

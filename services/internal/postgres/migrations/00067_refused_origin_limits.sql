-- How many new origins one network can put on the list of those that a campaign refused.
--
-- On a million rows: nothing, since the table is new; nothing waits.

-- +goose Up

CREATE TABLE campaigns.limits (
    -- A keyed hash of the network and the day, so that no address is stored.
    key bytea       NOT NULL,
    -- The theoretical arrival time.
    tat timestamptz NOT NULL,

    CONSTRAINT limits_pkey PRIMARY KEY (key),
    CONSTRAINT limits_key_length CHECK (length(key) = 16)
);

-- The rows to delete.
CREATE INDEX limits_tat_idx ON campaigns.limits (tat);

GRANT SELECT, INSERT, UPDATE, DELETE ON campaigns.limits TO cagnotte_service;

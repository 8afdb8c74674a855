-- API keys.
--
-- Safe on a live database: it makes a new table that nothing reads yet. The foreign key locks
-- collectives.collectives against writes for a moment, to check an empty table.

-- +goose Up

CREATE TABLE access.api_keys (
    -- The part of the key that finds the row; random and no secret.
    token        text        NOT NULL,
    -- SHA-256 of the secret part.
    secret_hash  bytea       NOT NULL,
    -- Whose key it is; NULL for the instance's own.
    collective   text,
    -- The last segment of the key's name.
    id           text        NOT NULL,
    display_name text        NOT NULL,
    role         text        NOT NULL,
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at   timestamptz,

    CONSTRAINT api_keys_pkey PRIMARY KEY (token),
    CONSTRAINT api_keys_token_check CHECK (token ~ '^[a-z0-9]{16,32}$'),
    CONSTRAINT api_keys_secret_hash_check CHECK (octet_length(secret_hash) = 32),
    CONSTRAINT api_keys_collective_fkey FOREIGN KEY (collective) REFERENCES collectives.collectives (id),
    CONSTRAINT api_keys_id_check CHECK (id ~ '^[a-z0-9][a-z0-9-]{1,62}$'),
    CONSTRAINT api_keys_display_name_check CHECK (char_length(display_name) BETWEEN 1 AND 80),
    CONSTRAINT api_keys_role_check CHECK (role IN ('owner', 'editor', 'treasurer', 'auditor', 'operator')),
    -- A collective's key can never be the operator's, nor the other way round.
    CONSTRAINT api_keys_operator_check CHECK ((role = 'operator') = (collective IS NULL))
);

-- The name of a key, the instance's included: NULLs would not be unique among themselves.
CREATE UNIQUE INDEX api_keys_name_key ON access.api_keys (COALESCE(collective, ''), id);
CREATE INDEX api_keys_list_idx ON access.api_keys (COALESCE(collective, ''), created_at DESC, id DESC);

-- A key's rights and secret never change, and no key is forgotten.
GRANT SELECT, INSERT ON access.api_keys TO cagnotte_service;
GRANT UPDATE (last_used_at, revoked_at) ON access.api_keys TO cagnotte_service;

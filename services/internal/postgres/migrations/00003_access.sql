-- API keys.

-- +goose Up

CREATE SCHEMA IF NOT EXISTS access;
REVOKE ALL ON SCHEMA access FROM PUBLIC;
GRANT USAGE ON SCHEMA access TO cagnotte_service;

-- One API key. Its role and secret never change, and no row is deleted: a revoked key stays, because notices, refunds
-- and expenses name the key that made them.
CREATE TABLE access.api_keys (
    -- The part of the key that finds the row. It is random, and no secret.
    token        text        NOT NULL,
    -- SHA-256 of the secret part.
    secret_hash  bytea       NOT NULL,
    -- NULL for a key of the instance.
    collective   text,
    -- The last segment of the key's resource name.
    id           text        NOT NULL,
    display_name text        NOT NULL,
    role         text        NOT NULL,
    -- The name of the key that created it; '' for the command line, and where it is unknown.
    maker        text        NOT NULL DEFAULT '',
    -- The id of the key, in the same collective, that the chain of makers began with; '' for the key itself. Keys with
    -- the same beginning count as one member when a second member must approve.
    member       text        NOT NULL DEFAULT '',
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
    -- A key of a collective is never an operator's, and a key of the instance always is.
    CONSTRAINT api_keys_operator_check CHECK ((role = 'operator') = (collective IS NULL)),
    CONSTRAINT api_keys_maker_check CHECK (
        maker ~ '^((collectives/[a-z0-9-]{3,40}|instance)/apiKeys/[a-z0-9][a-z0-9-]{1,62})?$'
    ),
    CONSTRAINT api_keys_member_check CHECK (member = '' OR maker <> '')
);

-- The key's resource name; with coalesce, because NULLs do not collide with each other.
CREATE UNIQUE INDEX api_keys_name_key ON access.api_keys (coalesce(collective, ''), id);
-- Lists, newest first.
CREATE INDEX api_keys_list_idx ON access.api_keys (coalesce(collective, ''), created_at DESC, id DESC);

GRANT SELECT, INSERT, UPDATE (last_used_at, revoked_at) ON access.api_keys TO cagnotte_service;

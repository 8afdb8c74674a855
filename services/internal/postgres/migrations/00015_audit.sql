-- The audit log: who changed what. The database keeps it append-only.
--
-- On a million rows: nothing; it creates objects that nobody reads yet.

-- +goose Up

CREATE SCHEMA audit;
REVOKE ALL ON SCHEMA audit FROM PUBLIC;
GRANT USAGE ON SCHEMA audit TO cagnotte_service;

-- +goose StatementBegin
CREATE FUNCTION audit.refuse_change() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION '% on audit.% is refused: the audit log is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_TABLE_NAME || '_append_only';
END
$$;
-- +goose StatementEnd

-- One change that a member or the operator made, written by the transaction that made it. It names no donor and holds
-- no secret. There are no foreign keys: an entry outlives what it names, and writing one locks no row that others need.
CREATE TABLE audit.entries (
    id                 uuid             NOT NULL DEFAULT gen_random_uuid(),
    created_at         timestamptz      NOT NULL DEFAULT clock_timestamp(),
    -- The database transaction that wrote it. With the id it is the order in which entries are sealed.
    xid                xid8             NOT NULL DEFAULT pg_current_xact_id(),
    -- '' for the instance.
    collective         text COLLATE "C" NOT NULL,
    -- Who did it: `members/{member}` or the name of an API key; '' for the command line.
    actor              text COLLATE "C" NOT NULL,
    -- The actor's name for people, as it was then.
    actor_display_name text             NOT NULL,
    -- Whose session or key it was: `members/{member}`, or the first key of a member who has no account.
    member             text COLLATE "C" NOT NULL,
    -- The session or API key that the call came with; '' for the command line.
    credential         text COLLATE "C" NOT NULL,
    -- What the actor was in the collective, or in the instance: a role of package access; '' for the command line.
    role               text COLLATE "C" NOT NULL,
    -- The RPC, such as `cagnotte.refunds.v1.RefundsService/ApproveRefund`, or a command, such as `cagnotte operator`.
    method             text COLLATE "C" NOT NULL,
    -- The name of the resource that was changed.
    resource           text COLLATE "C" NOT NULL,
    -- The fields that changed, each with its value as a text. Long texts are shortened.
    before             jsonb            NOT NULL,
    after              jsonb            NOT NULL,
    -- That of the call, as it stands in the program's log; '' for the command line.
    request_id         text COLLATE "C" NOT NULL,

    CONSTRAINT entries_pkey PRIMARY KEY (id),
    CONSTRAINT entries_collective_check CHECK (length(collective) <= 40),
    CONSTRAINT entries_actor_check CHECK (
        length(actor) <= 200
        AND length(member) <= 200
        AND length(credential) <= 200
        AND length(role) <= 40
        AND char_length(actor_display_name) <= 200
    ),
    CONSTRAINT entries_method_check CHECK (length(method) BETWEEN 1 AND 200),
    CONSTRAINT entries_resource_check CHECK (length(resource) BETWEEN 1 AND 400),
    CONSTRAINT entries_values_check CHECK (
        jsonb_typeof(before) = 'object'
        AND jsonb_typeof(after) = 'object'
        AND octet_length(before::text) <= 65536
        AND octet_length(after::text) <= 65536
    ),
    CONSTRAINT entries_request_id_check CHECK (length(request_id) <= 64)
);

-- A collective's list, newest first.
CREATE INDEX entries_collective_idx ON audit.entries (collective, created_at DESC, id DESC);
-- The operator's list of all, newest first.
CREATE INDEX entries_created_idx ON audit.entries (created_at DESC, id DESC);
-- The order of sealing.
CREATE INDEX entries_seal_idx ON audit.entries (xid, id);

CREATE TRIGGER entries_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.entries
    FOR EACH STATEMENT
    EXECUTE FUNCTION audit.refuse_change();

-- The id, the time and the transaction are not granted, so the service cannot choose them.
GRANT SELECT, INSERT (
    collective,
    actor,
    actor_display_name,
    member,
    credential,
    role,
    method,
    resource,
    before,
    after,
    request_id
) ON audit.entries TO cagnotte_service;

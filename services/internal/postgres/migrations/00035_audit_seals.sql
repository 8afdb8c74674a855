-- The seals of the audit log: numbers without a gap, a Merkle tree, signed checkpoints. They are those of the books.
--
-- On a million rows: nothing; it creates objects that nobody reads yet.

-- +goose Up

-- The number of an entry. Whoever changes, removes or adds an entry contradicts the hashes.
CREATE TABLE audit.seals (
    number    bigint      NOT NULL,
    entry_id  uuid        NOT NULL,
    leaf_hash bytea       NOT NULL,
    sealed_at timestamptz NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT seals_pkey PRIMARY KEY (number),
    CONSTRAINT seals_entry_key UNIQUE (entry_id),
    CONSTRAINT seals_entry_fkey FOREIGN KEY (entry_id) REFERENCES audit.entries (id),
    CONSTRAINT seals_number_positive CHECK (number > 0),
    CONSTRAINT seals_leaf_hash_length CHECK (length(leaf_hash) = 32)
);

-- Whoever seals, the numbers are 1, 2, 3 …, and reach no entry that a running database transaction could still precede.
-- They leave nothing out that is older, and so follow the order of xid and id.
-- +goose StatementBegin
CREATE FUNCTION audit.check_seals() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    broken text;
BEGIN
    SELECT CASE
            WHEN a.last - a.first + 1 <> a.count OR (a.first > 1 AND p.number IS NULL) THEN 'seals_gapless'
            WHEN a.last_xid >= pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()) THEN 'seals_settled'
            WHEN NOT a.ordered OR a.count <> (
                SELECT count(*)
                FROM audit.entries AS x
                WHERE (x.xid, x.id) > (coalesce(b.xid, '0'), coalesce(b.id, '00000000-0000-0000-0000-000000000000'))
                    AND (x.xid, x.id) <= (a.last_xid, a.last_id)
            ) THEN 'seals_complete'
        END
    INTO broken
    FROM (
        SELECT
            count(*) AS count,
            min(o.number) AS first,
            max(o.number) AS last,
            (array_agg(o.xid ORDER BY o.xid DESC, o.id DESC))[1] AS last_xid,
            (array_agg(o.id ORDER BY o.xid DESC, o.id DESC))[1] AS last_id,
            bool_and(o.place = o.place_of_number) AS ordered
        FROM (
            SELECT
                s.number,
                e.xid,
                e.id,
                row_number() OVER (ORDER BY e.xid, e.id) AS place,
                row_number() OVER (ORDER BY s.number) AS place_of_number
            FROM added AS s
            JOIN audit.entries AS e ON e.id = s.entry_id
        ) AS o
    ) AS a
    LEFT JOIN audit.seals AS p ON p.number = a.first - 1
    LEFT JOIN audit.entries AS b ON b.id = p.entry_id
    WHERE a.count > 0;
    IF broken IS NOT NULL THEN
        RAISE EXCEPTION 'seals are refused: %', broken
            USING ERRCODE = 'check_violation', CONSTRAINT = broken;
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER seals_check
    AFTER INSERT ON audit.seals
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT
    EXECUTE FUNCTION audit.check_seals();
CREATE TRIGGER seals_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.seals
    FOR EACH STATEMENT
    EXECUTE FUNCTION audit.refuse_change();

GRANT SELECT, INSERT (number, entry_id, leaf_hash) ON audit.seals TO cagnotte_service;

-- A signed statement that the log has this root at this size. Each one proves that its tree begins with that of the one
-- before.
CREATE TABLE audit.checkpoints (
    -- How many entries the tree has.
    size          bigint      NOT NULL,
    -- The size of the checkpoint before; 0 for none.
    previous_size bigint      NOT NULL,
    signed_at     timestamptz NOT NULL,
    root          bytea       NOT NULL,
    -- The consistency proof between the two sizes (RFC 6962).
    consistency   bytea[]     NOT NULL,
    -- The hashes of the complete subtrees on the right edge, from left to right: all that appending a leaf needs.
    edge          bytea[]     NOT NULL,
    note          text        NOT NULL,
    -- The key that verifies the note's signature. It is another one after the program's secret key changed.
    verifier_key  text        NOT NULL,

    CONSTRAINT checkpoints_pkey PRIMARY KEY (size),
    CONSTRAINT checkpoints_sealed FOREIGN KEY (size) REFERENCES audit.seals (number),
    CONSTRAINT checkpoints_chained UNIQUE (previous_size),
    CONSTRAINT checkpoints_previous CHECK (previous_size >= 0 AND previous_size < size),
    CONSTRAINT checkpoints_root_length CHECK (length(root) = 32)
);

CREATE TRIGGER checkpoints_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.checkpoints
    FOR EACH STATEMENT
    EXECUTE FUNCTION audit.refuse_change();

GRANT SELECT, INSERT (size, previous_size, signed_at, root, consistency, edge, note, verifier_key)
    ON audit.checkpoints TO cagnotte_service;

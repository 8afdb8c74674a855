-- Reclassifications: a bookkeeper moves an amount to another account or campaign, and money stays where it is.
--
-- On a live database it makes new objects only.

-- +goose Up

-- Which transaction a reclassification corrects. It is a transaction like others.
CREATE TABLE ledger.reclassifications (
    transaction_id bigint NOT NULL,
    original_id    bigint NOT NULL,
    CONSTRAINT reclassifications_pkey PRIMARY KEY (transaction_id)
);

CREATE INDEX reclassifications_original_idx ON ledger.reclassifications (original_id, transaction_id);

-- Whoever posts, a reclassification leaves every account alone that money stands on, and every donation.
-- +goose StatementBegin
CREATE FUNCTION ledger.check_reclassifications() RETURNS trigger
LANGUAGE plpgsql
SET enable_seqscan = off
SET enable_mergejoin = off
SET enable_hashjoin = off
AS $$
DECLARE
    broken text;
BEGIN
    SELECT checked.broken INTO broken
    FROM (
        SELECT CASE
                WHEN t.id IS NULL OR o.id IS NULL THEN 'reclassifications_known'
                WHEN t.kind <> 'reclassification' OR t.xid <> pg_catalog.pg_current_xact_id() THEN 'reclassifications_kind'
                WHEN t.book <> o.book THEN 'reclassifications_same_book'
                WHEN o.kind IN ('reversal', 'reclassification') THEN 'reclassifications_of_original'
                WHEN EXISTS (
                    SELECT
                    FROM ledger.entries AS e
                    JOIN ledger.accounts AS a ON a.id = e.account_id
                    WHERE e.transaction_id = t.id
                        AND a.type NOT IN ('income', 'expense')
                        AND NOT EXISTS (
                            SELECT
                            FROM ledger.roles AS r
                            WHERE r.book = a.book
                                AND r.role = 'unknown_receipts'
                                AND r.account_id = a.id
                        )
                ) THEN 'reclassifications_no_money'
                WHEN EXISTS (
                    SELECT
                    FROM ledger.entries AS e
                    WHERE e.transaction_id = t.id
                        AND e.donation IS NOT NULL
                ) THEN 'reclassifications_no_donation'
            END AS broken
        FROM added AS n
        LEFT JOIN ledger.transactions AS t ON t.id = n.transaction_id
        LEFT JOIN ledger.transactions AS o ON o.id = n.original_id
    ) AS checked
    WHERE checked.broken IS NOT NULL
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'a reclassification is refused: %', broken
            USING ERRCODE = 'check_violation', CONSTRAINT = broken;
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER reclassifications_check AFTER INSERT ON ledger.reclassifications
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_reclassifications();
CREATE TRIGGER reclassifications_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.reclassifications
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

GRANT SELECT ON ledger.reclassifications TO cagnotte_service;
GRANT INSERT (transaction_id, original_id) ON ledger.reclassifications TO cagnotte_service;

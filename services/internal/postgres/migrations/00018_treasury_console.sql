-- Files of expenses, bank lines that are split into parts, and the expenses that the text of a bank line names.
--
-- On a million rows: a moment; bank.lines is locked for it, and no row is read or written.

-- +goose Up

-- A file of an expense: the invoice, a receipt. Rows are never changed or deleted: vouchers are kept for ten years.
CREATE TABLE treasury.expense_attachments (
    id           uuid        NOT NULL,
    collective   text        NOT NULL,
    expense      uuid        NOT NULL,
    content_type text        NOT NULL,
    size_bytes   integer     NOT NULL,
    sha256       bytea       NOT NULL,
    content      bytea       NOT NULL,
    -- Who attached it.
    created_by   text        NOT NULL,
    created_at   timestamptz NOT NULL,

    CONSTRAINT expense_attachments_pkey PRIMARY KEY (id),
    CONSTRAINT expense_attachments_expense_fkey FOREIGN KEY (expense) REFERENCES treasury.expenses (id),
    -- The same content is stored once.
    CONSTRAINT expense_attachments_content_key UNIQUE (expense, sha256),
    CONSTRAINT expense_attachments_type_known CHECK (
        content_type IN ('application/pdf', 'image/jpeg', 'image/png', 'image/webp')
    ),
    CONSTRAINT expense_attachments_size CHECK (
        size_bytes = length(content)
        AND size_bytes BETWEEN 1 AND 8388608
    ),
    CONSTRAINT expense_attachments_hash CHECK (sha256 = sha256(content))
);

-- Lists, the oldest first.
CREATE INDEX expense_attachments_list_idx ON treasury.expense_attachments (expense, created_at, id);

GRANT SELECT, INSERT ON treasury.expense_attachments TO cagnotte_service;

ALTER TABLE treasury.expense_attachments ENABLE ROW LEVEL SECURITY;
CREATE POLICY expense_attachments_scope ON treasury.expense_attachments
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE bank.lines
    -- The line that it is a part of; NULL for a line as the bank reported it.
    ADD COLUMN split_from uuid,
    -- The expenses that were owed on import and whose payee, or whose number, the text of the line names.
    ADD COLUMN payee_named uuid[] NOT NULL DEFAULT '{}',
    ADD COLUMN document_named uuid[] NOT NULL DEFAULT '{}';

-- A line that is split is replaced by its parts. Those of a split that was undone are withdrawn.
ALTER TABLE bank.lines DROP CONSTRAINT lines_state_known;
ALTER TABLE bank.lines ADD CONSTRAINT lines_state_listed CHECK (state IN (
    'unmatched', 'suggested', 'matched', 'ignored', 'split', 'withdrawn'
)) NOT VALID;
ALTER TABLE bank.lines ADD CONSTRAINT lines_split_once CHECK (split_from IS NULL OR state <> 'split') NOT VALID;
ALTER TABLE bank.lines ADD CONSTRAINT lines_withdrawn_part CHECK (split_from IS NOT NULL OR state <> 'withdrawn') NOT VALID;
ALTER TABLE bank.lines ADD CONSTRAINT lines_split_fkey FOREIGN KEY (split_from) REFERENCES bank.lines (id) NOT VALID;

-- What the bank reported does not change. A line that is matched, ignored or split can be opened again; a part that is
-- withdrawn stays so.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION bank.check_line() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    IF (OLD.id, OLD.collective, OLD.account, OLD.line_key, OLD.statement, OLD.booked_on, OLD.amount_minor, OLD.currency,
        OLD.bank_reference, OLD.pledge, OLD.split_from, OLD.payee_named, OLD.document_named, OLD.created_at)
        IS DISTINCT FROM
       (NEW.id, NEW.collective, NEW.account, NEW.line_key, NEW.statement, NEW.booked_on, NEW.amount_minor, NEW.currency,
        NEW.bank_reference, NEW.pledge, NEW.split_from, NEW.payee_named, NEW.document_named, NEW.created_at)
        OR NEW.attempt < OLD.attempt
    THEN
        RAISE EXCEPTION 'what the bank reported does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'lines_immutable';
    END IF;
    IF NEW.state <> OLD.state
        AND (OLD.state = 'withdrawn' OR OLD.state IN ('matched', 'ignored', 'split') AND NEW.state <> 'unmatched')
    THEN
        RAISE EXCEPTION 'a bank line that is % must be unmatched first', OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'lines_state_steps';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

-- The parts of a split line add up to it when the transaction ends, and no other line has parts that are not withdrawn.
-- +goose StatementBegin
CREATE FUNCTION bank.check_split() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
DECLARE
    whole_id uuid := coalesce(NEW.split_from, NEW.id);
BEGIN
    IF EXISTS (
        SELECT
        FROM bank.lines AS w
        CROSS JOIN LATERAL (
            SELECT
                count(*) AS parts,
                coalesce(sum(p.amount_minor), 0) AS amount_minor,
                bool_and(p.collective = w.collective AND p.currency = w.currency AND p.booked_on = w.booked_on) AS alike
            FROM bank.lines AS p
            WHERE p.split_from = w.id
                AND p.state <> 'withdrawn'
        ) AS s
        WHERE w.id = whole_id
            AND CASE w.state
                WHEN 'split' THEN s.parts < 2 OR s.amount_minor <> w.amount_minor OR NOT s.alike
                ELSE s.parts > 0
            END
    ) THEN
        RAISE EXCEPTION 'the parts of a split bank line must add up to it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'lines_split_sum';
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE CONSTRAINT TRIGGER lines_check_part
    AFTER INSERT ON bank.lines
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW
    WHEN (NEW.split_from IS NOT NULL)
    EXECUTE FUNCTION bank.check_split();

CREATE CONSTRAINT TRIGGER lines_check_split
    AFTER UPDATE OF state ON bank.lines
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW
    WHEN (NEW.split_from IS NOT NULL OR OLD.state = 'split' OR NEW.state = 'split')
    EXECUTE FUNCTION bank.check_split();

-- Reversals, conversions, charts that a book changes for itself, and what lists of the books are read by.
--
-- Safe on a live database: it makes new objects, and one index over what is no donation, which is built in
-- moments. Postings wait for that, and what Stripe tells meanwhile is taken up after.

-- +goose Up

-- Which transaction a reversal takes back, wholly or in part. The reversal itself is a transaction like others.
-- There are no foreign keys: the trigger below checks the same, and what it looks up can never be removed.
CREATE TABLE ledger.reversals (
    transaction_id bigint NOT NULL,
    original_id    bigint NOT NULL,
    CONSTRAINT reversals_pkey PRIMARY KEY (transaction_id)
);

CREATE INDEX reversals_original_idx ON ledger.reversals (original_id, transaction_id);

-- Lists by kind. Donations are most of what there is, so lists of them find enough in the order of time; and
-- posting a donation does not pay for this.
CREATE INDEX transactions_kind_idx ON ledger.transactions (book, kind, effective_at, id) WHERE kind <> 'donation';

-- What is left of a transaction, turned round: what was debited to an account, for a collective, campaign and
-- donation, less what reversals credited to the same; and what was credited likewise. Both sides by
-- themselves, since a fee that was taken from a sum does not make the sum smaller. Reversals count
-- when their id is smaller than before_id. What was taken back too often has the wrong sign.
-- +goose StatementBegin
CREATE FUNCTION ledger.left_of(of_transaction bigint, before_id bigint)
RETURNS TABLE (
    line smallint,
    amount bigint,
    debit boolean,
    account_id integer,
    currency text,
    collective text,
    campaign text,
    donation uuid
)
LANGUAGE sql
STABLE
SET enable_seqscan = off
SET enable_mergejoin = off
SET enable_hashjoin = off
AS $$
    SELECT
        min(e.line)::smallint,
        -sum(e.amount)::bigint,
        e.debit,
        e.account_id,
        e.currency,
        e.collective,
        e.campaign,
        e.donation
    FROM (
        SELECT
            o.line,
            o.amount,
            o.amount > 0 AS debit,
            o.account_id,
            o.currency,
            o.collective,
            o.campaign,
            o.donation
        FROM ledger.entries AS o
        WHERE o.transaction_id = of_transaction
        UNION ALL
        SELECT
            -- What the original has not sorts last.
            32767::smallint,
            b.amount,
            b.amount < 0,
            b.account_id,
            b.currency,
            b.collective,
            b.campaign,
            b.donation
        FROM ledger.reversals AS r
        JOIN ledger.entries AS b ON b.transaction_id = r.transaction_id
        WHERE r.original_id = of_transaction
            AND r.transaction_id < before_id
    ) AS e
    GROUP BY
        e.debit,
        e.account_id,
        e.currency,
        e.collective,
        e.campaign,
        e.donation
    HAVING sum(e.amount) <> 0
$$;
-- +goose StatementEnd

-- Reversals of one original come one after the other, by a lock that nobody else takes: then what each
-- leaves is known to the next. That needs a fresh snapshot after the lock, and so READ COMMITTED.
-- +goose StatementBegin
CREATE FUNCTION ledger.check_reversals() RETURNS trigger
LANGUAGE plpgsql
SET enable_seqscan = off
SET enable_mergejoin = off
SET enable_hashjoin = off
AS $$
DECLARE
    broken text;
    reversed bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'a reversal is written READ COMMITTED'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'reversals_read_committed';
    END IF;
    FOR reversed IN SELECT DISTINCT original_id FROM added ORDER BY original_id LOOP
        PERFORM ledger.lock_original(reversed);
    END LOOP;
    SELECT checked.broken INTO broken
    FROM (
        SELECT CASE
                WHEN t.id IS NULL OR o.id IS NULL THEN 'reversals_known'
                WHEN t.kind <> 'reversal' OR t.xid <> pg_catalog.pg_current_xact_id() THEN 'reversals_kind'
                WHEN t.book <> o.book THEN 'reversals_same_book'
                WHEN o.kind = 'reversal' THEN 'reversals_of_original'
                WHEN EXISTS (
                    SELECT
                    FROM ledger.left_of(o.id, 9223372036854775807) AS l
                    WHERE (l.amount > 0) = l.debit
                ) THEN 'reversals_within_original'
            END AS broken
        FROM added AS a
        LEFT JOIN ledger.transactions AS t ON t.id = a.transaction_id
        LEFT JOIN ledger.transactions AS o ON o.id = a.original_id
    ) AS checked
    WHERE checked.broken IS NOT NULL
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'a reversal is refused: %', broken
            USING ERRCODE = 'check_violation', CONSTRAINT = broken;
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- The lock ends with the database transaction. The service may not lock the original's own row: that
-- takes the right to update it.
CREATE FUNCTION ledger.lock_original(of_transaction bigint) RETURNS void
LANGUAGE sql
AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('cagnotte ledger reversal ' || of_transaction, 0))
$$;

CREATE TRIGGER reversals_check AFTER INSERT ON ledger.reversals
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_reversals();
CREATE TRIGGER reversals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.reversals
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

-- What a transaction in the book's currency was before Stripe converted it. It explains amounts and is none:
-- nothing sums it, so it is outside what is hashed, and may come after the transaction. One of no
-- transaction would explain nothing and harm nobody, so no key refuses it.
CREATE TABLE ledger.conversions (
    transaction_id    bigint  NOT NULL,
    -- The transaction's amount is about the original's times the rate, before fees.
    rate              numeric NOT NULL,
    -- Both or neither: Stripe does not tell it for everything that it converts.
    original_minor    bigint,
    original_currency text COLLATE "C",
    CONSTRAINT conversions_pkey PRIMARY KEY (transaction_id),
    CONSTRAINT conversions_rate_positive CHECK (rate > 0 AND rate < 1e12),
    CONSTRAINT conversions_original_whole CHECK ((original_minor IS NULL) = (original_currency IS NULL)),
    CONSTRAINT conversions_currency_code CHECK (original_currency ~ '^[A-Z]{3}$')
);

CREATE TRIGGER conversions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.conversions
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

-- Which account plays a role may be chosen until the book's first transaction: what a campaign received is
-- read from the accounts of its roles, and another one would forget the donations before. The lock waits for
-- posters that have not committed; the function has its owner's rights because taking it needs them.
-- +goose StatementBegin
CREATE FUNCTION ledger.check_role() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NEW.role IN ('donations', 'refunds', 'disputes') AND NOT EXISTS (
        SELECT
        FROM ledger.accounts AS a
        WHERE a.id = NEW.account_id
            AND a.type IN ('income', 'expense')
    ) THEN
        RAISE EXCEPTION 'the role % is played by an account of income or expense', NEW.role
            USING ERRCODE = 'check_violation', CONSTRAINT = 'roles_nominal';
    END IF;
    IF TG_OP = 'UPDATE' AND NEW IS DISTINCT FROM OLD THEN
        LOCK TABLE ledger.transactions IN SHARE MODE;
        IF EXISTS (SELECT FROM ledger.transactions AS t WHERE t.book = OLD.book) THEN
            RAISE EXCEPTION 'the book has transactions'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'roles_book_unused';
        END IF;
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

-- For each row: a book has ten.
CREATE TRIGGER roles_check BEFORE INSERT OR UPDATE ON ledger.roles
    FOR EACH ROW EXECUTE FUNCTION ledger.check_role();
CREATE TRIGGER roles_append_only BEFORE DELETE OR TRUNCATE ON ledger.roles
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

-- Names may be put right at any time; codes and types never change.
GRANT UPDATE (display_name) ON ledger.accounts TO cagnotte_service;
GRANT UPDATE (account_id) ON ledger.roles TO cagnotte_service;

GRANT SELECT ON ledger.conversions TO cagnotte_service;
GRANT INSERT (transaction_id, rate, original_minor, original_currency) ON ledger.conversions TO cagnotte_service;
GRANT SELECT ON ledger.reversals TO cagnotte_service;
GRANT INSERT (transaction_id, original_id) ON ledger.reversals TO cagnotte_service;
REVOKE ALL ON FUNCTION ledger.left_of, ledger.lock_original FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.left_of, ledger.lock_original TO cagnotte_service;

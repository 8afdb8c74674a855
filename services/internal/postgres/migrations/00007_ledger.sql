-- The books: double-entry, append-only, sealed in a Merkle tree. The database itself refuses what must never be true.
--
-- Three things are missing on purpose:
--   * Foreign keys from transactions and entries. They would be a trigger for each row, and would lock the one row of
--     the book or the account that all postings share. The triggers below check the same once for each statement, and
--     the rows that they look up are never removed.
--   * A number in the transaction's row. The sealer numbers what no older running database transaction can still
--     precede, that is xid below pg_snapshot_xmin, in the table seals.
--   * A running balance. All postings would wait for its row.

-- +goose Up

CREATE SCHEMA IF NOT EXISTS ledger;
REVOKE ALL ON SCHEMA ledger FROM PUBLIC;
GRANT USAGE ON SCHEMA ledger TO cagnotte_service;

-- A correction is a new transaction, so changes are refused to every role, the owner included.
-- +goose StatementBegin
CREATE FUNCTION ledger.refuse_change() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION '% on ledger.% is refused: the books are append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_TABLE_NAME || '_append_only';
END
$$;
-- +goose StatementEnd

-- The books of one Stripe account: one currency, one chart of accounts.
CREATE TABLE ledger.books (
    -- The Stripe account: 'acct_…', or '' for the platform's own.
    id         text COLLATE "C" NOT NULL,
    -- The name of the chart that its accounts were made from.
    chart      text             NOT NULL,
    currency   text COLLATE "C" NOT NULL,
    created_at timestamptz      NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT books_pkey PRIMARY KEY (id),
    CONSTRAINT books_id_length CHECK (length(id) <= 255),
    CONSTRAINT books_currency_code CHECK (currency ~ '^[A-Z]{3}$')
);

CREATE TRIGGER books_append_only
    BEFORE UPDATE OF id, currency OR DELETE OR TRUNCATE ON ledger.books
    FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.refuse_change();

GRANT SELECT, INSERT (id, chart, currency) ON ledger.books TO cagnotte_service;

-- An account of a book. Its name may be corrected; its code and type never change, because entries refer to them.
CREATE TABLE ledger.accounts (
    -- Four bytes in every entry, where the code would take up to 32.
    id           integer          GENERATED ALWAYS AS IDENTITY,
    book         text COLLATE "C" NOT NULL,
    code         text COLLATE "C" NOT NULL,
    display_name text             NOT NULL,
    type         text COLLATE "C" NOT NULL,

    CONSTRAINT accounts_pkey PRIMARY KEY (id),
    CONSTRAINT accounts_code_key UNIQUE (book, code),
    -- For roles: a role refers to an account of its own book.
    CONSTRAINT accounts_book_id_key UNIQUE (book, id),
    CONSTRAINT accounts_book_fkey FOREIGN KEY (book) REFERENCES ledger.books (id),
    CONSTRAINT accounts_code_form CHECK (code ~ '^[0-9A-Z][0-9A-Z-]{0,31}$'),
    CONSTRAINT accounts_display_name_length CHECK (length(display_name) BETWEEN 1 AND 255),
    CONSTRAINT accounts_type_known CHECK (type IN ('asset', 'liability', 'equity', 'income', 'expense'))
);

CREATE TRIGGER accounts_append_only
    BEFORE UPDATE OF id, book, code, type OR DELETE OR TRUNCATE ON ledger.accounts
    FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.refuse_change();

GRANT SELECT, INSERT (book, code, display_name, type), UPDATE (display_name) ON ledger.accounts TO cagnotte_service;

-- Which account plays a role in a book, such as donations or fees: the program knows roles, not codes. A chart that
-- does not separate donations from refunds gives both roles to one account, so the role is no column of accounts.
CREATE TABLE ledger.roles (
    book       text COLLATE "C" NOT NULL,
    role       text COLLATE "C" NOT NULL,
    account_id integer          NOT NULL,

    CONSTRAINT roles_pkey PRIMARY KEY (book, role),
    CONSTRAINT roles_account_fkey FOREIGN KEY (book, account_id) REFERENCES ledger.accounts (book, id),
    CONSTRAINT roles_role_form CHECK (role ~ '^[a-z][a-z_]{0,39}$')
);

-- The account of a role may be chosen until the book's first transaction. What a campaign received is read from the
-- accounts of its roles, so another account would leave out the earlier donations. The table lock waits for postings
-- that have not committed, and taking it needs the owner's rights, so the function has them.
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
        RAISE EXCEPTION 'the role % needs an account of income or expense', NEW.role
            USING ERRCODE = 'check_violation', CONSTRAINT = 'roles_nominal';
    END IF;
    IF TG_OP = 'UPDATE' AND NEW IS DISTINCT FROM OLD THEN
        LOCK TABLE ledger.transactions IN SHARE MODE;
        IF EXISTS (SELECT FROM ledger.transactions AS t WHERE t.book = OLD.book) THEN
            RAISE EXCEPTION 'the roles of a book with transactions do not change'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'roles_book_unused';
        END IF;
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

-- FOR EACH ROW, since a book has ten roles.
CREATE TRIGGER roles_check
    BEFORE INSERT OR UPDATE ON ledger.roles
    FOR EACH ROW
    EXECUTE FUNCTION ledger.check_role();
CREATE TRIGGER roles_append_only
    BEFORE DELETE OR TRUNCATE ON ledger.roles
    FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.refuse_change();

GRANT SELECT, INSERT (book, role, account_id), UPDATE (account_id) ON ledger.roles TO cagnotte_service;

-- The rules of single columns are domains: Postgres keeps a domain's rule for the session, but reads a table's CHECK
-- again for each statement.
CREATE DOMAIN ledger.reference AS text COLLATE "C"
    CONSTRAINT transactions_reference_length CHECK (length(VALUE) BETWEEN 1 AND 255);
CREATE DOMAIN ledger.kind AS text COLLATE "C"
    CONSTRAINT transactions_kind_form CHECK (VALUE ~ '^[a-z][a-z_]{0,39}$');
CREATE DOMAIN ledger.finite_time AS timestamptz
    CONSTRAINT transactions_effective_at_finite CHECK (isfinite(VALUE));
-- SHA-256.
CREATE DOMAIN ledger.fingerprint AS bytea
    CONSTRAINT transactions_fingerprint_length CHECK (length(VALUE) = 32);
CREATE DOMAIN ledger.entry_count AS smallint
    CONSTRAINT transactions_not_empty CHECK (VALUE > 0);
CREATE DOMAIN ledger.line AS smallint
    CONSTRAINT entries_line_positive CHECK (VALUE > 0);
CREATE DOMAIN ledger.amount AS bigint
    CONSTRAINT entries_amount_not_zero CHECK (VALUE <> 0);
CREATE DOMAIN ledger.currency AS text COLLATE "C"
    CONSTRAINT entries_currency_code CHECK (VALUE ~ '^[A-Z]{3}$');
-- A slug, or '' for none.
CREATE DOMAIN ledger.dimension AS text COLLATE "C"
    CONSTRAINT entries_dimensions_length CHECK (length(VALUE) <= 64);

-- A transaction of a book: the head of its entries. Columns of fixed width come first, so that rows have no padding.
CREATE TABLE ledger.transactions (
    -- It has gaps, and its order is not the order of commits.
    id           bigint             GENERATED ALWAYS AS IDENTITY,
    -- When it happened.
    effective_at ledger.finite_time NOT NULL,
    -- When it was written.
    recorded_at  timestamptz        NOT NULL DEFAULT clock_timestamp(),
    -- The database transaction that wrote it: the sealer's order.
    xid          xid8               NOT NULL DEFAULT pg_current_xact_id(),
    entry_count  ledger.entry_count NOT NULL,
    book         text COLLATE "C"   NOT NULL,
    -- The caller's name for it. The same reference again is the same posting, or a mistake: fingerprint tells which.
    reference    ledger.reference   NOT NULL,
    kind         ledger.kind        NOT NULL,
    -- SHA-256 of the content as it was asked for.
    fingerprint  ledger.fingerprint NOT NULL,

    CONSTRAINT transactions_pkey PRIMARY KEY (id),
    CONSTRAINT transactions_reference_key UNIQUE (book, reference)
);

-- A book's transactions in the order of sealing. The book comes first, so that the unsealed rest of an idle book is
-- found without reading what other books posted since.
CREATE INDEX transactions_seal_idx ON ledger.transactions (book, xid, id);
-- Lists by kind. Most transactions are donations, so a list of those finds enough in the order of time, and posting a
-- donation does not pay for this index.
CREATE INDEX transactions_kind_idx ON ledger.transactions (book, kind, effective_at, id)
    WHERE kind <> 'donation';

-- A line of a transaction. The lines of a transaction, per collective and currency, add up to zero.
CREATE TABLE ledger.entries (
    transaction_id bigint           NOT NULL,
    -- In the currency's minor unit: a debit is positive, a credit negative.
    amount         ledger.amount    NOT NULL,
    -- That of the transaction, repeated so that one index has a collective's entries in order.
    effective_at   timestamptz      NOT NULL,
    -- That of the transaction, repeated so that an index finds a campaign's entries after the stored balances.
    xid            xid8             NOT NULL DEFAULT pg_current_xact_id(),
    account_id     integer          NOT NULL,
    -- 1 to the transaction's entry_count.
    line           ledger.line      NOT NULL,
    -- Whether the account is nominal, that is of income or expense; repeated so that entries_campaign_idx stays small.
    nominal        boolean          NOT NULL,
    donation       uuid,
    currency       ledger.currency  NOT NULL,
    -- The dimensions.
    collective     ledger.dimension NOT NULL,
    campaign       ledger.dimension NOT NULL,

    CONSTRAINT entries_pkey PRIMARY KEY (transaction_id, line),
    CONSTRAINT entries_campaign_of_collective CHECK (campaign = '' OR collective <> ''),
    CONSTRAINT entries_donation_of_campaign CHECK (donation IS NULL OR campaign <> '')
);

-- A collective's entries in order of time: lists, exports, and the part of a day in a balance. New entries come at the
-- end of their collective, so the pages stay full and warm. Postgres stores the key that a transaction's entries share
-- once; with the amount in it the keys would differ, and the index would be several times as large.
CREATE INDEX entries_time_idx ON ledger.entries (collective, effective_at, transaction_id);
-- The accounts, and so the books, of a campaign, and its entries after the stored balances. Half of a donation's
-- entries are in it. Postgres stores repeated keys once, which an INCLUDE would prevent.
CREATE INDEX entries_campaign_idx ON ledger.entries (collective, campaign, account_id, xid)
    WHERE nominal;

-- The two functions below check what a statement inserted, once. They turn plan types off, because a session keeps the
-- plan that it made first, perhaps for an empty table: a scan or a merge of the whole table would be right then, and
-- ruinous later. Sub-queries for one value are look-ups anyway, but for the scan. Each function is one query, since
-- starting a query costs more than checking a donation. The functions run with the rights of the caller and qualify all
-- names, so they need no search_path of their own.
--
-- A transaction has entries, bears the xid of its database transaction, and is in no closed period. The function is
-- volatile, so it sees a closing that was committed while the posting ran.
-- +goose StatementBegin
CREATE FUNCTION ledger.check_transactions() RETURNS trigger
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
DECLARE
    broken text;
BEGIN
    SELECT checked.broken INTO broken
    FROM (
        SELECT CASE
                WHEN t.xid <> pg_catalog.pg_current_xact_id() THEN 'transactions_xid_own'
                -- Where line 1 exists, check_entries has checked the others.
                WHEN (
                    SELECT e.line
                    FROM ledger.entries AS e
                    WHERE e.transaction_id = t.id
                        AND e.line = 1
                ) IS NULL THEN 'transactions_not_empty'
                WHEN (
                    SELECT true
                    FROM ledger.closings AS c
                    WHERE c.book = t.book
                        AND c.ends_at > t.effective_at
                        AND (
                            c.collective = ''
                            OR (
                                SELECT true
                                FROM ledger.entries AS e
                                WHERE e.transaction_id = t.id
                                    AND e.collective = c.collective
                                LIMIT 1
                            )
                        )
                    LIMIT 1
                ) THEN 'transactions_period_open'
            END AS broken
        FROM added AS t
    ) AS checked
    WHERE checked.broken IS NOT NULL
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'a transaction is refused: %', broken
            USING ERRCODE = 'check_violation', CONSTRAINT = broken;
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- The entries of a transaction come in one statement, balance, and repeat the transaction's columns truly.
-- +goose StatementBegin
CREATE FUNCTION ledger.check_entries() RETURNS trigger
LANGUAGE plpgsql
SET enable_seqscan = off
SET enable_mergejoin = off
SET enable_hashjoin = off
AS $$
DECLARE
    broken text;
BEGIN
    -- Entries balance per collective, so that each share balances by itself, and with them the whole. All lines of a
    -- transaction come in one statement, 1 to entry_count, which cannot change: so nothing can be added later.
    SELECT checked.broken INTO broken
    FROM (
        SELECT CASE
                WHEN NOT c.balanced THEN 'entries_balanced'
                WHEN t.id IS NULL THEN 'entries_transaction_known'
                WHEN NOT c.known OR c.first_book <> t.book OR c.last_book <> t.book THEN 'entries_account_known'
                WHEN c.count <> t.entry_count OR c.last_line <> t.entry_count THEN 'entries_complete'
                WHEN c.first_at <> t.effective_at OR c.last_at <> t.effective_at THEN 'entries_effective_at_same'
                WHEN NOT c.nominal_same THEN 'entries_nominal_same'
                WHEN NOT c.xid_own THEN 'entries_xid_own'
            END AS broken
        FROM (
            SELECT
                s.transaction_id,
                bool_and(s.balanced) AS balanced,
                sum(s.count) AS count,
                max(s.last_line) AS last_line,
                min(s.first_at) AS first_at,
                max(s.last_at) AS last_at,
                min(s.first_book) AS first_book,
                max(s.last_book) AS last_book,
                bool_and(s.known) AS known,
                bool_and(s.nominal_same) AS nominal_same,
                bool_and(s.xid_own) AS xid_own
            FROM (
                SELECT
                    e.transaction_id,
                    sum(e.amount) = 0 AS balanced,
                    count(*) AS count,
                    max(e.line) AS last_line,
                    min(e.effective_at) AS first_at,
                    max(e.effective_at) AS last_at,
                    min(a.book) AS first_book,
                    max(a.book) AS last_book,
                    count(*) = count(a.id) AS known,
                    bool_and(e.nominal = (a.type IN ('income', 'expense'))) AS nominal_same,
                    bool_and(e.xid = pg_catalog.pg_current_xact_id()) AS xid_own
                FROM added AS e
                LEFT JOIN ledger.accounts AS a ON a.id = e.account_id
                GROUP BY
                    e.transaction_id,
                    e.currency,
                    e.collective
            ) AS s
            GROUP BY s.transaction_id
        ) AS c
        LEFT JOIN ledger.transactions AS t ON t.id = c.transaction_id
    ) AS checked
    WHERE checked.broken IS NOT NULL
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the entries of a transaction are refused: %', broken
            USING ERRCODE = 'check_violation', CONSTRAINT = broken;
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER transactions_check
    AFTER INSERT ON ledger.transactions
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.check_transactions();
CREATE TRIGGER transactions_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.transactions
    FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER entries_check
    AFTER INSERT ON ledger.entries
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.check_entries();
CREATE TRIGGER entries_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.entries
    FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.refuse_change();

-- The service adds and reads. Ids, times of writing and xids are not granted, so that it cannot forge them.
GRANT SELECT, INSERT (effective_at, entry_count, book, reference, kind, fingerprint)
    ON ledger.transactions TO cagnotte_service;
GRANT SELECT, INSERT (
    transaction_id,
    amount,
    effective_at,
    account_id,
    line,
    nominal,
    donation,
    currency,
    collective,
    campaign
) ON ledger.entries TO cagnotte_service;

-- Compares what was asked for under known references with what was posted under them. A difference ends the database
-- transaction, so a caller that ignores the error cannot commit half of a batch.
-- +goose StatementBegin
CREATE FUNCTION ledger.require_same_content(of_book text, asked_references text[], asked_fingerprints bytea[])
RETURNS void
LANGUAGE plpgsql
SET enable_seqscan = off
SET enable_mergejoin = off
SET enable_hashjoin = off
AS $$
DECLARE
    reused text;
BEGIN
    SELECT asked.reference INTO reused
    FROM unnest(asked_references, asked_fingerprints) AS asked (reference, fingerprint)
    LEFT JOIN ledger.transactions AS t ON t.book = of_book AND t.reference = asked.reference
    WHERE t.fingerprint IS DISTINCT FROM asked.fingerprint
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the reference % is already used for another content', reused
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'transactions_reference_reused';
    END IF;
END
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION ledger.require_same_content FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.require_same_content TO cagnotte_service;

-- The transaction that a reversal takes back, wholly or in part. The reversal itself is a row of transactions.
CREATE TABLE ledger.reversals (
    transaction_id bigint NOT NULL,
    original_id    bigint NOT NULL,

    CONSTRAINT reversals_pkey PRIMARY KEY (transaction_id)
);

-- The reversals of an original: what is left of it.
CREATE INDEX reversals_original_idx ON ledger.reversals (original_id, transaction_id);

-- What is left of a transaction, negated. Debits and credits of an account, collective, campaign and donation are kept
-- apart: a debit less what reversals credited to it, and a credit less what they debited. A fee that was taken from a
-- sum does not make the sum smaller. Reversals count when their id is below before_id. An amount that was reversed too
-- often has the wrong sign.
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
            -- A line that the original does not have sorts last.
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

-- One reversal of an original at a time, until the end of the database transaction. It is an advisory lock, because
-- locking the original's own row needs the right to update it.
-- +goose StatementBegin
CREATE FUNCTION ledger.lock_original(of_transaction bigint) RETURNS void
LANGUAGE sql
AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('cagnotte ledger reversal ' || of_transaction, 0))
$$;
-- +goose StatementEnd

-- Reversals of one original wait for each other, so that each knows what those before it left. After the wait they need
-- a new snapshot, and so READ COMMITTED.
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
        RAISE EXCEPTION 'a reversal must be written at the isolation level READ COMMITTED'
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

CREATE TRIGGER reversals_check
    AFTER INSERT ON ledger.reversals
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.check_reversals();
CREATE TRIGGER reversals_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.reversals
    FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.refuse_change();

GRANT SELECT, INSERT (transaction_id, original_id) ON ledger.reversals TO cagnotte_service;
REVOKE ALL ON FUNCTION ledger.left_of, ledger.lock_original FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.left_of, ledger.lock_original TO cagnotte_service;

-- The transaction that a reclassification corrects: a bookkeeper moved an amount to another account or campaign, and no
-- money moved. The reclassification itself is a row of transactions.
CREATE TABLE ledger.reclassifications (
    transaction_id bigint NOT NULL,
    original_id    bigint NOT NULL,

    CONSTRAINT reclassifications_pkey PRIMARY KEY (transaction_id)
);

-- The reclassifications of an original.
CREATE INDEX reclassifications_original_idx ON ledger.reclassifications (original_id, transaction_id);

-- A reclassification touches no account that money stands on, and no donation.
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

CREATE TRIGGER reclassifications_check
    AFTER INSERT ON ledger.reclassifications
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.check_reclassifications();
CREATE TRIGGER reclassifications_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.reclassifications
    FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.refuse_change();

GRANT SELECT, INSERT (transaction_id, original_id) ON ledger.reclassifications TO cagnotte_service;

-- What a transaction was before Stripe converted it into the book's currency. It documents an amount and is none:
-- nothing adds it up, so it is outside of what is hashed, and may be written after the transaction. A row without its
-- transaction would do no harm, so no trigger checks that there is one.
CREATE TABLE ledger.conversions (
    transaction_id    bigint  NOT NULL,
    -- The transaction's amount is about the original amount times the rate, before fees.
    rate              numeric NOT NULL,
    -- Both or neither: Stripe does not report them for everything that it converts.
    original_minor    bigint,
    original_currency text COLLATE "C",

    CONSTRAINT conversions_pkey PRIMARY KEY (transaction_id),
    CONSTRAINT conversions_rate_positive CHECK (rate > 0 AND rate < 1e12),
    CONSTRAINT conversions_original_whole CHECK ((original_minor IS NULL) = (original_currency IS NULL)),
    CONSTRAINT conversions_currency_code CHECK (original_currency ~ '^[A-Z]{3}$')
);

CREATE TRIGGER conversions_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.conversions
    FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.refuse_change();

GRANT SELECT, INSERT (transaction_id, rate, original_minor, original_currency)
    ON ledger.conversions TO cagnotte_service;

-- The closing of a period: nothing of the collective's that happened before ends_at is posted any more. A closing of
-- the collective '' closes the whole book.
CREATE TABLE ledger.closings (
    ends_at    timestamptz      NOT NULL,
    closed_at  timestamptz      NOT NULL DEFAULT clock_timestamp(),
    -- Postings of older database transactions may still be running; no later one can enter the period.
    xid        xid8             NOT NULL DEFAULT pg_current_xact_id(),
    book       text COLLATE "C" NOT NULL,
    collective text COLLATE "C" NOT NULL,

    CONSTRAINT closings_pkey PRIMARY KEY (book, collective, ends_at),
    CONSTRAINT closings_book_fkey FOREIGN KEY (book) REFERENCES ledger.books (id),
    -- The closing of a period that is not over would refuse donations of this moment.
    CONSTRAINT closings_over CHECK (ends_at <= closed_at AND isfinite(ends_at)),
    CONSTRAINT closings_collective_length CHECK (length(collective) <= 64)
);

-- The closings after a transaction's time: one look-up for each posting.
CREATE INDEX closings_ends_at_idx ON ledger.closings (book, ends_at);

CREATE TRIGGER closings_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.closings
    FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.refuse_change();

GRANT SELECT, INSERT (ends_at, book, collective) ON ledger.closings TO cagnotte_service;

-- The order of a book: number N is leaf N - 1 of its Merkle tree (RFC 6962).
CREATE TABLE ledger.seals (
    number         bigint           NOT NULL,
    transaction_id bigint           NOT NULL,
    sealed_at      timestamptz      NOT NULL DEFAULT clock_timestamp(),
    -- The donation, where the transaction is about exactly one: its donor asks for a proof by it.
    donation       uuid,
    book           text COLLATE "C" NOT NULL,
    -- 32 random bytes, which are never published as they are. Without them a collective could guess the entries of
    -- another one from their hash.
    salt           bytea            NOT NULL,
    leaf_hash      bytea            NOT NULL,

    CONSTRAINT seals_pkey PRIMARY KEY (book, number),
    CONSTRAINT seals_transaction_key UNIQUE (transaction_id),
    CONSTRAINT seals_number_positive CHECK (number > 0),
    CONSTRAINT seals_salt_length CHECK (length(salt) = 32),
    CONSTRAINT seals_leaf_hash_length CHECK (length(leaf_hash) = 32)
);

-- The proof of a donation.
CREATE INDEX seals_donation_idx ON ledger.seals (donation, number)
    WHERE donation IS NOT NULL;

-- Whoever seals, the numbers of a book are 1, 2, 3 …, and reach no transaction that a running one could still precede.
-- They leave nothing out that is older, and so follow the order of xid and id.
-- +goose StatementBegin
CREATE FUNCTION ledger.check_seals() RETURNS trigger
LANGUAGE plpgsql
SET enable_seqscan = off
SET enable_mergejoin = off
SET enable_hashjoin = off
AS $$
DECLARE
    broken text;
BEGIN
    -- For each book the numbers continue from the last one. Between the transaction of that number and the last one
    -- that was added there are as many transactions as were added, and they are in the same order.
    SELECT checked.broken INTO broken
    FROM (
        SELECT CASE
                WHEN a.known <> a.count THEN 'seals_transaction_known'
                WHEN a.last - a.first + 1 <> a.count OR (a.first > 1 AND p.number IS NULL) THEN 'seals_gapless'
                WHEN a.last_xid >= pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()) THEN 'seals_settled'
                WHEN NOT a.ordered OR a.count <> (
                    SELECT count(*)
                    FROM ledger.transactions AS x
                    WHERE x.book = a.book
                        AND (x.xid, x.id) > (coalesce(b.xid, '0'), coalesce(b.id, 0))
                        AND (x.xid, x.id) <= (a.last_xid, a.last_id)
                ) THEN 'seals_complete'
            END AS broken
        FROM (
            SELECT
                o.book,
                count(*) AS count,
                count(o.id) AS known,
                min(o.number) AS first,
                max(o.number) AS last,
                (array_agg(o.xid ORDER BY o.xid DESC, o.id DESC))[1] AS last_xid,
                (array_agg(o.id ORDER BY o.xid DESC, o.id DESC))[1] AS last_id,
                bool_and(o.place = o.place_of_number) AS ordered
            FROM (
                SELECT
                    s.book,
                    s.number,
                    t.xid,
                    t.id,
                    row_number() OVER (PARTITION BY s.book ORDER BY t.xid, t.id) AS place,
                    row_number() OVER (PARTITION BY s.book ORDER BY s.number) AS place_of_number
                FROM added AS s
                LEFT JOIN ledger.transactions AS t ON t.id = s.transaction_id AND t.book = s.book
            ) AS o
            GROUP BY o.book
        ) AS a
        LEFT JOIN ledger.seals AS p ON p.book = a.book AND p.number = a.first - 1
        LEFT JOIN ledger.transactions AS b ON b.id = p.transaction_id
    ) AS checked
    WHERE checked.broken IS NOT NULL
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'seals are refused: %', broken
            USING ERRCODE = 'check_violation', CONSTRAINT = broken;
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER seals_check
    AFTER INSERT ON ledger.seals
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.check_seals();
CREATE TRIGGER seals_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.seals
    FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.refuse_change();

GRANT SELECT, INSERT (number, transaction_id, donation, book, salt, leaf_hash) ON ledger.seals TO cagnotte_service;

-- The hash of a complete subtree of 256^level leaves. With these, a node of the tree is made of 128 hashes at most,
-- whatever the size of the tree. There is one row for 255 seals.
CREATE TABLE ledger.subtrees (
    index bigint           NOT NULL,
    level smallint         NOT NULL,
    book  text COLLATE "C" NOT NULL,
    hash  bytea            NOT NULL,

    CONSTRAINT subtrees_pkey PRIMARY KEY (book, level, index),
    CONSTRAINT subtrees_position CHECK (level > 0 AND index >= 0),
    CONSTRAINT subtrees_hash_length CHECK (length(hash) = 32)
);

CREATE TRIGGER subtrees_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.subtrees
    FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.refuse_change();

GRANT SELECT, INSERT (index, level, book, hash) ON ledger.subtrees TO cagnotte_service;

-- A signed statement that a book has this root at this size. Each one proves that its tree begins with that of the one
-- before.
CREATE TABLE ledger.checkpoints (
    -- How many transactions the tree has.
    size          bigint           NOT NULL,
    -- The size of the checkpoint before; 0 for none.
    previous_size bigint           NOT NULL,
    signed_at     timestamptz      NOT NULL,
    -- The database transaction that wrote it: it tells which checkpoint was the newest in a snapshot, as a time or a
    -- size cannot.
    xid           xid8             NOT NULL DEFAULT pg_current_xact_id(),
    book          text COLLATE "C" NOT NULL,
    root          bytea            NOT NULL,
    -- The consistency proof between the two sizes (RFC 6962).
    consistency   bytea[]          NOT NULL,
    note          text             NOT NULL,
    -- The key that verifies the note's signature. It is another one after the program's secret key changed.
    verifier_key  text             NOT NULL,

    CONSTRAINT checkpoints_pkey PRIMARY KEY (book, size),
    CONSTRAINT checkpoints_sealed FOREIGN KEY (book, size) REFERENCES ledger.seals (book, number),
    CONSTRAINT checkpoints_previous CHECK (previous_size >= 0 AND previous_size < size),
    CONSTRAINT checkpoints_root_length CHECK (length(root) = 32)
);

-- A checkpoint is larger than the newest one, and names it as the one before.
-- +goose StatementBegin
CREATE FUNCTION ledger.check_checkpoints() RETURNS trigger
LANGUAGE plpgsql
SET enable_seqscan = off
SET enable_mergejoin = off
SET enable_hashjoin = off
AS $$
BEGIN
    IF EXISTS (
        SELECT
        FROM added AS a
        WHERE a.previous_size <> coalesce((
            SELECT max(c.size)
            FROM ledger.checkpoints AS c
            WHERE c.book = a.book
                AND c.size <> a.size
        ), 0)
    ) THEN
        RAISE EXCEPTION 'a checkpoint must follow the newest one'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'checkpoints_chained';
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER checkpoints_check
    AFTER INSERT ON ledger.checkpoints
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.check_checkpoints();
CREATE TRIGGER checkpoints_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.checkpoints
    FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.refuse_change();

GRANT SELECT, INSERT (size, previous_size, signed_at, book, root, consistency, note, verifier_key)
    ON ledger.checkpoints TO cagnotte_service;

-- In how many of a book's first transactions a collective has entries. There is a row for each checkpoint at which the
-- count had changed, so the newest row up to a number has the count at that number. Checkpoints sign these counts: an
-- export proves that none of the collective's transactions is missing.
CREATE TABLE ledger.shares (
    number     bigint           NOT NULL,
    count      bigint           NOT NULL,
    book       text COLLATE "C" NOT NULL,
    -- '' for what belongs to no collective.
    collective text COLLATE "C" NOT NULL,
    -- Its leaf in the tree of shares.
    hash       bytea            NOT NULL,

    CONSTRAINT shares_pkey PRIMARY KEY (book, collective, number),
    CONSTRAINT shares_sealed FOREIGN KEY (book, number) REFERENCES ledger.seals (book, number),
    CONSTRAINT shares_count_range CHECK (count BETWEEN 1 AND number),
    CONSTRAINT shares_hash_length CHECK (length(hash) = 32)
);

CREATE TRIGGER shares_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.shares
    FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.refuse_change();

GRANT SELECT, INSERT (number, count, book, collective, hash) ON ledger.shares TO cagnotte_service;

-- What a stored balance is the sum of: one account, collective, campaign and currency, over one span of effective time
-- in UTC. A balance as of any time is the sum of whole years, months and days before it and of a part of one day. A
-- back-dated entry adds to the spans that it belongs to and leaves the others true, so balances of the past stay exact.
CREATE TABLE ledger.balance_keys (
    id         bigint           GENERATED ALWAYS AS IDENTITY,
    account_id integer          NOT NULL,
    -- The first day of the span; '-infinity' for the span 'all'.
    starts_on  date             NOT NULL,
    span       text COLLATE "C" NOT NULL,
    currency   text COLLATE "C" NOT NULL,
    collective text COLLATE "C" NOT NULL,
    campaign   text COLLATE "C" NOT NULL,

    CONSTRAINT balance_keys_pkey PRIMARY KEY (id),
    CONSTRAINT balance_keys_key UNIQUE (collective, span, starts_on, campaign, account_id, currency),
    CONSTRAINT balance_keys_account_fkey FOREIGN KEY (account_id) REFERENCES ledger.accounts (id),
    CONSTRAINT balance_keys_span_known CHECK (span IN ('all', 'year', 'month', 'day')),
    CONSTRAINT balance_keys_starts_on_span CHECK (
        CASE span
            WHEN 'all' THEN starts_on = '-infinity'
            ELSE starts_on = date_trunc(span, starts_on::timestamp)::date
        END
    )
);

-- What an account has in the whole book, over all collectives: the comparison with Stripe's balance.
CREATE INDEX balance_keys_all_idx ON ledger.balance_keys (account_id)
    WHERE span = 'all';

CREATE TRIGGER balance_keys_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.balance_keys
    FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.refuse_change();

GRANT SELECT, INSERT (account_id, starts_on, span, currency, collective, campaign)
    ON ledger.balance_keys TO cagnotte_service;

-- The sum of a key's entries in the transactions 1 to number of its book. There is a row for each balance checkpoint at
-- which the sum had changed, so the newest row is the sum at the newest balance checkpoint.
CREATE TABLE ledger.balances (
    key_id  bigint NOT NULL,
    number  bigint NOT NULL,
    balance bigint NOT NULL,

    CONSTRAINT balances_pkey PRIMARY KEY (key_id, number) INCLUDE (balance),
    CONSTRAINT balances_key_fkey FOREIGN KEY (key_id) REFERENCES ledger.balance_keys (id)
);

-- What changed at a balance checkpoint.
CREATE INDEX balances_number_idx ON ledger.balances (number, key_id);

CREATE TRIGGER balances_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.balances
    FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.refuse_change();

GRANT SELECT, INSERT (key_id, number, balance) ON ledger.balances TO cagnotte_service;

-- Up to which number the balances of a book are stored. Later transactions are its tail, which is read from entries.
CREATE TABLE ledger.balance_checkpoints (
    number bigint           NOT NULL,
    book   text COLLATE "C" NOT NULL,

    CONSTRAINT balance_checkpoints_pkey PRIMARY KEY (book, number),
    CONSTRAINT balance_checkpoints_sealed FOREIGN KEY (book, number) REFERENCES ledger.seals (book, number)
);

CREATE TRIGGER balance_checkpoints_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.balance_checkpoints
    FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.refuse_change();

GRANT SELECT, INSERT (number, book) ON ledger.balance_checkpoints TO cagnotte_service;

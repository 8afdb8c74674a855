-- The books: what each service posts, insert-only and balanced, defended here and not in Go.
--
-- Safe on a live database: it only makes new objects, and reads and locks no table that exists.
--
-- Three things are missing on purpose:
--   * Foreign keys from transactions and entries. Each would be a trigger per row, and would lock
--     the one row of the book or the account that every posting shares. The triggers below check
--     the same, once a statement; nothing that they look up can ever be removed.
--   * A number in the transaction's row. The sealer numbers what no older running database
--     transaction can join any more, xid below pg_snapshot_xmin, in a table of its own.
--   * A running balance. It would be the row that all posters wait for.

-- +goose Up

CREATE TABLE ledger.books (
    -- The Stripe account: '' is the platform's own, else 'acct_…'.
    id         text COLLATE "C" NOT NULL,
    chart      text             NOT NULL,
    currency   text COLLATE "C" NOT NULL,
    created_at timestamptz      NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT books_pkey PRIMARY KEY (id),
    CONSTRAINT books_id_length CHECK (length(id) <= 255),
    CONSTRAINT books_currency_code CHECK (currency ~ '^[A-Z]{3}$')
);

CREATE TABLE ledger.accounts (
    -- Four bytes in every entry, where the code would have moved with a renumbering.
    id           integer GENERATED ALWAYS AS IDENTITY,
    book         text COLLATE "C" NOT NULL,
    code         text COLLATE "C" NOT NULL,
    display_name text             NOT NULL,
    type         text COLLATE "C" NOT NULL,
    CONSTRAINT accounts_pkey PRIMARY KEY (id),
    CONSTRAINT accounts_code_key UNIQUE (book, code),
    -- What roles refer to: an account of their own book.
    CONSTRAINT accounts_book_id_key UNIQUE (book, id),
    CONSTRAINT accounts_book_fkey FOREIGN KEY (book) REFERENCES ledger.books (id),
    CONSTRAINT accounts_code_form CHECK (code ~ '^[0-9A-Z][0-9A-Z-]{0,31}$'),
    CONSTRAINT accounts_display_name_length CHECK (length(display_name) BETWEEN 1 AND 255),
    CONSTRAINT accounts_type_known CHECK (type IN ('asset', 'liability', 'equity', 'income', 'expense'))
);

-- What code calls an account. A chart that does not tell donations from refunds gives one account
-- both roles, so this is not a column of accounts.
CREATE TABLE ledger.roles (
    book       text COLLATE "C" NOT NULL,
    role       text COLLATE "C" NOT NULL,
    account_id integer          NOT NULL,
    CONSTRAINT roles_pkey PRIMARY KEY (book, role),
    CONSTRAINT roles_account_fkey FOREIGN KEY (book, account_id) REFERENCES ledger.accounts (book, id),
    CONSTRAINT roles_role_form CHECK (role ~ '^[a-z][a-z_]{0,39}$')
);

-- What one column must be. A domain's rule is kept ready for the session, where a table's CHECK is read
-- anew for each statement.
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

CREATE TABLE ledger.transactions (
    -- Fixed widths first: no padding. The identity has gaps, and is not the order of commits.
    id           bigint GENERATED ALWAYS AS IDENTITY,
    effective_at ledger.finite_time NOT NULL,
    recorded_at  timestamptz        NOT NULL DEFAULT clock_timestamp(),
    xid          xid8               NOT NULL DEFAULT pg_current_xact_id(),
    entry_count  ledger.entry_count NOT NULL,
    book         text COLLATE "C"   NOT NULL,
    reference    ledger.reference   NOT NULL,
    kind         ledger.kind        NOT NULL,
    -- Of the content as it was asked for: the same reference again is either the same posting or a
    -- mistake.
    fingerprint  ledger.fingerprint NOT NULL,
    CONSTRAINT transactions_pkey PRIMARY KEY (id),
    CONSTRAINT transactions_reference_key UNIQUE (book, reference)
);

-- For the sealer: everything from its last position up to the oldest running transaction.
CREATE INDEX transactions_xid_idx ON ledger.transactions (xid, id);

CREATE TABLE ledger.entries (
    transaction_id bigint           NOT NULL,
    -- Debit positive, credit negative, in the currency's minor unit.
    amount         ledger.amount    NOT NULL,
    -- The transaction's, repeated so that a collective's entries are read in order from one index.
    effective_at   timestamptz      NOT NULL,
    account_id     integer          NOT NULL,
    line           ledger.line      NOT NULL,
    -- Whether the account is nominal, that is of income or expense: repeated so that campaigns have
    -- a small index.
    nominal        boolean          NOT NULL,
    donation       uuid,
    currency       ledger.currency  NOT NULL,
    -- The dimensions; '' belongs to none.
    collective     ledger.dimension NOT NULL,
    campaign       ledger.dimension NOT NULL,
    CONSTRAINT entries_pkey PRIMARY KEY (transaction_id, line),
    CONSTRAINT entries_campaign_of_collective CHECK (campaign = '' OR collective <> ''),
    CONSTRAINT entries_donation_of_campaign CHECK (donation IS NULL OR campaign <> '')
);

-- A collective's share in order of time: lists, exports, the part of a day that a balance as of any
-- time adds up. New entries come at the end of their collective, so its pages stay full and warm.
-- Postgres keeps the key that a transaction's entries share only once; with amounts in it nobody could
-- share it, and the index would be several times as large.
CREATE INDEX entries_time_idx ON ledger.entries (collective, effective_at, transaction_id);

-- Which accounts, and so which books, know a campaign. Half of a donation's entries are in it, and Postgres
-- keeps a key that comes again and again only once, which an INCLUDE would prevent.
CREATE INDEX entries_nominal_idx ON ledger.entries (collective, campaign, account_id)
    WHERE nominal;

-- Checks of what was just inserted, once a statement. A session keeps the plan that it made first,
-- perhaps for an empty table: reading the whole of it, by a scan or a merge, would be right
-- then and ruin as it grows. So the plans are held to looking up what was inserted: sub-queries for one value
-- are look-ups anyway, but for a scan. One query each, because starting one costs more than what it
-- does for a donation. The functions run with the rights of who inserts and name their schemas, and need no
-- search_path of their own.

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
                -- With line 1 there, check_entries has seen to the others.
                WHEN (
                    SELECT e.line
                    FROM ledger.entries AS e
                    WHERE e.transaction_id = t.id
                        AND e.line = 1
                ) IS NULL THEN 'transactions_not_empty'
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
    -- Balanced per collective, so that each share balances by itself; then the whole does too. All
    -- lines of a transaction come at once, 1 to entry_count, which cannot change: so nothing can be
    -- added later either.
    SELECT checked.broken INTO broken
    FROM (
        SELECT CASE
                WHEN NOT c.balanced THEN 'entries_balanced'
                WHEN t.id IS NULL THEN 'entries_transaction_known'
                WHEN NOT c.known OR c.first_book <> t.book OR c.last_book <> t.book THEN 'entries_account_known'
                WHEN c.count <> t.entry_count OR c.last_line <> t.entry_count THEN 'entries_complete'
                WHEN c.first_at <> t.effective_at OR c.last_at <> t.effective_at THEN 'entries_effective_at_same'
                WHEN NOT c.nominal_same THEN 'entries_nominal_same'
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
                bool_and(s.nominal_same) AS nominal_same
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
                    bool_and(e.nominal = (a.type IN ('income', 'expense'))) AS nominal_same
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

-- Changes are refused to everybody, the owner included: a correction is a reversal.
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

CREATE TRIGGER transactions_check AFTER INSERT ON ledger.transactions
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_transactions();
CREATE TRIGGER entries_check AFTER INSERT ON ledger.entries
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_entries();

CREATE TRIGGER transactions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.transactions
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.entries
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
-- Names of accounts may be put right and roles may move; what entries point at stays.
CREATE TRIGGER accounts_append_only BEFORE UPDATE OF id, book, code, type OR DELETE OR TRUNCATE ON ledger.accounts
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER books_append_only BEFORE UPDATE OF id, currency OR DELETE OR TRUNCATE ON ledger.books
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

-- Compares what was asked under known references with what stands there, and ends the database
-- transaction if it differs: so a caller that ignored the error could not commit half a batch.
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
        RAISE EXCEPTION 'the reference % stands for another content', reused
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'transactions_reference_reused';
    END IF;
END
$$;
-- +goose StatementEnd

-- The service adds and reads. It cannot say when a row was recorded, by which database
-- transaction, or under which id: those columns are not granted.
GRANT SELECT ON ledger.books, ledger.accounts, ledger.roles, ledger.transactions, ledger.entries TO cagnotte_service;
GRANT INSERT (id, chart, currency) ON ledger.books TO cagnotte_service;
GRANT INSERT (book, code, display_name, type) ON ledger.accounts TO cagnotte_service;
GRANT INSERT (book, role, account_id) ON ledger.roles TO cagnotte_service;
GRANT INSERT (effective_at, entry_count, book, reference, kind, fingerprint) ON ledger.transactions TO cagnotte_service;
GRANT INSERT (transaction_id, amount, effective_at, account_id, line, nominal, donation, currency, collective, campaign)
    ON ledger.entries TO cagnotte_service;
REVOKE ALL ON FUNCTION ledger.require_same_content FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.require_same_content TO cagnotte_service;

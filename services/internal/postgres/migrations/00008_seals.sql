-- Seals: gapless numbers, a Merkle tree over them, signed checkpoints, balance checkpoints; and
-- the closing of periods.
--
-- On a live database it makes new objects, adds one trigger's check by replacing its function, and
-- replaces one index: postings wait while that is built, a second or so for a million transactions.
-- What Stripe tells meanwhile is taken up after.

-- +goose Up

-- A book's transactions in the order of sealing. With the book in front an idle book's tail is
-- found without walking over what the others posted since.
CREATE INDEX transactions_seal_idx ON ledger.transactions (book, xid, id);
DROP INDEX ledger.transactions_xid_idx;

-- The order of a book: number N is the leaf N - 1 of its tree (RFC 6962).
CREATE TABLE ledger.seals (
    number         bigint      NOT NULL,
    transaction_id bigint      NOT NULL,
    sealed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The donation, when the transaction is about exactly one: its donor asks for a proof by it.
    donation       uuid,
    book           text COLLATE "C" NOT NULL,
    leaf_hash      bytea       NOT NULL,
    CONSTRAINT seals_pkey PRIMARY KEY (book, number),
    CONSTRAINT seals_transaction_key UNIQUE (transaction_id),
    CONSTRAINT seals_number_positive CHECK (number > 0),
    CONSTRAINT seals_leaf_hash_length CHECK (length(leaf_hash) = 32)
);

CREATE INDEX seals_donation_idx ON ledger.seals (donation, number) WHERE donation IS NOT NULL;

-- Hashes of complete subtrees of 256^level leaves. With them a node of the tree takes 128 hashes at
-- most to compute, whatever the tree's size; they are one row for 255 seals.
CREATE TABLE ledger.subtrees (
    index bigint   NOT NULL,
    level smallint NOT NULL,
    book  text COLLATE "C" NOT NULL,
    hash  bytea    NOT NULL,
    CONSTRAINT subtrees_pkey PRIMARY KEY (book, level, index),
    CONSTRAINT subtrees_position CHECK (level > 0 AND index >= 0),
    CONSTRAINT subtrees_hash_length CHECK (length(hash) = 32)
);

CREATE TABLE ledger.checkpoints (
    size          bigint      NOT NULL,
    -- The checkpoint before, 0 for none, and the proof that this tree begins with that one.
    previous_size bigint      NOT NULL,
    signed_at     timestamptz NOT NULL,
    book          text COLLATE "C" NOT NULL,
    root          bytea       NOT NULL,
    consistency   bytea[]     NOT NULL,
    note          text        NOT NULL,
    -- The key that the note is signed by; another one after the program's secret key changed.
    verifier_key  text        NOT NULL,
    CONSTRAINT checkpoints_pkey PRIMARY KEY (book, size),
    CONSTRAINT checkpoints_sealed FOREIGN KEY (book, size) REFERENCES ledger.seals (book, number),
    CONSTRAINT checkpoints_previous CHECK (previous_size >= 0 AND previous_size < size),
    CONSTRAINT checkpoints_root_length CHECK (length(root) = 32)
);

-- A sum that is kept: of one account, collective, campaign and currency, over one span of
-- effective time in UTC. What had happened before a time is the sum of whole years, months and days before
-- it and of a part of one day. A back-dated entry adds to its own spans and falsifies no other, so
-- balances as of any time stay exact.
CREATE TABLE ledger.balance_keys (
    id         bigint GENERATED ALWAYS AS IDENTITY,
    account_id integer NOT NULL,
    starts_on  date    NOT NULL,
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

-- The sum of the entries under a key in the transactions 1 to number of its book; there is a row when a
-- balance checkpoint found that it had changed, so the newest row is the sum at the newest checkpoint.
CREATE TABLE ledger.balances (
    key_id  bigint NOT NULL,
    number  bigint NOT NULL,
    balance bigint NOT NULL,
    CONSTRAINT balances_pkey PRIMARY KEY (key_id, number) INCLUDE (balance),
    CONSTRAINT balances_key_fkey FOREIGN KEY (key_id) REFERENCES ledger.balance_keys (id)
);

CREATE INDEX balances_number_idx ON ledger.balances (number, key_id);

-- Up to which number a book's balances are kept. The transactions after it are the tail.
CREATE TABLE ledger.balance_checkpoints (
    number bigint NOT NULL,
    book   text COLLATE "C" NOT NULL,
    CONSTRAINT balance_checkpoints_pkey PRIMARY KEY (book, number),
    CONSTRAINT balance_checkpoints_sealed FOREIGN KEY (book, number) REFERENCES ledger.seals (book, number)
);

-- Nothing of the collective's that happened before the end may be posted any more. A closing of the
-- collective '' closes the whole book.
CREATE TABLE ledger.closings (
    ends_at    timestamptz NOT NULL,
    closed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Postings of older database transactions may be under way still; none of a later one is.
    xid        xid8        NOT NULL DEFAULT pg_current_xact_id(),
    book       text COLLATE "C" NOT NULL,
    collective text COLLATE "C" NOT NULL,
    CONSTRAINT closings_pkey PRIMARY KEY (book, collective, ends_at),
    CONSTRAINT closings_book_fkey FOREIGN KEY (book) REFERENCES ledger.books (id),
    -- A period that is not over would refuse the donations of this moment; 'infinity' all of them.
    CONSTRAINT closings_over CHECK (ends_at <= closed_at AND isfinite(ends_at)),
    CONSTRAINT closings_collective_length CHECK (length(collective) <= 64)
);

CREATE INDEX closings_ends_at_idx ON ledger.closings (book, ends_at);

-- As in 00005, and closed periods: one probe of a small index for each transaction. The function is
-- volatile, so it sees a closing that was committed while the posting was under way.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ledger.check_transactions() RETURNS trigger
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

-- Whoever seals, the numbers of a book are 1, 2, 3 … and reach no transaction that a running one could
-- still come before. They leave nothing out that is older, and so stand in the order of xid and id.
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
    -- For each book: the numbers go on from the last one, and from its transaction to the last that was
    -- added there are as many transactions as were added, in the same order.
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
                        AND (x.xid, x.id) > (COALESCE(b.xid, '0'), COALESCE(b.id, 0))
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

-- A later checkpoint is of a larger tree, and follows the one before it.
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
        WHERE a.previous_size <> COALESCE((
            SELECT max(c.size)
            FROM ledger.checkpoints AS c
            WHERE c.book = a.book
                AND c.size <> a.size
        ), 0)
    ) THEN
        RAISE EXCEPTION 'a checkpoint follows the newest one'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'checkpoints_chained';
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER seals_check AFTER INSERT ON ledger.seals
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_seals();
CREATE TRIGGER checkpoints_check AFTER INSERT ON ledger.checkpoints
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_checkpoints();

CREATE TRIGGER seals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.seals
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER subtrees_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.subtrees
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER checkpoints_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER balance_keys_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.balance_keys
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER balances_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.balances
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER balance_checkpoints_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.balance_checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER closings_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.closings
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

GRANT SELECT ON ledger.seals, ledger.subtrees, ledger.checkpoints, ledger.balance_keys, ledger.balances,
    ledger.balance_checkpoints, ledger.closings TO cagnotte_service;
GRANT INSERT (number, transaction_id, donation, book, leaf_hash) ON ledger.seals TO cagnotte_service;
GRANT INSERT (index, level, book, hash) ON ledger.subtrees TO cagnotte_service;
GRANT INSERT (size, previous_size, signed_at, book, root, consistency, note, verifier_key)
    ON ledger.checkpoints TO cagnotte_service;
GRANT INSERT (account_id, starts_on, span, currency, collective, campaign) ON ledger.balance_keys TO cagnotte_service;
GRANT INSERT (key_id, number, balance) ON ledger.balances TO cagnotte_service;
GRANT INSERT (number, book) ON ledger.balance_checkpoints TO cagnotte_service;
GRANT INSERT (ends_at, book, collective) ON ledger.closings TO cagnotte_service;

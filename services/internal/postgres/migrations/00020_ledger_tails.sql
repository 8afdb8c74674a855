-- Tails by campaign, times of the kept balances, and which database transaction signed a checkpoint.
--
-- On a live database: entries get a column, for which the table is written anew, a quarter of a minute for a
-- million donations, and one index in the place of another. Postings and reads wait for that; what Stripe tells
-- meanwhile is taken up after.

-- +goose Up

-- The transaction's xid, repeated: with it an index tells which of a campaign's entries come after the kept
-- balances, and nobody walks over what others posted since.
ALTER TABLE ledger.entries ADD COLUMN xid xid8;

-- +goose StatementBegin
CREATE FUNCTION ledger.xid_of(of_transaction bigint) RETURNS xid8
LANGUAGE sql
STABLE
AS $$
    SELECT t.xid
    FROM ledger.transactions AS t
    WHERE t.id = of_transaction
$$;
-- +goose StatementEnd

-- Written anew rather than updated: no dead rows stay, and the trigger that refuses changes stays on.
ALTER TABLE ledger.entries ALTER COLUMN xid TYPE xid8 USING ledger.xid_of(transaction_id);
DROP FUNCTION ledger.xid_of;
ALTER TABLE ledger.entries
    ALTER COLUMN xid SET NOT NULL,
    ALTER COLUMN xid SET DEFAULT pg_current_xact_id();

-- Also which accounts, and so which books, know a campaign.
CREATE INDEX entries_campaign_idx ON ledger.entries (collective, campaign, account_id, xid)
    WHERE nominal;
DROP INDEX ledger.entries_nominal_idx;

-- As in 00005, and the xid, which only the owner could set.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ledger.check_entries() RETURNS trigger
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

-- Whoever records has an xid by then: so an xid that nobody had at a time tells that what bears it, or a later
-- one, was recorded after that time.
ALTER TABLE ledger.transactions ALTER COLUMN recorded_at
    SET DEFAULT CASE WHEN pg_current_xact_id() IS NOT NULL THEN clock_timestamp() END;

-- When a balance checkpoint was kept, and an xid that nobody had then. Everything up to its number was
-- recorded before; whatever has that xid or a later one was recorded after. Statements begin before
-- they look at what there is, so both hold by the beginning of the statement.
ALTER TABLE ledger.balance_checkpoints
    ADD COLUMN kept_at timestamptz,
    ADD COLUMN next_xid xid8 NOT NULL DEFAULT pg_snapshot_xmax(pg_current_snapshot());

-- +goose StatementBegin
CREATE FUNCTION ledger.sealed_at_of(of_book text, of_number bigint) RETURNS timestamptz
LANGUAGE sql
STABLE
AS $$
    SELECT s.sealed_at
    FROM ledger.seals AS s
    WHERE s.book = of_book
        AND s.number = of_number
$$;
-- +goose StatementEnd

-- Those of before get the time of their seal, and the xid of this migration, which is later than it need be.
ALTER TABLE ledger.balance_checkpoints ALTER COLUMN kept_at TYPE timestamptz USING ledger.sealed_at_of(book, number);
DROP FUNCTION ledger.sealed_at_of;
ALTER TABLE ledger.balance_checkpoints
    ALTER COLUMN kept_at SET NOT NULL,
    ALTER COLUMN kept_at SET DEFAULT statement_timestamp();

CREATE INDEX balance_checkpoints_kept_at_idx ON ledger.balance_checkpoints (book, kept_at, number);

-- Which checkpoint was the newest for a snapshot is told by who wrote it: a time or a size cannot.
ALTER TABLE ledger.checkpoints ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();

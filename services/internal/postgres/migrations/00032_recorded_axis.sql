-- No balances as of a time of writing any more: nothing asks for them, and times of writing are in no order. The books as
-- somebody found them are those of a number.
--
-- On a live database: columns and their index go from the catalogue alone, and a default changes. No row is written.

-- +goose Up

DROP INDEX ledger.balance_checkpoints_kept_at_idx;
ALTER TABLE ledger.balance_checkpoints
    DROP COLUMN kept_at,
    DROP COLUMN next_xid;

-- As in 00005: the time of writing needs no xid before it.
ALTER TABLE ledger.transactions ALTER COLUMN recorded_at SET DEFAULT clock_timestamp();

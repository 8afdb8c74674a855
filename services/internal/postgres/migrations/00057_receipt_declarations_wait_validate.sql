-- The check of 00056.
--
-- On a million rows: 1 s, while reads and writes go on.

-- +goose Up

ALTER TABLE approvals.pending_changes VALIDATE CONSTRAINT pending_changes_kind_known;

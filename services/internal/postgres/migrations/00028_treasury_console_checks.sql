-- The checks of split bank lines hold for the lines of before.
--
-- On a million rows: 1 s, while reads and writes go on.

-- +goose Up

ALTER TABLE bank.lines VALIDATE CONSTRAINT lines_state_listed;
ALTER TABLE bank.lines VALIDATE CONSTRAINT lines_split_once;
ALTER TABLE bank.lines VALIDATE CONSTRAINT lines_withdrawn_part;
ALTER TABLE bank.lines VALIDATE CONSTRAINT lines_split_fkey;

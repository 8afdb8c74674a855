-- The checks of 00052.
--
-- On a million rows: 2 s, while reads and writes go on.

-- +goose Up

ALTER TABLE overview.contributions VALIDATE CONSTRAINT contributions_kind_known;
ALTER TABLE overview.contributions VALIDATE CONSTRAINT contributions_received;
ALTER TABLE overview.contributions VALIDATE CONSTRAINT contributions_entry;
ALTER TABLE overview.contributions VALIDATE CONSTRAINT contributions_method_known;
ALTER TABLE overview.contributions VALIDATE CONSTRAINT contributions_state_known;

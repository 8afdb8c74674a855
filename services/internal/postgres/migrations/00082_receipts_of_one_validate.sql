-- The checks of 00080.
--
-- On a million rows: 1 s, while reads and writes go on.

-- +goose Up

ALTER TABLE receipts.receipts VALIDATE CONSTRAINT receipts_of_one;
ALTER TABLE receipts.receipts VALIDATE CONSTRAINT receipts_cancel_known;

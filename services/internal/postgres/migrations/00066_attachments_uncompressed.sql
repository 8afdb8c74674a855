-- Attachments are read in parts, which Postgres can find in a value that is not compressed. In a compressed one it unpacks
-- everything before the part, each time. PDF files and photographs are compressed by themselves.
--
-- On a million rows: a moment; the catalogue changes, and no row is written. Contents that were compressed stay so and are
-- read as before; most were not, since compressing them would have gained nothing.

-- +goose Up

ALTER TABLE treasury.expense_attachments ALTER COLUMN content SET STORAGE EXTERNAL;

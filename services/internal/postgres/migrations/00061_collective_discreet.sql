-- A collective may ask that donors' bank statements and mails do not name it. It is off.
--
-- On a million rows: a moment; collectives are locked for it, and no row is written.

-- +goose Up

ALTER TABLE collectives.collectives ADD COLUMN discreet boolean NOT NULL DEFAULT false;

GRANT UPDATE (discreet) ON collectives.collectives TO cagnotte_service;

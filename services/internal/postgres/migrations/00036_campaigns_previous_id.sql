-- A campaign remembers the id that it had before it was renamed, so that the same request sent again finds it.
--
-- On a million rows: a moment; the table is locked for it, and no row is written.

-- +goose Up

-- Empty for a campaign that was never renamed.
ALTER TABLE campaigns.campaigns ADD COLUMN previous_id text NOT NULL DEFAULT '';

GRANT UPDATE (previous_id) ON campaigns.campaigns TO cagnotte_service;

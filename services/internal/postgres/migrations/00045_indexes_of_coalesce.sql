-- Indexes of coalesce that row-level security made useless; those of 00044 replace them.
--
-- On a million rows: a moment, while reads and writes go on.
-- Unused since 00020: coalesce is not leakproof, so under its policies no condition with it is one of an index.
-- +goose NO TRANSACTION

-- +goose Up

SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS access.api_keys_list_idx;
DROP INDEX CONCURRENTLY IF EXISTS access.memberships_list_idx;
DROP INDEX CONCURRENTLY IF EXISTS access.invitations_list_idx;
DROP INDEX CONCURRENTLY IF EXISTS campaigns.news_list_idx;
RESET lock_timeout;

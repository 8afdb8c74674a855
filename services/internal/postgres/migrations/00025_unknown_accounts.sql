-- Events of accounts that nobody has, or not any more: they wait again once somebody has the account.
--
-- Safe on a live database: the index is small. Deliveries wait while it is built, which reads the table once.

-- +goose Up

CREATE INDEX events_unknown_account_idx ON webhooks.events (account) WHERE failure_reason = 'UNKNOWN_ACCOUNT';

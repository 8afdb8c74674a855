-- What a collective's home counts, and what the history of a donation looks up.
--
-- On a million rows: ten seconds for each index, while reads and writes go on.
-- +goose NO TRANSACTION

-- +goose Up

SET lock_timeout = 0;
-- A collective's open notices, newest first.
DROP INDEX CONCURRENTLY IF EXISTS notices.notices_unacknowledged_idx;
CREATE INDEX CONCURRENTLY notices_unacknowledged_idx ON notices.notices (collective, created_at DESC, id DESC)
    INCLUDE (kind)
    WHERE acknowledged_at IS NULL;

-- A collective's disputes that can still be answered.
DROP INDEX CONCURRENTLY IF EXISTS refunds.disputes_due_idx;
CREATE INDEX CONCURRENTLY disputes_due_idx ON refunds.disputes (collective, due_at, id)
    WHERE due_at IS NOT NULL;

-- A collective's refunds that wait for a second member.
DROP INDEX CONCURRENTLY IF EXISTS refunds.refunds_awaiting_idx;
CREATE INDEX CONCURRENTLY refunds_awaiting_idx ON refunds.refunds (collective, created_at, id)
    WHERE state = 'awaiting_approval';

-- The payout that a balance transaction is in.
DROP INDEX CONCURRENTLY IF EXISTS payouts.contents_transaction_idx;
CREATE INDEX CONCURRENTLY contents_transaction_idx ON payouts.contents (account, transaction);

-- The events of a payment.
DROP INDEX CONCURRENTLY IF EXISTS webhooks.events_payment_idx;
CREATE INDEX CONCURRENTLY events_payment_idx ON webhooks.events (account, payment_key)
    WHERE payment_key IS NOT NULL;

-- The events of a page, a payment, an invoice, a refund or a dispute.
DROP INDEX CONCURRENTLY IF EXISTS webhooks.events_resource_idx;
CREATE INDEX CONCURRENTLY events_resource_idx ON webhooks.events (account, resource_key)
    WHERE resource_key IS NOT NULL;
RESET lock_timeout;

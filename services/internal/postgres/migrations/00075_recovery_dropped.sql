-- Pages are opened again by the service, so the addresses of Stripe's recovery and the sessions that these made are dropped,
-- with their indexes and the check of both columns.
--
-- On a million rows: a moment; the table is locked for it, and no row is written.
-- Unused since 00073: the program opens another session of the donation instead.

-- +goose Up

ALTER TABLE donations.donations
    DROP COLUMN recovery_url,
    DROP COLUMN recovery_ends_at,
    DROP COLUMN recovered_session_id;

-- What members set about a monthly donation in Stripe's dashboard: an end on a day, and a pause. And whose end was told.
--
-- Safe on a live table: the new columns are NULL or have a constant default, which rewrites nothing. The one update
-- touches a row for each monthly donation that goes on, without waiting for anything but a row that is written just
-- then; a program of the version before neither reads nor writes what is new, and the next reading at Stripe puts right
-- what it leaves. The index is built over no row, since none has a value yet.

-- +goose Up
ALTER TABLE donations.recurring
    -- When it ends, by Stripe's word; NULL for not. cancel_at_period_end says that this is with the period, or before.
    ADD COLUMN cancel_at     timestamptz,
    -- Nothing is collected until resumes_at, or for as long as members want when that is NULL.
    ADD COLUMN paused        boolean NOT NULL DEFAULT false,
    ADD COLUMN resumes_at    timestamptz,
    -- When the next month is taken; NULL when none is, or not known yet.
    ADD COLUMN next_debit_at timestamptz,
    -- When members were told of its end: so many a day are told one by one.
    ADD COLUMN end_told_at   timestamptz;

UPDATE donations.recurring AS r
SET next_debit_at = r.period_ends_at
WHERE r.state IN ('active', 'past_due')
    AND NOT r.cancel_at_period_end;

CREATE INDEX recurring_end_told_idx ON donations.recurring (collective, end_told_at) WHERE end_told_at IS NOT NULL;

GRANT UPDATE (cancel_at, paused, resumes_at, next_debit_at, end_told_at) ON donations.recurring TO cagnotte_service;

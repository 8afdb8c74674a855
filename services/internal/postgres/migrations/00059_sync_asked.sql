-- What a start asks of an account, apart from when its balance was last read; and the place in Stripe's list of events
-- that a reading has come to, so that one that is too long for a job goes on in the next.
--
-- Safe on a live database: columns that are NULL or have a constant default are added without rewriting or reading the
-- table, which has a row for each Stripe account. A program of the version before leaves them alone.

-- +goose Up
ALTER TABLE webhooks.accounts
    -- The balance is to be read on the timer's way now, whenever that was last done.
    ADD COLUMN sync_asked boolean NOT NULL DEFAULT false,
    -- The reading of the list that is under way: from when on, when it began, which types it has come to, and behind which
    -- event it goes on. NULL when none is; hear_after is NULL before the first page of its types.
    ADD COLUMN hear_from  timestamptz,
    ADD COLUMN hear_began timestamptz,
    ADD COLUMN hear_types text[],
    ADD COLUMN hear_after text,
    ADD CONSTRAINT accounts_hearing_whole CHECK (
        (hear_from IS NULL) = (hear_began IS NULL)
        AND (hear_from IS NULL) = (hear_types IS NULL)
        AND (hear_after IS NULL OR hear_from IS NOT NULL)
    );

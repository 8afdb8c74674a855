-- Who changed what guards a collective's money, and from what to what.
--
-- Safe on a live database: nullable columns rewrite nothing, and what the check reads is NULL in every row. A program of
-- before leaves them so.

-- +goose Up

ALTER TABLE collectives.notices
    -- The API key, '' for the command line; NULL when the notice is about no change of a member's.
    ADD COLUMN actor              text,
    ADD COLUMN actor_display_name text,
    -- The name of the key that stands for the actor's member.
    ADD COLUMN actor_member       text,
    -- Shortened: no whole IBAN, no whole address, no secret.
    ADD COLUMN value_before       text,
    ADD COLUMN value_after        text,
    ADD CONSTRAINT notices_change_check CHECK (
        num_nulls(actor, actor_display_name, actor_member, value_before, value_after) IN (0, 5)
        AND char_length(value_before) <= 1000
        AND char_length(value_after) <= 1000
    );

-- Who made a key, and which keys are one member.
--
-- Safe on a live database: columns with constant defaults rewrite nothing, and the checks read few rows. A program of before goes on making keys; as
-- those of before, they stand for members of their own.

-- +goose Up

ALTER TABLE access.api_keys
    -- The name of the key that made it; '' for the command line, and where it is not known.
    ADD COLUMN maker  text NOT NULL DEFAULT '',
    -- The id of the key of the same collective that the chain of makers began with; '' for the key itself.
    ADD COLUMN member text NOT NULL DEFAULT '',
    ADD CONSTRAINT api_keys_maker_check CHECK (maker ~ '^((collectives/[a-z0-9-]{3,40}/)?apiKeys/[a-z0-9][a-z0-9-]{1,62})?$'),
    ADD CONSTRAINT api_keys_member_check CHECK (member = '' OR maker <> '');

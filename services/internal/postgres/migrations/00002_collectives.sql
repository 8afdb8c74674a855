-- The groups that raise money.
--
-- Safe on a live database: it makes a new table that nothing reads yet.

-- +goose Up

CREATE TABLE collectives.collectives (
    -- The slug of public addresses; never changes, so other tables refer to it.
    id             text        NOT NULL,
    display_name   text        NOT NULL,
    -- Where its donations go: a connected account, or '' for the platform's own.
    stripe_account text        NOT NULL,
    -- Set with the first donation, in the donation's own transaction. From then on the account is fixed.
    account_in_use boolean     NOT NULL DEFAULT false,
    time_zone      text        NOT NULL,
    -- Counts changes; the etag is made of it.
    version        bigint      NOT NULL DEFAULT 1,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,

    CONSTRAINT collectives_pkey PRIMARY KEY (id),
    CONSTRAINT collectives_id_check CHECK (id ~ '^[a-z][a-z0-9-]{1,38}[a-z0-9]$'),
    CONSTRAINT collectives_display_name_check CHECK (char_length(display_name) BETWEEN 1 AND 120),
    CONSTRAINT collectives_stripe_account_check CHECK (stripe_account ~ '^(acct_[A-Za-z0-9]{1,60})?$'),
    CONSTRAINT collectives_time_zone_check CHECK (char_length(time_zone) BETWEEN 1 AND 64)
);

CREATE INDEX collectives_stripe_account_idx ON collectives.collectives (stripe_account);

-- Donations made to one account must not end in the books of another, whatever the program does.
-- +goose StatementBegin
CREATE FUNCTION collectives.keep_account() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the Stripe account of collective % is in use', OLD.id
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'collectives_stripe_account_in_use';
END
$$;
-- +goose StatementEnd

CREATE TRIGGER collectives_keep_account
    BEFORE UPDATE ON collectives.collectives
    FOR EACH ROW
    WHEN (OLD.account_in_use AND (NEW.stripe_account <> OLD.stripe_account OR NOT NEW.account_in_use))
    EXECUTE FUNCTION collectives.keep_account();

-- Whose books these are: the Stripe account of the key that the program first ran with. One row.
CREATE TABLE collectives.platform (
    sole           boolean NOT NULL DEFAULT true,
    -- acct_…; '' while Stripe has not told, since the key may not read its own account.
    stripe_account text    NOT NULL,
    livemode       boolean NOT NULL,

    CONSTRAINT platform_pkey PRIMARY KEY (sole),
    CONSTRAINT platform_sole_check CHECK (sole)
);

-- Connected accounts that Stripe said something of: one without a row is connected.
CREATE TABLE collectives.connections (
    stripe_account text        NOT NULL,
    connected      boolean     NOT NULL,
    -- By Stripe's clock: what it says comes in any order.
    changed_at     timestamptz NOT NULL,

    CONSTRAINT connections_pkey PRIMARY KEY (stripe_account),
    CONSTRAINT connections_stripe_account_check CHECK (stripe_account <> '')
);

GRANT SELECT, INSERT, UPDATE (connected, changed_at) ON collectives.connections TO cagnotte_service;
GRANT SELECT, INSERT, UPDATE (stripe_account) ON collectives.platform TO cagnotte_service;
GRANT SELECT, INSERT ON collectives.collectives TO cagnotte_service;
GRANT UPDATE (display_name, stripe_account, account_in_use, time_zone, version, updated_at)
    ON collectives.collectives TO cagnotte_service;

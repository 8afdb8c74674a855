-- Accounts at Stripe: the platform's own, and those that collectives connected.

-- +goose Up

CREATE SCHEMA IF NOT EXISTS connect;
REVOKE ALL ON SCHEMA connect FROM PUBLIC;
GRANT USAGE ON SCHEMA connect TO cagnotte_service;

-- The Stripe account that this instance's key belongs to. One row, written at the first start: a key of another
-- account or mode is refused from then on.
CREATE TABLE connect.platform (
    -- Always true: the primary key allows one row.
    sole           boolean NOT NULL DEFAULT true,
    -- acct_…; '' while it is unknown, because the key may not read its own account.
    stripe_account text    NOT NULL,
    livemode       boolean NOT NULL,

    CONSTRAINT platform_pkey PRIMARY KEY (sole),
    CONSTRAINT platform_sole_check CHECK (sole)
);

GRANT SELECT, INSERT, UPDATE (stripe_account) ON connect.platform TO cagnotte_service;

-- What Stripe said about a connected account. An account without a row counts as connected.
CREATE TABLE connect.connections (
    stripe_account        text        NOT NULL,
    connected             boolean     NOT NULL,
    -- When connected last changed, by Stripe's clock: its events come in any order, and an older one is ignored.
    changed_at            timestamptz NOT NULL,
    -- What Stripe answered when the account was last read; NULL before the first reading.
    charges_enabled       boolean,
    payouts_enabled       boolean,
    details_submitted     boolean,
    -- Stripe's codes of what it wants to know, and by when it must.
    requirements_due      text[]      NOT NULL DEFAULT '{}',
    requirements_deadline timestamptz,
    -- Stripe's code of why charges or payouts are not enabled.
    disabled_reason       text        NOT NULL DEFAULT '',
    -- When the reading of that answer began. Of two readings, the one that began later holds.
    read_at               timestamptz NOT NULL DEFAULT '-infinity',
    -- When a reading was last asked for because somebody looked at the account's state.
    looked_at             timestamptz NOT NULL DEFAULT '-infinity',

    CONSTRAINT connections_pkey PRIMARY KEY (stripe_account),
    CONSTRAINT connections_stripe_account_check CHECK (stripe_account <> ''),
    CONSTRAINT connections_read_check CHECK (
        (charges_enabled IS NULL) = (payouts_enabled IS NULL)
        AND (charges_enabled IS NULL) = (details_submitted IS NULL)
        AND (charges_enabled IS NULL) = (read_at = '-infinity')
    )
);

GRANT SELECT, INSERT ON connect.connections TO cagnotte_service;
GRANT UPDATE (
    connected,
    changed_at,
    charges_enabled,
    payouts_enabled,
    details_submitted,
    requirements_due,
    requirements_deadline,
    disabled_reason,
    read_at,
    looked_at
) ON connect.connections TO cagnotte_service;

-- The account that is created at Stripe for a collective. One row for each collective that asked for one.
CREATE TABLE connect.onboardings (
    collective     text        NOT NULL,
    -- The idempotency key at Stripe, together with attempt. attempt grows when a stored failure must be left behind.
    id             uuid        NOT NULL,
    attempt        integer     NOT NULL DEFAULT 1,
    -- '' until Stripe has created the account.
    stripe_account text        NOT NULL DEFAULT '',
    created_at     timestamptz NOT NULL,

    CONSTRAINT onboardings_pkey PRIMARY KEY (collective),
    CONSTRAINT onboardings_id_key UNIQUE (id),
    CONSTRAINT onboardings_collective_fkey FOREIGN KEY (collective) REFERENCES collectives.collectives (id),
    CONSTRAINT onboardings_attempt_check CHECK (attempt >= 1),
    CONSTRAINT onboardings_stripe_account_check CHECK (stripe_account ~ '^(acct_[A-Za-z0-9]{1,60})?$')
);

-- An account belongs to one collective.
CREATE UNIQUE INDEX onboardings_stripe_account_key ON connect.onboardings (stripe_account)
    WHERE stripe_account <> '';

-- An account that was created is not replaced by another.
-- +goose StatementBegin
CREATE FUNCTION connect.keep_onboarding() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION 'the onboarding of collective % already has an account', OLD.collective
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'onboardings_account_known';
END
$$;
-- +goose StatementEnd

CREATE TRIGGER onboardings_keep
    BEFORE UPDATE ON connect.onboardings
    FOR EACH ROW
    WHEN (OLD.stripe_account <> '')
    EXECUTE FUNCTION connect.keep_onboarding();

GRANT SELECT, INSERT, UPDATE (attempt, stripe_account) ON connect.onboardings TO cagnotte_service;

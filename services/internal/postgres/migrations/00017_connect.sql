-- What connected accounts may do, and how a collective gets one.
--
-- Safe on a live database: columns that are empty or have constant defaults, which Postgres adds without writing
-- to the rows that are there, and a new table.

-- +goose Up

ALTER TABLE collectives.connections
    -- What Stripe said when the account was last read; NULL before.
    ADD COLUMN charges_enabled       boolean,
    ADD COLUMN payouts_enabled       boolean,
    ADD COLUMN details_submitted     boolean,
    -- Codes of what Stripe wants to know, and until when; why something is not enabled.
    ADD COLUMN requirements_due      text[]      NOT NULL DEFAULT '{}',
    ADD COLUMN requirements_deadline timestamptz,
    ADD COLUMN disabled_reason       text        NOT NULL DEFAULT '',
    -- When the reading began whose answer this is: of two, the one that began later holds.
    ADD COLUMN read_at               timestamptz NOT NULL DEFAULT '-infinity',
    -- When a reading was last asked for because somebody looked.
    ADD COLUMN looked_at             timestamptz NOT NULL DEFAULT '-infinity',
    ADD CONSTRAINT connections_read_check CHECK (
        (charges_enabled IS NULL) = (payouts_enabled IS NULL)
        AND (charges_enabled IS NULL) = (details_submitted IS NULL)
        AND (charges_enabled IS NULL) = (read_at = '-infinity')
    );

GRANT UPDATE (
    charges_enabled,
    payouts_enabled,
    details_submitted,
    requirements_due,
    requirements_deadline,
    disabled_reason,
    read_at,
    looked_at
) ON collectives.connections TO cagnotte_service;

-- The account that is made at Stripe for a collective, once.
CREATE TABLE collectives.onboardings (
    collective     text        NOT NULL,
    -- With attempt the idempotency key; attempt grows when an answer of Stripe's must be left behind.
    id             uuid        NOT NULL,
    attempt        integer     NOT NULL DEFAULT 1,
    -- '' until Stripe has made it.
    stripe_account text        NOT NULL DEFAULT '',
    created_at     timestamptz NOT NULL,

    CONSTRAINT onboardings_pkey PRIMARY KEY (collective),
    CONSTRAINT onboardings_id_key UNIQUE (id),
    CONSTRAINT onboardings_collective_fkey FOREIGN KEY (collective) REFERENCES collectives.collectives (id),
    CONSTRAINT onboardings_attempt_check CHECK (attempt >= 1),
    CONSTRAINT onboardings_stripe_account_check CHECK (stripe_account ~ '^(acct_[A-Za-z0-9]{1,60})?$')
);

-- Two collectives must not be given the same account.
CREATE UNIQUE INDEX onboardings_stripe_account_key ON collectives.onboardings (stripe_account) WHERE stripe_account <> '';

-- An account that was made is not forgotten for another.
-- +goose StatementBegin
CREATE FUNCTION collectives.keep_onboarding() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the account of the onboarding of % is known', OLD.collective
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'onboardings_account_known';
END
$$;
-- +goose StatementEnd

CREATE TRIGGER onboardings_keep
    BEFORE UPDATE ON collectives.onboardings
    FOR EACH ROW
    WHEN (OLD.stripe_account <> '')
    EXECUTE FUNCTION collectives.keep_onboarding();

GRANT SELECT, INSERT, UPDATE (attempt, stripe_account) ON collectives.onboardings TO cagnotte_service;

-- Donations, from their start to the money's arrival, and the limit on how often they are started.
--
-- Safe on a live database: it only makes new objects, and reads and locks no table that exists.
--
-- A donation's campaign has no foreign key: each donation would lock the one row of its campaign for the time of
-- its commit, and campaigns are never deleted.

-- +goose Up

CREATE TABLE donations.donations (
    id                  uuid        NOT NULL,
    collective          text        NOT NULL,
    campaign            text        NOT NULL,
    -- The caller's, one for each donation that somebody wants to make; fingerprint is what was asked under it.
    request_id          uuid        NOT NULL,
    fingerprint         bytea       NOT NULL,
    amount_minor        bigint      NOT NULL,
    currency            text        NOT NULL,
    locale              text        NOT NULL,
    -- The page of the collective's own site to go back to; '' for none.
    return_url          text        NOT NULL,
    -- The account that the money goes to; '' is the platform's own.
    stripe_account      text        NOT NULL,
    livemode            boolean     NOT NULL,
    state               text        NOT NULL DEFAULT 'created',
    -- Grows each time a session must be created under a new idempotency key; 0 before the first.
    attempt             integer     NOT NULL DEFAULT 0,
    -- What is asked of Stripe in this attempt, and so part of what the key stands for.
    session_expires_at  timestamptz,
    -- Until then one caller is creating the session, and no other may.
    turn_ends_at        timestamptz NOT NULL DEFAULT '-infinity',
    -- How often that failed, and when it may be tried again.
    session_failures    integer     NOT NULL DEFAULT 0,
    retry_at            timestamptz NOT NULL DEFAULT '-infinity',
    checkout_session_id text,
    checkout_url        text,
    payment_intent_id   text,
    charge_id           text,
    -- What Stripe's balance says was given back, in the donation's own currency.
    refunded_minor    bigint      NOT NULL DEFAULT 0,
    -- How often the donor's bank took it back, less how often that was won.
    open_disputes       integer     NOT NULL DEFAULT 0,
    paid_at             timestamptz,
    booked_at           timestamptz,
    -- When a paid donation that is not booked is asked for at Stripe next, and how often it was.
    poll_at             timestamptz,
    poll_attempts       integer     NOT NULL DEFAULT 0,
    -- When its session was last looked at because somebody waited.
    looked_at           timestamptz,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    CONSTRAINT donations_pkey PRIMARY KEY (id),
    CONSTRAINT donations_request_key UNIQUE (collective, campaign, request_id),
    CONSTRAINT donations_session_key UNIQUE (checkout_session_id),
    CONSTRAINT donations_fingerprint_length CHECK (length(fingerprint) = 32),
    CONSTRAINT donations_amount_positive CHECK (amount_minor > 0),
    CONSTRAINT donations_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT donations_attempt_counted CHECK (attempt >= 0 AND (attempt = 0) = (session_expires_at IS NULL)),
    CONSTRAINT donations_state_known CHECK (state IN (
        'created', 'pending', 'succeeded', 'expired', 'failed', 'canceled',
        'partially_refunded', 'refunded', 'disputed'
    )),
    CONSTRAINT donations_paid CHECK (
        (paid_at IS NOT NULL) = (state IN ('succeeded', 'partially_refunded', 'refunded', 'disputed'))
    ),
    CONSTRAINT donations_booked_is_paid CHECK (booked_at IS NULL OR paid_at IS NOT NULL)
);

-- Lists, newest first.
CREATE INDEX donations_list_idx ON donations.donations (collective, campaign, created_at DESC, id DESC);

-- What a charge, a refund or a dispute belongs to.
CREATE INDEX donations_payment_intent_idx ON donations.donations (payment_intent_id) WHERE payment_intent_id IS NOT NULL;
CREATE INDEX donations_charge_idx ON donations.donations (charge_id) WHERE charge_id IS NOT NULL;

-- Paid or under way and not yet booked: a campaign's pending sum, and what is polled. Small at all times.
CREATE INDEX donations_unbooked_idx ON donations.donations (collective, campaign)
    INCLUDE (amount_minor, currency)
    WHERE booked_at IS NULL AND state IN ('pending', 'succeeded');
CREATE INDEX donations_poll_idx ON donations.donations (stripe_account, poll_at, id)
    WHERE booked_at IS NULL AND state = 'succeeded';

-- Donations whose payment page should have closed by now, and those that never got one.
CREATE INDEX donations_open_idx ON donations.donations (session_expires_at, id)
    WHERE state IN ('created', 'pending') AND checkout_session_id IS NOT NULL;
CREATE INDEX donations_abandoned_idx ON donations.donations (coalesce(session_expires_at, created_at))
    WHERE state = 'created' AND checkout_session_id IS NULL;

-- +goose StatementBegin
CREATE FUNCTION donations.check_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    IF (OLD.id, OLD.collective, OLD.campaign, OLD.request_id, OLD.fingerprint, OLD.amount_minor, OLD.currency,
        OLD.locale, OLD.return_url, OLD.stripe_account, OLD.livemode, OLD.created_at)
        IS DISTINCT FROM
       (NEW.id, NEW.collective, NEW.campaign, NEW.request_id, NEW.fingerprint, NEW.amount_minor, NEW.currency,
        NEW.locale, NEW.return_url, NEW.stripe_account, NEW.livemode, NEW.created_at)
    THEN
        RAISE EXCEPTION 'what was asked for does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'donations_immutable';
    END IF;
    -- The same table stands in services/donations/state.go, and a test compares the two. Money that
    -- arrived is stronger than any word that it would not.
    IF OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (
        ('created', 'pending'), ('created', 'succeeded'), ('created', 'expired'), ('created', 'failed'), ('created', 'canceled'),
        ('pending', 'succeeded'), ('pending', 'failed'),
        ('expired', 'succeeded'), ('failed', 'succeeded'), ('canceled', 'succeeded'),
        ('succeeded', 'partially_refunded'), ('succeeded', 'refunded'), ('succeeded', 'disputed'),
        ('partially_refunded', 'refunded'), ('partially_refunded', 'disputed')
    ) THEN
        RAISE EXCEPTION 'a donation does not go from % to %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'donations_state_forward';
    END IF;
    IF NEW.attempt < OLD.attempt
        OR (OLD.checkout_session_id IS NOT NULL AND OLD.checkout_session_id IS DISTINCT FROM NEW.checkout_session_id)
        OR (OLD.booked_at IS NOT NULL AND OLD.booked_at IS DISTINCT FROM NEW.booked_at)
    THEN
        RAISE EXCEPTION 'an attempt, a session and a booking are not taken back'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'donations_progress_forward';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER donations_check_change BEFORE UPDATE ON donations.donations
    FOR EACH ROW EXECUTE FUNCTION donations.check_change();

-- How often a network starts a donation (GCRA): its theoretical arrival time. The key is a keyed hash of the
-- network and the day; no address is stored.
CREATE TABLE donations.limits (
    key bytea       NOT NULL,
    tat timestamptz NOT NULL,
    CONSTRAINT limits_pkey PRIMARY KEY (key),
    CONSTRAINT limits_key_length CHECK (length(key) = 16)
);

CREATE INDEX limits_tat_idx ON donations.limits (tat);

-- Donations are not deleted: the books speak of them.
GRANT SELECT, INSERT, UPDATE ON donations.donations TO cagnotte_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON donations.limits TO cagnotte_service;

-- What goes back to donors, and what their banks and cards' networks say against donations.
--
-- Safe on a live database: it only makes new objects. The foreign keys lock donations.donations against writes
-- for a moment and check nothing, since the new tables are empty.

-- +goose Up

CREATE TABLE donations.refunds (
    id                   uuid        NOT NULL,
    donation             uuid        NOT NULL,
    -- The donation's, for lists, and to find what Stripe speaks of.
    collective           text        NOT NULL,
    stripe_account       text        NOT NULL,
    -- 'member' asked for it here, 'stripe' is one that was made in the dashboard or by Stripe itself.
    origin               text        NOT NULL,
    -- A member's: one for each refund that somebody wants to make, and what was asked under it.
    request_id           uuid,
    fingerprint          bytea,
    amount_minor         bigint      NOT NULL,
    currency             text        NOT NULL,
    -- '' when none was given.
    reason               text        NOT NULL,
    -- For the books; never who gave.
    note                 text        NOT NULL DEFAULT '',
    -- Names of API keys: who asked, and the second member who approved or rejected.
    requested_by         text,
    reviewed_by          text,
    state                text        NOT NULL,
    -- Grows each time it must be sent to Stripe under a new idempotency key; 0 before the first.
    attempt              integer     NOT NULL DEFAULT 0,
    -- Stripe's id, re_… or pyr_….
    stripe_refund_id     text,
    failure_reason       text        NOT NULL DEFAULT '',
    -- When Stripe is asked next how far it is, while it can still change.
    look_at              timestamptz,
    submitted_at         timestamptz,
    created_at           timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL,
    CONSTRAINT refunds_pkey PRIMARY KEY (id),
    CONSTRAINT refunds_donation_fkey FOREIGN KEY (donation) REFERENCES donations.donations (id),
    CONSTRAINT refunds_request_key UNIQUE (donation, request_id),
    CONSTRAINT refunds_stripe_key UNIQUE (stripe_account, stripe_refund_id),
    CONSTRAINT refunds_amount_positive CHECK (amount_minor > 0),
    CONSTRAINT refunds_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT refunds_reason_known CHECK (reason IN ('', 'requested_by_donor', 'duplicate', 'fraudulent', 'other')),
    CONSTRAINT refunds_note_length CHECK (length(note) <= 200),
    CONSTRAINT refunds_state_known CHECK (state IN (
        'awaiting_approval', 'approved', 'submitted', 'pending', 'succeeded', 'failed', 'rejected', 'canceled'
    )),
    CONSTRAINT refunds_origin_whole CHECK (CASE origin
        WHEN 'member' THEN request_id IS NOT NULL AND length(fingerprint) = 32 AND requested_by IS NOT NULL
        WHEN 'stripe' THEN request_id IS NULL AND fingerprint IS NULL AND requested_by IS NULL AND stripe_refund_id IS NOT NULL
            AND state IN ('pending', 'succeeded', 'failed', 'canceled')
        ELSE false
    END),
    -- Four eyes: nobody reviews what they asked for.
    CONSTRAINT refunds_second_member CHECK (reviewed_by <> requested_by),
    CONSTRAINT refunds_attempt_counted CHECK (attempt >= 0 AND (attempt > 0) = (submitted_at IS NOT NULL)),
    CONSTRAINT refunds_at_stripe CHECK (state NOT IN ('pending', 'succeeded') OR stripe_refund_id IS NOT NULL),
    CONSTRAINT refunds_unsent CHECK (state NOT IN ('awaiting_approval', 'approved', 'rejected') OR stripe_refund_id IS NULL)
);

-- Lists, newest first: of a donation, and of a collective.
CREATE INDEX refunds_donation_idx ON donations.refunds (donation, created_at DESC, id DESC);
CREATE INDEX refunds_list_idx ON donations.refunds (collective, created_at DESC, id DESC);

-- What is to be looked at. Small at all times.
CREATE INDEX refunds_look_idx ON donations.refunds (look_at, id) WHERE look_at IS NOT NULL;

-- +goose StatementBegin
CREATE FUNCTION donations.check_refund_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    IF (OLD.id, OLD.donation, OLD.collective, OLD.stripe_account, OLD.origin, OLD.request_id, OLD.fingerprint,
        OLD.amount_minor, OLD.currency, OLD.reason, OLD.note, OLD.requested_by, OLD.created_at)
        IS DISTINCT FROM
       (NEW.id, NEW.donation, NEW.collective, NEW.stripe_account, NEW.origin, NEW.request_id, NEW.fingerprint,
        NEW.amount_minor, NEW.currency, NEW.reason, NEW.note, NEW.requested_by, NEW.created_at)
    THEN
        RAISE EXCEPTION 'what was asked for does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_immutable';
    END IF;
    -- The same table stands in services/donations/refund.go, and a test compares the two.
    IF OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (
        ('awaiting_approval', 'approved'), ('awaiting_approval', 'rejected'), ('awaiting_approval', 'canceled'),
        ('approved', 'submitted'), ('approved', 'canceled'),
        ('submitted', 'pending'), ('submitted', 'succeeded'), ('submitted', 'failed'), ('submitted', 'canceled'),
        ('pending', 'succeeded'), ('pending', 'failed'), ('pending', 'canceled'),
        ('succeeded', 'failed'), ('succeeded', 'canceled')
    ) THEN
        RAISE EXCEPTION 'a refund does not go from % to %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_state_forward';
    END IF;
    IF NEW.attempt < OLD.attempt
        OR (OLD.stripe_refund_id IS NOT NULL AND OLD.stripe_refund_id IS DISTINCT FROM NEW.stripe_refund_id)
        OR (OLD.reviewed_by IS NOT NULL AND OLD.reviewed_by IS DISTINCT FROM NEW.reviewed_by)
    THEN
        RAISE EXCEPTION 'an attempt, an id and a review are not taken back'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_progress_forward';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER refunds_check_change BEFORE UPDATE ON donations.refunds
    FOR EACH ROW EXECUTE FUNCTION donations.check_refund_change();

CREATE TABLE donations.disputes (
    stripe_account    text        NOT NULL,
    -- Stripe's id, dp_… or du_…. It is no charge's.
    id                text        NOT NULL,
    donation          uuid        NOT NULL,
    collective        text        NOT NULL,
    amount_minor      bigint      NOT NULL,
    currency          text        NOT NULL,
    -- Stripe's words.
    reason            text        NOT NULL,
    status            text        NOT NULL,
    -- The donation can still be given back, since the bank has not got its money.
    refundable        boolean     NOT NULL,
    -- Until when evidence can be handed in; NULL once it cannot.
    due_at            timestamptz,
    -- What moved in Stripe's balance; the currency is the balance's, and '' while nothing moved.
    withdrawn_minor   bigint      NOT NULL,
    reinstated_minor  bigint      NOT NULL,
    fee_minor         bigint      NOT NULL,
    balance_currency  text        NOT NULL,
    -- When Stripe is asked next how far it is, while it can still change.
    look_at           timestamptz,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    CONSTRAINT disputes_pkey PRIMARY KEY (stripe_account, id),
    CONSTRAINT disputes_donation_fkey FOREIGN KEY (donation) REFERENCES donations.donations (id),
    CONSTRAINT disputes_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT disputes_moved CHECK (
        withdrawn_minor >= 0 AND reinstated_minor >= 0
        AND (balance_currency ~ '^[A-Z]{3}$' OR (balance_currency = '' AND withdrawn_minor = 0 AND reinstated_minor = 0))
    )
);

CREATE INDEX disputes_donation_idx ON donations.disputes (donation);
CREATE INDEX disputes_list_idx ON donations.disputes (collective, created_at DESC, id DESC);
CREATE INDEX disputes_look_idx ON donations.disputes (look_at, stripe_account, id) WHERE look_at IS NOT NULL;

CREATE TABLE donations.fraud_warnings (
    stripe_account text        NOT NULL,
    -- Stripe's id, issfr_….
    id             text        NOT NULL,
    donation       uuid        NOT NULL,
    collective     text        NOT NULL,
    -- Stripe's word.
    fraud_type     text        NOT NULL,
    -- The donation is neither disputed nor wholly given back.
    actionable     boolean     NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    CONSTRAINT fraud_warnings_pkey PRIMARY KEY (stripe_account, id),
    CONSTRAINT fraud_warnings_donation_fkey FOREIGN KEY (donation) REFERENCES donations.donations (id)
);

CREATE INDEX fraud_warnings_donation_idx ON donations.fraud_warnings (donation);
CREATE INDEX fraud_warnings_list_idx ON donations.fraud_warnings (collective, created_at DESC, id DESC);

GRANT SELECT, INSERT ON donations.refunds, donations.disputes, donations.fraud_warnings TO cagnotte_service;
GRANT UPDATE (reviewed_by, state, attempt, stripe_refund_id, failure_reason, look_at, submitted_at, updated_at)
    ON donations.refunds TO cagnotte_service;
GRANT UPDATE (
    amount_minor, reason, status, refundable, due_at, withdrawn_minor, reinstated_minor, fee_minor, balance_currency,
    look_at, updated_at
) ON donations.disputes TO cagnotte_service;
GRANT UPDATE (actionable, updated_at) ON donations.fraud_warnings TO cagnotte_service;

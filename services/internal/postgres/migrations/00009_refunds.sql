-- Refunds of donations, disputes, and early fraud warnings.

-- +goose Up

CREATE SCHEMA IF NOT EXISTS refunds;
REVOKE ALL ON SCHEMA refunds FROM PUBLIC;
GRANT USAGE ON SCHEMA refunds TO cagnotte_service;

-- A refund, asked for here or made at Stripe.
CREATE TABLE refunds.refunds (
    id                uuid        NOT NULL,
    donation          uuid        NOT NULL,
    -- The payment that it is of; '' for the donation's own.
    payment_intent_id text        NOT NULL DEFAULT '',
    -- Those of the donation, repeated for lists and to find what Stripe reports.
    collective        text        NOT NULL,
    stripe_account    text        NOT NULL,
    -- 'member' was asked for here; 'stripe' was made in the dashboard or by Stripe itself.
    origin            text        NOT NULL,
    -- The member's, one for each refund that somebody wants to make. fingerprint is SHA-256 of what was asked under it.
    request_id        uuid,
    fingerprint       bytea,
    amount_minor      bigint      NOT NULL,
    currency          text        NOT NULL,
    reason            text        NOT NULL,
    -- For the books. It never names the donor.
    note              text        NOT NULL DEFAULT '',
    -- The names of two API keys: who asked, and the second member who approved or rejected.
    requested_by      text,
    reviewed_by       text,
    -- The members behind the two keys, set with the review: two keys may be one member's.
    requested_member  text,
    reviewed_member   text,
    state             text        NOT NULL,
    -- Grows each time it must be sent to Stripe under a new idempotency key; 0 before the first.
    attempt           integer     NOT NULL DEFAULT 0,
    -- Stripe's id, re_… or pyr_….
    stripe_refund_id  text,
    failure_reason    text        NOT NULL DEFAULT '',
    -- When Stripe is next asked about it; NULL once it cannot change.
    look_at           timestamptz,
    submitted_at      timestamptz,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,

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
    CONSTRAINT refunds_origin_whole CHECK (
        CASE origin
            WHEN 'member' THEN request_id IS NOT NULL AND length(fingerprint) = 32 AND requested_by IS NOT NULL
            WHEN 'stripe' THEN request_id IS NULL AND fingerprint IS NULL AND requested_by IS NULL
                AND stripe_refund_id IS NOT NULL
                AND state IN ('pending', 'succeeded', 'failed', 'canceled')
            ELSE false
        END
    ),
    -- Four eyes: members do not review what they asked for, with the same key or with another of their keys.
    CONSTRAINT refunds_second_member CHECK (reviewed_by <> requested_by),
    CONSTRAINT refunds_second_person CHECK (
        num_nulls(reviewed_by, requested_member, reviewed_member) IN (0, 3)
        AND reviewed_member <> requested_member
    ),
    CONSTRAINT refunds_attempt_counted CHECK (attempt >= 0 AND (attempt > 0) = (submitted_at IS NOT NULL)),
    CONSTRAINT refunds_at_stripe CHECK (state NOT IN ('pending', 'succeeded') OR stripe_refund_id IS NOT NULL),
    CONSTRAINT refunds_unsent CHECK (
        state NOT IN ('awaiting_approval', 'approved', 'rejected')
        OR stripe_refund_id IS NULL
    )
);

-- A donation's refunds, newest first.
CREATE INDEX refunds_donation_idx ON refunds.refunds (donation, created_at DESC, id DESC);
-- A collective's refunds, newest first.
CREATE INDEX refunds_list_idx ON refunds.refunds (collective, created_at DESC, id DESC);
-- What Stripe is to be asked about. Small at all times.
CREATE INDEX refunds_look_idx ON refunds.refunds (look_at, id)
    WHERE look_at IS NOT NULL;

-- What was asked for does not change, and a state only takes the steps that are drawn.
-- +goose StatementBegin
CREATE FUNCTION refunds.check_refund_change() RETURNS trigger
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
    -- services/refunds/refund.go has the same table, and a test compares the two.
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
        RAISE EXCEPTION 'attempts, the id at Stripe and the review of a refund do not go back'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_progress_forward';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER refunds_check_change
    BEFORE UPDATE ON refunds.refunds
    FOR EACH ROW
    EXECUTE FUNCTION refunds.check_refund_change();

GRANT SELECT, INSERT ON refunds.refunds TO cagnotte_service;
GRANT UPDATE (
    reviewed_by,
    requested_member,
    reviewed_member,
    state,
    attempt,
    stripe_refund_id,
    failure_reason,
    look_at,
    submitted_at,
    updated_at
) ON refunds.refunds TO cagnotte_service;

-- A dispute: the donor's bank takes a payment back, or asks about it.
CREATE TABLE refunds.disputes (
    stripe_account    text        NOT NULL,
    -- Stripe's id, dp_… or du_…. Several can be about one charge.
    id                text        NOT NULL,
    donation          uuid        NOT NULL,
    -- The payment that it is about; '' for the donation's own.
    payment_intent_id text        NOT NULL DEFAULT '',
    collective        text        NOT NULL,
    amount_minor      bigint      NOT NULL,
    currency          text        NOT NULL,
    -- Stripe's words.
    reason            text        NOT NULL,
    status            text        NOT NULL,
    -- The donation can still be refunded, since the bank does not have the money.
    refundable        boolean     NOT NULL,
    -- By when evidence can be submitted; NULL once it cannot.
    due_at            timestamptz,
    -- What moved in Stripe's balance, in balance_currency, which is '' while nothing moved.
    withdrawn_minor   bigint      NOT NULL,
    reinstated_minor  bigint      NOT NULL,
    fee_minor         bigint      NOT NULL,
    balance_currency  text        NOT NULL,
    -- When Stripe is next asked about it; NULL once it cannot change.
    look_at           timestamptz,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,

    CONSTRAINT disputes_pkey PRIMARY KEY (stripe_account, id),
    CONSTRAINT disputes_donation_fkey FOREIGN KEY (donation) REFERENCES donations.donations (id),
    CONSTRAINT disputes_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT disputes_moved CHECK (
        withdrawn_minor >= 0 AND reinstated_minor >= 0
        AND (
            balance_currency ~ '^[A-Z]{3}$'
            OR (balance_currency = '' AND withdrawn_minor = 0 AND reinstated_minor = 0)
        )
    )
);

-- A donation's disputes.
CREATE INDEX disputes_donation_idx ON refunds.disputes (donation);
-- A collective's disputes, newest first.
CREATE INDEX disputes_list_idx ON refunds.disputes (collective, created_at DESC, id DESC);
-- What Stripe is to be asked about. Small at all times.
CREATE INDEX disputes_look_idx ON refunds.disputes (look_at, stripe_account, id)
    WHERE look_at IS NOT NULL;

GRANT SELECT, INSERT ON refunds.disputes TO cagnotte_service;
GRANT UPDATE (
    payment_intent_id,
    amount_minor,
    reason,
    status,
    refundable,
    due_at,
    withdrawn_minor,
    reinstated_minor,
    fee_minor,
    balance_currency,
    look_at,
    updated_at
) ON refunds.disputes TO cagnotte_service;

-- A warning of the card network's that a payment may be fraudulent. A dispute often follows.
CREATE TABLE refunds.fraud_warnings (
    stripe_account text        NOT NULL,
    -- Stripe's id, issfr_….
    id             text        NOT NULL,
    donation       uuid        NOT NULL,
    collective     text        NOT NULL,
    -- Stripe's word.
    fraud_type     text        NOT NULL,
    -- The donation is neither disputed nor refunded in full.
    actionable     boolean     NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,

    CONSTRAINT fraud_warnings_pkey PRIMARY KEY (stripe_account, id),
    CONSTRAINT fraud_warnings_donation_fkey FOREIGN KEY (donation) REFERENCES donations.donations (id)
);

-- A donation's warnings.
CREATE INDEX fraud_warnings_donation_idx ON refunds.fraud_warnings (donation);
-- A collective's warnings, newest first.
CREATE INDEX fraud_warnings_list_idx ON refunds.fraud_warnings (collective, created_at DESC, id DESC);

GRANT SELECT, INSERT, UPDATE (actionable, updated_at) ON refunds.fraud_warnings TO cagnotte_service;

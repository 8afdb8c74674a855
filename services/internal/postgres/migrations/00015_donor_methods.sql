-- Covered fees, payment pages that are opened again, and cards that are tried in vain.
--
-- Safe on a live database: the new columns are constants or NULL, which rewrites nothing; the new checks hold for
-- them, so that they need not read the table; the index is built over no row, since none has a value yet.

-- +goose Up

ALTER TABLE donations.donations
    -- The part of amount_minor that the donor added for the payment's fee.
    ADD COLUMN fee_cover_minor      bigint  NOT NULL DEFAULT 0,
    -- Where a page that closed unpaid is opened again, and until when; and the session that somebody opened so.
    ADD COLUMN recovery_url         text,
    ADD COLUMN recovery_ends_at     timestamptz,
    ADD COLUMN recovered_session_id text,
    -- How often a card was declined on its page.
    ADD COLUMN declines             integer NOT NULL DEFAULT 0,
    ADD CONSTRAINT donations_fee_cover_part CHECK (fee_cover_minor >= 0 AND fee_cover_minor < amount_minor) NOT VALID,
    ADD CONSTRAINT donations_recovery_whole CHECK ((recovery_url IS NULL) = (recovery_ends_at IS NULL)) NOT VALID,
    ADD CONSTRAINT donations_declines_counted CHECK (declines >= 0) NOT VALID;

CREATE UNIQUE INDEX donations_recovered_session_idx ON donations.donations (recovered_session_id)
    WHERE recovered_session_id IS NOT NULL;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION donations.check_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    IF (OLD.id, OLD.collective, OLD.campaign, OLD.request_id, OLD.fingerprint, OLD.amount_minor, OLD.fee_cover_minor,
        OLD.currency, OLD.locale, OLD.return_url, OLD.stripe_account, OLD.livemode, OLD.created_at)
        IS DISTINCT FROM
       (NEW.id, NEW.collective, NEW.campaign, NEW.request_id, NEW.fingerprint, NEW.amount_minor, NEW.fee_cover_minor,
        NEW.currency, NEW.locale, NEW.return_url, NEW.stripe_account, NEW.livemode, NEW.created_at)
    THEN
        RAISE EXCEPTION 'what was asked for does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'donations_immutable';
    END IF;
    -- The same table stands in services/donations/state.go, and a test compares the two. Money that
    -- arrived is stronger than any word that it would not; a page that closed can be opened again, and then paid
    -- by a debit that takes days.
    IF OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (
        ('created', 'pending'), ('created', 'succeeded'), ('created', 'expired'), ('created', 'failed'), ('created', 'canceled'),
        ('pending', 'succeeded'), ('pending', 'failed'),
        ('expired', 'pending'), ('expired', 'succeeded'), ('failed', 'succeeded'), ('canceled', 'succeeded'),
        ('succeeded', 'partially_refunded'), ('succeeded', 'refunded'), ('succeeded', 'disputed'),
        ('partially_refunded', 'refunded'), ('partially_refunded', 'disputed')
    ) THEN
        RAISE EXCEPTION 'a donation does not go from % to %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'donations_state_forward';
    END IF;
    IF NEW.attempt < OLD.attempt
        OR NEW.declines < OLD.declines
        OR (OLD.checkout_session_id IS NOT NULL AND OLD.checkout_session_id IS DISTINCT FROM NEW.checkout_session_id)
        OR (OLD.booked_at IS NOT NULL AND OLD.booked_at IS DISTINCT FROM NEW.booked_at)
    THEN
        RAISE EXCEPTION 'an attempt, a session, a decline and a booking are not taken back'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'donations_progress_forward';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

ALTER TABLE webhooks.events DROP CONSTRAINT events_step_known;
-- 'session' moves a donation, 'decline' counts a card that was tried in vain, 'object' names what is to be read
-- again, 'hint' says that money moved, 'none' is nothing.
ALTER TABLE webhooks.events ADD CONSTRAINT events_step_known
    CHECK (step IN ('session', 'decline', 'object', 'hint', 'none')) NOT VALID;

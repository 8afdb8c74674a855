-- What a paid donation is follows what Stripe's balance has of it now: what came back to the collective, by a dispute
-- that was won or a refund that failed, is the collective's again, and the donation says so.
--
-- Safe on a live database: columns with constant defaults rewrite nothing, and only the few donations that were ever
-- disputed or given back are written to. A program of the version before goes on to count disputes in open_disputes,
-- which nothing reads any more.

-- +goose Up

ALTER TABLE donations.donations
    -- How much of it is with the donor's bank by disputes that are open or lost, in its own currency.
    ADD COLUMN disputed_minor bigint NOT NULL DEFAULT 0;

ALTER TABLE donations.payments
    -- Its share in the donation's disputed_minor, and the same in the currency that the donor paid in.
    ADD COLUMN disputed_minor    bigint NOT NULL DEFAULT 0,
    ADD COLUMN disputed_in_minor bigint NOT NULL DEFAULT 0;
ALTER TABLE donations.payments ALTER COLUMN open_disputes SET DEFAULT 0;

-- A dispute may be about a part: what is known of each tells how much.
UPDATE donations.payments AS p
SET disputed_minor = coalesce((
    SELECT sum(q.withdrawn_minor - q.reinstated_minor)::bigint
    FROM donations.disputes AS q
    WHERE q.donation = d.id
        AND q.balance_currency = d.currency
        AND coalesce(nullif(q.payment_intent_id, ''), d.payment_intent_id) = p.payment_intent_id
), p.open_disputes * d.amount_minor)
FROM donations.donations AS d
WHERE d.id = p.donation
    AND p.open_disputes <> 0;

UPDATE donations.donations AS d
SET disputed_minor = coalesce((
    SELECT sum(q.withdrawn_minor - q.reinstated_minor)::bigint
    FROM donations.disputes AS q
    WHERE q.donation = d.id
        AND q.balance_currency = d.currency
), d.open_disputes * d.amount_minor)
WHERE d.open_disputes <> 0;

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
    -- by a debit that takes days. A paid donation stays paid, and is what the balance has of it.
    IF OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (
        ('created', 'pending'), ('created', 'succeeded'), ('created', 'expired'), ('created', 'failed'), ('created', 'canceled'),
        ('pending', 'succeeded'), ('pending', 'failed'),
        ('expired', 'pending'), ('expired', 'succeeded'), ('failed', 'succeeded'), ('canceled', 'succeeded'),
        ('succeeded', 'partially_refunded'), ('succeeded', 'refunded'), ('succeeded', 'disputed'),
        ('partially_refunded', 'succeeded'), ('partially_refunded', 'refunded'), ('partially_refunded', 'disputed'),
        ('refunded', 'succeeded'), ('refunded', 'partially_refunded'), ('refunded', 'disputed'),
        ('disputed', 'succeeded'), ('disputed', 'partially_refunded'), ('disputed', 'refunded')
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

-- Those whose money came back before today.
UPDATE donations.donations AS d
SET state = CASE
        WHEN d.disputed_minor > 0 AND d.refunded_minor + d.disputed_minor > 0 THEN 'disputed'
        WHEN d.refunded_minor >= d.amount_minor THEN 'refunded'
        WHEN d.refunded_minor > 0 THEN 'partially_refunded'
        ELSE 'succeeded'
    END
WHERE d.state IN ('partially_refunded', 'refunded', 'disputed');

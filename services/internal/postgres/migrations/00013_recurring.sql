-- Monthly donations, and the tokens by which their donors manage them.
--
-- Safe on a live database: the new columns are NULL, which rewrites nothing; the new checks hold for them, so that
-- they need not read the table; the indexes are built over no row, since none has a value yet.

-- +goose Up

CREATE TABLE donations.recurring (
    -- That of its first donation.
    id                   uuid        NOT NULL,
    collective           text        NOT NULL,
    campaign             text        NOT NULL,
    -- What the next month brings, by Stripe's last word.
    amount_minor         bigint      NOT NULL,
    currency             text        NOT NULL,
    locale               text        NOT NULL,
    stripe_account       text        NOT NULL,
    livemode             boolean     NOT NULL,
    state                text        NOT NULL DEFAULT 'created',
    -- Stripe's ids; NULL until somebody paid. The customer's leads to who that is, at Stripe and only there.
    subscription_id      text,
    customer_id          text,
    cancel_at_period_end boolean     NOT NULL DEFAULT false,
    period_ends_at       timestamptz,
    ended_at             timestamptz,
    -- Why it ended, or will; '' while it goes on.
    end_reason           text        NOT NULL DEFAULT '',
    -- The pending change: what was asked for and Stripe does not have yet.
    pending_amount_minor bigint,
    pending_end          text,
    -- Part of the idempotency key: it grows with each change, and after an answer that Stripe repeats under one key.
    change_number        integer     NOT NULL DEFAULT 0,
    change_failures      integer     NOT NULL DEFAULT 0,
    -- When the pending change is applied next; NULL when there is none.
    change_due_at        timestamptz,
    -- When Stripe is asked, unless something is heard before; NULL once it ended, and before somebody paid.
    look_at              timestamptz,
    created_at           timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL,
    CONSTRAINT recurring_pkey PRIMARY KEY (id),
    CONSTRAINT recurring_donation_fkey FOREIGN KEY (id) REFERENCES donations.donations (id),
    CONSTRAINT recurring_subscription_key UNIQUE (stripe_account, subscription_id),
    CONSTRAINT recurring_amount_positive CHECK (amount_minor > 0),
    CONSTRAINT recurring_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT recurring_state_known CHECK (state IN ('created', 'active', 'past_due', 'canceled', 'expired')),
    CONSTRAINT recurring_end_reason_known CHECK (end_reason IN (
        '', 'donor', 'collective', 'campaign_closed', 'payment_failed', 'at_stripe'
    )),
    CONSTRAINT recurring_ended CHECK ((ended_at IS NOT NULL) = (state = 'canceled')),
    CONSTRAINT recurring_pending_amount_positive CHECK (pending_amount_minor > 0),
    CONSTRAINT recurring_pending_end_known CHECK (pending_end IN ('now', 'period_end')),
    CONSTRAINT recurring_pending_change_is_due CHECK (
        (change_due_at IS NOT NULL) = (pending_amount_minor IS NOT NULL OR pending_end IS NOT NULL)
    ),
    CONSTRAINT recurring_running_is_known CHECK (state NOT IN ('active', 'past_due', 'canceled') OR subscription_id IS NOT NULL)
);

-- Lists, newest first; and what a closed campaign ends.
CREATE INDEX recurring_list_idx ON donations.recurring (collective, campaign, created_at DESC, id DESC);

-- What is to be done, and to be asked for. Small at all times.
CREATE INDEX recurring_change_idx ON donations.recurring (change_due_at, id) WHERE change_due_at IS NOT NULL;
CREATE INDEX recurring_look_idx ON donations.recurring (look_at, id) WHERE look_at IS NOT NULL;
CREATE INDEX recurring_created_idx ON donations.recurring (id) WHERE state = 'created';

-- +goose StatementBegin
CREATE FUNCTION donations.check_recurring_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    IF (OLD.id, OLD.collective, OLD.campaign, OLD.currency, OLD.locale, OLD.stripe_account, OLD.livemode, OLD.created_at)
        IS DISTINCT FROM
       (NEW.id, NEW.collective, NEW.campaign, NEW.currency, NEW.locale, NEW.stripe_account, NEW.livemode, NEW.created_at)
    THEN
        RAISE EXCEPTION 'what was asked for does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'recurring_immutable';
    END IF;
    -- The same table stands in services/donations/recurring.go, and a test compares the two.
    IF OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (
        ('created', 'active'), ('created', 'past_due'), ('created', 'canceled'), ('created', 'expired'),
        ('expired', 'active'), ('expired', 'past_due'), ('expired', 'canceled'),
        ('active', 'past_due'), ('active', 'canceled'),
        ('past_due', 'active'), ('past_due', 'canceled')
    ) THEN
        RAISE EXCEPTION 'a monthly donation does not go from % to %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'recurring_state_forward';
    END IF;
    IF NEW.change_number < OLD.change_number
        OR (OLD.subscription_id IS NOT NULL AND OLD.subscription_id IS DISTINCT FROM NEW.subscription_id)
        OR (OLD.customer_id IS NOT NULL AND OLD.customer_id IS DISTINCT FROM NEW.customer_id)
    THEN
        RAISE EXCEPTION 'the number of changes does not fall, and subscription and customer stay'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'recurring_progress_forward';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER recurring_check_change BEFORE UPDATE ON donations.recurring
    FOR EACH ROW EXECUTE FUNCTION donations.check_recurring_change();

ALTER TABLE donations.donations
    -- The monthly donation that it is a month of. No foreign key: the first donation is there before it.
    ADD COLUMN recurring_id uuid,
    -- What the month was paid by; NULL for a single donation, and for a first month of which it is not known yet.
    ADD COLUMN invoice_id   text,
    ADD CONSTRAINT donations_invoice_is_recurring CHECK (invoice_id IS NULL OR recurring_id IS NOT NULL) NOT VALID;

-- The months of a monthly donation.
CREATE INDEX donations_recurring_idx ON donations.donations (recurring_id) WHERE recurring_id IS NOT NULL;

-- One paid invoice is one donation.
CREATE UNIQUE INDEX donations_invoice_idx ON donations.donations (stripe_account, invoice_id) WHERE invoice_id IS NOT NULL;

-- +goose StatementBegin
CREATE FUNCTION donations.check_month_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    IF OLD.recurring_id IS DISTINCT FROM NEW.recurring_id
        OR (OLD.invoice_id IS NOT NULL AND OLD.invoice_id IS DISTINCT FROM NEW.invoice_id)
    THEN
        RAISE EXCEPTION 'a donation stays the month that it is'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'donations_month_immutable';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER donations_check_month_change BEFORE UPDATE OF recurring_id, invoice_id ON donations.donations
    FOR EACH ROW EXECUTE FUNCTION donations.check_month_change();

-- A link that was mailed ('link', once), or the page that it opened ('page'). Only a hash of the token is kept.
CREATE TABLE donations.manage_tokens (
    hash       bytea       NOT NULL,
    recurring  uuid        NOT NULL,
    kind       text        NOT NULL,
    used_at    timestamptz,
    expires_at timestamptz NOT NULL,
    CONSTRAINT manage_tokens_pkey PRIMARY KEY (hash),
    CONSTRAINT manage_tokens_recurring_fkey FOREIGN KEY (recurring) REFERENCES donations.recurring (id),
    CONSTRAINT manage_tokens_hash_length CHECK (length(hash) = 32),
    CONSTRAINT manage_tokens_kind_known CHECK (kind IN ('link', 'page')),
    CONSTRAINT manage_tokens_used_once CHECK (used_at IS NULL OR kind = 'link')
);

CREATE INDEX manage_tokens_expiry_idx ON donations.manage_tokens (expires_at);

-- Monthly donations are not deleted: the books speak of their months. Tokens are, when they are over.
GRANT SELECT, INSERT ON donations.recurring TO cagnotte_service;
GRANT UPDATE (
    amount_minor, state, subscription_id, customer_id, cancel_at_period_end, period_ends_at, ended_at, end_reason,
    pending_amount_minor, pending_end, change_number, change_failures, change_due_at, look_at, updated_at
) ON donations.recurring TO cagnotte_service;
GRANT SELECT, INSERT, DELETE ON donations.manage_tokens TO cagnotte_service;
GRANT UPDATE (used_at) ON donations.manage_tokens TO cagnotte_service;

-- Donations, their payments, and monthly donations.
--
-- No name and no address of a donor is stored here. Stripe has them.

-- +goose Up

CREATE SCHEMA IF NOT EXISTS donations;
REVOKE ALL ON SCHEMA donations FROM PUBLIC;
GRANT USAGE ON SCHEMA donations TO cagnotte_service;

-- One donation, from the request to the money's arrival. A month of a monthly donation is a donation too. Rows are
-- never deleted, since the books refer to them.
CREATE TABLE donations.donations (
    id                   uuid        NOT NULL,
    collective           text        NOT NULL,
    campaign             text        NOT NULL,
    -- The caller's, one for each donation that somebody wants to make; and SHA-256 of what was asked under it.
    request_id           uuid        NOT NULL,
    fingerprint          bytea       NOT NULL,
    amount_minor         bigint      NOT NULL,
    -- The part of amount_minor that the donor added for the payment's fee.
    fee_cover_minor      bigint      NOT NULL DEFAULT 0,
    currency             text        NOT NULL,
    locale               text        NOT NULL,
    -- The page of the collective's own site to go back to.
    return_url           text        NOT NULL,
    stripe_account       text        NOT NULL,
    livemode             boolean     NOT NULL,
    -- The monthly donation that it is a month of. There is no foreign key: the first month is written before it.
    recurring_id         uuid,
    -- The invoice that the month was paid by; NULL for a single donation, and for a first month until it is known.
    invoice_id           text,
    state                text        NOT NULL DEFAULT 'created',
    -- Grows each time a session must be created under a new idempotency key; 0 before the first.
    attempt              integer     NOT NULL DEFAULT 0,
    -- What this attempt asks of Stripe, and so part of what the idempotency key stands for.
    session_expires_at   timestamptz,
    -- Until then one caller is creating the session, and no other may.
    turn_ends_at         timestamptz NOT NULL DEFAULT '-infinity',
    -- How often that failed, and when it may be tried again.
    session_failures     integer     NOT NULL DEFAULT 0,
    retry_at             timestamptz NOT NULL DEFAULT '-infinity',
    checkout_session_id  text,
    -- The payment page; NULL once the donation is no longer created.
    checkout_url         text,
    -- Where a page that closed unpaid is opened again, and until when; NULL unless the donation is expired.
    recovery_url         text,
    recovery_ends_at     timestamptz,
    -- The session that was opened so.
    recovered_session_id text,
    -- How many cards were declined on its page.
    declines             integer     NOT NULL DEFAULT 0,
    payment_intent_id    text,
    charge_id            text,
    -- Stripe's word, such as card or sepa_debit; '' until it is known.
    payment_method       text        NOT NULL DEFAULT '',
    -- What was refunded, by Stripe's balance, in the donation's own currency.
    refunded_minor       bigint      NOT NULL DEFAULT 0,
    -- What donors' banks hold by disputes that are open or lost, in the donation's own currency.
    disputed_minor       bigint      NOT NULL DEFAULT 0,
    paid_at              timestamptz,
    booked_at            timestamptz,
    -- The currency that the books have its money in; NULL where that is its own, and until it is booked.
    settled_currency     text,
    -- When Stripe is next asked about a paid donation that is not booked, and how often it was asked.
    poll_at              timestamptz,
    poll_attempts        integer     NOT NULL DEFAULT 0,
    -- When its session was last read because somebody waited.
    looked_at            timestamptz,
    created_at           timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL,

    CONSTRAINT donations_pkey PRIMARY KEY (id),
    CONSTRAINT donations_request_key UNIQUE (collective, campaign, request_id),
    CONSTRAINT donations_session_key UNIQUE (checkout_session_id),
    CONSTRAINT donations_fingerprint_length CHECK (length(fingerprint) = 32),
    CONSTRAINT donations_amount_positive CHECK (amount_minor > 0),
    CONSTRAINT donations_fee_cover_part CHECK (fee_cover_minor >= 0 AND fee_cover_minor < amount_minor),
    CONSTRAINT donations_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT donations_invoice_is_recurring CHECK (invoice_id IS NULL OR recurring_id IS NOT NULL),
    CONSTRAINT donations_attempt_counted CHECK (attempt >= 0 AND (attempt = 0) = (session_expires_at IS NULL)),
    CONSTRAINT donations_recovery_whole CHECK ((recovery_url IS NULL) = (recovery_ends_at IS NULL)),
    CONSTRAINT donations_declines_counted CHECK (declines >= 0),
    CONSTRAINT donations_settled_currency_code CHECK (
        settled_currency ~ '^[A-Z]{3}$'
        AND settled_currency <> currency
    ),
    CONSTRAINT donations_state_known CHECK (state IN (
        'created', 'pending', 'succeeded', 'expired', 'failed', 'canceled',
        'partially_refunded', 'refunded', 'disputed'
    )),
    CONSTRAINT donations_paid CHECK (
        (paid_at IS NOT NULL) = (state IN ('succeeded', 'partially_refunded', 'refunded', 'disputed'))
    ),
    CONSTRAINT donations_booked_is_paid CHECK (booked_at IS NULL OR paid_at IS NOT NULL)
);

-- The lists of a campaign and of a collective read the newest donations of each state, and merge them.
CREATE INDEX donations_campaign_idx ON donations.donations (collective, campaign, state, created_at DESC, id DESC);
CREATE INDEX donations_collective_idx ON donations.donations (collective, state, created_at DESC, id DESC);
-- The donation of a payment, a charge, or the session that opened its page again.
CREATE INDEX donations_payment_intent_idx ON donations.donations (payment_intent_id)
    WHERE payment_intent_id IS NOT NULL;
CREATE INDEX donations_charge_idx ON donations.donations (charge_id)
    WHERE charge_id IS NOT NULL;
CREATE UNIQUE INDEX donations_recovered_session_idx ON donations.donations (recovered_session_id)
    WHERE recovered_session_id IS NOT NULL;
-- The months of a monthly donation.
CREATE INDEX donations_recurring_idx ON donations.donations (recurring_id)
    WHERE recurring_id IS NOT NULL;
-- One paid invoice is one donation.
CREATE UNIQUE INDEX donations_invoice_idx ON donations.donations (stripe_account, invoice_id)
    WHERE invoice_id IS NOT NULL;
-- A campaign's pending sum: paid or pending, and not booked. A refund can be booked before the payment, so refunded
-- donations count too. Small at all times.
CREATE INDEX donations_unbooked_idx ON donations.donations (collective, campaign)
    INCLUDE (amount_minor, currency)
    WHERE booked_at IS NULL AND state IN ('pending', 'succeeded', 'partially_refunded', 'refunded', 'disputed');
-- The paid donations that Stripe is asked about because they are not booked. Small at all times.
CREATE INDEX donations_poll_idx ON donations.donations (stripe_account, poll_at, id)
    WHERE booked_at IS NULL AND state IN ('succeeded', 'partially_refunded', 'refunded', 'disputed');
-- A campaign's sum: what it received in other currencies than its own.
CREATE INDEX donations_converted_idx ON donations.donations (collective, campaign)
    WHERE settled_currency IS NOT NULL;
-- A campaign's sum: donations of which more went back than was paid count as zero, not less.
CREATE INDEX donations_paid_back_twice_idx ON donations.donations (collective, campaign)
    INCLUDE (refunded_minor, disputed_minor, amount_minor, currency)
    WHERE refunded_minor + disputed_minor > amount_minor;
-- Donations whose payment page should have closed by now.
CREATE INDEX donations_open_idx ON donations.donations (session_expires_at, id)
    WHERE state IN ('created', 'pending') AND checkout_session_id IS NOT NULL;
-- Donations that never got a payment page.
CREATE INDEX donations_abandoned_idx ON donations.donations (coalesce(session_expires_at, created_at))
    WHERE state = 'created' AND checkout_session_id IS NULL;
-- Recovery links that have expired and are to be forgotten.
CREATE INDEX donations_recovery_idx ON donations.donations (recovery_ends_at, id)
    WHERE recovery_url IS NOT NULL;

-- What was asked for does not change, and a state only takes the steps that are drawn.
-- +goose StatementBegin
CREATE FUNCTION donations.check_change() RETURNS trigger
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
    -- services/donations/state.go has the same table, and a test compares the two. Money that arrived overrules any
    -- report that it would not. A page that closed can be opened again, and be paid by a debit that takes days. A paid
    -- donation stays paid, and its state follows what Stripe's balance has of it.
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
        RAISE EXCEPTION 'attempts, declines, the session and the booking of a donation do not go back'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'donations_progress_forward';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

-- A donation stays the month that it is.
-- +goose StatementBegin
CREATE FUNCTION donations.check_month_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    IF OLD.recurring_id IS DISTINCT FROM NEW.recurring_id
        OR (OLD.invoice_id IS NOT NULL AND OLD.invoice_id IS DISTINCT FROM NEW.invoice_id)
    THEN
        RAISE EXCEPTION 'the monthly donation and the invoice of a donation do not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'donations_month_immutable';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

-- A link is stored only while it works: the payment page's until the donation is paid or the page closes, the recovery
-- link's until it is used or expires.
-- +goose StatementBegin
CREATE FUNCTION donations.forget_links() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    IF NEW.state <> 'created' THEN
        NEW.checkout_url := NULL;
    END IF;
    IF NEW.state <> 'expired' THEN
        NEW.recovery_url := NULL;
        NEW.recovery_ends_at := NULL;
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER donations_check_change
    BEFORE UPDATE ON donations.donations
    FOR EACH ROW
    EXECUTE FUNCTION donations.check_change();
CREATE TRIGGER donations_check_month_change
    BEFORE UPDATE OF recurring_id, invoice_id ON donations.donations
    FOR EACH ROW
    EXECUTE FUNCTION donations.check_month_change();
CREATE TRIGGER donations_forget_links
    BEFORE UPDATE OF state ON donations.donations
    FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state)
    EXECUTE FUNCTION donations.forget_links();

GRANT SELECT, INSERT, UPDATE ON donations.donations TO cagnotte_service;

-- A payment that its donation's row does not describe in full: each one besides the first, each that was made in
-- another currency, each that money went back of (also before it is known to be paid), and each that shows in Stripe's
-- balance before the bank has answered.
CREATE TABLE donations.payments (
    donation          uuid        NOT NULL,
    -- Stripe's id, pi_….
    payment_intent_id text        NOT NULL,
    -- The donation was paid already.
    surplus           boolean     NOT NULL,
    -- It brought another amount or currency than its page asked for, so it does not pay the donation.
    differs           boolean     NOT NULL DEFAULT false,
    -- Its money is in transit in the books, and has not arrived.
    under_way         boolean     NOT NULL DEFAULT false,
    -- Stripe's word; '' until it is known, and for the donation's first payment, whose method is in its own row.
    payment_method    text        NOT NULL DEFAULT '',
    -- Its share of the donation's refunded_minor and disputed_minor.
    refunded_minor    bigint      NOT NULL,
    disputed_minor    bigint      NOT NULL DEFAULT 0,
    -- The amount and currency that the payment page asked for, where the currency is not the donation's; 0 and '' where
    -- it is, and until it is known.
    paid_in_minor     bigint      NOT NULL,
    paid_in_currency  text        NOT NULL DEFAULT '',
    -- What went back, in that currency.
    refunded_in_minor bigint      NOT NULL,
    disputed_in_minor bigint      NOT NULL DEFAULT 0,
    -- About when a payment that is under way was made.
    held_at           timestamptz,
    -- When Stripe is next asked about it, and how often it was asked; NULL for never.
    poll_at           timestamptz,
    poll_attempts     integer     NOT NULL DEFAULT 0,

    CONSTRAINT payments_pkey PRIMARY KEY (donation, payment_intent_id),
    CONSTRAINT payments_donation_fkey FOREIGN KEY (donation) REFERENCES donations.donations (id),
    CONSTRAINT payments_intent_there CHECK (payment_intent_id <> ''),
    CONSTRAINT payments_paid_in_positive CHECK (paid_in_minor >= 0),
    CONSTRAINT payments_paid_in_currency_code CHECK (paid_in_currency ~ '^([A-Z]{3})?$')
);

-- The donation of a payment, a refund or a dispute.
CREATE INDEX payments_intent_idx ON donations.payments (payment_intent_id);
-- The payments under way that Stripe is asked about. Small at all times.
CREATE INDEX payments_to_poll ON donations.payments (poll_at)
    WHERE under_way;

GRANT SELECT, INSERT, UPDATE ON donations.payments TO cagnotte_service;

-- How often a network starts donations (GCRA). Rows are deleted once they no longer limit anything.
CREATE TABLE donations.limits (
    -- A keyed hash of the network and the day, so that no address is stored.
    key bytea       NOT NULL,
    -- The theoretical arrival time.
    tat timestamptz NOT NULL,

    CONSTRAINT limits_pkey PRIMARY KEY (key),
    CONSTRAINT limits_key_length CHECK (length(key) = 16)
);

-- The rows to delete.
CREATE INDEX limits_tat_idx ON donations.limits (tat);

GRANT SELECT, INSERT, UPDATE, DELETE ON donations.limits TO cagnotte_service;

-- A monthly donation: a subscription at Stripe. Rows are never deleted, since the books refer to its months.
CREATE TABLE donations.recurring (
    -- That of its first donation.
    id                   uuid        NOT NULL,
    collective           text        NOT NULL,
    campaign             text        NOT NULL,
    -- The amount of the next month, as Stripe last reported it.
    amount_minor         bigint      NOT NULL,
    currency             text        NOT NULL,
    locale               text        NOT NULL,
    stripe_account       text        NOT NULL,
    livemode             boolean     NOT NULL,
    state                text        NOT NULL DEFAULT 'created',
    -- Stripe's ids; NULL until somebody paid. customer_id leads to who that is, at Stripe and only there.
    subscription_id      text,
    customer_id          text,
    -- When it ends, as Stripe reports it; NULL for no end. cancel_at_period_end says that this is with the period or
    -- before.
    cancel_at_period_end boolean     NOT NULL DEFAULT false,
    cancel_at            timestamptz,
    period_ends_at       timestamptz,
    -- Nothing is collected until resumes_at, or, while that is NULL, until members resume it.
    paused               boolean     NOT NULL DEFAULT false,
    resumes_at           timestamptz,
    -- When the next month is collected; NULL when none is, and until it is known.
    next_debit_at        timestamptz,
    -- The latest month is a debit that the bank has not answered.
    debit_pending        boolean     NOT NULL DEFAULT false,
    ended_at             timestamptz,
    -- Why it ended or will end; '' while it goes on.
    end_reason           text        NOT NULL DEFAULT '',
    -- When members were told of its end. It limits how many ends a day are told one by one.
    end_told_at          timestamptz,
    -- The pending change: what was asked for and Stripe does not have yet.
    pending_amount_minor bigint,
    pending_end          text,
    -- Part of the idempotency key of that change. It grows with each change, and when a stored failure of Stripe's must
    -- be left behind.
    change_number        integer     NOT NULL DEFAULT 0,
    change_failures      integer     NOT NULL DEFAULT 0,
    -- When the pending change is next applied; NULL when there is none.
    change_due_at        timestamptz,
    -- When Stripe is next asked about it, unless an event comes before; NULL once it ended, and before somebody paid.
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
    CONSTRAINT recurring_running_is_known CHECK (
        state NOT IN ('active', 'past_due', 'canceled')
        OR subscription_id IS NOT NULL
    )
);

-- The lists of a campaign and of a collective, as those of donations; and the monthly donations that end with their
-- campaign.
CREATE INDEX recurring_campaign_idx ON donations.recurring (collective, campaign, state, created_at DESC, id DESC);
CREATE INDEX recurring_collective_idx ON donations.recurring (collective, state, created_at DESC, id DESC);
-- The pending changes to apply. Small at all times.
CREATE INDEX recurring_change_idx ON donations.recurring (change_due_at, id)
    WHERE change_due_at IS NOT NULL;
-- What Stripe is to be asked about.
CREATE INDEX recurring_look_idx ON donations.recurring (look_at, id)
    WHERE look_at IS NOT NULL;
-- Those that nobody has paid yet, and that expire with their first donation.
CREATE INDEX recurring_created_idx ON donations.recurring (id)
    WHERE state = 'created';
-- How many ends were told today.
CREATE INDEX recurring_end_told_idx ON donations.recurring (collective, end_told_at)
    WHERE end_told_at IS NOT NULL;

-- What was asked for does not change, and a state only takes the steps that are drawn.
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
    -- services/donations/recurring.go has the same table, and a test compares the two.
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
        RAISE EXCEPTION 'the number of changes, the subscription and the customer of a monthly donation do not go back'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'recurring_progress_forward';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER recurring_check_change
    BEFORE UPDATE ON donations.recurring
    FOR EACH ROW
    EXECUTE FUNCTION donations.check_recurring_change();

GRANT SELECT, INSERT ON donations.recurring TO cagnotte_service;
GRANT UPDATE (
    amount_minor,
    state,
    subscription_id,
    customer_id,
    cancel_at_period_end,
    cancel_at,
    period_ends_at,
    paused,
    resumes_at,
    next_debit_at,
    debit_pending,
    ended_at,
    end_reason,
    end_told_at,
    pending_amount_minor,
    pending_end,
    change_number,
    change_failures,
    change_due_at,
    look_at,
    updated_at
) ON donations.recurring TO cagnotte_service;

-- A token that lets a donor manage a monthly donation: a link that was mailed ('link', works once), or the page that it
-- opened ('page'). Rows are deleted once they have expired.
CREATE TABLE donations.manage_tokens (
    -- SHA-256 of the token, which itself is not stored.
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

-- The rows to delete.
CREATE INDEX manage_tokens_expiry_idx ON donations.manage_tokens (expires_at);

GRANT SELECT, INSERT, UPDATE (used_at), DELETE ON donations.manage_tokens TO cagnotte_service;

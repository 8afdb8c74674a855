-- Card ways that close by declines, pages that are opened again by the service, and what may be deleted
-- of donations that nobody paid.
--
-- On a million rows: a moment; donations, collectives and notices are locked for it, and no row is written.

-- +goose Up

CREATE SCHEMA IF NOT EXISTS wall;
REVOKE ALL ON SCHEMA wall FROM PUBLIC;
GRANT USAGE ON SCHEMA wall TO cagnotte_service;

-- What became of an attempt to pay, for as long as it counts. Rows are only added and deleted, so that no two events wait for
-- one row.
CREATE TABLE wall.card_results (
    id             bigint      GENERATED ALWAYS AS IDENTITY,
    collective     text        NOT NULL,
    campaign       text        NOT NULL,
    stripe_account text        NOT NULL,
    donation       uuid        NOT NULL,
    declined       boolean     NOT NULL,
    happened_at    timestamptz NOT NULL,

    CONSTRAINT card_results_pkey PRIMARY KEY (id)
);

-- The results of a campaign and account since a time.
CREATE INDEX card_results_way_idx ON wall.card_results (collective, campaign, stripe_account, happened_at)
    INCLUDE (declined, donation);
-- The rows to delete.
CREATE INDEX card_results_time_idx ON wall.card_results (happened_at);

GRANT SELECT, INSERT, DELETE ON wall.card_results TO cagnotte_service;

ALTER TABLE wall.card_results ENABLE ROW LEVEL SECURITY;
CREATE POLICY card_results_scope ON wall.card_results
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

-- The latest closing of a campaign's card way.
CREATE TABLE wall.closings (
    collective     text        NOT NULL,
    campaign       text        NOT NULL,
    stripe_account text        NOT NULL,
    -- How many closings followed one another; each one lasts twice as long.
    level          integer     NOT NULL,
    closed_at      timestamptz NOT NULL,
    -- Until then no page is opened; for some minutes afterwards a few are.
    closed_until   timestamptz NOT NULL,
    -- What closed it.
    declined       bigint      NOT NULL,
    paid           bigint      NOT NULL,
    -- The pages that were opened since closed_until.
    pages          integer     NOT NULL DEFAULT 0,
    -- Members and the operator were told that it is open again.
    reopening_told boolean     NOT NULL DEFAULT false,

    CONSTRAINT closings_pkey PRIMARY KEY (collective, campaign, stripe_account),
    CONSTRAINT closings_level_counted CHECK (level > 0),
    CONSTRAINT closings_end_later CHECK (closed_until > closed_at),
    CONSTRAINT closings_pages_counted CHECK (pages >= 0)
);

-- The closings whose end is still to be told. Small at all times.
CREATE INDEX closings_end_idx ON wall.closings (closed_until)
    WHERE NOT reopening_told;

GRANT SELECT, INSERT, UPDATE, DELETE ON wall.closings TO cagnotte_service;

ALTER TABLE wall.closings ENABLE ROW LEVEL SECURITY;
CREATE POLICY closings_scope ON wall.closings
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

-- The sessions that a donation had before its page was opened again. Nobody can pay on them, but what Stripe still says of
-- them is about the donation.
CREATE TABLE donations.earlier_sessions (
    donation   uuid NOT NULL,
    session_id text NOT NULL,

    CONSTRAINT earlier_sessions_pkey PRIMARY KEY (donation, session_id),
    CONSTRAINT earlier_sessions_session_key UNIQUE (session_id),
    CONSTRAINT earlier_sessions_donation_fkey FOREIGN KEY (donation) REFERENCES donations.donations (id)
);

GRANT SELECT, INSERT, DELETE ON donations.earlier_sessions TO cagnotte_service;

ALTER TABLE donations.earlier_sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY earlier_sessions_scope ON donations.earlier_sessions
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE EXISTS (SELECT FROM donations.donations AS d WHERE d.id = earlier_sessions.donation)
        END
    );

-- How often its page was opened again.
ALTER TABLE donations.donations ADD COLUMN reopenings integer NOT NULL DEFAULT 0;

-- The figures of a notice, such as how many cards were declined and how many payments arrived.
ALTER TABLE notices.notices ADD COLUMN counts bigint[] NOT NULL DEFAULT '{}';

-- What was asked for does not change, and a state only takes the steps that are drawn.
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
    -- services/donations/state.go has the same table, and a test compares the two. Money that arrived overrules any
    -- report that it would not. A page that closed can be opened again: the donation is created once more. A paid
    -- donation stays paid, and its state follows what Stripe's balance has of it.
    IF OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (
        ('created', 'pending'), ('created', 'succeeded'), ('created', 'expired'), ('created', 'failed'), ('created', 'canceled'),
        ('pending', 'succeeded'), ('pending', 'failed'),
        ('expired', 'created'), ('expired', 'pending'), ('expired', 'succeeded'), ('failed', 'succeeded'), ('canceled', 'succeeded'),
        ('succeeded', 'partially_refunded'), ('succeeded', 'refunded'), ('succeeded', 'disputed'),
        ('partially_refunded', 'succeeded'), ('partially_refunded', 'refunded'), ('partially_refunded', 'disputed'),
        ('refunded', 'succeeded'), ('refunded', 'partially_refunded'), ('refunded', 'disputed'),
        ('disputed', 'succeeded'), ('disputed', 'partially_refunded'), ('disputed', 'refunded')
    ) THEN
        RAISE EXCEPTION 'a donation does not go from % to %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'donations_state_forward';
    END IF;
    -- A session is only left behind by opening the page again, and is kept then.
    IF NEW.attempt < OLD.attempt
        OR NEW.declines < OLD.declines
        OR NEW.reopenings < OLD.reopenings
        OR (
            OLD.checkout_session_id IS NOT NULL
            AND OLD.checkout_session_id IS DISTINCT FROM NEW.checkout_session_id
            AND NOT (
                NEW.checkout_session_id IS NULL
                AND NEW.reopenings > OLD.reopenings
                AND EXISTS (
                    SELECT
                    FROM donations.earlier_sessions AS e
                    WHERE e.donation = OLD.id
                        AND e.session_id = OLD.checkout_session_id
                )
            )
        )
        OR (OLD.booked_at IS NOT NULL AND OLD.booked_at IS DISTINCT FROM NEW.booked_at)
    THEN
        RAISE EXCEPTION 'attempts, declines, the session and the booking of a donation do not go back'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'donations_progress_forward';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

-- A payment page's link is stored only until the donation is paid or the page closes.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION donations.forget_links() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    IF NEW.state <> 'created' THEN
        NEW.checkout_url := NULL;
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

-- Only a donation that nobody ever paid is deleted: one that expired, and of which Stripe never had money. Refunds, disputes,
-- warnings and receipts keep theirs by their foreign keys.
-- +goose StatementBegin
CREATE FUNCTION donations.check_delete() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    IF OLD.state <> 'expired'
        OR OLD.charge_id IS NOT NULL
        OR OLD.paid_at IS NOT NULL
        OR OLD.booked_at IS NOT NULL
        OR OLD.refunded_minor <> 0
        OR OLD.disputed_minor <> 0
        OR OLD.invoice_id IS NOT NULL
    THEN
        RAISE EXCEPTION 'a donation that is %, or that money was seen of, is not deleted', OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'donations_delete_unpaid';
    END IF;
    RETURN OLD;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER donations_check_delete
    BEFORE DELETE ON donations.donations
    FOR EACH ROW
    EXECUTE FUNCTION donations.check_delete();

-- +goose StatementBegin
CREATE FUNCTION donations.check_recurring_delete() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    IF OLD.state <> 'expired' OR OLD.subscription_id IS NOT NULL THEN
        RAISE EXCEPTION 'a monthly donation that is %, or that has a subscription, is not deleted', OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'recurring_delete_unpaid';
    END IF;
    RETURN OLD;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER recurring_check_delete
    BEFORE DELETE ON donations.recurring
    FOR EACH ROW
    EXECUTE FUNCTION donations.check_recurring_delete();

GRANT DELETE ON donations.donations TO cagnotte_service;
GRANT DELETE ON donations.payments TO cagnotte_service;
GRANT DELETE ON donations.recurring TO cagnotte_service;

-- What was noted of a donation or monthly donation goes with it. None of them counts in a sum.
-- +goose StatementBegin
CREATE FUNCTION overview.forget_contributions() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = ''
AS $$
BEGIN
    DELETE FROM overview.states AS s
    USING gone AS g
    WHERE s.contribution = g.id;
    DELETE FROM overview.contributions AS c
    USING gone AS g
    WHERE c.id = g.id
        AND NOT c.counted;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION overview.forget_recurring() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = ''
AS $$
BEGIN
    DELETE FROM overview.recurring AS r
    USING gone AS g
    WHERE r.id = g.id
        AND r.began_in IS NULL;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER donations_overview_deleted
    AFTER DELETE ON donations.donations
    REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT
    EXECUTE FUNCTION overview.forget_contributions();
CREATE TRIGGER recurring_overview_deleted
    AFTER DELETE ON donations.recurring
    REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT
    EXECUTE FUNCTION overview.forget_recurring();

-- All that was given or promised to a collective, in one form, with sums by day, and how monthly donations come and go.
--
-- Triggers on the tables of donations, treasury and their monthly donations write here, in the transaction of each change.
-- So these tables follow every way in which a row changes, whatever the order of events, and nothing else writes them.
-- What was there before comes with 00027.
--
-- On a million rows: a moment for each table that gets a trigger; it is locked for it, and no row is read.

-- +goose Up

CREATE SCHEMA IF NOT EXISTS overview;
REVOKE ALL ON SCHEMA overview FROM PUBLIC;
GRANT USAGE ON SCHEMA overview TO cagnotte_service;

-- A donation, an offline donation, or a pledge that is not fulfilled. Only the row of a pledge is ever deleted: when its
-- donation takes its place.
CREATE TABLE overview.contributions (
    -- That of the donation, the offline donation or the pledge.
    id             uuid        NOT NULL,
    kind           text        NOT NULL,
    collective     text        NOT NULL,
    campaign       text        NOT NULL,
    -- When it was given, in the collective's time zone of that time. It does not change, so that pages and sums stay.
    day            date        NOT NULL,
    created_at     timestamptz NOT NULL,
    amount_minor   bigint      NOT NULL,
    currency       text        NOT NULL,
    -- It is in the books. received_minor is what is left of it there, and 0 for all others.
    counted        boolean     NOT NULL,
    received_minor bigint      NOT NULL,
    method         text        NOT NULL,
    -- Stripe's word; '' where it is not known.
    payment_method text        NOT NULL,
    state          text        NOT NULL,
    -- The monthly donation that it is a month of; NULL for none.
    recurring_id   uuid,
    -- The characters that identify the pledge that it is or fulfils; '' for none.
    pledge         text        NOT NULL,
    -- The number of its paper, and the same in lower case, by which it is found; '' for none. Under row-level security an
    -- index of lower(document) would not be used.
    document       text        NOT NULL,
    document_key   text        NOT NULL,
    -- When a pledge expires; NULL for all others.
    expires_at     timestamptz,
    updated_at     timestamptz NOT NULL,

    CONSTRAINT contributions_pkey PRIMARY KEY (id),
    CONSTRAINT contributions_kind_known CHECK (kind IN ('donation', 'offline', 'pledge')),
    CONSTRAINT contributions_received CHECK (received_minor >= 0 AND (counted OR received_minor = 0)),
    CONSTRAINT contributions_pledge CHECK (
        (kind = 'pledge') = (expires_at IS NOT NULL)
        AND (kind <> 'pledge' OR NOT counted)
    ),
    CONSTRAINT contributions_method_known CHECK (method IN (
        'card', 'debit', 'online', 'cash', 'transfer', 'cheque', 'payee_cheque'
    )),
    CONSTRAINT contributions_state_known CHECK (state IN (
        'created', 'pending', 'succeeded', 'expired', 'failed', 'canceled', 'partially_refunded', 'refunded', 'disputed',
        'received', 'banked', 'bounced', 'reversed', 'pledged'
    ))
);

-- The list and each of its filters, newest first.
CREATE INDEX contributions_day_idx ON overview.contributions (collective, day DESC, created_at DESC, id DESC);
CREATE INDEX contributions_campaign_idx ON overview.contributions (collective, campaign, day DESC, created_at DESC, id DESC);
CREATE INDEX contributions_state_idx ON overview.contributions (collective, state, day DESC, created_at DESC, id DESC);
CREATE INDEX contributions_method_idx ON overview.contributions (collective, method, day DESC, created_at DESC, id DESC);
CREATE INDEX contributions_amount_idx ON overview.contributions (collective, amount_minor, day DESC, created_at DESC, id DESC);
CREATE INDEX contributions_monthly_idx ON overview.contributions (collective, day DESC, created_at DESC, id DESC)
    WHERE recurring_id IS NOT NULL;
CREATE INDEX contributions_recurring_idx ON overview.contributions (recurring_id, day DESC, created_at DESC, id DESC)
    WHERE recurring_id IS NOT NULL;
CREATE INDEX contributions_document_idx ON overview.contributions (collective, document_key)
    WHERE document_key <> '';

GRANT SELECT ON overview.contributions TO cagnotte_service;

ALTER TABLE overview.contributions ENABLE ROW LEVEL SECURITY;
CREATE POLICY contributions_scope ON overview.contributions
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

-- When a contribution came into each of its states.
CREATE TABLE overview.states (
    id           bigint      GENERATED ALWAYS AS IDENTITY,
    contribution uuid        NOT NULL,
    collective   text        NOT NULL,
    state        text        NOT NULL,
    began_at     timestamptz NOT NULL,

    CONSTRAINT states_pkey PRIMARY KEY (id)
);

-- A contribution's states, oldest first.
CREATE INDEX states_contribution_idx ON overview.states (contribution, id);

GRANT SELECT ON overview.states TO cagnotte_service;

ALTER TABLE overview.states ENABLE ROW LEVEL SECURITY;
CREATE POLICY states_scope ON overview.states
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

-- What was received of the donations of one day. It always is what the rows of contributions sum to.
CREATE TABLE overview.days (
    collective     text    NOT NULL,
    campaign       text    NOT NULL,
    day            date    NOT NULL,
    method         text    NOT NULL,
    currency       text    NOT NULL,
    received_minor bigint  NOT NULL,
    -- How many are in the books, those refunded later included.
    donations      bigint  NOT NULL,

    CONSTRAINT days_pkey PRIMARY KEY (collective, day, campaign, method, currency) INCLUDE (received_minor, donations)
);

-- A campaign's days.
CREATE INDEX days_campaign_idx ON overview.days (collective, campaign, day, method, currency)
    INCLUDE (received_minor, donations);

GRANT SELECT ON overview.days TO cagnotte_service;

ALTER TABLE overview.days ENABLE ROW LEVEL SECURITY;
CREATE POLICY days_scope ON overview.days
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

-- What counts of a monthly donation. Months are those of the collective's time zone, by their first day.
CREATE TABLE overview.recurring (
    id             uuid   NOT NULL,
    collective     text   NOT NULL,
    campaign       text   NOT NULL,
    currency       text   NOT NULL,
    -- In which month it began and ended; NULL if it did not. One that ended began too, in the same month or before.
    began_in       date,
    ended_in       date,
    -- What the next month is expected to bring; 0 for one that is paused or ends.
    expected_minor bigint NOT NULL,

    CONSTRAINT recurring_pkey PRIMARY KEY (id),
    CONSTRAINT recurring_ended_later CHECK (ended_in >= began_in AND (ended_in IS NULL OR began_in IS NOT NULL))
);

GRANT SELECT ON overview.recurring TO cagnotte_service;

ALTER TABLE overview.recurring ENABLE ROW LEVEL SECURITY;
CREATE POLICY recurring_scope ON overview.recurring
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

-- How many monthly donations began and ended in a month. It always is what the rows of recurring sum to.
CREATE TABLE overview.months (
    collective     text   NOT NULL,
    campaign       text   NOT NULL,
    month          date   NOT NULL,
    currency       text   NOT NULL,
    began          bigint NOT NULL,
    ended          bigint NOT NULL,
    -- Those of ended that had begun in the same month.
    ended_at_once  bigint NOT NULL,
    -- What those that began in the month are still expected to bring, now and each month.
    expected_minor bigint NOT NULL,

    CONSTRAINT months_pkey PRIMARY KEY (collective, month, campaign, currency)
);

GRANT SELECT ON overview.months TO cagnotte_service;

ALTER TABLE overview.months ENABLE ROW LEVEL SECURITY;
CREATE POLICY months_scope ON overview.months
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

-- The day of a moment in a zone. A zone that Postgres does not know is UTC: no donation fails for it.
-- +goose StatementBegin
CREATE FUNCTION overview.day_of(at timestamptz, zone text) RETURNS date
LANGUAGE plpgsql
STABLE
SET search_path = ''
AS $$
BEGIN
    RETURN (at AT TIME ZONE zone)::date;
EXCEPTION
    WHEN invalid_parameter_value THEN
        RETURN (at AT TIME ZONE 'UTC')::date;
END
$$;
-- +goose StatementEnd

-- Donations through Stripe. An unbooked one counts nothing; a donation that was paid back twice counts zero. Rows that do not
-- change here are left alone, since most changes of a donation are of no interest.
-- +goose StatementBegin
CREATE FUNCTION overview.note_donations() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = ''
SET enable_seqscan = off
SET enable_mergejoin = off
SET enable_hashjoin = off
AS $$
BEGIN
    INSERT INTO overview.contributions AS c (
        id,
        kind,
        collective,
        campaign,
        day,
        created_at,
        amount_minor,
        currency,
        counted,
        received_minor,
        method,
        payment_method,
        state,
        recurring_id,
        pledge,
        document,
        document_key,
        expires_at,
        updated_at
    )
    SELECT
        n.id,
        'donation',
        n.collective,
        n.campaign,
        overview.day_of(n.created_at, n.time_zone),
        n.created_at,
        n.amount_minor,
        n.currency,
        n.counted,
        n.received_minor,
        n.method,
        n.payment_method,
        n.state,
        n.recurring_id,
        '',
        '',
        '',
        NULL,
        n.updated_at
    FROM (
        SELECT
            d.id,
            d.collective,
            d.campaign,
            d.created_at,
            d.amount_minor,
            d.currency,
            d.booked_at IS NOT NULL AS counted,
            CASE
                WHEN d.booked_at IS NULL THEN 0
                ELSE greatest(d.amount_minor - d.refunded_minor - d.disputed_minor, 0)
            END AS received_minor,
            CASE d.payment_method
                WHEN 'card' THEN 'card'
                WHEN 'sepa_debit' THEN 'debit'
                ELSE 'online'
            END AS method,
            d.payment_method,
            d.state,
            d.recurring_id,
            d.updated_at,
            o.time_zone
        FROM after AS d
        JOIN collectives.collectives AS o ON o.id = d.collective
    ) AS n
    WHERE NOT EXISTS (
        SELECT
        FROM overview.contributions AS e
        WHERE e.id = n.id
            AND e.counted = n.counted
            AND e.received_minor = n.received_minor
            AND e.payment_method = n.payment_method
            AND e.state = n.state
    )
    ON CONFLICT (id) DO UPDATE
    SET
        counted = excluded.counted,
        received_minor = excluded.received_minor,
        method = excluded.method,
        payment_method = excluded.payment_method,
        state = excluded.state,
        updated_at = excluded.updated_at;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- Adds those of the pledges that have no live donation.
-- +goose StatementBegin
CREATE FUNCTION overview.add_pledges(ids uuid[]) RETURNS void
LANGUAGE sql
SET search_path = ''
AS $$
    INSERT INTO overview.contributions (
        id,
        kind,
        collective,
        campaign,
        day,
        created_at,
        amount_minor,
        currency,
        counted,
        received_minor,
        method,
        payment_method,
        state,
        recurring_id,
        pledge,
        document,
        document_key,
        expires_at,
        updated_at
    )
    SELECT
        p.id,
        'pledge',
        p.collective,
        p.campaign,
        overview.day_of(p.created_at, o.time_zone),
        p.created_at,
        p.amount_minor,
        p.currency,
        false,
        0,
        p.method,
        '',
        'pledged',
        NULL,
        p.reference,
        '',
        '',
        p.expires_at,
        p.created_at
    FROM treasury.pledges AS p
    JOIN collectives.collectives AS o ON o.id = p.collective
    WHERE p.id = ANY (ids)
        AND NOT EXISTS (
            SELECT
            FROM treasury.offline_donations AS d
            WHERE d.pledge = p.id
                AND d.state IN ('received', 'banked')
        )
    ON CONFLICT (id) DO NOTHING
$$;
-- +goose StatementEnd

-- A pledge.
-- +goose StatementBegin
CREATE FUNCTION overview.note_pledge() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = ''
AS $$
BEGIN
    PERFORM overview.add_pledges(ARRAY[NEW.id]);
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- Offline donations. One that is live takes the place of its pledge, and gives it back when it bounces or is reversed.
-- +goose StatementBegin
CREATE FUNCTION overview.note_offline_donations() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = ''
SET enable_seqscan = off
SET enable_mergejoin = off
SET enable_hashjoin = off
AS $$
BEGIN
    INSERT INTO overview.contributions AS c (
        id,
        kind,
        collective,
        campaign,
        day,
        created_at,
        amount_minor,
        currency,
        counted,
        received_minor,
        method,
        payment_method,
        state,
        recurring_id,
        pledge,
        document,
        document_key,
        expires_at,
        updated_at
    )
    SELECT
        d.id,
        'offline',
        d.collective,
        d.campaign,
        d.received_on,
        d.created_at,
        d.amount_minor,
        d.currency,
        b.counted,
        CASE WHEN b.counted THEN d.amount_minor ELSE 0 END,
        d.method,
        '',
        d.state,
        NULL,
        coalesce(p.reference, ''),
        d.document,
        lower(d.document),
        NULL,
        d.updated_at
    FROM after AS d
    CROSS JOIN LATERAL (
        SELECT NOT d.outside_books AND d.state IN ('received', 'banked') AS counted
    ) AS b
    LEFT JOIN treasury.pledges AS p ON p.id = d.pledge
    ON CONFLICT (id) DO UPDATE
    SET
        counted = excluded.counted,
        received_minor = excluded.received_minor,
        state = excluded.state,
        updated_at = excluded.updated_at;
    DELETE FROM overview.contributions AS c
    USING after AS d
    WHERE c.id = d.pledge
        AND d.state IN ('received', 'banked');
    PERFORM overview.add_pledges(ARRAY(
        SELECT d.pledge
        FROM after AS d
        WHERE d.pledge IS NOT NULL
            AND d.state NOT IN ('received', 'banked')
    ));
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- A contribution's states, and the sums of its day. The rows of a statement are locked in one order.
-- +goose StatementBegin
CREATE FUNCTION overview.sum_contributions() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = ''
SET enable_seqscan = off
SET enable_mergejoin = off
SET enable_hashjoin = off
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO overview.states (contribution, collective, state, began_at)
        SELECT
            s.id,
            s.collective,
            s.state,
            s.began_at
        FROM (
            -- What is only noted now has begun before.
            SELECT
                a.id,
                a.collective,
                CASE a.kind WHEN 'donation' THEN 'created' WHEN 'offline' THEN 'received' ELSE 'pledged' END AS state,
                a.created_at AS began_at
            FROM after AS a
            UNION
            SELECT
                a.id,
                a.collective,
                a.state,
                CASE WHEN a.state IN ('created', 'received', 'pledged') THEN a.created_at ELSE a.updated_at END
            FROM after AS a
        ) AS s
        ORDER BY
            s.began_at,
            s.state IN ('created', 'received', 'pledged') DESC,
            s.id;
        INSERT INTO overview.days AS d (collective, campaign, day, method, currency, received_minor, donations)
        SELECT
            a.collective,
            a.campaign,
            a.day,
            a.method,
            a.currency,
            sum(a.received_minor)::bigint,
            count(*)
        FROM after AS a
        WHERE a.counted
        GROUP BY
            a.collective,
            a.campaign,
            a.day,
            a.method,
            a.currency
        ORDER BY
            a.collective,
            a.campaign,
            a.day,
            a.method,
            a.currency
        ON CONFLICT (collective, day, campaign, method, currency) DO UPDATE
        SET
            received_minor = d.received_minor + excluded.received_minor,
            donations = d.donations + excluded.donations;
    ELSE
        INSERT INTO overview.states (contribution, collective, state, began_at)
        SELECT
            a.id,
            a.collective,
            a.state,
            a.updated_at
        FROM after AS a
        JOIN before AS b ON b.id = a.id
        WHERE b.state <> a.state
        ORDER BY a.id;
        INSERT INTO overview.days AS d (collective, campaign, day, method, currency, received_minor, donations)
        SELECT
            m.collective,
            m.campaign,
            m.day,
            m.method,
            m.currency,
            sum(m.received_minor)::bigint,
            sum(m.donations)::bigint
        FROM (
            SELECT
                a.collective,
                a.campaign,
                a.day,
                a.method,
                a.currency,
                a.received_minor,
                1 AS donations
            FROM after AS a
            WHERE a.counted
            UNION ALL
            SELECT
                b.collective,
                b.campaign,
                b.day,
                b.method,
                b.currency,
                -b.received_minor,
                -1
            FROM before AS b
            WHERE b.counted
        ) AS m
        GROUP BY
            m.collective,
            m.campaign,
            m.day,
            m.method,
            m.currency
        HAVING sum(m.received_minor) <> 0
            OR sum(m.donations) <> 0
        ORDER BY
            m.collective,
            m.campaign,
            m.day,
            m.method,
            m.currency
        ON CONFLICT (collective, day, campaign, method, currency) DO UPDATE
        SET
            received_minor = d.received_minor + excluded.received_minor,
            donations = d.donations + excluded.donations;
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- A monthly donation. The months in which it was noted to begin and to end stay when the zone of its collective changes.
-- +goose StatementBegin
CREATE FUNCTION overview.note_recurring() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = ''
AS $$
BEGIN
    INSERT INTO overview.recurring AS c (id, collective, campaign, currency, began_in, ended_in, expected_minor)
    SELECT
        NEW.id,
        NEW.collective,
        NEW.campaign,
        NEW.currency,
        CASE WHEN NEW.state IN ('active', 'past_due', 'canceled') THEN m.began_in END,
        CASE WHEN NEW.state = 'canceled' THEN m.ended_in END,
        CASE
            WHEN NEW.state IN ('active', 'past_due')
                AND NOT NEW.paused
                AND NOT NEW.cancel_at_period_end
                AND NEW.cancel_at IS NULL
                AND NEW.pending_end IS NULL
                THEN NEW.amount_minor
            ELSE 0
        END
    FROM collectives.collectives AS o
    CROSS JOIN LATERAL (
        SELECT
            date_trunc('month', overview.day_of(NEW.created_at, o.time_zone)::timestamp)::date AS began_in,
            date_trunc(
                'month',
                overview.day_of(greatest(NEW.ended_at, NEW.created_at), o.time_zone)::timestamp
            )::date AS ended_in
    ) AS m
    WHERE o.id = NEW.collective
    ON CONFLICT (id) DO UPDATE
    SET
        began_in = coalesce(c.began_in, excluded.began_in),
        -- greatest leaves out a NULL, and so would end one that runs.
        ended_in = coalesce(c.ended_in, CASE WHEN excluded.ended_in IS NOT NULL THEN greatest(excluded.ended_in, c.began_in) END),
        expected_minor = excluded.expected_minor
    -- Most changes are of other columns.
    WHERE (c.began_in IS NULL) <> (excluded.began_in IS NULL)
        OR (c.ended_in IS NULL) <> (excluded.ended_in IS NULL)
        OR c.expected_minor <> excluded.expected_minor;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- The sums of months: what the row was is subtracted, and what it is added. OLD is NULL for a new row.
-- +goose StatementBegin
CREATE FUNCTION overview.sum_recurring() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = ''
AS $$
BEGIN
    INSERT INTO overview.months AS m (collective, campaign, month, currency, began, ended, ended_at_once, expected_minor)
    SELECT
        NEW.collective,
        NEW.campaign,
        x.month,
        NEW.currency,
        sum(x.began),
        sum(x.ended),
        sum(x.ended_at_once),
        sum(x.expected_minor)
    FROM (
        VALUES
            (OLD.began_in, -1, 0, 0, -OLD.expected_minor),
            (OLD.ended_in, 0, -1, -(OLD.ended_in = OLD.began_in)::integer, 0),
            (NEW.began_in, 1, 0, 0, NEW.expected_minor),
            (NEW.ended_in, 0, 1, (NEW.ended_in = NEW.began_in)::integer, 0)
    ) AS x (month, began, ended, ended_at_once, expected_minor)
    WHERE x.month IS NOT NULL
    GROUP BY x.month
    HAVING sum(x.began) <> 0
        OR sum(x.ended) <> 0
        OR sum(x.ended_at_once) <> 0
        OR sum(x.expected_minor) <> 0
    ORDER BY x.month
    ON CONFLICT (collective, month, campaign, currency) DO UPDATE
    SET
        began = m.began + excluded.began,
        ended = m.ended + excluded.ended,
        ended_at_once = m.ended_at_once + excluded.ended_at_once,
        expected_minor = m.expected_minor + excluded.expected_minor;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER contributions_sum_added
    AFTER INSERT ON overview.contributions
    REFERENCING NEW TABLE AS after
    FOR EACH STATEMENT
    EXECUTE FUNCTION overview.sum_contributions();
CREATE TRIGGER contributions_sum_changed
    AFTER UPDATE ON overview.contributions
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT
    EXECUTE FUNCTION overview.sum_contributions();
CREATE TRIGGER recurring_sum
    AFTER INSERT OR UPDATE ON overview.recurring
    FOR EACH ROW
    EXECUTE FUNCTION overview.sum_recurring();

-- What an event is about, in columns of their own: the history of a donation looks them up, and under row-level security an
-- index of an expression would not be used. Events from before have NULL, and are deleted soon.
ALTER TABLE webhooks.events
    ADD COLUMN payment_key  text,
    ADD COLUMN resource_key text;

-- +goose StatementBegin
CREATE FUNCTION overview.name_event() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    NEW.payment_key := NEW.resource ->> 'payment_intent';
    NEW.resource_key := coalesce(NEW.resource ->> 'id', NEW.resource #>> '{session,id}');
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER events_name
    BEFORE INSERT ON webhooks.events
    FOR EACH ROW
    EXECUTE FUNCTION overview.name_event();

CREATE TRIGGER donations_overview_added
    AFTER INSERT ON donations.donations
    REFERENCING NEW TABLE AS after
    FOR EACH STATEMENT
    EXECUTE FUNCTION overview.note_donations();
CREATE TRIGGER donations_overview_changed
    AFTER UPDATE ON donations.donations
    REFERENCING NEW TABLE AS after
    FOR EACH STATEMENT
    EXECUTE FUNCTION overview.note_donations();
CREATE TRIGGER recurring_overview
    AFTER INSERT OR UPDATE ON donations.recurring
    FOR EACH ROW
    EXECUTE FUNCTION overview.note_recurring();
-- Pledges do not change; 00027 notes the old ones by an update.
CREATE TRIGGER pledges_overview
    AFTER INSERT OR UPDATE ON treasury.pledges
    FOR EACH ROW
    EXECUTE FUNCTION overview.note_pledge();
CREATE TRIGGER offline_donations_overview_added
    AFTER INSERT ON treasury.offline_donations
    REFERENCING NEW TABLE AS after
    FOR EACH STATEMENT
    EXECUTE FUNCTION overview.note_offline_donations();
CREATE TRIGGER offline_donations_overview_changed
    AFTER UPDATE ON treasury.offline_donations
    REFERENCING NEW TABLE AS after
    FOR EACH STATEMENT
    EXECUTE FUNCTION overview.note_offline_donations();

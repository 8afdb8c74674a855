-- Campaigns show donations in batches where members choose so, and the batches. It is off.
--
-- On a million rows: a moment; campaigns are locked for it, and no row is written.

-- +goose Up

-- Its page shows donations in batches.
ALTER TABLE campaigns.campaigns ADD COLUMN donations_shown boolean NOT NULL DEFAULT false;

GRANT UPDATE (donations_shown) ON campaigns.campaigns TO cagnotte_service;

-- As in 00058, with one column more that changes when a campaign is closed.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION campaigns.keep_promises() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF OLD.state = 'closed'
        AND to_jsonb(NEW) - '{listed,expenses_shown,donations_shown,version,updated_at}'::text[]
            = to_jsonb(OLD) - '{listed,expenses_shown,donations_shown,version,updated_at}'::text[]
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'campaign %/% is %, so this cannot change', OLD.collective, OLD.id, OLD.state
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'campaigns_keep_promises';
END
$$;
-- +goose StatementEnd

-- A campaign whose donations are made into batches now. The row goes when its members, or the collective's discretion, end
-- that.
CREATE TABLE donations.batch_positions (
    collective text NOT NULL,
    campaign   text NOT NULL,
    -- The first day (UTC) that is in no batch.
    next_day   date NOT NULL,

    CONSTRAINT batch_positions_pkey PRIMARY KEY (collective, campaign)
);

-- The campaigns that have days to look at.
CREATE INDEX batch_positions_day_idx ON donations.batch_positions (next_day, collective, campaign);

GRANT SELECT, INSERT, UPDATE (next_day), DELETE ON donations.batch_positions TO cagnotte_service;

ALTER TABLE donations.batch_positions ENABLE ROW LEVEL SECURITY;
CREATE POLICY batch_positions_scope ON donations.batch_positions
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

-- What everybody may see of donations. Rows are neither changed nor deleted, so two reads differ in whole batches.
CREATE TABLE donations.batches (
    collective     text   NOT NULL,
    campaign       text   NOT NULL,
    -- Days in UTC.
    first_day      date   NOT NULL,
    last_day       date   NOT NULL,
    donation_count bigint NOT NULL,
    currency       text   NOT NULL,
    -- The steps, one element each: amounts above more_than, up to up_to, which is 0 for no bound.
    more_than      bigint[] NOT NULL,
    up_to          bigint[] NOT NULL,
    step_counts    bigint[] NOT NULL,

    CONSTRAINT batches_pkey PRIMARY KEY (collective, campaign, last_day),
    CONSTRAINT batches_days CHECK (first_day <= last_day),
    CONSTRAINT batches_several CHECK (donation_count >= 5),
    CONSTRAINT batches_steps CHECK (
        cardinality(more_than) = cardinality(step_counts)
        AND cardinality(up_to) = cardinality(step_counts)
        AND 3 <= ALL (step_counts)
    ),
    CONSTRAINT batches_currency_code CHECK (currency ~ '^[A-Z]{3}$')
);

GRANT SELECT, INSERT ON donations.batches TO cagnotte_service;

ALTER TABLE donations.batches ENABLE ROW LEVEL SECURITY;
CREATE POLICY batches_scope ON donations.batches
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

-- A campaign remembers the id that it had before it was renamed, so that the same request sent again finds it; and names that
-- campaigns have given up refuse what comes too late.
--
-- On a million rows: a moment; campaigns are locked for it, and no row is written.

-- +goose Up

-- Empty for a campaign that was never renamed.
ALTER TABLE campaigns.campaigns ADD COLUMN previous_id text NOT NULL DEFAULT '';

GRANT UPDATE (previous_id) ON campaigns.campaigns TO cagnotte_service;

-- Names that a campaign had before it was renamed or deleted, until another campaign takes them. Triggers alone write it.
CREATE TABLE campaigns.retired_names (
    collective text NOT NULL,
    campaign   text NOT NULL,

    CONSTRAINT retired_names_pkey PRIMARY KEY (collective, campaign)
);

ALTER TABLE campaigns.retired_names ENABLE ROW LEVEL SECURITY;
CREATE POLICY retired_names_scope ON campaigns.retired_names
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

-- As in 00016, and the name that is given up is noted.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION campaigns.keep_used() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.state <> 'draft' THEN
        RAISE EXCEPTION 'campaign %/% is %, and only drafts are deleted', OLD.collective, OLD.id, OLD.state
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'campaigns_delete_drafts';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('campaigns/' || OLD.collective || '/' || OLD.id, 0));
    -- A statement of its own, and so with a snapshot from after the lock.
    IF EXISTS (SELECT FROM donations.donations AS d WHERE d.collective = OLD.collective AND d.campaign = OLD.id)
        OR EXISTS (SELECT FROM treasury.pledges AS p WHERE p.collective = OLD.collective AND p.campaign = OLD.id)
        OR EXISTS (SELECT FROM treasury.offline_donations AS o WHERE o.collective = OLD.collective AND o.campaign = OLD.id)
        OR EXISTS (SELECT FROM treasury.expenses AS e WHERE e.collective = OLD.collective AND e.campaign = OLD.id)
        OR EXISTS (SELECT FROM ledger.entries AS l WHERE l.collective = OLD.collective AND l.campaign = OLD.id)
    THEN
        RAISE EXCEPTION 'campaign %/% is referred to', OLD.collective, OLD.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'campaigns_in_use';
    END IF;
    INSERT INTO campaigns.retired_names (collective, campaign)
    VALUES (OLD.collective, OLD.id)
    ON CONFLICT DO NOTHING;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    DELETE FROM campaigns.retired_names AS r WHERE r.collective = NEW.collective AND r.campaign = NEW.id;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

-- A row that names a campaign holds the name by a shared lock, which a rename waits for. One that came too late is tried
-- again, and then finds no campaign.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION campaigns.hold_name() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('campaigns/' || NEW.collective || '/' || NEW.campaign, 0));
    -- A statement of its own, and so with a snapshot from after the lock.
    IF EXISTS (SELECT FROM campaigns.retired_names AS r WHERE r.collective = NEW.collective AND r.campaign = NEW.campaign) THEN
        RAISE EXCEPTION 'campaign %/% has another name now', NEW.collective, NEW.campaign
            USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

-- Another campaign takes a name that was given up.
-- +goose StatementBegin
CREATE FUNCTION campaigns.take_name() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM campaigns.retired_names AS r WHERE r.collective = NEW.collective AND r.campaign = NEW.id;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER campaigns_take_name
    AFTER INSERT ON campaigns.campaigns
    FOR EACH ROW
    EXECUTE FUNCTION campaigns.take_name();

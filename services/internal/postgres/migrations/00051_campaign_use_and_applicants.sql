-- A campaign's use is looked up in two indexes of the ledger, and applicants can be forgotten.
--
-- On a million rows: a moment; it changes the catalogue alone.

-- +goose Up

-- As in 00036, but that each look into the entries has the condition of an index: entries_campaign_idx of those in nominal
-- accounts, entries_campaign_other_idx of the others.
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
        OR EXISTS (SELECT FROM ledger.entries AS l WHERE l.collective = OLD.collective AND l.campaign = OLD.id AND l.nominal)
        OR EXISTS (
            SELECT
            FROM ledger.entries AS l
            WHERE l.collective = OLD.collective
                AND l.campaign = OLD.id
                AND NOT l.nominal
                AND l.campaign <> ''
        )
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

-- Who applied is erased some time after the rejection. The hash of what was sent goes with it.
GRANT UPDATE (applicant, email, fingerprint) ON collectives.applications TO cagnotte_service;

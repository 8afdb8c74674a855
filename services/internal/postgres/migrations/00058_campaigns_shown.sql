-- Campaigns are listed on the front page, and show their expenses, where members choose so. Both are off.
--
-- On a million rows: a moment; campaigns are locked for it, and no row is written.

-- +goose Up

-- The front page shows it while it is public.
ALTER TABLE campaigns.campaigns ADD COLUMN listed boolean NOT NULL DEFAULT false;
-- Its page shows its expenses one by one.
ALTER TABLE campaigns.campaigns ADD COLUMN expenses_shown boolean NOT NULL DEFAULT false;

GRANT UPDATE (listed, expenses_shown) ON campaigns.campaigns TO cagnotte_service;

-- As in 00006, but that what is shown of a closed campaign changes: expenses are paid after it is closed, and whoever wants to
-- leave the front page may.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION campaigns.keep_promises() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF OLD.state = 'closed'
        AND to_jsonb(NEW) - '{listed,expenses_shown,version,updated_at}'::text[]
            = to_jsonb(OLD) - '{listed,expenses_shown,version,updated_at}'::text[]
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'campaign %/% is %, so this cannot change', OLD.collective, OLD.id, OLD.state
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'campaigns_keep_promises';
END
$$;
-- +goose StatementEnd

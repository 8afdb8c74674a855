-- Row-level security of the audit log and of the instance's tables, in the form of 00020.
--
-- Rows of the instance are seen with * alone, and so are the entries of its log. Whoever changes something writes the
-- entry, so an entry of no collective may be written by all.
--
-- On a million rows: a moment for each table; it is locked for it, and no row is read or written. As after 00020, a program
-- of a version before sees none of them.

-- +goose Up

ALTER TABLE audit.entries ENABLE ROW LEVEL SECURITY;
CREATE POLICY entries_scope ON audit.entries
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    )
    WITH CHECK (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = '' OR collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE instance.checks ENABLE ROW LEVEL SECURITY;
CREATE POLICY checks_scope ON instance.checks
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE false
        END
    );

ALTER TABLE instance.ledger_verifications ENABLE ROW LEVEL SECURITY;
CREATE POLICY ledger_verifications_scope ON instance.ledger_verifications
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE false
        END
    );

ALTER TABLE webhooks.endpoint_secrets ENABLE ROW LEVEL SECURITY;
CREATE POLICY endpoint_secrets_scope ON webhooks.endpoint_secrets
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE false
        END
    );

ALTER TABLE collectives.applications ENABLE ROW LEVEL SECURITY;
CREATE POLICY applications_scope ON collectives.applications
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE false
        END
    );

-- Row-level security of the tables of 00014 to 00019, in the form of 00020.
--
-- Rows of the instance are seen with * alone, and so are the entries of its log. Whoever changes something writes the
-- entry, so an entry of no collective may be written by all. A person sees what is his own in every collective: the scope
-- of a person also has the name of the member.
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

ALTER TABLE access.invitations ENABLE ROW LEVEL SECURITY;
CREATE POLICY invitations_scope ON access.invitations
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE images.images ENABLE ROW LEVEL SECURITY;
CREATE POLICY images_scope ON images.images
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE images.variants ENABLE ROW LEVEL SECURITY;
CREATE POLICY variants_scope ON images.variants
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE collectives.profiles ENABLE ROW LEVEL SECURITY;
CREATE POLICY profiles_scope ON collectives.profiles
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE campaigns.news ENABLE ROW LEVEL SECURITY;
CREATE POLICY news_scope ON campaigns.news
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE campaigns.refused_origins ENABLE ROW LEVEL SECURITY;
CREATE POLICY refused_origins_scope ON campaigns.refused_origins
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE access.memberships ENABLE ROW LEVEL SECURITY;
CREATE POLICY memberships_scope ON access.memberships
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
                OR 'members/' || member = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE access.members ENABLE ROW LEVEL SECURITY;
CREATE POLICY members_scope ON access.members
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE 'members/' || id = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
                OR EXISTS (
                    SELECT
                    FROM access.memberships AS m
                    WHERE m.member = members.id
                )
        END
    );

ALTER TABLE access.sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY sessions_scope ON access.sessions
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE 'members/' || member = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE access.passkeys ENABLE ROW LEVEL SECURITY;
CREATE POLICY passkeys_scope ON access.passkeys
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE 'members/' || member = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE access.sign_in_links ENABLE ROW LEVEL SECURITY;
CREATE POLICY sign_in_links_scope ON access.sign_in_links
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE 'members/' || member = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

ALTER TABLE access.passkey_ceremonies ENABLE ROW LEVEL SECURITY;
CREATE POLICY passkey_ceremonies_scope ON access.passkey_ceremonies
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE 'members/' || member = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

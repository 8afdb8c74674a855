-- Members change the address that their links are mailed to.
--
-- On a million rows: a moment; access.members is locked for it, and no row is written.

-- +goose Up

-- A change of address that a member asked for. Rows are deleted some days after they expired, with their addresses.
CREATE TABLE access.email_changes (
    id             uuid        NOT NULL,
    member         uuid        NOT NULL,
    -- The session that asked, and must redeem. No foreign key: sessions are deleted earlier.
    session        text        NOT NULL,
    -- In small letters: the new address, and the one that the member had, which is told.
    email          text        NOT NULL,
    previous_email text        NOT NULL,
    -- SHA-256 of the token in the newest mail; NULL until it is made.
    token_hash     bytea,
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    -- When it was redeemed, or another one was asked for.
    ended_at       timestamptz,

    CONSTRAINT email_changes_pkey PRIMARY KEY (id),
    CONSTRAINT email_changes_member_fkey FOREIGN KEY (member) REFERENCES access.members (id),
    CONSTRAINT email_changes_email_check CHECK (email = lower(email) AND char_length(email) BETWEEN 3 AND 254),
    CONSTRAINT email_changes_token_hash_check CHECK (octet_length(token_hash) = 32)
);

-- A member waits for one.
CREATE UNIQUE INDEX email_changes_open_key ON access.email_changes (member) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX email_changes_token_key ON access.email_changes (token_hash);
-- The rows to delete.
CREATE INDEX email_changes_expires_idx ON access.email_changes (expires_at);

GRANT SELECT, INSERT, UPDATE (token_hash, ended_at), DELETE ON access.email_changes TO cagnotte_service;
GRANT UPDATE (email, email_hash) ON access.members TO cagnotte_service;

ALTER TABLE access.email_changes ENABLE ROW LEVEL SECURITY;
CREATE POLICY email_changes_scope ON access.email_changes
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE 'members/' || member = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

-- Members: people, their roles, sessions, passkeys, and the ways in.
--
-- On a million rows: a moment; access.api_keys and notices.notices are locked for it, and no row is written.

-- +goose Up

-- A person. Rows are never deleted, since the rows of all services name who acted.
CREATE TABLE access.members (
    id           uuid        NOT NULL,
    -- In small letters: where links are mailed to.
    email        text        NOT NULL,
    -- SHA-256 of the address: jobs find the member by it, so that no queue holds an address that was typed in.
    email_hash   bytea       NOT NULL,
    display_name text        NOT NULL,
    language     text        NOT NULL,
    created_at   timestamptz NOT NULL,

    CONSTRAINT members_pkey PRIMARY KEY (id),
    CONSTRAINT members_email_key UNIQUE (email_hash),
    CONSTRAINT members_email_check CHECK (email = lower(email) AND char_length(email) BETWEEN 3 AND 254),
    CONSTRAINT members_email_hash_check CHECK (octet_length(email_hash) = 32),
    CONSTRAINT members_display_name_check CHECK (char_length(display_name) BETWEEN 1 AND 80),
    CONSTRAINT members_language_check CHECK (language IN ('fr', 'en'))
);

GRANT SELECT, INSERT, UPDATE (display_name, language) ON access.members TO cagnotte_service;

-- A role of a member. Rows end and never change: since when somebody has a role decides what they may approve.
CREATE TABLE access.memberships (
    id         uuid        NOT NULL,
    member     uuid        NOT NULL,
    -- NULL for the instance.
    collective text,
    role       text        NOT NULL,
    created_at timestamptz NOT NULL,
    -- Who gave the role: the name of a key, members/{member}, or '' for the command line.
    created_by text        NOT NULL,
    ended_at   timestamptz,
    -- Who ended it; '' while it holds, and for the command line.
    ended_by   text        NOT NULL DEFAULT '',

    CONSTRAINT memberships_pkey PRIMARY KEY (id),
    CONSTRAINT memberships_member_fkey FOREIGN KEY (member) REFERENCES access.members (id),
    CONSTRAINT memberships_collective_fkey FOREIGN KEY (collective) REFERENCES collectives.collectives (id),
    CONSTRAINT memberships_role_check CHECK (role IN ('owner', 'editor', 'treasurer', 'auditor', 'operator')),
    CONSTRAINT memberships_operator_check CHECK ((role = 'operator') = (collective IS NULL)),
    CONSTRAINT memberships_end_check CHECK (ended_at >= created_at)
);

-- A member has one role in a collective; with coalesce, because NULLs do not collide with each other.
CREATE UNIQUE INDEX memberships_current_key ON access.memberships (member, coalesce(collective, ''))
    WHERE ended_at IS NULL;
-- Lists, oldest first.
CREATE INDEX memberships_list_idx ON access.memberships (coalesce(collective, ''), created_at, id)
    WHERE ended_at IS NULL;

-- +goose StatementBegin
CREATE FUNCTION access.check_membership() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    IF OLD.ended_at IS NOT NULL THEN
        RAISE EXCEPTION 'a membership that has ended does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'memberships_end_once';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER memberships_check_change
    BEFORE UPDATE ON access.memberships
    FOR EACH ROW
    EXECUTE FUNCTION access.check_membership();

GRANT SELECT, INSERT, UPDATE (ended_at, ended_by) ON access.memberships TO cagnotte_service;

-- A sign-in of a member on one device. Rows are deleted some time after they ended.
CREATE TABLE access.sessions (
    -- The part of the token that finds the row. It is random, and no secret.
    token        text        NOT NULL,
    -- SHA-256 of the secret part.
    secret_hash  bytea       NOT NULL,
    member       uuid        NOT NULL,
    -- The names of the browser and system alone.
    device       text        NOT NULL,
    created_at   timestamptz NOT NULL,
    -- When the member proved to be there, by a link or a passkey.
    proved_at    timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    -- When it ends, however often it is used.
    ends_at      timestamptz NOT NULL,
    revoked_at   timestamptz,

    CONSTRAINT sessions_pkey PRIMARY KEY (token),
    CONSTRAINT sessions_member_fkey FOREIGN KEY (member) REFERENCES access.members (id),
    CONSTRAINT sessions_token_check CHECK (token ~ '^[a-z0-9]{16,32}$'),
    CONSTRAINT sessions_secret_hash_check CHECK (octet_length(secret_hash) = 32),
    CONSTRAINT sessions_device_check CHECK (char_length(device) <= 80)
);

-- The sessions of a member.
CREATE INDEX sessions_member_idx ON access.sessions (member, last_used_at DESC, token DESC);
-- The rows to delete.
CREATE INDEX sessions_ends_idx ON access.sessions (ends_at);

GRANT SELECT, INSERT, UPDATE (last_used_at, revoked_at), DELETE ON access.sessions TO cagnotte_service;

-- A link that was mailed to a member, or printed by the command line. Rows are deleted once they have expired.
CREATE TABLE access.sign_in_links (
    -- SHA-256 of the token.
    hash         bytea       NOT NULL,
    member       uuid        NOT NULL,
    -- SHA-256 of the token of the browser that asked; NULL for the command line's.
    browser_hash bytea,
    expires_at   timestamptz NOT NULL,
    used_at      timestamptz,

    CONSTRAINT sign_in_links_pkey PRIMARY KEY (hash),
    CONSTRAINT sign_in_links_member_fkey FOREIGN KEY (member) REFERENCES access.members (id),
    CONSTRAINT sign_in_links_hash_check CHECK (octet_length(hash) = 32),
    CONSTRAINT sign_in_links_browser_hash_check CHECK (octet_length(browser_hash) = 32)
);

-- The rows to delete.
CREATE INDEX sign_in_links_expires_idx ON access.sign_in_links (expires_at);

GRANT SELECT, INSERT, UPDATE (used_at), DELETE ON access.sign_in_links TO cagnotte_service;

-- An invitation. Those that were not accepted are deleted some time after they expired, with their addresses.
CREATE TABLE access.invitations (
    id           uuid        NOT NULL,
    -- NULL for the instance.
    collective   text,
    email        text        NOT NULL,
    role         text        NOT NULL,
    language     text        NOT NULL,
    -- SHA-256 of the link's token; NULL until the mail is made.
    token_hash   bytea,
    -- Who invited: the name of a key, or members/{member}; '' for the command line.
    inviter      text        NOT NULL,
    inviter_name text        NOT NULL,
    -- Whether the inviter is an operator, whom members do not see.
    by_operator  boolean     NOT NULL,
    request_id   uuid        NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    accepted_at  timestamptz,
    -- The membership that came of it.
    membership   uuid,
    revoked_at   timestamptz,

    CONSTRAINT invitations_pkey PRIMARY KEY (id),
    CONSTRAINT invitations_collective_fkey FOREIGN KEY (collective) REFERENCES collectives.collectives (id),
    CONSTRAINT invitations_membership_fkey FOREIGN KEY (membership) REFERENCES access.memberships (id),
    CONSTRAINT invitations_token_key UNIQUE (token_hash),
    CONSTRAINT invitations_email_check CHECK (email = lower(email) AND char_length(email) BETWEEN 3 AND 254),
    CONSTRAINT invitations_role_check CHECK (role IN ('owner', 'editor', 'treasurer', 'auditor', 'operator')),
    CONSTRAINT invitations_operator_check CHECK ((role = 'operator') = (collective IS NULL)),
    CONSTRAINT invitations_language_check CHECK (language IN ('fr', 'en')),
    CONSTRAINT invitations_token_hash_check CHECK (octet_length(token_hash) = 32),
    CONSTRAINT invitations_accepted_check CHECK ((accepted_at IS NULL) = (membership IS NULL)),
    CONSTRAINT invitations_end_check CHECK (accepted_at IS NULL OR revoked_at IS NULL)
);

CREATE UNIQUE INDEX invitations_request_key ON access.invitations (coalesce(collective, ''), request_id);
-- One address is invited once at a time.
CREATE UNIQUE INDEX invitations_pending_key ON access.invitations (coalesce(collective, ''), email)
    WHERE accepted_at IS NULL AND revoked_at IS NULL;
-- Lists, newest first.
CREATE INDEX invitations_list_idx ON access.invitations (coalesce(collective, ''), created_at DESC, id DESC);
-- The rows to delete.
CREATE INDEX invitations_expires_idx ON access.invitations (expires_at)
    WHERE accepted_at IS NULL;

GRANT SELECT, INSERT, UPDATE (token_hash, accepted_at, membership, revoked_at), DELETE ON access.invitations TO cagnotte_service;

-- A passkey of a member.
CREATE TABLE access.passkeys (
    id              uuid        NOT NULL,
    member          uuid        NOT NULL,
    credential_id   bytea       NOT NULL,
    -- COSE, as the browser sent it: https://www.w3.org/TR/webauthn-3/#sctn-attested-credential-data
    public_key      bytea       NOT NULL,
    aaguid          bytea       NOT NULL,
    -- The flags of the authenticator when it was last used.
    flags           smallint    NOT NULL,
    sign_count      bigint      NOT NULL,
    display_name    text        NOT NULL,
    created_at      timestamptz NOT NULL,
    last_used_at    timestamptz,
    -- When its counter went back.
    clone_warned_at timestamptz,

    CONSTRAINT passkeys_pkey PRIMARY KEY (id),
    CONSTRAINT passkeys_member_fkey FOREIGN KEY (member) REFERENCES access.members (id),
    CONSTRAINT passkeys_credential_key UNIQUE (credential_id),
    CONSTRAINT passkeys_credential_check CHECK (octet_length(credential_id) BETWEEN 1 AND 1023),
    CONSTRAINT passkeys_public_key_check CHECK (octet_length(public_key) BETWEEN 1 AND 4096),
    CONSTRAINT passkeys_display_name_check CHECK (char_length(display_name) BETWEEN 1 AND 80)
);

-- The passkeys of a member, newest first.
CREATE INDEX passkeys_member_idx ON access.passkeys (member, created_at DESC, id DESC);

GRANT SELECT, INSERT, UPDATE (flags, sign_count, last_used_at, clone_warned_at), DELETE ON access.passkeys TO cagnotte_service;

-- What a browser is asked to sign, once. Rows are deleted when they are used, or have expired.
CREATE TABLE access.passkey_ceremonies (
    -- SHA-256 of the ceremony's token.
    hash       bytea       NOT NULL,
    -- Who adds a passkey; NULL where somebody signs in.
    member     uuid,
    -- The challenge and what else the answer is checked against, as the library writes it.
    data       jsonb       NOT NULL,
    expires_at timestamptz NOT NULL,

    CONSTRAINT passkey_ceremonies_pkey PRIMARY KEY (hash),
    CONSTRAINT passkey_ceremonies_member_fkey FOREIGN KEY (member) REFERENCES access.members (id),
    CONSTRAINT passkey_ceremonies_hash_check CHECK (octet_length(hash) = 32)
);

-- The rows to delete.
CREATE INDEX passkey_ceremonies_expires_idx ON access.passkey_ceremonies (expires_at);

GRANT SELECT, INSERT, DELETE ON access.passkey_ceremonies TO cagnotte_service;

-- How often a network, or an address, tries to sign in (GCRA). Rows are deleted once they no longer limit anything.
CREATE TABLE access.attempts (
    -- A keyed hash of the network or address and the day, so that neither is stored.
    key bytea       NOT NULL,
    -- The theoretical arrival time.
    tat timestamptz NOT NULL,

    CONSTRAINT attempts_pkey PRIMARY KEY (key),
    CONSTRAINT attempts_key_length CHECK (length(key) = 16)
);

-- The rows to delete.
CREATE INDEX attempts_tat_idx ON access.attempts (tat);

GRANT SELECT, INSERT, UPDATE, DELETE ON access.attempts TO cagnotte_service;

-- A key may be a person's, may end, and may wait for a second member. NULL: a key of no person, whose member is the key
-- that the chain of makers began with.
ALTER TABLE access.api_keys ADD COLUMN person uuid;
ALTER TABLE access.api_keys ADD COLUMN ends_at timestamptz;
ALTER TABLE access.api_keys ADD COLUMN pending boolean NOT NULL DEFAULT false;
ALTER TABLE access.api_keys ADD CONSTRAINT api_keys_person_fkey
    FOREIGN KEY (person) REFERENCES access.members (id) NOT VALID;
-- The maker may be a member.
ALTER TABLE access.api_keys DROP CONSTRAINT api_keys_maker_check;
ALTER TABLE access.api_keys ADD CONSTRAINT api_keys_maker_check CHECK (
    maker ~ '^((collectives/[a-z0-9-]{3,40}|instance)/apiKeys/[a-z0-9][a-z0-9-]{1,62}|members/[0-9a-f-]{36})?$'
) NOT VALID;

GRANT UPDATE (pending) ON access.api_keys TO cagnotte_service;

-- Whether an operator made the change: a person's name does not tell it.
ALTER TABLE notices.notices ADD COLUMN actor_operator boolean NOT NULL DEFAULT false;

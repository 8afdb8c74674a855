-- Tax receipts: declarations, keys that identities are sealed to, numbers, receipts.
--
-- On a million rows: nothing; it creates objects that nobody reads yet.

-- +goose Up

CREATE SCHEMA IF NOT EXISTS receipts;
REVOKE ALL ON SCHEMA receipts FROM PUBLIC;
GRANT USAGE ON SCHEMA receipts TO cagnotte_service;

-- What an owner declared about the body that issues receipts. Rows are never deleted: receipts refer to them.
CREATE TABLE receipts.declarations (
    id              uuid        NOT NULL,
    collective      text        NOT NULL,
    body_name       text        NOT NULL,
    postal_address  text[]      NOT NULL,
    purpose         text        NOT NULL,
    quality         text        NOT NULL,
    articles        text[]      NOT NULL,
    -- '' for none.
    siren           text        NOT NULL,
    rna             text        NOT NULL,
    signatory_name  text        NOT NULL,
    signatory_title text        NOT NULL,
    -- NULL for none.
    signature_image bytea,
    retention_years integer     NOT NULL,
    state           text        NOT NULL DEFAULT 'pending',
    -- The name of the change that waits for a second person, or waited.
    pending_change  text        NOT NULL,
    created_at      timestamptz NOT NULL,
    activated_at    timestamptz,
    ended_at        timestamptz,

    CONSTRAINT declarations_pkey PRIMARY KEY (id),
    CONSTRAINT declarations_collective_fkey FOREIGN KEY (collective) REFERENCES collectives.collectives (id),
    CONSTRAINT declarations_state_known CHECK (state IN ('pending', 'active', 'replaced', 'withdrawn', 'dropped')),
    CONSTRAINT declarations_articles_known CHECK (
        cardinality(articles) > 0 AND articles <@ ARRAY['200', '238 bis', '978']::text[]
    ),
    CONSTRAINT declarations_retention_known CHECK (retention_years IN (6, 10)),
    CONSTRAINT declarations_times CHECK (
        (ended_at IS NULL) = (state IN ('pending', 'active'))
        AND (state <> 'active' OR activated_at IS NOT NULL)
        AND (state <> 'pending' OR activated_at IS NULL)
    )
);

-- A collective has one declaration that is active, and one that waits.
CREATE UNIQUE INDEX declarations_active_key ON receipts.declarations (collective) WHERE state = 'active';
CREATE UNIQUE INDEX declarations_pending_key ON receipts.declarations (collective) WHERE state = 'pending';
CREATE INDEX declarations_list_idx ON receipts.declarations (collective, created_at DESC, id DESC);

-- What was declared does not change, and what has ended stays so.
-- +goose StatementBegin
CREATE FUNCTION receipts.check_declaration() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    IF (OLD.id, OLD.collective, OLD.body_name, OLD.postal_address, OLD.purpose, OLD.quality, OLD.articles, OLD.siren, OLD.rna,
        OLD.signatory_name, OLD.signatory_title, OLD.signature_image, OLD.retention_years, OLD.pending_change, OLD.created_at)
        IS DISTINCT FROM
       (NEW.id, NEW.collective, NEW.body_name, NEW.postal_address, NEW.purpose, NEW.quality, NEW.articles, NEW.siren, NEW.rna,
        NEW.signatory_name, NEW.signatory_title, NEW.signature_image, NEW.retention_years, NEW.pending_change, NEW.created_at)
    THEN
        RAISE EXCEPTION 'what was declared does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'declarations_immutable';
    END IF;
    IF NOT (
        OLD.state = 'pending' AND NEW.state IN ('active', 'withdrawn', 'dropped')
        OR OLD.state = 'active' AND NEW.state IN ('replaced', 'withdrawn')
    ) THEN
        RAISE EXCEPTION 'a declaration that is % does not become %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'declarations_state_forward';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER declarations_check_declaration
    BEFORE UPDATE ON receipts.declarations
    FOR EACH ROW
    EXECUTE FUNCTION receipts.check_declaration();

GRANT SELECT, INSERT, UPDATE (state, activated_at, ended_at) ON receipts.declarations TO cagnotte_service;

ALTER TABLE receipts.declarations ENABLE ROW LEVEL SECURITY;
CREATE POLICY declarations_scope ON receipts.declarations
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

-- The public part of a key. Rows are never deleted.
CREATE TABLE receipts.sealing_keys (
    id           uuid        NOT NULL,
    collective   text        NOT NULL,
    display_name text        NOT NULL,
    recipient    text        NOT NULL,
    creator      text        NOT NULL,
    creator_name text        NOT NULL,
    created_at   timestamptz NOT NULL,
    revoked_at   timestamptz,

    CONSTRAINT sealing_keys_pkey PRIMARY KEY (id),
    CONSTRAINT sealing_keys_collective_fkey FOREIGN KEY (collective) REFERENCES collectives.collectives (id),
    CONSTRAINT sealing_keys_recipient_key UNIQUE (collective, recipient),
    -- A secret key begins with AGE-SECRET-KEY-1: it never gets here.
    CONSTRAINT sealing_keys_recipient_public CHECK (recipient ~ '^age1[a-z0-9]{58}$')
);

CREATE INDEX sealing_keys_list_idx ON receipts.sealing_keys (collective, created_at DESC, id DESC);

GRANT SELECT, INSERT, UPDATE (revoked_at) ON receipts.sealing_keys TO cagnotte_service;

ALTER TABLE receipts.sealing_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY sealing_keys_scope ON receipts.sealing_keys
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

-- The last number of a body in a year. Its row is locked from the number to the commit, so that an issue that fails leaves
-- no gap.
CREATE TABLE receipts.counters (
    collective text    NOT NULL,
    year       integer NOT NULL,
    last       bigint  NOT NULL,

    CONSTRAINT counters_pkey PRIMARY KEY (collective, year),
    CONSTRAINT counters_collective_fkey FOREIGN KEY (collective) REFERENCES collectives.collectives (id),
    CONSTRAINT counters_last_positive CHECK (last > 0)
);

GRANT SELECT, INSERT, UPDATE (last) ON receipts.counters TO cagnotte_service;

ALTER TABLE receipts.counters ENABLE ROW LEVEL SECURITY;
CREATE POLICY counters_scope ON receipts.counters
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

-- A receipt. Who gave is in sealed alone, which the service cannot open. Rows are never deleted.
CREATE TABLE receipts.receipts (
    id             uuid        NOT NULL,
    collective     text        NOT NULL,
    year           integer     NOT NULL,
    sequence       bigint      NOT NULL,
    campaign       text        NOT NULL,
    donation       uuid        NOT NULL,
    declaration    uuid        NOT NULL,
    donor_kind     text        NOT NULL,
    amount_minor   bigint      NOT NULL,
    currency       text        NOT NULL,
    payment_method text        NOT NULL,
    -- Days in the collective's time zone.
    donated_on     date        NOT NULL,
    issued_on      date        NOT NULL,
    -- SHA-256 of the request's id, and an HMAC of who gave under that id. Neither tells anything without the id, which is
    -- kept nowhere.
    request_hash   bytea       NOT NULL,
    donor_check    bytea       NOT NULL,
    pdf_sha256     bytea       NOT NULL,
    -- Ciphertext of age, armored; NULL once it is erased.
    sealed         text,
    -- The keys that it is sealed to.
    sealed_to      uuid[]      NOT NULL,
    -- The receipt that it replaces; NULL for none.
    replaces       uuid,
    state          text        NOT NULL DEFAULT 'issued',
    cancel_reason  text        NOT NULL DEFAULT '',
    cancel_note    text        NOT NULL DEFAULT '',
    reissuable     boolean     NOT NULL DEFAULT false,
    canceled_at    timestamptz,
    erased_at      timestamptz,
    created_at     timestamptz NOT NULL,

    CONSTRAINT receipts_pkey PRIMARY KEY (id),
    CONSTRAINT receipts_number_key UNIQUE (collective, year, sequence),
    CONSTRAINT receipts_request_key UNIQUE (donation, request_hash),
    CONSTRAINT receipts_donation_fkey FOREIGN KEY (donation) REFERENCES donations.donations (id),
    CONSTRAINT receipts_declaration_fkey FOREIGN KEY (declaration) REFERENCES receipts.declarations (id),
    CONSTRAINT receipts_replaces_fkey FOREIGN KEY (replaces) REFERENCES receipts.receipts (id),
    CONSTRAINT receipts_replaces_key UNIQUE (replaces),
    CONSTRAINT receipts_donor_kind_known CHECK (donor_kind IN ('individual', 'company')),
    CONSTRAINT receipts_amount_positive CHECK (amount_minor > 0),
    CONSTRAINT receipts_sequence_positive CHECK (sequence > 0),
    CONSTRAINT receipts_hashes CHECK (
        octet_length(request_hash) = 32 AND octet_length(donor_check) = 32 AND octet_length(pdf_sha256) = 32
    ),
    -- Whatever is not age's is not stored.
    CONSTRAINT receipts_sealed CHECK (sealed IS NULL OR sealed LIKE '-----BEGIN AGE ENCRYPTED FILE-----%'),
    CONSTRAINT receipts_erased CHECK ((sealed IS NULL) = (erased_at IS NOT NULL)),
    CONSTRAINT receipts_state_known CHECK (state IN ('issued', 'canceled')),
    CONSTRAINT receipts_cancel_known CHECK (cancel_reason IN ('', 'member', 'refunded', 'dispute_lost')),
    CONSTRAINT receipts_canceled CHECK (
        (state = 'canceled') = (cancel_reason <> '')
        AND (state = 'canceled') = (canceled_at IS NOT NULL)
        AND (state = 'canceled' OR cancel_note = '' AND NOT reissuable)
    )
);

-- A donation has one receipt that stands.
CREATE UNIQUE INDEX receipts_standing_key ON receipts.receipts (donation) WHERE state = 'issued';
CREATE INDEX receipts_donated_idx ON receipts.receipts (collective, donated_on) WHERE state = 'issued';
-- Identities whose time is over.
CREATE INDEX receipts_kept_idx ON receipts.receipts (year, id) WHERE sealed IS NOT NULL;

-- A receipt is canceled, once, and its donor erased, once. Nothing else of it changes.
-- +goose StatementBegin
CREATE FUNCTION receipts.check_receipt() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    IF (OLD.id, OLD.collective, OLD.year, OLD.sequence, OLD.campaign, OLD.donation, OLD.declaration, OLD.donor_kind,
        OLD.amount_minor, OLD.currency, OLD.payment_method, OLD.donated_on, OLD.issued_on, OLD.request_hash, OLD.donor_check,
        OLD.pdf_sha256, OLD.sealed_to, OLD.replaces, OLD.created_at)
        IS DISTINCT FROM
       (NEW.id, NEW.collective, NEW.year, NEW.sequence, NEW.campaign, NEW.donation, NEW.declaration, NEW.donor_kind,
        NEW.amount_minor, NEW.currency, NEW.payment_method, NEW.donated_on, NEW.issued_on, NEW.request_hash, NEW.donor_check,
        NEW.pdf_sha256, NEW.sealed_to, NEW.replaces, NEW.created_at)
       OR NEW.sealed IS DISTINCT FROM OLD.sealed AND NEW.sealed IS NOT NULL
       OR OLD.erased_at IS NOT NULL AND NEW.erased_at IS DISTINCT FROM OLD.erased_at
       OR OLD.state = 'canceled' AND (OLD.state, OLD.cancel_reason, OLD.cancel_note, OLD.reissuable, OLD.canceled_at)
          IS DISTINCT FROM (NEW.state, NEW.cancel_reason, NEW.cancel_note, NEW.reissuable, NEW.canceled_at)
    THEN
        RAISE EXCEPTION 'a receipt does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'receipts_immutable';
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION receipts.keep_receipt() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    RAISE EXCEPTION 'a receipt is not removed'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'receipts_kept';
END
$$;
-- +goose StatementEnd

CREATE TRIGGER receipts_check_receipt
    BEFORE UPDATE ON receipts.receipts
    FOR EACH ROW
    EXECUTE FUNCTION receipts.check_receipt();

CREATE TRIGGER receipts_keep_receipt
    BEFORE DELETE ON receipts.receipts
    FOR EACH ROW
    EXECUTE FUNCTION receipts.keep_receipt();

GRANT SELECT, INSERT, UPDATE (sealed, state, cancel_reason, cancel_note, reissuable, canceled_at, erased_at)
    ON receipts.receipts TO cagnotte_service;

ALTER TABLE receipts.receipts ENABLE ROW LEVEL SECURITY;
CREATE POLICY receipts_scope ON receipts.receipts
    USING (
        CASE (SELECT current_setting('cagnotte.scope', true))
            WHEN '*' THEN true
            ELSE collective = ANY ((SELECT string_to_array(current_setting('cagnotte.scope', true), ','))::text[])
        END
    );

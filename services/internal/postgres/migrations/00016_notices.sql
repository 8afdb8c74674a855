-- What members must be told, and the settings that say where to and how a collective handles money.
--
-- Safe on a live database: a new table, and columns with constant defaults, which Postgres adds without
-- writing to the rows that are there. A program of before neither reads nor writes them.

-- +goose Up

ALTER TABLE collectives.collectives
    -- The language of the mails to its members.
    ADD COLUMN language               text     NOT NULL DEFAULT 'fr',
    ADD COLUMN alert_emails           text[]   NOT NULL DEFAULT '{}',
    -- Refunds above it need a second member; NULL: none does.
    ADD COLUMN refund_approval_minor    bigint,
    ADD COLUMN refund_approval_currency text,
    -- Where transfers go: '' for none.
    ADD COLUMN bank_holder            text     NOT NULL DEFAULT '',
    ADD COLUMN bank_iban              text     NOT NULL DEFAULT '',
    ADD COLUMN bank_bic               text     NOT NULL DEFAULT '',
    ADD COLUMN cheque_payee           text     NOT NULL DEFAULT '',
    ADD COLUMN postal_address         text[]   NOT NULL DEFAULT '{}',
    -- The collective is not the operator's own: no donation before it has a connected account.
    ADD COLUMN own_account_required   boolean  NOT NULL DEFAULT false,
    ADD CONSTRAINT collectives_language_check CHECK (language IN ('fr', 'en')),
    ADD CONSTRAINT collectives_alert_emails_check CHECK (cardinality(alert_emails) <= 20),
    ADD CONSTRAINT collectives_refund_approval_check CHECK (
        (refund_approval_minor IS NULL) = (refund_approval_currency IS NULL)
        AND refund_approval_minor >= 0
        AND refund_approval_currency ~ '^[A-Z]{3}$'
    ),
    ADD CONSTRAINT collectives_bank_check CHECK (
        (bank_iban = '') = (bank_holder = '')
        AND (bank_bic = '' OR bank_iban <> '')
        AND bank_iban ~ '^([A-Z]{2}[0-9]{2}[A-Z0-9]{11,30})?$'
        AND bank_bic ~ '^([A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?)?$'
        AND char_length(bank_holder) <= 70
    ),
    ADD CONSTRAINT collectives_cheque_payee_check CHECK (char_length(cheque_payee) <= 120),
    ADD CONSTRAINT collectives_postal_address_check CHECK (cardinality(postal_address) <= 7);

GRANT UPDATE (
    language,
    alert_emails,
    refund_approval_minor,
    refund_approval_currency,
    bank_holder,
    bank_iban,
    bank_bic,
    cheque_payee,
    postal_address,
    own_account_required
) ON collectives.collectives TO cagnotte_service;

CREATE TABLE collectives.notices (
    id              uuid        NOT NULL,
    -- Whose members are told; '' for the operator.
    collective      text        NOT NULL,
    -- The same as a reference: '' is no collective.
    collective_ref  text        GENERATED ALWAYS AS (nullif(collective, '')) STORED,
    kind            text        NOT NULL,
    -- What happened, once: a dispute's id, say.
    key             text        NOT NULL,
    -- The resource that it is about, which names nobody.
    subject         text        NOT NULL,
    amount_minor    bigint,
    currency        text,
    deadline        timestamptz,
    created_at      timestamptz NOT NULL,
    acknowledged_at timestamptz,
    -- The API key that did it.
    acknowledged_by text        NOT NULL DEFAULT '',

    CONSTRAINT notices_pkey PRIMARY KEY (id),
    CONSTRAINT notices_once_key UNIQUE (collective, kind, key),
    CONSTRAINT notices_collective_fkey FOREIGN KEY (collective_ref) REFERENCES collectives.collectives (id),
    CONSTRAINT notices_kind_check CHECK (kind ~ '^[a-z][a-z_]{1,39}$'),
    CONSTRAINT notices_key_check CHECK (char_length(key) BETWEEN 1 AND 200),
    CONSTRAINT notices_subject_check CHECK (char_length(subject) <= 300 AND subject ~ '^[A-Za-z0-9/_:.-]*$'),
    CONSTRAINT notices_amount_check CHECK ((amount_minor IS NULL) = (currency IS NULL) AND currency ~ '^[A-Z]{3}$'),
    CONSTRAINT notices_acknowledged_check CHECK ((acknowledged_at IS NULL) = (acknowledged_by = ''))
);

CREATE INDEX notices_collective_idx ON collectives.notices (collective, created_at DESC, id DESC);
CREATE INDEX notices_created_idx ON collectives.notices (created_at DESC, id DESC);
CREATE INDEX notices_open_idx ON collectives.notices (kind) WHERE acknowledged_at IS NULL;

GRANT SELECT, INSERT, UPDATE (acknowledged_at, acknowledged_by) ON collectives.notices TO cagnotte_service;

-- Collectives: the groups that raise money.

-- +goose Up

CREATE SCHEMA IF NOT EXISTS collectives;
REVOKE ALL ON SCHEMA collectives FROM PUBLIC;
GRANT USAGE ON SCHEMA collectives TO cagnotte_service;

-- A group that raises money. Rows are never deleted, since books and donations refer to them.
CREATE TABLE collectives.collectives (
    -- The slug in public addresses. It never changes.
    id                       text        NOT NULL,
    display_name             text        NOT NULL,
    -- Where its donations go.
    stripe_account           text        NOT NULL,
    -- Set by the first donation, in that donation's transaction. From then on stripe_account is fixed.
    account_in_use           boolean     NOT NULL DEFAULT false,
    -- The collective does not belong to the operator: it takes no donation before it has a connected account.
    own_account_required     boolean     NOT NULL DEFAULT false,
    -- An IANA name. Days, months and closings of the collective are those of this zone.
    time_zone                text        NOT NULL,
    -- The language of mails to members.
    language                 text        NOT NULL DEFAULT 'fr',
    alert_emails             text[]      NOT NULL DEFAULT '{}',
    -- A refund above this amount needs the approval of a second member. NULL: none does.
    refund_approval_minor    bigint,
    refund_approval_currency text,
    -- Where donors send transfers and cheques.
    bank_holder              text        NOT NULL DEFAULT '',
    bank_iban                text        NOT NULL DEFAULT '',
    bank_bic                 text        NOT NULL DEFAULT '',
    cheque_payee             text        NOT NULL DEFAULT '',
    -- One element for each line of the address.
    postal_address           text[]      NOT NULL DEFAULT '{}',
    version                  bigint      NOT NULL DEFAULT 1,
    created_at               timestamptz NOT NULL,
    updated_at               timestamptz NOT NULL,

    CONSTRAINT collectives_pkey PRIMARY KEY (id),
    CONSTRAINT collectives_id_check CHECK (id ~ '^[a-z][a-z0-9-]{1,38}[a-z0-9]$'),
    CONSTRAINT collectives_display_name_check CHECK (char_length(display_name) BETWEEN 1 AND 120),
    CONSTRAINT collectives_stripe_account_check CHECK (stripe_account ~ '^(acct_[A-Za-z0-9]{1,60})?$'),
    CONSTRAINT collectives_time_zone_check CHECK (char_length(time_zone) BETWEEN 1 AND 64),
    CONSTRAINT collectives_language_check CHECK (language IN ('fr', 'en')),
    CONSTRAINT collectives_alert_emails_check CHECK (cardinality(alert_emails) <= 20),
    CONSTRAINT collectives_refund_approval_check CHECK (
        (refund_approval_minor IS NULL) = (refund_approval_currency IS NULL)
        AND refund_approval_minor >= 0
        AND refund_approval_currency ~ '^[A-Z]{3}$'
    ),
    CONSTRAINT collectives_bank_check CHECK (
        (bank_iban = '') = (bank_holder = '')
        AND (bank_bic = '' OR bank_iban <> '')
        AND bank_iban ~ '^([A-Z]{2}[0-9]{2}[A-Z0-9]{11,30})?$'
        AND bank_bic ~ '^([A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?)?$'
        AND char_length(bank_holder) <= 70
    ),
    CONSTRAINT collectives_cheque_payee_check CHECK (char_length(cheque_payee) <= 120),
    CONSTRAINT collectives_postal_address_check CHECK (cardinality(postal_address) <= 7)
);

-- The collectives that use an account: a webhook, a balance and a payout name the account alone.
CREATE INDEX collectives_stripe_account_idx ON collectives.collectives (stripe_account);

-- Donations that were made to one account must not end up in the books of another.
-- +goose StatementBegin
CREATE FUNCTION collectives.keep_account() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION 'the Stripe account of collective % is in use', OLD.id
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'collectives_stripe_account_in_use';
END
$$;
-- +goose StatementEnd

CREATE TRIGGER collectives_keep_account
    BEFORE UPDATE ON collectives.collectives
    FOR EACH ROW
    WHEN (OLD.account_in_use AND (NEW.stripe_account <> OLD.stripe_account OR NOT NEW.account_in_use))
    EXECUTE FUNCTION collectives.keep_account();

GRANT SELECT, INSERT ON collectives.collectives TO cagnotte_service;
GRANT UPDATE (
    display_name,
    stripe_account,
    account_in_use,
    own_account_required,
    time_zone,
    language,
    alert_emails,
    refund_approval_minor,
    refund_approval_currency,
    bank_holder,
    bank_iban,
    bank_bic,
    cheque_payee,
    postal_address,
    version,
    updated_at
) ON collectives.collectives TO cagnotte_service;

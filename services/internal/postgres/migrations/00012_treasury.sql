-- What a treasurer enters: pledges, offline donations, deposits, expenses.

-- +goose Up

CREATE SCHEMA IF NOT EXISTS treasury;
REVOKE ALL ON SCHEMA treasury FROM PUBLIC;
GRANT USAGE ON SCHEMA treasury TO cagnotte_service;

-- What a caller's request id stands for. The row is written first, in the transaction of what was asked: of two equal
-- requests at once the second waits here, and then finds the first.
CREATE TABLE treasury.requests (
    collective  text        NOT NULL,
    method      text        NOT NULL,
    request_id  uuid        NOT NULL,
    -- SHA-256 of what was asked.
    fingerprint bytea       NOT NULL,
    -- The id of what it created or changed.
    resource    uuid        NOT NULL,
    created_at  timestamptz NOT NULL,

    CONSTRAINT requests_pkey PRIMARY KEY (collective, method, request_id),
    CONSTRAINT requests_fingerprint_length CHECK (length(fingerprint) = 32)
);

GRANT SELECT, INSERT ON treasury.requests TO cagnotte_service;

-- A promise to give. Its state follows from its donation and from the time, so a row never changes.
CREATE TABLE treasury.pledges (
    id           uuid        NOT NULL,
    collective   text        NOT NULL,
    campaign     text        NOT NULL,
    -- The eight characters that identify it in a transfer's text, without prefix and dash.
    reference    text        NOT NULL,
    amount_minor bigint      NOT NULL,
    currency     text        NOT NULL,
    method       text        NOT NULL,
    locale       text        NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,

    CONSTRAINT pledges_pkey PRIMARY KEY (id),
    CONSTRAINT pledges_reference_key UNIQUE (reference),
    -- Without the characters that are mistaken for others.
    CONSTRAINT pledges_reference_form CHECK (reference ~ '^[2-9A-HJKMNP-RT-Y]{8}$'),
    CONSTRAINT pledges_amount_positive CHECK (amount_minor > 0),
    CONSTRAINT pledges_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT pledges_method_known CHECK (method IN ('cash', 'transfer', 'cheque')),
    CONSTRAINT pledges_expire_later CHECK (expires_at > created_at)
);

-- Lists, newest first.
CREATE INDEX pledges_list_idx ON treasury.pledges (collective, campaign, created_at DESC, id DESC);

GRANT SELECT, INSERT ON treasury.pledges TO cagnotte_service;

-- The cheques that went to the bank on one slip.
CREATE TABLE treasury.deposits (
    id          uuid        NOT NULL,
    collective  text        NOT NULL,
    book        text        NOT NULL,
    total_minor bigint      NOT NULL,
    currency    text        NOT NULL,
    banked_on   date        NOT NULL,
    -- The slip's number or place in the files.
    document    text        NOT NULL,
    -- The name of the API key.
    created_by  text        NOT NULL,
    created_at  timestamptz NOT NULL,

    CONSTRAINT deposits_pkey PRIMARY KEY (id),
    CONSTRAINT deposits_total_positive CHECK (total_minor > 0),
    CONSTRAINT deposits_currency_code CHECK (currency ~ '^[A-Z]{3}$')
);

-- Lists, those entered last first.
CREATE INDEX deposits_list_idx ON treasury.deposits (collective, created_at DESC, id DESC);

GRANT SELECT, INSERT ON treasury.deposits TO cagnotte_service;

-- A donation that did not come through Stripe: cash, a transfer, a cheque.
CREATE TABLE treasury.offline_donations (
    -- The dimension donation in the books.
    id             uuid        NOT NULL,
    collective     text        NOT NULL,
    campaign       text        NOT NULL,
    book           text        NOT NULL,
    amount_minor   bigint      NOT NULL,
    currency       text        NOT NULL,
    -- 'payee_cheque' is a cheque that the donor made out to the lawyer.
    method         text        NOT NULL,
    received_on    date        NOT NULL,
    document       text        NOT NULL,
    -- The pledge that it fulfils.
    pledge         uuid,
    -- It is stored, and neither booked nor counted for the campaign.
    outside_books  boolean     NOT NULL,
    -- The stage that a cheque to the lawyer paid for.
    stage          text        NOT NULL,
    state          text        NOT NULL DEFAULT 'received',
    -- The slip with which a cheque went to the bank.
    deposit        uuid,
    banked_on      date,
    bounced_on     date,
    reverse_reason text        NOT NULL DEFAULT '',
    -- The name of the API key; '' when an import entered it.
    created_by     text        NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,

    CONSTRAINT offline_donations_pkey PRIMARY KEY (id),
    CONSTRAINT offline_donations_pledge_fkey FOREIGN KEY (pledge) REFERENCES treasury.pledges (id),
    CONSTRAINT offline_donations_deposit_fkey FOREIGN KEY (deposit) REFERENCES treasury.deposits (id),
    CONSTRAINT offline_donations_amount_positive CHECK (amount_minor > 0),
    CONSTRAINT offline_donations_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT offline_donations_method_known CHECK (method IN ('cash', 'transfer', 'cheque', 'payee_cheque')),
    CONSTRAINT offline_donations_state_known CHECK (state IN ('received', 'banked', 'bounced', 'reversed')),
    CONSTRAINT offline_donations_outside CHECK (method = 'payee_cheque' OR NOT outside_books AND stage = ''),
    CONSTRAINT offline_donations_banked CHECK (
        (deposit IS NULL) = (banked_on IS NULL)
        AND (deposit IS NULL OR method = 'cheque' AND banked_on >= received_on)
        AND (state <> 'received' OR deposit IS NULL)
        AND (state NOT IN ('banked', 'bounced') OR deposit IS NOT NULL)
    ),
    CONSTRAINT offline_donations_bounced CHECK (
        (state = 'bounced') = (bounced_on IS NOT NULL)
        AND bounced_on >= banked_on
    ),
    CONSTRAINT offline_donations_reversed CHECK ((state = 'reversed') = (reverse_reason <> ''))
);

-- Lists, newest first.
CREATE INDEX offline_donations_list_idx ON treasury.offline_donations (collective, campaign, created_at DESC, id DESC);
-- A pledge is fulfilled once. A donation that bounced or was reversed leaves it open.
CREATE UNIQUE INDEX offline_donations_pledge_key ON treasury.offline_donations (pledge)
    WHERE pledge IS NOT NULL AND state IN ('received', 'banked');
-- The cheques of a deposit.
CREATE INDEX offline_donations_deposit_idx ON treasury.offline_donations (deposit, id)
    WHERE deposit IS NOT NULL;
-- The cheques that are still to be deposited.
CREATE INDEX offline_donations_cheques_idx ON treasury.offline_donations (collective, received_on, id)
    WHERE method = 'cheque' AND state = 'received';
-- What donors paid to the lawyer directly: part of what a campaign spent.
CREATE INDEX offline_donations_spent_idx ON treasury.offline_donations (collective, campaign)
    WHERE method = 'payee_cheque' AND NOT outside_books;

-- What was entered does not change, and states only move forward.
-- +goose StatementBegin
CREATE FUNCTION treasury.check_offline_donation() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    IF (OLD.id, OLD.collective, OLD.campaign, OLD.book, OLD.amount_minor, OLD.currency, OLD.method, OLD.received_on,
        OLD.document, OLD.pledge, OLD.outside_books, OLD.stage, OLD.created_by, OLD.created_at)
        IS DISTINCT FROM
       (NEW.id, NEW.collective, NEW.campaign, NEW.book, NEW.amount_minor, NEW.currency, NEW.method, NEW.received_on,
        NEW.document, NEW.pledge, NEW.outside_books, NEW.stage, NEW.created_by, NEW.created_at)
        OR OLD.deposit IS NOT NULL AND (OLD.deposit, OLD.banked_on) IS DISTINCT FROM (NEW.deposit, NEW.banked_on)
    THEN
        RAISE EXCEPTION 'what was entered does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'offline_donations_immutable';
    END IF;
    IF OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (
        ('received', 'banked'), ('received', 'reversed'), ('banked', 'bounced'), ('banked', 'reversed')
    ) THEN
        RAISE EXCEPTION 'an offline donation does not go from % to %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'offline_donations_state_forward';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER offline_donations_check_change
    BEFORE UPDATE ON treasury.offline_donations
    FOR EACH ROW
    EXECUTE FUNCTION treasury.check_offline_donation();

GRANT SELECT, INSERT ON treasury.offline_donations TO cagnotte_service;
GRANT UPDATE (state, deposit, banked_on, bounced_on, reverse_reason, updated_at)
    ON treasury.offline_donations TO cagnotte_service;

-- An invoice, owed or paid. Several bank lines may pay one in instalments.
CREATE TABLE treasury.expenses (
    id              uuid        NOT NULL,
    collective      text        NOT NULL,
    campaign        text        NOT NULL,
    -- The stage of the campaign that it was spent on.
    stage           text        NOT NULL,
    book            text        NOT NULL,
    kind            text        NOT NULL,
    -- The account's code in the book.
    account         text        NOT NULL,
    payee           text        NOT NULL,
    document        text        NOT NULL,
    -- Payee and document in the form in which they are compared, so that another spelling is recognised.
    document_key    text        NOT NULL,
    documented_on   date        NOT NULL,
    amount_minor    bigint      NOT NULL,
    currency        text        NOT NULL,
    state           text        NOT NULL,
    -- The invoice was first booked on the suppliers' account.
    owed_first      boolean     NOT NULL,
    -- How many payments were booked. Each has a reference of its own.
    payments        integer     NOT NULL DEFAULT 0,
    -- What was paid of an expense that is still owed; 0 in the other states.
    part_paid_minor bigint      NOT NULL DEFAULT 0,
    paid_on         date,
    -- What it was paid from.
    source          text        NOT NULL,
    reverse_reason  text        NOT NULL DEFAULT '',
    -- The name of the API key.
    created_by      text        NOT NULL,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,

    CONSTRAINT expenses_pkey PRIMARY KEY (id),
    CONSTRAINT expenses_amount_positive CHECK (amount_minor > 0),
    CONSTRAINT expenses_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT expenses_kind_known CHECK (kind IN ('lawyer', 'litigation', 'other')),
    CONSTRAINT expenses_state_known CHECK (state IN ('owed', 'paid', 'reversed')),
    CONSTRAINT expenses_source_known CHECK (source IN ('', 'bank', 'cash')),
    CONSTRAINT expenses_stage_of_campaign CHECK (stage = '' OR campaign <> ''),
    CONSTRAINT expenses_part_paid CHECK (
        part_paid_minor >= 0
        AND part_paid_minor < amount_minor
        AND (state = 'owed' OR part_paid_minor = 0)
    ),
    CONSTRAINT expenses_paid CHECK (
        (paid_on IS NULL) = (source = '')
        AND (state <> 'paid' OR paid_on IS NOT NULL)
        AND (state <> 'owed' OR paid_on IS NULL AND owed_first)
        AND (owed_first OR payments = 0)
    ),
    CONSTRAINT expenses_reversed CHECK ((state = 'reversed') = (reverse_reason <> ''))
);

-- Lists, newest first.
CREATE INDEX expenses_list_idx ON treasury.expenses (collective, created_at DESC, id DESC);
-- One invoice is entered once.
CREATE UNIQUE INDEX expenses_document_key ON treasury.expenses (collective, document_key)
    WHERE state <> 'reversed';
-- A campaign's list, newest first, and what it spent.
CREATE INDEX expenses_campaign_idx ON treasury.expenses (collective, campaign, created_at DESC, id DESC)
    INCLUDE (stage, state, amount_minor, currency)
    WHERE campaign <> '';
-- The invoices that a bank line may pay.
CREATE INDEX expenses_owed_idx ON treasury.expenses (collective, documented_on, id)
    WHERE state = 'owed';

-- What was entered does not change, and a reversed expense stays reversed. A paid one may be owed again, when the bank
-- line that paid it is unmatched.
-- +goose StatementBegin
CREATE FUNCTION treasury.check_expense() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    IF (OLD.id, OLD.collective, OLD.campaign, OLD.stage, OLD.book, OLD.kind, OLD.account, OLD.payee, OLD.document,
        OLD.document_key, OLD.documented_on, OLD.amount_minor, OLD.currency, OLD.owed_first, OLD.created_by, OLD.created_at)
        IS DISTINCT FROM
       (NEW.id, NEW.collective, NEW.campaign, NEW.stage, NEW.book, NEW.kind, NEW.account, NEW.payee, NEW.document,
        NEW.document_key, NEW.documented_on, NEW.amount_minor, NEW.currency, NEW.owed_first, NEW.created_by, NEW.created_at)
        OR NEW.payments < OLD.payments
    THEN
        RAISE EXCEPTION 'what was entered does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'expenses_immutable';
    END IF;
    IF OLD.state = 'reversed' THEN
        RAISE EXCEPTION 'a reversed expense does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'expenses_state_forward';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER expenses_check_change
    BEFORE UPDATE ON treasury.expenses
    FOR EACH ROW
    EXECUTE FUNCTION treasury.check_expense();

GRANT SELECT, INSERT ON treasury.expenses TO cagnotte_service;
GRANT UPDATE (state, payments, part_paid_minor, paid_on, source, reverse_reason, updated_at)
    ON treasury.expenses TO cagnotte_service;

-- What a treasurer enters by hand: offline donations, pledges, bank statements, expenses.
--
-- Safe on a live database: it only makes new objects, and reads and locks no table that exists. The accounts
-- that it needs are data of the charts; a book that exists gets their roles when it is next ensured.
--
-- Campaigns and collectives have no foreign keys here: they are never deleted.

-- +goose Up

CREATE SCHEMA treasury;
GRANT USAGE ON SCHEMA treasury TO cagnotte_service;

-- What was done under a caller's request id. The row is written first, in the transaction of what it stands
-- for: of two equal requests at once the second waits here, and then finds the first.
CREATE TABLE treasury.requests (
    collective  text        NOT NULL,
    method      text        NOT NULL,
    request_id  uuid        NOT NULL,
    -- SHA-256 of what was asked.
    fingerprint bytea       NOT NULL,
    -- What it made or changed.
    resource    uuid        NOT NULL,
    created_at  timestamptz NOT NULL,
    CONSTRAINT requests_pkey PRIMARY KEY (collective, method, request_id),
    CONSTRAINT requests_fingerprint_length CHECK (length(fingerprint) = 32)
);

-- Promises. What becomes of one is told by its donation and by the time, so nothing here ever changes.
CREATE TABLE treasury.pledges (
    id           uuid        NOT NULL,
    collective   text        NOT NULL,
    campaign     text        NOT NULL,
    -- The eight characters that tell it from all others, without prefix and dash.
    reference    text        NOT NULL,
    amount_minor bigint      NOT NULL,
    currency     text        NOT NULL,
    method       text        NOT NULL,
    locale       text        NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    CONSTRAINT pledges_pkey PRIMARY KEY (id),
    CONSTRAINT pledges_reference_key UNIQUE (reference),
    CONSTRAINT pledges_reference_form CHECK (reference ~ '^[2-9A-HJKMNP-RT-Y]{8}$'),
    CONSTRAINT pledges_amount_positive CHECK (amount_minor > 0),
    CONSTRAINT pledges_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT pledges_method_known CHECK (method IN ('cash', 'transfer', 'cheque')),
    CONSTRAINT pledges_expire_later CHECK (expires_at > created_at)
);

CREATE INDEX pledges_list_idx ON treasury.pledges (collective, campaign, created_at DESC, id DESC);

-- Cheques that went to the bank on one slip.
CREATE TABLE treasury.deposits (
    id          uuid        NOT NULL,
    collective  text        NOT NULL,
    book        text        NOT NULL,
    total_minor bigint      NOT NULL,
    currency    text        NOT NULL,
    banked_on   date        NOT NULL,
    document    text        NOT NULL,
    created_by  text        NOT NULL,
    created_at  timestamptz NOT NULL,
    CONSTRAINT deposits_pkey PRIMARY KEY (id),
    CONSTRAINT deposits_total_positive CHECK (total_minor > 0),
    CONSTRAINT deposits_currency_code CHECK (currency ~ '^[A-Z]{3}$')
);

CREATE TABLE treasury.offline_donations (
    -- The dimension donation in the books.
    id             uuid        NOT NULL,
    collective     text        NOT NULL,
    campaign       text        NOT NULL,
    book           text        NOT NULL,
    amount_minor   bigint      NOT NULL,
    currency       text        NOT NULL,
    method         text        NOT NULL,
    received_on    date        NOT NULL,
    document       text        NOT NULL,
    pledge         uuid,
    outside_books  boolean     NOT NULL,
    -- The stage that a cheque to the lawyer paid for; '' for none.
    stage          text        NOT NULL,
    state          text        NOT NULL DEFAULT 'received',
    deposit        uuid,
    banked_on      date,
    bounced_on     date,
    reverse_reason text        NOT NULL DEFAULT '',
    -- The key's name; '' when an import entered it.
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
    CONSTRAINT offline_donations_bounced CHECK ((state = 'bounced') = (bounced_on IS NOT NULL) AND bounced_on >= banked_on),
    CONSTRAINT offline_donations_reversed CHECK ((state = 'reversed') = (reverse_reason <> ''))
);

CREATE INDEX offline_donations_list_idx ON treasury.offline_donations (collective, campaign, created_at DESC, id DESC);
-- A pledge is fulfilled once; a donation that was taken back leaves it open.
CREATE UNIQUE INDEX offline_donations_pledge_key ON treasury.offline_donations (pledge)
    WHERE pledge IS NOT NULL AND state IN ('received', 'banked');
CREATE INDEX offline_donations_deposit_idx ON treasury.offline_donations (deposit, id) WHERE deposit IS NOT NULL;
-- The treasurer's work list.
CREATE INDEX offline_donations_cheques_idx ON treasury.offline_donations (collective, received_on, id)
    WHERE method = 'cheque' AND state = 'received';
-- What donors paid the lawyer directly.
CREATE INDEX offline_donations_spent_idx ON treasury.offline_donations (collective, campaign)
    WHERE method = 'payee_cheque' AND NOT outside_books;

CREATE TABLE treasury.expenses (
    id             uuid        NOT NULL,
    collective     text        NOT NULL,
    -- '' for none.
    campaign       text        NOT NULL,
    stage          text        NOT NULL,
    book           text        NOT NULL,
    kind           text        NOT NULL,
    -- The account's code in the book.
    account        text        NOT NULL,
    payee          text        NOT NULL,
    document       text        NOT NULL,
    -- Payee and document as they are compared: another spelling of the same is the same.
    document_key   text        NOT NULL,
    documented_on  date        NOT NULL,
    amount_minor   bigint      NOT NULL,
    currency       text        NOT NULL,
    state          text        NOT NULL,
    -- Whether the invoice was booked on the suppliers' account first.
    owed_first     boolean     NOT NULL,
    -- How many payments were booked; each has a reference of its own.
    payments       integer     NOT NULL DEFAULT 0,
    paid_on        date,
    source         text        NOT NULL,
    reverse_reason text        NOT NULL DEFAULT '',
    created_by     text        NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    CONSTRAINT expenses_pkey PRIMARY KEY (id),
    CONSTRAINT expenses_amount_positive CHECK (amount_minor > 0),
    CONSTRAINT expenses_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT expenses_kind_known CHECK (kind IN ('lawyer', 'litigation', 'other')),
    CONSTRAINT expenses_state_known CHECK (state IN ('owed', 'paid', 'reversed')),
    CONSTRAINT expenses_source_known CHECK (source IN ('', 'bank', 'cash')),
    CONSTRAINT expenses_stage_of_campaign CHECK (stage = '' OR campaign <> ''),
    CONSTRAINT expenses_paid CHECK (
        (paid_on IS NULL) = (source = '')
        AND (state <> 'paid' OR paid_on IS NOT NULL)
        AND (state <> 'owed' OR paid_on IS NULL AND owed_first)
        AND (owed_first OR payments = 0)
    ),
    CONSTRAINT expenses_reversed CHECK ((state = 'reversed') = (reverse_reason <> ''))
);

CREATE INDEX expenses_list_idx ON treasury.expenses (collective, created_at DESC, id DESC);
CREATE UNIQUE INDEX expenses_document_key ON treasury.expenses (collective, document_key) WHERE state <> 'reversed';
CREATE INDEX expenses_campaign_idx ON treasury.expenses (collective, campaign, created_at DESC, id DESC)
    INCLUDE (stage, state, amount_minor, currency)
    WHERE campaign <> '';
CREATE INDEX expenses_owed_idx ON treasury.expenses (collective, documented_on, id) WHERE state = 'owed';

-- Files of the bank's.
CREATE TABLE treasury.statements (
    id            uuid        NOT NULL,
    collective    text        NOT NULL,
    -- The collective's own account.
    account       text        NOT NULL,
    -- SHA-256 of the file, and the statement's place in it.
    file_hash     bytea       NOT NULL,
    ordinal       integer     NOT NULL,
    currency      text        NOT NULL,
    opening_minor bigint,
    closing_minor bigint,
    closing_on    date        NOT NULL,
    lines         integer     NOT NULL,
    new_lines     integer     NOT NULL,
    created_by    text        NOT NULL,
    created_at    timestamptz NOT NULL,
    CONSTRAINT statements_pkey PRIMARY KEY (id),
    CONSTRAINT statements_file_key UNIQUE (collective, account, file_hash, ordinal),
    CONSTRAINT statements_file_hash_length CHECK (length(file_hash) = 32),
    CONSTRAINT statements_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT statements_counted CHECK (new_lines BETWEEN 0 AND lines)
);

-- The last closing balance of each account.
CREATE INDEX statements_closing_idx ON treasury.statements (collective, account, closing_on DESC, created_at DESC, id DESC)
    WHERE closing_minor IS NOT NULL;

CREATE TABLE treasury.bank_lines (
    id                 uuid        NOT NULL,
    collective         text        NOT NULL,
    account            text        NOT NULL,
    -- What makes it the same line in another file; a keyed hash, since it is made of what payers wrote.
    line_key           bytea       NOT NULL,
    statement          uuid        NOT NULL,
    booked_on          date        NOT NULL,
    amount_minor       bigint      NOT NULL,
    currency           text        NOT NULL,
    bank_reference     text        NOT NULL,
    -- The pledge that its text names.
    pledge             uuid,
    state              text        NOT NULL DEFAULT 'unmatched',
    -- What it was matched to.
    target             text        NOT NULL DEFAULT '',
    offline_donation       uuid,
    expense            uuid,
    -- The transaction in the books that shows it, or is thought to.
    ledger_transaction bigint,
    ignore_reason      text        NOT NULL DEFAULT '',
    -- How often it was matched, so that each booking has a reference of its own.
    attempt            integer     NOT NULL DEFAULT 0,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    CONSTRAINT bank_lines_pkey PRIMARY KEY (id),
    CONSTRAINT bank_lines_line_key UNIQUE (collective, account, line_key),
    CONSTRAINT bank_lines_statement_fkey FOREIGN KEY (statement) REFERENCES treasury.statements (id),
    CONSTRAINT bank_lines_pledge_fkey FOREIGN KEY (pledge) REFERENCES treasury.pledges (id),
    CONSTRAINT bank_lines_donation_fkey FOREIGN KEY (offline_donation) REFERENCES treasury.offline_donations (id),
    CONSTRAINT bank_lines_expense_fkey FOREIGN KEY (expense) REFERENCES treasury.expenses (id),
    CONSTRAINT bank_lines_line_key_length CHECK (length(line_key) = 32),
    CONSTRAINT bank_lines_amount_not_zero CHECK (amount_minor <> 0),
    CONSTRAINT bank_lines_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT bank_lines_state_known CHECK (state IN ('unmatched', 'suggested', 'matched', 'ignored')),
    CONSTRAINT bank_lines_target_known CHECK (target IN ('', 'pledge', 'campaign', 'expense', 'transaction', 'unknown_receipt')),
    CONSTRAINT bank_lines_matched CHECK (
        (state IN ('suggested', 'matched')) = (target <> '')
        AND (state <> 'matched' OR ledger_transaction IS NOT NULL)
        AND (offline_donation IS NULL OR state = 'matched')
        AND (expense IS NULL OR state = 'matched')
        AND (ledger_transaction IS NULL OR state IN ('suggested', 'matched'))
    ),
    CONSTRAINT bank_lines_ignored CHECK ((state = 'ignored') = (ignore_reason <> ''))
);

CREATE INDEX bank_lines_list_idx ON treasury.bank_lines (collective, booked_on DESC, id DESC);
CREATE INDEX bank_lines_open_idx ON treasury.bank_lines (collective, booked_on, id)
    INCLUDE (amount_minor, currency)
    WHERE state IN ('unmatched', 'suggested');
CREATE INDEX bank_lines_ignored_idx ON treasury.bank_lines (collective) INCLUDE (amount_minor, currency) WHERE state = 'ignored';
CREATE INDEX bank_lines_unknown_idx ON treasury.bank_lines (collective, booked_on, id)
    WHERE state = 'matched' AND target = 'unknown_receipt';
-- One movement in the books is one line of the bank's.
CREATE UNIQUE INDEX bank_lines_transaction_key ON treasury.bank_lines (ledger_transaction)
    WHERE state = 'matched';
CREATE UNIQUE INDEX bank_lines_donation_key ON treasury.bank_lines (offline_donation) WHERE offline_donation IS NOT NULL;
CREATE UNIQUE INDEX bank_lines_expense_key ON treasury.bank_lines (expense) WHERE expense IS NOT NULL;

-- What was entered does not change, and states go forward only, as doc.go of the package draws them.
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

-- An expense may be owed again: the line of the bank's that paid it can be taken back.
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
        RAISE EXCEPTION 'an expense that was reversed stays so'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'expenses_state_forward';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

-- A line may be matched, and unmatched again; what the bank said stays.
-- +goose StatementBegin
CREATE FUNCTION treasury.check_bank_line() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    IF (OLD.id, OLD.collective, OLD.account, OLD.line_key, OLD.statement, OLD.booked_on, OLD.amount_minor, OLD.currency,
        OLD.bank_reference, OLD.pledge, OLD.created_at)
        IS DISTINCT FROM
       (NEW.id, NEW.collective, NEW.account, NEW.line_key, NEW.statement, NEW.booked_on, NEW.amount_minor, NEW.currency,
        NEW.bank_reference, NEW.pledge, NEW.created_at)
        OR NEW.attempt < OLD.attempt
    THEN
        RAISE EXCEPTION 'what the bank said does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'bank_lines_immutable';
    END IF;
    IF OLD.state IN ('matched', 'ignored') AND NEW.state <> OLD.state AND NEW.state <> 'unmatched' THEN
        RAISE EXCEPTION 'a bank line goes from % to unmatched first', OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'bank_lines_state_steps';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER offline_donations_check_change BEFORE UPDATE ON treasury.offline_donations
    FOR EACH ROW EXECUTE FUNCTION treasury.check_offline_donation();
CREATE TRIGGER expenses_check_change BEFORE UPDATE ON treasury.expenses
    FOR EACH ROW EXECUTE FUNCTION treasury.check_expense();
CREATE TRIGGER bank_lines_check_change BEFORE UPDATE ON treasury.bank_lines
    FOR EACH ROW EXECUTE FUNCTION treasury.check_bank_line();

-- Nothing is deleted: the books speak of it.
GRANT SELECT, INSERT ON treasury.requests, treasury.pledges, treasury.deposits, treasury.offline_donations,
    treasury.expenses, treasury.statements, treasury.bank_lines TO cagnotte_service;
GRANT UPDATE (state, deposit, banked_on, bounced_on, reverse_reason, updated_at) ON treasury.offline_donations TO cagnotte_service;
GRANT UPDATE (state, payments, paid_on, source, reverse_reason, updated_at) ON treasury.expenses TO cagnotte_service;
GRANT UPDATE (state, target, offline_donation, expense, ledger_transaction, ignore_reason, attempt, updated_at)
    ON treasury.bank_lines TO cagnotte_service;
-- How many of a statement's lines were new is known once they are in.
GRANT UPDATE (new_lines) ON treasury.statements TO cagnotte_service;

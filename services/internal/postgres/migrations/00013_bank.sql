-- Bank statements, and their lines with what they show.

-- +goose Up

CREATE SCHEMA IF NOT EXISTS bank;
REVOKE ALL ON SCHEMA bank FROM PUBLIC;
GRANT USAGE ON SCHEMA bank TO cagnotte_service;

-- A statement of the bank. One file may have several.
CREATE TABLE bank.statements (
    id            uuid        NOT NULL,
    collective    text        NOT NULL,
    -- The collective's own bank account.
    account       text        NOT NULL,
    -- SHA-256 of the file, and the statement's place in it.
    file_hash     bytea       NOT NULL,
    ordinal       integer     NOT NULL,
    -- The form of the file, such as CAMT or CSV: files of two forms do not recognise each other's lines. '' is unknown.
    form          text        NOT NULL DEFAULT '',
    currency      text        NOT NULL,
    -- NULL where the file does not have it.
    opening_minor bigint,
    closing_minor bigint,
    closing_on    date        NOT NULL,
    -- How many lines it has, and how many of them no earlier file had. The second is known once they are stored.
    lines         integer     NOT NULL,
    new_lines     integer     NOT NULL,
    -- The name of the API key.
    created_by    text        NOT NULL,
    created_at    timestamptz NOT NULL,

    CONSTRAINT statements_pkey PRIMARY KEY (id),
    CONSTRAINT statements_file_key UNIQUE (collective, account, file_hash, ordinal),
    CONSTRAINT statements_file_hash_length CHECK (length(file_hash) = 32),
    CONSTRAINT statements_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT statements_counted CHECK (new_lines BETWEEN 0 AND lines)
);

-- The last closing balance of each account.
CREATE INDEX statements_closing_idx ON bank.statements (collective, account, closing_on DESC, created_at DESC, id DESC)
    WHERE closing_minor IS NOT NULL;

-- Lists, those imported last first.
CREATE INDEX statements_list_idx ON bank.statements (collective, created_at DESC, id DESC);

GRANT SELECT, INSERT, UPDATE (new_lines) ON bank.statements TO cagnotte_service;

-- A line of a bank statement, matched to something in the books or not yet. It has no name and no text of the payer's.
CREATE TABLE bank.lines (
    id                 uuid        NOT NULL,
    collective         text        NOT NULL,
    account            text        NOT NULL,
    -- What makes it the same line in another file. It is a keyed hash, since it is made of what payers wrote.
    line_key           bytea       NOT NULL,
    statement          uuid        NOT NULL,
    booked_on          date        NOT NULL,
    -- Positive for money that came in.
    amount_minor       bigint      NOT NULL,
    currency           text        NOT NULL,
    bank_reference     text        NOT NULL,
    -- The pledge whose reference its text has.
    pledge             uuid,
    state              text        NOT NULL DEFAULT 'unmatched',
    -- What it is matched to, or thought to be.
    target             text        NOT NULL DEFAULT '',
    offline_donation   uuid,
    expense            uuid,
    -- The transaction in the books that shows it, or is thought to.
    ledger_transaction bigint,
    ignore_reason      text        NOT NULL DEFAULT '',
    -- How often it was matched, so that each booking has a reference of its own.
    attempt            integer     NOT NULL DEFAULT 0,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,

    CONSTRAINT lines_pkey PRIMARY KEY (id),
    CONSTRAINT lines_key UNIQUE (collective, account, line_key),
    CONSTRAINT lines_statement_fkey FOREIGN KEY (statement) REFERENCES bank.statements (id),
    CONSTRAINT lines_pledge_fkey FOREIGN KEY (pledge) REFERENCES treasury.pledges (id),
    CONSTRAINT lines_donation_fkey FOREIGN KEY (offline_donation) REFERENCES treasury.offline_donations (id),
    CONSTRAINT lines_expense_fkey FOREIGN KEY (expense) REFERENCES treasury.expenses (id),
    CONSTRAINT lines_key_length CHECK (length(line_key) = 32),
    CONSTRAINT lines_amount_not_zero CHECK (amount_minor <> 0),
    CONSTRAINT lines_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    -- Only in a form that cannot be a name, because some banks put the payer's there. The same form is in
    -- services/bank/statement/reference.go.
    CONSTRAINT lines_reference_nameless CHECK (
        bank_reference = ''
        OR bank_reference ~ '^([0-9./:_-]*[A-Za-z]?[0-9./:_-]*[0-9][0-9./:_-]*[A-Za-z]?[0-9./:_-]*|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$'
    ),
    CONSTRAINT lines_state_known CHECK (state IN ('unmatched', 'suggested', 'matched', 'ignored')),
    CONSTRAINT lines_target_known CHECK (target IN (
        '', 'pledge', 'campaign', 'expense', 'transaction', 'unknown_receipt'
    )),
    CONSTRAINT lines_matched CHECK (
        (state IN ('suggested', 'matched')) = (target <> '')
        AND (state <> 'matched' OR ledger_transaction IS NOT NULL)
        AND (offline_donation IS NULL OR state = 'matched')
        AND (expense IS NULL OR state = 'matched')
        AND (ledger_transaction IS NULL OR state IN ('suggested', 'matched'))
    ),
    CONSTRAINT lines_ignored CHECK ((state = 'ignored') = (ignore_reason <> ''))
);

-- Lists, newest first.
CREATE INDEX lines_list_idx ON bank.lines (collective, booked_on DESC, id DESC);
-- The lines that are still to be matched, and their sum.
CREATE INDEX lines_open_idx ON bank.lines (collective, booked_on, id)
    INCLUDE (amount_minor, currency)
    WHERE state IN ('unmatched', 'suggested');
-- The sum of ignored lines, which the bank's balance has and the books do not.
CREATE INDEX lines_ignored_idx ON bank.lines (collective)
    INCLUDE (amount_minor, currency)
    WHERE state = 'ignored';
-- The unknown receipts.
CREATE INDEX lines_unknown_idx ON bank.lines (collective, booked_on, id)
    WHERE state = 'matched' AND target = 'unknown_receipt';
-- A movement in the books is one line of the bank's.
CREATE UNIQUE INDEX lines_transaction_key ON bank.lines (ledger_transaction)
    WHERE state = 'matched';
-- An offline donation is one line of the bank's.
CREATE UNIQUE INDEX lines_donation_key ON bank.lines (offline_donation)
    WHERE offline_donation IS NOT NULL;
-- The lines that paid an expense.
CREATE INDEX lines_expense_idx ON bank.lines (expense, booked_on, id)
    WHERE expense IS NOT NULL;

-- What the bank reported does not change. A matched or ignored line can be unmatched again.
-- +goose StatementBegin
CREATE FUNCTION bank.check_line() RETURNS trigger
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
        RAISE EXCEPTION 'what the bank reported does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'lines_immutable';
    END IF;
    IF OLD.state IN ('matched', 'ignored') AND NEW.state <> OLD.state AND NEW.state <> 'unmatched' THEN
        RAISE EXCEPTION 'a bank line that is % must be unmatched first', OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'lines_state_steps';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER lines_check_change
    BEFORE UPDATE ON bank.lines
    FOR EACH ROW
    EXECUTE FUNCTION bank.check_line();

GRANT SELECT, INSERT ON bank.lines TO cagnotte_service;
GRANT UPDATE (state, target, offline_donation, expense, ledger_transaction, ignore_reason, attempt, updated_at)
    ON bank.lines TO cagnotte_service;

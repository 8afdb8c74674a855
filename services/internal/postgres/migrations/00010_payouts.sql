-- Payouts, the balance transactions inside them, and where these differ from the books.

-- +goose Up

CREATE SCHEMA IF NOT EXISTS payouts;
REVOKE ALL ON SCHEMA payouts FROM PUBLIC;
GRANT USAGE ON SCHEMA payouts TO cagnotte_service;

-- One payout of Stripe's to a bank account. Amount, currency, account and whether Stripe made it never change. Rows are
-- never deleted.
CREATE TABLE payouts.payouts (
    account             text COLLATE "C" NOT NULL,
    -- Stripe's id, po_….
    id                  text COLLATE "C" NOT NULL,
    -- Negative when the bank account was debited.
    amount_minor        bigint           NOT NULL,
    currency            text COLLATE "C" NOT NULL,
    -- Stripe made it by itself, and knows what is inside.
    automatic           boolean          NOT NULL,
    created_at          timestamptz      NOT NULL,
    -- The day on which the bank has it. It can change until then.
    arrival_at          timestamptz      NOT NULL,
    state               text             NOT NULL,
    -- Stripe can list what is inside.
    listable            boolean          NOT NULL,
    -- The balance transactions by which it left, and by which it came back.
    own_transaction     text             NOT NULL,
    failure_transaction text             NOT NULL,
    -- Behind which balance transaction the reading of its contents continues, and when they were read in full.
    contents_after      text             NOT NULL DEFAULT '',
    contents_read_at    timestamptz,
    -- When the bank's line was posted.
    banked_at           timestamptz,
    -- When it was last compared with the books.
    reconciled_at       timestamptz,
    -- When it is next worked on; NULL when nothing is left to do.
    next_attempt_at     timestamptz      DEFAULT statement_timestamp(),
    attempts            integer          NOT NULL DEFAULT 0,

    CONSTRAINT payouts_pkey PRIMARY KEY (account, id),
    CONSTRAINT payouts_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT payouts_state_known CHECK (state IN ('pending', 'in_transit', 'paid', 'failed', 'canceled')),
    CONSTRAINT payouts_contents_of_automatic CHECK (automatic OR NOT listable)
);

-- The payouts to work on. Small at all times.
CREATE INDEX payouts_due_idx ON payouts.payouts (account, next_attempt_at, id)
    WHERE next_attempt_at IS NOT NULL;
-- An account's list, newest first.
CREATE INDEX payouts_account_idx ON payouts.payouts (account, arrival_at DESC, id DESC);
-- The operator's list of all accounts, newest first.
CREATE INDEX payouts_arrival_idx ON payouts.payouts (arrival_at DESC, id DESC);
-- The payout that a balance transaction brought back.
CREATE INDEX payouts_failure_idx ON payouts.payouts (account, failure_transaction)
    WHERE failure_transaction <> '';

-- A state only moves on. A paid payout can fail days later.
-- +goose StatementBegin
CREATE FUNCTION payouts.require_progress() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF OLD.state <> NEW.state AND NOT (
        OLD.state = 'pending'
        OR OLD.state = 'in_transit' AND NEW.state IN ('paid', 'failed', 'canceled')
        OR OLD.state = 'paid' AND NEW.state = 'failed'
    ) THEN
        RAISE EXCEPTION 'a payout does not become % after %', NEW.state, OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payouts_state_progress';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER payouts_progress
    BEFORE UPDATE OF state ON payouts.payouts
    FOR EACH ROW
    EXECUTE FUNCTION payouts.require_progress();

GRANT SELECT ON payouts.payouts TO cagnotte_service;
GRANT INSERT (
    account,
    id,
    amount_minor,
    currency,
    automatic,
    created_at,
    arrival_at,
    state,
    listable,
    own_transaction,
    failure_transaction
) ON payouts.payouts TO cagnotte_service;
GRANT UPDATE (
    arrival_at,
    state,
    listable,
    own_transaction,
    failure_transaction,
    contents_after,
    contents_read_at,
    banked_at,
    reconciled_at,
    next_attempt_at,
    attempts
) ON payouts.payouts TO cagnotte_service;

-- What a payout contains and whose it is does not change, for any role.
-- +goose StatementBegin
CREATE FUNCTION payouts.refuse_change() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION '% on payouts.% is refused: it is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_TABLE_NAME || '_append_only';
END
$$;
-- +goose StatementEnd

-- A balance transaction inside a payout, as Stripe lists it. The payout's own is among them.
CREATE TABLE payouts.contents (
    account     text COLLATE "C" NOT NULL,
    payout      text COLLATE "C" NOT NULL,
    transaction text COLLATE "C" NOT NULL,
    -- Stripe's word.
    type        text             NOT NULL,
    net_minor   bigint           NOT NULL,
    fee_minor   bigint           NOT NULL,
    -- The database transaction that wrote it: a report as of a snapshot leaves out what came later.
    xid         xid8             NOT NULL DEFAULT pg_current_xact_id(),

    CONSTRAINT contents_pkey PRIMARY KEY (account, payout, transaction),
    CONSTRAINT contents_payout_fkey FOREIGN KEY (account, payout) REFERENCES payouts.payouts (account, id)
);

CREATE TRIGGER contents_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON payouts.contents
    FOR EACH STATEMENT
    EXECUTE FUNCTION payouts.refuse_change();

GRANT SELECT, INSERT (account, payout, transaction, type, net_minor, fee_minor) ON payouts.contents TO cagnotte_service;

-- A collective's part of a payout, decided once; the collective is '' for what belongs to none.
CREATE TABLE payouts.shares (
    account      text COLLATE "C" NOT NULL,
    payout       text COLLATE "C" NOT NULL,
    collective   text COLLATE "C" NOT NULL,
    amount_minor bigint           NOT NULL,
    -- As in contents.
    xid          xid8             NOT NULL DEFAULT pg_current_xact_id(),

    CONSTRAINT shares_pkey PRIMARY KEY (account, payout, collective),
    CONSTRAINT shares_payout_fkey FOREIGN KEY (account, payout) REFERENCES payouts.payouts (account, id)
);

-- A collective's payouts.
CREATE INDEX shares_collective_idx ON payouts.shares (collective, account, payout);

CREATE TRIGGER shares_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON payouts.shares
    FOR EACH STATEMENT
    EXECUTE FUNCTION payouts.refuse_change();

GRANT SELECT, INSERT (account, payout, collective, amount_minor) ON payouts.shares TO cagnotte_service;

-- A difference between a payout, or a balance transaction inside it, and the books.
CREATE TABLE payouts.findings (
    account        text COLLATE "C" NOT NULL,
    payout         text COLLATE "C" NOT NULL,
    problem        text             NOT NULL,
    -- '' when it is about the payout as a whole.
    transaction    text COLLATE "C" NOT NULL,
    expected_minor bigint           NOT NULL,
    found_minor    bigint           NOT NULL,
    found_at       timestamptz      NOT NULL DEFAULT statement_timestamp(),
    -- When a later comparison did not find it again.
    resolved_at    timestamptz,

    CONSTRAINT findings_pkey PRIMARY KEY (account, payout, problem, transaction),
    CONSTRAINT findings_problem_known CHECK (problem IN ('sum', 'own', 'amount', 'fee', 'missing')),
    CONSTRAINT findings_payout_fkey FOREIGN KEY (account, payout) REFERENCES payouts.payouts (account, id)
);

-- The differences that somebody must look at.
CREATE INDEX findings_open_idx ON payouts.findings (account, payout)
    WHERE resolved_at IS NULL;

GRANT SELECT, INSERT (account, payout, problem, transaction, expected_minor, found_minor)
    ON payouts.findings TO cagnotte_service;
GRANT UPDATE (expected_minor, found_minor, found_at, resolved_at) ON payouts.findings TO cagnotte_service;

-- How far an account's list of payouts was read. One row for each account.
CREATE TABLE payouts.accounts (
    account      text COLLATE "C" NOT NULL,
    -- All payouts that were created up to here are known.
    listed_to    timestamptz      NOT NULL DEFAULT 'epoch',
    -- The reading, while one is running: when it began, how far down it goes, and behind which payout it continues.
    begun_at     timestamptz,
    floor_at     timestamptz,
    after_payout text             NOT NULL DEFAULT '',
    -- How many readings failed in a row, and until when no other begins.
    failures     integer          NOT NULL DEFAULT 0,
    next_list_at timestamptz      NOT NULL DEFAULT '-infinity',

    CONSTRAINT accounts_pkey PRIMARY KEY (account),
    CONSTRAINT accounts_reading_whole CHECK ((begun_at IS NULL) = (floor_at IS NULL))
);

GRANT SELECT, INSERT (account) ON payouts.accounts TO cagnotte_service;
GRANT UPDATE (listed_to, begun_at, floor_at, after_payout, failures, next_list_at)
    ON payouts.accounts TO cagnotte_service;

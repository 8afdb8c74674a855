-- Payouts, what is inside them, and what of it differs from the books.
--
-- Safe on a live database: it only makes new objects, and reads and locks no table that exists.

-- +goose Up

CREATE SCHEMA IF NOT EXISTS payouts;
GRANT USAGE ON SCHEMA payouts TO cagnotte_service;
REVOKE ALL ON SCHEMA payouts FROM PUBLIC;

CREATE TABLE payouts.payouts (
    -- The Stripe account; '' is the platform's own.
    account             text COLLATE "C" NOT NULL,
    -- Stripe's id, po_….
    id                  text COLLATE "C" NOT NULL,
    -- Negative when the bank was debited.
    amount_minor        bigint           NOT NULL,
    currency            text COLLATE "C" NOT NULL,
    -- Stripe made it by itself, and knows what is inside.
    automatic           boolean          NOT NULL,
    created_at          timestamptz      NOT NULL,
    -- The day on which the bank has it; it can change until then.
    arrival_at          timestamptz      NOT NULL,
    state               text             NOT NULL,
    -- What is inside can be listed at Stripe.
    listable            boolean          NOT NULL,
    -- Its balance transaction, and the one by which it came back; '' when there is none.
    own_transaction     text             NOT NULL,
    failure_transaction text             NOT NULL,
    -- Behind which balance transaction the reading of what is inside goes on; and when it was whole.
    contents_after      text             NOT NULL DEFAULT '',
    contents_read_at    timestamptz,
    -- When the bank's line was posted, and when all was last compared with the books.
    banked_at           timestamptz,
    reconciled_at       timestamptz,
    -- When there is something to do again; NULL when all is done.
    next_attempt_at     timestamptz      DEFAULT statement_timestamp(),
    attempts            integer          NOT NULL DEFAULT 0,
    CONSTRAINT payouts_pkey PRIMARY KEY (account, id),
    CONSTRAINT payouts_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT payouts_state_known CHECK (state IN ('pending', 'in_transit', 'paid', 'failed', 'canceled')),
    CONSTRAINT payouts_contents_of_automatic CHECK (automatic OR NOT listable)
);

-- What is to be done. Small at all times.
CREATE INDEX payouts_due_idx ON payouts.payouts (account, next_attempt_at, id) WHERE next_attempt_at IS NOT NULL;
-- Lists, newest first: an account's, and the operator's.
CREATE INDEX payouts_account_idx ON payouts.payouts (account, arrival_at DESC, id DESC);
CREATE INDEX payouts_arrival_idx ON payouts.payouts (arrival_at DESC, id DESC);
-- Whose money a payout that came back was.
CREATE INDEX payouts_failure_idx ON payouts.payouts (account, failure_transaction) WHERE failure_transaction <> '';

-- A state only moves on. One that is paid can fail, days later.
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

CREATE TRIGGER payouts_progress BEFORE UPDATE OF state ON payouts.payouts
    FOR EACH ROW EXECUTE FUNCTION payouts.require_progress();

-- Which balance transactions a payout holds, as Stripe lists them, its own among them.
CREATE TABLE payouts.contents (
    account     text COLLATE "C" NOT NULL,
    payout      text COLLATE "C" NOT NULL,
    transaction text COLLATE "C" NOT NULL,
    type        text             NOT NULL,
    net_minor   bigint           NOT NULL,
    fee_minor   bigint           NOT NULL,
    -- Who wrote it: a report of a moment leaves out what came later.
    xid         xid8             NOT NULL DEFAULT pg_current_xact_id(),
    CONSTRAINT contents_pkey PRIMARY KEY (account, payout, transaction),
    CONSTRAINT contents_payout_fkey FOREIGN KEY (account, payout) REFERENCES payouts.payouts (account, id)
);

-- Whose money a payout is, decided once; '' is what belongs to no collective.
CREATE TABLE payouts.shares (
    account      text COLLATE "C" NOT NULL,
    payout       text COLLATE "C" NOT NULL,
    collective   text COLLATE "C" NOT NULL,
    amount_minor bigint           NOT NULL,
    xid          xid8             NOT NULL DEFAULT pg_current_xact_id(),
    CONSTRAINT shares_pkey PRIMARY KEY (account, payout, collective),
    CONSTRAINT shares_payout_fkey FOREIGN KEY (account, payout) REFERENCES payouts.payouts (account, id)
);

-- A collective's payouts.
CREATE INDEX shares_collective_idx ON payouts.shares (collective, account, payout);

-- Where a payout, or a balance transaction inside it, is not what the books have.
CREATE TABLE payouts.findings (
    account        text COLLATE "C" NOT NULL,
    payout         text COLLATE "C" NOT NULL,
    problem        text             NOT NULL,
    -- '' when it is about the payout as a whole.
    transaction    text COLLATE "C" NOT NULL,
    expected_minor bigint           NOT NULL,
    found_minor    bigint           NOT NULL,
    found_at       timestamptz      NOT NULL DEFAULT statement_timestamp(),
    -- When it was there no more.
    resolved_at    timestamptz,
    CONSTRAINT findings_pkey PRIMARY KEY (account, payout, problem, transaction),
    CONSTRAINT findings_problem_known CHECK (problem IN ('sum', 'own', 'amount', 'fee', 'missing')),
    CONSTRAINT findings_payout_fkey FOREIGN KEY (account, payout) REFERENCES payouts.payouts (account, id)
);

-- What somebody must look at.
CREATE INDEX findings_open_idx ON payouts.findings (account, payout) WHERE resolved_at IS NULL;

-- How far an account's list of payouts was read.
CREATE TABLE payouts.accounts (
    account      text COLLATE "C" NOT NULL,
    -- All payouts created up to here are known.
    listed_to    timestamptz      NOT NULL DEFAULT 'epoch',
    -- The reading that is under way: when it began, down to where, and behind which payout it goes on.
    begun_at     timestamptz,
    floor_at     timestamptz,
    after_payout text             NOT NULL DEFAULT '',
    -- Failed readings in a row, and how long they wait.
    failures     integer          NOT NULL DEFAULT 0,
    next_list_at timestamptz      NOT NULL DEFAULT '-infinity',
    CONSTRAINT accounts_pkey PRIMARY KEY (account),
    CONSTRAINT accounts_reading_whole CHECK ((begun_at IS NULL) = (floor_at IS NULL))
);

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

CREATE TRIGGER contents_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payouts.contents
    FOR EACH STATEMENT EXECUTE FUNCTION payouts.refuse_change();
CREATE TRIGGER shares_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payouts.shares
    FOR EACH STATEMENT EXECUTE FUNCTION payouts.refuse_change();

-- What a payout is never changes: amount, currency, account, whether Stripe made it. Nothing is deleted.
GRANT SELECT ON payouts.payouts, payouts.contents, payouts.shares, payouts.findings, payouts.accounts TO cagnotte_service;
GRANT INSERT (
    account, id, amount_minor, currency, automatic, created_at, arrival_at, state, listable, own_transaction, failure_transaction
) ON payouts.payouts TO cagnotte_service;
GRANT UPDATE (
    arrival_at, state, listable, own_transaction, failure_transaction, contents_after, contents_read_at, banked_at,
    reconciled_at, next_attempt_at, attempts
) ON payouts.payouts TO cagnotte_service;
GRANT INSERT (account, payout, transaction, type, net_minor, fee_minor) ON payouts.contents TO cagnotte_service;
GRANT INSERT (account, payout, collective, amount_minor) ON payouts.shares TO cagnotte_service;
GRANT INSERT (account, payout, problem, transaction, expected_minor, found_minor) ON payouts.findings TO cagnotte_service;
GRANT UPDATE (expected_minor, found_minor, found_at, resolved_at) ON payouts.findings TO cagnotte_service;
GRANT INSERT (account) ON payouts.accounts TO cagnotte_service;
GRANT UPDATE (listed_to, begun_at, floor_at, after_payout, failures, next_list_at) ON payouts.accounts TO cagnotte_service;
